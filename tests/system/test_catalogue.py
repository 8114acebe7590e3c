"""The catalogue and the lineage of a real project: by command, and in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.server.browser import SIZES, chromium_at, overflow, page_in, tab_to, violations
from tests.system.collector import serving
from tests.system.conftest import call
from tests.system.test_features import change, project_in, see

pytestmark = pytest.mark.slow


def sideways(page: Page) -> list[str]:
    """List the tables that are wider than their place, so that columns are out of sight."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".scroll")]
          .filter((each) => each.scrollWidth > each.clientWidth + 1)
          .map((each) => each.getAttribute("aria-label") || each.getAttribute("aria-labelledby"))"""
    )


def spilt(page: Page) -> list[str]:
    """List the names in a drawing that are wider than their boxes."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".graph a")]
          .filter((each) => {
            const [box, text] = ["rect", "text"].map((one) => each.querySelector(one).getBBox());
            return text.x + text.width > box.x + box.width;
          })
          .map((each) => each.textContent.trim())"""
    )


def test_versions_are_kept_compared_and_deprecated(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    once = call("features", "diff", "views_1h", cwd=project)
    assert (once.returncode, "has one version" in once.stdout) == (0, True)
    assert not (project / ".liftwerk").exists()  # looking makes nothing
    assert call("features", "backfill", cwd=project).returncode == 0
    change(project, 'window = "1h"', 'window = "2h"')
    changed = call("features", "diff", "recent_share", cwd=project)
    assert changed.returncode == 1
    assert "values change" in changed.stdout
    assert "features.views_1h.window" in changed.stdout
    assert call("features", "backfill", cwd=project).returncode == 0
    change(project, 'window = "2h"', 'window = "2h"\nowner = "bob"\ndeprecated = "2199-01-01"')
    words = call("features", "diff", "views_1h", "--json", cwd=project)
    assert words.returncode == 0
    assert [one["key"] for one in json.loads(words.stdout)["changes"]] == ["deprecated", "owner"]
    row, *_ = json.loads(
        call("features", "list", "--search", "views_1h", "--json", cwd=project).stdout
    )
    assert (row["deprecated"], row["short"]) == ("2199-01-01", row["version"][:8])
    shown = call("features", "show", "views_1h", cwd=project)
    assert shown.stdout.count("values change") == 1
    warned = call("check", cwd=project)
    assert warned.returncode == 0
    assert "warning: feature_views.visitors reads views_1h, which is deprecated" in warned.stdout
    change(project, "2199-01-01", "2001-01-01")
    refused = call("check", cwd=project)
    assert refused.returncode == 2
    assert "features.recent_share reads views_1h" in refused.stdout
    assert call("features", "backfill", cwd=project).returncode == 0  # what serves goes on


def test_both_versions_are_served_until_consumers_have_moved(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    see(project, ["v1", "v1", "v2"], "/shoes")
    assert call("features", "backfill", "visitors", cwd=project).returncode == 0
    shown = call("features", "show", "views", "--json", cwd=project)
    older = f"visitors@{json.loads(shown.stdout)['standings'][0]['version'][:8]}"
    change(project, 'aggregate = "count"', 'aggregate = "count"\nwhere = "path = \'/shoes/0\'"')
    change(project, "[feature_views.visitors]", f'[feature_views.visitors]\nalso = ["{older}"]')
    assert call("features", "backfill", cwd=project).returncode == 0
    with serving(project, "--only", "pages") as server:

        def get(view: str) -> float:
            address = f"{server.address}v1/features/customer/visitor%3Av1?view={view}"
            with urlopen(address) as answer:
                return json.load(answer)["values"]["views"]

        assert (get("visitors"), get(older)) == (1.0, 2.0)
        with pytest.raises(HTTPError) as refused:
            get("visitors@00000000")
        assert refused.value.code == 404
        refused.value.close()
    assert call("features", "prune", "--dry-run", "--json", cwd=project).stdout == "[]\n"
    change(project, f'\nalso = ["{older}"]', "")
    listed = call("features", "list", cwd=project)
    assert "which nobody declares any more: liftwerk features prune" in listed.stdout
    told = json.loads(call("status", "--json", cwd=project).stdout)["undeclared"]
    assert [name[: len(older)] for name in told] == [older]
    gone = json.loads(call("features", "prune", "--json", cwd=project).stdout)
    assert {one["space"]: one["rows"] for one in gone}[told[0]] == 2
    assert json.loads(call("status", "--json", cwd=project).stdout)["undeclared"] == []


def test_a_lineage_is_told_by_command(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    told = call("lineage", "views_1h", "--down", "--json", cwd=project)
    found = json.loads(told.stdout)
    assert [one["id"] for one in found["nodes"]] == [
        "features.views_1h",
        "features.recent_share",
        "feature_views.visitors",
    ]
    wrong = call("lineage", "views_2h", cwd=project)
    assert wrong.returncode == 2
    assert "error: nothing 'views_2h' is declared: lineage: did you mean" in wrong.stderr
    assert call("lineage", "--up", cwd=project).returncode == 2


def test_a_feature_is_found_and_followed_by_keyboard(chromium: str, tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    see(project, ["v1", "v1", "v2"], "/shoes")
    assert call("features", "backfill", cwd=project).returncode == 0
    with (
        serving(project, "--only", "pages") as server,
        chromium_at(chromium) as browser,
        page_in(browser, server.address, SIZES["phone"]) as (page, _),
    ):
        page.goto(server.address + "features")
        tab_to(page, "input[type=search]")
        page.keyboard.type("recent_share")
        page.keyboard.press("Enter")
        page.wait_for_url("**/features?search=recent_share*")
        tab_to(page, "table.features tbody th a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/features/recent_share")
        main = page.locator("main")
        expect(main).to_contain_text("missing")
        expect(main).to_contain_text("visitors")
        assert (overflow(page), violations(page)) == ([], [])
        tab_to(page, "a[href='/lineage?node=features.recent_share']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/lineage?node=features.recent_share")
        expect(page.locator("tr.on")).to_contain_text("recent_share")
        assert (overflow(page), violations(page)) == ([], [])


def test_long_names_are_read_at_every_size(chromium: str, tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    long = "share_of_everything_that_a_visitor_looked_at_in_the_last_weeks"
    change(project, "[features.views_1h]", f"[features.{long}]")
    change(project, "views_1h / views", f"{long} / views")
    change(project, '"views_1h"', f'"{long}"')
    see(project, ["v1", "v1", "v2"], "/shoes")
    assert call("features", "backfill", cwd=project).returncode == 0
    with (
        serving(project, "--only", "pages") as server,
        chromium_at(chromium) as browser,
    ):
        for size, theme in (((390, 844), "light"), ((820, 1180), "dark"), ((1440, 900), "light")):
            with page_in(browser, server.address, size, theme) as (page, _):
                for path in ("features", f"features/{long}", f"lineage?node={long}"):
                    page.goto(server.address + path)
                    assert (size, overflow(page), sideways(page)) == (size, [], [])
                    assert (violations(page), spilt(page)) == ([], [])
