"""What each number says: every field of an event follows from a seed and its number alone.

So a client can send the same again without having kept it, and the truth can be told afterwards.
Numbers come in chunks of `CHUNK`. An even chunk is sent by the shop's server; the odd one behind it
by browsers, which report the first orders of the even one again, under other ids.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftwerk.events.ids import made_id

CHUNK = 400
ORDERS = 20
"""Orders of a chunk: its first rows."""

TOLD_TWICE = 14
"""Orders that server and browser both report."""

BEGIN = 1_767_225_600
"""2026-01-01T00:00:00Z; events happen in the 90 days behind it."""

DAY = 86_400
DAYS = 90
LIVE = 1 << 40
"""Chunks from here on happen when they are sent, after all changes of consent."""

CONSENTS: tuple[tuple[str, ...] | None, ...] = (
    None,
    (),
    ("analytics",),
    ("ads",),
    ("ads", "analytics"),
)
"""What an event can say of consent; mostly everything."""

_CONSENT_SHARES = (0.1, 0.05, 0.2, 0.1, 0.55)

CHANGES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((), ("ads",)),
    ((), ("analytics",)),
    (("ads",), ()),
    (("analytics",), ("ads",)),
    ((), ("analytics", "profiling")),
    (("profiling",), ()),
    ((), ("ads", "analytics", "profiling")),
    (("ads", "analytics"), ()),
)
"""What a change of consent can say: granted, withdrawn."""


class Kind(IntEnum):
    """The events there are."""

    VIEW = 0
    ORDER = 1
    CONSENT = 2
    LINK = 3
    UNLINK = 4


NAMES = (
    "page_viewed",
    "order_completed",
    "consent_changed",
    "identity_linked",
    "identity_unlinked",
)


class Rows(NamedTuple):
    """A chunk, by column. -1 stands for a customer or an order that is not there."""

    sent_id: NDArray[np.uint8]
    kept_id: NDArray[np.uint8]
    kind: NDArray[np.int8]
    visitor: NDArray[np.int32]
    customer: NDArray[np.int32]
    second: NDArray[np.int64]
    consent: NDArray[np.int8]
    agreed: NDArray[np.int64]
    order: NDArray[np.int64]
    change: NDArray[np.int8]


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))


def is_shop(chunk: int) -> bool:
    """Say whether the shop's server sends a chunk."""
    return chunk % 2 == 0


def draw(seed: int, chunk: int, visitors: int) -> Rows:
    """Say what the events of a chunk are.

    Parameters
    ----------
    seed : int
        Below 2**32.
    chunk : int
    visitors : int
        How many there are, a multiple of 30; behind them are those who change their mind over HTTP.
    """
    rng = _generator(seed, chunk)
    ids = np.frombuffer(rng.bytes(16 * CHUNK), np.uint8).reshape(CHUNK, 16).copy()
    ids[:, 6] = ids[:, 6] & 0x0F | 0x40
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    kind = np.zeros(CHUNK, np.int8)
    visitor = rng.integers(visitors, size=CHUNK, dtype=np.int32)
    second = BEGIN + rng.integers(DAYS * DAY, size=CHUNK)
    consent = rng.choice(len(CONSENTS), CHUNK, p=_CONSENT_SHARES).astype(np.int8)
    agreed = second - rng.integers(1, 30 * DAY, size=CHUNK)
    agreed[(rng.random(CHUNK) < 0.7) | (consent == 0)] = 0
    order = np.full(CHUNK, -1)
    change = rng.integers(len(CHANGES), size=CHUNK, dtype=np.int8)
    names_customer = rng.random(CHUNK) < 0.15
    chance = rng.random(CHUNK)
    if chunk >= LIVE:
        visitor = visitors + (chunk - LIVE) * CHUNK + np.arange(CHUNK, dtype=np.int32)
        consent[:] = len(CONSENTS) - 1
        agreed[:] = 0
        names_customer[:] = False
    else:
        kind[chance < 0.02] = Kind.CONSENT
        if is_shop(chunk):
            kind[(chance >= 0.02) & (chance < 0.025)] = Kind.LINK
            kind[(chance >= 0.025) & (chance < 0.03)] = Kind.UNLINK
        kind[:ORDERS] = Kind.ORDER
        both = _generator(seed + (1 << 32), chunk // 2)
        same = slice(0, TOLD_TWICE)
        visitor[same] = both.integers(visitors, size=TOLD_TWICE)
        second[same] = BEGIN + both.integers(DAYS * DAY, size=TOLD_TWICE)
        consent[same] = both.integers(len(CONSENTS), size=TOLD_TWICE)
        agreed[same] = 0
        names_customer[same] = False
        order[:ORDERS] = chunk // 2 * 2 * ORDERS + np.arange(ORDERS)
        if not is_shop(chunk):
            order[TOLD_TWICE:ORDERS] += ORDERS
    # Who is linked on purpose is never told apart, so that the order of arrival decides nothing.
    visitor[kind == Kind.LINK] += 1 - visitor[kind == Kind.LINK] % 10
    visitor[kind == Kind.UNLINK] += 2 - visitor[kind == Kind.UNLINK] % 10
    names_customer |= (kind == Kind.LINK) | (kind == Kind.UNLINK)
    customer = np.where(names_customer, visitor // 3, -1).astype(np.int32)
    consent[kind >= Kind.CONSENT] = 0
    agreed[kind >= Kind.CONSENT] = 0
    kept = ids.copy()
    if by_segment(chunk):
        for row in np.flatnonzero(kind == Kind.LINK)[1::2]:
            said = made_id("segment", "link", _uuid(ids[row].tobytes().hex()))
            kept[row] = np.frombuffer(said.bytes, np.uint8)
    return Rows(ids, kept, kind, visitor, customer, second, consent, agreed, order, change)


def by_segment(chunk: int) -> bool:
    """Say whether a chunk's links are sent as a Segment client sends them."""
    return is_shop(chunk) and chunk % 16 == 0


def steps(seed: int, person: int) -> list[int]:
    """Say which changes of consent somebody makes over HTTP, one after the other."""
    rng = _generator(seed + (1 << 33), person)
    return [int(one) for one in rng.integers(len(CHANGES), size=rng.integers(1, 4))]


# ------------------------------------------------------------------------- what is on the wire


@dataclass(frozen=True)
class Request:
    """One request: the chunk's rows that it holds, and its bytes."""

    rows: NDArray[np.int64]
    is_shop: bool
    path: str
    body: bytes
    content_type: str = "application/json"
    encoding: str = ""


SINGLES = 40
"""Rows that a few chunks send one by one."""


def requests(
    seed: int, chunk: int, visitors: int, now: int, sent_at: int | None = None
) -> list[Request]:
    """Write a chunk as requests: mostly one, sometimes packed, in lines, or event by event.

    Parameters
    ----------
    seed, chunk, visitors : int
    now : int
        Seconds; when the events of a live chunk happen.
    sent_at : int, optional
        Seconds; what a server's clock says when it sends. It is no part of what an event says.
    """
    rows = draw(seed, chunk, visitors)
    second = rows.second
    if chunk >= LIVE:
        second = np.full(CHUNK, now)
    suffix = ""
    if sent_at is not None and is_shop(chunk):
        suffix = f',"sent_at":"{np.datetime64(sent_at, "s")}Z"'
    events = [f"{text}{suffix}}}" for text in _texts(rows._replace(second=second))]
    found = []
    left = np.arange(CHUNK)
    if by_segment(chunk):
        links = np.flatnonzero(rows.kind == Kind.LINK)
        if len(links):
            left = np.flatnonzero(rows.kind != Kind.LINK)
            found.append(Request(links, True, "/v1/batch", _segment(rows, links)))
    if chunk % 50 == 7:
        found += [_request(left[n : n + 1], chunk, events[left[n]]) for n in range(SINGLES)]
        left = left[SINGLES:]
    listed = [events[row] for row in left]
    if chunk % 10 == 4:
        found.append(_request(left, chunk, "\n".join(listed), "application/x-ndjson"))
    else:
        encoding = ""
        if chunk % 10 == 3:
            encoding = "gzip"
        found.append(_request(left, chunk, f"[{','.join(listed)}]", encoding=encoding))
    return found


def _request(
    rows: NDArray[np.int64],
    chunk: int,
    text: str,
    content_type: str = "application/json",
    encoding: str = "",
) -> Request:
    body = text.encode()
    if encoding == "gzip":
        body = gzip.compress(body, 1)
    return Request(rows, is_shop(chunk), "/v1/events", body, content_type, encoding)


def _texts(rows: Rows) -> Iterator[str]:
    """Write events as JSON, all but their last brace."""
    digits = rows.sent_id.tobytes().hex()
    columns: Any = (
        [f"{when}Z" for when in np.datetime_as_string(rows.second.astype("M8[s]"))],
        [f"{when}Z" for when in np.datetime_as_string(rows.agreed.astype("M8[s]"))],
        *(column.tolist() for column in rows[2:]),
    )
    for place, (time, at, kind, visitor, customer, _, consent, agreed, order, change) in enumerate(
        zip(*columns, strict=True)
    ):
        whom = f'"visitor":"v{visitor}"'
        if customer >= 0:
            whom += f',"customer":"c{customer}"'
        said = _SAID[consent]
        if agreed:
            said = f'{said[:-1]},"at":"{at}"}}'
        match kind:
            case Kind.VIEW:
                properties = f'{{"path":"/{order}/{visitor % 977}"}}'
            case Kind.ORDER:
                properties = f'{{"order_id":"o{order}","revenue":"{order % 9000 / 100:.2f}"}}'
            case Kind.CONSENT:
                properties = _CHANGES[change]
            case Kind.LINK:
                properties = "{}"
            case _:
                properties = '{"reason":"a shared device"}'
        yield (
            f'{{"id":"{_uuid(digits[32 * place : 32 * place + 32])}","name":"{NAMES[kind]}",'
            f'"version":1,"time":"{time}","identifiers":{{{whom}}}{said},"properties":{properties}'
        )


def _segment(rows: Rows, links: NDArray[np.int64]) -> bytes:
    """Write links as a Segment client does: an alias, an identify, an alias, ..."""
    calls = []
    for place, row in enumerate(links):
        kind, named = ("alias", "previousId"), ("identify", "anonymousId")
        call, other = (kind, named)[place % 2]
        time = np.datetime64(int(rows.second[row]), "s")
        calls.append(
            f'{{"type":"{call}","messageId":"{_uuid(rows.sent_id[row].tobytes().hex())}",'
            f'"userId":"c{rows.customer[row]}","{other}":"v{rows.visitor[row]}",'
            f'"timestamp":"{time}Z"}}'
        )
    return f'{{"batch":[{",".join(calls)}]}}'.encode()


def change_of_consent(visitor: int, change: int) -> bytes:
    """Write the body of `POST /v1/consent`."""
    lists = _CHANGES[change][1:-1]
    return f'{{"identifiers":{{"visitor":"v{visitor}"}},{lists}}}'.encode()


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _quoted(names: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{name}"' for name in names) + "]"


_SAID = [
    "" if granted is None else f',"consent":{{"granted":{_quoted(granted)},"source":"api"}}'
    for granted in CONSENTS
]
_CHANGES = [
    f'{{"granted":{_quoted(granted)},"withdrawn":{_quoted(withdrawn)}}}'
    for granted, withdrawn in CHANGES
]
