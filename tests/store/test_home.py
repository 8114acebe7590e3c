from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest

from liftwerk.errors import HomeFormat, HomeInUse, StoreFault
from liftwerk.store import home as home_module
from liftwerk.store.home import SORTING, Home
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.stores import open_stores


def test_a_new_home_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "home"
    assert not Home.exists(path)
    Home.open(path, create=True)
    assert Home.exists(path)
    assert Home.open(path).path == path
    assert Home.open(path, create=True).path == path
    assert (path / "format").read_text() == "1\n"
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_home_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(HomeFormat, match="no home here"):
        Home.open(tmp_path / "home")
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(HomeFormat, match=r"not a liftwerk home \(it holds 'thesis.tex'\)"):
        Home.open(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(StoreFault, match="the home cannot be opened"):
        Home.open(tmp_path / "home", create=True)


def test_a_newer_home_is_refused(home: Home) -> None:
    (home.path / "format").write_text("2\n")
    with pytest.raises(HomeFormat, match="has format 2, this liftwerk knows 1"):
        Home.open(home.path)


def test_a_damaged_format_is_one_line(home: Home) -> None:
    (home.path / "format").write_bytes(b"\xff\x00")
    with pytest.raises(HomeFormat, match="damaged format file"):
        Home.open(home.path)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_making_that_was_killed_is_completed(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    while True:
        path = tmp_path / f"home-{steps}"
        seen = 0

        def maybe_die(real: object, limit: int = steps) -> object:
            def step(*arguments: object) -> None:
                nonlocal seen
                seen += 1
                if seen > limit and when == "before":
                    raise Killed
                real(*arguments)  # type: ignore[operator]
                if seen > limit:
                    raise Killed

            return step

        with monkeypatch.context() as patch:
            for name in ("make_folder", "write_atomically"):
                patch.setattr(home_module, name, maybe_die(getattr(home_module, name)))
            try:
                Home.open(path, create=True)
            except Killed:
                steps += 1
            else:
                break
        again = Home.open(path, create=True)
        with open_stores(again) as stores:
            assert stores.inbox.last_offset() == 0
    assert steps >= 4


def test_an_older_home_is_migrated_after_a_backup(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.path / "format").write_text("0\n")
    (home.path / "artefacts" / "old").write_text("old")

    def migrate(path: Path) -> None:
        (path / "artefacts" / "old").rename(path / "artefacts" / "new")

    monkeypatch.setattr(home_module, "MIGRATIONS", {0: migrate})
    Home.open(home.path)
    assert (home.path / "format").read_text() == "1\n"
    assert (home.path / "artefacts" / "new").read_text() == "old"
    backup = home.path.with_name("home.format-0.backup")
    assert (backup / "artefacts" / "old").read_text() == "old"
    assert (backup / "format").read_text() == "0\n"


def test_a_migration_that_was_killed_runs_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.path / "format").write_text("0\n")
    calls = []

    def migrate(path: Path) -> None:
        calls.append(path)
        (path / "artefacts" / "new").write_text("new")
        if len(calls) == 1:
            raise Killed

    monkeypatch.setattr(home_module, "MIGRATIONS", {0: migrate})
    with pytest.raises(Killed):
        Home.open(home.path)
    Home.open(home.path)
    assert (home.path / "format").read_text() == "1\n"
    assert not (home.path.with_name("home.format-0.backup") / "artefacts" / "new").exists()


def test_without_a_way_an_older_home_is_refused(home: Home) -> None:
    (home.path / "format").write_text("0\n")
    with pytest.raises(HomeFormat, match="no way from format 0 to 1"):
        Home.open(home.path)


def test_a_second_writer_is_told_who_the_first_is(home: Home) -> None:
    with home.hold("run"), pytest.raises(HomeInUse) as refused, Home(home.path).hold("erase"):
        pass
    hint = f"process {os.getpid()} (run) holds it; wait or stop it"
    assert str(refused.value) == f"home in use: {home.path}: {hint}"
    with home.hold("erase"):
        pass


def test_a_command_waits_while_events_are_sorted(home: Home) -> None:
    held, end = threading.Event(), threading.Event()

    def sort() -> None:
        with Home(home.path).hold(SORTING):
            held.set()
            end.wait(60)

    sorting = threading.Thread(target=sort)
    sorting.start()
    assert held.wait(60)
    with pytest.raises(HomeInUse), home.hold("import"):
        pytest.fail("it does not wait unless it is told to")
    with pytest.raises(HomeInUse, match=r"\(compact\) holds it"), home.hold("import", wait=0.1):
        pytest.fail("it does not wait for ever")
    threading.Timer(0.2, end.set).start()
    with home.hold("import", wait=60):
        assert end.is_set()
        # For anybody else there is no waiting.
        with pytest.raises(HomeInUse, match=r"\(import\) holds it"), home.hold("run", wait=60):
            pytest.fail("an import may take long")
    sorting.join()


def _hold_and_die(path: Path) -> None:
    with Home.open(path).hold("run"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_holder_leaves_no_lock(home: Home) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(home.path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with home.hold("erase"):
        pass


@pytest.mark.parametrize(
    "name", ["inbox.sqlite", "ledger.sqlite", "decisions.sqlite", "outbox.sqlite", "online.sqlite"]
)
def test_a_damaged_database_is_one_line(home: Home, name: str) -> None:
    (home.path / name).write_bytes(b"this is not a database, whatever it is" * 200)
    with pytest.raises(StoreFault, match="not a database") as fault:
        open_stores(home)
    assert str(home.path / name) in str(fault.value)


def test_a_home_from_before_the_online_values_opens(home: Home) -> None:
    with open_stores(home) as stores:
        stores.inbox.append([(bytes(16), "visit", 1, b"{}")])
    (home.path / "online.sqlite").unlink()
    with open_stores(Home.open(home.path)) as stores:
        assert stores.inbox.count() == 1
        assert stores.online.spaces() == []
        assert stores.damage() == []


def test_a_torn_database_is_found(home: Home) -> None:
    with open_stores(home) as stores:
        stores.inbox.append([(bytes(16), "visit", number, b"x" * 500) for number in range(2000)])
    path = home.path / "inbox.sqlite"
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreFault, match="damaged database"):
        open_stores(home)


def test_a_damaged_page_is_found_by_reading_and_by_checking(home: Home) -> None:
    with open_stores(home) as stores:
        stores.inbox.append([(bytes(16), "visit", number, b"x" * 500) for number in range(2000)])
    with open(home.path / "inbox.sqlite", "r+b") as file:
        file.seek(40 * 4096)
        file.write(os.urandom(4096))
    inbox = SqliteInbox(home.path / "inbox.sqlite")
    assert inbox.database.damage() != []
    with pytest.raises(StoreFault, match="damaged database"):
        inbox.read(0, 10_000)
    inbox.close()


def test_a_home_that_went_away_is_one_line(home: Home) -> None:
    with pytest.raises(StoreFault, match="cannot be opened"):
        open_stores(Home(home.path / "elsewhere"))


def test_damage_is_found_in_every_store(home: Home) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with open_stores(home) as stores:
        time = pyarrow.array([at] * 1000, pyarrow.timestamp("us", "UTC"))
        stores.tables.append("visit_v1", pyarrow.table({"time": time, "n": range(1000)}))
        sha = stores.artefacts.put(b"a model")
        with stores.ledger.change("jane", "act", "x", {}, at):
            pass
        assert stores.damage() == []
        (file,) = stores.tables.files("visit_v1", 0)
        Path(file).write_bytes(Path(file).read_bytes()[:-100])
        stores.artefacts.path(sha).write_bytes(b"")
        editor = sqlite3.connect(home.path / "ledger.sqlite")
        editor.execute("update audit set subject = 'y'")
        editor.commit()
        editor.close()
        damage = stores.damage()
    assert len(damage) == 3
    assert file in damage[0]
    assert "audit entry 1" in damage[1]
    assert sha in damage[2]


@pytest.mark.parametrize("name", ["50%20", "a[b]", "a*"])
def test_a_path_that_the_engines_misread_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="a home's path cannot hold"):
        Home.open(tmp_path / name / "home", create=True)
    assert not (tmp_path / name).exists()
