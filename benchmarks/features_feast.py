"""Feast's side of the part `peer`: runs in a throw-away environment, prints one JSON line.

    uv run --no-project --isolated --with 'feast[duckdb]==…' python benchmarks/features_feast.py \
        FOLDER FEATURES

FOLDER holds ``ready.parquet`` and ``spine.parquet``; the answer is left in ``feast.parquet``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

os.environ["FEAST_USAGE"] = "False"

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64

TTL = timedelta(days=90)


def main(folder: Path, features: int) -> None:
    """Join once, and say what it took."""
    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    customer = Entity(name="customer", join_keys=["customer"])
    names = [f"v{place}" for place in range(features)]
    ready = FeatureView(
        name="ready",
        entities=[customer],
        ttl=TTL,
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path=str(folder / "ready.parquet"), timestamp_field="time"),
    )
    store.apply([customer, ready])
    questions = pq.read_table(folder / "spine.parquet").to_pandas()
    began = time.perf_counter()
    job = store.get_historical_features(questions, [f"ready:{name}" for name in names])
    table = job.to_arrow()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    pq.write_table(table.select(["row", *names]), folder / "feast.parquet")
    said = {"seconds": round(seconds, 2), "peak_gb": round(peak, 2), "feast": version("feast")}
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
