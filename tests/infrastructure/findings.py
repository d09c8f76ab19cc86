"""What checkov found, and whether it is too much: `python -m tests.infrastructure.findings findings.json`."""

import json
import sys
from pathlib import Path
from typing import Any

PER_HUNDRED = 5


def told(report: Any) -> tuple[list[str], bool]:
    """A line a finding, the sum last; and whether that is no more than there may be."""
    [only] = report if isinstance(report, list) else [report]
    found, resources = only["results"]["failed_checks"], only["summary"]["resource_count"]
    if not resources:
        return ["nothing was looked at"], False
    lines = [f"{each['check_id']} {each['file_path']} {each['resource']}: {each['check_name']}" for each in found]
    each_hundred = 100 * len(found) / resources
    return [*sorted(lines), f"{len(found)} findings in {resources} resources: {each_hundred:.1f} of {PER_HUNDRED}"], (
        each_hundred <= PER_HUNDRED
    )


if __name__ == "__main__":
    lines, good = told(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(*lines, sep="\n")
    sys.exit(0 if good else 1)
