"""`identity`: which identifiers are one customer, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.errors import InputError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk import privacy
    from liftwerk.definitions import decode
    from liftwerk.identity import show as customers
    from liftwerk.identity import unmerge as separation
else:
    decode = LazyModule("liftwerk.definitions.decode")
    customers = LazyModule("liftwerk.identity.show")
    separation = LazyModule("liftwerk.identity.unmerge")
    privacy = LazyModule("liftwerk.privacy")

identity = App(
    name="identity",
    help="Which identifiers are one customer, and why.",
    help_format="plaintext",
    group="Events",
)
app.command(identity)


@identity.command(name="show")
def show_(identifier: str, /, *, common: Common = DEFAULTS) -> None:
    """Show a customer's identifiers, the event that linked each, and the links held back.

    Parameters
    ----------
    identifier
        Any of the customer's: VALUE, or NAMESPACE:VALUE.
    """
    with open_project(common) as project:
        found = customers.show_one(project.definitions, project.stores, identifier)

    def render() -> None:
        _say_unseen(found)
        columns = ["namespace", "value", "linked with", "by", "source", "happened", "known"]
        rows = [_cells(row) for row in found["identifiers"]]
        show.table(f"Customer {found['customer']['key']}", columns, rows)
        if not found["held_back"]:
            return
        out.print()
        rows = [[*_cells(row), row["reason"]] for row in found["held_back"]]
        count = fmt.number(found["held_back_count"])
        show.table(f"Held back: {count}", [*columns, "reason"], rows)

    emit(common, found, render)


@identity.command
def resolve(
    identifier: str,
    /,
    *,
    as_of: Annotated[
        str | None, Parameter(help="By what was known then, such as 2026-03-01T00:00:00Z.")
    ] = None,
    common: Common = DEFAULTS,
) -> None:
    """Say whose an identifier is.

    Parameters
    ----------
    identifier
        VALUE, or NAMESPACE:VALUE.
    """
    known = privacy.AsOf(time=None)
    if as_of is not None:
        try:
            known = privacy.AsOf(time=decode.instant(as_of))
        except ValueError as error:
            raise InputError("not a time", "--as-of", str(error)) from None
    with open_project(common) as project:
        found = customers.resolve_one(project.definitions, project.stores, identifier, known)

    def render() -> None:
        _say_unseen(found)
        facts = {
            "identifier": _name(found["identifier"]),
            "customer": _name(found["customer"]),
            "key": found["customer"]["key"],
        }
        if found["visitor"]:
            facts["known as"] = "a visitor"
        show.pairs("Identity", facts)

    emit(common, found, render)


@identity.command
def unmerge(one: str, other: str, /, *, reason: str, common: Common = DEFAULTS) -> None:
    """Tell two identifiers of one customer apart, from now on.

    Parameters
    ----------
    one
        VALUE, or NAMESPACE:VALUE.
    other
        The other one.
    reason
        Kept in the event and in the audit log; name no person in it.
    """
    with open_project(common) as project, project.stores.home.hold("identity unmerge"):
        given = (project.definitions, project.stores, one, other)
        done = separation.unmerge(*given, project.actor, project.clock, reason)

    def render() -> None:
        out.print("told apart: they are two customers from now on; the past stays as it was known")
        out.print("next: liftwerk run, to learn again with it")

    emit(common, done, render)


def _say_unseen(found: Mapping[str, Any]) -> None:
    if found["identifier"]["namespace"] is None:
        out.print("no event that is kept has named this identifier", style="yellow")


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    told = [row.get(name) or "–" for name in ("event", "source")]
    times = [fmt.moment(row.get(name)) for name in ("happened", "known")]
    other = "–"
    if "with" in row:
        other = _name(row["with"])
    return [row["namespace"] or "–", row["value"] or row["key"], other, *told, *times]


def _name(one: Mapping[str, Any]) -> str:
    if one["namespace"] is None:
        return str(one["key"])
    return f"{one['namespace']}:{one['value']}"
