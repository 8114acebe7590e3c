"""The catalogue: every table, file and key space, who is in it, and how they are taken out.

Erasure, export, retention and the data map go through it, so something that is kept but not
registered is a fault that `unregistered` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec import Struct

from liftwerk.faults import fault
from liftwerk.store.home import DATABASES, FOLDERS, FORMAT_FILE, LOCKS, Home
from liftwerk.store.sqlite import Database

NOBODY = "none"
"""The subject of a collection that holds nothing about a person."""


class Subject(Struct, frozen=True):
    """Whom it is about: one person, or many at once.

    Attributes
    ----------
    keys : tuple of bytes
        Every leaf key and customer key of theirs.
    values : tuple of (str, str)
        Namespace and identifier, as far as the identifiers themselves are known.
    """

    keys: tuple[bytes, ...]
    values: tuple[tuple[str, str], ...] = ()


class Taken(Struct, frozen=True):
    """What was taken out of a collection.

    Attributes
    ----------
    fields : dict of str to int
        Field by which somebody was found -> how many rows or files went.
    read : int
        Rows that were read to find and remove them, where they are not found by an index.
    of : int
        Rows that there were.
    """

    fields: dict[str, int]
    read: int = 0
    of: int = 0

    @property
    def rows(self) -> int:
        """How many rows or files went."""
        return sum(self.fields.values())


Eraser = Callable[[Subject], Taken]
"""Removes what is theirs."""

Exporter = Callable[[Subject], list[dict[str, Any]]]
"""Tells what is theirs, as plain values that JSON knows."""


class Collection(Struct, frozen=True):
    """A place where data rest.

    Attributes
    ----------
    name : str
        What people call it.
    room : str
        The room that keeps it.
    holds : tuple of str
        What is in it, as patterns: ``inbox.sqlite/inbox``, ``tables/*``, ``artefacts/*``.
    subject : str
        How a person is found in it (``"leaf_customer_id"``), or ``"none"``.
    purposes : tuple of str
        What it is kept for.
    retention : str
        How long, in words or as a duration.
    erase : callable or None
        Takes a person out; needed unless the subject is ``"none"``.
    export : callable or None
        Tells what is kept of a person; needed unless the subject is ``"none"``.
    """

    name: str
    room: str
    holds: tuple[str, ...]
    subject: str
    purposes: tuple[str, ...]
    retention: str
    erase: Eraser | None = None
    export: Exporter | None = None


class Catalogue:
    """The collections of one home, in the order of their registration.

    Examples
    --------
    >>> catalogue = Catalogue()
    >>> catalogue.register(Collection("steps", "store", ("ledger.sqlite/steps",), NOBODY, (), "1y"))
    >>> [collection.name for collection in catalogue]
    ['steps']
    """

    def __init__(self) -> None:
        self._collections: dict[str, Collection] = {}

    def register(self, collection: Collection) -> None:
        """Add a collection.

        Raises
        ------
        ValueError
            If its name is taken, or if it holds people and can't take one out, or tell of them.
        """
        if collection.name in self._collections:
            raise ValueError(f"collection {collection.name!r} is already registered")
        if collection.subject != NOBODY and collection.erase is None:
            raise ValueError(f"collection {collection.name!r} holds people and has no eraser")
        if collection.subject != NOBODY and collection.export is None:
            raise ValueError(f"collection {collection.name!r} holds people and exports nothing")
        self._collections[collection.name] = collection

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def __len__(self) -> int:
        return len(self._collections)

    def erase(self, subject: Subject) -> dict[str, Taken]:
        """Take one person or many out of every collection; safe to run again after a kill.

        Parameters
        ----------
        subject : Subject

        Returns
        -------
        dict of str to Taken
            Collection -> what went.
        """
        taken = {}
        for collection in self:
            if collection.erase is None:
                continue
            with fault("erase_collection"):
                taken[collection.name] = collection.erase(subject)
        return taken

    def export(self, subject: Subject) -> dict[str, list[dict[str, Any]]]:
        """Tell what every collection keeps of a person.

        Parameters
        ----------
        subject : Subject

        Returns
        -------
        dict of str to list of dict
            Collection -> its rows; those that keep nothing of them are not in it.
        """
        told = {one.name: one.export(subject) for one in self if one.export is not None}
        return {name: rows for name, rows in told.items() if rows}

    def unregistered(self, home: Home) -> list[str]:
        """Find what rests in a home and belongs to no collection."""
        patterns = [pattern for collection in self for pattern in collection.holds]
        return [
            item
            for item in _contents(home.path)
            if not any(fnmatchcase(item, pattern) for pattern in patterns)
        ]


def _contents(home: Path) -> Iterator[str]:
    """Name every SQL table, Delta table and file; a database's own side files aren't counted."""
    side_files = {f"{name}{suffix}" for name in DATABASES for suffix in ("-wal", "-shm")}
    for entry in sorted(home.iterdir()):
        if entry.name in DATABASES:
            database = Database(entry, ())
            yield from (f"{entry.name}/{table}" for table in database.tables())
            database.close()
        elif entry.name in FOLDERS:
            yield from (f"{entry.name}/{child.name}" for child in sorted(entry.iterdir()))
        elif entry.name not in {FORMAT_FILE, *LOCKS, *side_files}:
            yield entry.name
