from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_declared import import_declared
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.definitions import Project
from liftwerk.errors import InputError, ProjectError, TooManyBadRows
from liftwerk.events.collections import register_collections
from liftwerk.events.entities.convert import convert
from liftwerk.events.entities.read import read, timeline
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.query import query
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores
from tests.events.entities.things import things
from tests.events.shop import NOW, order, put

DAY = timedelta(days=1)
at = datetime.fromisoformat

IMPORTS: dict[str, Any] = {
    "prices": {
        "source": "file",
        "file": "prices.csv",
        "entity": "product",
        "properties": {"sku": "article", "price": "net"},
        "valid_from": {"column": "since"},
        "known_at": {"column": "entered"},
    },
    "catalogue": {"source": "file", "file": "catalogue.csv", "entity": "product"},
    "rates": {
        "source": "file",
        "file": "rates.csv",
        "entity": "exchange_rate",
        "valid_from": {"column": "day"},
        "known_at": "1d",
    },
    "club": {"source": "file", "file": "club.csv", "entity": "club_member"},
}

PRICES = """article,net,since,entered
cup,9.00,2026-01-01,2026-01-01T08:00:00Z
cup,10.00,2026-02-01,2026-01-20T08:00:00Z
cup,9.50,2026-02-01,2026-02-10T08:00:00Z
pot,20,2026-01-15,2026-01-15T08:00:00Z
"""


def project(folder: Path, **changes: Any) -> Project:
    changes.setdefault("import", {"max_bad": "50%"})
    return things(folder, imports=IMPORTS, **changes)


def take(
    folder: Path, stores: Stores, clock: FixedClock, name: str, text: str, **options: Any
) -> Imported:
    made = project(folder)
    (folder / IMPORTS[name]["file"]).write_text(text, encoding="utf-8")
    return import_declared(ImportJob(made, stores, name, clock, **options))


def prices(folder: Path, stores: Stores, moment: str, known: str | None = None) -> dict[str, int]:
    as_of = AsOf()
    if known is not None:
        as_of = AsOf(time=at(known))
    table = read(project(folder), stores, "product", "accounting", at(moment), as_of)
    return {row["sku"]: row["price"] for row in table.to_pylist()}


def test_a_correction_counts_from_when_it_was_known(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    done = take(tmp_path, stores, clock, "prices", PRICES)
    assert (done.rows, done.events, done.quarantined) == (4, {"product": 4}, 0)
    assert prices(tmp_path, stores, "2026-02-15T00:00:00Z") == {"cup": 950, "pot": 2000}
    before = "2026-02-09T00:00:00Z"
    assert prices(tmp_path, stores, "2026-02-15T00:00:00Z", before) == {"cup": 1000, "pot": 2000}
    # Nobody knew in December; and in January the new price did not hold yet.
    assert prices(tmp_path, stores, "2026-02-15T00:00:00Z", "2025-12-31T00:00:00Z") == {}
    assert prices(tmp_path, stores, "2026-01-31T00:00:00Z") == {"cup": 900, "pot": 2000}
    [first, *_] = timeline(project(tmp_path), stores, "product", "accounting").to_pylist()
    # Dates without a zone are in the project's, which is Berlin.
    assert first["valid_from"] == at("2025-12-31T23:00:00+00:00")
    assert first["valid_to"] == at("2026-01-31T23:00:00+00:00")
    assert (first["price_currency"], first["stock"]) == ("EUR", None)


def test_importing_twice_changes_nothing(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    for name, text in (
        ("prices", PRICES),
        ("catalogue", "sku,price,stock\ncup,9.00,3\npot,20.00,0\n"),
        ("rates", "currency,rate,day\nUSD,0.92,2026-02-01\nUSD,0.93,2026-02-28\n"),
        ("club", "email,level\nada@example.com,gold\n"),
    ):
        first = take(tmp_path, stores, clock, name, text)
        snapshot = stores.ledger.latest_snapshot()
        entries = len(stores.ledger.audit())
        clock.advance(DAY)
        again = take(tmp_path, stores, clock, name, text)
        assert (again.events, again.duplicates) == ({}, sum(first.events.values())), name
        assert stores.ledger.latest_snapshot() == snapshot
        assert len(stores.ledger.audit()) == entries


def test_a_nightly_dump_keeps_what_changed(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    take(tmp_path, stores, clock, "catalogue", "sku,price,stock\ncup,9.00,3\npot,20.00,1\n")
    clock.advance(DAY)
    done = take(tmp_path, stores, clock, "catalogue", "sku,price,stock\ncup,9,3\npot,21.00,1\n")
    assert (done.events, done.duplicates) == ({"product": 1}, 1)
    assert prices(tmp_path, stores, NOW.isoformat()) == {"cup": 900, "pot": 2000}
    assert prices(tmp_path, stores, (NOW + DAY).isoformat()) == {"cup": 900, "pot": 2100}


def test_what_differs_from_what_is_kept_was_learnt_now(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    take(tmp_path, stores, clock, "rates", "currency,rate,day\nUSD,0.92,2026-02-01\n")
    clock.advance(DAY)
    done = take(tmp_path, stores, clock, "rates", "currency,rate,day\nUSD,0.95,2026-02-01\n")
    assert done.events == {"exchange_rate": 1}
    made = project(tmp_path)
    for known, rate in ((NOW, 0.92), (NOW + DAY, 0.95)):
        table = read(made, stores, "exchange_rate", "ads", NOW, AsOf(time=known))
        assert table.column("rate").to_pylist() == [rate]


def test_bad_rows_are_named(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    text = PRICES + (
        "cup,8.00,2026-02-01,2026-02-10T08:00:00Z\n"
        "pan,-1,2026-01-01,2026-01-01T08:00:00Z\n"
        "pan,1,,2026-01-01T08:00:00Z\n"
        "pan,1,2026-01-01,2027-01-01T08:00:00Z\n"
    )
    dry = take(tmp_path, stores, clock, "prices", text, dry_run=True)
    assert stores.ledger.latest_snapshot() is None
    assert stores.inbox.quarantine_count() == {}
    done = take(tmp_path, stores, clock, "prices", text)
    assert dry == done
    assert done.events == {"product": 4}
    assert done.examples == {
        "product: the same key, valid_from and known_at as row 3, with other content": "row 5",
        'product.price: expected an amount in EUR such as "29.99", at least 0': "row 6, column net",
        "product.valid_from is missing": "row 7, column since",
        "product: known_at lies ahead: nobody knows it yet": "row 8",
    }
    assert sum(stores.inbox.quarantine_count().values()) == 4


FILES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "the file is empty: prices.csv: export it again"),
    ("no rows", PRICES.partition("\n")[0].encode(), "no rows under the header: prices.csv"),
    ("encoding", PRICES.encode("utf-16"), "not UTF-8 text: prices.csv:1"),
    ("column", PRICES.replace("since", "start").encode(), "no column 'since': prices.csv"),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00", "the gzip file is truncated: prices.csv"),
]


@pytest.mark.parametrize(("data", "said"), [case[1:] for case in FILES], ids=[c[0] for c in FILES])
def test_a_file_that_is_not_whole_is_one_clear_line(
    tmp_path: Path, stores: Stores, clock: FixedClock, data: bytes, said: str
) -> None:
    (tmp_path / "prices.csv").write_bytes(data)
    with pytest.raises(InputError) as raised:
        import_declared(ImportJob(project(tmp_path), stores, "prices", clock))
    assert str(raised.value).startswith(said)
    assert stores.ledger.latest_snapshot() is None


def test_a_torn_parquet_file_and_too_many_bad_rows(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    file = tmp_path / "prices.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"sku": ["cup"], "price": ["9"]}), file)
    file.write_bytes(file.read_bytes()[:-9])
    imports = {"catalogue": {**IMPORTS["catalogue"], "file": "prices.parquet"}}
    with pytest.raises(InputError, match="not a whole Parquet file"):
        import_declared(ImportJob(things(tmp_path, imports=imports), stores, "catalogue", clock))
    with pytest.raises(TooManyBadRows, match="2 of 3 rows are bad"):
        take(tmp_path, stores, clock, "catalogue", "sku,price\ncup,x\npot,y\npan,1\n")
    assert stores.ledger.latest_snapshot() is None


def test_a_property_keeps_its_type(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    text = "sku,price,stock\ncup,9.00,3\n"
    take(tmp_path, stores, clock, "catalogue", text)
    made = project(tmp_path)
    entities = {"product": {"key": ["sku"], "description": "Sold", "properties": {
        "sku": {"type": "string"}, "price": {"type": "money"}, "stock": {"type": "string"},
    }}}  # fmt: skip
    changed = things(tmp_path, imports={"catalogue": IMPORTS["catalogue"]}, entities=entities)
    with pytest.raises(ProjectError, match="stock is kept as bigint and declared as varchar"):
        import_declared(ImportJob(changed, stores, "catalogue", clock))
    assert read(made, stores, "product", "ads", NOW).column("stock").to_pylist() == [3]


def test_money_is_converted_exactly(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    text = "currency,rate,day\nUSD,0.925,2026-02-01\nUSD,0.935,2026-02-10\nJPY,0.0061,2026-02-01\n"
    take(tmp_path, stores, clock, "rates", text)
    moments = ["2026-02-05T00:00:00Z", "2026-02-15T00:00:00Z"]
    rows = pyarrow.table(
        {
            "paid": pyarrow.array([1001, 1001, -1000, 100, 500, 7], pyarrow.int64()),
            "in": ["USD", "USD", "USD", "JPY", "EUR", "XAU"],
            "time": pyarrow.array(
                [at(moments[n]) for n in (0, 1, 0, 0, 0, 0)], pyarrow.timestamp("us", "UTC")
            ),
        }
    )
    found = convert(project(tmp_path), stores, rows, "accounting", "paid", "in")
    # 10.01 USD at 0.925 is 9.25925; 100 yen at 0.0061 are 61 cents; for XAU there is no rate.
    assert found.column("paid_converted").to_pylist() == [926, 936, -925, 61, 500, None]


def test_sql_sees_timelines_for_a_purpose_that_may(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    take(tmp_path, stores, clock, "prices", PRICES)
    take(tmp_path, stores, clock, "club", "email,level\nada@example.com,gold\n")
    made = project(tmp_path)
    question = "SELECT count(*) AS n FROM product WHERE valid_to IS NULL"
    assert query(made, stores, question, "ads").to_pylist() == [{"n": 2}]
    as_of = AsOf(time=at("2026-01-02T00:00:00Z"))
    assert query(made, stores, question, "ads", as_of).to_pylist() == [{"n": 1}]
    assert query(made, stores, "SELECT level FROM club_member", "accounting").num_rows == 1
    with pytest.raises(InputError, match="'club_member' may not be read for 'measurement'"):
        query(made, stores, "SELECT level FROM club_member", "measurement")


def test_a_row_is_behind_all_that_was_logged_before_it(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    made = project(tmp_path)
    assert put(made, stores, order(1, "o1"), order(2, "o2")) == []
    last = stores.inbox.last_offset()
    take(tmp_path, stores, clock, "catalogue", "sku,price\ncup,9.00\n")
    held = [read(made, stores, "product", "ads", NOW, AsOf(offset=n)).num_rows for n in (0, last)]
    assert held == [0, 0]
    assert read(made, stores, "product", "ads", NOW, AsOf(offset=last + 1)).num_rows == 1


def test_people_are_found_by_erasure(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    text = "email,level\n Ada@Example.com,gold\nbob@example.com,silver\n"
    take(tmp_path, stores, clock, "club", text)
    made = project(tmp_path)
    register_collections(made, stores, clock)
    leaf = leaf_key("email", "ada@example.com")
    with stores.ledger.change("test", "bury", "ada", {}, NOW) as change:
        stores.ledger.bury(change, [leaf])
    assert timeline(made, stores, "club_member", "audit").column("email").to_pylist() == [
        "bob@example.com"
    ]
    again = take(tmp_path, stores, clock, "club", text)
    assert (again.erased, again.duplicates, again.events) == (1, 1, {})


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"key": []}, {}, "entities.thing.key"),
        ({"key": ["no"]}, {}, "'no'"),
        ({"properties": {"sku": {"type": "string", "privacy": "personal"}}}, {}, "purposes"),
        ({"properties": {"sku": {"type": "string"}, "known_at": {"type": "time"}}}, {}, "taken"),
        ({}, {"entity": "thong"}, "did you mean 'thing'"),
        ({}, {"known_at": "1d"}, "known_at without valid_from"),
        ({}, {"key": ["sku"]}, "says nothing about an import of an entity"),
        ({}, {"file": "a/*.csv"}, "name one file"),
    ]
    for entity, imported, said in wrong:
        declared = {"key": ["sku"], "description": "", "properties": {"sku": {"type": "string"}}}
        imports = {"things": {"source": "file", "file": "t.csv", "entity": "thing", **imported}}
        entities = {"thing": {**declared, **entity}}
        with pytest.raises(ProjectError, match=said):
            things(tmp_path, entities=entities, imports=imports)
