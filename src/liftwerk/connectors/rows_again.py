"""Rows of a file that were quarantined, judged again by today's mapping."""

from __future__ import annotations

import importlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow
import pyarrow.parquet

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORTS
from liftwerk.connectors.exports import KINDS as EXPORTS
from liftwerk.connectors.exports.translated import Translated
from liftwerk.connectors.import_file import bodies_of
from liftwerk.connectors.job import ImportJob
from liftwerk.connectors.judge import Chunk, Judgement
from liftwerk.connectors.mapping import Mapped, compile_mapping, wanted_columns
from liftwerk.connectors.rows import Rows
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.admit import ERASED
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.replay import Judge, Judged
from liftwerk.events.schema import schema_of
from liftwerk.store.inbox.protocol import InboxRow, Quarantined
from liftwerk.store.stores import Stores

OF_AN_ENTITY = "a row of an entity: mend its file and import it again"


def rows_again(
    project: Project, stores: Stores, clock: Clock, controls: Mapping[str, str]
) -> Judge:
    """Make the judge of quarantined rows, for `liftwerk.events.replay.replay`.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    controls : mapping of str to str
        Placement -> its control action.

    Returns
    -------
    Judge
        A row goes in whole or stays, as when its file was imported.
    """
    declared = project.get(IMPORTS)

    def judge(page: Sequence[Quarantined]) -> dict[int, Judged]:
        judged: dict[int, Judged] = {}
        groups: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
        for kept in page:
            said = msgspec.json.decode(kept.rejected.body)
            group = (str(said["import"]), str(said.get("table", "")))
            groups.setdefault(group, []).append((kept.number, said["columns"]))
        for (name, table), rows in groups.items():
            definition = declared.get(name)
            if definition is None:
                what = f"the import {name!r} is no longer declared"
                judged.update({number: Judged(reason=what) for number, _ in rows})
                continue
            if definition.entity is not None:
                # Rows of an entity go in with their file: mended, it is imported again.
                judged.update({number: Judged(reason=OF_AN_ENTITY) for number, _ in rows})
                continue
            job = ImportJob(project, stores, name, clock, controls)
            judged.update(_judged(job, table, rows))
        return judged

    return judge


def _judged(
    job: ImportJob, table: str, rows: Sequence[tuple[int, dict[str, Any]]]
) -> dict[int, Judged]:
    definition, stores = job.definition, job.stores
    columns = list(dict.fromkeys([*wanted_columns(definition), *rows[0][1]]))
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        file = Path(scratch) / "rows.parquet"
        values = {
            column: pyarrow.array([_text(row.get(column)) for _, row in rows], pyarrow.string())
            for column in columns
        }
        pyarrow.parquet.write_table(pyarrow.table(values), file)
        listed = ", ".join(map(quoted, columns))
        sql = f"SELECT {listed} FROM read_parquet({text(str(file))})"
        source = Rows(tuple(columns), sql, _unreadable)
        mapped, bodies = _bodies(job, table, source)
        schema, buried = schema_of(job.project), stores.ledger.buried()
        judgement = Judgement(schema, definition.source, job.clock.now(), buried, mapped)
        found = judgement.of(bodies)
    found.hold_against(stores)
    new: dict[int, list[InboxRow]] = {}
    remaining = set(found.new_rows)
    for place, row in found.admitted:
        if row in remaining:
            new.setdefault(place, []).append(row)
    judged = {}
    for place, (number, _) in enumerate(rows, start=1):
        if place in found.bad:
            judged[number] = Judged(reason=found.bad[place].reason)
        elif place in found.erased:
            judged[number] = Judged(reason=ERASED)
        else:
            judged[number] = Judged(rows=tuple(new.get(place, ())))
    return judged


def _bodies(job: ImportJob, table: str, source: Rows) -> tuple[Mapped, Iterable[Chunk]]:
    """Translate rows of an import; ``table`` is what their file was exported from."""
    project, definition = job.project, job.definition
    if definition.kind == "rows":
        mapped = compile_mapping(schema_of(project), job.name, definition, source, job.controls)
        return mapped, bodies_of(job, source, mapped)
    kind = importlib.import_module(EXPORTS[definition.kind])
    translated: Translated = kind.translated(project, job.name, definition, source, table)
    batches = connect().sql(translated.sql).to_arrow_table().to_batches()
    left_out: Counter[str] = Counter()
    return translated.mapped, [translated.events_of(batch, left_out) for batch in batches]


def _text(value: object) -> str | None:
    if value is None:
        return None
    return str(value)


def _unreadable(error: Exception) -> InputError:
    assert isinstance(error, duckdb.Error)
    what = str(error).strip().partition("\n")[0]
    return InputError(what, "quarantine", "import the file again")
