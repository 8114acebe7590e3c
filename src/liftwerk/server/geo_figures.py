"""A geo test drawn by the server: treated against counterfactual, and the gap with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

from liftwerk.experiments.geo.results import CellReading
from liftwerk.server import drawings, figures
from liftwerk.server import format as fmt
from liftwerk.stats import Unknown

WIDE, NARROW = 760, 340
"""Widths of a picture: for a page, and for a phone, where letters must not shrink."""

LEFT = 70
RIGHT = 12
HEIGHT = 464
STYLE = Path(__file__).parent / "static" / "geo.css"
TICKS = 5
FEW_TICKS = 2


@dataclass(frozen=True)
class Frame:
    """A panel of the picture: days run over its width, values over its height."""

    top: float
    height: float
    low: float
    high: float
    days: int
    width: int = WIDE

    @property
    def right(self) -> int:
        """Where it ends."""
        return self.width - RIGHT

    def x(self, place: float) -> float:
        """Place a day."""
        return LEFT + (self.right - LEFT) * place / max(self.days - 1, 1)

    def y(self, value: float) -> float:
        """Place a value."""
        return self.top + self.height * (self.high - value) / (self.high - self.low)

    def line(self, values: Sequence[float], kind: str) -> str:
        """Draw a line through one value a day."""
        points = " ".join(
            f"{self.x(place):.1f},{self.y(value):.1f}" for place, value in enumerate(values)
        )
        return f'<polyline class="{kind}" points="{points}"/>'


def picture(cell: CellReading, width: int = WIDE) -> str:
    """Draw a cell of a geo test as one SVG, to stand in a page that has ``geo.css``.

    Parameters
    ----------
    cell : CellReading
    width : int

    Returns
    -------
    str
        An ``<svg>`` element of a fixed view box.
    """
    series = cell.series
    gap = gaps(cell)
    seen = [*series.treated, *series.counterfactual]
    upper = _frame(24, 200, seen, len(series.days), width)
    around = [0.0, *gap]
    if not isinstance(cell.effect, Unknown):
        around += [cell.effect.low, cell.effect.high]
    lower = _frame(282, 150, around, len(series.days), width)
    above = f"{_named(cell)}: mean of a market, seen and (dashed) as it would have been"
    below = "Gap between the two, and the average effect with its interval"
    if width < WIDE:
        above, below = "A market: seen, and (dashed) would be", "The gap, and the average effect"
    parts = [
        _title(above, 14),
        *_ground(upper, seen, series.before),
        upper.line(series.counterfactual, "would"),
        upper.line(series.treated, "seen"),
        _title(below, 272),
        *_ground(lower, around, series.before),
        *_effect(lower, cell),
        f'<line class="zero" x1="{LEFT}" x2="{lower.right}" {_level(lower, 0.0)}/>',
        lower.line(gap, "gap"),
        *_days(series.days, 454, width),
    ]
    label = escape(words(cell), quote=True)
    body = "\n".join(parts)
    return (
        f'<svg class="geo" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'role="img" aria-label="{label}">\n{body}\n</svg>'
    )


def alone(cell: CellReading) -> str:
    """Draw a cell as an SVG file that brings its style.

    Parameters
    ----------
    cell : CellReading
    """
    drawn = picture(cell)
    head, rest = drawn.split(">\n", 1)
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    style = STYLE.read_text(encoding="utf-8")
    ground = f'<rect width="{WIDE}" height="{HEIGHT}" fill="#ffffff"/>'
    return f"{head}>\n<style>{style}</style>\n{ground}\n{rest}\n"


def table(cell: CellReading) -> figures.Table:
    """Make the table that the picture is drawn from.

    Parameters
    ----------
    cell : CellReading
    """
    series = cell.series
    digits = fmt.decimals(series.treated)

    def write(value: float) -> str:
        return fmt.number(value, digits)

    columns = (
        figures.Column("day", "Day", str, numeric=False),
        figures.Column("test", "Test", str, numeric=False),
        figures.Column("treated", "Seen", write),
        figures.Column("counterfactual", "Would have been", write),
        figures.Column("gap", "Gap", write),
    )
    during = ["no" if place < series.before else "yes" for place in range(len(series.days))]
    rows = zip(
        (day.isoformat() for day in series.days),
        during,
        series.treated,
        series.counterfactual,
        gaps(cell),
        strict=True,
    )
    return figures.Table(f"geo-{cell.cell}", f"Geo test: {_named(cell)}", columns, tuple(rows))


def donors(cell: CellReading) -> figures.Table:
    """Make the table of the markets that what would have been is made of.

    Parameters
    ----------
    cell : CellReading
    """
    columns = (
        figures.Column("market", "Market", str, numeric=False),
        figures.Column("weight", "Weight", fmt.share),
    )
    title = f"What {_named(cell)} would have been is made of"
    return figures.Table(f"donors-{cell.cell}", title, columns, tuple(cell.weights.items()))


def gaps(cell: CellReading) -> list[float]:
    """Take what would have been from what was seen."""
    series = cell.series
    return [a - b for a, b in zip(series.treated, series.counterfactual, strict=True)]


def words(cell: CellReading) -> str:
    """Say what the picture shows."""
    shown = f"{_named(cell)}, from {cell.series.days[cell.series.before]} on"
    if isinstance(cell.effect, Unknown):
        return f"{shown}: the effect is unknown, because {cell.effect.reason}."
    digits = fmt.decimals([cell.effect.low, cell.effect.high])
    value, low, high = (
        fmt.number(number, digits, sign=True)
        for number in (cell.effect.value, cell.effect.low, cell.effect.high)
    )
    return f"{shown}: {value} a market and day, between {low} and {high}."


def _named(cell: CellReading) -> str:
    if len(cell.markets) > 3:
        return f"{cell.cell} ({len(cell.markets)} markets)"
    return ", ".join(cell.markets)


def _frame(top: float, height: float, values: Sequence[float], days: int, width: int) -> Frame:
    low, high = drawings.scale(values, "")["range"]
    return Frame(top, height, low, high, days, width)


def _ground(frame: Frame, values: Sequence[float], before: int) -> list[str]:
    """Draw the days of the test as a shade, and the scale."""
    left = frame.x(before - 0.5)
    shade = (
        f'<rect class="test" x="{left:.1f}" y="{frame.top:.1f}" '
        f'width="{frame.right - left:.1f}" height="{frame.height:.1f}"/>'
    )
    parts = [shade]
    for tick in drawings.scale(values, "")["axis"]:
        parts.append(
            f'<line class="rule" x1="{LEFT}" x2="{frame.right}" {_level(frame, tick["at"])}/>'
        )
        parts.append(
            f'<text x="{LEFT - 8}" y="{frame.y(tick["at"]) + 4:.1f}" text-anchor="end">'
            f"{tick['text']}</text>"
        )
    return parts


def _effect(frame: Frame, cell: CellReading) -> list[str]:
    if isinstance(cell.effect, Unknown):
        return []
    left, right = frame.x(cell.series.before - 0.5), frame.right
    top, bottom = frame.y(cell.effect.high), frame.y(cell.effect.low)
    return [
        f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{max(bottom - top, 1.0):.1f}"/>',
        f'<line class="average" x1="{left:.1f}" x2="{right}" {_level(frame, cell.effect.value)}/>',
    ]


def _level(frame: Frame, value: float) -> str:
    place = f"{frame.y(value):.1f}"
    return f'y1="{place}" y2="{place}"'


def _title(text: str, y: float) -> str:
    return f'<text class="title" x="{LEFT}" y="{y}">{escape(text)}</text>'


def _days(days: Sequence[date], y: float, width: int) -> list[str]:
    """Write some of the days below."""
    frame = Frame(0.0, 1.0, 0.0, 1.0, len(days), width)
    count = min(TICKS if width == WIDE else FEW_TICKS, len(days))
    places = sorted({round(index * (len(days) - 1) / max(count - 1, 1)) for index in range(count)})
    parts = []
    for place in places:
        anchor = "middle"
        if place == 0:
            anchor = "start"
        elif place == len(days) - 1:
            anchor = "end"
        parts.append(
            f'<text x="{frame.x(place):.1f}" y="{y}" text-anchor="{anchor}">{days[place]}</text>'
        )
    return parts
