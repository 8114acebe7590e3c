"""`/ofrep/v1/evaluate/flags`: OpenFeature's protocol, so that its clients in every language work.

A flag is a placement, its value the action to show there, its variant the experiment's arm. Errors
are said as the protocol has them, so that a client shows its own default: the control action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from liftwerk.errors import InputError, ProjectError, UnknownName, did_you_mean
from liftwerk.experiments.evaluate import Answer
from liftwerk.experiments.subject import NoTargetingKey
from liftwerk.server.collect import Door, allow_origin
from liftwerk.server.openapi import problems
from liftwerk.server.payload import unpack

MOST_BYTES = 100_000

EXPOSED = "exposed"
"""A field of the context: what is answered is shown at once, and so told as an exposure too."""


class Flag(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One placement's answer; or, in the protocol's words, why there is none."""

    key: str
    value: str | None = None
    variant: str | None = None
    reason: str | None = None
    metadata: dict[str, str] = {}
    error_code: str | None = None
    error_details: str | None = None


class Flags(msgspec.Struct, frozen=True):
    """Every placement's answer, or why it has none."""

    flags: list[Flag]


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """Why the question as a whole has no answer."""

    error_code: str
    error_details: str


REFUSALS = problems(
    {
        401: "No write key that works",
        403: "Pages of this origin may not ask",
        408: "The body did not come in time",
        413: "More than one question may hold",
        415: "An encoding that is not read",
        429: "More than the source may ask; Retry-After says when it may again",
        503: "What runs cannot be read, or the answer cannot be told, just now",
    }
)

FlagKey = Annotated[str, PathParameter(description="A declared placement")]


@post(
    "/ofrep/v1/evaluate/flags/{key:str}",
    summary="What one unit is shown at a placement (OpenFeature)",
    status_code=200,
    request_max_body_size=MOST_BYTES,
    responses={
        200: ResponseSpec(Flag, description="The action; the arm is told, and durable"),
        400: ResponseSpec(Flag, description="The context is not what it has to be"),
        404: ResponseSpec(Flag, description="No such placement is declared"),
        **REFUSALS,
    },
    security=[{"write key": []}],
)
async def evaluate_flag(
    request: Request[Any, Any, Any], door: NamedDependency[Door], key: FlagKey
) -> Response[bytes]:
    """Answer for one unit: the body is `{"context": {"targetingKey": "NAMESPACE:VALUE"}}`.

    The context may name a `session`, the `consent` as in events, and with `exposed` that the
    answer is shown at once.
    """
    source = door.source_of(request)
    door.collector.throttle(source, 1)
    try:
        context = await _context(request)
    except InputError as error:
        return _json(request, 400, _failed(key, "PARSE_ERROR", error))
    placements = _placements(door, source)
    if key not in placements:
        hint = did_you_mean(key, placements)
        unknown = UnknownName(f"no placement {key!r}", "[placements]", hint)
        return _json(request, 404, _failure(key, unknown))
    [answer] = await door.answers.answer([key], context, context.get(EXPOSED) is True)
    if isinstance(answer, Answer):
        return _json(request, 200, _flag(answer))
    return _json(request, 400, _failure(key, answer))


@post(
    "/ofrep/v1/evaluate/flags",
    summary="What one unit is shown at every placement (OpenFeature)",
    status_code=200,
    request_max_body_size=MOST_BYTES,
    responses={
        200: ResponseSpec(Flags, description="All actions; the arms are told, and durable"),
        304: ResponseSpec(None, description="They are what If-None-Match names"),
        400: ResponseSpec(Failure, description="The context is not what it has to be"),
        **REFUSALS,
    },
    security=[{"write key": []}],
)
async def evaluate_flags(
    request: Request[Any, Any, Any], door: NamedDependency[Door]
) -> Response[bytes]:
    """Answer for one unit at every placement, as a client does that asks once for many.

    What was answered has an `ETag`; who sends it as `If-None-Match` is told 304 while it holds.
    """
    source = door.source_of(request)
    door.collector.throttle(source, 1)
    try:
        context = await _context(request)
    except InputError as error:
        return _json(request, 400, Failure("PARSE_ERROR", str(error)))
    placements = _placements(door, source)
    answers = await door.answers.answer(placements, context)
    flags = []
    for placement, answer in zip(placements, answers, strict=True):
        if isinstance(answer, Answer):
            flags.append(_flag(answer))
        else:
            flags.append(_failure(placement, answer))
    body = msgspec.json.encode(Flags(flags))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**allow_origin(request), "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=304, headers=headers)
    return Response(body, media_type=MediaType.JSON, headers=headers)


def _placements(door: Door, source: str) -> list[str]:
    """Name the placements that a source's keys may ask about."""
    allowed = door.sources[source].placements
    every = door.answers.placements
    if not allowed:
        return every
    return [placement for placement in every if placement in allowed]


async def _context(request: Request[Any, Any, Any]) -> Mapping[str, Any]:
    """Read the evaluation context."""
    body = unpack(await request.body(), request.headers.get("content-encoding", ""))
    if not body:
        return {}
    hint = 'send {"context": {"targetingKey": "NAMESPACE:VALUE"}}'
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("not JSON", "the request's body", hint) from None
    context = None
    if isinstance(document, dict):
        context = document.get("context", {})
    if not isinstance(context, dict):
        raise InputError("no context in it", "the request's body", hint)
    return context


def _flag(answer: Answer) -> Flag:
    metadata = {}
    if answer.experiment is not None:
        metadata["experiment"] = answer.experiment
    return Flag(answer.placement, answer.value, answer.variant, answer.reason, metadata)


def _failure(key: str, error: ProjectError) -> Flag:
    code = "INVALID_CONTEXT"
    if isinstance(error, UnknownName):
        code = "FLAG_NOT_FOUND"
    elif isinstance(error, NoTargetingKey):
        code = "TARGETING_KEY_MISSING"
    return _failed(key, code, error)


def _failed(key: str, code: str, error: ProjectError) -> Flag:
    return Flag(key, error_code=code, error_details=str(error))


def _json(request: Request[Any, Any, Any], status: int, said: msgspec.Struct) -> Response[bytes]:
    return Response(
        msgspec.json.encode(said),
        status_code=status,
        media_type=MediaType.JSON,
        headers=allow_origin(request),
    )
