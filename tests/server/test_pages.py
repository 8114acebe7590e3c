"""The pages over the made-up trial in a real browser: sizes, themes, keyboard, print, no script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.metrics.business import METRICS
from tests.server.browser import (
    SIZES,
    chromium_at,
    overflow,
    page_in,
    print_to,
    tab_to,
    violations,
    wait_for_charts,
)
from tests.server.conftest import running

pytestmark = pytest.mark.slow

PATHS = (
    "",
    "decisions",
    "DECISION",
    "releases",
    "RELEASE",
    "experiments",
    "experiments/autumn_mail",
    "experiments/blocks",
    "experiments/radio",
    "experiments/turns",
    "definitions",
    "holdout",
    "features",
    "features/spend",
    "features/local_share",
    "lineage",
    "lineage?node=spend",
    "inventory",
    "audit",
    "status",
    "docs",
    "sign-in",
)
MADE = {
    "unclear": "trial.report()",
    "better": "trial.report(0.14)",
    "worse": "trial.report(-0.2)",
    "unknown": "trial.unknown_report()",
    "none": "None",
    "wordy": "trial.wordy_report()",
}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_at(chromium) as browser:
        yield browser


def visit(page: Page, address: str, path: str) -> None:
    """Go to a page; the two drill-downs are reached through their lists."""
    if path == "DECISION":
        page.goto(address + "decisions")
        page.click("table.log tbody th a")
    elif path == "RELEASE":
        page.goto(address + "releases")
        page.click("tbody th a")
    else:
        page.goto(address + path)
    wait_for_charts(page)


@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits(browser: Browser, serve_report: Callable[[str], str], size: str) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address, SIZES[size]) as (page, _):
        for path in PATHS:
            visit(page, address, path)
            assert overflow(page) == [], path


@pytest.mark.parametrize(
    ("size", "theme", "paths"),
    [
        ("phone", "light", PATHS),
        (
            "desk",
            "dark",
            (
                "",
                "DECISION",
                "experiments/radio",
                "experiments/turns",
                "features",
                "features/spend",
                "lineage",
                "inventory",
                "audit",
            ),
        ),
    ],
)
def test_every_page_is_accessible(
    browser: Browser,
    serve_report: Callable[[str], str],
    size: str,
    theme: str,
    paths: tuple[str, ...],
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address, SIZES[size], theme) as (page, _):
        for path in paths:
            visit(page, address, path)
            assert violations(page) == [], path


@pytest.mark.parametrize("made", [name for name in MADE if name != "unclear"])
def test_every_answer_fits(browser: Browser, serve_report: Callable[[str], str], made: str) -> None:
    address = serve_report(MADE[made])
    with page_in(browser, address, SIZES["phone"]) as (page, _):
        for path in ("", "decisions", "releases", "status"):
            visit(page, address, path)
            assert overflow(page) == [], path


@pytest.mark.parametrize(("made", "theme"), [("unknown", "light"), ("worse", "dark")])
def test_every_tone_is_readable(
    browser: Browser, serve_report: Callable[[str], str], made: str, theme: str
) -> None:
    address = serve_report(MADE[made])
    with page_in(browser, address, SIZES["desk"], theme) as (page, _):
        visit(page, address, "")
        assert violations(page) == []


def test_verdict_is_never_told_by_colour_alone(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address) as (page, _):
        page.goto(address)
        chips = page.locator(".chip").all()
        assert len(chips) > 10
        for chip in chips:
            assert chip.locator(".sign").count() == 1
            assert re.search(r"\w{2,}", chip.inner_text())


def test_charts_answer_the_pointer_with_written_numbers(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address) as (page, _):
        page.goto(address)
        wait_for_charts(page)
        for name in ("qini-womens_email-visit", "deciles-womens_email-visit", "profit-curve"):
            page.locator(f"[data-drawing='{name}']").hover()
            tip = page.locator(f"[data-drawing='{name}'] .tip")
            expect(tip).to_be_visible()
            expect(tip).to_contain_text("between")


def test_theme_is_chosen_and_remembered(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    background = "getComputedStyle(document.body).backgroundColor"
    with page_in(browser, address, theme="dark") as (page, _):
        page.goto(address)
        dark = page.evaluate(background)
        button = page.get_by_role("button", name="Dark theme")
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        light = page.evaluate(background)
        assert light != dark
        page.goto(address + "decisions")
        assert page.evaluate(background) == light
        page.get_by_role("button", name="Dark theme").click()
        page.reload()
        assert page.evaluate(background) == dark


def test_keyboard_alone_opens_a_decision(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address) as (page, _):
        page.goto(address)
        assert tab_to(page, ".skip") == 1
        shown = page.evaluate("document.activeElement.getBoundingClientRect().top")
        assert shown >= 0
        tab_to(page, "a[href='/decisions']")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**/decisions")
        tab_to(page, "table.log tbody th a")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/decisions/.+"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("chosen with probability")


def test_keyboard_opens_the_other_estimators(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address) as (page, _):
        page.goto(address)
        row = page.locator("tr.more-learned").first
        expect(row).to_be_hidden()
        tab_to(page, "button.more")
        page.keyboard.press("Enter")
        expect(row).to_be_visible()
        assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
        expect(page.locator("tr.more-learned")).to_have_count(3)


def test_report_prints_on_a_few_light_pages_with_everything_open(
    browser: Browser, serve_report: Callable[[str], str], tmp_path: Path
) -> None:
    address = serve_report(MADE["unclear"])
    with page_in(browser, address, theme="dark") as (page, _):
        page.goto(address)
        wait_for_charts(page)
        pdf = print_to(page, tmp_path / "report.pdf")
        assert pdf.startswith(b"%PDF")
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 5
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        expect(page.locator("nav").first).to_be_hidden()
        expect(page.get_by_text("Customers to come resemble")).to_be_visible()
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 30, 35)"


def test_without_scripts_nothing_is_hidden(
    browser: Browser, serve_report: Callable[[str], str]
) -> None:
    address = serve_report(MADE["unclear"])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("tr.more-learned").first).to_be_visible()
    expect(page.locator("#theme")).to_be_hidden()
    page.locator(".rows summary").first.click()
    expect(page.locator(".rows table").first).to_be_visible()
    context.close()


def test_signing_in_beyond_loopback(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTWERK_TOKEN", "correct-horse-battery-staple")
    with (
        running(host="0.0.0.0") as (address, _),
        page_in(browser, address) as (page, _),
    ):
        page.goto(address + "decisions?kind=imported")
        page.get_by_label("Token").fill("correct-horse-battery-staple")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/decisions?kind=imported")
        expect(page.locator("table.log tbody tr")).to_have_count(50)


def test_the_definitions_print_on_one_sheet(
    browser: Browser, serve_report: Callable[[str], str], tmp_path: Path
) -> None:
    """More than 20 metrics with their sentences, on one page of A4, in letters one can read."""
    with page_in(browser, serve_report(MADE["unclear"]), SIZES["desk"]) as (page, _):
        page.goto(serve_report(MADE["unclear"]) + "definitions")
        expect(page.locator("tbody tr")).to_have_count(len(METRICS))
        pdf = print_to(page, tmp_path / "definitions.pdf")
        page.emulate_media(media="print")
        size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('td')).fontSize)")
    assert len(METRICS) >= 20
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    # In CSS pixels of 1/96 inch: 6.5 points are still read at arm's length.
    assert size * 72 / 96 >= 6.5
