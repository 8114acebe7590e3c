from __future__ import annotations

import math
import operator

import msgspec
import numpy as np
import pytest

from liftwerk.stats.estimate import Estimate, Unknown, to_json

UNKNOWN = Unknown("tails too heavy", "about 90,000 customers")


@pytest.mark.parametrize(
    "use",
    [
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.pow,
        operator.lt,
        operator.le,
        operator.gt,
        operator.ge,
        operator.eq,
        operator.ne,
    ],
)
@pytest.mark.parametrize("other", [1, 0.5, np.float64(2.0), np.array([1.0, 2.0])])
def test_unknown_is_no_number_on_either_side(use, other):
    with pytest.raises(TypeError):
        use(UNKNOWN, other)
    with pytest.raises(TypeError):
        use(other, UNKNOWN)


@pytest.mark.parametrize("use", [float, int, complex, round, abs, bool, math.sqrt, np.sqrt])
def test_unknown_cannot_be_converted(use):
    with pytest.raises(TypeError):
        use(UNKNOWN)


@pytest.mark.parametrize("spec", [".2f", "e", "g", "%", "d", ",", "+.1f", "08.3f"])
def test_unknown_has_no_number_format(spec):
    with pytest.raises(TypeError, match="not a number"):
        format(UNKNOWN, spec)


def test_unknown_cannot_be_summed_or_ordered_among_its_kind():
    with pytest.raises(TypeError):
        sum([UNKNOWN, UNKNOWN])
    with pytest.raises(TypeError):
        max([UNKNOWN, UNKNOWN])
    with pytest.raises(TypeError):
        np.mean([UNKNOWN, 1.0])


def test_unknown_reads_as_words():
    assert f"{UNKNOWN}" == "unknown: tails too heavy (needs about 90,000 customers)"
    assert f"{UNKNOWN:>70s}".endswith("customers)")
    assert "tails too heavy" in repr(UNKNOWN)
    assert Unknown("tails too heavy", "about 90,000 customers") == UNKNOWN
    assert Unknown("another", "x") != UNKNOWN
    assert len({UNKNOWN, Unknown("tails too heavy", "about 90,000 customers")}) == 1


@pytest.mark.parametrize("field", ["value", "low", "high", "standard_error"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_estimate_refuses_what_is_not_finite(field, bad):
    numbers = {"value": 1.0, "low": 0.0, "high": 2.0, "standard_error": 0.5, field: bad}
    with pytest.raises(ValueError, match="finite"):
        Estimate(**numbers, n=3, method="mean")


def test_estimate_refuses_an_interval_upside_down():
    with pytest.raises(ValueError, match="upside down"):
        Estimate(1.0, 2.0, 0.0, 0.1, 3, "mean")


@pytest.mark.parametrize(
    "answer", [Estimate(1.0, 0.5, 1.5, 0.25, 10, "mean", ("iid",)), UNKNOWN], ids=["number", "none"]
)
def test_answers_survive_json(answer):
    encoded = msgspec.json.encode(answer)
    assert msgspec.json.decode(encoded, type=Estimate | Unknown) == answer
    msgspec.json.encode(to_json(answer))
