"""A switchback drawn by the server: what each block brought, and whose turn it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape

from liftwerk.experiments.switchback.read import ArmReading, Reading, Turn
from liftwerk.server import drawings, figures
from liftwerk.server import format as fmt
from liftwerk.server.geo_figures import LEFT, NARROW, RIGHT, WIDE
from liftwerk.stats import Unknown

__all__ = ["NARROW", "WIDE", "carried", "picture", "shown", "table", "words"]

TOP, HIGH = 24, 200
LANE = 34
MOST = 336
"""Of more blocks only the last are drawn: each would be thinner than a line."""

KINDS = 4
"""Arms have so many looks; in the lanes each has a place of its own."""


@dataclass(frozen=True)
class Frame:
    """The picture: time runs over its width, values over the height of its upper part."""

    begins: datetime
    ends: datetime
    low: float
    high: float
    width: int

    def x(self, at: datetime) -> float:
        """Place a moment."""
        part = (at - self.begins) / (self.ends - self.begins)
        return LEFT + (self.width - LEFT - RIGHT) * part

    def y(self, value: float) -> float:
        """Place a value."""
        return TOP + HIGH * (self.high - value) / (self.high - self.low)


def picture(reading: Reading, labels: Mapping[str, str], width: int = WIDE) -> str:
    """Draw a metric of a switchback as one SVG, to stand in a page that has ``geo.css``.

    Parameters
    ----------
    reading : Reading
    labels : mapping of str to str
        Arm -> what people call it; control first.
    width : int

    Returns
    -------
    str
        An ``<svg>`` element of a fixed view box.
    """
    turns = shown(reading)
    values = [turn.value for turn in turns if turn.value is not None]
    scale = drawings.scale(values or [0.0], "")
    low, high = scale["range"]
    frame = Frame(turns[0].begins, turns[-1].ends, low, high, width)
    places = {arm: place for place, arm in enumerate(labels)}
    title = "Mean of each block, washout shaded, and (dashed) of each arm; below whose turn it was"
    if width < WIDE:
        title = "Each block, and whose turn it was"
    parts = [f'<text class="title" x="{LEFT}" y="14">{title}</text>']
    for tick in scale["axis"]:
        y = frame.y(tick["at"])
        parts.append(
            f'<line class="rule" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick["text"]}</text>'
        )
    parts += [_washout(frame, turn) for turn in turns if turn.counted > turn.begins]
    parts += [
        _mean(frame, turn, turn.value, places[turn.arm])
        for turn in turns
        if turn.value is not None and turn.arm is not None
    ]
    parts += _levels(frame, reading, places)
    parts += _lanes(frame, turns, labels)
    bottom = TOP + HIGH + 14 + LANE * len(labels)
    parts += _days(frame, bottom + 14)
    label = escape(words(reading, labels), quote=True)
    height = bottom + 22
    body = "\n".join(parts)
    return (
        f'<svg class="geo turns" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{label}">\n{body}\n</svg>'
    )


def shown(reading: Reading) -> Sequence[Turn]:
    """Take the blocks that are drawn."""
    return reading.turns[-MOST:]


def table(reading: Reading, labels: Mapping[str, str]) -> figures.Table:
    """Make the table of the blocks.

    Parameters
    ----------
    reading : Reading
    labels : mapping of str to str
    """
    digits = fmt.decimals([turn.value for turn in reading.turns if turn.value is not None])
    columns = (
        figures.Column("begins", "Begins", fmt.moment, numeric=False),
        figures.Column("counted", "Counts from", fmt.moment, numeric=False),
        figures.Column("ends", "Ends", fmt.moment, numeric=False),
        figures.Column("arm", "Arm", lambda arm: labels.get(arm, arm), numeric=False),
        figures.Column("value", "Mean", partial(fmt.number, digits=digits)),
    )
    rows = tuple(
        (
            turn.begins.isoformat(),
            turn.counted.isoformat(),
            turn.ends.isoformat(),
            turn.arm or "none",
            turn.value,
        )
        for turn in reading.turns
    )
    return figures.Table("turns", "Blocks in the order of time", columns, rows)


def carried(arm: ArmReading) -> figures.Table:
    """Make the table of what the arm before still adds, by the age of a block.

    Parameters
    ----------
    arm : ArmReading
        Empty where that is unknown.
    """
    found = arm.carry_over
    rows: tuple[tuple[int, float, float], ...] = ()
    digits = 2
    if not isinstance(found, Unknown):
        digits = fmt.decimals(found.added)
        ages = range(1, len(found.added) + 1)
        rows = tuple(zip(ages, found.added, found.p_values, strict=True))
    columns = (
        figures.Column("period", "Period of the block", fmt.number),
        figures.Column("added", "Arm before adds", partial(fmt.number, digits=digits, sign=True)),
        figures.Column("p_value", "p", partial(fmt.number, digits=3)),
    )
    return figures.Table(f"carried-{arm.arm}", "What the arm before still adds", columns, rows)


def words(reading: Reading, labels: Mapping[str, str]) -> str:
    """Say what the picture shows."""
    said = [f"{len(shown(reading))} blocks of {', '.join(labels.values())}."]
    for arm in reading.arms:
        figure = arm.effect.estimate
        if isinstance(figure, Unknown):
            said.append(f"{labels[arm.arm]}: unknown, because {figure.reason}.")
            continue
        digits = fmt.decimals([figure.low, figure.high])
        write = partial(fmt.number, digits=digits, sign=True)
        ends = [write(end) for end in (figure.value, figure.low, figure.high)]
        said.append(f"{labels[arm.arm]}: {ends[0]} a period, between {ends[1]} and {ends[2]}.")
    return " ".join(said)


def _washout(frame: Frame, turn: Turn) -> str:
    left, right = frame.x(turn.begins), frame.x(turn.counted)
    return (
        f'<rect class="test" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HIGH}"/>'
    )


def _mean(frame: Frame, turn: Turn, value: float, place: int) -> str:
    y = f"{frame.y(value):.1f}"
    left, right = frame.x(turn.counted), frame.x(turn.ends)
    kind = f"arm arm-{place % KINDS}"
    return f'<line class="{kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'


def _levels(frame: Frame, reading: Reading, places: Mapping[str, int]) -> list[str]:
    """Draw the arms' means over all settled periods: control's, and each other's."""
    control = next(iter(places))
    found = {control: reading.arms[0].control, **{arm.arm: arm.treated for arm in reading.arms}}
    return [
        f'<line class="level arm-{places[arm] % KINDS}" x1="{LEFT}" x2="{frame.width - RIGHT}" '
        f'y1="{frame.y(value):.1f}" y2="{frame.y(value):.1f}"/>'
        for arm, value in found.items()
        if value is not None
    ]


def _lanes(frame: Frame, turns: Sequence[Turn], labels: Mapping[str, str]) -> list[str]:
    """Draw whose turn it was, an arm a lane; the washout of each turn is faint."""
    parts = []
    for place, (arm, label) in enumerate(labels.items()):
        top = TOP + HIGH + 14 + LANE * place
        parts.append(f'<text x="{LEFT}" y="{top + 12}">{escape(label)}</text>')
        kind = f"arm-{place % KINDS}"
        for turn in turns:
            if turn.arm != arm:
                continue
            left, counted, right = (frame.x(at) for at in (turn.begins, turn.counted, turn.ends))
            box = f'y="{top + 18}" height="10"'
            if counted > left:
                width = f'x="{left:.1f}" width="{counted - left:.1f}"'
                parts.append(f'<rect class="faint {kind}" {width} {box}/>')
            width = f'x="{counted:.1f}" width="{max(right - counted, 0.5):.1f}"'
            parts.append(f'<rect class="turn {kind}" {width} {box}/>')
    return parts


def _days(frame: Frame, y: float) -> list[str]:
    """Write below when the first block begins and the last one ends."""
    first, last = (fmt.moment(at.isoformat()) for at in (frame.begins, frame.ends))
    if frame.width < WIDE:  # the year is in the table
        first, last = first[5:], last[5:]
    return [
        f'<text x="{LEFT}" y="{y}">{first}</text>',
        f'<text x="{frame.width - RIGHT}" y="{y}" text-anchor="end">{last}</text>',
    ]
