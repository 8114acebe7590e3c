"""What goes out and what comes back, and what an answer's status means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

from msgspec import Struct

LATER = (408, 425, 429)
"""Refusals that say nothing about the event: it is tried again."""

OURS = (301, 302, 303, 307, 308, 401, 403, 407)
"""Answers to our settings and not to the event: all wait until the address or the secret is right,
instead of becoming dead letters one by one."""

ANY_SIZE = 2**31
"""Bytes of a request where the vendor names no limit."""

LONGEST_WAIT_SECONDS = 86_400.0
"""A vendor that asks for more is asked again after a day."""


class Message(Struct, frozen=True):
    """An event as a vendor may see it: their names, what the purpose allows, nothing else.

    Attributes
    ----------
    id : str
        Our event id, for the vendor's own deduplication.
    offset : int
        Its place in the log.
    event : str
        Our name.
    version : int
        Version of our schema.
    name : str
        The vendor's name.
    time : datetime
        When it happened.
    lane : bytes
        The customer's key; it is not sent.
    identifiers : dict of str to str
        Their identifier -> value, as our namespace spells it.
    properties : dict of str to object
        Their field -> value; money as exact decimals.
    currency : str or None
        ISO 4217 code, when there is money among the properties.
    weight : float
        How many events this one stands for.
    delivery : mapping of str to str
        What the event brought for its delivery alone, by their name of it.
    """

    id: str
    offset: int
    event: str
    version: int
    name: str
    time: datetime
    lane: bytes
    identifiers: dict[str, str]
    properties: dict[str, Any]
    currency: str | None
    weight: float
    delivery: Mapping[str, str] = {}


class Request(Struct, frozen=True):
    """One POST: its path, behind the destination's address, its headers and its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Response(Struct, frozen=True):
    """What came back; headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """What an answer means.

    Attributes
    ----------
    outcome : str
        ``delivered``; ``again``: try later; ``refused``: never try the same again.
    reason : str
        Why not, without anything about a person.
    wait : float
        Seconds that the vendor asks us to wait.
    """

    outcome: Literal["delivered", "again", "refused"]
    reason: str = ""
    wait: float = 0.0


def judge(response: Response, now: datetime) -> Answer:
    """Read an answer by its status alone.

    Parameters
    ----------
    response : Response
    now : datetime
        For a ``Retry-After`` that names a date.

    Returns
    -------
    Answer

    Examples
    --------
    >>> moment = datetime(2026, 3, 1, tzinfo=UTC)
    >>> judge(Response(204, {}, b""), moment).outcome
    'delivered'
    >>> judge(Response(503, {"retry-after": "120"}, b""), moment)
    Answer(outcome='again', reason='HTTP 503 Service Unavailable', wait=120.0)
    >>> judge(Response(410, {}, b""), moment)
    Answer(outcome='refused', reason='HTTP 410 Gone', wait=0.0)
    """
    if 200 <= response.status < 300:
        return Answer("delivered")
    reason = f"HTTP {response.status} {_phrase(response.status)}".rstrip()
    if response.status in LATER or response.status >= 500:
        return Answer("again", reason, retry_after(response.headers.get("retry-after"), now))
    if response.status in OURS:
        return Answer("again", f"{reason}: check url and secret")
    return Answer("refused", reason)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def retry_after(said: str | None, now: datetime) -> float:
    """Return the seconds that a ``Retry-After`` asks for: a number or a date; 0 without one.

    Examples
    --------
    >>> moment = datetime(2026, 3, 1, tzinfo=UTC)
    >>> retry_after("Sun, 01 Mar 2026 00:01:00 GMT", moment), retry_after("soon", moment)
    (60.0, 0.0)
    """
    if said is None:
        return 0.0
    if said.strip().isdecimal():
        return min(float(said), LONGEST_WAIT_SECONDS)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)
