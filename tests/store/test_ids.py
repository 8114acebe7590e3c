"""The ids know what a dictionary would, whatever comes in which portions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.store import ids as module
from liftwerk.store.ids import MANIFEST, Ids, keys_of, keys_of_digests

NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 40) | st.integers(2**64 - 40, 2**64 - 1)
PORTIONS = st.lists(st.dictionaries(NUMBERS, st.integers(0, 2**64 - 1), max_size=30), max_size=30)


def array(numbers: object) -> np.ndarray:
    return np.array(list(numbers), np.uint64)  # type: ignore[call-overload]


@given(portions=PORTIONS, asked=st.lists(NUMBERS, max_size=60), chunk=st.integers(1, 50))
def test_equals_a_dictionary(portions: list[dict[int, int]], asked: list[int], chunk: int) -> None:
    told: dict[int, int] = {}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(module, "CHUNK", chunk)
        ids = Ids(Path(folder) / "ids")
        for number, portion in enumerate(portions):
            new = {key: value for key, value in portion.items() if key not in told}
            ids.add(array(new), array(new.values()), str(number))
            told.update(new)
        again = Ids(Path(folder) / "ids")
        wanted = [*asked, *told]
        known, digests = again.find(array(wanted))
        assert known.tolist() == [key in told for key in wanted]
        assert digests.tolist() == [told.get(key, 0) for key in wanted]
        if portions:
            assert again.snapshot == str(len(portions) - 1)
        # Every length class has few runs, and nothing else is left in the folder.
        assert len(list(again.folder.iterdir())) <= 1 + 3 * 10


def test_a_key_has_what_is_random_in_either_half() -> None:
    time = bytes.fromhex("0192f0c10000")
    sevens = [time + b"\x70\x00\x80" + number.to_bytes(7, "big") for number in range(1000)]
    assert len(set(keys_of(sevens).tolist())) == 1000


@pytest.mark.parametrize("harm", ["torn", "gone", "no json", "empty"])
def test_what_is_damaged_is_not_known(harm: str, tmp_path: Path) -> None:
    ids = Ids(tmp_path / "ids")
    ids.add(array([1, 2]), array([3, 4]), "s1")
    [run] = [path for path in ids.folder.iterdir() if path.name != MANIFEST]
    if harm == "torn":
        run.write_bytes(run.read_bytes()[:-1])
    elif harm == "gone":
        run.unlink()
    else:
        (ids.folder / MANIFEST).write_text({"no json": "{", "empty": ""}[harm])
    assert ids.snapshot == ""
    ids.remake([(array([1]), array([5]))], "s2")
    assert ids.snapshot == "s2"
    assert ids.find(array([1, 2]))[0].tolist() == [True, False]


def test_cleared_is_empty_on_the_disk(tmp_path: Path) -> None:
    ids = Ids(tmp_path / "ids")
    secret = b"0123456789abcdef"
    ids.add(keys_of([secret]), keys_of_digests([b"contents"]), "s1")
    assert any(b"contents" in path.read_bytes() for path in ids.folder.iterdir())
    ids.clear()
    assert not any(b"contents" in path.read_bytes() for path in ids.folder.iterdir())
    assert ids.snapshot == ""
