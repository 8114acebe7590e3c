"""`metrics`: the numbers that count, what they mean, and what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server import words

if TYPE_CHECKING:
    from liftwerk.project import metrics as door
    from liftwerk.server import metrics as exposed
else:
    door = LazyModule("liftwerk.project.metrics")
    exposed = LazyModule("liftwerk.server.metrics")

metrics = App(
    name="metrics",
    help="The numbers that count: what they mean, and what they were.",
    help_format="plaintext",
    group="Measurement",
)
app.command(metrics)


@metrics.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List the declared metrics, the goal first."""
    with open_project(common) as project:
        rows = project.metrics.list()

    def render() -> None:
        if not rows:
            out.print("no metric is declared: add [metrics.NAME]", markup=False)
            return
        cells = [
            [
                _named(row),
                row["how"],
                row["unit"],
                row["better"],
                _bound(row, "target"),
                _bound(row, "threshold"),
                _blank(row["supports"]),
                row["owner"],
            ]
            for row in rows
        ]
        columns = ["metric", "how", "unit", "better", "target#", "threshold#", "supports", "owner"]
        show.table("Metrics", columns, cells)

    emit(common, rows, render)


@metrics.command(name="show")
def show_(
    name: str,
    /,
    *,
    sql: Annotated[bool, Parameter(negative="")] = False,
    period: Literal["day", "week", "month"] = "month",
    many: int = 3,
    purpose: str | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Show what a metric means, what it is made of, and what it was in the last periods.

    Parameters
    ----------
    name
        The metric.
    sql
        Show the statements that count it for each unit of an experiment.
    period
        Of the calendar, in the project's zone: day, week or month.
    many
        How many periods, the last that are over.
    purpose
        What events are read for; by default the declared purpose that sees most.
    """
    with open_project(common) as project:
        if sql:
            statements = list(project.metrics.sql(name))
            emit(common, statements, lambda: out.print("\n\n".join(statements), markup=False))
            return
        stock = exposed.Stock(project.definitions, project.stores, project.clock)
        known = door.Metrics(
            project.definitions, project.stores, project.clock, exposed.figures_of(stock)
        )
        found = known.show(name, period, many, purpose)

    def render() -> None:
        facts = {
            "What": found["description"],
            "How": found["how"],
            "Made of": ", ".join(one["from"] for one in found["made_of"]),
            "Unit": found["unit"],
            "Better": found["better"],
            "Target": _bound(found, "target"),
            "Threshold": _bound(found, "threshold"),
            "Supports": _blank(found["supports"]),
            "Owner": found["owner"],
        }
        show.pairs(_named(found), {key: said for key, said in facts.items() if said})
        cells = [
            [one["start"][:10], *_value(one["value"]), _stands(one["stands"])]
            for one in found["values"]
        ]
        show.table(f"By {found['period']}", ["from", "value#", "95% interval", ""], cells)

    emit(common, found, render)


def _named(row: Mapping[str, Any]) -> str:
    if row["is_goal"]:
        return f"{row['metric']} (goal)"
    return str(row["metric"])


def _bound(row: Mapping[str, Any], key: str) -> str:
    return _blank(row[key])


def _blank(value: Any) -> str:
    if value is None:
        return ""
    return str(value)


def _stands(name: str | None) -> str:
    if name is None:
        return ""
    word = words.word(name)
    return f"{word.sign} {word.word}"


def _value(value: Any) -> tuple[str, str]:
    if isinstance(value, float):
        return fmt.number(value, 2), "counted"
    if "unknown" in value:
        return "unknown", fmt.because(value)
    ends = (fmt.number(value["low"], 4), fmt.number(value["high"], 4))
    return fmt.number(value["value"], 4), f"between {ends[0]} and {ends[1]}"
