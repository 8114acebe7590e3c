"""Consent: before it nothing is stored and nothing sent; after a withdrawal nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.connectors.tracked_shop import (
    DENY,
    GRANT,
    MINUTE,
    Chromium,
    Visit,
    chromium_with_collector,
    stored,
    track,
    visit,
)

pytestmark = pytest.mark.slow

OBJECTS = 'Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { value: true });'

# What a consent manager puts into the page: it answers with what `choose` says last.
MANAGER = """
  const listeners = [];
  let last = { eventStatus: "cmpuishown", tcString: "", purpose: { consents: {} } };
  const choose = (tcString, storage, eventStatus = "useractioncomplete") => {
    last = { eventStatus, tcString, purpose: { consents: { 1: storage } } };
    listeners.forEach((listener) => listener(last, true));
  };
  const appear = () => {
    window.__tcfapi = (command, version, listener) => {
      listeners.push(listener);
      listener(last, true);
    };
  };
"""

# Google's own three lines.
GTAG = "window.dataLayer = window.dataLayer || []; function gtag() { dataLayer.push(arguments); }"
DENIED = 'gtag("consent", "default", {analytics_storage: "denied", ad_storage: "denied"});'
UPDATE = 'gtag("consent", "update", {analytics_storage: "granted"})'
REFUSE = 'gtag("consent", "update", {analytics_storage: "denied"})'


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Chromium]:
    with chromium_with_collector(chromium) as started:
        yield started


def hold_silent(visited: Visit, page: Page) -> None:
    """Fail if a minute, or leaving, lets anything be stored or sent."""
    page.clock.fast_forward(MINUTE)
    assert stored(page) == {}
    assert visited.context.cookies() == []
    visited.leave(page)
    assert stored(page) == {}
    assert visited.collector.arrivals == []


@pytest.mark.parametrize(
    ("tag", "before"),
    [
        ("", ""),
        ("data-consent=tcf", ""),
        ("data-consent=tcf", MANAGER + "appear();"),
        ("data-consent=gcm", GTAG + DENIED),
        ("data-consent=gcm", GTAG + DENIED.replace("denied", "granted", 1) + DENIED),
        ("data-consent=gcm", OBJECTS + GTAG + DENIED.replace("denied", "granted")),
        ("data-without-consent=send", OBJECTS),
    ],
    ids=[
        "api",
        "no manager yet",
        "manager asks",
        "denied",
        "last default",
        "objects",
        "no consent",
    ],
)
def test_nothing_is_stored_or_sent_before_consent(browser: Chromium, tag: str, before: str) -> None:
    with visit(browser) as visited:
        page = visited.open(
            tag=f"data-spa {tag}", before=before, after='liftwerk.push(["page"]);', frozen=True
        )
        page.evaluate('liftwerk.identify({customer: "7"})')
        track(page, "added_to_cart")
        hold_silent(visited, page)


def test_granted_sends_what_waited_as_it_happened(browser: Chromium) -> None:
    own = "0192f0c1-0000-4000-8000-000000000001"
    with visit(browser) as visited:
        page = visited.open(after='liftwerk.push(["page"]);', frozen=True)
        page.evaluate(f'liftwerk.track("voted", {{stars: 5}}, {{id: "{own}"}})')
        page.clock.fast_forward(MINUTE)
        page.evaluate(GRANT)
        page.clock.run_for(1000)
        viewed, voted = visited.collector.until_events(2)
        assert (viewed["name"], voted["name"]) == ("page_viewed", "voted")
        assert voted["id"] == own
        assert voted["properties"] == {"stars": 5}
        assert voted["time"] < voted["consent"]["at"] <= voted["sent_at"]
        for event in (viewed, voted):
            assert event["consent"]["granted"] == ["analytics"]
            assert event["consent"]["source"] == "api"
            assert event["identifiers"] == {"visitor": stored_visitor(page)}
        assert set(stored(page)) == {"liftwerk"}
        assert visited.context.cookies() == []


def stored_visitor(page: Page) -> str:
    visitor: str = page.evaluate("JSON.parse(localStorage.liftwerk).visitor")
    return visitor


def test_refused_drops_what_waited(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after='liftwerk.push(["page"]);', frozen=True)
        page.evaluate("liftwerk.consent({granted: []})")
        track(page, "after")
        hold_silent(visited, page)


def test_withdrawn_takes_everything_away_and_is_told(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after='liftwerk.push(["page"]);')
        page.evaluate(GRANT)
        (viewed,) = visited.collector.until_events(1)
        page.evaluate(f'liftwerk.track("never_sent"); {DENY}')
        assert stored(page) == {}
        (_, notice) = visited.collector.until_events(2)
        assert notice["name"] == "consent_changed"
        assert notice["properties"] == {"granted": [], "withdrawn": ["analytics"]}
        assert notice["identifiers"] == viewed["identifiers"]
        assert notice["consent"]["granted"] == []
        page.close()
        # On the next page nobody is known, and nothing happens.
        page = visited.open(after='liftwerk.push(["page"]);', frozen=True)
        page.evaluate(DENY)
        hold_silent_since(visited, page, 2)


def hold_silent_since(visited: Visit, page: Page, count: int) -> None:
    page.clock.fast_forward(MINUTE)
    assert stored(page) == {}
    visited.leave(page)
    assert len(visited.collector.events()) == count


def test_withdrawn_before_it_is_granted_again_on_a_later_page(browser: Chromium) -> None:
    """The withdrawal names the visitor that an earlier page stored."""
    with visit(browser) as visited:
        page = visited.open(after='liftwerk.push(["page"]);')
        page.evaluate(GRANT)
        (viewed,) = visited.collector.until_events(1)
        visited.open(page=page)
        page.evaluate(DENY)
        (_, notice) = visited.collector.until_events(2)
        assert notice["name"] == "consent_changed"
        assert notice["identifiers"] == viewed["identifiers"]
        assert stored(page) == {}


def test_withdrawn_in_part_goes_on_with_the_rest(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(after='liftwerk.push(["page"]);')
        page.evaluate('liftwerk.consent({granted: ["analytics", "ads"], version: "3"})')
        visited.collector.until_events(1)
        page.evaluate('liftwerk.consent({withdrawn: ["ads"]}); liftwerk.track("later")')
        viewed, notice, later = visited.collector.until_events(3)
        assert viewed["consent"]["granted"] == ["analytics", "ads"]
        assert viewed["consent"]["version"] == "3"
        assert notice["properties"] == {"granted": ["analytics"], "withdrawn": ["ads"]}
        assert later["consent"]["granted"] == ["analytics"]
        assert len({event["identifiers"]["visitor"] for event in (viewed, notice, later)}) == 1


def test_withdrawn_in_one_tab_ends_the_other(browser: Chromium) -> None:
    with visit(browser) as visited:
        one, other = visited.open(), visited.open("/other")
        for page in (one, other):
            page.evaluate(GRANT)
        other.evaluate('window.gone = new Promise((done) => addEventListener("storage", done)); 0')
        one.evaluate(DENY)
        other.evaluate("gone.then(() => 0)")
        track(other, "after")
        one.reload()
        assert stored(other) == {}
        assert "after" not in [event["name"] for event in visited.collector.events()]


def test_tcf_string_is_sent_as_the_manager_gives_it(browser: Chromium) -> None:
    with visit(browser) as visited:
        page = visited.open(
            tag="data-consent=tcf", before=MANAGER, after='liftwerk.push(["page"]);', frozen=True
        )
        page.evaluate('choose("COLD", true, "cmpuishown"); appear()')
        page.clock.run_for(1000)
        assert stored(page) == {}
        page.evaluate('choose("CPabc", true)')
        page.clock.run_for(1000)
        (viewed,) = visited.collector.until_events(1)
        assert viewed["consent"] == {"tcf": "CPabc"}
        page.evaluate('choose("CPdef", false)')
        track(page, "after")
        hold_silent_since(visited, page, 1)


def test_consent_mode_is_read_along(browser: Chromium) -> None:
    with visit(browser) as visited:
        before = GTAG + DENIED + 'dataLayer.push({event: "start"}, null);'
        page = visited.open(tag="data-consent=gcm", before=before, after='liftwerk.push(["page"]);')
        track(page, "second")
        assert stored(page) == {}
        assert page.evaluate(f"{UPDATE}; dataLayer.length") == 4
        viewed, _ = visited.collector.until_events(2)
        granted = {"analytics_storage": "granted", "ad_storage": "denied"}
        assert viewed["consent"] == {"gcm": granted}
        page.evaluate(REFUSE)
        track(page, "after")
        assert stored(page) == {}
        page.reload()
        assert len(visited.collector.events()) == 2


def test_a_choice_counts_where_a_default_does_not(browser: Chromium) -> None:
    """Who objects to being followed is taken at their word until they choose otherwise."""
    default = DENIED.replace("denied", "granted")
    with visit(browser) as visited:
        page = visited.open(
            tag="data-consent=gcm",
            before=OBJECTS + GTAG + default,
            after='liftwerk.push(["page"]);',
            frozen=True,
        )
        page.clock.fast_forward(MINUTE)
        assert stored(page) == {}
        page.evaluate(UPDATE)
        page.clock.run_for(1000)
        visited.collector.until_events(1)


def test_signals_can_be_ignored_and_defaults_grant(browser: Chromium) -> None:
    default = DENIED.replace("denied", "granted")
    with visit(browser) as visited:
        visited.open(
            tag="data-consent=gcm data-privacy-signals=ignore",
            before=OBJECTS + GTAG + default,
            after='liftwerk.push(["page"]);',
        )
        visited.collector.until_events(1)


def test_region_s_default_only_denies(browser: Chromium) -> None:
    granted = 'gtag("consent", "default", {analytics_storage: "granted", region: ["US"]});'
    with visit(browser) as visited:
        page = visited.open(
            tag="data-consent=gcm",
            before=GTAG + DENIED + granted,
            after='liftwerk.push(["page"]);',
            frozen=True,
        )
        hold_silent(visited, page)


def test_without_consent_events_go_without_who(browser: Chromium) -> None:
    with visit(browser) as visited:
        start = 'liftwerk.push(["identify", {customer: "7"}], ["page"]);'
        page = visited.open(tag="data-without-consent=send", after=start)
        (first,) = visited.collector.until_events(1)
        assert stored(page) == {}
        assert "consent" not in first
        assert "session" not in first
        assert list(first["identifiers"]) == ["visitor"]
        visited.open(tag="data-without-consent=send", after=start, page=page)
        (_, second) = visited.collector.until_events(2)
        assert second["identifiers"] != first["identifiers"]
        page.evaluate(GRANT)
        track(page, "known")
        (*_, known) = visited.collector.until_events(3)
        assert known["identifiers"] == {"visitor": stored_visitor(page), "customer": "7"}
        assert known["identifiers"]["visitor"] != second["identifiers"]["visitor"]
        page.evaluate(DENY)
        track(page, "unknown")
        (*_, notice, unknown) = visited.collector.until_events(5)
        assert notice["name"] == "consent_changed"
        assert unknown["identifiers"] == second["identifiers"]
        assert "consent" not in unknown
        assert stored(page) == {}
