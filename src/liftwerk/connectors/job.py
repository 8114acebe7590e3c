"""One import as it was asked for, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORTS, ImportDefinition
from liftwerk.connectors.judge import Bad, Judged
from liftwerk.definitions.project import Project
from liftwerk.events.engine import connect, text
from liftwerk.store.stores import Stores

Tell = Callable[[str], None]


@dataclass(frozen=True)
class ImportJob:
    """A declared import that somebody asked for.

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
        Told what is being done.
    dry_run : bool
        Read all of it, judge, and keep nothing; what is still in the inbox is not compared with.
    """

    project: Project
    stores: Stores
    name: str
    clock: Clock
    controls: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    tell: Tell = lambda doing: None
    dry_run: bool = False

    @property
    def definition(self) -> ImportDefinition:
        """How it is declared.

        Raises
        ------
        UnknownName
            If it is not.
        """
        return self.project.lookup(IMPORTS, self.name)

    @property
    def path(self) -> Path:
        """Where its one file is."""
        if self.file is not None:
            return self.file
        return self.project.root / self.definition.file

    @property
    def label(self) -> str:
        """What its one file is called where something is said about it."""
        return str(self.file or self.definition.file)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open a connection that reads times as the project's files mean them."""
        connection = connect()
        connection.execute(f"SET TimeZone = {text(self.project.timezone.key)}")
        return connection


class Imported(Struct, frozen=True):
    """What became of an import's rows.

    Attributes
    ----------
    rows : int
        Rows that were read.
    events : dict of str to int
        Event -> how many are new; of an entity's import: the entity, and how many rows.
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
        Why rows of an export make no event, and how many, the most frequent first.
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
        cls, judged: Judged, events: Mapping[str, int], duplicates: int, erased: int
    ) -> Imported:
        """Count what was judged as a whole."""
        reasons = Counter(one.reason for one in judged.bad.values())
        return cls(
            rows=judged.rows,
            events=listed(events),
            duplicates=duplicates,
            quarantined=len(judged.bad),
            erased=erased,
            reasons=dict(reasons.most_common()),
            examples=first_places(judged.bad),
        )


def listed(events: Mapping[str, int]) -> dict[str, int]:
    """Put counts into the order of their names; what there is none of is not named.

    Examples
    --------
    >>> listed({"visit": 2, "order": 0, "click": 1})
    {'click': 1, 'visit': 2}
    """
    return {name: many for name, many in sorted(events.items()) if many}


def first_places(bad: Mapping[int, Bad]) -> dict[str, str]:
    """Say in which row each reason was met first."""
    first: dict[str, str] = {}
    for number in sorted(bad):
        first.setdefault(bad[number].reason, bad[number].where(number))
    return first
