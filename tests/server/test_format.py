"""Numbers and axes hold for any figures, not only for likely ones."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from liftwerk.server import drawings, intervals, words
from liftwerk.server import format as fmt

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9)


@st.composite
def figures(draw: st.DrawFn) -> dict[str, float]:
    low, value, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    return {"value": value, "low": low, "high": high}


@given(NUMBERS, st.integers(0, 8), st.booleans())
def test_numbers_read_back_and_zero_has_no_sign(value: float, digits: int, sign: bool) -> None:
    text = fmt.number(value, digits, sign=sign)
    back = float(text.replace(",", "").replace(fmt.MINUS, "-"))
    assert abs(back - value) <= 0.5 * 10**-digits * (1 + 1e-6) + abs(value) * 1e-12
    if back == 0:
        assert text[0] == "0"
    if sign and back > 0:
        assert text[0] == "+"


@given(figures())
def test_a_figure_keeps_its_order_when_written(figure: dict[str, float]) -> None:
    said = fmt.between(figure, "USD")
    low, high = (
        float(each.replace(",", "").replace(fmt.MINUS, "-"))
        for each in re.fullmatch(r"between (\S+) and (\S+)", said).groups()  # type: ignore[union-attr]
    )
    assert low <= high
    digits = fmt.figure_digits([figure])
    assert low <= round(figure["value"], digits) + 10**-digits
    assert high >= round(figure["value"], digits) - 10**-digits


@given(st.lists(figures(), max_size=6))
def test_an_axis_has_room_for_all_and_few_ticks(many: list[dict[str, float]]) -> None:
    axis = intervals.fit(many, [0.0])
    assert len(axis.ticks) <= 7
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
    for figure in many:
        bar = axis.bar(figure)
        places = [float(place.rstrip("%")) for place in (bar.low, bar.value, bar.high)]
        assert places == sorted(places)
        assert places[0] >= 0
        assert places[-1] <= 100


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.sampled_from(["share", "USD"]))
def test_a_chart_s_height_holds_its_values_between_round_ticks(
    values: list[float], unit: str
) -> None:
    chosen = drawings.scale(values, unit)
    low, high = chosen["range"]
    slack = (high - low) * 1e-6
    assert low - slack <= min(values)
    assert max(values) <= high + slack
    assert 2 <= len(chosen["axis"]) <= 9


@given(figures())
def test_words_and_interval_agree(figure: dict[str, float]) -> None:
    said = words.verdict(figure)
    assert (said == "better") == (figure["low"] > 0)
    assert (said == "worse") == (figure["high"] < 0)
    assert words.word(said).sign
