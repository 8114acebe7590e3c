"""Segment's addresses: its clients send here unchanged, and get the answers they know."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec

from liftwerk.connectors.segment.translate import KINDS, bodies, translate
from liftwerk.errors import InputError, TooLarge
from liftwerk.events.admit import Refusal
from liftwerk.server.collect import (
    PACKED_BYTES,
    REFUSALS,
    Door,
    RefusedEvent,
    allow_origin,
    secret_of,
)
from liftwerk.server.measures import count_events
from liftwerk.server.payload import EVENTS, unpack

_HINT = "send what Segment's clients send"


class Taken(msgspec.Struct, frozen=True):
    """What Segment's clients look at, and what became of each call."""

    success: bool
    accepted: int
    filtered: int
    refused: list[RefusedEvent]


_decode = msgspec.json.Decoder(dict[str, Any]).decode


@post(
    [f"/v1/{kind}" for kind in (*KINDS, "batch")],
    summary="Collect what Segment's clients send to this address of its API",
    status_code=200,
    request_max_body_size=PACKED_BYTES,
    responses={200: ResponseSpec(Taken, description="What is accepted is durable"), **REFUSALS},
    security=[{"write key": []}],
)
async def segment(request: Request[Any, Any, Any], door: NamedDependency[Door]) -> Response[bytes]:
    """Take Segment's calls; the answer comes when those accepted are durable.

    A call that is refused does not make the client send the batch again: the answer is 200 and
    names it under `refused`, and it is in quarantine.
    """
    source, document = await _known(request, door)
    kind = request.url.path.rpartition("/")[2]
    messages, sent_at = [document], None
    if kind == "batch":
        messages, sent_at = _batch(document)
    events: list[dict[str, Any]] = []
    places: list[int] = []
    refused: list[Refusal] = []
    for index, message in enumerate(messages):
        name = kind
        if kind == "batch":
            name = str(message.get("type") or "")
        if name not in KINDS:
            refused.append(Refusal(index, "no call of Segment's", "$.type"))
            continue
        made = translate(door.calls, name, message, sent_at)
        events += made
        places += [index] * len(made)
    accepted = filtered = 0
    if events:
        agent = request.headers.get("user-agent", "")
        done = await door.collector.collect(bodies(events), source, agent)
        count_events(done)
        accepted, filtered = done.accepted, done.filtered
        refused += [Refusal(places[one.index], one.reason, one.path) for one in done.refused]
    named = [RefusedEvent(one.index, one.reason, one.path) for one in refused]
    answer = Taken(True, accepted, filtered, named)
    return Response(
        msgspec.json.encode(answer), media_type=MediaType.JSON, headers=allow_origin(request)
    )


async def _known(request: Request[Any, Any, Any], door: Door) -> tuple[str, dict[str, Any]]:
    """Return the source and the body; a key that stands before the body is judged before it."""
    source = None
    if secret_of(request.headers, request.query_params):
        source = door.source_of(request)
    packed = await request.body()
    try:
        document = _document(unpack(packed, request.headers.get("content-encoding", "")))
    except InputError:
        if source is None:
            door.source_of(request)  # whoever sends nothing that is read has no key in it either
        raise
    if source is None:
        source = door.source_of(request, str(document.get("writeKey") or ""))
    return source, document


def _document(body: bytes) -> dict[str, Any]:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("not a JSON object", "the request's body", _HINT) from None


def _batch(document: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    messages = document.get("batch")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise InputError("batch is not a list of objects", "the request's body", _HINT)
    if len(messages) > EVENTS:
        raise TooLarge("too many events", "the request's body", f"at most {EVENTS:,} at once")
    sent_at = document.get("sentAt")
    if not isinstance(sent_at, str):
        return messages, None
    return messages, sent_at
