"""Geo tests: some markets get an action, the others say what would have been.

`plan.plan` finds markets and a length that can show an effect, by placebo tests over history;
`read.read` reads a finished test without its design file. Outcomes come as `Markets`, from an Arrow
table (``geo``, ``day``, ``value``) or a file. The statistics are `stats.synthetic_control`'s.
"""

from __future__ import annotations

from liftwerk.lazy import attach

_WHERE = {
    "GeoPlan": "liftwerk.experiments.geo.results",
    "GeoReading": "liftwerk.experiments.geo.results",
    "Markets": "liftwerk.experiments.geo.markets",
    "from_table": "liftwerk.experiments.geo.markets",
    "read_file": "liftwerk.experiments.geo.file",
}

__all__ = ["GeoPlan", "GeoReading", "Markets", "from_table", "read_file"]

__getattr__ = attach(__name__, _WHERE)
