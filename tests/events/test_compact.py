from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import StoreFault
from liftwerk.events.compact import CLASH, UNDECLARED, compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import identifier_values, read
from liftwerk.events.sequence import Verdict, fingerprint, sort_out
from liftwerk.store.decisions.protocol import DecisionRecord
from liftwerk.store.home import Home
from liftwerk.store.ids import keys_of, keys_of_digests
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import NOW, SHOP, event, granted, order, put
from tests.events.shop import shop as make_shop

ADA = leaf_key("email", "ada@example.com")


def rows(project: Project, stores: Stores, name: str, *columns: str) -> list[Any]:
    table = read(project, stores, name, "audit", columns or None)
    found = table.to_pylist()
    if len(columns) == 1:
        return [row[columns[0]] for row in found]
    return found


def test_an_event_becomes_a_row(shop: Project, stores: Stores, clock: FixedClock) -> None:
    told = order(
        7,
        revenue="1234567890123456.70",
        identifiers={"device": "d1", "email": " Ada@example.com"},
        consent=granted("ads", at="2026-01-01T01:00:00+01:00"),
        session="s",
        context={"page": "/", "n": 1},
        decision="0192f0c1-0000-4000-8000-000000000001",
        weight=4,
        sent_at="2026-02-01T12:00:03Z",
        properties={
            "discount": "-0.10",
            "items": [{"sku": "ä", "quantity": 2, "price": "0.07"}],
        },
    )
    assert put(shop, stores, told) == []
    done = compact(shop, stores, clock)
    assert done.events == {"order_completed": 1}
    [row] = rows(shop, stores, "order_completed")
    at = datetime.fromisoformat
    assert row == {
        "id": (7).to_bytes(16, "big"),
        "offset": 1,
        "time": at("2026-02-01T12:00:00+00:00"),
        "known_at": NOW,
        "received": NOW,
        "sent_at": at("2026-02-01T12:00:03+00:00"),
        "source": "till",
        "trust": "server",
        "session": "s",
        "customer_bucket": ADA[0],
        "leaf_email": ADA,
        "leaf_device": leaf_key("device", "d1"),
        "consent_granted": ["ads"],
        "consent_source": "api",
        "consent_version": None,
        "consent_at": at("2026-01-01T00:00:00+00:00"),
        "context": '{"page":"/","n":1}',
        "decision": bytes.fromhex("0192f0c1000040008000000000000001"),
        "weight": 4.0,
        "synthetic": False,
        "modelled": False,
        "digest": row["digest"],
        "order_id": "o1",
        "revenue": 123456789012345670,
        "revenue_currency": "EUR",
        "discount": -10,
        "discount_currency": "EUR",
        "items": [{"sku": "ä", "quantity": 2, "price": 7}],
    }
    assert len(row["digest"]) == 8


def test_what_is_not_said_is_null(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event("rated", properties={"stars": 3}))
    compact(shop, stores, clock)
    [row] = rows(shop, stores, "rated")
    for column in ("leaf_device", "consent_granted", "session", "context", "decision", "sent_at"):
        assert row[column] is None
    assert [row[key] for key in ("stars", "score", "mood", "again", "bought", "tags", "from")] == [
        3, None, None, None, None, None, None,
    ]  # fmt: skip


def test_every_type_arrives(shop: Project, stores: Stores, clock: FixedClock) -> None:
    said = {
        "stars": 5,
        "score": 0.1,
        "mood": "good",
        "again": True,
        "bought": "2026-02-01T10:00:00.000001+01:00",
        "tags": ["a", ""],
        "from": "quote ' \" \u0000 ü",
    }
    put(shop, stores, event("rated", properties=said))
    compact(shop, stores, clock)
    [row] = rows(shop, stores, "rated", *said)
    assert row == {**said, "bought": datetime.fromisoformat("2026-02-01T09:00:00.000001+00:00")}


def test_known_time_is_the_receipt_unless_a_file_says_otherwise(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), source="web")
    put(shop, stores, event(number=2), source="file")
    put(shop, stores, event(number=3, known_at="2026-02-03T00:00:00Z"), source="file")
    compact(shop, stores, clock)
    at = datetime.fromisoformat
    assert rows(shop, stores, "page_viewed", "trust", "known_at") == [
        {"trust": "browser", "known_at": NOW},
        {"trust": "import", "known_at": at("2026-02-01T12:00:00+00:00")},
        {"trust": "import", "known_at": at("2026-02-03T00:00:00+00:00")},
    ]


def test_twice_is_once(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1), event(number=1), event(number=2))
    first = compact(shop, stores, clock)
    assert (first.events, first.duplicates) == ({"page_viewed": 2}, 1)
    assert first.snapshot is not None
    before = fingerprint(stores)
    put(shop, stores, event(number=2), event(number=1), at=NOW + timedelta(days=90))
    again = compact(shop, stores, clock)
    assert (again.events, again.duplicates) == ({}, 2)
    assert again.snapshot is not None
    assert again.snapshot.tables == first.snapshot.tables
    assert (first.snapshot.inbox_offset, again.snapshot.inbox_offset) == (3, 5)
    assert fingerprint(stores) == before
    assert stores.inbox.count() == 0
    assert compact(shop, stores, clock).snapshot == again.snapshot


def test_one_id_with_other_content_goes_to_quarantine(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), event(number=1, session="other"))
    assert compact(shop, stores, clock).quarantined == {CLASH: 1}
    put(shop, stores, order(number=1), event(number=2))
    done = compact(shop, stores, clock)
    assert done.quarantined == {CLASH: 1}
    assert done.events == {"page_viewed": 1}
    assert rows(shop, stores, "page_viewed", "session") == [None, None]
    assert rows(shop, stores, "order_completed") == []
    first, second = stores.inbox.quarantine_list()
    assert first.rejected.source == "till"
    assert first.rejected.detail == "page_viewed, id 00000000-0000-0000-0000-000000000001"
    assert msgspec.json.decode(second.rejected.body)["name"] == "order_completed"


def test_rows_of_one_customer_lie_together(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    people = ["ada", "bob", "cy", "dan", "eve"]
    put(
        shop,
        stores,
        *(
            event(
                number=number,
                identifiers={"email": f"{people[number % 5]}@example.com"},
                time=f"2026-02-{28 - number:02}T00:00:00Z",
            )
            for number in range(20)
        ),
    )
    done = compact(shop, stores, clock)
    assert done.snapshot is not None
    [file] = stores.tables.files("page_viewed_v1", done.snapshot.tables["page_viewed_v1"])
    table = pa.parquet.read_table(file, columns=["customer_bucket", "time"], partitioning=None)
    listed = table.to_pylist()
    assert listed == sorted(listed, key=lambda row: (row["customer_bucket"], row["time"]))
    assert rows(shop, stores, "page_viewed", "offset") == list(range(1, 21))


def test_months_are_partitions(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(
        shop,
        stores,
        event(number=1, time="2026-01-31T23:59:59.999999Z"),
        event(number=2, time="2026-02-01T00:00:00Z"),
    )
    done = compact(shop, stores, clock)
    assert done.snapshot is not None
    files = stores.tables.files("page_viewed_v1", done.snapshot.tables["page_viewed_v1"])
    assert ["month=2026-01" in files[0], "month=2026-02" in files[1]] == [True, True]


def test_equal_events_are_equal_in_every_home(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Any
) -> None:
    told = [event(number=number, session=str(number)) for number in range(1, 9)]
    put(shop, stores, *told)
    compact(shop, stores, clock)
    with open_stores(Home.open(tmp_path / "other", create=True)) as other:
        for one in reversed(told):
            put(shop, other, one, one)
            compact(shop, other, clock)
        assert fingerprint(other) == fingerprint(stores)
        put(shop, other, event(number=99))
        compact(shop, other, clock)
        assert fingerprint(other) != fingerprint(stores)


def test_a_property_may_be_added(stores: Stores, clock: FixedClock) -> None:
    old = make_shop()
    put(old, stores, event("rated", 1, properties={"stars": 1}))
    compact(old, stores, clock)
    events = msgspec.to_builtins(SHOP["events"])
    events["rated"]["properties"]["words"] = {"type": "string", "required": False}
    new = make_shop(events=events)
    assert rows(new, stores, "rated", "stars", "words") == [{"stars": 1, "words": None}]
    put(new, stores, event("rated", 2, properties={"stars": 2, "words": "fine"}))
    compact(new, stores, clock)
    assert rows(new, stores, "rated", "words") == [None, "fine"]
    assert rows(old, stores, "rated", "stars") == [1, 2]


def test_what_is_no_longer_declared_waits_in_quarantine(stores: Stores, clock: FixedClock) -> None:
    old = make_shop()
    put(old, stores, event("rated", 1, properties={"stars": 1}), order(2), event(number=3))
    events = msgspec.to_builtins(SHOP["events"])
    del events["rated"]
    events["order_completed"]["version"] = 3
    done = compact(make_shop(events=events), stores, clock)
    assert done.quarantined == {UNDECLARED: 2}
    assert done.events == {"page_viewed": 1}


def test_the_audit_says_what_came_in(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1), event(number=1))
    done = compact(shop, stores, clock)
    [entry] = stores.ledger.audit()
    assert done.snapshot is not None
    assert (entry.action, entry.subject) == ("events.compact", done.snapshot.id)
    assert entry.detail["events"] == {"page_viewed": 1}
    assert entry.detail["duplicates"] == 1


def test_rows_that_no_snapshot_names_are_dropped(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1))
    done = compact(shop, stores, clock)
    assert done.snapshot is not None
    kept = read(shop, stores, "page_viewed", "audit")
    # As a kill leaves it: rows are written, the snapshot is not.
    stores.tables.append("page_viewed_v1", kept)
    stores.tables.append("rated_v1", kept)
    assert rows(shop, stores, "page_viewed", "offset") == [1]
    put(shop, stores, event(number=2))
    compact(shop, stores, clock)
    assert rows(shop, stores, "page_viewed", "offset") == [1, 2]
    assert "rated_v1" not in stores.tables.names()


def test_nothing_at_all_makes_no_snapshot(shop: Project, stores: Stores, clock: FixedClock) -> None:
    assert compact(shop, stores, clock).snapshot is None
    assert stores.ledger.audit() == []
    assert rows(shop, stores, "page_viewed") == []


def test_identifiers_are_remembered_beside_their_keys(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), event(number=2, identifiers={"device": "d"}))
    compact(shop, stores, clock)
    put(shop, stores, event(number=3), event(number=4, identifiers={"email": "b@c"}))
    compact(shop, stores, clock)
    table = identifier_values(shop, stores, "audit")
    assert {(row["leaf"], row["namespace"], row["value"]) for row in table.to_pylist()} == {
        (ADA, "email", "ada@example.com"),
        (leaf_key("device", "d"), "device", "d"),
        (leaf_key("email", "b@c"), "email", "b@c"),
    }
    asked = identifier_values(shop, stores, "measurement", [ADA])
    assert asked.column("value").to_pylist() == ["ada@example.com"]


# ------------------------------------------------------------------------------- live decisions


def record(number: int, **changes: Any) -> DecisionRecord:
    said = {
        "placement": "mail",
        "eligible": ["nothing", "voucher"],
        "action": "voucher",
        "probability": 0.3,
        "probabilities": [0.7, 0.3],
        "control_action": "nothing",
        "draw": 0.9,
        "note": "not a property",
    }
    body = msgspec.json.encode({**said, **changes})
    at = NOW + timedelta(seconds=number)
    return DecisionRecord(number.to_bytes(16, "big"), ADA, "mail", at, body)


def test_live_decisions_become_events_once(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    stores.decisions.decide(record(1), [])
    stores.decisions.decide(record(2), [])
    done = compact(shop, stores, clock)
    assert done.events == {"decision_made": 2}
    assert done.snapshot is not None
    assert done.snapshot.decisions_offset == 2
    stores.decisions.decide(record(3), [])
    assert compact(shop, stores, clock).events == {"decision_made": 1}
    assert compact(shop, stores, clock).events == {}
    [first, *_] = found = rows(shop, stores, "decision_made")
    assert [row["id"] for row in found] == [n.to_bytes(16, "big") for n in (1, 2, 3)]
    assert first["leaf_email"] == ADA
    assert first["unit"] == ADA.hex()
    assert (first["source"], first["trust"], first["draw"]) == ("decisions", "server", 0.9)
    assert first["time"] == first["known_at"] == NOW + timedelta(seconds=1)


def test_a_copy_made_twice_is_one(shop: Project, stores: Stores, clock: FixedClock) -> None:
    stores.decisions.decide(record(1), [])
    compact(shop, stores, clock)
    # As a kill leaves it: copied into the inbox, but no snapshot says so.
    snapshot = stores.ledger.latest_snapshot()
    assert snapshot is not None
    behind = msgspec.structs.replace(snapshot, decisions_offset=0)
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.put_snapshot(change, behind)
    done = compact(shop, stores, clock)
    assert (done.events, done.duplicates) == ({}, 1)
    assert len(rows(shop, stores, "decision_made")) == 1


def test_a_live_decision_that_cannot_teach_waits_in_quarantine(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    stores.decisions.decide(record(1, probability=0.4), [])
    done = compact(shop, stores, clock)
    assert done.events == {}
    assert done.quarantined == {"decision_made: probability is not that of the action": 1}
    assert stores.inbox.quarantine_count() == done.quarantined
    assert done.snapshot is not None
    assert done.snapshot.decisions_offset == 1


def test_a_key_cannot_be_said_from_outside(shop: Project, stores: Stores) -> None:
    assert put(shop, stores, event(leaves={"email": ADA.hex()})) == [
        "page_viewed: no field 'leaves' is declared"
    ]


@pytest.mark.parametrize("erased_in_flight", [False, True])
def test_the_erased_do_not_come_in(
    shop: Project, stores: Stores, clock: FixedClock, erased_in_flight: bool
) -> None:
    if erased_in_flight:
        put(shop, stores, event(number=1))
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [ADA])
    if not erased_in_flight:
        assert put(shop, stores, event(number=1)) == ["erased"]
    done = compact(shop, stores, clock)
    assert done.events == {}
    assert done.erased == int(erased_in_flight)
    assert stores.inbox.count() == 0
    assert identifier_values(shop, stores, "audit").num_rows == 0


def test_an_inbox_row_needs_no_more_than_its_body(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    body = event(source="gone", properties={}, identifiers={"device": "d"})
    stores.inbox.append(
        [InboxRow((1).to_bytes(16, "big"), "page_viewed", 0, msgspec.json.encode(body))]
    )
    compact(shop, stores, clock)
    assert rows(shop, stores, "page_viewed", "source", "trust") == [
        {"source": "gone", "trust": "browser"}
    ]


class BusyShop(FixedClock):
    """A clock at whose every look one more event has come in."""

    def __init__(self, at: datetime, shop: Project, stores: Stores) -> None:
        super().__init__(at)
        self.asked = (shop, stores)
        self.came = 0

    def now(self) -> datetime:
        self.came += 1
        assert self.came < 50, "it sorts for ever"
        put(*self.asked, event("page_viewed", 100 + self.came))
        return super().now()


def test_it_ends_though_events_keep_coming_in(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event("page_viewed", 1))
    busy = BusyShop(clock.now(), shop, stores)
    done = compact(shop, stores, busy)
    assert done.events["page_viewed"] >= 1
    assert stores.inbox.count() > 0


def test_many_small_compactions_leave_few_files(
    shop: Project, stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, rounds = 6, 18
    monkeypatch.setattr("liftwerk.store.tables.kinds.delta.LOG_ENTRIES", entries)
    for number in range(rounds):
        people = [f"p{3 * number + one}@example.com" for one in range(3)]
        put(
            shop,
            stores,
            *(event(number=3 * number + n, identifiers={"email": p}) for n, p in enumerate(people)),
        )
        done = compact(shop, stores, clock)
    assert done.snapshot is not None
    name = "page_viewed_v1"
    files = stores.tables.files(name, done.snapshot.tables[name])
    assert len(files) < 12
    held = [pa.parquet.read_table(file, partitioning=None) for file in files]
    assert sorted(n for table in held for n in table.column("offset").to_pylist()) == [
        *range(1, 3 * rounds + 1)
    ]
    # One customer's rows lie together: sorted by bucket in each file, merged or not.
    assert max(table.num_rows for table in held) >= 24
    for table in held:
        buckets = table.column("customer_bucket").to_pylist()
        assert buckets == sorted(buckets)
    # What only old versions need is gone, and their log.
    folder = stores.home.path / "tables" / name
    assert len(list(folder.glob("*/*.parquet"))) < 12 + 2 * entries
    assert len(list((folder / "_delta_log").glob("*.json"))) <= entries + 3


def test_a_vacuum_leaves_files_that_are_being_read(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    for number in range(9):
        put(shop, stores, event(number=number))
        before = compact(shop, stores, clock).snapshot
        assert before is not None
        if number == 6:
            old = stores.tables.files("page_viewed_v1", before.tables["page_viewed_v1"])
    with stores.tables.reading(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("liftwerk.store.tables.kinds.delta.LOG_ENTRIES", 1)
        put(shop, stores, event(number=10))
        compact(shop, stores, clock)
        assert [pa.parquet.read_metadata(file).num_rows for file in old] == [1] * 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liftwerk.store.tables.kinds.delta.LOG_ENTRIES", 1)
        compact(shop, stores, clock)
    assert not any(Path(file).exists() for file in old)
    assert len(rows(shop, stores, "page_viewed", "offset")) == 10


def test_late_events_land_in_their_month(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1, time="2026-02-20T12:00:00Z"))
    compact(shop, stores, clock)
    put(shop, stores, event(number=2, time="2025-11-20T12:00:00Z"))
    put(shop, stores, event(number=3, time="2026-02-20T12:00:00Z"))
    done = compact(shop, stores, clock)
    assert done.snapshot is not None
    files = stores.tables.files("page_viewed_v1", done.snapshot.tables["page_viewed_v1"])
    months = sorted(Path(file).parent.name for file in files)
    assert months == ["month=2025-11", "month=2026-02", "month=2026-02"]


def test_an_inbox_that_ends_before_its_tables_is_refused(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    put(shop, stores, event(number=1), event(number=2))
    compact(shop, stores, clock)
    other = SqliteInbox(tmp_path / "other.sqlite")
    exchanged = replace(stores, inbox=other)
    other.append([InboxRow(bytes(16), "page_viewed", 0, b"{}")])
    with pytest.raises(StoreFault) as caught:
        compact(shop, exchanged, clock)
    assert str(caught.value) == (
        "the inbox ends at 1, before 2: the inbox: it is not the inbox that these tables came from:"
        " check [store], or restore a backup"
    )
    other.close()


def test_the_inbox_keeps_events_as_long_as_declared(stores: Stores, clock: FixedClock) -> None:
    project = make_shop(store={"keep_inbox": "1h"})
    put(project, stores, event(number=1), at=NOW - timedelta(minutes=50))
    assert compact(project, stores, clock).events == {"page_viewed": 1}
    assert stores.inbox.count() == 1
    later = FixedClock(NOW + timedelta(minutes=20))
    put(project, stores, event(number=1), event(number=2), at=NOW + timedelta(minutes=20))
    done = compact(project, stores, later)
    assert (done.events, done.duplicates) == ({"page_viewed": 1}, 1)
    assert stores.inbox.count() == 2
    assert compact(project, stores, later).duplicates == 0


@pytest.mark.parametrize("harm", ["forgotten", "of another snapshot"])
def test_ids_that_are_not_of_the_snapshot_are_made_anew(
    harm: str, shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), event(number=2))
    compact(shop, stores, clock)
    none = np.empty(0, np.uint64)
    stores.ids.clear()
    if harm == "of another snapshot":
        stores.ids.add(keys_of([(3).to_bytes(16, "big")]), keys_of_digests([bytes(8)]), "another")
    put(shop, stores, event(number=1), event(number=3))
    # Who asks beside the sequencer makes nothing anew, and knows all the same.
    assert sort_out(stores, [(2).to_bytes(16, "big")], [bytes(8)]) == {0: Verdict.CLASH}
    done = compact(shop, stores, clock)
    assert (done.events, done.duplicates) == ({"page_viewed": 1}, 1)
    assert done.snapshot is not None
    assert stores.ids.snapshot == done.snapshot.id
    assert stores.ids.find(none)[0].tolist() == []


def test_what_was_undeclared_can_be_let_in_later(stores: Stores, clock: FixedClock) -> None:
    wide = make_shop(events={**SHOP["events"], "seen": {"version": 1, "description": "Seen"}})
    put(wide, stores, event("seen", 1), event(number=2))
    narrow = make_shop()
    assert compact(narrow, stores, clock).quarantined == {UNDECLARED: 1}
    # It is in no table, so its id is not known.
    assert sort_out(stores, [(1).to_bytes(16, "big")], [bytes(8)]) == {}
