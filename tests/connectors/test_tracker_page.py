"""Beside a page: what its events say, that the collector takes them, and that it breaks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liftwerk.definitions import Project
from liftwerk.events.admit import Refusal, admit
from liftwerk.events.schema import schema_of
from liftwerk.sections import define
from tests.connectors.tracked_shop import (
    DEALT_WITH,
    DENY,
    Chromium,
    chromium_with_collector,
    track,
    visit,
)

pytestmark = pytest.mark.slow

GRANTED = "liftwerk.push(['consent', {granted: ['analytics']}], ['page']);"
ORDER = {"order_id": "A-1", "revenue": "29.90"}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Chromium]:
    with chromium_with_collector(chromium) as started:
        yield started


def declared() -> Project:
    """Declare what these pages send."""
    draft = define("shop", "EUR")
    draft = draft.add("purposes", "analytics", basis="consent", description="Counting")
    draft = draft.add(
        "sources", "web", kind="http", trust="browser", key_env="KEY", description="Pages"
    )
    draft = draft.add("identifiers", "visitor", description="A browser")
    draft = draft.add("identifiers", "customer", description="An account")
    text = {"type": "string", "required": False}
    properties = {
        "page_viewed": {"kind": text},
        "product_viewed": {"sku": text},
        "added_to_cart": {"sku": text, "quantity": {"type": "integer"}},
        "checkout_started": {"value": {"type": "money"}},
        "order_completed": {"order_id": {"type": "string"}, "revenue": {"type": "money"}},
    }
    for name, fields in properties.items():
        version = 2 if name == "order_completed" else 1
        draft = draft.add(
            "events", name, version=version, description="What happened", properties=fields
        )
    return draft.build()


def refused(events: list[dict[str, Any]]) -> list[Refusal]:
    """List what the collector's check says against events."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    bodies = [json.dumps(event) for event in events]
    return admit(bodies, schema_of(declared()), "web", soon).refused


def test_helpers_send_their_events_as_given(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(
            tag="data-versions='order_completed:2, voted:3' data-added-to-cart=basket_filled",
            after=GRANTED,
        )
        page.evaluate(
            """order => {
              liftwerk.productViewed({ sku: "T-1" });
              liftwerk.addedToCart({ sku: "T-1", quantity: 2 });
              liftwerk.checkoutStarted({ value: "29.90" });
              liftwerk.orderCompleted(order, { decision: "0192f0c1-0000-4000-8000-000000000001" });
              liftwerk.track("voted");
              liftwerk.track("voted", { stars: 5 }, { version: 4, synthetic: true });
            }""",
            ORDER,
        )
        events = visited.collector.until_events(7)
        assert [(event["name"], event["version"]) for event in events] == [
            ("page_viewed", 1),
            ("product_viewed", 1),
            ("basket_filled", 1),
            ("checkout_started", 1),
            ("order_completed", 2),
            ("voted", 3),
            ("voted", 4),
        ]
        order = events[4]
        assert order["properties"] == ORDER
        assert order["decision"] == "0192f0c1-0000-4000-8000-000000000001"
        assert events[6]["synthetic"] is True
        assert refused([events[0], events[1], *events[3:5]]) == []
        page.evaluate(DENY)
        *_, notice = visited.collector.until_events(8)
        assert notice["name"] == "consent_changed"
        assert refused([notice]) == []


def test_context_is_coarse(browser: Chromium) -> None:
    with visit(browser) as visited:
        shop = visited.shop.address
        visited.shop.pages["/from"] = (
            "<!doctype html><title>Other</title><link rel=icon href=data:,>"
            "<meta name=referrer content=unsafe-url>"
            f"<a href='{shop}/tea/green?utm_source=mail&utm_campaign=spring&token=secret'>Tea</a>"
        )
        page = visited.open("/tea/green", after=GRANTED)
        visited.collector.until_events(1)
        page.goto(f"http://shop.example:{visited.shop.port}/from?email=a@b.example")
        page.click("a")
        (inside, outside) = visited.collector.until_events(2)
        assert inside["context"] == {"page": {"path": "/tea/green", "title": "Tea"}}
        assert outside["context"] == {
            "page": {"path": "/tea/green", "title": "Tea", "referrer": "shop.example"},
            "campaign": {"source": "mail", "campaign": "spring"},
        }
        assert set(outside) == {
            "id", "name", "version", "time", "sent_at", "identifiers", "session", "consent",
            "context", "properties",
        }  # fmt: skip


def test_views_of_a_page_that_changes_its_address(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open("/first", tag="data-spa", after=GRANTED.replace(", ['page']", ""))
        visited.collector.until_events(1)
        page.evaluate("history.pushState({}, '', '/second'); document.title = 'Second'")
        page.evaluate("new Promise((done) => setTimeout(done))")
        page.evaluate("history.replaceState({}, '', '/second?sort=price')")
        page.evaluate("history.replaceState({}, '', '/third')")
        page.evaluate("new Promise((done) => setTimeout(done))")
        page.go_back()
        events = visited.collector.until_events(4)
        seen = [event["context"]["page"] for event in events]
        assert [one["path"] for one in seen] == ["/first", "/second", "/third", "/first"]
        assert seen[1]["title"] == "Second"


def test_session_ends_after_half_an_hour_of_silence(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        # Time that is moved while a request is under way would end it: each is dealt with first.
        for count, (silence, name) in enumerate((("29:00", "same"), ("31:00", "next")), start=2):
            page.clock.fast_forward(silence)
            track(page, name)
            page.clock.fast_forward(1000)
            visited.collector.until_events(count)
            page.evaluate(DEALT_WITH)
        first, same, after = visited.collector.until_events(3)
        assert first["session"] == same["session"] != after["session"]
        assert first["identifiers"] == after["identifiers"]


def test_reset_makes_another_visitor_here_and_in_other_tabs(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED)
        other = visited.open("/other", after=GRANTED)
        page.evaluate("liftwerk.identify({customer: '7'}); liftwerk.track('known')")
        (known,) = [one for one in visited.collector.until_events(3) if one["name"] == "known"]
        other.evaluate("window.told = new Promise((done) => addEventListener('storage', done)); 0")
        page.evaluate("liftwerk.reset(); liftwerk.track('unknown')")
        *_, unknown = visited.collector.until_events(4)
        other.evaluate("told.then(() => 0)")
        track(other, "unknown_too")
        *_, too = visited.collector.until_events(5)
        assert known["identifiers"]["customer"] == "7"
        assert list(unknown["identifiers"]) == ["visitor"]
        assert unknown["identifiers"]["visitor"] != known["identifiers"]["visitor"]
        assert too["identifiers"] == unknown["identifiers"]


def test_visitor_has_the_name_that_the_project_gives_it(browser: Chromium) -> None:
    with visit(browser) as visited:
        visited.open(tag="data-visitor=device", after=GRANTED)
        (event,) = visited.collector.until_events(1)
        assert list(event["identifiers"]) == ["device"]


def test_nothing_that_a_page_does_breaks_it(browser: Chromium) -> None:
    """The wrong call is named in the console; the page and the calls beside it go on."""
    with visit(browser) as visited:
        wrong = "liftwerk.push(['no_such_method'], null, ['consent'], ['identify', null]);"
        page = visited.open(after=wrong + GRANTED)
        page.evaluate(
            """() => {
              const circle = {};
              circle.self = circle;
              liftwerk.track("circle", circle);
              liftwerk.track("big", { text: "x".repeat(40_000) });
              liftwerk.track("huge", { number: 1n });
              liftwerk.consent(null);
              liftwerk.consent({ granted: 1 });
              liftwerk.push(7);
              liftwerk.track("after");
            }"""
        )
        viewed, after = visited.collector.until_events(2)
        assert (viewed["name"], after["name"]) == ("page_viewed", "after")
        assert after["context"]["lost"] == 1
        assert visited.said
        assert all(one.startswith("warning: liftwerk: ") for one in visited.said), visited.said
        visited.said.clear()


def test_page_made_ready_in_advance_is_viewed_when_it_is_shown(browser: Chromium) -> None:
    shown = "document.dispatchEvent(new Event('prerenderingchange'))"
    with visit(browser) as visited:
        page = visited.open(
            tag=f'onload="window.isWaiting = Array.isArray(liftwerk); {shown}"',
            before="Object.defineProperty(document, 'prerendering', { value: true });",
            after=GRANTED,
        )
        assert page.evaluate("isWaiting")
        visited.collector.until_events(1)


def test_script_twice_on_a_page_is_one(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED)
        page.evaluate("window.first = liftwerk; 0")
        page.add_script_tag(url=f"{visited.collector.address}/t.js")
        assert page.evaluate("window.first === liftwerk")
        track(page, "after")
        visited.collector.until_events(2)
