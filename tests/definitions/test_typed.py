from __future__ import annotations

import copy
import pickle
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.definitions.typed import (
    MICROSECONDS,
    PERIODS,
    Budget,
    Duration,
    Limit,
    Rate,
    Retention,
    Share,
    TypedString,
)

DURATIONS = st.builds("{}{}".format, st.integers(0, 10_000), st.sampled_from(list(MICROSECONDS)))
TEXTS: dict[type[TypedString], st.SearchStrategy[str]] = {
    Duration: DURATIONS,
    Share: st.integers(0, 100).map("{}%".format)
    | st.decimals(0, 1, places=4).map("{:f}".format)
    | st.integers(1, 999).flatmap(lambda n: st.integers(0, n).map(lambda m: f"{m}/{n}")),
    Rate: st.builds("{}/{}".format, st.integers(1, 10**6), st.sampled_from(["s", "min", "h", "d"])),
    Limit: st.builds("{}/{}".format, st.integers(0, 99), st.integers(1, 99).map("{}d".format)),
    Budget: st.builds("{:f}/{}".format, st.decimals(0, 10**9, places=2), st.sampled_from(PERIODS)),
    Retention: st.builds(
        "{} {}".format, st.integers(1, 999), st.sampled_from(["day", "days", "month", "years"])
    ),
}


@given(st.sampled_from(list(TEXTS)).flatmap(lambda t: st.tuples(st.just(t), TEXTS[t])))
def test_round_trip(drawn: tuple[type[TypedString], str]) -> None:
    kind, text = drawn
    value = kind(text)
    assert str(value) == text
    assert kind(str(value)) == value
    assert hash(kind(str(value))) == hash(value)
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert re.search(kind.pattern, text)


@given(st.sampled_from(list(TEXTS)), st.text(max_size=12))
def test_anything_else_is_refused_in_words(kind: type[TypedString], text: str) -> None:
    if re.search(kind.pattern, text.strip(), re.ASCII):
        return
    with pytest.raises(ValueError, match=r"^write "):
        kind(text)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_shares_are_exact(part: int, whole: int) -> None:
    if part <= whole:
        share = Share(f"{part}/{whole}")
        assert share.exact == Fraction(part, whole)
        assert share.value == part / whole
    else:
        with pytest.raises(ValueError, match="between 0 and 1"):
            Share(f"{part}/{whole}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Duration("1d"), Duration("24h")),
        (Duration("1w"), Duration("7d")),
        (Share("5%"), Share("0.050")),
        (Share("1/4"), Share("25%")),
        (Rate("60/min"), Rate("1/s")),
        (Limit("2/7d"), Limit("2/1w")),
        (Budget("5000/week"), Budget("5000.00/week")),
        (Retention("2 years"), Retention("24 months")),
    ],
)
def test_one_meaning_is_equal(one: TypedString, other: TypedString) -> None:
    assert one == other
    assert one.canonical == other.canonical
    assert hash(one) == hash(other)


def test_other_kinds_are_not_equal() -> None:
    assert Share("0") != Duration("0s")
    assert Duration("1d") != "1d"
    assert Budget("1/day") != Budget("1/week")


def test_parts() -> None:
    assert Duration("5ms").microseconds == 5_000
    assert Duration("90d").timedelta.days == 90
    assert Limit("3/2d").within == Duration("48h")
    assert (Budget("0.50/day").amount, Budget("0.50/day").period) == (Decimal("0.50"), "day")
    assert (Retention("90 days").days, Retention("90 days").months) == (90, 0)


@pytest.mark.parametrize("text", ["1/0", "-1%", "1.5", "101%", "nan", "١%", "5 %", "", "%"])
def test_no_share(text: str) -> None:
    with pytest.raises(ValueError, match="write a share"):
        Share(text)


@pytest.mark.parametrize("text", ["2/0d", "0.5/7d", "/7d", "2/7"])
def test_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="write a limit"):
        Limit(text)


def test_too_long_a_duration() -> None:
    with pytest.raises(ValueError, match="write a shorter duration"):
        Duration("999999999999w")


def test_they_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="Share cannot be changed"):
        Share("5%").exact = Fraction(1)
