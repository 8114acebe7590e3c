"""What a decision store promises: a record and its reservations are one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import pyarrow


class DecisionRecord(Struct, frozen=True):
    """A decision as it is logged: ``id`` 16 bytes, ``unit`` the unit's key, ``body`` JSON.

    ``contact`` says whether it counts against frequency caps: an e-mail does, nothing doesn't.
    """

    id: bytes
    unit: bytes
    placement: str
    at: datetime
    body: bytes
    contact: bool = True


class BudgetReservation(Struct, frozen=True, tag="budget"):
    """Money of a period: the sum of ``amount_minor`` may not pass ``limit_minor``."""

    guardrail: str
    key: str
    period_start: datetime
    amount_minor: int
    limit_minor: int


class FrequencyReservation(Struct, frozen=True, tag="frequency"):
    """Contacts of the record's unit after ``at - window``: at most ``limit``, this one included.

    ``placement`` None counts every placement.
    """

    guardrail: str
    window: timedelta
    limit: int
    placement: str | None = None


Reservation = BudgetReservation | FrequencyReservation


class Verdict(Struct, frozen=True):
    """Whether a decision was recorded; if not, the guardrails that blocked it.

    ``repeated`` says that the same decision was already there, and nothing was reserved again.
    """

    blocked: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def recorded(self) -> bool:
        """Whether the record is in the store."""
        return not self.blocked


class Decisions(Protocol):
    """Guardrails and decisions under one lock, correct with many processes and after a crash."""

    def decide(self, record: DecisionRecord, reservations: Sequence[Reservation]) -> Verdict:
        """Reserve everything and record, or neither.

        Parameters
        ----------
        record : DecisionRecord
            What was decided.
        reservations : sequence of Reservation
            What has to be free for it.

        Returns
        -------
        Verdict
            Every guardrail that blocked it, in the order given.
        """
        ...

    def decide_many(
        self, wanted: Sequence[tuple[DecisionRecord, Sequence[Reservation]]]
    ) -> list[Verdict]:
        """Do the same for many, one after the other, in one durable transaction."""
        ...

    def read(self, after: int, limit: int) -> pyarrow.Table:
        """Return records behind an offset, in order.

        Returns
        -------
        pyarrow.Table
            ``offset`` int64, ``id`` binary(16), ``unit`` binary, ``placement`` string, ``at``
            timestamp[us, UTC], ``contact`` bool, ``body`` binary.
        """
        ...

    def get(self, decision_id: bytes) -> DecisionRecord | None:
        """Return one record."""
        ...

    def last_offset(self) -> int:
        """Return the last offset given out, 0 before the first."""
        ...

    def spent(self, key: str, period_start: datetime) -> int:
        """Return how much of a period's budget is reserved, in minor units."""
        ...

    def contacts(
        self, unit: bytes, at: datetime, window: timedelta, placement: str | None = None
    ) -> int:
        """Return how many contacts a unit had after ``at - window``."""
        ...

    def about(self, units: Iterable[bytes]) -> list[DecisionRecord]:
        """Return every record of some units, in order."""
        ...

    def erase(self, units: Iterable[bytes]) -> int:
        """Drop every record of some units so that no file holds their bytes any more."""
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
