"""Training sets: rows from anywhere, and what they were made of, to the last byte."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import InputError, ProjectError, Refused, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.retain import retain
from liftwerk.features.digest import table_hash
from liftwerk.features.spine import read_rows, spine_of
from liftwerk.features.training import load_training_set, rebuild, take_training_set
from liftwerk.project.training import arrow_of
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import granted, order, put
from tests.identity.histories import erase_one

NOW = datetime(2026, 3, 20, tzinfo=UTC)
FEATURES: dict[str, Any] = {
    "spend": {
        "entity": "customer",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
    },
    "orders": {"entity": "customer", "from": "order_completed", "aggregate": "count"},
}
SPINE = """\
email,time,bought,note
Ada@x.org,2026-03-02T00:00:00Z,1,first
bob@x.org,2026-03-02T01:30:00+01:00,0,
ada@x.org,2026-02-01 12:00:00,0,"early, once"
"""


SHOP = shops.shop(features=FEATURES)


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        bought(stores, 1, "ada@x.org", "5.00", 1)
        bought(stores, 2, "bob@x.org", "7.00", 1)
        yield stores


def bought(stores: Stores, number: int, email: str, revenue: str, day: int) -> None:
    fields: dict[str, Any] = {
        "identifiers": {"email": email},
        "time": datetime(2026, 3, day, 12, tzinfo=UTC),
        "consent": granted("personalisation"),
    }
    body = order(number, f"o{number}", revenue, **fields)
    assert put(SHOP, stores, body, at=datetime(2026, 3, day, 12, tzinfo=UTC)) == []
    compact(SHOP, stores, FixedClock(NOW))


def spine_file(folder: Path, text: str = SPINE) -> Path:
    file = folder / "spine.csv"
    file.write_text(text)
    return file


def take(stores: Stores, rows: pa.Table, **how: Any) -> Any:
    return take_training_set(SHOP, stores, rows, ["spend", "orders"], "personalisation", **how)


def test_a_file_becomes_a_training_set_with_its_labels(stores: Stores, tmp_path: Path) -> None:
    made = take(stores, read_rows(spine_file(tmp_path)))
    assert made.table.to_pydict() == {
        "email": ["Ada@x.org", "bob@x.org", "ada@x.org"],
        "time": [
            "2026-03-02T00:00:00Z",
            "2026-03-02T01:30:00+01:00",
            "2026-02-01 12:00:00",
        ],
        "bought": [1, 0, 0],
        "note": ["first", None, "early, once"],
        "spend": [5.0, 7.0, 0.0],
        "orders": [1.0, 1.0, 0.0],
    }
    snapshot = stores.ledger.latest_snapshot()
    assert snapshot is not None
    assert (made.origin.snapshot, made.origin.offset) == (snapshot.id, 2)
    assert (made.without_zone, made.erased, made.waiting, made.expired) == (1, 0, 0, {})


@pytest.mark.parametrize("kind", ["csv.gz", "ndjson", "parquet"])
def test_every_kind_of_file_says_the_same(stores: Stores, tmp_path: Path, kind: str) -> None:
    rows = read_rows(spine_file(tmp_path))
    file = tmp_path / f"other.{kind}"
    if kind == "csv.gz":
        file.write_bytes(gzip.compress(SPINE.encode()))
    elif kind == "ndjson":
        plain = [{**row, "bought": str(row["bought"])} for row in rows.to_pylist()]
        file.write_bytes(b"\n".join(map(msgspec.json.encode, plain)))
    else:
        pq.write_table(rows, file)
    assert take(stores, read_rows(file)).sha256 == take(stores, rows).sha256


@pytest.mark.parametrize("kind", ["pandas", "duckdb", "arrow"])
def test_every_frame_says_the_same(stores: Stores, tmp_path: Path, kind: str) -> None:
    rows = read_rows(spine_file(tmp_path))
    frames = {
        "pandas": lambda: rows.to_pandas(),
        "duckdb": lambda: duckdb.from_arrow(rows),
        "arrow": lambda: rows,
    }
    made = take(stores, arrow_of(frames[kind]()))
    assert made.table.column("spend").to_pylist() == [5.0, 7.0, 0.0]
    assert made.sha256 == take(stores, rows).sha256


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(InputError, match="dict is no data frame"):
        arrow_of({"customer": []})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("email,at\na@x.org,2026-01-01", "no column 'time'"),
        ("who,time\na@x.org,2026-01-01", "no column says which customer a row is about"),
        (
            "email,time\na@x.org,2026-01-01\nb@x.org,soon\nc@x.org,",
            "'soon' is no time (and 1 more rows): spine.csv, row 2",
        ),
        ("email,time\na@x.org,\nb@x.org,2026-01-01", "it has no time: spine.csv, row 1"),
        ("email,time\n,2026-01-01\nb@x.org,2026-01-01", "it names nobody: spine.csv, row 1"),
        (
            "email,time\na@x.org,2026-01-01\nnobody,2026-01-01",
            "email: an identifier is not an e-mail address: spine.csv, row 2",
        ),
        ("email;time\na@x.org;2026-01-01", "set delimiter = ';'"),
    ],
)
def test_rows_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    spine_file(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        spine_of(SHOP, read_rows(Path("spine.csv")), "spine.csv")
    assert message in str(refused.value)


def test_a_column_is_not_called_like_a_feature(stores: Stores, tmp_path: Path) -> None:
    rows = read_rows(spine_file(tmp_path, "email,time,spend\na@x.org,2026-01-01,3\n"))
    with pytest.raises(InputError, match="a column is called like the feature 'spend'"):
        take(stores, rows)


def test_times_without_a_zone_are_in_the_projects(tmp_path: Path) -> None:
    text = "email,time\n" + "".join(
        f"a@x.org,{time}\n"
        for time in (
            "2026-01-05",
            "2026-07-05 08:00",
            "2026-10-25 02:30",  # twice: the later one
            "2026-03-29T02:30:00",  # never: the clock goes on
            "2026-07-05T08:00:00.5Z",
            "2026-07-05 08:00+0200",
        )
    )
    spine = spine_of(SHOP, read_rows(spine_file(tmp_path, text)), "rows")
    found = [time.isoformat()[:21] for time in spine.asked.column("time").to_pylist()]
    assert found == [
        "2026-01-04T23:00:00+0",
        "2026-07-05T06:00:00+0",
        "2026-10-25T01:30:00+0",
        "2026-03-29T01:30:00+0",
        "2026-07-05T08:00:00.5",
        "2026-07-05T06:00:00+0",
    ]
    assert spine.without_zone == 4


def test_who_is_told_by_a_column_by_a_prefix_or_by_the_surest() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    times = pa.array([day] * 3, pa.timestamp("us", "UTC"))
    ada, device = leaf_key("email", "ada@x.org"), leaf_key("device", "d1")
    said = pa.table({"customer": ["Ada@x.org", "device:d1", "email:ada@x.org"], "time": times})
    keys = spine_of(SHOP, said, "rows").asked.column("customer").to_pylist()
    assert keys == [ada, device, ada]
    several = {"device": ["d1", "d1", "d9"], "email": ["ada@x.org", None, "ada@x.org"]}
    spine = spine_of(SHOP, pa.table({**several, "time": times}), "rows")
    assert spine.asked.column("customer").to_pylist() == [ada, device, ada]
    assert spine.people == {"customer": ("email", "device")}
    again = pa.table({"customer": pa.array([ada, device, None], pa.binary()), "time": times})
    with pytest.raises(InputError, match=r"it names nobody: rows, row 3"):
        spine_of(SHOP, again, "rows")


def test_a_column_keeps_what_it_says(tmp_path: Path) -> None:
    text = "zip,whole,share,yes,word\n01067,-12,0.50,true,a\n99,0,1e3,false,\n"
    assert read_rows(spine_file(tmp_path, text)).to_pydict() == {
        "zip": ["01067", "99"],
        "whole": [-12, 0],
        "share": [0.5, 1000.0],
        "yes": [True, False],
        "word": ["a", None],
    }


def test_an_old_snapshot_makes_the_old_set(stores: Stores, tmp_path: Path) -> None:
    rows = read_rows(spine_file(tmp_path))
    before = take(stores, rows)
    before.save(tmp_path / "before.parquet")
    bought(stores, 3, "ada@x.org", "11.00", 1)  # late: it happened before the rows' times
    now = take(stores, rows)
    # It was known from the second on at which it happened, and came in later.
    assert now.table.column("spend").to_pylist() == [16.0, 7.0, 0.0]
    again = take(stores, rows, snapshot=before.origin.snapshot)
    assert again.sha256 == before.sha256 != now.sha256
    assert again.waiting == 1
    again.save(tmp_path / "again.parquet")
    bytes_of = [(tmp_path / f"{name}.parquet").read_bytes() for name in ("before", "again")]
    assert bytes_of[0] == bytes_of[1]
    with pytest.raises(UnknownName, match="no snapshot 'abc'"):
        take(stores, rows, snapshot="abc")


def test_a_saved_set_is_made_again_and_compared(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    take(stores, read_rows(spine_file(tmp_path))).save(file)
    bought(stores, 3, "ada@x.org", "11.00", 1)
    done = rebuild(SHOP, stores, load_training_set(file), "set")
    assert (done.same, done.differing, done.versions, done.erasures) == (True, 0, {}, 0)
    brief = {**FEATURES["spend"], "window": "30d"}
    changed = shops.shop(features={**FEATURES, "spend": brief})
    done = rebuild(changed, stores, load_training_set(file), "set")
    assert list(done.versions) == ["spend"]
    assert done.same  # nothing is older than 30 days here, and yet it is said
    other = shops.shop(features=FEATURES, identity={"at_most": 3})
    assert rebuild(other, stores, load_training_set(file), "set").settings_changed


def test_the_erased_are_left_out_and_counted(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    take(stores, read_rows(spine_file(tmp_path))).save(file)
    erase_one(SHOP, stores, "email:ada@x.org")
    done = rebuild(SHOP, stores, load_training_set(file), "set")
    assert (done.same, done.again.erased, done.erasures) == (True, 2, 1)
    assert done.again.table.column("spend").to_pylist() == [0.0, 7.0, 0.0]
    assert done.again.sha256 != load_training_set(file).sha256
    erase_one(SHOP, stores, "email:bob@x.org")
    done = rebuild(SHOP, stores, load_training_set(file), "set")
    assert (done.same, done.again.erased, done.differing) == (True, 3, 0)  # nobody is left


def test_what_is_kept_no_longer_is_counted(stores: Stores, tmp_path: Path) -> None:
    made = take(stores, read_rows(spine_file(tmp_path)))
    declared = shops.SHOP["events"]["order_completed"]
    brief = shops.shop(
        features=FEATURES,
        events={**shops.SHOP["events"], "order_completed": {**declared, "retention": "1 month"}},
    )
    retain(brief, stores, FixedClock(datetime(2026, 6, 1, tzinfo=UTC)))
    done = rebuild(brief, stores, made, "set")
    assert (done.same, done.differing) == (False, 2)
    assert done.again.expired == {"order_completed": 2}


def test_a_file_that_was_touched_is_not_compared(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    take(stores, read_rows(spine_file(tmp_path))).save(file)
    table = pq.read_table(file)
    spend = table.column_names.index("spend")
    pq.write_table(table.set_column(spend, "spend", pa.array([9.0, 7.0, 0.0])), file)
    with pytest.raises(InputError, match="the rows were changed since they were saved"):
        load_training_set(file)
    pq.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(InputError, match="a Parquet file, and no training set"):
        load_training_set(file)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        load_training_set(file)


def test_where_it_cannot_be_written_is_said_before(stores: Stores, tmp_path: Path) -> None:
    made = take(stores, read_rows(spine_file(tmp_path)))
    with pytest.raises(ProjectError, match=r"name it set\.parquet"):
        made.save(tmp_path / "set.csv")
    with pytest.raises(ProjectError, match="no such folder"):
        made.save(tmp_path / "nowhere" / "set.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "spine.csv"]


def test_without_a_snapshot_there_is_no_set(tmp_path: Path) -> None:
    rows = read_rows(spine_file(tmp_path))
    with (
        open_stores(Home.open(tmp_path / "empty", create=True)) as stores,
        pytest.raises(Refused, match="no event was sorted into tables yet"),
    ):
        take(stores, rows)


def test_a_hash_does_not_see_order_parts_or_what_stands_under_null() -> None:
    values = pa.array([1.5, None, 2.5, None])
    hidden = pa.Array.from_buffers(
        pa.float64(),
        4,
        [values.buffers()[0], pa.array([1.5, 7.0, 2.5, 8.0]).buffers()[1]],
    )
    one = pa.table({"a": values, "b": ["x", None, "z", "w"]})
    assert table_hash(one) == table_hash(one.take([3, 1, 0, 2]))
    assert table_hash(one) == table_hash(pa.concat_tables([one.slice(0, 1), one.slice(1)]))
    assert table_hash(one) == table_hash(one.set_column(0, "a", hidden))
    coded = one.set_column(1, "b", one.column("b").dictionary_encode())
    assert table_hash(one) == table_hash(coded)
    assert table_hash(one) != table_hash(one.rename_columns(["a", "c"]))
