"""Geometry of interval bars: one shared axis, positions as percentages of the bar's width.

Percentages let a server-drawn SVG without a view box stretch to any column while lines, dots and
text keep their size. Pure arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from liftwerk.server import format as fmt

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis."""

    value: float
    x: str
    label: str
    anchor: str


@dataclass(frozen=True)
class Bar:
    """An interval on the axis; `known` is false when there is no number to draw."""

    known: bool
    low: str = ""
    value: str = ""
    high: str = ""
    width: str = ""


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers from `low` to `high` with ticks at round ones.

    Examples
    --------
    >>> axis = fit([{"value": 0.5, "low": 0.2, "high": 0.8}])
    >>> axis.bar({"value": 0.5, "low": 0.2, "high": 0.8}).value
    '50%'
    >>> axis.bar({"unknown": "tails too heavy", "needs": "more"}).known
    False
    """

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()

    def x(self, value: float) -> str:
        """Place a number: ``"12.5%"``; what lies outside is put on the edge."""
        place = (value - self.low) / (self.high - self.low)
        return f"{100 * min(1.0, max(0.0, place)):.6g}%"

    def bar(self, figure: Mapping[str, Any] | None) -> Bar:
        """Place an interval."""
        if figure is None or fmt.is_unknown(figure):
            return Bar(known=False)
        return self.span(figure["low"], figure["value"], figure["high"])

    def span(self, low: float, value: float, high: float) -> Bar:
        """Place three numbers."""
        left = float(self.x(low).rstrip("%"))
        right = float(self.x(high).rstrip("%"))
        return Bar(True, self.x(low), self.x(value), self.x(high), f"{right - left:.6g}%")


def fit(
    figures: Iterable[Mapping[str, Any] | None], include: Iterable[float] = (), sign: bool = False
) -> Axis:
    """Choose an axis on which all the figures (and the numbers in `include`) have room.

    Parameters
    ----------
    figures : iterable of mapping
        Figures; the unknown ones take no room.
    include : iterable of float
        More numbers that must be on the axis, such as 0.
    sign : bool
        Write tick labels with their sign.
    """
    places = list(include)
    for figure in figures:
        if figure is not None and not fmt.is_unknown(figure):
            places.extend([figure["low"], figure["value"], figure["high"]])
    if not places:
        return Axis(-1.0, 1.0)
    low = min(places)
    high = max(places)
    room = (high - low) * 0.06
    if room == 0:
        room = max(abs(high), 1.0) * 0.1
    low = low - room
    high = high + room
    bare = Axis(low, high)
    step = _step(high - low)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if f"{step:e}".startswith("2.5"):
        digits += 1
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks = tuple(_tick(bare, index * step, digits, sign) for index in range(first, last + 1))
    return Axis(low, high, ticks)


def _tick(axis: Axis, value: float, digits: int, sign: bool) -> Tick:
    place = float(axis.x(value).rstrip("%"))
    anchor = "middle"
    if place < 6:
        anchor = "start"
    if place > 94:
        anchor = "end"
    return Tick(value, axis.x(value), fmt.number(value, digits, sign=sign), anchor)


def _step(width: float) -> float:
    """Choose the smallest round step that gives at most five ticks."""
    power = 10.0 ** math.floor(math.log10(width / 5))
    for factor in _STEPS:
        if factor * power * 5 >= width:
            return factor * power
    return 10 * power
