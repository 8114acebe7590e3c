"""What a store of online values promises, and what is written to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from liftwerk.errors import Conflict
from liftwerk.store.instants import from_microseconds

KEY_MAX = 1_000
"""Bytes of the longest key; it stands in an index."""


class Progress(Struct, frozen=True):
    """How far a space has come.

    Attributes
    ----------
    offset : int
        The last offset of the log that its rows know of.
    at : datetime
        When they were written, by the writer's clock.
    revision : int
        Grows with everything that is written to the space, and with every erasure; no other state
        of any space in the store ever has the same.
    """

    offset: int
    at: datetime
    revision: int

    @classmethod
    def of(cls, row: Sequence[int]) -> Progress:
        """Read it from a row of its three columns, with the instant in microseconds."""
        offset, at, revision = row
        return cls(offset, from_microseconds(at), revision)


class Changes(Struct, frozen=True):
    """What one transaction does to a space: first ``clear``, then ``drops``, then ``puts``.

    Attributes
    ----------
    expected : Progress or None
        Where the space stood when this was worked out; None where it didn't exist.
    puts : iterable of (bytes, bytes)
        Keys and their new bodies; of one key the last counts. Consumed while others who write
        wait, so that it should be worked out beforehand.
    drops : iterable of bytes
        Keys whose rows go; those that have none are no mistake.
    clear : bool
        Whether every row that there is goes first.
    """

    expected: Progress | None
    puts: Iterable[tuple[bytes, bytes]] = ()
    drops: Iterable[bytes] = ()
    clear: bool = False

    def follows(self, space: str, revision: int | None) -> None:
        """Refuse to be written over anything but what was expected.

        Parameters
        ----------
        space : str
        revision : int or None
            Where the space stands now.

        Raises
        ------
        Conflict
            If it isn't where it was expected.
        """
        expected = None
        if self.expected is not None:
            expected = self.expected.revision
        if revision != expected:
            what = "somebody else has written these online values, or erased from them"
            raise Conflict(what, space, "read them again, and work it out anew")


def fit(key: bytes) -> bytes:
    """Return a key that can be kept.

    Raises
    ------
    ValueError
        If it is empty or too long.

    Examples
    --------
    >>> fit(b"p-1")
    b'p-1'
    """
    if not 0 < len(key) <= KEY_MAX:
        raise ValueError(f"a key has 1 to {KEY_MAX} bytes, not {len(key)}")
    return key


class Space(Struct, frozen=True):
    """A space as it stands, with its number of rows."""

    name: str
    progress: Progress
    rows: int


class Row(NamedTuple):
    """A row with the name of its space."""

    space: str
    key: bytes
    body: bytes


class Reading(Protocol):
    """One state of the store, whatever is written meanwhile."""

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, as `Online.get` does."""
        ...


class Online(Protocol):
    """Rows by space and key, and each space's progress through the log.

    What was applied is fsynced. Whoever works out changes says which state they rest on, and gets a
    `Conflict` when there is another by now: of two who apply the same stretch of the log one wins,
    and the other has changed nothing.
    """

    def apply(self, changes: Mapping[str, Changes], offset: int, at: datetime) -> Progress:
        """Change some spaces, and move them all to one offset, in one durable transaction.

        A space begins with the first changes to it. Writers follow each other, also those of
        different spaces: what takes many seconds is better cut into parts.

        Parameters
        ----------
        changes : mapping of str to Changes
            By the name of the space; one whose rows stay is moved on by empty changes.
        offset : int
            The last offset of the log that is in the rows now.
        at : datetime

        Returns
        -------
        Progress
            Of all these spaces: what the next changes expect.

        Raises
        ------
        Conflict
            If one of them is no longer, or not yet, where it was expected.
        ValueError
            If a key is empty or too long. Of either nothing is written.
        """
        ...

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, and how far they have come, as of one moment.

        Returns
        -------
        list of bytes or None
            In the order of the keys; None for those that have none.
        Progress or None
            None where there is no such space.
        """
        ...

    def reading(self) -> AbstractContextManager[Reading]:
        """Read several times as of one moment, each for what the last one told.

        Short, and without calling the store itself: an erasure waits for its end.
        """
        ...

    def progress(self, space: str) -> Progress | None:
        """Return how far a space has come; None where there is none."""
        ...

    def names(self) -> list[str]:
        """Return the names of all spaces, in order; counts nothing."""
        ...

    def spaces(self) -> list[Space]:
        """Return every space, by name; counts all rows."""
        ...

    def rows(self, space: str, after: bytes = b"", limit: int = 1000) -> list[Row]:
        """Return rows behind a key, in the order of the keys' bytes."""
        ...

    def about(self, keys: Iterable[bytes]) -> list[Row]:
        """Return the rows of some keys in every space, by space and key."""
        ...

    def drop(self, space: str) -> int:
        """Forget a space; returns how many rows went with it."""
        ...

    def erase(self, keys: Iterable[bytes]) -> int:
        """Drop the rows of some keys from every space, so that no file holds their bytes any more.

        Every space gets another revision, whether or not it held one of them: changes that were
        worked out before would bring back what is erased, and are refused.
        """
        ...

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        ...

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...
