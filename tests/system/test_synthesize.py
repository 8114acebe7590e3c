"""`events synthesize` over real servers: its own, one that runs, one that keeps nothing, none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from liftwerk.definitions import load
from liftwerk.governance.keys import list_keys
from liftwerk.project import door
from liftwerk.sections import SECTIONS
from tests.system.collector import serving

TRACKED = Path(__file__).parents[1] / "project" / "tracked.toml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(TRACKED, tmp_path / "liftwerk.toml")
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "liftwerk.cli", *arguments, "--project", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    return done.returncode, done.stdout, done.stderr


def synthesize(project: Path, *options: str) -> tuple[int, dict[str, Any]]:
    code, out, err = run(project, "events", "synthesize", "--json", *options)
    assert out, err
    return code, json.loads(out)


def test_it_passes_and_leaves_nothing_behind_but_marked_rows(project: Path) -> None:
    code, done = synthesize(project, "--journeys", "1")
    assert code == 0, done["checks"]
    assert done["passed"]
    assert {one["state"] for one in done["checks"]} == {"passed"}
    assert done["sources"] == ["web", "backend"]
    with door.open(project) as opened:
        assert opened.stores.inbox.quarantine_count() == {}
        keys = list_keys(opened.definitions, opened.stores, opened.clock.now())
        assert {one.state for one in keys} == {"revoked"}
        found = opened.inventory()
    assert found["seen"]["events"] == 0
    assert found["seen"]["synthetic"] == done["sent"] + done["changes"]
    [web] = [one for one in found["gaps"] if one["source"] == "web"]
    assert web["words"].endswith("but in 12 of test traffic")


def test_a_server_that_runs_is_tested_by_its_address(project: Path) -> None:
    with serving(project, "--only", "collect", "--workers", "2") as server:
        code, done = synthesize(project, "--url", server.address, "--source", "web")
        assert code == 0, done["checks"]
        again, twice = synthesize(project, "--url", server.address, "--source", "web")
    assert again == 0, twice["checks"]
    assert done["run"] != twice["run"]


def test_a_collector_that_keeps_nothing_fails_with_what_is_missing(project: Path) -> None:
    with serving(project, "--dry") as server:
        options = ("--url", server.address, "--source", "web", "--timeout", "1s")
        code, done = synthesize(project, *options)
        text = run(project, "events", "synthesize", *options)[1]
    assert code == 1
    states = {one["check"]: one["state"] for one in done["checks"]}
    assert states["every valid event is accepted"] == "passed"
    assert states["all of it arrives in the tables"] == "failed"
    assert states["what was sent twice is there once"] == "not checked"
    assert "0 of 18 within 1 s" in text


def test_nobody_there_is_one_line(project: Path) -> None:
    code, out, err = run(project, "events", "synthesize", "--url", "http://127.0.0.1:9")
    assert (code, out) == (3, "")
    assert err.strip().splitlines()[-1] == (
        "error: no collector answers (ConnectionRefusedError): 127.0.0.1:9:"
        " start `liftwerk serve`, or name it in --url"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--key", "lw_write_no"), "error: no write key that works: --key"),
        (("--source", "till"), "error: no source 'till' takes events"),
        (("--journeys", "0"), "error: --journeys is 0"),
        (("--timeout", "soon"), "error: --timeout is 'soon'"),
        (("--url", "shop"), "error: no address: 'shop'"),
    ],
)
def test_a_wrong_call_is_one_line(project: Path, options: tuple[str, ...], words: str) -> None:
    code, out, err = run(project, "events", "synthesize", *options)
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1].startswith(words)


def test_only_gaps_and_the_exit_code_for_ci(project: Path) -> None:
    code, out, _ = run(project, "inventory", "--gaps", "--json")
    gaps = json.loads(out)
    assert code == 1
    assert {one["kind"] for one in gaps} == {
        "event never seen",
        "identifier never seen",
        "source never seen",
    }
    code, out, _ = run(project, "inventory", "--json", "--event", "bought", "--since", "7d")
    assert code == 0
    assert [one["name"] for one in json.loads(out)["events"]] == ["bought"]
    assert load(project, SECTIONS).name == json.loads(out)["project"]
    code, _, err = run(project, "inventory", "--event", "bougt")
    assert (code, err) == (2, "error: no event 'bougt': inventory: did you mean 'bought'?\n")
    code, _, err = run(project, "inventory", "--since", "yesterday")
    assert code == 2
    assert err.startswith("error: --since is 'yesterday'")
