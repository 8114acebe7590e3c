"""A file of whole events (NDJSON, one envelope a line) goes through the same admission."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from liftwerk.clock import Clock
from liftwerk.connectors.import_file import CHUNK, Imported, demand_quality, settle
from liftwerk.connectors.judge import Judged, Judgement
from liftwerk.connectors.kinds.ndjson import lines_of
from liftwerk.connectors.mapping import Mapped
from liftwerk.connectors.rows import found, readable
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.admit import source_named
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores

_NO_MAPPING = Mapped("", ({},), (frozenset(),))


def import_events(
    project: Project, stores: Stores, file: Path, source: str, clock: Clock
) -> Imported:
    """Import a file of events into the inbox.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    file : pathlib.Path
        NDJSON, plain or gzipped.
    source : str
        The declared source; its trust is that of its key, whatever the events say.
    clock : Clock

    Returns
    -------
    Imported
        A row is a line.

    Raises
    ------
    UnknownName
        If the source is not declared.
    InputError
        If the file is missing, damaged or empty; nothing was written.
    TooManyBadRows
        If more lines are bad than the project allows; nothing was published.
    """
    schema = schema_of(project)
    source_named(schema, source)
    label = str(file)
    now = clock.now()
    found(file, label)
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        plain, _ = readable(file, label, "utf-8", Path(scratch))
        buried = stores.ledger.buried()
        judgement = Judgement(schema, source, now, buried, _NO_MAPPING)
        judged = judgement.of(_chunks(plain))
        if judged.rows == 0:
            raise InputError("the file is empty", label, "export it again")
        compact(project, stores, clock)
        judged.hold_against(stores)
        bad_lines = _rejected(plain, source, judged, now)
        rejected = judged.spare_the_erased(schema, bad_lines, buried)
        demand_quality(project, judged, label)
    return settle(stores, judged, rejected)


def _chunks(file: Path) -> Iterator[list[tuple[int, tuple[str | bytes, ...]]]]:
    chunk: list[tuple[int, tuple[str | bytes, ...]]] = []
    for number, line in lines_of(file):
        chunk.append((number, (line,)))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _rejected(file: Path, source: str, judged: Judged, now: datetime) -> dict[int, Rejected]:
    if not judged.bad:
        return {}
    return {
        number: Rejected(source, now, judged.bad[number].reason, f"line {number}", line)
        for number, line in lines_of(file)
        if number in judged.bad
    }
