"""`/metrics`: whichever process answers speaks for all of them, also for one that was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.collector import Server, make_project, post, serving
from tests.system.hostile import some_view
from tests.system.test_collector import ids_in_tables

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
MEMORY = "liftwerk_process_resident_bytes"
SECONDS = 60


def figures(server: Server, token: str = "") -> dict[str, float]:
    request = urllib.request.Request(f"{server.address}metrics")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read().decode()
    return {
        name + "".join(labels.values()): value
        for family in text_string_to_metric_families(text)
        for name, labels, value, *_ in family.samples
    }


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def test_a_scrape_of_any_process_gives_the_sum(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect", "--workers", "2", "--no-compact") as server:
        batch = json.dumps([some_view(), some_view(), {}]).encode()
        for _ in range(30):  # a connection each: both processes have some
            assert post(server.port, batch)[0] == 422
        for _ in range(10):  # either answers
            found = figures(server)
            assert found["liftwerk_requests_total422"] == 30
            assert found["liftwerk_events_totalaccepted"] == 60
            assert found["liftwerk_events_totalrefused"] == 30
            assert found["liftwerk_group_commit_rows_sum"] == 90
            assert found["liftwerk_commit_seconds_count"] <= 30
            assert found["liftwerk_waiting_bytes"] == 0
            assert found["liftwerk_inbox_rows"] == 60
            assert found["liftwerk_inbox_lag_seconds"] > 0
            assert found["liftwerk_quarantined_events"] == 1  # the same, thirty times
            assert found["liftwerk_stores_readable"] == 1
        workers = server.workers()
        assert {f"{MEMORY}{pid}" for pid in workers} <= set(found)

        os.kill(workers[0], signal.SIGKILL)
        until(lambda: replaced(server, workers[0]), server.workers)
        found = figures(server)
        assert found["liftwerk_events_totalaccepted"] == 60
        assert f"{MEMORY}{workers[0]}" not in found
    assert not any(is_of(path, workers) for path in Path("/dev/shm").glob("liftwerk-metrics-*"))


def replaced(server: Server, dead: int) -> bool:
    """Whether the process that took the place of a dead one has answered somebody."""
    pids = server.workers()
    try:
        counted = set(figures(server))
    except OSError:  # connected to the dead one as it died
        return False
    return dead not in pids and {f"{MEMORY}{pid}" for pid in pids} <= counted


def is_of(folder: Path, pids: list[int]) -> bool:
    return any(file.stem.endswith(f"_{pid}") for file in folder.iterdir() for pid in pids)


def test_a_sequencer_that_fails_is_told_of_and_goes_on_by_itself(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    tables = project / ".liftwerk" / "tables"
    with serving(project, "--only", "collect") as server:
        # A file in the place of the tables: sorting fails at once, collecting knows nothing of it.
        tables.rename(tables.with_name("away"))
        tables.write_text("no folder")
        until(lambda: bool(server.sequencers()), server.workers)
        until(lambda: figures(server)["liftwerk_sequencer_ends_total"] >= 1, server.workers)
        assert post(server.port, json.dumps(some_view()).encode())[0] == 200
        assert figures(server)["liftwerk_inbox_rows"] == 1
        tables.unlink()
        tables.with_name("away").rename(tables)
        until(lambda: figures(server)["liftwerk_inbox_rows"] == 0, server.workers)


def test_a_sequencer_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect") as server:
        events = [some_view() for _ in range(3)]
        for event in events:
            assert post(server.port, json.dumps(event).encode())[0] == 200
            until(lambda: bool(server.sequencers()), server.workers)
            os.kill(server.sequencers()[0], signal.SIGKILL)
        until(lambda: figures(server)["liftwerk_inbox_rows"] == 0, server.workers)
        assert server.stop() == 0
    assert sorted(ids_in_tables(project)) == sorted(str(event["id"]) for event in events)


def test_where_there_is_a_token_it_is_asked_for_and_the_page_names_each_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "correct-horse-battery-staple"
    monkeypatch.setenv("LIFTWERK_TOKEN", token)
    project = make_project(tmp_path / "shop")
    for mode in (("--only", "collect"), ()):
        with serving(project, *mode, "--no-compact") as server:
            for wrong in ("", "wrong"):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    figures(server, wrong)
                assert refused.value.code == 401
                refused.value.close()
            found = figures(server, token)
            assert found["liftwerk_stores_readable"] == 1
    page = OPERATIONS.read_text()
    assert len(found) > 10
    for name in found:
        family = re.sub(r"(_bucket.*|_sum|_count|[0-9]+|accepted|refused|filtered)$", "", name)
        assert f"`{family}" in page, family
