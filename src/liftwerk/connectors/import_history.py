"""Years of files become events piece by piece, each once, and go on where they stopped.

Each piece is judged row by row as one file is, goes to the inbox, and is noted. A kill between the
two repeats a piece: ids are made from what the rows say, so the sequencer drops what it knows, and
so it does with two exports that overlap. A file in which more rows are bad than ``[import]
max_bad`` stops the import before the piece that was too much; what was before it stays.
"""

from __future__ import annotations

import importlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import duckdb
import msgspec
import pyarrow

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS, ImportDefinition, format_of
from liftwerk.connectors.exports import KINDS as EXPORTS
from liftwerk.connectors.exports.lines import count
from liftwerk.connectors.exports.lines import opened as lines_opened
from liftwerk.connectors.exports.translated import Bodies, Translated
from liftwerk.connectors.files import files_of
from liftwerk.connectors.import_file import Imported, first_places
from liftwerk.connectors.judge import Judged, Judgement
from liftwerk.connectors.kinds import KINDS
from liftwerk.connectors.mapping import ROW, Mapped, compile_mapping, numbered, wanted_columns
from liftwerk.connectors.progress import Notes, Pace, Reached, notes
from liftwerk.connectors.rows import Rows
from liftwerk.definitions.project import Project
from liftwerk.errors import TooManyBadRows
from liftwerk.events.compact import compact
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.schema import schema_of
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores

PIECE = 50_000
"""Rows that are judged and kept at once."""

BACKLOG = 400_000
"""Events after which the inbox is sorted into tables."""

Tell = Callable[[str], None]


@dataclass
class _Total:
    """What was seen so far, in all files."""

    rows: int = 0
    admitted: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    erased: int = 0
    duplicates: int = 0

    def add(self, judged: Judged, label: str) -> None:
        self.rows += judged.rows
        self.admitted.update(row.name for _, row in judged.admitted)
        self.erased += len(judged.erased)
        self.reasons.update(bad.reason for bad in judged.bad.values())
        for reason, where in first_places(judged.bad).items():
            self.examples.setdefault(reason, f"{label}, {where}")

    def said(self, dry_run: bool) -> Imported:
        events = self.admitted
        if not dry_run:
            events = Counter({name: self.new[name] for name in self.admitted})
        return Imported(
            rows=self.rows,
            events={name: many for name, many in sorted(events.items()) if many},
            duplicates=self.duplicates,
            quarantined=sum(self.reasons.values()),
            erased=self.erased,
            reasons=dict(self.reasons.most_common()),
            examples=self.examples,
            left_out=dict(self.left_out.most_common()),
        )


def import_history(
    project: Project,
    stores: Stores,
    name: str,
    clock: Clock,
    controls: Mapping[str, str],
    file: Path | None = None,
    tell: Tell = lambda doing: None,
    dry_run: bool = False,
    piece: int = PIECE,
) -> Imported:
    """Import what is left of many files, and sort it into tables on the way.

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
        A file or a folder instead of the declared one.
    tell : callable, optional
        Told how far it is, how fast it goes and how long it takes.
    dry_run : bool
        Read all of it, judge, and keep nothing.
    piece : int
        Rows that are judged and kept at once.

    Returns
    -------
    Imported
        Of the rows that were read now: those that were in by an earlier call are not counted.

    Raises
    ------
    InputError
        If a file is missing, damaged or not as declared; what was before it stays.
    TooManyBadRows
        If more rows of a file are bad than the project allows; the piece is not kept.
    HomeInUse
        If the same import is under way.
    """
    definition = project.lookup(IMPORTS, name)
    files = files_of(project.root, definition, file)
    history = _History(project, stores, name, definition, clock, controls, tell, dry_run, piece)
    pace = Pace(files, clock)
    with notes(project, stores, name, clock) as noted:
        for place, one in enumerate(files):
            history.take(one, place, pace, noted)
        if not dry_run:
            history.compact()
    return history.total.said(dry_run)


class _History:
    """One run over the files of an import."""

    def __init__(
        self,
        project: Project,
        stores: Stores,
        name: str,
        definition: ImportDefinition,
        clock: Clock,
        controls: Mapping[str, str],
        tell: Tell,
        dry_run: bool,
        piece: int,
    ) -> None:
        self.project = project
        self.stores = stores
        self.name = name
        self.definition = definition
        self.clock = clock
        self.controls = controls
        self.tell = tell
        self.dry_run = dry_run
        self.piece = piece
        self.total = _Total()
        self.backlog = 0

    def take(self, file: Path, place: int, pace: Pace, noted: Notes) -> None:
        """Import what is left of one file."""
        label = _label(self.project.root, file)
        reached = noted.reached(file)
        if self.dry_run:
            reached = Reached()
        self.tell(pace.say(place, 0.0, 0))
        with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
            rows, translated = self._opened(file, label, Path(scratch))
            many = count(rows)
            if reached.rows >= many:
                return
            for last, bodies in self._pieces(rows, translated, reached.rows):
                judged = self._judged(bodies, translated.mapped)
                # Rows of no event are rows too: what is bad is a share of all that were read.
                judged.rows = last - reached.rows
                after = Reached(last, reached.bad + len(judged.bad))
                self._demand_quality(judged, after, label)
                self.total.add(judged, label)
                if not self.dry_run:
                    self._keep(judged, rows, reached.rows, last, label)
                    noted.note(file, after)
                self.tell(pace.say(place, last / many, last - reached.rows))
                reached = after

    def compact(self) -> None:
        """Sort what is in the inbox into tables."""
        done = compact(self.project, self.stores, self.clock)
        self.total.new.update(done.events)
        self.total.duplicates += done.duplicates
        self.total.reasons.update(done.quarantined)
        self.backlog = 0

    def _opened(self, file: Path, label: str, scratch: Path) -> tuple[Rows, Translated]:
        definition = self.definition
        if definition.kind != "rows":
            kind = importlib.import_module(EXPORTS[definition.kind])
            rows = lines_opened(file, label, definition, scratch)
            table = table_of(label)
            translated: Translated = kind.translated(
                self.project, self.name, definition, rows, table
            )
            return rows, translated
        format_ = definition.format
        if format_ is None:
            format_ = format_of(file.name)
        reader = importlib.import_module(KINDS[str(format_ or "csv")])
        rows = reader.opened(file, label, definition, wanted_columns(definition), scratch)
        schema = schema_of(self.project)
        mapped = compile_mapping(schema, self.name, definition, rows, self.controls)
        return rows, Translated(mapped.sql, _as_they_are, mapped)

    def _pieces(
        self, rows: Rows, translated: Translated, after: int
    ) -> Iterator[tuple[int, Bodies]]:
        """Yield pieces behind a row: the number of the last one, and the events of each."""
        connection = connect()
        connection.execute(f"SET TimeZone = {text(self.project.timezone.key)}")
        try:
            found = connection.sql(f"SELECT * FROM ({translated.sql}) WHERE {ROW} > {after}")
            for batch in _whole_pieces(found.to_arrow_reader(self.piece), self.piece):
                last = batch.column(0)[-1].as_py()
                yield last, translated.events_of(batch, self.total.left_out)
        except duckdb.Error as error:
            raise rows.explain(error) from None
        finally:
            connection.close()

    def _judged(self, bodies: Bodies, mapped: Mapped) -> Judged:
        schema, source = schema_of(self.project), self.definition.source
        buried = self.stores.ledger.buried()
        judgement = Judgement(schema, source, self.clock.now(), buried, mapped)
        return judgement.of([bodies])

    def _demand_quality(self, judged: Judged, after: Reached, label: str) -> None:
        allowed = self.project.get(IMPORT_LIMITS).max_bad
        if Fraction(after.bad, max(after.rows, 1)) <= allowed.exact:
            return
        what = f"{after.bad} of the first {after.rows} rows are bad, {allowed} are allowed"
        said = [f"{reason} (first in {at})" for reason, at in first_places(judged.bad).items()]
        raise TooManyBadRows(what, label, "; ".join(said[:3]))

    def _keep(self, judged: Judged, rows: Rows, after: int, last: int, label: str) -> None:
        """Append a piece, its bad rows to the quarantine."""
        if judged.bad:
            rejected = self._rejected(judged, rows, after, last, label)
            schema, buried = schema_of(self.project), self.stores.ledger.buried()
            self.stores.inbox.quarantine_put(judged.spare_the_erased(schema, rejected, buried))
        if judged.admitted:
            self.stores.inbox.append([row for _, row in judged.admitted])
        self.backlog += len(judged.admitted)
        if self.backlog >= BACKLOG:
            self.tell("sort new events into tables")
            self.compact()

    def _rejected(
        self, judged: Judged, rows: Rows, after: int, last: int, label: str
    ) -> dict[int, Rejected]:
        """Fetch a piece's bad rows as they stand in the file."""
        columns = ", ".join(f"{text(column)}, {quoted(column)}" for column in rows.columns)
        numbers = ", ".join(map(str, sorted(judged.bad)))
        connection = connect()
        found = connection.execute(
            f"SELECT {ROW}, json_object({columns})::VARCHAR FROM (SELECT * FROM ({numbered(rows)})"
            f" LIMIT {last - after} OFFSET {after}) WHERE {ROW} IN ({numbers}) ORDER BY {ROW}"
        ).fetchall()
        connection.close()
        now = self.clock.now()
        rejected = {}
        for number, said in found:
            bad, values = judged.bad[number], msgspec.json.decode(said)
            body = {
                "import": self.name,
                "row": number,
                "table": table_of(label),
                "identifiers": self._identifiers(values),
                "columns": values,
            }
            where = f"{label}, {bad.where(number)}"
            encoded = msgspec.json.encode(body)
            rejected[number] = Rejected(self.definition.source, now, bad.reason, where, encoded)
        return rejected

    def _identifiers(self, values: Mapping[str, object]) -> dict[str, object]:
        """Say who a bad row is about, as far as it says: erasure looks for it there."""
        if self.definition.kind == "rows":
            return {key: values[at] for key, at in self.definition.identifiers.items()}
        try:
            said = msgspec.json.decode(str(values["line"]))
        except (ValueError, RecursionError):
            return {}
        if not isinstance(said, dict):
            return {}
        fields = ("user_id", "user_pseudo_id", "userId", "anonymousId", "anonymous_id", "email")
        return {field: said[field] for field in fields if said.get(field) is not None}


def _whole_pieces(
    batches: Iterable[pyarrow.RecordBatch], many: int
) -> Iterator[pyarrow.RecordBatch]:
    """Put batches together until a piece is full: some files come in many small ones."""
    waiting: list[pyarrow.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= many:
            yield pyarrow.concat_batches(waiting)
            waiting = []
    if waiting and sum(one.num_rows for one in waiting):
        yield pyarrow.concat_batches(waiting)


def _as_they_are(batch: pyarrow.RecordBatch, left_out: Counter[str]) -> Bodies:
    numbers, *events = (column.to_pylist() for column in batch.columns)
    return list(zip(numbers, zip(*events, strict=True), strict=True))


def table_of(label: str) -> str:
    """Name the table that a file was exported from: a warehouse's have the events' names."""
    return Path(label).name.partition(".")[0]


def _label(root: Path, file: Path) -> str:
    if file.is_relative_to(root):
        return str(file.relative_to(root))
    return str(file)
