"""A real browser on the pages, and what every page must hold in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desk": (1440, 900)}
THEMES = ("light", "dark")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@dataclass
class Watched:
    """What a page said and asked for while it was watched."""

    origin: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def hold(self) -> None:
        """Fail if anything was said, or asked of anybody else."""
        assert self.said == []
        assert [each for each in self.asked if not each.startswith(self.origin)] == []
        assert self.asked


@contextmanager
def chromium_at(path: str) -> Iterator[Browser]:
    """Start the system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_in(
    browser: Browser, address: str, size: tuple[int, int] = SIZES["desk"], theme: str = "light"
) -> Iterator[tuple[Page, Watched]]:
    """Open an empty page of a size and theme, watched; at the end it must have held."""
    parts = urlsplit(address)
    watched = Watched(f"{parts.scheme}://{parts.netloc}/")
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()

    def on_console(message: ConsoleMessage) -> None:
        watched.said.append(f"{message.type}: {message.text}")

    def on_request(request: Request) -> None:
        watched.asked.append(request.url)

    def on_failure(request: Request) -> None:
        # Leaving a page ends what it was still loading: that is no fault of the page.
        if request.failure != "net::ERR_ABORTED":
            watched.said.append(f"failed: {request.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: watched.said.append(f"error: {error}"))
    page.on("request", on_request)
    page.on("requestfailed", on_failure)
    yield page, watched
    watched.hold()
    context.close()


def wait_for_charts(page: Page) -> None:
    """Wait until every chart of the page is drawn."""
    page.wait_for_function(
        "[...document.querySelectorAll('[data-drawing]')]"
        ".every(box => box.dataset.drawn && box.querySelector('svg path'))"
    )


def overflow(page: Page) -> list[str]:
    """List what sticks out of the page sideways, other than in boxes that scroll."""
    return page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= wide) return [];
          return [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > wide + 1)
            .map((each) => `${each.tagName}.${each.className}`);
        }"""
    )


def violations(page: Page) -> list[str]:
    """List what axe-core finds against WCAG 2.2 A and AA."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def tab_to(page: Page, selector: str, most: int = 200) -> int:
    """Press Tab until something that fits is focused; give the number of presses."""
    for presses in range(1, most + 1):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return presses
    raise AssertionError(f"{selector} is not reached by keyboard")


def print_to(page: Page, path: Path) -> bytes:
    """Print the page on A4."""
    page.pdf(path=path, prefer_css_page_size=True)
    return path.read_bytes()
