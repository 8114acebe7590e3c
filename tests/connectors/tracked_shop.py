"""A shop's pages with the tracker on them, in a real browser, and a collector on another origin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.connectors.recording_collector import Recorder, recording

KEY = "lw_write_1"
SHOP = "shop.example"
GRANT = 'liftwerk.consent({granted: ["analytics"]})'
"""What a banner of the shop's own says after a click."""

DENY = 'liftwerk.consent({withdrawn: ["analytics"]})'
DEALT_WITH = "navigator.locks.request('liftwerk', () => 0)"
"""The lock is free once the tracker has dealt with the answer."""

MINUTE = 60_000

Chromium = tuple[Browser, Recorder, Recorder]


@contextmanager
def chromium_with_collector(path: str) -> Iterator[Chromium]:
    """Start a browser, the shop's server, and the collector."""
    # The shop has a name of its own besides, which is no secure context.
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {SHOP} 127.0.0.1"]
    with recording() as shop, recording() as collector, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser, shop, collector
        finally:
            browser.close()


class Visit:
    """One person's browser: its pages share storage, and nothing with other visits."""

    def __init__(self, context: BrowserContext, shop: Recorder, collector: Recorder) -> None:
        self.context = context
        self.shop = shop
        self.collector = collector
        self.said: list[str] = []
        self._froze = False
        context.on("weberror", lambda error: self.said.append(f"error: {error.error}"))
        context.on("console", self._hear)

    def open(
        self,
        path: str = "/",
        *,
        tag: str = "",
        before: str = "",
        after: str = "",
        host: str = "127.0.0.1",
        frozen: bool = False,
        page: Page | None = None,
    ) -> Page:
        """Open a page whose script tag has ``tag``; wait until the tracker is there.

        ``before`` runs before everything, ``after`` right before the tag. While time is frozen,
        timers stand still until the page's clock is moved.
        """
        self.shop.pages[path.partition("?")[0]] = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Tea</title>"
            f"<link rel=icon href=data:,><script>{before}</script>"
            f"<script>window.liftwerk = window.liftwerk || [];{after}</script>"
            f"<script async src='{self.collector.address}/t.js' data-key={KEY} {tag}></script>"
        )
        if page is None:
            page = self.context.new_page()
        if frozen:
            now = time.time()
            page.clock.install(time=now)
            page.clock.pause_at(now + 1)
        elif self._froze:  # the clock is the whole visit's
            page.clock.resume()
        self._froze = frozen
        page.goto(f"http://{host}:{self.shop.port}{path}")
        page.wait_for_function("!!liftwerk.track")
        return page

    def leave(self, page: Page) -> None:
        """Go to a page of the shop without the tracker."""
        page.goto(f"{self.shop.address}/nothing")

    def _hear(self, message: ConsoleMessage) -> None:
        # The browser itself says so of a request that failed, whatever the page does.
        if not message.text.startswith("Failed to load resource"):
            self.said.append(f"{message.type}: {message.text}")


@contextmanager
def visit(chromium: Chromium, **settings: Any) -> Iterator[Visit]:
    """Begin a visit with a fresh browser profile; it must stay silent, but for what a test takes.

    A test that expects words in the console takes them out of ``said``.
    """
    browser, shop, collector = chromium
    shop.pages.clear()
    collector.arrivals.clear()
    collector.next.clear()
    context = browser.new_context(**settings)
    visited = Visit(context, shop, collector)
    try:
        yield visited
    finally:
        context.close()
    assert visited.said == []


def stored(page: Page) -> dict[str, str]:
    """Return all that a page's origin stores."""
    kept: dict[str, str] = page.evaluate(
        """async () => {
          const kept = { ...sessionStorage, ...localStorage };
          for (const { name } of await indexedDB.databases()) kept[name] = "database";
          if (document.cookie) kept.cookie = document.cookie;
          return kept;
        }"""
    )
    return kept


def waiting_ids(page: Page) -> list[str]:
    """Return the ids of the events that are stored, in order."""
    ids: list[str] = page.evaluate(
        """() => Object.keys(localStorage)
             .filter((key) => key.startsWith("liftwerk."))
             .sort()
             .map((key) => JSON.parse(localStorage[key]).id)"""
    )
    return ids


def track(page: Page, *names: str) -> None:
    """Track events by name."""
    page.evaluate("names => names.forEach((name) => liftwerk.track(name))", list(names))
