"""What an inbox promises, and the rows that go in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import pyarrow


class InboxRow(NamedTuple):
    """An admitted event: its id (16 bytes), name, time of receipt and canonical JSON."""

    event_id: bytes
    name: str
    received_us: int
    body: bytes


class Rejected(Struct, frozen=True):
    """An event that was not admitted, whole, with the reason; ``detail`` may say which row."""

    source: str
    received: datetime
    reason: str
    detail: str
    body: bytes

    @property
    def key(self) -> bytes:
        """What makes it one rejection: the same again is not counted twice."""
        digest = hashlib.sha256()
        for part in (self.source.encode(), self.reason.encode(), self.detail.encode(), self.body):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()[:16]


class Quarantined(Struct, frozen=True):
    """A rejected event as it is kept, with its number."""

    number: int
    rejected: Rejected


class QuarantineGroup(Struct, frozen=True):
    """What is in quarantine for one reason from one source; ``examples`` are the first numbers."""

    reason: str
    source: str
    count: int
    first: datetime
    last: datetime
    examples: tuple[int, ...]


class Inbox(Protocol):
    """The durable log of admitted events, and the quarantine beside it.

    What was acknowledged is fsynced. Offsets only grow and are never given twice, and a reader
    that goes by offset never skips a row that committed late. Ids may repeat: the sequencer
    deduplicates.
    """

    def append(self, rows: Sequence[InboxRow | tuple[bytes, str, int, bytes]]) -> range:
        """Add rows in one durable transaction; returns their offsets, in the rows' order."""
        ...

    def read(self, after: int, limit: int) -> pyarrow.Table:
        """Return rows behind an offset, in order.

        Returns
        -------
        pyarrow.Table
            ``offset`` int64, ``event_id`` binary(16), ``name`` string, ``received``
            timestamp[us, UTC], ``body`` binary.
        """
        ...

    def last_offset(self) -> int:
        """Return the last offset given out, 0 before the first; trimming doesn't change it."""
        ...

    def count(self) -> int:
        """Return how many rows are kept."""
        ...

    def trim(self, up_to: int, received_before_us: int) -> int:
        """Drop rows at or below an offset that were received before an instant; returns how many.

        Only for what rests elsewhere: the snapshot that names the tables must be committed first.
        """
        ...

    def erase(self, offsets: Iterable[int]) -> int:
        """Drop rows so that no file holds their bytes any more; returns how many."""
        ...

    def replace(self, bodies: Mapping[int, bytes]) -> int:
        """Put other bodies in the place of rows', by offset; returns how many.

        No file holds the bytes any more that stood there.
        """
        ...

    def quarantine_put(self, rejected: Sequence[Rejected]) -> int:
        """Keep rejected events, each once; returns how many were new."""
        ...

    def quarantine_list(self, after: int = 0, limit: int = 1000) -> list[Quarantined]:
        """Return quarantined events behind a number, in order."""
        ...

    def quarantine_count(self) -> dict[str, int]:
        """Return reason -> how many."""
        ...

    def quarantine_erase(self, numbers: Iterable[int]) -> int:
        """Drop quarantined events so that no file holds their bytes any more."""
        ...

    def quarantine_groups(self, examples: int) -> list[QuarantineGroup]:
        """Return a group for each reason and source, in this order, without reading a body.

        Parameters
        ----------
        examples : int
            Most numbers to name in each group: its first ones, in order; for `quarantine_list`.

        Returns
        -------
        list of QuarantineGroup
            ``first`` and ``last`` are the earliest and the latest time of receipt.
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
