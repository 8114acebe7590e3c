"""A declared file becomes events in the inbox, or nothing happens at all.

The file is read through first: what is not whole is refused before anything is written. Then every
row is judged as a whole: if one of its events is refused, or has an id that is kept with other
content, none of them goes in, since half a customer would teach something wrong. Bad rows rest in
quarantine with their reason; more of them than ``[import] max_bad`` and nothing is kept.
"""

from __future__ import annotations

import importlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import duckdb
import msgspec
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS, ImportDefinition
from liftwerk.connectors.judge import Bad, Judged, Judgement
from liftwerk.connectors.kinds import KINDS
from liftwerk.connectors.mapping import (
    ROW,
    Mapped,
    compile_mapping,
    numbered,
    wanted_columns,
)
from liftwerk.connectors.rows import Rows
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, TooManyBadRows
from liftwerk.events.compact import compact
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.schema import schema_of
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores

CHUNK = 4096
"""Rows that are fetched at once."""

SHOWN = 3
"""Reasons that are named when a whole file is refused."""

Tell = Callable[[str], None]


class Imported(Struct, frozen=True):
    """What became of a file.

    Attributes
    ----------
    rows : int
        Rows in the file.
    events : dict of str to int
        Event -> how many went into the inbox.
    duplicates : int
        Events that were there already, with the same content.
    quarantined : int
        Rows that went to quarantine.
    erased : int
        Rows about erased customers, left out.
    reasons : dict of str to int
        Why rows were quarantined, the most frequent first.
    examples : dict of str to str
        Reason -> the first place it was met in.
    left_out : dict of str to int
        Why rows of an export make no event, and how many.
    """

    rows: int
    events: dict[str, int]
    duplicates: int
    quarantined: int
    erased: int
    reasons: dict[str, int]
    examples: dict[str, str] = {}
    left_out: dict[str, int] = {}

    @classmethod
    def of(
        cls,
        judged: Judged,
        events: Mapping[str, int],
        duplicates: int,
        erased: int,
        left_out: Mapping[str, int] | None = None,
    ) -> Imported:
        """Count what was judged."""
        return cls(
            rows=judged.rows,
            events={name: many for name, many in sorted(events.items()) if many},
            duplicates=duplicates,
            quarantined=len(judged.bad),
            erased=erased,
            reasons=_counted(judged.bad),
            examples=first_places(judged.bad),
            left_out=dict(sorted((left_out or {}).items())),
        )


def import_file(
    project: Project,
    stores: Stores,
    name: str,
    clock: Clock,
    controls: Mapping[str, str],
    file: Path | None = None,
    tell: Tell = lambda doing: None,
    dry_run: bool = False,
) -> Imported:
    """Import a declared file into the inbox; `liftwerk.events.compact` makes it readable.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    name : str
        The import.
    clock : Clock
    controls : mapping of str to str
        Placement -> its control action.
    file : pathlib.Path, optional
        Read instead of the declared file.
    tell : callable, optional
        Told what is being done.
    dry_run : bool
        Judge, and keep nothing; what is still in the inbox is not compared with.

    Returns
    -------
    Imported
        Importing the same file again changes nothing.

    Raises
    ------
    UnknownName
        If no such import is declared.
    InputError
        If the file is missing, damaged or not as declared; nothing was written.
    TooManyBadRows
        If more rows are bad than the project allows; nothing was published.
    """
    schema = schema_of(project)
    definition = project.lookup(IMPORTS, name)
    label = definition.file
    path = project.root / definition.file
    if file is not None:
        label, path = str(file), file
    now = clock.now()
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        tell(f"reading {label}")
        kind = importlib.import_module(KINDS[definition.file_format or "csv"])
        rows: Rows = kind.opened(path, label, definition, wanted_columns(definition), Path(scratch))
        mapped = compile_mapping(schema, name, definition, rows, controls)
        buried = stores.ledger.buried()
        judgement = Judgement(schema, definition.source, now, buried, mapped)
        judged = judgement.of(bodies_of(project, rows, mapped))
        if judged.rows == 0:
            raise InputError("no rows under the header", label, "export it again")
        if not dry_run:
            # What is still in the inbox must be compared with too.
            compact(project, stores, clock)
        judged.hold_against(stores)
        bad_rows = rejected_rows(definition, name, rows, judged, now, definition.identifiers)
        rejected = judged.spare_the_erased(schema, bad_rows, buried)
        demand_quality(project, judged, label)
    if dry_run:
        return _said(judged)
    tell(f"writing {sum(judged.events.values())} events")
    return settle(stores, judged, rejected)


def settle(stores: Stores, judged: Judged, rejected: Sequence[Rejected]) -> Imported:
    """Write what was judged, and say what became of it."""
    if rejected:
        stores.inbox.quarantine_put(rejected)
    if judged.new_rows:
        stores.inbox.append(judged.new_rows)
    return _said(judged)


def _said(judged: Judged) -> Imported:
    return Imported.of(judged, judged.events, judged.duplicates, len(judged.erased))


def bodies_of(
    project: Project, rows: Rows, mapped: Mapped
) -> Iterator[list[tuple[int, tuple[str | None, ...]]]]:
    """Return chunks of rows: each its number, and the JSON of its events or None."""
    connection = connect()
    connection.execute(f"SET TimeZone = {text(project.timezone.key)}")
    try:
        connection.execute(mapped.sql)
        while chunk := connection.fetchmany(CHUNK):
            yield [(row[0], row[1:]) for row in chunk]
    except duckdb.Error as error:
        raise rows.explain(error) from None
    finally:
        connection.close()


def rejected_rows(
    definition: ImportDefinition,
    name: str,
    rows: Rows,
    judged: Judged,
    now: datetime,
    identifiers: Mapping[str, str],
) -> dict[int, Rejected]:
    """Fetch the bad rows as they stand in the file, for the quarantine.

    ``identifiers`` says in which columns they are, by namespace: erasure looks for them there.
    """
    if not judged.bad:
        return {}
    connection = connect()
    numbers = sorted(judged.bad)
    columns = ", ".join(f"{text(column)}, {quoted(column)}" for column in rows.columns)
    found = connection.execute(
        f"SELECT {ROW}, json_object({columns})::VARCHAR FROM ({numbered(rows)})"
        f" SEMI JOIN (SELECT unnest(?::BIGINT[]) AS {ROW}) USING ({ROW}) ORDER BY {ROW}",
        [numbers],
    ).fetchall()
    rejected = {}
    for number, said in found:
        bad = judged.bad[number]
        values = msgspec.json.decode(said)
        body = {
            "import": name,
            "row": number,
            "identifiers": {key: values[at] for key, at in identifiers.items()},
            "columns": values,
        }
        encoded = msgspec.json.encode(body)
        where = bad.where(number)
        rejected[number] = Rejected(definition.source, now, bad.reason, where, encoded)
    return rejected


def demand_quality(project: Project, judged: Judged, label: str) -> None:
    """Refuse a file with more bad rows than the project allows.

    Raises
    ------
    TooManyBadRows
    """
    allowed = project.get(IMPORT_LIMITS).max_bad
    if Fraction(len(judged.bad), judged.rows) <= allowed.exact:
        return
    what = f"{len(judged.bad)} of {judged.rows} rows are bad, {allowed} are allowed"
    raise TooManyBadRows(what, label, "; ".join(_worst(judged.bad)))


def _worst(bad: Mapping[int, Bad]) -> Iterator[str]:
    """Say the most frequent reasons, each with the first row it was met in."""
    first = first_places(bad)
    for reason, many in Counter(one.reason for one in bad.values()).most_common(SHOWN):
        yield f"{many} x {reason} (first in {first[reason]})"


def first_places(bad: Mapping[int, Bad]) -> dict[str, str]:
    """Say in which row each reason was met first."""
    first: dict[str, str] = {}
    for number in sorted(bad):
        first.setdefault(bad[number].reason, bad[number].where(number))
    return first


def _counted(bad: Mapping[int, Bad]) -> dict[str, int]:
    return dict(Counter(one.reason for one in bad.values()).most_common())
