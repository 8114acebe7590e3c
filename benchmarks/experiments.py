"""Experiments: who gets which arm, and what the arms did.

    .venv/bin/python -m benchmarks experiments [--quick] [--part NAME]

- ``assign``: arms for many units at once, and for one in process.
- ``metrics``: from a log of events to the moments of every metric, and a day later.
- ``geo``: a power study of geo tests, and fits and intervals beside pysyncon's.
- ``width``: intervals beside those of peers that cover, and how many a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import (
    experiments_assign,
    experiments_geo,
    experiments_metrics,
    experiments_width,
)
from benchmarks.parts import run_parts

PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "assign": experiments_assign.run,
    "metrics": experiments_metrics.run,
    "geo": experiments_geo.run,
    "width": experiments_width.run,
}


def run(quick: bool, part: str | None = None) -> dict[str, Any]:
    """Measure every part, or one."""
    return run_parts("experiments", PARTS, quick, part)
