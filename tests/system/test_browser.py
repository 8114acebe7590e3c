"""The real loop's report in a real browser; with LIFTWERK_SCREENSHOTS=1 it keeps the pictures."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from liftwerk.server import format as fmt
from liftwerk.server import words
from liftwerk.server.source import Decision, DecisionRow, Document
from tests.server.browser import (
    SIZES,
    THEMES,
    chromium_at,
    overflow,
    page_in,
    print_to,
    tab_to,
    violations,
    wait_for_charts,
)

pytestmark = pytest.mark.slow

IMAGES = Path(__file__).parents[2] / "docs" / "images"
Finished = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def address(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the finished project on a free port: a copy, since a server keeps its views."""
    project = tmp_path_factory.mktemp("served") / "shop"
    shutil.copytree(finished[0], project)
    command = [sys.executable, "-m", "liftwerk.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", said)
        yield said
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_at(chromium) as browser:
        yield browser


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def first_decision(page: Page, address: str) -> None:
    page.goto(address + "decisions")
    page.click("table.log tbody th a")
    page.wait_for_url(re.compile(r"/decisions/.+"))


def test_report_over_http_is_the_document_that_the_command_prints(
    finished: Finished, address: str
) -> None:
    served = get(address + "v1/report")
    assert served == finished[1]
    msgspec.convert(served, Document, strict=True)


def test_headline_says_the_document_s_figures(
    browser: Browser, finished: Finished, address: str
) -> None:
    document = finished[1]
    figure = words.headline_figure(document["headline"])
    with page_in(browser, address) as (page, _):
        page.goto(address)
        detect = page.locator("#detect").inner_text()
        answer = page.locator("#answer").inner_text()
        panel = page.locator("#against-best")
        assert page.locator("#detect").bounding_box()["y"] < panel.bounding_box()["y"]  # type: ignore[index]
        assert fmt.number(document["customers"]) in detect
        if fmt.is_unknown(figure):
            expect(panel).to_contain_text(fmt.because(figure))
            return
        digits = fmt.figure_digits([figure])
        assert fmt.money(document["headline"]["detectable"], "USD") in detect
        amount = fmt.money(figure["value"], "USD", digits, sign=True)
        expect(panel.locator(".amount")).to_have_text(amount)
        expect(panel).to_contain_text(fmt.between(figure, "USD", sign=True))
        expect(panel.locator(".chip")).to_contain_text(document["headline"]["verdict"])
        expect(panel.locator(".many")).to_contain_text(
            fmt.money(figure["value"] * fmt.MANY, "USD", 0, sign=True)
        )
        assert "best simple rule" in answer
        expect(page.get_by_text(document["reproducible_hash"])).to_be_visible()


def test_every_policy_stands_in_the_table_with_its_interval(
    browser: Browser, finished: Finished, address: str
) -> None:
    policies = finished[1]["policies"]
    digits = fmt.figure_digits(entry["dr"] for entry in policies.values())
    with page_in(browser, address) as (page, _):
        page.goto(address)
        table = page.locator("table.policies")
        expect(table.locator("tr.main")).to_have_count(len(policies))
        for entry in policies.values():
            if fmt.is_unknown(entry["dr"]):
                continue
            low = fmt.number(entry["dr"]["low"], digits)
            high = fmt.number(entry["dr"]["high"], digits)
            expect(table).to_contain_text(fmt.money(entry["dr"]["value"], "USD", digits))
            expect(table).to_contain_text(f"{low} to {high}")


def test_one_decision_is_drilled_down_to(browser: Browser, address: str) -> None:
    (row,) = get(address + "v1/decisions?limit=1")
    msgspec.convert(row, DecisionRow, strict=True)
    whole = get(address + f"v1/decisions/{row['id']}")
    msgspec.convert(whole, Decision, strict=True)
    assert set(whole["probabilities"]) == set(whole["eligible"])
    assert sum(whole["probabilities"].values()) == pytest.approx(1)
    with page_in(browser, address) as (page, _):
        first_decision(page, address)
        assert page.url.endswith(row["id"])
        main = page.locator("main")
        for text in (
            "chosen with probability 33.3%",
            "What came of it",
            "What the learned policy would do here",
            "Guardrails",
            "budget",
            row["customer"],
        ):
            expect(main).to_contain_text(text)
        for feature in whole["features"]:
            expect(main).to_contain_text(feature["description"])


def test_explanation_adds_up(address: str) -> None:
    for row in get(address + "v1/decisions?limit=5"):
        why = get(address + f"v1/decisions/{row['id']}")["why"]
        for action, total in why["total"].items():
            parts = [each["actions"][action] for each in why["contributions"]]
            assert why["base"][action] + sum(parts) == pytest.approx(total)


def test_a_customer_is_found_as_the_file_names_them(browser: Browser, address: str) -> None:
    (row,) = get(address + "v1/decisions?limit=1")
    with page_in(browser, address) as (page, _):
        page.goto(address + "decisions")
        page.get_by_label("Customer", exact=True).fill(row["customer"])
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("table.log tbody tr")).to_have_count(1)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_report_and_decision_fit(browser: Browser, address: str, size: str, theme: str) -> None:
    with page_in(browser, address, SIZES[size], theme) as (page, _):
        page.goto(address)
        wait_for_charts(page)
        assert overflow(page) == []
        first_decision(page, address)
        assert overflow(page) == []


@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("desk", "light")])
def test_report_is_accessible(browser: Browser, address: str, size: str, theme: str) -> None:
    with page_in(browser, address, SIZES[size], theme) as (page, _):
        page.goto(address)
        wait_for_charts(page)
        assert violations(page) == []


def test_the_other_pages_fit_and_are_accessible(browser: Browser, address: str) -> None:
    with page_in(browser, address, SIZES["phone"]) as (page, _):
        for path in ("decisions", "experiments", "holdout", "releases", "docs", "status", "audit"):
            page.goto(address + path)
            assert overflow(page) == [], path
        assert violations(page) == []
        first_decision(page, address)
        assert violations(page) == []


def test_keyboard_alone_reaches_the_drill_down(browser: Browser, address: str) -> None:
    with page_in(browser, address) as (page, _):
        page.goto(address)
        tab_to(page, "a[href='/decisions']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/decisions")
        tab_to(page, "table.log tbody th a")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/decisions/.+"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("chosen with probability")


def test_release_of_the_report_is_shown(browser: Browser, finished: Finished, address: str) -> None:
    with page_in(browser, address) as (page, _):
        page.goto(address)
        page.get_by_role("link", name="Open the release").click()
        expect(page.locator("main")).to_contain_text(finished[1]["release"])
        expect(page.locator("main")).to_contain_text("draft")


def test_report_prints(browser: Browser, address: str, tmp_path: Path) -> None:
    with page_in(browser, address) as (page, _):
        page.goto(address)
        wait_for_charts(page)
        pdf = print_to(page, tmp_path / "report.pdf")
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 6


def test_pictures_of_the_readme(browser: Browser, address: str, tmp_path: Path) -> None:
    folder = tmp_path
    if os.environ.get("LIFTWERK_SCREENSHOTS") == "1":
        folder = IMAGES
        folder.mkdir(parents=True, exist_ok=True)
    with page_in(browser, address, (1200, 900)) as (page, _):
        page.goto(address)
        wait_for_charts(page)
        report = page.screenshot(path=folder / "report.png", clip=clip(page, "#h-responses"))
        first_decision(page, address)
        decision = page.screenshot(path=folder / "decision.png", clip=clip(page, "#h-guards"))
    assert len(report) > 50_000
    assert len(decision) > 30_000


def clip(page: Page, below: str) -> Any:
    """Cut the page above an element."""
    top = page.locator(below).evaluate("each => each.getBoundingClientRect().top + scrollY")
    page.set_viewport_size({"width": 1200, "height": round(top)})
    return {"x": 0, "y": 0, "width": 1200, "height": round(top) - 40}
