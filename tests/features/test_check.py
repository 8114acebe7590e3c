"""Declared bounds stop the run in one line."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from liftwerk.errors import DefinitionError, Refused
from liftwerk.features.check import Violation, check_features, violations
from liftwerk.features.definition import FeatureChecks, FeatureDefinition


def _bounded(minimum: float | None = None, maximum: float | None = None) -> FeatureDefinition:
    checks = FeatureChecks(minimum=minimum, maximum=maximum)
    return FeatureDefinition("customer", "order", "sum", property="x", checks=checks)


def test_values_within_their_bounds_pass() -> None:
    values = pa.table({"x": [0.0, 5.0, None], "y": pa.array([None, None, None], pa.int64())})
    check_features(values, {"x": _bounded(0, 5), "y": _bounded(0, 1)})


def test_features_without_bounds_are_not_read() -> None:
    assert violations(pa.table({"s": ["a"]}), {"s": _bounded()}) == []


def test_each_bound_is_reported_with_rows_and_worst() -> None:
    values = pa.table({"x": [-1.0, -3.0, 7.0, 1.0, None], "n": [1, 2, 3, 4, 200]})
    found = violations(values, {"x": _bounded(0, 5), "n": _bounded(None, 120)})
    assert found == [
        Violation("x", "minimum", 0.0, 2, 4, -3.0),
        Violation("x", "maximum", 5.0, 1, 4, 7.0),
        Violation("n", "maximum", 120.0, 1, 5, 200.0),
    ]


def test_a_violation_refuses_in_one_line() -> None:
    values = pa.table({"x": [-1.0, -3.0, 7.0]})
    with pytest.raises(Refused) as caught:
        check_features(values, {"x": _bounded(0, 5)})
    assert str(caught.value) == (
        "x is beyond its minimum 0 in 2 of 3 values, the worst -3 (and 1 more): "
        "features.x.checks: correct the events, or declare another minimum"
    )


def test_nan_breaks_every_bound() -> None:
    (found,) = violations(pa.table({"x": [1.0, math.nan]}), {"x": _bounded(0)})
    assert found.rows == 1
    assert math.isnan(found.worst)


def test_bounds_of_a_text_are_a_mistake() -> None:
    with pytest.raises(DefinitionError, match="no numbers but string"):
        violations(pa.table({"s": ["a"]}), {"s": _bounded(0)})
