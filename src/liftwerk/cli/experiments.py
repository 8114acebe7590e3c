"""`experiment`, `effects`: what an action adds, from the plan to the register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import geo, progress, show, switchback
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.cli.reading import checks, reading, verdict, weeks
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server.experiment_tables import tables

if TYPE_CHECKING:
    from liftwerk.experiments import reading as shapes
    from liftwerk.experiments.once import Once
    from liftwerk.project import holdout as kept
    from liftwerk.project import reading as documents
else:
    shapes = LazyModule("liftwerk.experiments.reading")
    kept = LazyModule("liftwerk.project.holdout")
    documents = LazyModule("liftwerk.project.reading")

experiment = App(
    name="experiment",
    help="Find out what an action adds.",
    help_format="plaintext",
    group="Measurement",
)
app.command(experiment)


@experiment.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List experiments and where each stands."""
    with open_project(common) as project:
        rows = project.experiments.list()

    def render() -> None:
        cells = [
            [
                row["experiment"],
                row["design"],
                _stage(row),
                ", ".join(row["metrics"]),
                fmt.share(row["share"]),
                fmt.moment(row["started"]),
            ]
            for row in rows
        ]
        if not cells:
            out.print("no experiment is declared: add [experiments.NAME]", markup=False)
            return
        columns = ["experiment", "design", "stage", "metrics", "may enter#", "started"]
        show.table("Experiments", columns, cells)

    emit(common, rows, render)


@experiment.command(name="show")
def show_(name: str, /, *, common: Common = DEFAULTS) -> None:
    """Show what an experiment is, how it was planned, and its log.

    Parameters
    ----------
    name
        The experiment.
    """
    with open_project(common) as project:
        found = project.experiments.show(name)

    def render() -> None:
        _facts(found)
        rows = [[fmt.moment(one["at"]), one["action"], _said(one["said"])] for one in found["log"]]
        if rows:
            show.table("Log", ["at", "what", "which"], rows)

    emit(common, found, render)


@experiment.command
def start(
    name: str,
    /,
    *,
    share: str | None = None,
    unplanned: str = "",
    common: Common = DEFAULTS,
) -> None:
    """Start an experiment; one that is not registered yet is planned and registered first.

    Parameters
    ----------
    name
        The experiment.
    share
        The part of all units that may enter at first; by default all that is declared.
    unplanned
        Why it is started without a plan; registers it so.
    """
    with open_project(common) as project, progress.steps() as tell:
        done = project.experiments.start(name, share, unplanned, tell)
    emit(common, done, lambda: _facts(done))


@experiment.command
def ramp(name: str, share: str, /, *, common: Common = DEFAULTS) -> None:
    """Let a larger part of all units enter; who is in keeps its arm.

    Parameters
    ----------
    name
        The experiment.
    share
        The part of all units that may enter, such as 20%.
    """
    with open_project(common) as project:
        done = project.experiments.ramp(name, share)
    emit(common, done, lambda: _facts(done))


@experiment.command
def assign(
    name: str,
    /,
    *,
    to: Annotated[Path, Parameter(name="--out")],
    common: Common = DEFAULTS,
) -> None:
    """Give every customer their arm, and write who gets what to a file: for a mail to all.

    Who was given one before keeps it. Pages and shops ask for one unit at a time instead, by
    OpenFeature's protocol.

    Parameters
    ----------
    name
        A running experiment on customers.
    to
        The CSV or Parquet file.
    """
    with open_project(common) as project:
        done = project.experiments.assign(name, to)

    def render() -> None:
        rows = [[arm, fmt.number(many)] for arm, many in done["arms"].items()]
        rows.append(["none", fmt.number(done["customers"] - sum(done["arms"].values()))])
        show.table(f"Who gets what: {to}", ["arm", "customers#"], rows)

    emit(common, done, render)


@experiment.command
def stop(name: str, /, *, reason: str, common: Common = DEFAULTS) -> None:
    """Stop an experiment for good; it can still be read.

    Parameters
    ----------
    name
        The experiment.
    reason
        Why; kept for good, so name nobody in it.
    """
    with open_project(common) as project:
        done = project.experiments.stop(name, reason)
    emit(common, done, lambda: _facts(done))


@experiment.command
def read(
    name: str,
    /,
    *,
    fixed: bool = False,
    csv: Path | None = None,
    common: Common = DEFAULTS,
) -> int:
    """Read what an experiment shows so far; look as often as you like.

    Of one that was stopped, what it shows is kept in the effect register. Exit 1 when its figures
    cannot be trusted. A switchback and a geo test are read once, when they have run.

    Parameters
    ----------
    name
        The experiment.
    fixed
        Read it as if it were looked at this once only: narrower, and wrong if you look again.
    csv
        Also write the comparisons to this file.
    """
    with open_project(common) as project:
        design = project.experiments.show(name)["design"]
        if design in READ_OTHERWISE:
            if fixed or csv is not None:
                hint = "leave --fixed and --csv out: --json has all, and it is read once anyway"
                raise ProjectError(f"it is of the design {design}", f"experiment {name}", hint)
            once = project.experiments.read_once(name)
            by_metric = shapes.plain(once.by_metric)
            found = {**shapes.plain(once.reading), "by_metric": by_metric}
            emit(common, found, lambda: _read_once(found, once))
            return _code(found)
        found = shapes.plain(project.experiments.read(name, fixed))
    if csv is not None:
        csv.write_text(tables(found)["metrics"].csv(), encoding="utf-8", newline="")
    emit(common, found, lambda: reading(found))
    return _code(found)


def _code(found: dict[str, Any]) -> int:
    if found["verdict"]["advice"] == "do not trust":
        return 1
    return 0


@experiment.command
def holdout(*, common: Common = DEFAULTS) -> None:
    """Show what the whole programme and each policy add, week by week, beside last click."""
    with open_project(common) as project:
        found = kept.document(project.experiments.holdout(), project.stores.ledger)
    emit(common, found, lambda: weeks(found))


def _read_once(found: dict[str, Any], once: Once) -> None:
    """Print a reading of a design that gives no arms to units: the verdict, then its figures."""
    verdict(found)
    READ_OTHERWISE[found["design"]](once.by_metric)
    if found["design"] == "switchback":
        out.print()
        checks(found)


def _markets(by_metric: Mapping[str, Any]) -> None:
    for one in by_metric.values():
        geo.show_reading(one)


READ_OTHERWISE: Mapping[str, Callable[[Any], None]] = {
    "switchback": switchback.show_readings,
    "geo": _markets,
}
"""Design -> what shows its figures, where no arms are given to units."""


@app.command(group="Measurement")
def effects(
    subject: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """List what each policy, channel and experiment was last seen to add, and how old that is.

    Parameters
    ----------
    subject
        Only policy:NAME, channel:NAME, experiment:NAME or programme.
    every
        Also what was believed before.
    """
    with open_project(common) as project:
        rows = project.experiments.effects(subject, every)

    def render() -> None:
        cells = [
            [
                row["subject"],
                row["metric"],
                *_figure(row["estimate"]),
                row["unit"],
                fmt.moment(row["end"]),
                fmt.delay(row["age_seconds"]),
                row["source"],
            ]
            for row in rows
        ]
        if not cells:
            out.print("no effect is known yet: conclude an experiment, or keep a holdout")
            return
        columns = ["of", "metric", "adds#", "interval", "unit", "until", "age#", "from"]
        show.table("Effects", columns, cells)

    emit(common, rows, render)


def _facts(row: dict[str, Any]) -> None:
    arms = ", ".join(f"{arm} {fmt.share(share)}" for arm, share in row["arms"].items())
    entering = f"{fmt.share(row['share'])} of {fmt.share(row['share_in_the_end'])}"
    facts = {
        "design": row["design"],
        "stage": _stage(row),
        "arms": arms,
        "metrics": ", ".join(row["metrics"]),
        "may enter": entering,
        "started": fmt.moment(row["started"]),
    }
    if row["stopped"] is not None:
        facts["stopped"] = f"{fmt.moment(row['stopped'])}: {row['reason']}"
    if row["unplanned"]:
        facts["without a plan"] = row["unplanned"]
    elif row.get("plan"):
        facts["plan"] = " ".join(documents.planned_words(row["plan"]))
    if row["changed"]:
        facts["changed"] = ", ".join(row["changed"])
    if row["version"]:
        facts["version"] = row["version"][:16]
    title = row["experiment"]
    if row["description"]:
        title += f": {row['description']}"
    show.pairs(title, facts)


def _stage(row: dict[str, Any]) -> str:
    if row["changed"]:
        return f"{row['stage']}, changed since"
    return str(row["stage"])


def _said(said: dict[str, Any]) -> str:
    words = []
    for key, value in said.items():
        if isinstance(value, str):
            words.append(f"{key} {value}")
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            words.append(f"{key} {', '.join(value)}")
    return "; ".join(words)


def _figure(estimate: dict[str, Any]) -> tuple[str, str]:
    if estimate["kind"] == "unknown":
        told = {"unknown": estimate["reason"], "needs": estimate["needs"]}
        return "unknown", fmt.because(told)
    digits = fmt.figure_digits([estimate])
    value = fmt.number(estimate["value"], digits, sign=True)
    return value, fmt.span(estimate["low"], estimate["high"], "", digits)
