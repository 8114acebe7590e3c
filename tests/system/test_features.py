"""Kept features beside a real server follow what is collected, through kills of who keeps them."""

from __future__ import annotations

import json
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from liftwerk.clock import FixedClock, SystemClock
from liftwerk.definitions import load
from liftwerk.events.append import append_event
from liftwerk.events.compact import compact
from liftwerk.features.as_of import current
from liftwerk.features.serve import Server as FeatureServer
from liftwerk.features.update import Updater
from liftwerk.identity.resolve import leaf_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import Load, make_project, post, serving, view
from tests.system.conftest import call

pytestmark = pytest.mark.slow

KILLS = 4
SECONDS = 180
FEATURES = """
[features.views]
entity = "customer"
from = "page_viewed"
aggregate = "count"

[features.views_1h]
entity = "customer"
from = "page_viewed"
aggregate = "count"
window = "1h"
hop = "1min"

[features.recent_share]
entity = "customer"
expression = "views_1h / views"

[feature_views.visitors]
purpose = "measurement"
features = ["views", "views_1h", "recent_share"]

[entities.page]
key = ["path", "country"]
description = "A page, seen from a country"

[entities.page.properties]
path = { type = "string" }
country = { type = "string" }

[features.seen]
entity = "page"
by = ["path", "context.country"]
from = "page_viewed"
aggregate = "count"

[feature_views.pages]
purpose = "measurement"
entity = "page"
features = ["seen"]
"""


def project_in(folder: Path) -> Path:
    project = make_project(folder)
    with (project / "liftwerk.toml").open("a") as file:
        file.write(FEATURES)
    return project


def change(project: Path, old: str, new: str) -> None:
    file = project / "liftwerk.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def see(project: Path, visitors: list[str], page: str) -> None:
    """Let visitors see pages of a shop, months ago."""
    definitions = load(project, SECTIONS)
    clock = FixedClock(datetime(2026, 3, 2, tzinfo=UTC))
    with open_stores(Home.of(definitions, create=True)) as stores, stores.home.hold("test"):
        for number, visitor in enumerate(visitors):
            event = {
                "name": "page_viewed",
                "identifiers": {"visitor": visitor},
                "time": datetime(2026, 3, 1, 12, tzinfo=UTC),
                "consent": {"granted": ["measurement"], "source": "api"},
                "properties": {"path": f"{page}/{number}"},
            }
            append_event(definitions, stores, event, "shop", clock)
        compact(definitions, stores, clock)


def test_values_follow_what_is_collected_through_kills(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    draw = random.Random(11)
    killed = 0
    with serving(project, "--only", "collect") as server:
        with Load(server.port, connections=2) as sending:
            deadline = time.monotonic() + SECONDS
            while killed < KILLS:
                assert time.monotonic() < deadline, "nobody keeps the features up to date"
                for pid in server.children(b"features\0follow"):
                    time.sleep(draw.random())  # a moment that is not chosen
                    with suppress(ProcessLookupError):  # one killed before may be listed again
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                time.sleep(0.05)
        assert server.stop() == 0
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores:
        Updater(definitions, stores, SystemClock()).catch_up()
        with stores.home.hold("test"):
            compact(definitions, stores, SystemClock())
        leaves = [leaf_of(definitions, f"visitor:v{number}") for number in range(50)]
        served = FeatureServer(definitions, stores, "visitors", SystemClock()).get_many(
            [(leaf,) for leaf in leaves]
        )
        names = ["views", "views_1h", "recent_share"]
        wanted = current(definitions, stores, leaves, names, "measurement", served[0].as_of)
    assert [one.values for one in served] == [
        {name: row[name] for name in names} for row in wanted.to_pylist()
    ]
    assert sum(one.values["views"] for one in served) == len(sending.acknowledged)


def test_a_key_of_several_parts_is_told_in_the_address(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    with serving(project, "--only", "collect", "--no-compact") as server:
        for land in ("DE", "DE", "AT"):
            event = view(str(uuid.uuid4()), 1, context={"country": land})
            assert post(server.port, json.dumps(event).encode())[0] == 200
    assert call("features", "backfill", "pages", cwd=project).returncode == 0
    got = call("features", "get", "pages", "/1", "DE", "--json", cwd=project)
    assert json.loads(got.stdout)["values"] == {"seen": 2.0}
    few = call("features", "get", "pages", "/1", cwd=project)
    assert few.returncode == 2
    assert "a page is told by path and country: feature_views.pages: write 2" in few.stderr
    with serving(project) as server:
        address = f"http://127.0.0.1:{server.port}/v1/features"
        with urlopen(f"{address}/page/%2F1/AT?view=pages") as answer:
            assert json.load(answer)["values"] == {"seen": 1.0}
        for wrong, status in (("page/%2F1", 400), ("customer/visitor%3Av1", 404)):
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{address}/{wrong}?view=pages")
            assert refused.value.code == status
            refused.value.close()


def test_commands_tell_what_is_kept(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    never = call("features", "get", "visitors", "visitor:v1", cwd=project)
    assert never.returncode == 2
    assert "were never made" in never.stderr
    with serving(project, "--only", "collect", "--no-compact") as server:
        for number in (1, 1, 2):
            event = view(str(uuid.uuid4()), number)
            assert post(server.port, json.dumps(event).encode())[0] == 200
    asked = json.loads(call("features", "backfill", "--dry-run", "--json", cwd=project).stdout)
    assert [(one["view"], one["fills"], one["rows"]) for one in asked["views"]] == [
        ("visitors", True, 3),
        ("pages", True, 3),
    ]
    for moment in ("before", "after"):
        killed = call(
            "features", "backfill", cwd=project, env={"LIFTWERK_FAULT": f"online_commit:{moment}"}
        )
        assert killed.returncode == -signal.SIGKILL
        half = call("features", "get", "visitors", "visitor:v1", cwd=project)
        assert "were never made" in half.stderr
    with serving(project, "--no-compact") as server:
        address = f"http://127.0.0.1:{server.port}/v1/features/customer/visitor%3Av1"
        for query, status in (("?view=visitors", 404), ("", 400)):
            with pytest.raises(HTTPError) as unfilled:
                urlopen(address + query)
            assert unfilled.value.code == status
            assert unfilled.value.headers["content-type"] == "application/problem+json"
            unfilled.value.close()
    done = call("features", "backfill", "visitors", "--json", cwd=project)
    assert json.loads(done.stdout) == {
        "views": [{"view": "visitors", "rows": 2, "offset": 3, "flagged": None}]
    }
    got = json.loads(
        call("features", "get", "visitors", "visitor:v1", "--json", cwd=project).stdout
    )
    assert got["values"]["views"] == 2.0
    assert got["offset"] == 3
    with serving(project) as server:
        address = f"http://127.0.0.1:{server.port}/v1/features/customer/visitor%3Av1"
        with urlopen(f"{address}?view=visitors") as answer:
            assert json.load(answer)["values"] == got["values"]
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{address}?view=visitor")
        assert refused.value.code == 404
        with refused.value as answer:
            assert json.load(answer)["detail"].endswith("did you mean 'visitors'?")
    text = call("features", "get", "visitors", "visitor:v9", cwd=project).stdout
    assert "- (no answer)" in text
    again = call("features", "backfill", "visitors", "--fresh", "--json", cwd=project)
    assert json.loads(again.stdout) == json.loads(done.stdout)
    unknown = call("features", "get", "visitor", "visitor:v1", cwd=project)
    assert unknown.returncode == 2
    assert "did you mean 'visitors'?" in unknown.stderr
    listed = json.loads(call("features", "list", "--search", "1H", "--json", cwd=project).stdout)
    assert [one["name"] for one in listed] == ["views_1h", "recent_share"]
    sql = call("features", "show", "views_1h", "--sql", "--dialect", "pyspark", cwd=project)
    assert "unix_micros(`time`)" in sql.stdout
    assert "_history AS (" in sql.stdout


CHECKED = """
[features.seen]
entity = "customer"
from = "page_viewed"
aggregate = "count"
checks = { maximum = 3 }

[feature_views.checked]
purpose = "measurement"
features = ["seen"]
"""


def test_a_failing_view_is_flagged_wherever_it_is_asked(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with (project / "liftwerk.toml").open("a") as file:
        file.write(CHECKED)
    with serving(project) as server:

        def seen(many: int) -> None:
            # One request is one commit: no step may read a part of them.
            body = json.dumps([view(str(uuid.uuid4()), 1) for _ in range(many)]).encode()
            assert post(server.port, body)[0] == 200

        def served(is_there: Callable[[Any], bool]) -> Any:
            """Ask until it is so; whoever keeps the view may need a moment."""
            address = f"http://127.0.0.1:{server.port}/v1/features/customer/visitor%3Av1"
            deadline = time.monotonic() + SECONDS
            while True:
                assert time.monotonic() < deadline
                try:
                    with urlopen(f"{address}?view=checked") as answer:
                        found = json.load(answer)
                except HTTPError as unfilled:
                    unfilled.close()
                    found = None
                if found is not None and is_there(found):
                    return found
                time.sleep(0.1)

        seen(2)
        served(lambda found: found["values"]["seen"] == 2)
        seen(3)
        held = served(lambda found: found["flagged"] is not None)
        assert held["values"]["seen"] == 2
        assert held["flagged"]["reason"].startswith("seen should be at most 3: 1 of 1 are not")
        with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            assert b'liftwerk_feature_view_flagged{view="checked"} 1.0' in answer.read()
        told = call("features", "get", "checked", "visitor:v1", cwd=project)
        assert "checked stays as it was: seen should be at most 3" in told.stdout
        failing = call("features", "check", "checked", cwd=project)
        assert failing.returncode == 1
        assert "failed" in failing.stdout
        assert call("features", "backfill", cwd=project).returncode == 1
        accepted = call("features", "accept", "checked", cwd=project)
        assert accepted.returncode == 0, accepted.stderr
        assert served(lambda found: found["flagged"] is None)["values"]["seen"] == 5
        nothing = call("features", "accept", "checked", cwd=project)
        assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
        kept = call("features", "baseline", "checked", "--json", cwd=project)
        assert json.loads(kept.stdout)["features"]["seen"]["ends"][-1] == 5.0


@pytest.mark.parametrize("moment", ["retention_intent:after", "snapshot_commit:after"])
def test_a_kill_while_old_rows_are_taken_out_leaves_no_value_of_them(
    tmp_path: Path, moment: str
) -> None:
    project = project_in(tmp_path / "shop")
    see(project, ["v1", "v1"], "/shoes")
    assert call("features", "backfill", cwd=project).returncode == 0
    change(project, "[events.page_viewed]", '[events.page_viewed]\nretention = "30 days"')
    killed = call("retention", cwd=project, env={"LIFTWERK_FAULT": moment})
    assert killed.returncode == -signal.SIGKILL
    assert call("retention", cwd=project).returncode == 0
    assert call("features", "backfill", cwd=project).returncode == 0
    told = call("features", "get", "visitors", "visitor:v1", "--json", cwd=project)
    assert json.loads(told.stdout)["values"]["views"] == 0.0
