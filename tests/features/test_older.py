"""Both versions of a changed view are kept and served until whoever reads the old one has moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError, Refused, UnknownName
from liftwerk.features.concerned import mark_stale
from liftwerk.features.older import as_used, drop_orphans, kept_names
from liftwerk.features.serve import Server
from liftwerk.features.standing import standings
from liftwerk.features.update import Updater
from liftwerk.features.used import put_to_use, view_version
from liftwerk.identity.resolve import leaf_of
from liftwerk.project.features import undeclared_versions
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import granted, order, put

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEND = {"entity": "customer", "from": "order_completed", "aggregate": "sum", "property": "revenue"}


def shop(window: str, also: tuple[str, ...] = (), **sections: Any) -> Project:
    return shops.shop(
        features={
            "spend": {**SPEND, "window": window},
            "doubled": {"entity": "customer", "expression": "spend * 2"},
        },
        feature_views={
            "crm": {"purpose": "accounting", "features": ["spend", "doubled"], "also": also}
        },
        **sections,
    )


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        yield stores


def use(project: Project, stores: Stores, at: datetime) -> None:
    put_to_use(project, stores.ledger, "ann", at)
    Updater(project, stores, FixedClock(at)).catch_up()


def buy(project: Project, stores: Stores, number: int, amount: str, at: datetime) -> None:
    body = order(number, f"o{number}", amount, identifiers={"email": "ada@x.org"}, time=at)
    assert put(project, stores, body | {"consent": granted("ads")}, source="till", at=at) == []


def served(project: Project, stores: Stores, view: str, at: datetime) -> dict[str, Any]:
    server = Server(project, stores, view, FixedClock(at))
    return dict(server.get(*server.key(["ada@x.org"])).values)


def test_old_and_new_values_follow_the_log_side_by_side(stores: Stores) -> None:
    old = shop("2d")
    buy(old, stores, 1, "5.00", AT)
    use(old, stores, AT + timedelta(hours=1))
    older = f"crm@{view_version(old, 'crm')[:8]}"
    both = shop("30d", (older,))
    later = AT + timedelta(days=10)
    use(both, stores, later)
    buy(both, stores, 2, "7.00", later)
    use(both, stores, later + timedelta(hours=1))
    now = later + timedelta(hours=2)
    assert served(both, stores, "crm", now) == {"spend": 12.0, "doubled": 24.0}
    assert served(both, stores, older, now) == {"spend": 7.0, "doubled": 14.0}
    assert kept_names(both) == ["crm", older]
    assert [one.behind for one in standings(both, stores, now).values()] == [0, 0]


def test_the_version_that_is_declared_may_be_named_before_it_changes(stores: Stores) -> None:
    project = shop("2d")
    buy(project, stores, 1, "5.00", AT)
    use(project, stores, AT + timedelta(hours=1))
    pinned = f"crm@{view_version(project, 'crm')}"
    assert served(project, stores, pinned, AT + timedelta(hours=1)) == {
        "spend": 5.0,
        "doubled": 10.0,
    }


def test_a_version_that_nobody_keeps_is_refused_with_what_to_do(stores: Stores) -> None:
    old = shop("2d")
    use(old, stores, AT)
    older = f"crm@{view_version(old, 'crm')[:8]}"
    with pytest.raises(UnknownName, match="add it to also"):
        as_used(shop("30d"), stores.ledger, older)
    with pytest.raises(UnknownName, match="was ever put to use"):
        as_used(shop("30d", ("crm@00000000",)), stores.ledger, "crm@00000000")
    with pytest.raises(DefinitionError, match="at least 8 digits"):
        shop("30d", ("crm@12",))
    with pytest.raises(DefinitionError, match="at least 8 digits"):
        shop("30d", ("other@0ce71659",))


def test_where_an_event_changed_the_old_version_is_refused_and_not_served_wrongly(
    stores: Stores,
) -> None:
    old = shop("2d")
    buy(old, stores, 1, "5.00", AT)
    use(old, stores, AT + timedelta(hours=1))
    older = f"crm@{view_version(old, 'crm')[:8]}"
    events = shops.SHOP["events"]
    changed = {**events, "order_completed": {**events["order_completed"], "unique": ["revenue"]}}
    both = shop("30d", (older,), events=changed)
    with pytest.raises(Refused, match="what it reads is declared otherwise"):
        Server(both, stores, older, FixedClock(AT))
    # An erasure goes on, and forgets what it can't make anew.
    mark_stale(both, stores, [leaf_of(both, "ada@x.org")])
    assert [one.name for one in stores.online.spaces() if one.name.startswith(older)] == []


def test_where_other_people_may_be_read_the_old_version_is_refused(stores: Stores) -> None:
    old = shop("2d")
    buy(old, stores, 1, "5.00", AT)
    use(old, stores, AT + timedelta(hours=1))
    older = f"crm@{view_version(old, 'crm')[:8]}"
    both = shop("30d", (older,), identity={"at_most": 2})
    with pytest.raises(Refused, match="who may be read"):
        Server(both, stores, older, FixedClock(AT))


def test_what_nobody_declares_any_more_is_told_and_forgotten(stores: Stores) -> None:
    old = shop("2d")
    buy(old, stores, 1, "5.00", AT)
    use(old, stores, AT)
    short = f"crm@{view_version(old, 'crm')}"
    new = shop("30d")
    use(new, stores, AT)
    assert undeclared_versions(new, stores) == [short]
    assert undeclared_versions(shop("30d", (short[:12],)), stores) == []
    gone = drop_orphans(new, stores)
    assert gone[short] == 1
    assert {name.partition("/")[0] for name in gone} == {short}
    assert undeclared_versions(new, stores) == []
    assert served(new, stores, "crm", AT + timedelta(hours=1))["spend"] == 5.0
