"""Who gets which arm: many units at once, and one in process, beside what hashing alone takes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from liftwerk.events.engine import connect
from liftwerk.experiments.definition import Arm, ExperimentDefinition
from liftwerk.experiments.draw import Draw, draw_of
from liftwerk.experiments.give import give_many, giver
from liftwerk.experiments.layers import Range
from liftwerk.metrics.definition import Goal, Share

BATCH_GOAL = 4_000_000
"""Units a second, many at once."""

ONE_GOAL = 5.0
"""Microseconds of one, at the 99th percentile."""

ROUNDS = 5


def run(quick: bool) -> dict[str, Any]:
    """Measure assignment; the fastest of a few rounds, ours and the limit by turns."""
    count = 1_000_000 if quick else 10_000_000
    raw = np.random.default_rng(8).bytes(16 * count)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(raw)])
    leaves = fixed.cast(pa.binary())
    with connect() as connection:
        connection.register("_leaves", pa.table({"leaf": leaves}))
        units = connection.sql("SELECT lower(hex(leaf)) AS unit FROM _leaves").to_arrow_table()
    texts = units.column("unit")
    plain = _draw()
    layered = _draw(layer="mail", goal=Goal("profit", Share("5%"), "hold"))
    measured: dict[str, Callable[[], object]] = {
        "texts": lambda: give_many(plain, texts),
        "leaf_keys": lambda: give_many(plain, leaves),
        "leaf_keys_in_a_layer_beside_a_holdout": lambda: give_many(layered, leaves),
        "limit_duckdb_sha256_alone": lambda: _hash_alone(texts),
    }
    fastest = dict.fromkeys(measured, 0.0)
    for _ in range(ROUNDS):
        for name, work in measured.items():
            began = time.perf_counter()
            work()
            fastest[name] = max(fastest[name], count / (time.perf_counter() - began))
    some = texts.slice(0, 200_000).to_pylist()
    fastest["growthbook"] = _rate(
        lambda: give_many(_draw(hash="growthbook"), pa.array(some), pa.array(some)), len(some)
    )
    fastest["limit_python_hashlib_alone"] = _rate(
        lambda: [hashlib.sha256(b"tea\0" + unit.encode()).digest() for unit in some], len(some)
    )
    one = {name: _each(draw, some) for name, draw in (("plain", plain), ("layered", layered))}
    same = all(_is_same(draw, some) for draw in (plain, layered))
    figures = {
        "units": count,
        "units_a_second": {name: round(rate) for name, rate in fastest.items()},
        "microseconds_each": one,
        "same_one_by_one": same,
    }
    batch, slowest = fastest["texts"], one["plain"]["p99"]
    return {
        "figures": figures,
        "bars": [
            {
                "bar": "units/s, many at once",
                "value": round(batch),
                "goal": BATCH_GOAL,
                "holds": batch >= BATCH_GOAL,
            },
            {
                "bar": "microseconds of one unit, p99",
                "value": slowest,
                "goal": ONE_GOAL,
                "holds": slowest < ONE_GOAL,
            },
            {
                "bar": "many are given what each is",
                "value": same,
                "goal": True,
                "holds": same,
            },
        ],
    }


def _draw(goal: Goal | None = None, **fields: Any) -> Draw:
    arms = {"control": Arm(), "warm": Arm(), "hot": Arm(Share("20%"))}
    tea = ExperimentDefinition("ab", "Tea", arms, ("profit",), "measurement", **fields)
    reserved = Range(Fraction(0), Fraction(1, 2))
    return draw_of("tea", tea, Fraction(1, 2), reserved=reserved, goal=goal)


def _hash_alone(units: pa.ChunkedArray) -> None:
    """Do the least that any assignment by SHA-256 in SQL has to do."""
    with connect() as connection:
        connection.register("units", pa.table({"unit": units}))
        connection.sql("SELECT count(*) FROM units WHERE sha256(unit) < '8'").fetchall()


def _rate(work: Callable[[], object], count: int) -> float:
    best = 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        best = max(best, count / (time.perf_counter() - began))
    return best


def _each(draw: Draw, units: list[str]) -> dict[str, float]:
    """Time each call by itself; the timer's own cost is in it."""
    give, now = giver(draw), time.perf_counter_ns
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        took = np.empty(len(units))
        for place, unit in enumerate(units):
            began = now()
            give(unit, unit)
            took[place] = now() - began
        p50, p99 = np.percentile(took, [50, 99]) / 1000
        if not best or p99 < best["p99"]:
            best = {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}
    return best


def _is_same(draw: Draw, units: list[str]) -> bool:
    give = giver(draw)
    many = give_many(draw, pa.array(units), pa.array(units)).to_pylist()
    return bool(many == [give(unit, unit) for unit in units])
