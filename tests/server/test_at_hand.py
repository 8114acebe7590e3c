"""Values that are at hand are told without the framework, and not otherwise than by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.features.served import Served
from liftwerk.features.update import Updater
from liftwerk.server.app import create_app
from liftwerk.server.live import LiveSource
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import at

TOKEN = "only-for-tests-0123456789"
ANYBODY = {"entity": "customer", "from": "page_viewed", "aggregate": "count"}
FEATURES: dict[str, Any] = {
    "views": ANYBODY,
    "views_2h": {**ANYBODY, "window": "2h", "hop": "1h"},
    "last_order": {
        "entity": "customer",
        "from": "order_completed",
        "aggregate": "last",
        "property": "order_id",
    },
    "share": {"entity": "customer", "expression": "views_2h / views"},
    "seen": {"entity": "session", "from": "page_viewed", "aggregate": "count"},
    "basket": {"entity": "customer", "request": "money"},
}
VIEWS = {
    "crm": {"purpose": "ads", "features": ["views", "views_2h", "last_order", "share"]},
    "visits": {"purpose": "ads", "entity": "session", "features": ["seen"]},
    "till": {"purpose": "ads", "features": ["views", "basket"]},
}


class Watched(LiveSource):
    """Remembers in which threads it was asked for values."""

    asked: list[str]

    def features(self, view: str, entity: str, key: str, request: Mapping[str, str]) -> Served:
        self.asked.append(threading.current_thread().name)
        return super().features(view, entity, key, request)


class Afar(Watched):
    """Has nothing at hand."""

    def features_at_hand(
        self, view: str, entity: str, key: str, request: Mapping[str, str]
    ) -> Served | None:
        return None


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    home = tmp_path_factory.mktemp("at-hand") / "home"
    project = shops.shop(features=FEATURES, feature_views=VIEWS)
    with open_stores(Home.open(home, create=True)) as stores:
        for number, who in enumerate(({"email": "ada@x.org"}, {"device": "é a/b"}), 1):
            whose = {"identifiers": who, "time": at(1), "consent": granted("ads")}
            seen = event("page_viewed", number, **whose)
            bought = order(9 + number, f"x {number}", **whose)
            assert put(project, stores, seen, bought, source="till", at=at(2)) == []
        Updater(project, stores, FixedClock(at(2))).catch_up()
    return project, home


@contextmanager
def asking(
    lived: tuple[Project, Path], kind: type[Watched]
) -> Iterator[tuple[Callable[..., Any], list[str]]]:
    """Serve; yields how to ask, and in which threads the source was."""
    project, home = lived
    asked: list[str] = []

    def open_source() -> Watched:
        source = kind(project, open_stores(Home.open(home)), FixedClock(at(4)))
        source.asked = asked
        return source

    app = create_app(open_source, token=TOKEN)
    with TestClient(app=app, base_url="http://127.0.0.1") as client:

        def ask(address: str, method: str = "GET", **headers: str) -> Any:
            given = {"authorization": f"Bearer {TOKEN}", **headers}
            return client.request(method, f"/v1/features{address}", headers=given)

        yield ask, asked


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/customer/email:ada@x.org?view=crm", 200),
        ("/customer/ada%40x.org?view=crm", 200),
        ("/customer/device:%C3%A9%20a%2Fb?view=crm", 200),
        ("/customer/email:ada@x.org?%76iew=cr%6D", 200),
        ("/customer/email:nobody@x.org?view=crm", 200),
        ("/customer/email:ada@x.org/?view=crm", 200),
        ("//customer/email:ada@x.org?view=crm", 200),
        ("/customer/email:ada@x.org?view=till&basket=7.50", 200),
        ("/customer/email:ada@x.org?view=till", 200),
        ("/customer/email:ada@x.org?view=till&basket=dear", 400),
        ("/customer/email:ada@x.org?view=crm&basket=7.50", 400),
        ("/customer/email:ada@x.org?view=crm&view=till", 200),
        ("/customer/email:ada@x.org?view=visits&view=crm", 200),
        ("/customer/email:ada@x.org?view=", 400),
        ("/customer/email:ada@x.org", 400),
        ("/customer/%FF?view=crm", 400),
        ("/customer/phone:1?view=crm", 400),
        ("/customer/email:ada@x.org?view=shop", 404),
        ("/visitor/email:ada@x.org?view=crm", 404),
        ("/customer/?view=crm", 404),
        ("/customer//?view=crm", 404),
        ("/customer?view=crm", 404),
        ("/session/s1?view=visits", 200),
        ("/session//?view=visits", 404),
        ("/session?view=visits", 404),
    ],
)
def test_an_answer_is_the_same_at_hand_and_from_afar(
    lived: tuple[Project, Path], address: str, status: int
) -> None:
    answers = []
    for kind in (Watched, Afar):
        with asking(lived, kind) as (ask, _):
            answer = ask(address)
            answers.append((answer.status_code, answer.headers.multi_items(), answer.content))
    assert answers[0] == answers[1]
    assert answers[0][0] == status


def test_only_what_waits_for_nobody_is_told_by_the_thread_that_serves(
    lived: tuple[Project, Path],
) -> None:
    with asking(lived, Watched) as (ask, asked):
        told = ask("/customer/email:ada@x.org?view=crm").json()
        assert told["values"] == {"views": 1.0, "views_2h": 0.0, "last_order": "x 1", "share": 0.0}
        assert len(asked) == 1
        assert not asked[0].startswith("source")
        # What a request brings is reckoned with in columns, which takes longer.
        assert ask("/customer/email:ada@x.org?view=till&basket=7.50").status_code == 200
        assert asked[1].startswith("source")
        assert len(asked) == 2


def test_who_may_not_ask_is_told_nothing(lived: tuple[Project, Path]) -> None:
    with asking(lived, Watched) as (ask, asked):
        address = "/customer/email:ada@x.org?view=crm"
        assert ask(address, authorization="Bearer no").status_code == 401
        assert ask(address, host="evil.example").status_code == 421
        assert ask(address, method="POST").status_code == 405
        assert asked == []
