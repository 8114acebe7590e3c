"""`POST /v1/events`, the door: who sends is known by the key, before anything is read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec

from liftwerk.connectors.segment.translate import Calls
from liftwerk.errors import Forbidden, Unauthenticated
from liftwerk.events.collect import Collected, Collector
from liftwerk.events.definition import Source
from liftwerk.experiments.serve import Answers
from liftwerk.server.measures import count_events
from liftwerk.server.openapi import problems
from liftwerk.server.payload import cut, unpack
from liftwerk.server.problems import MEDIA_TYPE, problem

PACKED_BYTES = 5_000_000
"""Longest body as it comes; what it may hold unpacked is bounded in `liftwerk.server.payload`."""


class Keys(Protocol):
    """Who a key speaks for."""

    def source_of(self, secret: str) -> str | None:
        """Return the key's source; None for a key that is not known, or has ended."""
        ...


class Door:
    """A collector and the keys that open it.

    Parameters
    ----------
    collector : Collector
    keys : Keys
    sources : mapping of str to Source
        The declared ones.
    calls : Calls
        How Segment's calls become events.
    answers : Answers
        What a unit is shown.
    """

    def __init__(
        self,
        collector: Collector,
        keys: Keys,
        sources: Mapping[str, Source],
        calls: Calls,
        answers: Answers,
    ) -> None:
        self.collector = collector
        self.answers = answers
        self.keys = keys
        self.sources = sources
        self.calls = calls

    def source_of(self, request: Request[Any, Any, Any], inside: str = "") -> str:
        """Say which source a request comes from.

        Parameters
        ----------
        request : Request
        inside : str
            A key from the body, for clients that put it there.

        Raises
        ------
        Unauthenticated
            If it has no key, or none that works.
        Forbidden
            If it was sent from a page that the source does not name.
        """
        secret = secret_of(request.headers, request.query_params) or inside
        source = None
        if secret:
            source = self.keys.source_of(secret)
        if source is None or source not in self.sources:
            hint = "send a source's write key: Authorization: Bearer KEY; see `liftwerk keys`"
            raise Unauthenticated("no write key that works", "the request", hint)
        origin = request.headers.get("origin", "")
        allowed = self.sources[source].origins
        if origin and allowed and origin.lower() not in allowed:
            hint = f"name it in sources.{source}.origins"
            raise Forbidden("pages of this origin may not send", f"sources.{source}", hint)
        return source


def secret_of(headers: Mapping[str, str], query: Mapping[str, Any]) -> str:
    """Take the key from where clients put it.

    Parameters
    ----------
    headers : mapping
        ``Authorization: Bearer KEY``, ``Authorization: Basic base64(KEY:)`` (as Segment's clients
        send it), ``X-Write-Key: KEY``, or ``X-API-Key: KEY`` (as OpenFeature's providers do).
    query : mapping
        ``?key=KEY``: what a browser can send when its page closes.

    Examples
    --------
    >>> secret_of({"authorization": "Basic bHdfd3JpdGU6"}, {})
    'lw_write'
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(given.strip(), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return text.partition(":")[0]
    for name in ("x-write-key", "x-api-key"):
        if headers.get(name):
            return headers[name]
    return str(query.get("key", ""))


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event that was refused: its place in the request, why, and where in it."""

    index: int
    reason: str
    path: str


class Receipt(msgspec.Struct, frozen=True):
    """How many events are durable now, and which were refused."""

    accepted: int
    filtered: int
    refused: list[RefusedEvent]


REFUSALS = problems(
    {
        400: "The body is not what it says",
        401: "No write key that works",
        403: "Pages of this origin may not send",
        408: "The body did not come in time",
        413: "More than one request may hold",
        415: "A content type, character set or encoding that is not read",
        422: "Some events are refused, by index and reason; the rest is durable",
        429: "More than the source may send; Retry-After says when it may again",
        503: "It cannot be kept just now; send the same again after Retry-After",
    }
)
"""What every address that collects answers with when it does not take what came."""

RESPONSES = {
    200: ResponseSpec(Receipt, description="Everything that was sent is durable"),
    **REFUSALS,
}


@post(
    "/v1/events",
    summary="Collect events: one, a list, or one a line",
    status_code=200,
    request_max_body_size=PACKED_BYTES,
    responses=RESPONSES,
    security=[{"write key": []}],
)
async def events(request: Request[Any, Any, Any], door: NamedDependency[Door]) -> Response[bytes]:
    """Take events; the answer comes when those accepted are durable.

    Events have the project's envelope (`liftwerk schema event NAME`). The key says which source
    sends: `Authorization: Bearer`, `Authorization: Basic`, `X-Write-Key` or `?key=`. The body is
    an object, an array, or lines (`application/x-ndjson`), in UTF-8, plain or gzip.
    """
    source = door.source_of(request)
    body = unpack(await request.body(), request.headers.get("content-encoding", ""))
    texts = cut(body, request.headers.get("content-type", ""))
    agent = request.headers.get("user-agent", "")
    done = await door.collector.collect(texts, source, agent)
    return receipt(request, done, door.collector.dry)


@get("/health/ready", summary="Events can be taken", sync_to_thread=False)
def collect_ready() -> dict[str, str]:
    """Say that events can be taken: whoever answers has opened the inbox."""
    return {"status": "ready"}


def receipt(request: Request[Any, Any, Any], done: Collected, dry: bool) -> Response[bytes]:
    """Answer a request's events: 200, or 422 where some are refused."""
    count_events(done)
    members: dict[str, Any] = {
        "accepted": done.accepted,
        "filtered": done.filtered,
        "refused": [msgspec.to_builtins(one) for one in done.refused],
    }
    if dry:
        members["dry"] = True
    headers = allow_origin(request)
    if not done.refused:
        return Response(msgspec.json.encode(members), media_type=MediaType.JSON, headers=headers)
    detail = f"{len(done.refused)} of {done.accepted + len(done.refused)} events are refused"
    document = problem(422, detail, request.url.path, members)
    return Response(
        msgspec.json.encode(document), status_code=422, media_type=MEDIA_TYPE, headers=headers
    )


def allow_origin(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Let the page that asked read the answer."""
    origin = request.headers.get("origin")
    if not origin:
        return {}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after, etag",
        "vary": "origin",
        "cross-origin-resource-policy": "cross-origin",
    }
