from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_file import import_file
from liftwerk.connectors.job import ImportJob
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import identifier_values, read
from liftwerk.events.sequence import fingerprint
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.governance.erase import Erased, look_up, request
from liftwerk.governance.prove import Find, prove
from liftwerk.identity.resolve import customer_of
from liftwerk.store.catalogue import Subject
from liftwerk.store.decisions.protocol import DecisionRecord
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores
from tests.connectors.trial_file import CONTROLS, project, rows, write
from tests.events.shop import NOW, event, granted, put
from tests.governance.erasing import DPO, erase_now, rows_of

pytestmark = pytest.mark.slow

ADA = leaf_key("email", "ada@example.com")
BOB = leaf_key("email", "bob@example.com")
PHONE = leaf_key("device", "phone")


def go(project: Project, stores: Stores, clock: FixedClock, *who: str) -> Erased:
    return erase_now(project, stores, clock, *(who or ("ada@example.com",)))


def search(stores: Stores, keys: list[bytes], *values: tuple[str, str]) -> list[Find]:
    return prove(stores.home, Subject(tuple(keys), values))


def arrow(table: pyarrow.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(table, sink, compression="zstd")
    return sink.getvalue()


def parquet(table: pyarrow.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


@pytest.fixture
def full(shop: Project, stores: Stores, clock: FixedClock) -> Stores:
    """A home that knows Ada in every place there is."""
    both = {"email": "ada@example.com", "device": "phone"}
    bob = {"email": "bob@example.com"}
    put(
        shop,
        stores,
        event(number=1, identifiers=both, consent=granted("ads")),
        event(number=2, identifiers=bob, consent=granted("ads")),
        event(number=3, time="2026-01-01T00:00:00Z"),
        event(number=4, identifiers={"device": "phone"}),
        event("rated", 5, properties={"stars": 3}),
    )
    compact(shop, stores, clock)
    put(shop, stores, event(number=6), event(number=7, identifiers=bob))  # still in the inbox
    refused: list[Any] = [
        {"name": "rated", "identifiers": {"email": "Ada@Example.com "}, "properties": {}},
        {"import": "trial", "row": 7, "identifiers": {"email": "ada@example.com"}, "columns": {}},
        {"name": "rated", "identifiers": {"email": "bob@example.com"}},
        b'{"email": "ada@example.com", torn',
        b"bob@example.com torn",
    ]
    stores.inbox.quarantine_put(
        [
            Rejected("till", NOW, f"reason {place}", "", body)
            for place, body in enumerate(
                one if isinstance(one, bytes) else msgspec.json.encode(one) for one in refused
            )
        ]
    )
    for number, unit in ((8, ADA), (9, BOB)):
        stores.decisions.decide(
            DecisionRecord(number.to_bytes(16, "big"), unit, "mail", NOW, b"{}"), []
        )
    scores = pyarrow.table({"customer": [ADA, BOB], "score": [1.0, 2.0]})
    others = pyarrow.table({"customer": [BOB], "score": [2.0]})
    nested = pyarrow.table({"rows": [[{"unit": ADA.hex()}]]})
    for data in (arrow(scores), parquet(scores), parquet(nested), arrow(others), b"a model"):
        stores.artefacts.put(data)
    stores.artefacts.put(msgspec.json.encode({"best": ADA.hex()}))
    return stores


def test_a_customer_is_gone_from_everything(shop: Project, full: Stores, clock: FixedClock) -> None:
    before = {find.file.partition("/")[0] for find in search(full, [ADA])}
    assert before == {"artefacts", "decisions.sqlite-wal", "tables"}
    done = go(shop, full, clock)
    assert done.found == []
    assert rows_of(done) == {
        "live decisions": 1,
        "outbox": 0,
        "online values": 0,
        "inbox": 1,
        "quarantine": 3,
        "delivery fields": 0,
        "entities": 0,
        "events": 6,  # four rows, and two identifiers
        "artefacts": 4,
        "unit totals": 0,
    }
    assert search(full, [ADA, PHONE], ("email", "ada@example.com")) == []
    compact(shop, full, clock)
    assert read(shop, full, "page_viewed", "audit", ["leaf_email"]).to_pylist() == [
        {"leaf_email": BOB}, {"leaf_email": BOB},
    ]  # fmt: skip
    assert identifier_values(shop, full, "audit").column("value").to_pylist() == ["bob@example.com"]
    assert len(full.artefacts.names()) == 2
    left = [one.rejected.reason for one in full.inbox.quarantine_list()]
    assert left == ["reason 2", "reason 4", "decision_made.placement is missing"]  # all of Bob's
    go(shop, full, clock, "bob@example.com")
    assert full.inbox.quarantine_count() == {}


def test_the_audit_names_nobody(shop: Project, full: Stores, clock: FixedClock) -> None:
    go(shop, full, clock)
    told = [(one.action, one.subject) for one in full.ledger.audit()]
    assert told[1:] == [
        ("customer.erase", "a customer"),
        ("customer.known", "a customer"),
        ("events.erase", told[3][1]),
        ("customer.erased", "a customer"),
    ]
    assert full.ledger.verify_audit().ok
    everything = msgspec.json.encode(full.ledger.audit())
    assert b"ada@" not in everything
    assert ADA.hex().encode() not in everything


def test_erasing_twice_counts_nothing(shop: Project, full: Stores, clock: FixedClock) -> None:
    go(shop, full, clock)
    snapshot = full.ledger.latest_snapshot()
    again = go(shop, full, clock)
    assert set(rows_of(again).values()) == {0}
    assert again.found == []
    assert full.ledger.latest_snapshot() == snapshot


def test_an_erasure_cut_off_is_completed_by_the_next(
    shop: Project, full: Stores, clock: FixedClock
) -> None:
    # As a kill leaves it: the intent is committed, nothing is done.
    [receipt] = request(shop, full, ["ada@example.com"], DPO, clock, "request")
    seen = read(shop, full, "page_viewed", "measurement", ["leaf_email"])
    assert ADA not in seen.column("leaf_email").to_pylist()
    look_up(shop, full, DPO, clock)
    seen = read(shop, full, "page_viewed", "measurement", ["leaf_email"])
    assert seen.column("leaf_email").to_pylist() == [BOB]
    done = go(shop, full, clock, "bob@example.com")
    assert done.found == []
    assert receipt in done.receipts
    assert search(full, [ADA, PHONE], ("email", "ada@example.com")) == []


@pytest.mark.slow
def test_rows_deleted_without_a_snapshot_are_deleted_again(
    shop: Project, full: Stores, clock: FixedClock
) -> None:
    # As a kill leaves it: a table without the rows is written, no snapshot names it.
    full.tables.delete_rows("page_viewed_v1", ["leaf_email"], [ADA])
    done = go(shop, full, clock)
    assert done.taken["events"].rows == 6
    assert done.found == []


def test_an_unknown_customer_is_kept_out_too(
    shop: Project, full: Stores, clock: FixedClock
) -> None:
    done = go(shop, full, clock, "nobody@example.com")
    assert set(rows_of(done).values()) == {0}
    assert put(shop, full, event(identifiers={"email": "nobody@example.com"})) == ["erased"]


def test_nothing_is_kept_without_being_registered(
    shop: Project, full: Stores, clock: FixedClock
) -> None:
    catalogue = fill_catalogue(shop, full, clock)
    assert catalogue.unregistered(full.home) == []
    assert len(fill_catalogue(shop, full, clock)) == len(catalogue)


def test_importing_the_old_file_keeps_the_erased_out(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, rows(10))
    trial = project(tmp_path)
    import_file(ImportJob(trial, stores, "trial", clock, CONTROLS))
    compact(trial, stores, clock)
    assert go(trial, stores, clock, "3").found == []
    again = import_file(ImportJob(trial, stores, "trial", clock, CONTROLS))
    compact(trial, stores, clock)
    assert (again.events, again.erased, again.quarantined) == ({}, 1, 0)
    units = read(trial, stores, "decision_made", "audit", ["leaf_customer"])
    assert customer_of(trial, "3") not in units.column("leaf_customer").to_pylist()
    assert search(stores, [customer_of(trial, "3")], ("customer", "3")) == []


@pytest.mark.parametrize("place", ["artefacts", "tables", "inbox", "quarantine", "ledger"])
def test_the_proof_finds_what_is_left(
    shop: Project, stores: Stores, clock: FixedClock, place: str
) -> None:
    go(shop, stores, clock)
    if place == "artefacts":
        stores.artefacts.put(arrow(pyarrow.table({"a": [[{"b": ADA}]]})))
    elif place == "tables":
        times = pyarrow.array([NOW], pyarrow.timestamp("us", tz="UTC"))
        stores.tables.append("left_v1", pyarrow.table({"time": times, "leaf": [ADA]}))
    elif place == "inbox":
        stores.inbox.append([(bytes(16), "x", 0, b'{"identifiers":{"email":"ada@example.com"}}')])
    elif place == "quarantine":
        stores.inbox.quarantine_put([Rejected("x", NOW, "y", "z", ADA.hex().encode())])
    else:
        with stores.ledger.change("x", "y", ADA.hex(), {}, NOW):
            pass
    finds = search(stores, [ADA], ("email", "ada@example.com"))
    expected = {
        "artefacts": ("artefacts/", "a key"),
        "tables": ("tables/left_v1/month=2026-03/", "a key"),
        "inbox": ("inbox.sqlite", "an identifier in JSON"),
        "quarantine": ("inbox.sqlite", "a key"),
        "ledger": ("ledger.sqlite", "a key"),
    }
    file, what = expected[place]
    assert any(find.file.startswith(file) and find.what.startswith(what) for find in finds)


def test_everybody_can_be_erased_and_others_come_after(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    both = {"email": "ada@example.com", "device": "phone"}
    put(shop, stores, event(number=1, identifiers=both), event("rated", 2, properties={"stars": 3}))
    put(shop, stores, event(number=3, identifiers={"email": "bob@example.com"}))
    compact(shop, stores, clock)
    go(shop, stores, clock, "ada@example.com", "bob@example.com")
    go(shop, stores, clock, "device:phone")
    assert identifier_values(shop, stores, "audit").num_rows == 0
    assert read(shop, stores, "page_viewed", "measurement").num_rows == 0
    fingerprint(stores)
    stores.decisions.decide(DecisionRecord(bytes(16), b"somebody else...", "mail", NOW, b"{}"), [])
    put(shop, stores, event(number=4, identifiers={"email": "eve@example.com"}))
    compact(shop, stores, clock)
    assert identifier_values(shop, stores, "audit").column("value").to_pylist() == [
        "eve@example.com"
    ]
    assert read(shop, stores, "page_viewed", "measurement").num_rows == 1
