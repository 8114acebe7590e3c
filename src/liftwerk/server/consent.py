"""`POST /v1/consent`: a customer changes their mind."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec

from liftwerk.errors import InputError, UnknownName
from liftwerk.events.consent.change import change_consent
from liftwerk.server.collect import REFUSALS, Door, allow_origin
from liftwerk.server.payload import unpack

MOST_BYTES = 100_000


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer granted and withdrew, from now on.

    Attributes
    ----------
    identifiers : dict of str to str
        Declared namespace -> value: whom it is about.
    granted, withdrawn : list of str
        Declared purposes.
    synthetic : bool
        Whether it is test traffic, which changes nobody's consent.
    """

    identifiers: dict[str, str]
    granted: list[str] = []
    withdrawn: list[str] = []
    synthetic: bool = False


class Changed(msgspec.Struct, frozen=True):
    """The change was taken; ``event`` is null where nothing is stored (``serve --dry``)."""

    accepted: int
    event: str | None


_decode = msgspec.json.Decoder(Change).decode


@post(
    "/v1/consent",
    summary="Grant or withdraw a customer's consent",
    status_code=200,
    request_max_body_size=MOST_BYTES,
    responses={200: ResponseSpec(Changed, description="The change is durable"), **REFUSALS},
    security=[{"write key": []}],
)
async def consent(request: Request[Any, Any, Any], door: NamedDependency[Door]) -> Response[bytes]:
    """Take a change of consent; the answer comes when it is durable.

    The body is `{"identifiers": {NAMESPACE: VALUE}, "granted": [PURPOSE], "withdrawn": [PURPOSE]}`.
    It becomes a `consent_changed` event of the key's source.
    """
    source = door.source_of(request)
    body = unpack(await request.body(), request.headers.get("content-encoding", ""))
    try:
        said = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        hint = 'send {"identifiers": {…}, "granted": […], "withdrawn": […]}'
        raise InputError("not a change of consent", "the request's body", hint) from None
    collector = door.collector
    told = (said.identifiers, said.granted, said.withdrawn)
    event_id = None
    if not collector.dry:
        try:
            event_id = await asyncio.to_thread(
                change_consent,
                collector.project,
                collector.stores,
                *told,
                source,
                collector.clock,
                said.synthetic,
            )
        except UnknownName as error:
            # The address is there: what is unknown stands in the body.
            raise InputError(error.what, error.where, error.hint) from None
    answer = {"accepted": 1, "event": event_id}
    return Response(
        msgspec.json.encode(answer), media_type=MediaType.JSON, headers=allow_origin(request)
    )
