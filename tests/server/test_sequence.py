"""The timeline stays in its drawing, draws nothing over what nobody knew, and says what it cuts."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from liftwerk.server.sequence import drawing

UNKNOWN = {"unknown": "few units", "needs": "more"}


def points(*halves: float | None) -> list[dict[str, Any]]:
    """Make a look a day, each with half of its interval's width, or none."""
    made = []
    for day, half in enumerate(halves):
        figure: dict[str, Any] = UNKNOWN
        if half is not None:
            figure = {"value": 1.0, "low": 1.0 - half, "high": 1.0 + half}
        made.append({"day": (date(2026, 3, 1) + timedelta(days=day)).isoformat(), "figure": figure})
    return made


def numbers(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?[0-9.]+", path)]


def test_everything_is_inside() -> None:
    drawn = drawing(points(900.0, 30.0, 4.0, 2.0, 1.5), "EUR", "Margin")
    assert drawn is not None
    places = [each for path in (*drawn["bands"], *drawn["lines"]) for each in numbers(path)]
    assert min(places) >= 0
    assert max(places) <= 100
    assert drawn["cut"]
    assert not drawing(points(2.0, 1.5, 1.2), "EUR", "Margin")["cut"]  # type: ignore[index]


def test_the_band_lies_around_the_line() -> None:
    drawn = drawing(points(2.0, 1.0), "EUR", "Margin")
    assert drawn is not None
    (band,), (line,) = drawn["bands"], drawn["lines"]
    first_high, last_high, last_low, first_low = numbers(band)[1::2]
    assert first_high < last_high < numbers(line)[1] < last_low < first_low
    assert drawn["last"]["x"] == "100.00%"


def test_an_unknown_day_parts_the_line() -> None:
    drawn = drawing(points(3.0, None, 2.0, 1.0), "EUR", "Margin")
    assert drawn is not None
    assert len(drawn["lines"]) == len(drawn["bands"]) == 2
    assert "After 4 looks, on 2026-03-04: EUR +1.000, between 0.000 and +2.000." in drawn["words"]


def test_shares_are_written_in_points() -> None:
    drawn = drawing(points(0.5), "share", "Ordered")
    assert drawn is not None
    assert "+100.00 points, between +50.00 and +150.00" in drawn["words"]
    assert drawn["days"] == [{"x": "100%", "label": "2026-03-01", "anchor": "end"}]


def test_of_nothing_known_nothing_is_drawn() -> None:
    assert drawing(points(None, None), "EUR", "Margin") is None
