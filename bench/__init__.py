"""Benchmarks: every figure is a ratio to a floor or to a peer that was measured in the same round."""

import sys

from localcloud.home import REPOSITORY

sys.path[:0] = [path for path in (str(REPOSITORY / "services"), str(REPOSITORY / "layers")) if path not in sys.path]

NAMES = ("cold_start", "warm_request", "order_latency", "connections", "outbox", "consumer", "growth")
"""The benchmarks, each a module of that name here: see `bench.measuring.Benchmark`."""
