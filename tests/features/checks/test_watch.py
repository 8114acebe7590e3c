"""A view stays at its last good state, flagged, and goes on without losing or doubling anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import current
from liftwerk.features.checks.accept import accept
from liftwerk.features.checks.check import run_checks
from liftwerk.features.checks.flags import FLAGS
from liftwerk.features.definition import FEATURES
from liftwerk.features.serve import Server
from liftwerk.features.served import Served
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import erase_one

pytestmark = pytest.mark.slow

ORDERS = {"entity": "customer", "from": "order_completed"}
CUSTOMERS = [leaf_key("email", f"c{number}@x.org") for number in range(6)]
WAIT = timedelta(seconds=11)


def project(where: str | None = None, **checks: Any) -> Project:
    """A shop that lets negative amounts in, with a sum that must not be negative."""
    events = {name: dict(one) for name, one in shops.SHOP["events"].items()}
    properties = dict(events["order_completed"]["properties"])
    properties["revenue"] = {"type": "money"}
    events["order_completed"]["properties"] = properties
    spend = {
        **ORDERS,
        "aggregate": "sum",
        "property": "revenue",
        "checks": {"minimum": 0, **checks},
    }
    if where is not None:
        spend["where"] = where
    features = {
        "spend": spend,
        "orders": {**ORDERS, "aggregate": "count"},
        "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    }
    crm = {"purpose": "personalisation", "features": list(features)}
    web = {"purpose": "personalisation", "features": ["views"]}
    return shops.shop(events=events, features=features, feature_views={"crm": crm, "web": web})


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened, opened.home.hold("test"):
        yield opened


class Shop:
    """A shop in which orders come, and what keeps its views."""

    def __init__(self, stores: Stores, declared: Project) -> None:
        self.stores, self.project = stores, declared
        self.clock = FixedClock(shops.NOW)
        self.updater = Updater(declared, stores, self.clock)
        self.number = 0

    def sell(self, customer: int, revenue: str, order_id: str = "", source: str = "till") -> None:
        self.number += 1
        body = order(
            self.number,
            order_id or f"o{self.number}",
            revenue,
            identifiers={"email": f"c{customer}@x.org"},
            time=self.clock.now() - timedelta(minutes=1),
            consent=granted("personalisation"),
        )
        self.put(body, source)

    def put(self, body: dict[str, Any], source: str = "till") -> None:
        assert put(self.project, self.stores, body, source=source, at=self.clock.now()) == []

    def follow(self) -> None:
        self.clock.advance(WAIT)
        self.updater.catch_up()

    def served(self, view: str = "crm") -> list[Served]:
        return Server(self.project, self.stores, view, self.clock).get_many(
            [(leaf,) for leaf in CUSTOMERS]
        )

    def spend(self) -> list[float]:
        return [one.values["spend"] for one in self.served()]

    def demand_equal(self) -> None:
        """What is served is what the log says."""
        compact(self.project, self.stores, self.clock)
        names = ["spend", "orders", "views"]
        where = self.project.lookup(FEATURES, "spend").where
        unchecked = project(where, severity="warn")  # what is served may have been accepted
        given = (CUSTOMERS, names, "personalisation", self.clock.now())
        wanted = current(unchecked, self.stores, *given).to_pylist()
        assert [one.values for one in self.served()] == [
            {name: row[name] for name in names} for row in wanted
        ]


def test_a_bug_that_sends_negative_amounts_reaches_nobody(stores: Stores) -> None:
    shop = Shop(stores, project())
    for customer in range(4):
        shop.sell(customer, "10.00")
    shop.follow()
    good = shop.served()[0]
    assert good.flagged is None
    for customer in range(4):  # a deployment: from now on amounts have the wrong sign
        shop.sell(customer, "-25.00", f"bug{customer}", source="web")
    shop.sell(5, "7.00")
    shop.follow()
    held = shop.served()[0]
    assert shop.spend() == [10.0, 10.0, 10.0, 10.0, 0.0, 0.0]
    assert held.flagged is not None
    assert held.flagged.reason == "spend should be at least 0: 4 of 5 are not, the worst -15"
    assert held.flagged.where == "features.spend.checks.minimum"
    assert held.flagged.since == shop.clock.now()
    assert (held.offset, held.fresh) == (good.offset, good.fresh)
    assert shop.served("web")[0].flagged is None  # another view goes on
    assert shop.served("web")[0].offset > held.offset
    failed = [one for one in run_checks(shop.project, stores, shop.clock) if one.stops]
    assert [one.where for one in failed] == ["features.spend.checks.minimum"]
    since = held.flagged.since
    shop.sell(0, "1.00")
    shop.follow()
    again = shop.served()[0]
    assert again.flagged is not None
    assert again.flagged.since == since
    for customer in range(4):  # mended: the till's word counts for more than a browser's
        shop.sell(customer, "25.00", f"bug{customer}")
    shop.follow()
    assert shop.served()[0].flagged is None
    assert shop.spend() == [36.0, 35.0, 35.0, 35.0, 0.0, 7.0]
    shop.demand_equal()


def test_mended_reports_let_it_go_on(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "10.00")
    shop.follow()
    shop.sell(0, "-25.00", "bug", source="web")
    shop.sell(1, "3.00")
    shop.follow()
    assert shop.served()[0].flagged is not None
    compact(shop.project, stores, shop.clock)  # what came rests in the tables meanwhile
    shop.follow()
    assert shop.spend()[:2] == [10.0, 0.0]
    shop.sell(0, "25.00", "bug")  # the till's word counts for more than a browser's
    shop.follow()
    assert shop.served()[0].flagged is None
    assert shop.spend()[:2] == [35.0, 3.0]
    shop.demand_equal()


def test_a_mended_definition_lets_it_go_on(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "10.00")
    shop.follow()
    shop.sell(0, "-25.00")
    shop.sell(1, "3.00")
    shop.follow()
    assert shop.served()[0].flagged is not None
    mended = Shop(stores, project(where="revenue >= 0"))
    mended.follow()
    assert mended.spend()[:2] == [10.0, 3.0]
    assert mended.served()[0].flagged is None
    mended.demand_equal()
    widened = Shop(stores, project(minimum=-100))
    widened.follow()
    assert widened.spend()[:2] == [-15.0, 3.0]
    assert widened.served()[0].flagged is None


def test_what_is_accepted_goes_on_and_no_further(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "10.00")
    shop.follow()
    given = (shop.project, stores, shop.clock, "ann")
    with pytest.raises(Refused, match="nothing holds 'crm' back"):
        accept(*given, "crm")
    shop.sell(0, "-25.00")
    shop.sell(1, "3.00")
    shop.follow()
    (accepted,) = accept(*given, "crm")
    assert accepted.observed == -15.0
    assert shop.spend()[:2] == [-15.0, 3.0]
    assert shop.served()[0].flagged is None
    entry = stores.ledger.audit()[-1]
    assert (entry.action, entry.subject) == ("features.accept", "feature_views.crm")
    shop.demand_equal()
    shop.sell(1, "-4.00")  # no worse than what was accepted
    shop.follow()
    assert shop.spend()[:2] == [-15.0, -1.0]
    shop.sell(1, "-40.00")
    shop.follow()
    assert shop.served()[0].flagged is not None
    assert shop.spend()[:2] == [-15.0, -1.0]


def test_a_withdrawal_and_an_erasure_wait_for_nobody(stores: Stores) -> None:
    shop = Shop(stores, project())
    for customer in range(3):
        shop.sell(customer, "10.00")
    shop.follow()
    shop.sell(0, "-25.00")
    shop.sell(1, "3.00")
    shop.follow()
    assert shop.spend()[:3] == [10.0, 10.0, 10.0]
    withdrawn = {"granted": [], "withdrawn": ["personalisation"]}
    who = {"identifiers": {"email": "c1@x.org"}, "time": shop.clock.now()}
    shop.put(event("consent_changed", 500, properties=withdrawn, **who))
    shop.follow()
    assert shop.served()[1].flagged is not None
    assert shop.spend()[:3] == [10.0, 0.0, 10.0]
    compact(shop.project, stores, shop.clock)
    erase_one(shop.project, stores, "email:c2@x.org")
    assert shop.spend()[:3] == [10.0, 0.0, 0.0]
    assert stores.online.rows(FLAGS) == []  # its worst value may have been the erased one's
    shop.follow()
    assert shop.served()[0].flagged is not None
    erase_one(shop.project, stores, "email:c0@x.org")
    shop.follow()
    assert shop.served()[0].flagged is None  # nobody is left of whom it was
    shop.demand_equal()


def test_values_that_were_never_good_are_not_served(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "-25.00")
    shop.sell(1, "3.00")
    shop.follow()
    with pytest.raises(UnknownName, match=r"fail a check: spend should be at least 0: 1 of 2"):
        shop.served()
    shop.follow()  # it is not made again and again
    (failed,) = [one for one in run_checks(shop.project, stores, shop.clock) if one.stops]
    assert failed.check == "minimum"
    accept(shop.project, stores, shop.clock, "ann", "crm")
    assert shop.spend()[:2] == [-25.0, 3.0]


def test_a_fill_begins_anew_when_the_data_were_mended(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "-25.00", "bug", source="web")
    shop.follow()
    with pytest.raises(UnknownName, match="fail a check"):
        shop.served()
    shop.sell(0, "25.00", "bug")
    Updater(shop.project, stores, shop.clock).catch_up()
    assert shop.spend()[0] == 25.0
    shop.demand_equal()


def test_what_warns_holds_nothing(stores: Stores) -> None:
    shop = Shop(stores, project(severity="warn"))
    shop.sell(0, "10.00")
    shop.follow()
    shop.sell(0, "-25.00")
    shop.follow()
    assert shop.spend()[0] == -15.0
    assert shop.served()[0].flagged is None
    (failed,) = run_checks(shop.project, stores, shop.clock, ["crm"])
    assert (failed.verdict, failed.severity) == ("failed", "warn")


def test_forgetting_lowers_the_flag(stores: Stores) -> None:
    shop = Shop(stores, project())
    shop.sell(0, "10.00")
    shop.follow()
    shop.sell(0, "-25.00", "bug", source="web")
    shop.follow()
    assert shop.served()[0].flagged is not None
    shop.updater.forget()
    shop.sell(0, "5.00", "bug")
    Updater(shop.project, stores, shop.clock).catch_up()
    assert shop.spend()[0] == 15.0
    assert shop.served()[0].flagged is None
