"""A disk that is full, for the whole server at once: it says so, loses nothing, and goes on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liftwerk.definitions import load
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import Load, Server, make_project, post, serving, view
from tests.system.conftest import call
from tests.system.test_collector import ids_in_tables

MEGABYTE = 1_000_000
SECONDS = 90
"""For whatever the server is to do by itself."""


class SmallDisk:
    """A file system of a few megabytes, and a file in it that takes what is left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes, or fewer: a server may write while this does."""
        with self._ballast.open("ab") as file:
            while (room := self._room() - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, room)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def _room(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)


def project_on(disk: SmallDisk, folder: Path) -> Path:
    project = make_project(folder)
    with (project / "liftwerk.toml").open("a") as file:
        file.write(f'\n[store]\nhome = "{disk.path / "home"}"\n')
    return project


def until(holds: Callable[[], bool], what: object) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def send(server: Server, event: dict[str, object]) -> tuple[int, dict[str, str], bytes]:
    return post(server.port, json.dumps(event).encode())


def until_busy(
    server: Server, taken: list[int], event: Callable[[], dict[str, object]]
) -> tuple[dict[str, str], bytes]:
    """Send until it is answered that there is no room; notes the answers before."""
    deadline = time.monotonic() + SECONDS
    while True:
        status, headers, text = send(server, event())
        if status == 503:
            return headers, text
        assert status in (200, 422), text
        assert time.monotonic() < deadline, text
        taken.append(status)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, disk: SmallDisk) -> None:
    project = project_on(disk, tmp_path / "shop")
    kept: list[int] = []
    with serving(project, "--only", "collect", "--workers", "2") as server:
        with Load(server.port, connections=4) as load:
            until(lambda: len(load.acknowledged) > 1000, load.statuses)
            for _ in range(2):
                disk.fill(leave=MEGABYTE)
                busy = load.statuses.get(503, 0)
                until(lambda busy=busy: load.statuses.get(503, 0) > busy + 20, load.statuses)
                disk.fill()

                # A log that was written before has room in its file: some are still taken.
                headers, text = until_busy(server, [], lambda: view(str(uuid.uuid4()), 0))
                assert headers["retry-after"] == "5"
                assert "the disk is full" in json.loads(text)["detail"]
                headers, _ = until_busy(server, kept, lambda: {"name": str(uuid.uuid4())})
                assert headers["retry-after"] == "5"

                disk.free()
                taken = len(load.acknowledged)
                until(lambda taken=taken: len(load.acknowledged) > taken + 500, load.statuses)
        assert set(load.statuses) == {200, 503}
        assert send(server, {"name": "no such event"})[0] == 422
        # The sequencer has met the full disk too: it goes on by itself, to the last event.
        until(lambda: waiting(project) == 0, "the inbox is not sorted into tables")
        assert server.stop() == 0
    found = ids_in_tables(project)
    assert len(found) == len(set(found))
    assert load.acknowledged <= set(found)
    assert quarantined(project) == 1 + kept.count(422)


def test_a_full_disk_stops_the_sequencer_without_harm(tmp_path: Path, disk: SmallDisk) -> None:
    project = project_on(disk, tmp_path / "shop")
    event = view(str(uuid.uuid4()), 0)
    with serving(project, "--only", "collect", "--no-compact") as server:
        assert send(server, event)[0] == 200
        assert send(server, {"name": "no such event"})[0] == 422
    disk.fill()
    done = call("events", "compact", cwd=project)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    disk.free()
    assert call("events", "compact", cwd=project).returncode == 0
    assert ids_in_tables(project) == [event["id"]]
    assert quarantined(project) == 1


def test_a_server_on_a_full_disk_says_so(tmp_path: Path, disk: SmallDisk) -> None:
    project = project_on(disk, tmp_path / "shop")
    disk.fill()
    done = call("serve", "--port", "0", "--only", "collect", cwd=project, timeout=60)
    assert done.returncode == 3
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    disk.free()
    with serving(project, "--only", "collect", "--no-compact") as server:
        assert send(server, view(str(uuid.uuid4()), 0))[0] == 200


def waiting(project: Path) -> int:
    with open_stores(Home.open(load(project, SECTIONS).home)) as stores:
        return stores.inbox.count()


def quarantined(project: Path) -> int:
    with open_stores(Home.open(load(project, SECTIONS).home)) as stores:
        assert stores.damage() == []
        return sum(stores.inbox.quarantine_count().values())
