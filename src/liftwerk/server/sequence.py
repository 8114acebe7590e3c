"""The timeline of a confidence sequence: what was to be seen at each day's end, as one drawing.

Pure layout; the template writes the SVG. Places are hundredths of the drawing's width and height,
so that it stretches to any column. An early interval may be a hundred times as wide as the last
one: it is cut at the drawing's edge, and the table beside it has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from liftwerk.server import format as fmt
from liftwerk.server.drawings import scale

Json = dict[str, Any]

WIDEST = 4.0
"""Intervals that are more times as wide as the last one don't decide the height."""

DAYS = 3
"""At most so many days are written below."""


def drawing(points: Sequence[Mapping[str, Any]], unit: str, title: str) -> Json | None:
    """Lay out a sequence.

    Parameters
    ----------
    points : sequence of mapping
        Oldest first: ``day`` (ISO), and ``figure``, an estimate or an unknown.
    unit : str
        ``share``, a currency, or what is counted.
    title : str
        For who cannot see it.

    Returns
    -------
    dict or None
        ``bands`` and ``lines`` (SVG paths over 100 x 100), ``rows`` and ``days`` (ticks), ``zero``,
        ``last`` and ``words``; None where no look has a number.

    Examples
    --------
    >>> figure = {"value": 0.4, "low": 0.1, "high": 0.7}
    >>> drawn = drawing([{"day": "2026-03-01", "figure": figure}], "EUR", "Margin")
    >>> drawn["words"]
    'Margin. After 1 look, on 2026-03-01: EUR +0.400, between +0.100 and +0.700.'
    >>> few = {"unknown": "few", "needs": "more"}
    >>> drawing([{"day": "2026-03-01", "figure": few}], "", "") is None
    True
    """
    known = [point for point in points if not fmt.is_unknown(point["figure"])]
    if not known:
        return None
    last = known[-1]["figure"]
    height = scale(_heights([point["figure"] for point in known]), unit)
    low, high = height["range"]
    first = date.fromisoformat(points[0]["day"]).toordinal()
    wide = max(date.fromisoformat(points[-1]["day"]).toordinal() - first, 1)

    def x(point: Mapping[str, Any]) -> float:
        if len(points) == 1:
            return 100.0
        return 100 * (date.fromisoformat(point["day"]).toordinal() - first) / wide

    def y(value: float) -> float:
        place = float(100 * (high - value) / (high - low))
        return min(100.0, max(0.0, place))

    bands, lines = [], []
    for run in _runs(points):
        above = [f"{x(point):.2f} {y(point['figure']['high']):.2f}" for point in run]
        below = [f"{x(point):.2f} {y(point['figure']['low']):.2f}" for point in reversed(run)]
        bands.append("M" + "L".join([*above, *below]) + "Z")
        middle = [f"{x(point):.2f} {y(point['figure']['value']):.2f}" for point in run]
        lines.append("M" + "L".join(middle))
    digits = fmt.figure_digits([last])
    if unit == "share":
        digits = 2
    ends = fmt.span(last["low"], last["high"], unit, digits)
    amount = fmt.quantity(last["value"], unit, digits)
    looks = "1 look" if len(points) == 1 else f"{fmt.number(len(points))} looks"
    return {
        "bands": bands,
        "lines": lines,
        "zero": f"{y(0.0):.2f}%",
        "rows": [{"y": f"{y(tick['at']):.2f}%", "label": tick["text"]} for tick in height["axis"]],
        "days": _days(points, first, wide),
        "last": {
            "x": f"{x(known[-1]):.2f}%",
            "y": f"{y(last['value']):.2f}%",
            "low": f"{y(last['low']):.2f}%",
            "high": f"{y(last['high']):.2f}%",
        },
        "cut": any(_outside(point["figure"], low, high) for point in known),
        "words": f"{title}. After {looks}, on {known[-1]['day']}: {amount}, {ends}.",
    }


def _heights(figures: Sequence[Mapping[str, Any]]) -> list[float]:
    most = WIDEST * (figures[-1]["high"] - figures[-1]["low"])
    fit = [one for one in figures if one["high"] - one["low"] <= most]
    ends = [end for one in fit for end in (one["low"], one["high"])]
    return [0.0, *ends]


def _outside(figure: Mapping[str, Any], low: float, high: float) -> bool:
    return bool(figure["low"] < low or figure["high"] > high)


def _runs(points: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Part looks where one is unknown: no line is drawn over what nobody knew."""
    runs: list[list[Mapping[str, Any]]] = [[]]
    for point in points:
        if fmt.is_unknown(point["figure"]):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _days(points: Sequence[Mapping[str, Any]], first: int, wide: int) -> list[Json]:
    """Choose evenly spread days to write below, the first and the last among them."""
    steps = min(DAYS, len(points)) - 1
    if steps == 0:
        return [{"x": "100%", "label": points[0]["day"], "anchor": "end"}]
    found = []
    for step in range(steps + 1):
        day = first + round(step * wide / steps)
        anchor = "middle"
        if step == 0:
            anchor = "start"
        if step == steps:
            anchor = "end"
        text = date.fromordinal(day).isoformat()
        # Between its ends a year is known.
        label = text if step in (0, steps) else text[5:]
        found.append({"x": f"{100 * (day - first) / wide:.2f}%", "label": label, "anchor": anchor})
    return found
