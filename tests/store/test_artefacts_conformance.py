"""Every kind of artefacts keeps the promises of `liftwerk.store.artefacts.Artefacts`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from liftwerk.errors import StoreFault, UnknownName
from liftwerk.store.artefacts import ARTEFACTS, Artefacts
from liftwerk.store.urls import open_url

Open = Callable[[], Artefacts]


@pytest.fixture(params=sorted(ARTEFACTS))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: open_url("artefacts", ARTEFACTS, f"{request.param}:{tmp_path / 'artefacts'}")


def test_bytes_are_found_by_their_hash(reopen: Open) -> None:
    artefacts = reopen()
    sha = artefacts.put(b"a model")
    assert sha == hashlib.sha256(b"a model").hexdigest()
    again = reopen()
    assert again.get(sha) == b"a model"
    assert again.exists(sha)
    assert again.path(sha).read_bytes() == b"a model"
    assert again.names() == [sha]


def test_putting_twice_is_putting_once(reopen: Open) -> None:
    artefacts = reopen()
    assert artefacts.put(b"x") == artefacts.put(b"x")
    assert len(artefacts.names()) == 1


def test_what_is_not_there_is_said_in_one_line(reopen: Open) -> None:
    artefacts = reopen()
    assert not artefacts.exists("0" * 64)
    with pytest.raises(UnknownName, match="no such artefact"):
        artefacts.get("0" * 64)
    assert not artefacts.delete("0" * 64)


def test_damage_is_found_and_repaired_by_putting_again(reopen: Open) -> None:
    artefacts = reopen()
    sha = artefacts.put(b"a model")
    artefacts.path(sha).write_bytes(b"a m0del")
    with pytest.raises(StoreFault, match="damaged artefact"):
        artefacts.get(sha)
    assert artefacts.put(b"a model") == sha
    assert artefacts.get(sha) == b"a model"


def test_deleted_is_gone(reopen: Open) -> None:
    artefacts = reopen()
    sha = artefacts.put(b"x")
    assert artefacts.delete(sha)
    assert not artefacts.exists(sha)
    assert artefacts.names() == []


def test_the_part_left_by_a_killed_process_is_swept(reopen: Open, tmp_path: Path) -> None:
    reopen()
    left = tmp_path / "artefacts" / "incoming-4194999-0badcafe"  # above the largest pid
    left.write_bytes(b"half")
    assert reopen().names() == []
    assert not left.exists()
