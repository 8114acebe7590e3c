"""What liftwerk can do beside its peers, measured in one go on the same data.

``.venv/bin/python -m benchmarks NAME [--quick]`` runs one after plain ``scripts/setup``; peers are
fetched into throw-away environments. Each file has one ``run(quick)`` that returns figures,
versions, cores and ``bars``; `BENCHMARKS` lists them.
"""

from __future__ import annotations

BENCHMARKS: dict[str, str] = {
    "collect": "benchmarks.collect",
    "experiments": "benchmarks.experiments",
    "features": "benchmarks.features",
    "ope": "benchmarks.ope",
    "uplift": "benchmarks.uplift",
}
"""Benchmark -> module; adding one is a file and a line."""
