"""A declared file becomes events in the inbox, or nothing happens at all.

The file is read through first: what is not whole is refused before anything is written. Then every
row is judged as a whole: if one of its events is refused, or has an id that is kept with other
content, none of them goes in, since half a customer would teach something wrong. Bad rows rest in
quarantine with their reason; more of them than ``[import] max_bad`` and nothing is kept.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from liftwerk.connectors.bad_rows import demand_quality, in_columns, rejected_rows
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.connectors.judge import Chunk, Judgement
from liftwerk.connectors.kinds import KINDS
from liftwerk.connectors.mapping import Mapped, compile_mapping, wanted_columns
from liftwerk.connectors.rows import Rows
from liftwerk.errors import InputError
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of

CHUNK = 4096
"""Rows that are fetched at once."""


def import_file(job: ImportJob) -> Imported:
    """Import a declared file into the inbox; `liftwerk.events.compact` makes it readable.

    Parameters
    ----------
    job : ImportJob

    Returns
    -------
    Imported
        Importing the same file again changes nothing.

    Raises
    ------
    InputError
        If the file is missing, damaged or not as declared; nothing was written.
    TooManyBadRows
        If more rows are bad than the project allows; nothing was published.
    """
    schema = schema_of(job.project)
    definition = job.definition
    now = job.clock.now()
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        job.tell(f"reading {job.label}")
        rows = opened(job, wanted_columns(definition), Path(scratch))
        mapped = compile_mapping(schema, job.name, definition, rows, job.controls)
        buried = job.stores.ledger.buried()
        judgement = Judgement(schema, definition.source, now, buried, mapped)
        judged = judgement.of(bodies_of(job, rows, mapped))
        demand_rows(judged.rows, job.label)
        if not job.dry_run:
            # What is still in the inbox must be compared with too.
            compact(job.project, job.stores, job.clock)
        judged.hold_against(job.stores)
        bad_rows = rejected_rows(job, rows, judged.bad, in_columns(definition.identifiers))
        rejected = judged.spare_the_erased(schema, bad_rows, buried)
        demand_quality(job, job.label, judged.bad, len(judged.bad), judged.rows)
    if not job.dry_run:
        job.tell(f"writing {sum(judged.events.values())} events")
        if rejected:
            job.stores.inbox.quarantine_put(rejected)
        if judged.new_rows:
            job.stores.inbox.append(judged.new_rows)
    return Imported.of(judged, judged.events, judged.duplicates, len(judged.erased))


def opened(job: ImportJob, wanted: list[str], scratch: Path) -> Rows:
    """Open the job's one file, in which some columns are wanted."""
    definition = job.definition
    kind = importlib.import_module(KINDS[definition.file_format or "csv"])
    rows: Rows = kind.opened(job.path, job.label, definition, wanted, scratch)
    return rows


def demand_rows(many: int, label: str) -> None:
    """Refuse a file without rows.

    Raises
    ------
    InputError
    """
    if many == 0:
        raise InputError("no rows under the header", label, "export it again")


def bodies_of(job: ImportJob, rows: Rows, mapped: Mapped) -> Iterator[Chunk]:
    """Return chunks of rows: each its number, and the JSON of its events or None."""
    connection = job.connect()
    try:
        connection.execute(mapped.sql)
        while chunk := connection.fetchmany(CHUNK):
            yield [(row[0], row[1:]) for row in chunk]
    except duckdb.Error as error:
        raise rows.explain(error) from None
    finally:
        connection.close()
