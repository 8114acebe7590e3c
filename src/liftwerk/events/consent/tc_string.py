"""IAB TCF v2 strings, bit by bit: any text gives a result or None, in bounded time.

Written to IAB Tech Lab's "Consent string and vendor list formats v2" (2.0 to 2.3: one layout), and
held to IAB's own JavaScript library. A string that ends early says nothing: what is missing is
never read as a yes.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

from msgspec import Struct

LONGEST = 10_000
"""Longest text that is looked at; with every vendor of today's list one has below 1,500."""

VERSION = 2
PURPOSES = range(1, 12)
"""The purposes that TCF defines."""

CONSENT_ONLY = frozenset({1, 3, 4, 5, 6})
"""Purposes for which TCF admits no legitimate interest."""

NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_INTEREST = 0, 1, 2
"""What a publisher restricts a purpose of a vendor to."""

_DISCLOSED = 1
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Vendors(Struct, frozen=True):
    """A set of vendor ids, as it was written: a bit field (highest bit first) or ranges."""

    most: int
    field: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, vendor: int) -> bool:
        if not 1 <= vendor <= self.most:
            return False
        if self.ranges:
            return any(first <= vendor <= last for first, last in self.ranges)
        return bool(self.field >> (self.most - vendor) & 1)


class Restriction(Struct, frozen=True):
    """What the publisher restricts a purpose to, for some vendors."""

    purpose: int
    kind: int
    vendors: tuple[tuple[int, int], ...]

    def covers(self, purpose: int, vendor: int) -> bool:
        """Say whether it is about a purpose of a vendor."""
        if purpose != self.purpose:
            return False
        return any(first <= vendor <= last for first, last in self.vendors)


class TcString(Struct, frozen=True):
    """What a TC string says, as far as it matters here.

    Attributes
    ----------
    updated : datetime
        When the customer last chose; consent managers round it to the day.
    cmp : int
        Who asked: the consent manager's id.
    vendor_list, policy : int
        Versions of the vendor list and of IAB's policy that were shown.
    purposes, interests : frozenset of int
        Purposes with consent; purposes with an established legitimate interest.
    vendors, interest_vendors : Vendors
        Vendors with consent; vendors with an established legitimate interest.
    restrictions : tuple of Restriction
        What the publisher restricts.
    disclosed : Vendors or None
        The vendors that were shown; None where the string does not say (before 2.3).
    """

    updated: datetime
    cmp: int
    vendor_list: int
    policy: int
    purposes: frozenset[int]
    interests: frozenset[int]
    vendors: Vendors
    interest_vendors: Vendors
    restrictions: tuple[Restriction, ...]
    disclosed: Vendors | None

    def consents(self, purpose: int, vendor: int | None = None) -> bool:
        """Say whether there is consent for a purpose, and for a vendor where one is asked for."""
        if purpose not in self.purposes:
            return False
        if vendor is None:
            return True
        return vendor in self.vendors and not self._barred(purpose, vendor, REQUIRE_INTEREST)

    def admits_interest(self, purpose: int, vendor: int | None = None) -> bool:
        """Say whether a legitimate interest holds: told to the customer, and not objected to."""
        if purpose in CONSENT_ONLY or purpose not in self.interests:
            return False
        if vendor is None:
            return True
        return vendor in self.interest_vendors and not self._barred(
            purpose, vendor, REQUIRE_CONSENT
        )

    def _barred(self, purpose: int, vendor: int, other_basis: int) -> bool:
        if self.disclosed is not None and vendor not in self.disclosed:
            return True
        return any(
            restriction.kind in (NOT_ALLOWED, other_basis) and restriction.covers(purpose, vendor)
            for restriction in self.restrictions
        )


def read_tc_string(text: str) -> TcString | None:
    """Read a TC string.

    Parameters
    ----------
    text : str
        Whatever a consent manager gave.

    Returns
    -------
    TcString or None
        None if it is not a whole TCF v2 string.

    Examples
    --------
    >>> text = "CQpz6gAQpz6gAZ7d5-DEkZFkAIAAAHjAAAYgAAAAAAAA"
    >>> said = read_tc_string(text)
    >>> sorted(said.purposes), said.updated.date().isoformat()
    ([1], '2026-08-31')
    >>> read_tc_string(text[:30]) is None
    True
    """
    if len(text) > LONGEST:
        return None
    try:
        return _core(*text.split("."))
    except ValueError:
        return None


class _Bits:
    """Bits of one segment, taken from the front."""

    def __init__(self, segment: str) -> None:
        if _ALPHABET.fullmatch(segment) is None:
            raise ValueError("not base64url")
        filler = -len(segment) % 4
        raw = base64.urlsafe_b64decode(segment + "A" * filler)
        self._value = int.from_bytes(raw, "big")
        self._left = 8 * len(raw)
        self._end = 6 * filler

    def take(self, width: int) -> int:
        """Take the next bits as a whole number."""
        self._left -= width
        if self._left < self._end:
            raise ValueError("it ends early")
        return self._value >> self._left & (1 << width) - 1

    def skip(self, width: int) -> None:
        """Leave out some bits that nothing here asks for."""
        self.take(width)

    def ids(self, count: int) -> frozenset[int]:
        """Take a bit for each id from 1."""
        field = self.take(count)
        return frozenset(one for one in range(1, count + 1) if field >> (count - one) & 1)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Take a list of ids and of ranges of ids."""
        return tuple(self._range() for _ in range(self.take(12)))

    def _range(self) -> tuple[int, int]:
        is_range = self.take(1)
        first = last = self.take(16)
        if is_range:
            last = self.take(16)
        if last < first:
            raise ValueError("a range ends before it begins")
        return first, last

    def vendors(self) -> Vendors:
        """Take a set of vendors."""
        most = self.take(16)
        if self.take(1):
            return Vendors(most, ranges=self.ranges())
        return Vendors(most, field=self.take(most))


def _core(core: str, *segments: str) -> TcString:
    bits = _Bits(core)
    if bits.take(6) != VERSION:
        raise ValueError("another version")
    bits.skip(36)  # created
    updated = _EPOCH + timedelta(milliseconds=100 * bits.take(36))
    cmp = bits.take(12)
    bits.skip(12 + 6 + 12)  # the manager's version, its screen, its language
    vendor_list = bits.take(12)
    policy = bits.take(6)
    bits.skip(1 + 1 + 12)  # service-specific, non-standard texts, special features
    purposes = bits.ids(24)
    interests = bits.ids(24)
    bits.skip(1 + 12)  # purpose 1 not asked, the publisher's country
    return TcString(
        updated,
        cmp,
        vendor_list,
        policy,
        purposes,
        interests,
        vendors=bits.vendors(),
        interest_vendors=bits.vendors(),
        restrictions=tuple(
            Restriction(bits.take(6), bits.take(2), bits.ranges()) for _ in range(bits.take(12))
        ),
        disclosed=_disclosed(segments),
    )


def _disclosed(segments: tuple[str, ...]) -> Vendors | None:
    """Find the segment of the vendors that were shown; every other one is only looked over."""
    found = None
    for segment in segments:
        bits = _Bits(segment)
        if bits.take(3) == _DISCLOSED:
            found = bits.vendors()
    return found
