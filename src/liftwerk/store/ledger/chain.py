"""The audit chain: each entry's hash covers its content and the hash of the entry before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import rfc8785

from liftwerk.store.ledger.protocol import AuditCheck, AuditEntry

GENESIS = "0" * 64
"""What the first entry names as the one before it."""


def entry_hash(entry: AuditEntry) -> str:
    """Hash an entry's content in its RFC 8785 form; its own ``hash`` doesn't count."""
    content: dict[str, Any] = {
        "seq": entry.seq,
        "at": entry.at.isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "previous": entry.previous,
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def verify(entries: Iterable[AuditEntry], count: int, head: str) -> AuditCheck:
    """Recompute a chain.

    Parameters
    ----------
    entries : iterable of AuditEntry
        All of them, by sequence number.
    count, head : int, str
        How many there should be, and the hash of the last.

    Returns
    -------
    AuditCheck
        With the first sequence number that isn't as it was written, if there is one.
    """
    previous = GENESIS
    seen = 0
    for entry in entries:
        seen += 1
        if entry.seq != seen:
            return AuditCheck(seen - 1, seen, "an entry is missing or out of order")
        if entry.previous != previous:
            return AuditCheck(seen - 1, seen, "it doesn't follow from the entry before")
        if entry_hash(entry) != entry.hash:
            return AuditCheck(seen - 1, seen, "its content was changed")
        previous = entry.hash
    if seen != count:
        return AuditCheck(seen, min(seen, count) + 1, "entries at the end are missing or too many")
    if previous != head:
        return AuditCheck(seen, seen, "the last entry isn't the one that was written last")
    return AuditCheck(seen, None, "")
