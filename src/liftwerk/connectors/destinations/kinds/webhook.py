"""A signed webhook: one event a request, verifiable and safe to receive twice.

The signature covers the time of sending and the body, so that a request can't be replayed later:
``X-Liftwerk-Signature: t=UNIX,v1=HEX`` with ``HEX = HMAC-SHA256(secret, "UNIX.BODY")``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from liftwerk.connectors.destinations.exchange import (
    ANY_SIZE,
    Answer,
    Message,
    Request,
    Response,
    judge,
)
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination


class Webhook:
    """Posts each event as JSON to an address of the project's own."""

    url = ""
    most = 1
    most_bytes = ANY_SIZE
    takes_lists = True

    def problems(self, project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
        """Yield the settings of other vendors."""
        yield from foreign(project, path, destination, ())

    def unfit(self, destination: Destination, message: Message, now: datetime) -> str:
        """Take everything."""
        return ""

    def together(self, message: Message) -> Hashable:
        """Keep every event to itself."""
        return message.id

    def request(
        self, destination: Destination, secret: str, messages: Sequence[Message], now: datetime
    ) -> Request:
        """Make the signed request of one event."""
        (message,) = messages
        identifiers = {
            theirs: sha256_hex(value) if destination.identifiers[theirs].hash else value
            for theirs, value in message.identifiers.items()
        }
        said: dict[str, object] = {
            "id": message.id,
            "name": message.name,
            "version": message.version,
            "time": message.time,
            "identifiers": identifiers,
            "properties": message.properties,
            "weight": message.weight,
        }
        if message.currency is not None:
            said["currency"] = message.currency
        body = msgspec.json.encode(said)
        headers = {
            "Idempotency-Key": message.id,
            "X-Liftwerk-Signature": signature(secret, body, int(now.timestamp())),
        }
        return Request("", headers, body)

    def judge(self, response: Response, now: datetime) -> Answer:
        """Read the status; what the body says may be about a person."""
        return judge(response, now)


def signature(secret: str, body: bytes, at: int) -> str:
    """Sign a body.

    Parameters
    ----------
    secret : str
        Shared with the receiver.
    body : bytes
    at : int
        Unix seconds of sending.

    Returns
    -------
    str
        The header's value.

    Examples
    --------
    >>> signature("s3cret", b"{}", 1772323200)[:30]
    't=1772323200,v1=160fa109872a6f'
    """
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def sha256_hex(value: str) -> str:
    """Hash a normalised identifier as vendors do: 64 lower case hexadecimal digits.

    What already is such a hash stays as it is.

    Examples
    --------
    >>> sha256_hex("ada@example.com")[:12]
    'b5fc85e55755'
    >>> sha256_hex(sha256_hex("ada@example.com")) == sha256_hex("ada@example.com")
    True
    """
    if is_sha256(value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()


def is_sha256(value: str) -> bool:
    """Say whether a text is a SHA-256 in lower case hexadecimal digits."""
    return len(value) == 64 and not set(value) - set("0123456789abcdef")


def foreign(
    project: Project, path: Path, destination: Destination, own: Sequence[str]
) -> Iterable[Problem]:
    """Yield the settings that another kind has and this one not."""
    for key in ("measurement_id", "dataset_id", "action_source"):
        if key not in own and getattr(destination, key) is not None:
            here = (*path, key)
            what = f"{dotted(here)} is not for {destination.kind}"
            yield project.problem(here, "leave it out", what=what)
