"""The reference of HTTP API and events, made from the code: `make docs`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# As in a function: services and layer beside each other, and what the metrics read when they are imported.
sys.path[:0] = [path for path in (str(ROOT / "services"), str(ROOT / "layers")) if path not in sys.path]
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Kumiki")
