"""``[import]`` and ``[imports.NAME]``: how a file's rows become events."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from liftwerk.connectors.forms import check_form
from liftwerk.definitions.decode import instant
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named, one
from liftwerk.definitions.typed import Duration, Share
from liftwerk.events.definition import SOURCES, EventDefinition, known_events
from liftwerk.identity.definition import IDENTIFIERS
from liftwerk.privacy.definition import PURPOSES

Format = Literal["csv", "parquet", "ndjson"]
Kind = Literal["rows", "ga4", "segment"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".ndjson.gz": "ndjson",
    ".json": "ndjson",
    ".json.gz": "ndjson",
}
"""Ending of a file's name -> its format."""

DECISION = "decision_made"
"""The reserved event whose mapping has keys of its own."""


class ImportLimits(Struct, frozen=True):
    """``[import]``.

    Attributes
    ----------
    max_bad : Share
        With a larger share of quarantined rows nothing is published.
    """

    max_bad: Share = Share("1%")


class Cell(Struct, frozen=True):
    """Where a value comes from: a column, translated or not, or one value for every row.

    Short form: the column's name.

    Attributes
    ----------
    column : str or None
        The column.
    map : dict of str to str, or None
        What the column says -> what is meant; a row that says anything else is quarantined.
    value : str or None
        One value for every row, instead of a column.
    """

    column: str | None = None
    map: dict[str, str] | None = None
    value: str | None = None

    def __post_init__(self) -> None:
        if (self.column is None) == (self.value is None):
            raise ValueError("name either a column or a value")
        if self.value is not None and self.map is not None:
            raise ValueError("map is for a column")

    @classmethod
    def shorthand(cls, text: str) -> Cell:
        """Read a column's name."""
        return cls(column=text)


class Moment(Struct, frozen=True):
    """When something happened: one instant for every row, or a column.

    Short form: the instant.

    Attributes
    ----------
    at : datetime or None
        The instant, in UTC.
    column : str or None
        The column that holds it.
    """

    at: datetime | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if (self.at is None) == (self.column is None):
            raise ValueError("name either an instant or a column")

    @classmethod
    def shorthand(cls, text: str) -> Moment:
        """Read an instant."""
        return cls(at=instant(text))


class KnownAt(Struct, frozen=True):
    """When something was known: a delay after it happened, or a column.

    Short form: the delay.

    Attributes
    ----------
    delay : Duration
        Time from event to knowledge.
    column : str or None
        The column that holds when it was known, instead of a delay.
    """

    delay: Duration = Duration("0s")
    column: str | None = None

    @classmethod
    def shorthand(cls, text: str) -> KnownAt:
        """Read a delay."""
        return cls(delay=Duration(text))


class Probability(Struct, frozen=True):
    """The probability an action was drawn with: one for every row, or a column.

    Short form: the probability.

    Attributes
    ----------
    value : Share or None
        The probability.
    column : str or None
        The column that holds it.
    """

    value: Share | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.column is None):
            raise ValueError("name either a probability or a column")
        if self.value is not None and self.value.exact == 0:
            raise ValueError("a probability is above 0: an action never drawn teaches nothing")

    @classmethod
    def shorthand(cls, text: str) -> Probability:
        """Read a probability."""
        return cls(value=Share(text))


class When(Struct, frozen=True):
    """The rows that make an event.

    Attributes
    ----------
    column : str
        The column to look at.
    equals : str
        What it must say, as text.
    """

    column: str
    equals: str


class ImportConsent(Struct, frozen=True):
    """The consent that every row of the file was collected with.

    Attributes
    ----------
    granted : tuple of str
        Purposes.
    version : str
        Version of the text that was agreed to.
    at : datetime
        When it was given, in UTC.
    source : str
        Where the consent is recorded.
    """

    granted: tuple[str, ...]
    version: str
    at: datetime
    source: Literal["import", "tcf", "gcm", "api"] = "import"


class ImportEvent(Struct, frozen=True):
    """One event that a row makes.

    Attributes
    ----------
    event : str
        The event's name.
    time : Moment
        When it happened.
    known_at : KnownAt
        When it was known.
    when : When or None
        Only rows that say so make it.
    answers : str or None
        The event of the same row whose id becomes this event's ``decision``.
    properties : dict of str to Cell
        Property -> where it comes from.
    placement, action, eligible, probability
        Only for ``decision_made``: where, what was drawn, from what, how likely it was.
    """

    event: str
    time: Moment
    known_at: KnownAt = KnownAt()
    when: When | None = None
    answers: str | None = None
    properties: dict[str, Cell] = {}
    placement: str | None = None
    action: Cell | None = None
    eligible: tuple[str, ...] = ()
    probability: Probability | None = None


class ImportDefinition(Struct, frozen=True):
    """``[imports.NAME]``: files, and the events or the entity that their rows make.

    Attributes
    ----------
    source : str
        The source the events are told by.
    file : str
        The file, relative to the project's folder; or many: a folder, or a pattern such as
        ``exports/*.parquet``, which are imported piece by piece and go on where they stopped.
    kind : str
        What a row is: ``rows`` are mapped by ``events`` or ``entity``; ``ga4`` is Google
        Analytics' BigQuery export, ``segment`` Segment's calls or warehouse rows.
    key : tuple of str
        Columns that name a row; with the event's name they make the event's id.
    identifiers : dict of str to str
        Namespace -> column.
    events : tuple of ImportEvent
        The events a row makes.
    entity : str or None
        The entity that the rows are about, instead of events.
    properties : dict of str to Cell
        Property of the entity -> where it comes from; what is not here has its own name.
    valid_from : Moment or None
        From when an entity's row holds; None: from the import on.
    known_at : KnownAt or None
        When it was known. An entity's row: a delay after ``valid_from`` or a column, None: since
        the import. An export's event: a delay after it happened, None: at once.
    names : dict of str to str
        Of an export: name of an event there -> here; beside the built-in ones. An empty one leaves
        it out.
    fields : dict of str to dict of str to str
        Of an export: event -> property -> where it is there, beside the built-in places.
    consent : ImportConsent or None
        The consent the rows were collected with; None: nothing was granted.
    format : str or None
        The file's format; None: by its ending.
    delimiter : str
        Between the columns of a CSV file.
    encoding : str
        Of a CSV or NDJSON file.
    description : str
        What it is.
    """

    source: str
    file: str
    kind: Kind = "rows"
    key: tuple[str, ...] = ()
    identifiers: dict[str, str] = {}
    events: tuple[ImportEvent, ...] = ()
    entity: str | None = None
    properties: dict[str, Cell] = {}
    valid_from: Moment | None = None
    known_at: KnownAt | None = None
    names: dict[str, str] = {}
    fields: dict[str, dict[str, str]] = {}
    consent: ImportConsent | None = None
    format: Format | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    description: str = ""

    @property
    def file_format(self) -> Format | None:
        """The format, declared or by the file's ending; None when it has no known one."""
        if self.format is not None:
            return self.format
        return format_of(self.file)

    @property
    def is_history(self) -> bool:
        """Whether it is many files, or an export: imported piece by piece, resumable."""
        is_many = any(sign in self.file for sign in "*?[") or self.file.endswith("/")
        return self.kind != "rows" or is_many


def format_of(file: str) -> Format | None:
    """Tell a file's format by its ending; None when it has no known one."""
    for ending, format_ in FORMATS.items():
        if file.lower().endswith(ending):
            return format_
    return None


def _check(project: Project) -> Iterable[Problem]:
    for name, definition in project.get(IMPORTS).items():
        path: Path = ("imports", name)
        sources = project.get(SOURCES)
        if definition.source not in sources:
            yield project.unknown((*path, "source"), definition.source, sources)
        elif sources[definition.source].kind != "file":
            hint = f'sources.{definition.source} needs kind = "file"'
            yield project.problem((*path, "source"), hint, definition.source)
        if definition.file_format is None and not definition.is_history:
            hint = 'add format = "csv", "parquet" or "ndjson"; a folder ends in /'
            yield project.problem((*path, "file"), hint, definition.file)
        if len(definition.delimiter) != 1:
            yield project.problem((*path, "delimiter"), "write one character", definition.delimiter)
        if not _is_encoding(definition.encoding):
            hint = 'write an encoding such as "utf-8" or "latin-1"'
            yield project.problem((*path, "encoding"), hint, definition.encoding)
        yield from check_form(project, path, definition)
        for namespace in definition.identifiers:
            identifiers = project.get(IDENTIFIERS)
            if namespace not in identifiers:
                yield project.unknown_key((*path, "identifiers", namespace), identifiers)
        if definition.consent is not None:
            purposes = project.get(PURPOSES)
            for place, purpose in enumerate(definition.consent.granted):
                granted = (*path, "consent", "granted", place)
                if purpose not in purposes:
                    yield project.unknown(granted, purpose, purposes)
        if definition.kind == "rows" and definition.entity is None:
            yield from _check_rows(project, path, definition)


def _check_rows(project: Project, path: Path, definition: ImportDefinition) -> Iterable[Problem]:
    if not definition.key:
        hint = "name the columns that make a row's id"
        yield project.problem((*path, "key"), hint, definition.key)
    if not definition.identifiers:
        hint = 'name a namespace and its column, { customer_id = "customer" }'
        yield project.problem(
            (*path, "identifiers"), hint, what=f"{dotted(path)} has no identifiers"
        )
    yield from _check_events(project, path, definition)


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _check_events(project: Project, path: Path, definition: ImportDefinition) -> Iterable[Problem]:
    declared = known_events(project)
    made = [event.event for event in definition.events]
    if not made:
        what = f"{dotted(path)} makes no events"
        yield project.problem(path, f"add [[{dotted(path)}.events]]", what=what)
    for place, event in enumerate(definition.events):
        here: Path = (*path, "events", place)
        if event.event not in declared:
            yield project.unknown((*here, "event"), event.event, declared)
            continue
        if made.index(event.event) != place:
            hint = "a row makes an event once: its id is made from the key and the event's name"
            yield project.problem((*here, "event"), hint, event.event)
            continue
        if event.answers is not None and event.answers not in made:
            yield project.unknown((*here, "answers"), event.answers, made)
        elif event.answers is not None and event.answers != DECISION:
            hint = f"only a decision can be answered: {DECISION!r}"
            yield project.problem((*here, "answers"), hint, event.answers)
        if event.event == DECISION:
            yield from _check_decision(project, here, event)
        else:
            yield from _check_fact(project, here, event, declared[event.event])


def _check_decision(project: Project, path: Path, event: ImportEvent) -> Iterable[Problem]:
    given = {
        "placement": event.placement is not None,
        "action": event.action is not None,
        "eligible": bool(event.eligible),
        "probability": event.probability is not None,
    }
    for key, is_given in given.items():
        if not is_given:
            what = f"{dotted((*path, key))} is missing"
            hint = f"a {DECISION} needs placement, action, eligible and probability"
            yield project.problem((*path, key), hint, what=what)
    properties = known_events(project)[DECISION].properties
    for key in event.properties:
        here = (*path, "properties", key)
        if key == "control_action":
            what = f"{dotted(here)} is not mapped"
            yield project.problem(here, "leave it out: the placement declares it", what=what)
        elif key in given:
            what = f"{dotted(here)} is in the wrong place"
            yield project.problem(here, f"write {key} beside event", what=what)
        elif key not in properties:
            yield project.unknown_key(here, properties)


def _check_fact(
    project: Project, path: Path, event: ImportEvent, declared: EventDefinition
) -> Iterable[Problem]:
    for key in ("placement", "action", "eligible", "probability"):
        if getattr(event, key):
            what = f"{dotted((*path, key))} is only for {DECISION}"
            yield project.problem((*path, key), f"leave it out of {event.event!r}", what=what)
    for key in event.properties:
        if key not in declared.properties:
            yield project.unknown_key((*path, "properties", key), declared.properties)
    for key, definition in declared.properties.items():
        if definition.required and key not in event.properties:
            what = f"{dotted((*path, 'properties', key))} is missing"
            hint = f"{event.event!r} requires it: name its column"
            yield project.problem((*path, "properties", key), hint, what=what)


IMPORT_LIMITS = one("import", ImportLimits)
IMPORTS = named("imports", ImportDefinition, _check)
