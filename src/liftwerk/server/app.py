"""The applications: which addresses there are, with the pages or for collecting alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.static_files import create_static_files_router

from liftwerk.server import api
from liftwerk.server.answers import EXCEPTION_HANDLERS
from liftwerk.server.at_hand import AtHand
from liftwerk.server.collect import collect_ready, events
from liftwerk.server.collector import OpenDoor, closing, give_door, give_stock
from liftwerk.server.consent import consent
from liftwerk.server.erasures import erase_customer, erasure_state
from liftwerk.server.guard import LOOPBACK_NAMES, Guard
from liftwerk.server.in_time import InTime
from liftwerk.server.measures import Counted
from liftwerk.server.metrics import bearer, metrics
from liftwerk.server.ofrep import evaluate_flag, evaluate_flags
from liftwerk.server.openapi import openapi
from liftwerk.server.pages.audit import audit_page
from liftwerk.server.pages.decisions import decision_page, decisions_page
from liftwerk.server.pages.definitions import definitions_page
from liftwerk.server.pages.docs import docs_page
from liftwerk.server.pages.experiments import (
    experiment_figure,
    experiment_page,
    experiments_page,
    holdout_figure,
    holdout_page,
)
from liftwerk.server.pages.features import feature_page, features_page
from liftwerk.server.pages.inventory import inventory_page
from liftwerk.server.pages.lineage import lineage_page
from liftwerk.server.pages.releases import release_page, releases_page
from liftwerk.server.pages.report import report_page
from liftwerk.server.pages.sign_in import sign_in, sign_in_page
from liftwerk.server.pages.status import status_page
from liftwerk.server.preflight import Preflight
from liftwerk.server.reading import Reader
from liftwerk.server.render import STATIC
from liftwerk.server.segment import segment
from liftwerk.server.source import ReportSource
from liftwerk.server.tracker import tracker

HANDLERS = (
    report_page,
    decisions_page,
    decision_page,
    definitions_page,
    experiments_page,
    experiment_page,
    experiment_figure,
    holdout_page,
    holdout_figure,
    releases_page,
    release_page,
    features_page,
    feature_page,
    lineage_page,
    inventory_page,
    audit_page,
    status_page,
    docs_page,
    sign_in_page,
    sign_in,
    api.report,
    api.figure,
    api.decisions,
    api.decision,
    api.features,
    api.live,
    api.ready,
)

COLLECTING = (events, segment, consent, evaluate_flag, evaluate_flags, tracker)
"""What a source's key opens."""

ERASING = (erase_customer, erasure_state)
"""What the staff token opens wherever events are collected."""


def create_app(
    open_source: Callable[[], ReportSource],
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = LOOPBACK_NAMES,
    opened: OpenDoor | None = None,
) -> Guard:
    """Build the application.

    Parameters
    ----------
    open_source : callable
        Opens a `ReportSource`; it is opened, asked and closed in one thread of its own. Called
        twice: kept values are asked for in another thread than the rest, or at once in the one
        that serves, where they are at hand.
    token : str, optional
        Asked of everybody: as a bearer token, or once in a browser.
    hosts : iterable of str, optional
        Names by which the server may be called; None for any.
    opened : OpenDoor, optional
        Collects events too; closed when the application ends.

    Returns
    -------
    Guard
        An ASGI application.
    """
    reader, values = Reader(open_source), Reader(open_source)
    return guard(reader, values, token=token, hosts=hosts, opened=opened)


def guard(
    reader: Reader,
    values: Reader,
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = LOOPBACK_NAMES,
    opened: OpenDoor | None = None,
) -> Guard:
    """Build the application over a reader that may be open already, and one for kept values.

    Who asks for values decides something meanwhile, and waits for no page.
    """

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await reader.open()
        await values.ask(lambda source: source.compile_views())
        try:
            yield
        finally:
            await values.close()
            await reader.close()

    async def give_reader() -> Reader:
        return reader

    async def give_values() -> Reader:
        return values

    static = create_static_files_router(
        path="/static",
        directories=[STATIC],
        include_in_schema=False,
        cache_control=CacheControlHeader(max_age=31_536_000, immutable=True),
    )
    handlers: list[Any] = [*HANDLERS, static]
    dependencies = {"reader": Provide(give_reader), "values": Provide(give_values)}
    lifespans: list[Any] = [lifespan]
    project = None
    if opened is not None:
        project = opened.project
        handlers += [*COLLECTING, *ERASING, metrics]
        dependencies["door"] = give_door(opened.door)
        dependencies["stock"] = give_stock(opened.stock)
        lifespans.append(closing(opened))
    app = Litestar(
        route_handlers=handlers,
        dependencies=dependencies,
        lifespan=lifespans,
        state=State({"token": token}),
        exception_handlers={**EXCEPTION_HANDLERS},
        openapi_config=openapi(
            "What the closed loop knows, and the door events come in by.", project
        ),
        logging_config=None,
    )
    return Guard(Counted(Preflight(InTime(AtHand(app, values)))), token=token, hosts=hosts)


def collect_app(
    opened: OpenDoor, *, token: str | None = None, open_figures: bool = True
) -> Counted:
    """Build the application that only collects; keys guard it, no token.

    Parameters
    ----------
    opened : OpenDoor
        Closed when the application ends.
    token : str, optional
        Asked of who reads ``/metrics``, or erases; without one nobody may erase.
    open_figures : bool
        Whether anybody may read them where there is no token.

    Returns
    -------
    Counted
        An ASGI application.
    """
    app = Litestar(
        route_handlers=[
            *COLLECTING,
            *ERASING,
            api.live,
            collect_ready,
            Router("/", route_handlers=[metrics], guards=[bearer(token, open_figures)]),
        ],
        state=State({"token": token}),
        dependencies={"door": give_door(opened.door), "stock": give_stock(opened.stock)},
        lifespan=[closing(opened)],
        exception_handlers={**EXCEPTION_HANDLERS},
        openapi_config=openapi("The door events come in by.", opened.project),
        logging_config=None,
    )
    return Counted(Preflight(InTime(app)))
