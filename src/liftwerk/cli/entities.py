"""`entities`: reference data, as of a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.errors import InputError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.definitions import decode
else:
    decode = LazyModule("liftwerk.definitions.decode")

LIMIT = 100

entities = App(
    name="entities",
    help="Reference data: what held when, by what was known when.",
    help_format="plaintext",
    group="Events",
)
app.command(entities)


@entities.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List the declared entities, and how much is kept of each."""
    with open_project(common) as project:
        found = project.entities()

    def render() -> None:
        if not found:
            out.print("no entity is declared: see [entities.NAME]", markup=False)
            return
        rows = [
            [
                one["entity"],
                ", ".join(one["key"]),
                fmt.number(one["things"]),
                fmt.number(one["rows"]),
                fmt.number(one["corrected"]),
                _cell(one["known"]),
                one["owner"],
            ]
            for one in found
        ]
        columns = ("entity", "key", "things#", "rows#", "corrected#", "known", "owner")
        show.table("", columns, rows)

    emit(common, found, render)


@entities.command(name="show")
def show_(
    name: str,
    key: list[str] | None = None,
    /,
    *,
    as_of: str | None = None,
    known_at: str | None = None,
    purpose: str = "audit",
    limit: Annotated[int, Parameter(help="Most rows to print.")] = LIMIT,
    common: Common = DEFAULTS,
) -> None:
    """Show what held at a moment, by what was known at another.

    Parameters
    ----------
    name
        The entity.
    key
        Only the thing of this key, its parts in the declared order.
    as_of
        The moment, such as 2026-03-01T09:30:00Z; without it every stretch of time is shown.
    known_at
        Leave out what was learnt later.
    purpose
        What it is read for.
    """
    at, known = _instant(as_of, "--as-of"), _instant(known_at, "--known-at")
    with open_project(common) as project:
        found = project.entity(name, purpose, at, known, key)
    rows = found.slice(0, limit).to_pylist()

    def render() -> None:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        show.table("", found.column_names, cells)
        if found.num_rows > limit:
            out.print(f"… {fmt.number(found.num_rows - limit)} more rows; see --limit")

    emit(common, {"columns": found.column_names, "rows": rows}, render)


def _instant(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        return decode.instant(text)
    except ValueError as error:
        raise InputError(f"not a time: {text!r}", option, str(error)) from None


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return fmt.moment(value.astimezone(UTC).isoformat())
    return str(value)
