"""`DELETE /v1/customers/{id}`: a customer asks to be forgotten; the receipt says what went.

The answer comes as soon as the request is durable; whoever sorts the collected events into tables
carries it out.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, unquote_to_bytes

import msgspec
from litestar import Request, Response, delete, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from liftwerk.errors import Forbidden, InputError, Unauthenticated, UnknownName
from liftwerk.governance.erase import request as request_erasure
from liftwerk.server.collect import Door, secret_of
from liftwerk.server.guard import same
from liftwerk.server.openapi import problems
from liftwerk.store.ledger import Erasure

CUSTOMERS = "/v1/customers/"
ERASURES = "/v1/erasures/"
ACTOR = "staff token"
MOST_CHARACTERS = 1000


class ErasureState(msgspec.Struct, frozen=True):
    """An erasure: when it was asked for and finished, and what went; not whom it was about."""

    erasure: str
    state: str
    requested: datetime
    finished: datetime | None
    receipt: dict[str, Any]


_REFUSALS = {401: "No staff token, or another one", 403: "The server has no staff token to compare"}
_FOUND = ResponseSpec(ErasureState, description="How it stands")


@delete(
    CUSTOMERS + "{customer:path}",
    summary="Erase a customer",
    status_code=202,
    responses={
        202: ResponseSpec(ErasureState, description="Queued, durably: see its address for the end"),
        **problems({400: "No identifier, or not what its namespace demands", **_REFUSALS}),
        **problems({503: "It cannot be kept just now; ask again after Retry-After"}),
    },
    security=[{"staff token": []}],
)
async def erase_customer(
    request: Request[Any, Any, Any],
    door: NamedDependency[Door],
    customer: Annotated[Path, PathParameter(description="VALUE, or NAMESPACE:VALUE")],
) -> Response[bytes]:
    """Take a customer out of everything that is kept.

    From the answer on no reader sees events that carry the identifier; what is stored goes within
    minutes, of all that the customer is known by.
    """
    _demand_staff(request)
    collector = door.collector
    identifier = identifier_in(request.scope["raw_path"], CUSTOMERS)
    now = collector.clock.now()
    if collector.dry:
        return _answer(Erasure("dry", now), 202)
    told = (collector.project, collector.stores, [identifier], ACTOR, collector.clock)
    [erasure] = await asyncio.to_thread(request_erasure, *told, "asked over HTTP")
    return _answer(Erasure(erasure, now), 202, {"location": f"{ERASURES}{erasure}"})


@get(
    ERASURES + "{erasure:str}",
    summary="How an erasure stands",
    responses={200: _FOUND, **problems({404: "No such erasure", **_REFUSALS})},
    security=[{"staff token": []}],
)
async def erasure_state(
    request: Request[Any, Any, Any],
    door: NamedDependency[Door],
    erasure: Annotated[str, PathParameter(description="The receipt that the request was given")],
) -> Response[bytes]:
    """Say whether it is finished, and what went, by collection and field."""
    _demand_staff(request)
    found = await asyncio.to_thread(door.collector.stores.ledger.erasure, erasure)
    if found is None:
        raise UnknownName("no such erasure", ERASURES, "take the id that the DELETE answered with")
    return _answer(found, 200)


def _demand_staff(request: Request[Any, Any, Any]) -> None:
    """Let in whoever has the staff token; a browser's session is not enough to erase."""
    token = request.app.state["token"]
    if not token:
        hint = "start the server with LIFTWERK_TOKEN"
        raise Forbidden("erasing over HTTP needs a staff token", "the server", hint)
    if not same(secret_of(request.headers, {}), token):
        hint = "send the staff token: Authorization: Bearer TOKEN"
        raise Unauthenticated("no staff token", "the request", hint)


def identifier_in(raw_path: bytes, before: str) -> str:
    """Take a customer's identifier from an address as it was sent: it may hold any character.

    Parameters
    ----------
    raw_path : bytes
        The address.
    before : str
        What stands before the identifier.

    Raises
    ------
    InputError
        If there is none, or no text.
    """
    return unquote(quoted_in(raw_path, before))


def quoted_in(raw_path: bytes, before: str) -> str:
    """Take what `identifier_in` takes, as it was sent: percent-encoded."""
    path = raw_path.partition(b"?")[0].removeprefix(before.encode())
    try:
        found = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise InputError("not UTF-8", "the identifier", "write it percent-encoded") from None
    if not found.strip() or len(found) > MOST_CHARACTERS:
        what = "no identifier"
        if found.strip():
            what = f"an identifier of more than {MOST_CHARACTERS} characters"
        raise InputError(what, before, "name whom: VALUE, or NAMESPACE:VALUE")
    return path.decode("latin-1")


def _answer(
    erasure: Erasure, status: int, headers: dict[str, str] | None = None
) -> Response[bytes]:
    state = "queued"
    if erasure.finished is not None:
        state = "erased"
    said = ErasureState(erasure.id, state, erasure.requested, erasure.finished, erasure.receipt)
    return Response(
        msgspec.json.encode(said), status_code=status, media_type=MediaType.JSON, headers=headers
    )
