"""The same definitions on Spark, over Spark Connect: the same exact states, the same values.

Histories are told apart by their customers' keys, so that one question to the engine answers many.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwerk.features.compile import compile_features
from liftwerk.features.join import finalised, values_as_of

from . import naive
from .spark import spark_connect
from .test_join import EVENTS, HOUR, IN_CONTEXT, connect, event_table, spine
from .test_join import FEATURES as EVERY

pytestmark = pytest.mark.slow

CASES = 60
FEATURES = {**EVERY, **IN_CONTEXT}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with spark_connect() as session:
        yield session


def history(
    draw: random.Random, customer: bytes, offsets: Iterator[int]
) -> dict[str, list[naive.Event]]:
    found: dict[str, list[naive.Event]] = {}
    for name in EVENTS:
        found[name] = []
        for _ in range(draw.randrange(12)):
            time = draw.randrange(-40, 40) * HOUR + draw.choice([-1, 0, 0, 1])
            found[name].append(
                naive.Event(
                    customer=customer,
                    time=time,
                    known_at=time + draw.choice([0, 0, 1, 30 * HOUR, -HOUR]),
                    offset=next(offsets),
                    weight=draw.choice([1.0, 1.0, 2.5, 0.125]),
                    synthetic=draw.random() < 0.1,
                    properties={
                        "n": draw.choice([None, draw.randrange(-(2**63), 2**63)]),
                        "x": draw.choice([None, draw.randrange(-(10**9), 10**9) / 8, -0.0]),
                        "m": draw.choice([None, draw.randrange(-(10**15), 10**15)]),
                        "b": draw.choice([None, True, False]),
                        "s": draw.choice([None, "", "a", "Straße"]),
                    },
                )
            )
    return found


def test_spark_gives_what_duckdb_gives(spark: Any, tmp_path: Path) -> None:
    draw = random.Random(7)
    offsets = iter(range(1, 10**9))
    events: dict[str, list[naive.Event]] = {name: [] for name in EVENTS}
    questions = []
    for case in range(CASES):
        customer = case.to_bytes(16, "big")
        for name, rows in history(draw, customer, offsets).items():
            events[name] += rows
        questions += [(customer, draw.randrange(-45, 45) * HOUR) for _ in range(3)]
    for name, rows in events.items():
        pq.write_table(event_table(rows), tmp_path / f"{name}.parquet")
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    asked = spine(questions)
    plans = compile_features(FEATURES, EVENTS, "USD")
    with connect(events) as connection:
        wanted = values_as_of(connection, plans, asked, "USD").to_pydict()
    as_of = asked.column("time").cast(pa.int64())
    pq.write_table(
        pa.table(
            {
                "_row": pa.array(range(len(questions)), pa.int64()),
                "e0": asked.column("customer"),
                "as_of": as_of,
            }
        ),
        tmp_path / "spine.parquet",
    )
    spark.read.parquet(str(tmp_path / "spine.parquet")).createOrReplaceTempView("_spine")
    known = 0
    for plan in plans:
        states = spark.sql(plan.sql("pyspark")).toArrow()
        for value in plan.values:
            found = finalised(value, states, as_of.to_numpy()).to_pylist()
            assert found == wanted[value.name], value.name
            known += sum(one not in (None, 0.0) for one in found)
    assert known / (len(FEATURES) * len(questions)) > 0.3
