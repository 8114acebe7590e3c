"""A run that was killed anywhere is run again, and gives the same hash."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.append import append_event
from liftwerk.events.identifiers import leaf_key
from liftwerk.faults import SITES
from liftwerk.identity import customers_of
from liftwerk.loop import STEPS
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import make_project, view
from tests.system.conftest import SMALL_ROWS, call

pytestmark = pytest.mark.slow

OTHER_COMMANDS = (
    "entity_commit",
    "decision_commit",
    "online_commit",
    "quarantine_release",
    "forward_commit",
    "delivery_commit",
    "erase_collection",
    "tombstone_commit",
    "retention_intent",
    "key_commit",
    "experiment_commit",
    "effect_commit",
)
"""Sites that a run does not pass; they have tests of their own, below or in their rooms."""

RUN_SITES = [site for site in SITES if site not in OTHER_COMMANDS]


def test_every_site_is_visited_by_some_test() -> None:
    texts = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py")]
    visiting = "\n".join(text for text in texts if "LIFTWERK_FAULT" in text)
    # Once it stands in the list above; a test names it once more.
    assert [site for site in OTHER_COMMANDS if visiting.count(site) < 2] == []


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("site", RUN_SITES)
def test_a_kill_at_every_site_of_a_run_changes_nothing(
    site: str, moment: str, small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pristine, document = small
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    killed = call("run", "--json", cwd=project, env={"LIFTWERK_FAULT": f"{site}:{moment}"})
    assert killed.returncode == -signal.SIGKILL, f"{site} was never reached: {killed.stderr}"
    again = call("run", "--json", cwd=project)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["reproducible_hash"] == document["reproducible_hash"]


KILLS = 12
"""Kills at random moments that a run has to live through; what had ended before counts for none."""


def test_kills_at_random_moments_change_nothing(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pristine, document = small
    moments = random.Random(20080318)
    seconds = document["seconds"]
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    killed = attempts = 0
    while killed < KILLS:
        attempts += 1
        assert attempts <= 6 * KILLS, "runs end before they are killed"
        # The home stays: each attempt goes on from wherever the one before was killed.
        command = [sys.executable, "-m", "liftwerk.cli", "run", "--json", "--force"]
        running = subprocess.Popen(
            command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 0.3 + seconds))
        running.kill()
        if running.wait() == -signal.SIGKILL:
            killed += 1
        else:
            seconds *= 0.9  # it was measured while the machine had more to do
    again = call("run", "--json", cwd=project)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["reproducible_hash"] == document["reproducible_hash"]
    assert os.listdir(project / ".liftwerk" / "tables")


def test_a_kill_after_every_single_step_changes_nothing(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pristine, document = small
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    for _ in STEPS:  # each reads what a process that is gone has given
        killed = call("run", "--json", cwd=project, env={"LIFTWERK_FAULT": "step_commit:after"})
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = json.loads(call("run", "--json", cwd=project).stdout)
    assert all(stage["skipped"] for stage in again["stages"])
    assert again["reproducible_hash"] == document["reproducible_hash"]
    assert again["release"] == document["release"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("site", ["erase_collection", "tombstone_commit"])
def test_a_killed_erasure_is_finished_by_the_next(
    site: str, moment: str, small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(small[0], project)
    assert call("import", cwd=project).returncode == 0
    environment = {"LIFTWERK_FAULT": f"{site}:{moment}"}
    killed = call("erase", "3", "--yes", cwd=project, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = call("erase", "3", "--yes", "--json", cwd=project)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["found"] == []
    question = "select count(*) as n from history_recorded"
    answer = call("sql", "--purpose", "measurement", question, "--json", cwd=project)
    assert json.loads(answer.stdout)["rows"] == [{"n": SMALL_ROWS - 1}]


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
def test_a_decision_that_was_killed_is_recorded_whole_or_not_at_all(
    moment: str, kept: int, small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(small[0], project)
    assert call("import", cwd=project).returncode == 0
    environment = {"LIFTWERK_FAULT": f"decision_commit:{moment}"}
    killed = call("decide", "3", cwd=project, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    listed = call("decisions", "list", "--json", "--limit", "5000", cwd=project)
    live = [row for row in json.loads(listed.stdout) if row["kind"] == "live"]
    assert len(live) == kept


@pytest.mark.parametrize(
    "moment",
    [
        "inbox_append:after",
        "inbox_append:after:2",
        "table_sync:before",
        "snapshot_commit:after",
    ],
)
def test_who_was_being_told_apart_is_so_once_and_with_an_entry(moment: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    linked = view(str(uuid.uuid4()), 1, identifiers={"customer": "c1", "visitor": "v1"})
    definitions = load(project, SECTIONS)
    with open_stores(Home.of(definitions, create=True)) as stores:
        event = {name: linked[name] for name in ("name", "identifiers", "properties")}
        append_event(definitions, stores, event, "shop", SystemClock())
    assert call("events", "compact", cwd=project).returncode == 0
    command = ("identity", "unmerge", "customer:c1", "visitor:v1", "--reason", "a shared device")
    killed = call(*command, cwd=project, env={"LIFTWERK_FAULT": moment})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert call("events", "compact", cwd=project).returncode == 0
    whole = moment != "inbox_append:after"
    # What was durable counts; else it is done again.
    assert call(*command, cwd=project).returncode == int(whole)
    with open_stores(Home.of(definitions)) as stores:
        leaves = [leaf_key("customer", "c1"), leaf_key("visitor", "v1")]
        assert len(set(customers_of(definitions, stores, leaves).values())) == 2
        entries = [one for one in stores.ledger.audit() if one.action == "identity.unmerge"]
        assert len(entries) == 2 - int(whole)
        assert stores.damage() == []
