"""`liftwerk forward` as it is run: killed and run again, asked how it goes, told to try again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.operations.forward.report import Status, status
from liftwerk.operations.forward.run import forward
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.connectors import vendors
from tests.connectors.vendors import SECRET, Vendor, serving
from tests.events import shop as shops
from tests.operations.forwarding import number

pytestmark = pytest.mark.slow

EVENTS = 6

TOML = """
[project]
name = "shop"
currency = "EUR"

[purposes.ads]
basis = "consent"

[sources.till]
kind = "http"
trust = "server"
key_env = "SHOP_TILL_KEY"

[identifiers.email]
normalise = "email"

[events.page_viewed]
version = 1
description = "A page"

[destinations.crm]
kind = "webhook"
purpose = "ads"
secret_env = "FORWARD_SECRET"
start = "beginning"
url = "{url}"
events = ["page_viewed"]
"""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor(vendors.webhook)) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, vendor: Vendor) -> Path:
    (tmp_path / "liftwerk.toml").write_text(TOML.format(url=vendor.url))
    project = load(tmp_path, SECTIONS)
    home = Home.open(project.home, create=True)
    with home.hold("test"), open_stores(home) as stores:
        events = [
            shops.event(
                number=count,
                identifiers={"email": f"c{count % 2}@example.com"},
                consent=shops.granted("ads"),
            )
            for count in range(1, EVENTS + 1)
        ]
        assert shops.put(project, stores, *events) == []
        compact(project, stores, shops.clock())
    return tmp_path


def call(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "liftwerk.cli", "forward", *words],
        cwd=folder,
        env={**os.environ, "FORWARD_SECRET": SECRET, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    """Do what ``forward run --once`` does, without a process of its own."""
    monkeypatch.setenv("FORWARD_SECRET", SECRET)
    project = load(folder, SECTIONS)
    clock = SystemClock()
    with open_stores(Home.open(project.home)) as stores:
        forward(project, stores, clock, numpy.random.default_rng(1))
        (row,) = status(project, stores, clock)
    return row


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("moment", "visit", "repeated"),
    [
        ("before", 1, []),  # nothing taken yet
        ("after", 1, []),  # all taken, nothing sent
        ("before", 2, [1]),  # one sent and not written down: sent again, with the same id
        ("after", 2, []),
    ],
)
def test_a_kill_loses_nothing_and_repeats_at_most_one_request(
    folder: Path,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    visit: int,
    repeated: list[int],
) -> None:
    killed = call(folder, "run", "--once", LIFTWERK_FAULT=f"forward_commit:{moment}:{visit}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    row = here(folder, monkeypatch)
    assert (row.state, row.delivered) == ("up to date", EVENTS)
    came = [number(asked) for asked in vendor.took]
    assert sorted(came) == sorted([*range(1, EVENTS + 1), *repeated])
    for asked in vendor.took:
        assert asked.headers["idempotency-key"] == asked.json["id"]
    first_seen = list(dict.fromkeys(came))
    for lane in (0, 1):
        own = [one for one in first_seen if one % 2 == lane]
        assert own == sorted(own)


def test_it_goes_on_until_it_is_stopped(folder: Path, vendor: Vendor) -> None:
    command = [sys.executable, "-m", "liftwerk.cli", "forward", "run"]
    environment = {**os.environ, "FORWARD_SECRET": SECRET}
    running = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE)

    def stop(_: object) -> None:
        if vendor.asked == EVENTS:
            running.send_signal(signal.SIGTERM)

    vendor.before = stop
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 0
    assert b"up to date" in out
    assert len(vendor.took) == EVENTS


def test_the_night_shift_sees_what_is_wrong_and_what_to_do(
    folder: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.down = (503, {"Retry-After": "90"}, b"")
    here(folder, monkeypatch)
    said = call(folder, "status").stdout
    assert "crm (webhook, for ads)" in said
    for words in ("failing", "6 events", "1 failed and wait", "HTTP 503 Service Unavailable"):
        assert words in said
    assert "next try" in said


def test_dead_letters_are_listed_and_replayed(
    folder: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.answers.append((410, {}, b"gone is ada@example.com"))
    assert here(folder, monkeypatch).dead == {"HTTP 410 Gone": 1}
    (letter,) = answer(call(folder, "dead", "--json"))
    assert letter["id"] == "00000000-0000-0000-0000-000000000001"
    replayed = call(folder, "replay", "--destination", "crm", "--reason", "HTTP 410 Gone", "--json")
    assert answer(replayed) == {"replayed": 1}
    row = here(folder, monkeypatch)
    assert (row.dead, row.delivered) == ({}, EVENTS)


def test_a_missing_secret_is_one_line(folder: Path) -> None:
    done = call(folder, "run", "--once", FORWARD_SECRET="")
    assert done.returncode == 2
    line = "error: no secret for 'crm': destinations.crm.secret_env: export FORWARD_SECRET=…\n"
    assert done.stderr == line
