"""Checks of views and of events, over what is collected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.features.checks.check import run_checks, take_baseline
from liftwerk.features.checks.finding import Finding
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, put

FEATURES: dict[str, Any] = {
    "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    "mood": {
        "entity": "customer",
        "from": "rated",
        "aggregate": "last",
        "property": "mood",
        "checks": {"categories": ["good"], "null_share": "50%"},
    },
    "again": {
        "entity": "customer",
        "from": "rated",
        "aggregate": "last",
        "property": "again",
        "checks": {"distribution": 0.2},
    },
    "by_hour": {
        "entity": "customer",
        "expression": "views / (hour_of_day + 1)",
        "checks": {"minimum": 0},
    },
    "per_view": {
        "entity": "customer",
        "expression": "10 / views",
        "checks": {"minimum": 1, "maximum": 10},
    },
}
DAY = timedelta(days=1)


def project(**checks: dict[str, Any]) -> Project:
    events = {name: dict(one) for name, one in shops.SHOP["events"].items()}
    for name, said in checks.items():
        if name != "view":
            events[name]["checks"] = said
    crm = {"purpose": "ads", "features": list(FEATURES), "checks": checks.get("view", {})}
    return shops.shop(events=events, features=FEATURES, feature_views={"crm": crm})


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened, opened.home.hold("test"):
        yield opened


def come(shop: Project, stores: Stores, day: datetime, many: int, first: int = 0) -> None:
    """Let so many customers view a page in the day's first hours."""
    bodies = [
        event(
            "page_viewed",
            int(day.timestamp()) * 10_000 + number,
            identifiers={"email": f"c{number}@x.org"},
            time=day + timedelta(seconds=number),
            consent=granted("ads"),
        )
        for number in range(first, first + many)
    ]
    assert put(shop, stores, *bodies, at=day + timedelta(hours=1)) == []


def found(findings: list[Finding], subject: str, check: str) -> Finding:
    (one,) = [one for one in findings if (one.subject, one.check) == (subject, check)]
    return one


def test_events_are_as_fresh_and_as_many_as_is_declared(stores: Stores) -> None:
    shop = project(page_viewed={"freshness": "2h", "volume": {"minimum": 5, "maximum": 30}})
    clock = FixedClock(shops.NOW)
    assert {one.verdict for one in run_checks(shop, stores, clock)} == {"unknown"}
    today = shops.NOW.replace(hour=0, minute=0)
    come(shop, stores, today - 2 * DAY, 7)
    compact(shop, stores, clock)
    come(shop, stores, today - DAY, 40)  # not sorted into tables yet: it counts as well
    findings = run_checks(shop, stores, clock)
    assert found(findings, "events.page_viewed", "volume").found == "40 on Sat 2026-02-28"
    assert found(findings, "events.page_viewed", "volume").verdict == "failed"
    fresh = found(findings, "events.page_viewed", "freshness")
    assert (fresh.verdict, fresh.found) == ("failed", "1 d old (2026-02-28 01:00:00 UTC)")
    come(shop, stores, today + timedelta(hours=8), 1)
    findings = run_checks(shop, stores, clock)
    assert found(findings, "events.page_viewed", "freshness").verdict == "passed"


def test_a_day_is_held_against_its_weekday(stores: Stores) -> None:
    shop = project(page_viewed={"volume": {"usual": "50%"}}, view={"volume": {"usual": "50%"}})
    today = shops.NOW.replace(hour=0, minute=0)
    for weeks in range(1, 6):
        come(shop, stores, today - DAY - timedelta(weeks=weeks), 50)
        come(shop, stores, today - timedelta(weeks=weeks), 400)  # another weekday
    clock = FixedClock(shops.NOW)
    Updater(shop, stores, clock).catch_up()

    def verdicts(now: datetime) -> list[tuple[str, str]]:
        findings = run_checks(shop, stores, FixedClock(now))
        subjects = ("events.page_viewed", "feature_views.crm")
        each = [found(findings, one, "volume") for one in subjects]
        return [(one.verdict, one.found) for one in each]

    assert verdicts(shops.NOW) == [("failed", "0 on Sat 2026-02-28, usual 50")] * 2
    come(shop, stores, today - DAY, 45)
    assert verdicts(shops.NOW) == [("passed", "45 on Sat 2026-02-28, usual 50")] * 2
    early = verdicts(shops.NOW - timedelta(weeks=3))
    assert early[0][0] == "unknown"
    assert "what is usual: 1" in early[0][1]


def test_a_view_is_checked_as_it_is_kept(stores: Stores) -> None:
    shop = project(view={"freshness": "10min"})
    clock = FixedClock(shops.NOW)
    (never,) = run_checks(shop, stores, clock, ["crm"])
    assert never.verdict == "unknown"
    assert "features backfill crm" in never.found
    come(shop, stores, shops.NOW - DAY, 30)
    rated = [
        event(
            "rated",
            number,
            identifiers={"email": f"c{number}@x.org"},
            time=shops.NOW - DAY,
            consent=granted("ads"),
            properties={"stars": 5, "mood": ("good", "bad")[number // 12], "again": True},
        )
        for number in range(14)
    ]
    assert put(shop, stores, *rated) == []
    Updater(shop, stores, clock).catch_up()
    findings = run_checks(shop, stores, clock, ["crm"])
    assert found(findings, "features.mood", "categories").found == "2 of 14 are not: 'bad'"
    assert found(findings, "features.mood", "null_share").verdict == "unknown"  # 16 of 30
    assert found(findings, "features.per_view", "minimum").found == "all of 30"
    assert found(findings, "features.per_view", "maximum").verdict == "passed"
    assert "not kept" in found(findings, "features.by_hour", "minimum").found
    assert found(findings, "feature_views.crm", "freshness").verdict == "passed"
    assert "no reference" in found(findings, "features.again", "distribution").found
    sketches = take_baseline(shop, stores, clock, "crm")
    assert sketches["again"].texts == ("true",)
    assert sketches["again"].missing == 16
    again = run_checks(shop, stores, clock, ["crm"])
    assert "too few" in found(again, "features.again", "distribution").found
    come(shop, stores, shops.NOW, 1)  # nobody follows the log any more
    late = run_checks(shop, stores, FixedClock(shops.NOW + timedelta(minutes=11)), ["crm"])
    assert found(late, "feature_views.crm", "freshness").verdict == "failed"
