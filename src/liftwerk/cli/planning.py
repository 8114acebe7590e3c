"""`experiment plan`: how long an experiment takes, and what it can see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, emit, open_project, out
from liftwerk.cli.experiments import experiment
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.definitions import typed
    from liftwerk.experiments.planning import calculate
    from liftwerk.experiments.planning import plan as planning
    from liftwerk.experiments.planning.plan import Plan
else:
    calculate = LazyModule("liftwerk.experiments.planning.calculate")
    planning = LazyModule("liftwerk.experiments.planning.plan")
    typed = LazyModule("liftwerk.definitions.typed")

DAY = 86_400_000_000
"""Microseconds."""

POSSIBLE = {True: "yes", False: "no"}
PERIOD = {
    "units": "without it",
    "blocks": "a period without it",
    "markets": "a market and day without it",
}
"""What a plan counts -> of what its baseline is the mean."""

RULED_OUT = {True: "yes", False: "no", None: "unknown"}


@experiment.command
def plan(
    name: str | None = None,
    /,
    *,
    design: Literal["holdout"] | None = None,
    effect: str | None = None,
    within: str | None = None,
    register: Annotated[bool, Parameter(negative="")] = False,
    simulate: bool = True,
    baseline: str | None = None,
    mean: float | None = None,
    sd: float | None = None,
    arms: int = 2,
    per_day: float | None = None,
    power: str = "80%",
    level: str = "95%",
    method: Literal["anytime", "fixed"] = "anytime",
    common: Common = DEFAULTS,
) -> None:
    """Say how long an experiment takes and what it can see; exit 1 when it cannot work.

    Of a declared experiment by the project's own history; of a few figures without a project:
    `liftwerk experiment plan --baseline 2% --effect 5% --per-day 4000`.

    Parameters
    ----------
    name
        A declared experiment.
    design
        holdout plans the holdout of [goal].
    effect
        The smallest one to be seen, as a part of the baseline; by default what is declared.
    within
        The time in which units may enter, arms take turns or markets are treated, such as 8w; by
        default 13w.
    register
        Hold the plan and what is declared fast, for the start.
    simulate
        Besides the formulas, simulate experiments on the history; a geo test always is.
    baseline
        Without a project: the share of those who do it anyway, such as 2%.
    mean
        Without a project: what a unit is worth on average.
    sd
        The standard deviation that goes with the mean.
    arms
        Without a project: how many, control among them.
    per_day
        Without a project: how many units enter in a day.
    power
        Without a project: how likely the effect shall be seen.
    level
        Without a project: of the interval.
    method
        Without a project: may it be looked at every day (anytime), or once at the end (fixed).
    """
    days = _days(within)
    given = [one for one in (baseline, mean, sd, per_day) if one is not None]
    if given:
        if name is not None or effect is None or register:
            hint = "write --baseline 2% --effect 5%, without a name"
            raise ProjectError("figures are calculated without a project", "experiment plan", hint)
        share = None
        if baseline is not None:
            share = _part(baseline, "--baseline")
        found = calculate.calculate(
            calculate.baseline_of(share, mean, sd),
            _effect(effect),
            arms=arms,
            a_day=per_day,
            within=days,
            method=method,
            level=_part(level, "--level"),
            power=_part(power, "--power"),
        )
        emit(common, found, lambda: _plan(found, ""))
        planning.demand_feasible(found)
        return
    if (name is None) == (design is None):
        hint = "liftwerk experiment plan NAME, or --design holdout, or --baseline 2% --effect 5%"
        raise ProjectError("nothing says what to plan", "experiment plan", hint)
    with open_project(common) as project, progress.steps() as tell:
        asked = None
        if effect is not None:
            asked = _effect(effect)
        currency = project.definitions.currency
        found = project.experiments.plan(
            name, within=days, effect=asked, simulate=simulate, tell=tell
        )
        if register and name is not None:
            project.experiments.register(name, found)

    def render() -> None:
        _plan(found, currency)
        if register and name is not None:
            out.print(f"registered: liftwerk experiment start {name} begins it", markup=False)

    emit(common, found, render)
    planning.demand_feasible(found)


def _plan(found: Plan, currency: str) -> None:
    """Print the answer first, then what it rests on."""
    of = found.metric
    figure = fmt.number(found.baseline, 2)
    if found.kind == "proportion":
        figure = fmt.share(found.baseline, 2)
    title = "Calculated"
    if found.experiment:
        title = f"{found.experiment}: {found.design}"
    arms = ", ".join(f"{arm} {fmt.number(many)}" for arm, many in found.per_arm.items())
    facts: dict[str, object] = {
        "to see": f"{_change(found.effect)} of {of}, which is {figure} {PERIOD[found.counted]}",
        "power": f"{fmt.share(found.power)}, interval {fmt.share(found.level)}, {found.method}",
        "needs": f"{fmt.number(found.units)} {found.counted} ({arms})",
    }
    if found.days is not None:
        facts["possible"] = show.verdict(POSSIBLE[found.feasible])
        facts |= _lasts(found, found.days)
    if found.detectable is not None:
        facts["least to be seen"] = _change(found.detectable)
    if found.reduction:
        facts["variance taken out"] = fmt.share(found.reduction)
    if found.cost is not None:
        amount = fmt.money(found.cost.amount, currency, 0)
        facts["costs"] = f"{amount}: {found.cost.words}"
    show.pairs(title, facts)
    _tables(found, currency)
    for note in found.notes:
        out.print(f"  {note}", markup=False)


def _lasts(found: Plan, days: int) -> dict[str, object]:
    """Say how long it goes on, and when the answer is known."""
    many = fmt.number(found.entering)
    facts: dict[str, object] = {}
    if found.counted == "markets":
        facts["lasts"] = _many_days(days)
    elif found.counted == "blocks":
        facts["lasts"] = f"{_many_days(days)}, in which {many} blocks begin"
    else:
        facts["enter"] = f"{many} in {_many_days(days)}"
    if found.matures:
        facts["enter"] = f"{facts['enter']}, and {found.matures:g} until the last is seen whole"
    if found.known_in is not None:
        facts["known after"] = f"{found.known_in} weeks"
        if found.known_in == 1:
            facts["known after"] = "a week"
    return facts


def _many_days(days: int) -> str:
    if days == 1:
        return "a day"
    return f"{days} days"


def _tables(found: Plan, currency: str) -> None:
    rows: list[list[str]] = [
        [str(one.day), fmt.number(one.units), fmt.share(one.power), _change(one.detectable)]
        for one in found.curve
    ]
    if rows:
        show.table("By day", ["day#", f"{found.counted}#", "power#", "least to be seen#"], rows)
    rows = [
        [_change(one.effect), fmt.share(one.power), fmt.number(one.runs)] for one in found.simulated
    ]
    if rows:
        show.table("Simulated on the history", ["effect#", "seen#", "runs#"], rows)
    rows = [
        [
            one.arm,
            ", ".join(one.markets),
            fmt.share(one.power),
            _change(one.detectable),
            fmt.share(one.false_alarms),
            fmt.share(one.part),
            _break_even(one.break_even, currency),
        ]
        for one in found.cells
    ]
    if rows:
        columns = ["arm", "markets", "power#", "least to be seen#", "false alarms#"]
        columns += [f"of all {found.metric}#", "pays for itself below#"]
        show.table("Arms", columns, rows)
    rows = [
        [one.metric, one.role, _change(one.detectable), _enough(one.margin, one.enough)]
        for one in found.beside
    ]
    if rows:
        columns = ["metric", "", "least to be seen#", "a loss beyond its margin is ruled out"]
        show.table("Other metrics", columns, rows)
    if not found.feasible:
        show.table("What would do", ["instead"], [[one.words] for one in found.nearest])


def _break_even(amount: float | None, currency: str) -> str:
    if amount is None:
        return ""
    return fmt.money(amount, currency, 0)


def _change(effect: float | None) -> str:
    if effect is None:
        return "nothing"
    return f"{fmt.number(100 * effect, 1, sign=True)}%"


def _enough(margin: float | None, enough: bool | None) -> str:
    if margin is None:
        return ""
    return f"{RULED_OUT[enough]} ({fmt.share(margin)})"


def _days(within: str | None) -> int:
    if within is None:
        return planning.LONGEST
    try:
        length = typed.Duration(within)
    except ValueError as error:
        raise ProjectError(f"--within is {within!r}", "experiment plan", str(error)) from None
    days = length.microseconds // DAY
    if days < 1:
        raise ProjectError(f"--within is {within!r}", "experiment plan", "write a day at least")
    return int(days)


def _part(text: str, option: str) -> float:
    try:
        part: float = typed.Share(text).value
    except ValueError as error:
        raise ProjectError(f"{option} is {text!r}", "experiment plan", str(error)) from None
    if not 0.0 < part < 1.0:
        hint = "write more than 0 and less than 1"
        raise ProjectError(f"{option} is {text!r}", "experiment plan", hint)
    return part


def _effect(text: str) -> float:
    part = _part(text.removeprefix("-").removeprefix("+"), "--effect")
    if text.startswith("-"):
        return -part
    return part
