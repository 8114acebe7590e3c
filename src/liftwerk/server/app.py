"""The application: which addresses there are, and what an error looks like."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router

from liftwerk import __version__
from liftwerk.errors import LiftwerkError
from liftwerk.server import api
from liftwerk.server.guard import LOOPBACK_NAMES, PROGRAM_PATHS, Guard
from liftwerk.server.pages.audit import audit_page
from liftwerk.server.pages.decisions import decision_page, decisions_page
from liftwerk.server.pages.docs import docs_page
from liftwerk.server.pages.releases import release_page, releases_page
from liftwerk.server.pages.report import report_page
from liftwerk.server.pages.sign_in import sign_in, sign_in_page
from liftwerk.server.pages.status import status_page
from liftwerk.server.problems import MEDIA_TYPE, problem, status_of
from liftwerk.server.reading import Reader
from liftwerk.server.render import STATIC, page
from liftwerk.server.source import ReportSource

log = logging.getLogger("liftwerk.server")

HANDLERS = (
    report_page,
    decisions_page,
    decision_page,
    releases_page,
    release_page,
    audit_page,
    status_page,
    docs_page,
    sign_in_page,
    sign_in,
    api.report,
    api.figure,
    api.decisions,
    api.decision,
    api.live,
    api.ready,
)


def create_app(
    open_source: Callable[[], ReportSource],
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = LOOPBACK_NAMES,
) -> Guard:
    """Build the application.

    Parameters
    ----------
    open_source : callable
        Opens a `ReportSource`; it is opened, asked and closed in one thread of its own.
    token : str, optional
        Asked of everybody: as a bearer token, or once in a browser.
    hosts : iterable of str, optional
        Names by which the server may be called; None for any.

    Returns
    -------
    Guard
        An ASGI application.
    """
    return guard(Reader(open_source), token=token, hosts=hosts)


def guard(
    reader: Reader, *, token: str | None = None, hosts: Iterable[str] | None = LOOPBACK_NAMES
) -> Guard:
    """Build the application over a reader that may be open already."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await reader.open()
        try:
            yield
        finally:
            await reader.close()

    async def give_reader() -> Reader:
        return reader

    static = create_static_files_router(
        path="/static",
        directories=[STATIC],
        include_in_schema=False,
        cache_control=CacheControlHeader(max_age=31_536_000, immutable=True),
    )
    app = Litestar(
        route_handlers=[*HANDLERS, static],
        dependencies={"reader": Provide(give_reader)},
        lifespan=[lifespan],
        state=State({"token": token}),
        exception_handlers={LiftwerkError: _known, HTTPException: _http, Exception: _unexpected},
        openapi_config=OpenAPIConfig(
            title="liftwerk",
            version=__version__,
            description="What the closed loop knows, for programs. Errors are RFC 9457 documents.",
            path="/schema",
            render_plugins=[JsonRenderPlugin(path="/")],
        ),
        logging_config=None,
    )
    return Guard(app, token=token, hosts=hosts)


def _known(request: Request[Any, Any, Any], error: LiftwerkError) -> Response[Any]:
    members = {"what": error.what, "where": error.where, "hint": error.hint}
    return _say(request, status_of(error), str(error), members)


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    detail = error.detail
    if error.status_code == 404:
        detail = "there is nothing at this address"
    return _say(request, error.status_code, detail, {})


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "something broke here that should not; the server's log has the details"
    return _say(request, 500, detail, {})


def _say(
    request: Request[Any, Any, Any], status: int, detail: str, members: dict[str, Any]
) -> Response[Any]:
    path = request.url.path
    if not path.startswith(PROGRAM_PATHS):
        return page("error.html", status_code=status, here="", code=status, detail=detail)
    headers = {}
    if status == 503:
        headers["retry-after"] = "5"
    document = problem(status, detail, path, members)
    return Response(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)
