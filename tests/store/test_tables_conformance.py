"""Every kind of tables keeps the promises of `liftwerk.store.tables.Tables`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from liftwerk.errors import StoreFault
from liftwerk.store import flock
from liftwerk.store.tables import TABLES, Tables
from liftwerk.store.urls import open_url

Open = Callable[[], Tables]
MARCH = datetime(2008, 3, 18, 15, tzinfo=UTC)


@pytest.fixture(params=sorted(TABLES))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: open_url("tables", TABLES, f"{request.param}:{tmp_path / 'tables'}")


def leaf(number: int) -> bytes:
    return b"leaf-" + number.to_bytes(11, "big")


def rows(*numbers: int, **extra: object) -> pyarrow.Table:
    columns: dict[str, pyarrow.Array] = {
        "offset": pyarrow.array(numbers, pyarrow.int64()),
        "id": pyarrow.array([n.to_bytes(16, "big") for n in numbers], pyarrow.binary(16)),
        "leaf": pyarrow.array([leaf(n % 10) for n in numbers], pyarrow.binary(16)),
        "time": pyarrow.array(
            [MARCH + timedelta(days=31 * (n % 3)) for n in numbers], pyarrow.timestamp("us", "UTC")
        ),
        "granted": pyarrow.array([["ads"] for _ in numbers], pyarrow.list_(pyarrow.string())),
        "bucket": pyarrow.array([n % 7 for n in numbers], pyarrow.int16()),
    }
    for name, value in extra.items():
        columns[name] = pyarrow.array([value for _ in numbers])
    return pyarrow.table(columns)


def offsets(tables: Tables, name: str, version: int) -> list[int]:
    found: list[int] = []
    for file in tables.files(name, version):
        found += pyarrow.parquet.read_table(file, partitioning=None).column("offset").to_pylist()
    return sorted(found)


def test_versions_grow_and_each_stays_readable(reopen: Open) -> None:
    tables = reopen()
    assert tables.version("visit_v1") is None
    assert tables.append("visit_v1", rows(1, 2, 3)) == 0
    assert tables.append("visit_v1", rows(4)) == 1
    tables.close()
    again = reopen()
    assert again.names() == ["visit_v1"]
    assert again.version("visit_v1") == 1
    assert offsets(again, "visit_v1", 0) == [1, 2, 3]
    assert offsets(again, "visit_v1", 1) == [1, 2, 3, 4]
    again.close()


def test_rows_lie_in_their_month_and_keep_their_order(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(9, 6, 3, 1))
    files = {Path(file).parent.name: file for file in tables.files("visit_v1", 0)}
    assert sorted(files) == ["month=2008-03", "month=2008-04"]
    march = pyarrow.parquet.read_table(files["month=2008-03"], partitioning=None)
    assert march.column("offset").to_pylist() == [9, 6, 3]
    assert "month" not in march.column_names
    assert "month" in tables.schema("visit_v1", 0).names


def test_a_later_column_is_added(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    version = tables.append("visit_v1", rows(2, page="home"))
    assert "page" in tables.schema("visit_v1", version).names
    assert offsets(tables, "visit_v1", version) == [1, 2]
    # and a writer that doesn't know it still writes
    assert offsets(tables, "visit_v1", tables.append("visit_v1", rows(3))) == [1, 2, 3]


def test_restore_drops_what_no_snapshot_names(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1, 2))
    tables.append("visit_v1", rows(3))
    kept = set(tmp_path.rglob("*.parquet"))
    tables.append("visit_v1", rows(4))
    tables.append("order_v1", rows(5))
    tables.restore({"visit_v1": 1})
    assert tables.names() == ["visit_v1"]
    assert tables.version("visit_v1") == 1
    assert offsets(tables, "visit_v1", 1) == [1, 2, 3]
    assert set(tmp_path.rglob("*.parquet")) == kept
    # the same rows again: there once, under the same version
    assert tables.append("visit_v1", rows(4)) == 2
    assert offsets(tables, "visit_v1", 2) == [1, 2, 3, 4]


def test_restore_survives_torn_entries_behind_the_snapshot(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    tables.append("visit_v1", rows(2))
    log = tmp_path / "tables" / "visit_v1" / "_delta_log"
    entry = log / f"{1:020}.json"
    entry.write_bytes(entry.read_bytes()[:100])
    (log / "_commit_left.json.tmp").write_text("{")
    (log / f"{1:020}.checkpoint.parquet").write_bytes(b"PAR1torn")
    (log / "_last_checkpoint").write_text('{"version":1')
    tables.restore({"visit_v1": 0})
    assert tables.version("visit_v1") == 0
    assert offsets(tables, "visit_v1", 0) == [1]
    assert tables.append("visit_v1", rows(2)) == 1


def test_restore_says_when_a_version_is_gone(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    with pytest.raises(StoreFault, match="version 4 is gone"):
        tables.restore({"visit_v1": 4})
    with pytest.raises(StoreFault, match="version 0 is gone"):
        tables.restore({"order_v1": 0})


def decoded(folder: Path) -> list[dict[str, object]]:
    """Read every Parquet file on the disk, whether a version names it or not."""
    found: list[dict[str, object]] = []
    for path in folder.rglob("*.parquet"):
        found += pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
    return found


def test_files_that_hold_a_key_are_found(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1, 11, 21))
    version = tables.append("visit_v1", rows(2, 12, 3))
    every = tables.files("visit_v1", version)
    found = tables.files_holding("visit_v1", version, ["leaf", "no_such_column"], [leaf(2)])
    assert set(found) < set(every)
    held = [pyarrow.parquet.read_table(file, partitioning=None) for file in found]
    assert {key for one in held for key in one.column("leaf").to_pylist()} >= {leaf(2)}
    assert sum(one.column("leaf").to_pylist().count(leaf(2)) for one in held) == 2
    assert tables.files_holding("visit_v1", version, ["leaf"], [leaf(9)]) == []


def test_deleted_rows_are_gone_from_every_byte_after_a_purge(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(*range(1, 41)))
    tables.append("visit_v1", rows(*range(41, 61), page="home"))
    version = tables.delete_rows("visit_v1", ["leaf"], [leaf(3), leaf(4)]).version
    assert version is not None
    kept = [number for number in range(1, 61) if number % 10 not in (3, 4)]
    assert offsets(tables, "visit_v1", version) == kept
    # until the snapshot has moved on, the version before is whole
    assert offsets(tables, "visit_v1", 1) == list(range(1, 61))

    tables.purge("visit_v1")
    assert tables.version("visit_v1") == version
    assert offsets(tables, "visit_v1", version) == kept
    everything = decoded(tmp_path)
    assert len([row for row in everything if "offset" in row]) == len(kept)
    assert not any(leaf(3) in row.values() or leaf(4) in row.values() for row in everything)
    for path in tmp_path.rglob("_delta_log/*"):
        content = path.read_bytes()
        for number in (3, 4):
            assert leaf(number) not in content
            assert leaf(number).hex().encode() not in content.lower()
        assert b"leaf-" not in content
    # and life goes on
    assert offsets(tables, "visit_v1", tables.append("visit_v1", rows(71))) == [*kept, 71]
    tables.restore({"visit_v1": version})
    assert offsets(tables, "visit_v1", version) == kept


def test_others_may_take_the_place_of_deleted_rows(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(*range(1, 21)))

    def emptied(gone: pyarrow.Table) -> pyarrow.Table:
        assert {*gone.column("leaf").to_pylist()} <= {leaf(3), leaf(4)}
        first = gone.filter(pyarrow.compute.less(gone.column("offset"), 10))
        place = first.column_names.index("leaf")
        nobody = pyarrow.nulls(first.num_rows, first.schema.field(place).type)
        return first.set_column(place, first.schema.field(place), nobody)

    done = tables.delete_rows("visit_v1", ["leaf"], [leaf(3), leaf(4)], emptied)
    assert (done.version, done.rows) == (tables.version("visit_v1"), {"leaf": 4})
    assert done.version is not None
    assert offsets(tables, "visit_v1", done.version) == [
        number for number in range(1, 21) if number not in (13, 14)
    ]
    tables.purge("visit_v1")
    assert not any(leaf(3) in row.values() or leaf(4) in row.values() for row in decoded(tmp_path))
    assert tables.delete_rows("visit_v1", ["leaf"], [leaf(3)], emptied).version is None


def test_identifiers_never_stand_in_the_log(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("order_v1", rows(1, 2, order_id="order-4711"))
    version = tables.append("order_v1", rows(3, order_id="order-4712"))
    entries = sorted(tmp_path.rglob("_delta_log/*"))
    assert len(entries) == 2
    for entry in entries:
        assert b"order-47" not in entry.read_bytes()
    # when they happened may stand there, until the rows are purged
    assert b"2008-04-18" in entries[0].read_bytes()
    tables.delete_rows("order_v1", ["leaf"], [leaf(1)])
    tables.purge("order_v1")
    left = sorted(path.name for path in tmp_path.rglob("_delta_log/*"))
    number = f"{version + 1:020}"
    assert left == [f"{number}.checkpoint.parquet", f"{number}.json", "_last_checkpoint"]


def test_a_checkpoint_torn_by_a_power_cut_is_done_without(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    tables.append("visit_v1", rows(2))
    log = tmp_path / "tables" / "visit_v1" / "_delta_log"
    (log / f"{1:020}.checkpoint.parquet").write_bytes(b"PAR1torn")
    tables.restore({"visit_v1": 1})
    assert offsets(tables, "visit_v1", 1) == [1, 2]


def test_a_month_and_a_table_can_become_empty(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(3))
    version = tables.delete_rows("visit_v1", ["leaf"], [leaf(3)]).version
    assert version is not None
    tables.purge("visit_v1")
    assert offsets(tables, "visit_v1", version) == []
    assert offsets(tables, "visit_v1", tables.append("visit_v1", rows(5))) == [5]


def test_deleting_what_is_not_there_makes_no_version(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    assert tables.delete_rows("visit_v1", ["leaf"], [leaf(9)]).version is None
    assert tables.delete_rows("visit_v1", ["no_such_column"], [leaf(1)]).version is None
    assert tables.delete_rows("order_v1", ["leaf"], [leaf(1)]).version is None
    assert tables.version("visit_v1") == 0


def test_rows_without_the_value_at_all_stay(reopen: Open) -> None:
    tables = reopen()
    unknown = rows(1, 4).set_column(2, "leaf", pyarrow.array([None, leaf(4)], pyarrow.binary(16)))
    tables.append("visit_v1", unknown)
    version = tables.delete_rows("visit_v1", ["leaf"], [leaf(4)]).version
    assert version is not None
    assert offsets(tables, "visit_v1", version) == [1]


def test_a_purge_twice_is_a_purge_once(reopen: Open) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    tables.purge("visit_v1")
    tables.purge("visit_v1")
    tables.purge("order_v1")
    assert offsets(tables, "visit_v1", 0) == [1]


def test_a_purge_waits_for_readers(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    version = tables.append("visit_v1", rows(2))
    tables.delete_rows("visit_v1", ["leaf"], [leaf(2)])
    purged = threading.Event()

    def purge() -> None:
        tables.purge("visit_v1")
        purged.set()

    with tables.reading():
        thread = threading.Thread(target=purge)
        thread.start()
        assert not purged.wait(0.2)
        assert offsets(tables, "visit_v1", version) == [1, 2]
    thread.join()
    assert purged.is_set()

    monkeypatch.setattr(flock, "PATIENCE_SECONDS", 0.05)
    with tables.reading(), pytest.raises(StoreFault, match="being read"):
        tables.purge("visit_v1")


def test_a_name_that_could_leave_the_folder_is_refused(reopen: Open) -> None:
    tables = reopen()
    for name in ("../x", "A", "", "a/b", "_x"):
        with pytest.raises(ValueError, match="not a table name"):
            tables.version(name)


def test_a_damaged_table_is_one_line(reopen: Open, tmp_path: Path) -> None:
    tables = reopen()
    tables.append("visit_v1", rows(1))
    entry = next((tmp_path / "tables").rglob("*.json"))
    entry.write_text("{not json")
    with pytest.raises(StoreFault) as fault:
        tables.files("visit_v1", 0)
    assert "\n" not in str(fault.value)


def test_a_row_without_time_is_refused_whole(reopen: Open) -> None:
    tables = reopen()
    timeless = rows(1, 2).set_column(
        3, "time", pyarrow.array([MARCH, None], pyarrow.timestamp("us", "UTC"))
    )
    with pytest.raises(ValueError, match="needs a time"):
        tables.append("visit_v1", timeless)
    assert tables.names() == []


@pytest.mark.parametrize("folder", ["a folder", "über", "a#b", "it's"])
@pytest.mark.parametrize("kind", sorted(TABLES))
def test_the_home_may_have_any_name(kind: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    tables = open_url("tables", TABLES, f"{kind}:{tmp_path / folder / 'tables'}")
    tables.append("visit_v1", rows(1, 2, 3, 4))
    version = tables.delete_rows("visit_v1", ["leaf"], [leaf(4)]).version
    assert version is not None
    tables.purge("visit_v1")
    assert offsets(tables, "visit_v1", version) == [1, 2, 3]
    assert tables.damage() == []
    tables.close()
