"""A purge or a restore that was killed between any two removals is made good by the next one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from liftwerk.store.tables.kinds.delta import DeltaTables

AT = datetime(2026, 3, 1, tzinfo=UTC)
ERASED = b"erased".ljust(16)


class Killed(BaseException):
    pass


def rows(*numbers: int) -> pyarrow.Table:
    time = [AT + timedelta(days=31 * (number % 2)) for number in numbers]
    leaves = [(b"leaf%d" % number).ljust(16) for number in numbers]
    leaves[0] = ERASED
    return pyarrow.table(
        {
            "offset": pyarrow.array(numbers, pyarrow.int64()),
            "time": pyarrow.array(time, pyarrow.timestamp("us", "UTC")),
            "leaf": pyarrow.array(leaves, pyarrow.binary(16)),
        }
    )


def offsets(tables: DeltaTables, version: int) -> list[int]:
    files = tables.files("visit_v1", version)
    found = [pyarrow.parquet.read_table(file, partitioning=None) for file in files]
    return sorted(offset for table in found for offset in table.column("offset").to_pylist())


def kill_at_every_removal(
    pristine: Path, action: Callable[[DeltaTables], None], patch: pytest.MonkeyPatch
) -> list[DeltaTables]:
    """Return what is left after each possible kill, the last one having run through."""
    real = Path.unlink
    left: list[DeltaTables] = []
    while True:
        folder = pristine.with_name(f"killed-{len(left)}")
        shutil.copytree(pristine, folder)
        allowed = len(left)

        def unlink(path: Path, missing_ok: bool = False) -> None:
            nonlocal allowed
            if allowed == 0:
                raise Killed
            allowed -= 1
            real(path, missing_ok=missing_ok)

        tables = DeltaTables(folder)
        left.append(tables)
        with patch.context() as context:
            context.setattr(Path, "unlink", unlink)
            try:
                action(tables)
            except Killed:
                continue
        return left


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    tables = DeltaTables(tmp_path / "tables")
    tables.append("visit_v1", rows(1, 2, 3))
    tables.append("visit_v1", rows(4, 5))
    return tmp_path / "tables"


def test_a_purge_that_was_killed(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = DeltaTables(pristine).delete_rows("visit_v1", ["leaf"], [ERASED]).version
    assert version is not None
    left = kill_at_every_removal(pristine, lambda tables: tables.purge("visit_v1"), monkeypatch)
    assert len(left) > 4
    for tables in left:
        assert offsets(tables, version) == [2, 3, 5]
        tables.restore({"visit_v1": version})  # what a run does first
        assert offsets(tables, version) == [2, 3, 5]
        tables.purge("visit_v1")
        assert offsets(tables, version) == [2, 3, 5]
        for path in tables.folder.rglob("*.parquet"):
            content = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
            assert not any(ERASED in row.values() for row in content)


def test_a_restore_that_was_killed(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = kill_at_every_removal(
        pristine, lambda tables: tables.restore({"visit_v1": 0}), monkeypatch
    )
    assert len(left) > 2
    for tables in left:
        tables.restore({"visit_v1": 0})
        assert tables.version("visit_v1") == 0
        assert offsets(tables, 0) == [1, 2, 3]
        assert tables.append("visit_v1", rows(4, 5)) == 1
        assert offsets(tables, 1) == [1, 2, 3, 4, 5]


def test_an_erasure_that_was_killed_before_its_snapshot_can_begin_again(pristine: Path) -> None:
    tables = DeltaTables(pristine)
    tables.delete_rows("visit_v1", ["leaf"], [ERASED])
    tables.restore({"visit_v1": 1})
    assert offsets(tables, 1) == [1, 2, 3, 4, 5]
    version = tables.delete_rows("visit_v1", ["leaf"], [ERASED]).version
    assert version is not None
    assert offsets(tables, version) == [2, 3, 5]
