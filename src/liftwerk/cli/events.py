"""`import` and `sql`: what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.server import format as fmt


@app.command(name="import", group="Events")
def import_(
    file: Path | None = None,
    /,
    *,
    name: str | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Import a declared file: into the inbox, then compacted under a new snapshot.

    Parameters
    ----------
    file
        A file to read instead of the declared one; an .ndjson file holds whole events.
    name
        The import, when the project declares several.
    """
    with open_project(common) as project, progress.steps() as tell:
        result = project.import_file(file, name, tell)

    def render() -> None:
        counts = result["counts"]
        facts = {key: fmt.number(value) for key, value in counts.items()}
        show.pairs(f"Imported {result['import']}", facts)
        for reason, many in result["reasons"].items():
            out.print(f"  quarantined: {fmt.number(many)} x {reason}", markup=False)

    emit(common, result, render)


@app.command(group="Events")
def sql(
    query: str,
    /,
    *,
    purpose: str,
    limit: Annotated[int, Parameter(help="Most rows to print.")] = 1000,
    common: Common = DEFAULTS,
) -> None:
    """Ask the event tables in SQL, read-only and for a declared purpose.

    Parameters
    ----------
    query
        One SELECT; each event is a table of its name.
    purpose
        What the answer is for: rows that may not be used for it are not there.
    """
    with open_project(common) as project:
        answer = project.sql(query, purpose=purpose)
    rows = answer.slice(0, limit).to_pylist()

    def render() -> None:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        show.table("", answer.column_names, cells)
        if answer.num_rows > limit:
            out.print(f"… {fmt.number(answer.num_rows - limit)} more rows; see --limit")

    document = {"columns": answer.column_names, "rows": [_plain(row) for row in rows]}
    emit(common, document, render)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return str(_value(value))


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value
