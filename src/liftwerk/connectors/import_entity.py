"""A declared file becomes rows of an entity under a new snapshot, or nothing happens at all.

The file is read through first, as one of events is. Bad rows rest in quarantine with their reason;
more of them than ``[import] max_bad`` and nothing is kept. The same file again changes nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from liftwerk.connectors.bad_rows import demand_quality, in_columns, rejected_rows
from liftwerk.connectors.definition import Cell, ImportDefinition, KnownAt, Moment
from liftwerk.connectors.import_file import CHUNK, demand_rows, opened
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.connectors.judge import Bad, Judged
from liftwerk.connectors.mapping import (
    ROW,
    cell_json,
    known_at_json,
    moment_json,
    numbered,
    object_json,
)
from liftwerk.connectors.rows import Rows
from liftwerk.events.engine import text
from liftwerk.events.entities.put import Knowledge, put, sort_rows
from liftwerk.events.entities.schema import EntityType, check_rows, entity_of
from liftwerk.events.schema import schema_of


def import_entity(job: ImportJob) -> Imported:
    """Import a declared file into its entity's table.

    Parameters
    ----------
    job : ImportJob

    Returns
    -------
    Imported
        ``events`` has one entry: the entity, and how many of its rows are new.

    Raises
    ------
    InputError
        If the file is missing, damaged or not as declared; nothing was written.
    TooManyBadRows
        If more rows are bad than the project allows; nothing was written.
    ProjectError
        If a property is declared otherwise than its rows were kept.
    """
    project, stores, definition = job.project, job.stores, job.definition
    kind = entity_of(project, str(definition.entity))
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        job.tell(f"reading {job.label}")
        rows = opened(job, _wanted(kind, definition), Path(scratch))
        cells = _cells(kind, definition, rows)
        checked = check_rows(kind, _bodies(job, kind, rows, cells), _told(definition))
        judged = Judged(rows=len(checked.good) + len(checked.bad))
        demand_rows(judged.rows, job.label)
        for number, (reason, at) in checked.bad.items():
            judged.bad[number] = Bad(reason, _blame(definition, cells, at))
        now = job.clock.now()
        sorted_ = sort_rows(kind, stores, checked.good, _knowledge(definition), now)
        for number, reason in sorted_.bad.items():
            judged.bad[number] = Bad(reason, None)
        people = {
            namespace: str(cells[key].column)
            for namespace, key in kind.definition.person.items()
            if key in cells and cells[key].column is not None
        }
        bad_rows = rejected_rows(job, rows, judged.bad, in_columns(people))
        rejected = judged.spare_the_erased(schema_of(project), bad_rows, stores.ledger.buried())
        demand_quality(job, job.label, judged.bad, len(judged.bad), judged.rows)
    if not job.dry_run:
        job.tell(f"writing {sorted_.table.num_rows} rows")
        if rejected:
            stores.inbox.quarantine_put(rejected)
        put(kind, stores, sorted_.table, job.clock)
    new = {kind.name: sorted_.table.num_rows}
    return Imported.of(judged, new, sorted_.duplicates, sorted_.erased + len(judged.erased))


def _knowledge(definition: ImportDefinition) -> Knowledge:
    if definition.known_at is not None and definition.known_at.column is not None:
        return "told"
    return "made"


def _told(definition: ImportDefinition) -> list[str]:
    """Name the moments that every row has to tell."""
    moments = []
    if definition.valid_from is not None:
        moments.append("time")
    if _knowledge(definition) == "told":
        moments.append("known_at")
    return moments


def _cells(kind: EntityType, definition: ImportDefinition, rows: Rows) -> dict[str, Cell]:
    """Say where each property comes from; one that is not mapped has its own name."""
    cells = dict(definition.properties)
    for key in kind.definition.properties:
        if key not in cells and key in rows.columns:
            cells[key] = Cell(column=key)
    return cells


def _wanted(kind: EntityType, definition: ImportDefinition) -> list[str]:
    columns = [cell.column for cell in definition.properties.values()]
    columns += [
        key
        for key, declared in kind.definition.properties.items()
        if declared.required and key not in definition.properties
    ]
    for moment in (definition.valid_from, definition.known_at):
        if moment is not None:
            columns.append(moment.column)
    return list(dict.fromkeys(column for column in columns if column is not None))


def _bodies(
    job: ImportJob, kind: EntityType, rows: Rows, cells: dict[str, Cell]
) -> Iterator[tuple[int, str]]:
    """Return each row's number, and its JSON."""
    definition, declared = job.definition, kind.definition.properties
    fields = {"name": text(kind.name), "version": "1"}
    if definition.valid_from is not None:
        fields["time"] = moment_json(definition.valid_from)
        known_at = _known_at(definition.valid_from, definition.known_at)
        if known_at is not None:
            fields["known_at"] = known_at
    fields["properties"] = object_json({key: cell_json(cells[key], declared[key]) for key in cells})
    connection = job.connect()
    try:
        connection.execute(f"SELECT {ROW}, {object_json(fields)}::VARCHAR FROM ({numbered(rows)})")
        while chunk := connection.fetchmany(CHUNK):
            yield from chunk
    except duckdb.Error as error:
        raise rows.explain(error) from None
    finally:
        connection.close()


def _known_at(valid_from: Moment, known_at: KnownAt | None) -> str | None:
    if known_at is None:
        return None
    made = known_at_json(valid_from, known_at)
    if made is None:
        return moment_json(valid_from)
    return made


def _blame(definition: ImportDefinition, cells: dict[str, Cell], path: str) -> str | None:
    """Name the column that a path of a row's JSON comes from."""
    if path == "$.time" and definition.valid_from is not None:
        return definition.valid_from.column
    if path == "$.known_at" and definition.known_at is not None:
        return definition.known_at.column
    cell = cells.get(path.removeprefix("$.properties."))
    if cell is None:
        return None
    return cell.column
