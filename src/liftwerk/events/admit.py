"""Admission: JSON bodies become rows for the inbox, or are refused whole, with a reason.

Files today and HTTP tomorrow come through here. A body is decoded and checked by one call into the
compiled `liftwerk.events.schema`; what only the server may say (source, receipt) is set here and
never taken from the sender.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.definition import LIVE, Source
from liftwerk.events.delivery.carried import Apart, Carried
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.refusal import explain
from liftwerk.events.rules import SERVER_ONLY
from liftwerk.events.schema import FULL_WEIGHT, Schema
from liftwerk.events.skew import AHEAD, EARLIEST, happened
from liftwerk.events.spared import SPARED, spare_body
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.instants import to_microseconds

ERASED = "erased"
"""Reason of an event about a customer who was erased: no fault of the sender."""

TRUSTED = ("server", "import")
"""Sources whose word may teach: a browser's key is public."""

TOLD_ONCE = ("assigned", "variant_shown")
"""What this process tells under an id that says all of it: told again, it is no other content."""

_SENT_AT = b',"sent_at":"'
_TOLD = tuple(f'{{"name":"{name}",'.encode() for name in TOLD_ONCE)
_BY_US = f'"source":"{LIVE}"'.encode()
_VERSION = b',"version":'
_encode = msgspec.json.Encoder().encode


class Refusal(Struct, frozen=True):
    """Why one body was refused: ``path`` is where in it, such as ``$.properties.revenue``."""

    index: int
    reason: str
    path: str


class Admitted(Struct, frozen=True):
    """What became of some bodies.

    Attributes
    ----------
    rows : list
        One entry a body, in order: the row for the inbox, or None where there is none.
    refused : list of Refusal
        The bodies that were refused; those about erased customers have the reason `ERASED`.
    sampled_out : int
        How many were left out because their customer is not in the source's sample.
    carried : list of Carried
        What the events brought for their delivery alone; it is in no row.
    """

    rows: list[InboxRow | None]
    refused: list[Refusal]
    sampled_out: int = 0
    carried: list[Carried] = []


def admit(
    bodies: Sequence[bytes | str | msgspec.Raw],
    schema: Schema,
    source: str,
    received: datetime,
    buried: frozenset[bytes] = frozenset(),
) -> Admitted:
    """Decode and check bodies, each by itself.

    Parameters
    ----------
    bodies : sequence of bytes, str or msgspec.Raw
        One event's JSON each.
    schema : Schema
        From `liftwerk.events.schema.schema_of`.
    source : str
        The declared source that sent them.
    received : datetime
        When they came; never taken from the sender.
    buried : frozenset of bytes
        Leaf keys of erased customers. Of a refusal that names one of them beside others, what it
        says of these is let in (`liftwerk.events.spared`).

    Returns
    -------
    Admitted

    Raises
    ------
    UnknownName
        If no such source is declared.
    """
    sender = source_named(schema, source)
    received_us = to_microseconds(received)
    decode = schema.decoder.decode
    apart = None
    if schema.delivery:
        apart = Apart(decode)
        decode = apart.decode
    fields = _identifier_fields(schema)
    rows: list[InboxRow | None] = []
    refused: list[Refusal] = []
    sampled_out = 0
    spared_places: set[int] = set()
    sample = None
    if sender.sample.exact != 1:
        sample = sender.sample.value
    latest = (received, received + AHEAD)
    for index, body in enumerate(bodies):
        try:
            event = decode(body)
        except (ValueError, RecursionError) as error:
            rows.append(None)
            refused.append(Refusal(index, *explain(schema, body, error)))
            continue
        fault = _refusal(event, source, sender, fields)
        is_about_erased = fault is None and _names(event, fields, buried)
        if is_about_erased and type(event).__struct_config__.tag not in SPARED:
            fault = ERASED, "$.identifiers"
        if fault is None:
            fault = _untimely(event, sender, latest)
        if fault is not None:
            rows.append(None)
            refused.append(Refusal(index, *fault))
            continue
        if sample is not None:
            if _place(event, fields) >= sample:
                rows.append(None)
                sampled_out += 1
                continue
            event.weight /= sample
        if event.consent is not None:
            event.consent = schema.resolve_consent(event.consent, received)
        event.source = source
        event.received = None
        if event.weight == FULL_WEIGHT:
            event.weight = FULL_WEIGHT
        if sender.trust != "import":
            event.known_at = None
        try:
            text = _encode(event)
        except RecursionError:
            rows.append(None)
            refused.append(Refusal(index, "nested too deeply", "$"))
            continue
        if is_about_erased:
            spared = spare_body(schema, text, buried)
            if spared is None:
                rows.append(None)
                refused.append(Refusal(index, ERASED, "$.identifiers"))
                continue
            text = spared
            spared_places.add(index)
        rows.append(InboxRow(event.id.bytes, type(event).__struct_config__.tag, received_us, text))
    carried = []
    if apart is not None:
        # What a spared event brought beside it may be about the erased.
        whole = [None if at in spared_places else row for at, row in enumerate(rows)]
        carried = apart.carried(whole, fields)
    return Admitted(rows, refused, sampled_out, carried)


def digest(body: bytes) -> bytes:
    """Return 8 bytes that tell contents apart; when it was sent is not content.

    Of what this process tells once (`TOLD_ONCE`) the id is the content: it is told whenever its
    unit comes again, and the first time counts.

    Parameters
    ----------
    body : bytes
        Canonical JSON, as `admit` writes it.

    Examples
    --------
    >>> digest(b'{"a":1,"sent_at":"2026-03-01T09:30:00Z"}') == digest(b'{"a":1}')
    True
    >>> told = b'{"name":"assigned","id":"1","version":1,"time":"%d","source":"decisions","a":1}'
    >>> digest(told % 1) == digest(told % 2)
    True
    """
    if body.startswith(_TOLD):
        head, _, rest = body.partition(_VERSION)
        # Version, time, source: as the canonical form has them.
        if rest.split(b",", 3)[2:3] == [_BY_US]:
            body = head
    start = body.rfind(_SENT_AT)
    # It stands last, and its text ends the body.
    if start >= 0 and body.find(b'"', start + len(_SENT_AT)) == len(body) - 2:
        body = body[:start] + b"}"
    return hashlib.sha256(body).digest()[:8]


def source_named(schema: Schema, name: str) -> Source:
    """Return a declared source.

    Raises
    ------
    UnknownName
        If it is not declared.
    """
    if name not in schema.sources:
        declared = [known for known in schema.sources if known != LIVE]
        raise UnknownName(f"no source {name!r}", "[sources]", did_you_mean(name, declared))
    return schema.sources[name]


def _identifier_fields(schema: Schema) -> list[tuple[str, str]]:
    return [(name, f"{name}_") for name in schema.namespaces]


def _place(event: Any, fields: Sequence[tuple[str, str]]) -> float:
    """Place an event's customer between 0 and 1, the same for every event of theirs."""
    for namespace, field in fields:
        value = getattr(event.identifiers, field)
        if value is not None:
            leading = leaf_key(f"sample\0{namespace}", value)[:8]
            return int.from_bytes(leading, "big") / 2.0**64
    return 0.0


def _untimely(
    event: Any, sender: Source, latest: tuple[datetime, datetime]
) -> tuple[str, str] | None:
    """Refuse what has not happened yet, by our clock; an import may hold plans of its own."""
    if sender.trust == "import":
        return None
    received, most = latest
    at = happened(event.time, event.sent_at, received, sender.trust)
    if at > most:
        name = type(event).__struct_config__.tag
        return f"{name}.time lies more than a day ahead", "$.time"
    if at < EARLIEST:
        name = type(event).__struct_config__.tag
        return f"{name}.time lies before 1970, once its clock is set right", "$.sent_at"
    return None


def _refusal(
    event: Any,
    source: str,
    sender: Source,
    fields: Sequence[tuple[str, str]],
) -> tuple[str, str] | None:
    """Say what the type could not: who may send what, about whom."""
    if event.identifiers is None:
        if source == LIVE:  # its unit stands beside the body
            return None
        name = type(event).__struct_config__.tag
        return f"{name}.identifiers is missing", "$.identifiers"
    if sender.trust not in TRUSTED:
        name = type(event).__struct_config__.tag
        if name in SERVER_ONLY:
            return f"{name}: a source with trust = {sender.trust!r} may not say so", "$.name"
    return None


def _names(event: Any, fields: Sequence[tuple[str, str]], buried: frozenset[bytes]) -> bool:
    """Say whether an event names somebody who was erased."""
    if not buried or event.identifiers is None:
        return False
    for namespace, field in fields:
        value = getattr(event.identifiers, field)
        if value is not None and leaf_key(namespace, value) in buried:
            return True
    return False
