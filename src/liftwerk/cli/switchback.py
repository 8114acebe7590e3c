"""How a switchback looks in a terminal: what each arm added, and the second opinion beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from liftwerk.cli import show
from liftwerk.cli.app import out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server import words

if TYPE_CHECKING:
    from liftwerk.experiments.switchback import read as reading
    from liftwerk.stats import estimate
else:
    estimate = LazyModule("liftwerk.stats.estimate")


def show_readings(found: Mapping[str, reading.Reading]) -> None:
    """Print readings for people, a metric each."""
    for metric, one in found.items():
        rows = []
        for arm in one.arms:
            rows.append([arm.arm, arm.blocks, *_figure(arm.effect.estimate), _p(arm)])
            rows.append(["", "", *_figure(arm.second_opinion)[:2], "second opinion", ""])
        title = f"{metric}: added to a period, of {one.periods}"
        show.table(title, ["arm", "blocks#", "value#", "interval", "", "p#"], rows)
    out.print("intervals are for one reading, when it has run")


def _p(arm: reading.ArmReading) -> str:
    if arm.effect.p_value is None:
        return ""
    return f"{arm.effect.p_value:.4f}"


def _figure(answer: estimate.Estimate | estimate.Unknown) -> list[object]:
    if isinstance(answer, estimate.Unknown):
        return ["unknown", f"{answer.reason}; it takes {answer.needs}", ""]
    numbers = (answer.value, answer.low, answer.high)
    digits = fmt.decimals(numbers)
    value, low, high = (fmt.number(number, digits, sign=True) for number in numbers)
    verdict = words.verdict({"value": answer.value, "low": answer.low, "high": answer.high})
    return [value, f"{low} to {high}", show.verdict(verdict)]
