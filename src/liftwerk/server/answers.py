"""What an error looks like: a problem document for programs, a page for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from liftwerk.errors import LiftwerkError
from liftwerk.server.collect import allow_origin
from liftwerk.server.guard import COLLECT_PATHS, PROGRAM_PATHS
from liftwerk.server.problems import MEDIA_TYPE, problem, retry_after, status_of
from liftwerk.server.render import page

log = logging.getLogger("liftwerk.server")


def _known(request: Request[Any, Any, Any], error: LiftwerkError) -> Response[Any]:
    members = {"what": error.what, "where": error.where, "hint": error.hint}
    headers = {}
    seconds = retry_after(error)
    if seconds is not None:
        headers["retry-after"] = seconds
    return _say(request, status_of(error), str(error), members, headers)


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    detail = error.detail
    if error.status_code == 404:
        detail = "there is nothing at this address"
    return _say(request, error.status_code, detail, {}, error.headers or {})


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "something broke here that should not; the server's log has the details"
    return _say(request, 500, detail, {}, {})


def _say(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    members: dict[str, Any],
    headers: dict[str, str],
) -> Response[Any]:
    path = request.url.path
    if not path.startswith(PROGRAM_PATHS):
        answer = page("error.html", status_code=status, here="", code=status, detail=detail)
        answer.headers.update(headers)
        return answer
    if path.startswith(COLLECT_PATHS):
        headers = {**headers, **allow_origin(request)}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="liftwerk"'
    document = problem(status, detail, path, members)
    return Response(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)


EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[..., Response[Any]]] = {
    LiftwerkError: _known,
    HTTPException: _http,
    Exception: _unexpected,
}
"""Family of errors -> what answers it."""
