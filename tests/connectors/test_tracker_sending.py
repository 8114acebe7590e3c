"""Sending: the network may go and come, pages may close; every event arrives, as one event."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.connectors.recording_collector import Answer
from tests.connectors.tracked_shop import (
    DEALT_WITH,
    GRANT,
    KEY,
    MINUTE,
    Chromium,
    Visit,
    chromium_with_collector,
    track,
    visit,
    waiting_ids,
)

pytestmark = pytest.mark.slow

BODY_BYTES = 65_536
"""What browsers let outlive a page."""

GRANTED = "liftwerk.push(['consent', {granted: ['analytics']}]);"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Chromium]:
    with chromium_with_collector(chromium) as started:
        yield started


def until_empty(page: Page) -> None:
    """Wait until the tracker has heard that everything arrived."""
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('liftwerk.'))")


def cut(visited: Visit, page: Page) -> None:
    visited.context.set_offline(True)
    page.wait_for_function("!navigator.onLine")


def test_request_needs_no_preflight_and_carries_no_cookie(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED)
        track(page, "one", "two")
        visited.collector.until_events(2)
        (arrival,) = visited.collector.arrivals
        assert arrival.path == f"/v1/events?key={KEY}"
        assert arrival.headers["content-type"] == "text/plain;charset=UTF-8"
        assert "cookie" not in arrival.headers
        assert all("sent_at" in event for event in arrival.events)


def test_network_cut_and_restored_brings_every_event_once_in_order(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        track(page, "before")
        page.clock.run_for(1000)
        visited.collector.until_events(1)
        until_empty(page)
        cut(visited, page)
        names = [f"cut_{number}" for number in range(30)]
        track(page, *names)
        ids = waiting_ids(page)
        page.evaluate("liftwerk.flush()")
        page.clock.fast_forward(MINUTE)
        assert len(visited.collector.arrivals) == 1
        # Time stands still: that the network is back is enough.
        visited.context.set_offline(False)
        events = visited.collector.until_events(31)
        until_empty(page)
        assert [event["name"] for event in events] == ["before", *names]
        assert visited.collector.ids()[1:] == ids
        assert len(visited.collector.events()) == 31


def test_page_closed_while_offline_is_made_up_for_by_the_next(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED)
        cut(visited, page)
        track(page, "one", "two")
        ids = waiting_ids(page)
        page.close()
        visited.context.set_offline(False)
        page = visited.open("/next", after=GRANTED)
        visited.collector.until_events(2)
        until_empty(page)
        assert visited.collector.ids() == ids
        assert len(ids) == 2


@pytest.mark.parametrize("way", ["another page", "closed", "hidden"])
def test_page_that_goes_hands_over_what_waits(browser: Chromium, way: str) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        # No timer runs: only leaving can send.
        track(page, "one", "two")
        ids = waiting_ids(page)
        if way == "another page":
            visited.leave(page)
        elif way == "closed":
            page.close()
        else:
            page.evaluate(
                """() => {
                  Object.defineProperty(document, "hidden", { value: true });
                  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
                }"""
            )
        visited.collector.until_events(2)
        assert visited.collector.ids() == ids
        (arrival,) = visited.collector.arrivals
        if way != "closed":  # then the browser takes no beacon any more
            assert arrival.headers["sec-fetch-mode"] == "no-cors"
        # Nobody saw the answer: the next page makes sure, and the ids say that it is the same.
        page = visited.open("/next", after=GRANTED)
        until_empty(page)
        assert set(visited.collector.ids()) == set(ids)


def test_what_is_handed_over_fits_into_what_outlives_a_page(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        # Three bytes a letter: 20 events of 6,300 bytes are two batches, one too many for now.
        page.evaluate(
            """() => {
              for (let number = 0; number < 20; number++) {
                liftwerk.track("long", { number, text: "\\u8336".repeat(2000) });
              }
            }"""
        )
        ids = waiting_ids(page)
        assert len(ids) == 20
        visited.leave(page)
        page = visited.open("/next", after=GRANTED)
        until_empty(page)
        assert all(len(arrival.body) < BODY_BYTES for arrival in visited.collector.arrivals)
        assert set(visited.collector.ids()) == set(ids)


def test_retry_after_is_honoured(browser: Chromium) -> None:
    with visit(browser) as visited:
        busy = Answer(503, {"retry-after": "1"})
        visited.collector.tell(busy)
        page = visited.open(after=GRANTED)
        track(page, "one", "two")
        visited.collector.until(lambda recorder: len(recorder.arrivals) == 1)
        track(page, "three")
        page.evaluate("liftwerk.flush()")
        visited.collector.until_events(3)
        first, second = visited.collector.arrivals
        assert second.at - first.at >= 1
        assert [event["name"] for event in second.events] == ["one", "two", "three"]
        assert [event["id"] for event in first.events] == visited.collector.ids()[:2]


def test_answers_that_pass_are_tried_again_later_and_later(browser: Chromium) -> None:
    with visit(browser) as visited:
        visited.collector.tell(Answer(0), Answer(429), Answer(404), Answer(502))
        page = visited.open(after=GRANTED, frozen=True)
        track(page, "one")
        # Doubled from half a second and drawn up to once more, and 300 ms to gather.
        for count, least in enumerate((300, 800, 1300, 2300, 4300)):
            page.clock.run_for(least - 10)
            assert len(visited.collector.arrivals) == count
            page.clock.run_for(least)
            visited.collector.until(lambda recorder, n=count: len(recorder.arrivals) > n)  # type: ignore[misc]
            page.evaluate(DEALT_WITH)
        assert [event["name"] for event in visited.collector.events()] == ["one"]


def test_network_that_is_back_ends_a_pause_unless_the_collector_asked_for_it(
    browser: Chromium,
) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        for answer, name in ((Answer(0), "one"), (Answer(503, {"retry-after": "60"}), "two")):
            visited.collector.tell(answer)
            tried = len(visited.collector.arrivals)
            track(page, name)
            page.clock.run_for(1000)
            visited.collector.until(lambda recorder, n=tried: len(recorder.arrivals) > n)  # type: ignore[misc]
            page.evaluate(DEALT_WITH)
            cut(visited, page)
            visited.context.set_offline(False)
            page.wait_for_function("navigator.onLine")
            if name == "one":
                visited.collector.until_events(1)
                until_empty(page)
        page.clock.run_for(50_000)
        page.evaluate(DEALT_WITH)
        assert len(visited.collector.events()) == 1
        page.clock.run_for(15_000)
        visited.collector.until_events(2)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_final_answers_drop_the_batch_and_say_so_once(browser: Chromium, status: int) -> None:
    with visit(browser) as visited:
        told = Answer(status, document={"title": "No", "detail": "no write key that works"})
        visited.collector.tell(told, told)
        page = visited.open(after=GRANTED)
        for name in ("one", "two"):
            track(page, name)
            until_empty(page)
        assert len(visited.collector.arrivals) == 2
        assert visited.said == ["warning: liftwerk: no write key that works"]
        visited.said.clear()


def test_refused_events_are_dropped_and_named_once(browser: Chromium) -> None:
    with visit(browser) as visited:
        refused = [
            {"index": index, "reason": "missing", "path": "$.properties.sku"} for index in (0, 1)
        ]
        document = {"detail": "2 of 3 events are refused", "accepted": 1, "refused": refused}
        visited.collector.tell(Answer(422, document=document))
        page = visited.open(after=GRANTED)
        track(page, "one", "two", "three")
        until_empty(page)
        assert len(visited.collector.arrivals) == 1
        assert visited.said == [
            "warning: liftwerk: 2 of 3 events are refused",
            "warning: liftwerk: refused: missing at $.properties.sku",
        ]
        visited.said.clear()


def test_tabs_send_each_event_once(browser: Chromium) -> None:
    with visit(browser) as visited:
        tabs = [visited.open(f"/{number}", after=GRANTED) for number in range(3)]
        # One tab begins the session; what it stores reaches the others a moment later.
        track(tabs[0], "begun")
        for tab in tabs:
            tab.wait_for_function("JSON.stringify(localStorage).includes('session')")
        for turn in range(4):
            for tab in tabs:
                tab.evaluate(
                    """async turn => {
                      for (let number = 0; number < 5; number++) {
                        liftwerk.track(`turn_${turn}`);
                        if (number % 2) liftwerk.flush();
                        await new Promise((done) => setTimeout(done));
                      }
                    }""",
                    turn,
                )
        events = visited.collector.until_events(61)
        until_empty(tabs[0])
        ids = visited.collector.ids()
        assert len(ids) == len(set(ids)) == 61
        assert len({event["identifiers"]["visitor"] for event in events}) == 1
        assert len({event["session"] for event in events}) == 1


def test_tabs_that_lose_the_network_send_each_event_once(browser: Chromium) -> None:
    with visit(browser) as visited:
        tabs = [visited.open(f"/{number}", after=GRANTED) for number in range(2)]
        for tab in tabs:
            cut(visited, tab)
            track(tab, "one", "two", "three")
        visited.context.set_offline(False)
        visited.collector.until_events(6)
        until_empty(tabs[0])
        ids = visited.collector.ids()
        assert len(ids) == len(set(ids)) == 6
        for arrival in visited.collector.arrivals:
            assert [event["name"] for event in arrival.events] == ["one", "two", "three"]


def test_queue_left_behind_is_sent_by_a_page_beside_a_page_that_still_lives(
    browser: Chromium,
) -> None:
    """What a page found is sent with what it made, in the order in which it happened."""
    with visit(browser) as visited:
        gone = visited.open("/gone", after=GRANTED)
        cut(visited, gone)
        track(gone, "one", "two")
        gone.close()
        visited.context.set_offline(False)
        page = visited.open(after=f"liftwerk.push(['track', 'three']);{GRANTED}")
        track(page, "four")
        events = visited.collector.until_events(4)
        until_empty(page)
        assert [event["name"] for event in events] == ["one", "two", "three", "four"]


def test_queue_is_bounded_and_counts_what_it_lost(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED)
        cut(visited, page)
        track(page, *[f"event_{number}" for number in range(250)])
        ids = waiting_ids(page)
        size = page.evaluate("Object.values(localStorage).join('').length")
        visited.context.set_offline(False)
        events = visited.collector.until_events(len(ids))
        assert len(ids) <= 200
        assert size < 64_000 + 200
        assert [event["id"] for event in events] == ids
        assert events[-1]["name"] == "event_249"
        lost = sum(event["context"].get("lost", 0) for event in events)
        # The first loss is told by the event after it; the last one by none yet.
        assert 0 < lost <= 250 - len(ids)


def test_events_too_old_to_be_told_from_repeats_are_dropped(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after=GRANTED, frozen=True)
        page.clock.fast_forward(1000)
        cut(visited, page)
        track(page, "old")
        page.clock.fast_forward(15 * 24 * 60 * MINUTE)
        track(page, "new", "last")
        visited.context.set_offline(False)
        new, last = visited.collector.until_events(2)
        assert (new["name"], last["name"]) == ("new", "last")
        assert last["context"]["lost"] == 1
        page.evaluate(DEALT_WITH)
        assert len(visited.collector.events()) == 2


def test_storage_that_is_full_or_barred_keeps_nothing_from_being_sent(browser: Chromium) -> None:
    barred = (
        "Object.defineProperty(window, 'localStorage',"
        " { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    full = "for (let size = 1 << 22; size; size >>= 1) {{ {} }}".format(
        "try { for (;;) localStorage['x' + localStorage.length] = 'x'.repeat(size); } catch {}"
    )
    with visit(browser) as visited:
        for path, before in (("/barred", barred), ("/full", full)):
            page = visited.open(path, before=before, after="liftwerk.push(['page']);" + GRANTED)
            track(page, path.strip("/"))
        events = visited.collector.until_events(4)
        assert [event["name"] for event in events] == [
            "page_viewed", "barred", "page_viewed", "full",
        ]  # fmt: skip
        # Full after consent: what was kept stays, what comes is held in memory.
        page.evaluate("localStorage.clear()")
        page = visited.open("/fills", after=GRANTED, page=page)
        track(page, "kept")
        page.evaluate(full)
        track(page, "held")
        events = visited.collector.until_events(6)
        assert [event["name"] for event in events[4:]] == ["kept", "held"]


def test_page_without_tls_sends_too(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(host="shop.example", after=GRANTED)
        assert page.evaluate("[isSecureContext, !!navigator.locks]") == [False, False]
        track(page, "one", "two")
        visited.collector.until_events(2)
        first, second = visited.collector.ids()
        assert first[14] == second[14] == "4"
        assert first != second


def test_granted_while_offline_keeps_the_ids_it_made(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after="liftwerk.push(['page']);")
        cut(visited, page)
        track(page, "one")
        page.evaluate(GRANT)
        ids = waiting_ids(page)
        page.close()
        visited.context.set_offline(False)
        visited.open("/next", after=GRANTED)
        visited.collector.until_events(2)
        assert visited.collector.ids() == ids
