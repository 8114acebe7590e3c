"""The folder in which processes count: held while the server lives, swept when one was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liftwerk.server import measuring
from liftwerk.store.flock import exclusive


def old_folder(place: Path, name: str) -> Path:
    folder = place / f"{measuring.PREFIX}{name}"
    folder.mkdir()
    (folder / "counter_1.db").touch()
    os.utime(folder, (0, 0))
    return folder


def test_what_a_killed_server_left_is_swept_and_a_living_ones_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(measuring.FOLDER_VARIABLE, "")
    monkeypatch.setattr(measuring, "MEMORY", tmp_path)
    dead, alive, other = old_folder(tmp_path, "dead"), old_folder(tmp_path, "alive"), tmp_path / "x"
    other.mkdir()
    with exclusive(alive):
        with measuring.measuring():
            mine = Path(os.environ[measuring.FOLDER_VARIABLE])
            assert mine.parent == tmp_path
            assert mine.is_dir()
            assert not dead.exists()
            assert (alive / "counter_1.db").exists()
            with measuring.measuring():  # another server's start
                assert mine.is_dir()
        assert not mine.exists()
    assert other.is_dir()


def test_a_folder_that_was_tidied_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    monkeypatch.setenv(measuring.FOLDER_VARIABLE, str(folder))
    measuring.join()
    measuring.join()
    assert folder.is_dir()
