"""`switchback`: arms that take turns in time, planned on history and read by their lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server import words

if TYPE_CHECKING:
    from liftwerk.experiments.switchback import plan as planning
    from liftwerk.experiments.switchback import read as reading
    from liftwerk.stats import estimate
else:
    planning = LazyModule("liftwerk.experiments.switchback.plan")
    estimate = LazyModule("liftwerk.stats.estimate")

switchback = App(
    name="switchback",
    help="Arms that take turns in time: planned on history, read by their lot.",
    help_format="plaintext",
    group="Measurement",
)
app.command(switchback)


@switchback.command(name="plan")
def plan_(name: str, /, *, common: Common = DEFAULTS) -> None:
    """Say how many weeks it takes to see the effect that matters; exit 1 where none would do.

    Parameters
    ----------
    name
        A declared experiment whose design is switchback.
    """
    with open_project(common) as project:
        found = project.experiments.plan_switchback(name)
    if not isinstance(found, estimate.Unknown):
        told = found
        emit(common, told, lambda: _show_plan(told))
    planning.demand_seen(name, found)


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


def _show_plan(found: planning.Plan) -> None:
    rows = [
        [one.weeks, one.blocks, fmt.share(one.detectable)]
        for one in found.lengths
        if one.weeks in (1, 2, 3, 4, 6, 8, 13, 26) or one.weeks == found.weeks
    ]
    title = f"What turns can see, by {found.history_weeks:.1f} weeks of history"
    show.table(title, ["weeks#", "blocks#", "finds from#"], rows)
    if found.weeks is not None:
        wanted = fmt.share(found.effect)
        out.print(f"{wanted} is seen in {found.weeks} weeks, {found.blocks} blocks", style="bold")


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
