"""Sealing what events carry for their delivery: for one destination, for its purpose, for a time.

A destination gets the fields that it declares, of the events that it is told, where its purpose
may use them. AES-256-GCM binds each to destination, purpose and event: under another purpose, or
beside another event, it does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from liftwerk.events.delivery.carried import Carried
from liftwerk.store.day_keys import DayKeys
from liftwerk.store.outbox.protocol import Sealed

NONCE_BYTES = 12

_decode = msgspec.json.Decoder(dict[str, str]).decode


class Wanted(Struct, frozen=True):
    """What one destination asks of events.

    Attributes
    ----------
    destination : str
    purpose : str
    asks_consent : bool
        Whether the purpose rests on consent.
    events : frozenset of str
        The events that it is told.
    fields : tuple of str
        The delivery fields that it declares.
    kept_for : timedelta
        How long they wait for the delivery at most.
    """

    destination: str
    purpose: str
    asks_consent: bool
    events: frozenset[str]
    fields: tuple[str, ...]
    kept_for: timedelta


def fields_of(wanted: Iterable[Wanted]) -> tuple[str, ...]:
    """Return every field that some destination declares, in order."""
    return tuple(sorted({field for one in wanted for field in one.fields}))


def seal(
    carried: Sequence[Carried], wanted: Sequence[Wanted], keys: DayKeys, received: datetime
) -> list[Sealed]:
    """Seal what some events brought, once for each destination that may have it.

    Parameters
    ----------
    carried : sequence of Carried
    wanted : sequence of Wanted
    keys : DayKeys
    received : datetime
        When they came.

    Returns
    -------
    list of Sealed
        Nothing of events that no destination takes, or whose consent is for something else.
    """
    pairs = [(one, *taken) for one in carried for taken in _takers(one, wanted)]
    if not pairs:
        return []
    day = received.date().isoformat()
    cipher = AESGCM(keys.of(day))
    found = []
    for one, taker, content in pairs:
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _bound(taker.destination, taker.purpose, one.event_id)
        sealed = nonce + cipher.encrypt(nonce, content, bound)
        expires = received + taker.kept_for
        found.append(Sealed(taker.destination, one.event_id, one.leaves, day, sealed, expires))
    return found


def opened(sealed: Sealed, purpose: str, keys: DayKeys) -> dict[str, str]:
    """Open what was sealed for a purpose; nothing if its key is gone or it was for another.

    Parameters
    ----------
    sealed : Sealed
    purpose : str
        What its destination is told for.
    keys : DayKeys

    Returns
    -------
    dict of str to str
        Field -> value.
    """
    key = keys.find(sealed.key)
    if key is None:
        return {}
    nonce, content = sealed.content[:NONCE_BYTES], sealed.content[NONCE_BYTES:]
    try:
        plain = AESGCM(key).decrypt(
            nonce, content, _bound(sealed.destination, purpose, sealed.event_id)
        )
    except InvalidTag:
        return {}
    return _decode(plain)


def _takers(one: Carried, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, bytes]]:
    for taker in wanted:
        if one.name not in taker.events:
            continue
        if taker.asks_consent and taker.purpose not in one.granted:
            continue
        fields = {field: one.fields[field] for field in taker.fields if field in one.fields}
        if fields:
            yield taker, msgspec.json.encode(fields)


def _bound(destination: str, purpose: str, event_id: bytes) -> bytes:
    return f"{destination}\0{purpose}\0".encode() + event_id
