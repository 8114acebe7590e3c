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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import msgspec
import pyarrow

from liftwerk.connectors.bad_rows import (
    About,
    demand_quality,
    in_columns,
    rejected_rows,
    table_of,
)
from liftwerk.connectors.definition import format_of
from liftwerk.connectors.exports import KINDS as EXPORTS
from liftwerk.connectors.exports.lines import count
from liftwerk.connectors.exports.lines import opened as lines_opened
from liftwerk.connectors.exports.translated import Bodies, Translated
from liftwerk.connectors.files import files_of
from liftwerk.connectors.job import Imported, ImportJob, first_places, listed
from liftwerk.connectors.judge import Judged, Judgement
from liftwerk.connectors.kinds import KINDS
from liftwerk.connectors.mapping import ROW, Mapped, compile_mapping, wanted_columns
from liftwerk.connectors.progress import Notes, Pace, Reached, notes
from liftwerk.connectors.rows import Rows
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of

PIECE = 50_000
"""Rows that are judged and kept at once."""

BACKLOG = 400_000
"""Events after which the inbox is sorted into tables."""

PERSON = ("user_id", "user_pseudo_id", "userId", "anonymousId", "anonymous_id", "email")
"""Fields of an export's line that say who it is about."""


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
            events=listed(events),
            duplicates=self.duplicates,
            quarantined=sum(self.reasons.values()),
            erased=self.erased,
            reasons=dict(self.reasons.most_common()),
            examples=self.examples,
            left_out=dict(self.left_out.most_common()),
        )


def import_history(job: ImportJob, piece: int = PIECE) -> Imported:
    """Import what is left of many files, and sort it into tables on the way.

    Parameters
    ----------
    job : ImportJob
        It is told how far it is, how fast it goes and how long it takes.
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
    files = files_of(job.project.root, job.definition, job.file)
    history = _History(job, piece)
    pace = Pace(files, job.clock)
    with notes(job.project, job.stores, job.name, job.clock) as noted:
        for place, one in enumerate(files):
            history.take(one, place, pace, noted)
        if not job.dry_run:
            history.compact()
    return history.total.said(job.dry_run)


class _History:
    """One run over the files of an import."""

    def __init__(self, job: ImportJob, piece: int) -> None:
        self.job = job
        self.definition = job.definition
        self.schema = schema_of(job.project)
        self.piece = piece
        self.total = _Total()
        self.backlog = 0

    def take(self, file: Path, place: int, pace: Pace, noted: Notes) -> None:
        """Import what is left of one file."""
        label = self._label(file)
        reached = noted.reached(file)
        if self.job.dry_run:
            reached = Reached()
        self.job.tell(pace.say(place, 0.0, 0))
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
                demand_quality(self.job, label, judged.bad, after.bad, after.rows)
                self.total.add(judged, label)
                if not self.job.dry_run:
                    self._keep(judged, rows, (label, range(reached.rows + 1, last + 1)))
                    noted.note(file, after)
                self.job.tell(pace.say(place, last / many, last - reached.rows))
                reached = after

    def compact(self) -> None:
        """Sort what is in the inbox into tables."""
        done = compact(self.job.project, self.job.stores, self.job.clock)
        self.total.new.update(done.events)
        self.total.duplicates += done.duplicates
        self.total.reasons.update(done.quarantined)
        self.backlog = 0

    def _label(self, file: Path) -> str:
        root = self.job.project.root
        if file.is_relative_to(root):
            return str(file.relative_to(root))
        return str(file)

    def _opened(self, file: Path, label: str, scratch: Path) -> tuple[Rows, Translated]:
        definition, project, name = self.definition, self.job.project, self.job.name
        if definition.kind != "rows":
            kind = importlib.import_module(EXPORTS[definition.kind])
            rows = lines_opened(file, label, definition, scratch)
            table = table_of(label)
            translated: Translated = kind.translated(project, name, definition, rows, table)
            return rows, translated
        format_ = definition.format
        if format_ is None:
            format_ = format_of(file.name)
        reader = importlib.import_module(KINDS[str(format_ or "csv")])
        rows = reader.opened(file, label, definition, wanted_columns(definition), scratch)
        mapped = compile_mapping(self.schema, name, definition, rows, self.job.controls)
        return rows, Translated(mapped.sql, _as_they_are, mapped)

    def _pieces(
        self, rows: Rows, translated: Translated, after: int
    ) -> Iterator[tuple[int, Bodies]]:
        """Yield pieces behind a row: the number of the last one, and the events of each."""
        connection = self.job.connect()
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
        now, buried = self.job.clock.now(), self.job.stores.ledger.buried()
        judgement = Judgement(self.schema, self.definition.source, now, buried, mapped)
        return judgement.of([bodies])

    def _keep(self, judged: Judged, rows: Rows, piece: tuple[str, range]) -> None:
        """Append a piece, its bad rows to the quarantine."""
        stores = self.job.stores
        if judged.bad:
            rejected = rejected_rows(self.job, rows, judged.bad, self._about(), piece)
            kept = judged.spare_the_erased(self.schema, rejected, stores.ledger.buried())
            stores.inbox.quarantine_put(kept)
        if judged.admitted:
            stores.inbox.append([row for _, row in judged.admitted])
        self.backlog += len(judged.admitted)
        if self.backlog >= BACKLOG:
            self.job.tell("sort new events into tables")
            self.compact()

    def _about(self) -> About:
        if self.definition.kind == "rows":
            return in_columns(self.definition.identifiers)
        return _in_line


def _in_line(row: Mapping[str, object]) -> dict[str, object]:
    """Find identifiers in an export's line, as far as it is one."""
    try:
        said = msgspec.json.decode(str(row["line"]))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {name: said[name] for name in PERSON if said.get(name) is not None}


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
