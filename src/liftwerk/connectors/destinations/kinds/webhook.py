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

from liftwerk.connectors.destinations.demands import foreign, sha256_hex
from liftwerk.connectors.destinations.exchange import (
    ANY_SIZE,
    Answer,
    Message,
    Request,
    Response,
    judge,
)
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination


class Webhook:
    """Posts each event as JSON to an address of the project's own."""

    url = ""
    most = 1
    most_bytes = ANY_SIZE
    takes_lists = True
    delivery: tuple[str, ...] = ()

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
