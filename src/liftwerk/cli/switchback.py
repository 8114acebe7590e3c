"""`switchback`: arms that take turns in time, read by their lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server import words

if TYPE_CHECKING:
    from liftwerk.experiments.switchback import read as reading
    from liftwerk.stats import estimate
else:
    estimate = LazyModule("liftwerk.stats.estimate")

switchback = App(
    name="switchback",
    help="Arms that take turns in time, read by their lot.",
    help_format="plaintext",
    group="Measurement",
)
app.command(switchback)


@switchback.command(name="read")
def read_(name: str, /, *, common: Common = DEFAULTS) -> None:
    """Read what a switchback shows: once, when it has run.

    Parameters
    ----------
    name
        An experiment whose design is switchback, running or stopped.
    """
    with open_project(common) as project:
        found = project.experiments.read_switchback(name)
    emit(common, found, lambda: show_readings(found))


def show_readings(found: dict[str, reading.Reading]) -> None:
    """Print readings for people, a metric each."""
    for metric, one in found.items():
        rows = []
        for arm in one.arms:
            rows.append([arm.arm, arm.blocks, *_figure(arm.effect.estimate), _p(arm)])
            rows.append(["", "", *_figure(arm.second_opinion)[:2], "second opinion", ""])
        title = f"{metric}: added to a period, of {one.periods}"
        show.table(title, ["arm", "blocks#", "value#", "interval", "", "p#"], rows)
        for arm in one.arms:
            if arm.warning is not None:
                out.print(f"{arm.arm}: {arm.warning}", markup=False)
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
