"""All checks of a table in one scan; what stops stops the run in one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError, Refused
from liftwerk.features.checks.keep import keep_sketches
from liftwerk.features.checks.scan import Scan
from liftwerk.features.checks.values import asked_of, check_features, check_values
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops

ORDERS = {"entity": "customer", "from": "order_completed"}


def project(**checks: dict[str, Any]) -> Project:
    """Features ``x``, ``y`` (numbers) and ``s`` (a text), with checks."""
    declared = {
        "x": {**ORDERS, "aggregate": "sum", "property": "revenue"},
        "y": {**ORDERS, "aggregate": "count"},
        "s": {**ORDERS, "aggregate": "last", "property": "order_id"},
    }
    for name, said in checks.items():
        declared[name]["checks"] = said
    return shops.shop(features=declared)


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


def test_values_within_their_bounds_pass(stores: Stores) -> None:
    values = pa.table({"x": [0.0, 5.0, None], "y": pa.array([None, None, None], pa.int64())})
    shop = project(x={"minimum": 0, "maximum": 5}, y={"minimum": 0, "maximum": 1})
    check_features(shop, stores, values, ["x", "y"])
    verdicts = [one.verdict for one in check_values(shop, stores, values, ["x", "y"])]
    assert verdicts == ["passed", "passed", "unknown", "unknown"]


def test_features_without_checks_are_not_read(stores: Stores) -> None:
    assert check_values(project(), stores, pa.table({"s": ["a"]}), ["x", "s"]) == []


def test_each_bound_tells_how_many_and_the_worst(stores: Stores) -> None:
    values = pa.table({"x": [-1.0, -3.0, 7.0, 1.0, None], "y": [1, 2, 3, 4, 200]})
    shop = project(x={"minimum": 0, "maximum": 5}, y={"maximum": 120})
    found = check_values(shop, stores, values, ["x", "y"])
    assert [(one.where, one.found) for one in found] == [
        ("features.x.checks.minimum", "2 of 4 are not, the worst -3"),
        ("features.x.checks.maximum", "1 of 4 are not, the worst 7"),
        ("features.y.checks.maximum", "1 of 5 are not, the worst 200"),
    ]


def test_what_stops_refuses_in_one_line(stores: Stores) -> None:
    values = pa.table({"x": [-1.0, -3.0, 7.0]})
    with pytest.raises(Refused) as caught:
        check_features(project(x={"minimum": 0, "maximum": 5}), stores, values, ["x"])
    assert str(caught.value) == (
        "x should be at least 0: 2 of 3 are not, the worst -3 (and 1 more): "
        "features.x.checks.minimum: correct the events, declare another limit, or let it warn"
    )


def test_what_warns_refuses_nothing(stores: Stores) -> None:
    shop = project(x={"minimum": 0, "severity": "warn"}, s={"categories": ["a"]})
    values = pa.table({"x": [-1.0], "s": ["b"]})
    check_features(shop, stores, values, ["x", "s"])
    assert {one.verdict for one in check_values(shop, stores, values, ["x", "s"])} == {"failed"}
    strict = project(s={"categories": ["a"], "severity": "stop"})
    with pytest.raises(Refused, match=r"s should be one of a: 1 of 1 are not: 'b'"):
        check_features(strict, stores, values, ["s"])


def test_nan_breaks_every_bound(stores: Stores) -> None:
    values = pa.table({"x": [1.0, math.nan]})
    (found,) = check_values(project(x={"minimum": 0}), stores, values, ["x"])
    assert found.found == "1 of 2 are not, the worst nan"


def test_a_column_of_another_type_is_a_mistake(stores: Stores) -> None:
    with pytest.raises(DefinitionError, match="the values of x are no number, but string"):
        check_values(project(x={"minimum": 0}), stores, pa.table({"x": ["a"]}), ["x"])


def test_what_is_unexpected_is_named(stores: Stores) -> None:
    values = pa.table({"s": ["a"] * 5 + ["z", "q", "m", None]})
    (found,) = check_values(project(s={"categories": ["a", "b"]}), stores, values, ["s"])
    assert found.found == "3 of 8 are not: 'm', 'z' and 1 more"


def test_missing_values_need_enough_rows_for_a_verdict(stores: Stores) -> None:
    shop = project(x={"null_share": "20%"})

    def verdict(known: int, missing: int) -> str:
        values = pa.table({"x": pa.array([1.0] * known + [None] * missing, pa.float64())})
        (found,) = check_values(shop, stores, values, ["x"])
        return found.verdict

    assert verdict(2, 2) == "unknown"  # even four of four could be chance
    assert verdict(90, 10) == "passed"
    assert verdict(78, 22) == "unknown"
    assert verdict(50, 50) == "failed"


def test_a_distribution_is_held_against_what_was_kept(stores: Stores) -> None:
    draw = np.random.default_rng(7)
    shop = project(x={"distribution": 0.2}, s={"distribution": 0.2})
    then = pa.table({"x": draw.normal(size=3000), "s": draw.choice(["a", "b", "c"], 3000)})
    (before, _) = check_values(shop, stores, then, ["x", "s"])
    assert before.verdict == "unknown"
    assert "there is no reference" in before.found
    keep_sketches(shop, stores, then, "models.m", shops.NOW)
    same = pa.table({"x": draw.normal(size=900), "s": draw.choice(["a", "b", "c"], 900)})
    other = pa.table({"x": draw.normal(1, 1, size=900), "s": ["a", "d", "d"] * 300})
    few = other.slice(0, 50)
    for values, verdict in ((same, "passed"), (other, "failed"), (few, "unknown")):
        found = check_values(shop, stores, values, ["x", "s"])
        assert [one.verdict for one in found] == [verdict, verdict], found


def test_all_checks_are_one_statement_and_spark_reads_it_too() -> None:
    shop = project(
        x={"minimum": 0, "maximum": 5, "null_share": "1%"},
        y={"minimum": 0, "maximum": 9},
        s={"categories": ["a"], "null_share": "1%"},
    )
    scan = Scan(asked_of(shop, ["x", "y", "s"]), {"x": "float64", "y": "float64", "s": "string"})
    assert scan.sql("duckdb").count("SELECT") == 1
    assert "`t0`" in scan.sql("pyspark")
