from __future__ import annotations

import copy
import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_history import PIECE, import_history
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.connectors.rows_again import rows_again
from liftwerk.definitions import Project
from liftwerk.errors import InputError, TooManyBadRows
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.events.replay import replay
from liftwerk.events.sequence import fingerprint
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.connectors.exports.rows import (
    EVENTS,
    ga4,
    ga4_day,
    ga4_purchase,
    ndjson,
    of_rows,
    parquet,
    project,
    segment,
)
from tests.events.conftest import clock, stores

__all__ = ["clock", "stores"]


def take(
    made: Project, stores: Stores, clock: FixedClock, piece: int = PIECE, **options: Any
) -> Imported:
    return import_history(ImportJob(made, stores, "history", clock, **options), piece)


def found(made: Project, stores: Stores, name: str, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(made, stores, name, "audit", columns).to_pylist()
    return rows


# ------------------------------------------------------------------------------------------- GA4


@pytest.mark.parametrize("ending", ["ndjson", "json.gz", "parquet"])
def test_a_purchase_of_ga4(tmp_path: Path, stores: Stores, clock: FixedClock, ending: str) -> None:
    file = tmp_path / f"events_20260101.{ending}"
    rows = [ga4(1), ga4_purchase(3, params={"coupon": "WINTER"}), ga4(5, "scroll")]
    write = ndjson
    if ending == "parquet":
        write = parquet
    write(file, rows)
    made = project(tmp_path, "ga4", file.name, known_at="6h")
    done = take(made, stores, clock)
    assert done.events == {"order_completed": 1, "page_viewed": 1}
    assert done.left_out == {"not declared: scroll": 1}
    [bought] = found(
        made, stores, "order_completed",
        "time", "known_at", "leaf_customer", "leaf_visitor", "consent_granted", "consent_source",
        "order_id", "revenue", "coupon", "items", "context", "source", "trust",
    )  # fmt: skip
    context = msgspec.json.decode(bought.pop("context"))
    assert context == {
        "page": "/p/3",
        "campaign": {"source": "newsletter", "medium": "email", "name": "winter"},
    }
    time = datetime.fromisoformat("2026-01-01T00:00:03.000009+00:00")
    assert bought == {
        "time": time,
        "known_at": time + timedelta(hours=6),
        "leaf_customer": leaf_key("customer", "c3"),
        "leaf_visitor": leaf_key("visitor", "1003.1700000000"),
        "consent_granted": ["analytics", "measurement"],  # as the project reads Google's words
        "consent_source": "gcm",
        "order_id": "T3",
        "revenue": 5998,  # 59.980000000000004, as a browser adds 29.99 twice
        "coupon": "WINTER",
        "items": [{"sku": "cup", "quantity": 2, "price": 2999}],
        "source": "file",
        "trust": "import",
    }
    [seen] = found(made, stores, "page_viewed", "url", "title", "leaf_customer")
    assert seen == {
        "url": "https://shop.example/p/1?utm_source=x",
        "title": "A page",
        "leaf_customer": None,
    }


def test_what_ga4_does_not_know_stays_unknown(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    privacy = {"analytics_storage": None, "ads_storage": None, "uses_transient_token": "No"}
    rows = [
        ga4(1, privacy_info=privacy),
        ga4(2, user_pseudo_id=None),  # consent denied: Google counts, and names nobody
        ga4_purchase(3, params={"currency": "USD"}),
    ]
    ndjson(tmp_path / "a.ndjson", rows)
    made = project(tmp_path, "ga4", "a.ndjson")
    with pytest.raises(TooManyBadRows) as raised:
        take(made, stores, clock)
    assert 'order_completed.revenue: expected an amount in EUR such as "29.99"' in str(raised.value)
    made = project(tmp_path, "ga4", "a.ndjson", names={"page_view": "page_viewed", "purchase": ""})
    done = take(made, stores, clock)
    assert done.left_out == {"not declared: purchase": 1, "without an identifier": 1}
    [seen] = found(made, stores, "page_viewed", "consent_granted", "consent_source")
    assert seen == {"consent_granted": None, "consent_source": None}


def test_exports_that_overlap_make_no_doubles(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    rows = ga4_day(60)
    parquet(tmp_path / "events_20260101.parquet", rows[:40])
    ndjson(tmp_path / "events_intraday_20260101.ndjson", rows[20:])
    made = project(tmp_path, "ga4", "events_*")
    done = take(made, stores, clock)
    assert done.rows == 80
    assert sum(done.events.values()) == 54  # a tenth of 60 is not declared
    assert done.duplicates == 18
    assert done.quarantined == 0


# --------------------------------------------------------------------------------------- Segment


def test_calls_of_segment(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    calls = [
        segment(1),
        segment(2, "identify"),
        segment(3, "page"),
        segment(4, event="Coupon Shown"),
        segment(5, "track", properties={"order_id": "S5", "revenue": "x"}),
    ]
    ndjson(tmp_path / "1.json.gz", [*calls, *(segment(n, "page") for n in range(10, 160))])
    made = project(tmp_path, "segment", "./")
    done = take(made, stores, clock)
    assert done.events == {"identity_linked": 1, "order_completed": 1, "page_viewed": 151}
    assert done.left_out == {"not declared: coupon_shown": 1}
    assert list(done.examples.values()) == ["1.json.gz, row 5"]
    [bought] = found(
        made, stores, "order_completed", "order_id", "revenue", "leaf_customer", "consent_granted"
    )
    assert bought == {
        "order_id": "S1",
        "revenue": 2999,
        "leaf_customer": leaf_key("customer", "c1"),
        "consent_granted": ["analytics"],
    }
    [link] = found(made, stores, "identity_linked", "leaf_email")
    assert link == {"leaf_email": leaf_key("email", "c2@example.com")}


def test_rows_of_a_warehouse_are_the_calls_they_were(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    row = {
        "id": "ajs-next-00000001",
        "received_at": "2026-01-01T01:00:01Z",
        "timestamp": "2026-01-01T00:00:01.000Z",
        "sent_at": "2026-01-01T01:00:00.000Z",
        "uuid_ts": "2026-01-02T00:00:00Z",
        "anonymous_id": "a1",
        "user_id": "c1",
        "event": "order_completed",
        "event_text": "Order Completed",
        "context_page_path": "/p/1",
        "context_ip": "203.0.113.7",
        "context_consent_category_preferences": '{"analytics": true, "ads": false}',
        "order_id": "S1",
        "revenue": 29.99,
    }
    parquet(tmp_path / "order_completed.parquet", [row])
    ndjson(tmp_path / "tracks.ndjson", [segment(1)])
    made = project(tmp_path, "segment", "*")
    done = take(made, stores, clock)
    assert (done.rows, done.events, done.duplicates) == (2, {"order_completed": 1}, 1)


# -------------------------------------------------------------------------- piece by piece, once


class Stop(Exception):
    """Stands for a kill between two pieces."""


@pytest.mark.parametrize("kind", ["ga4", "segment", "rows"])
def test_an_import_that_was_stopped_goes_on_and_ends_alike(
    tmp_path: Path, clock: FixedClock, kind: str
) -> None:
    for number in range(2):
        rows: list[dict[str, Any]] = ga4_day(40, first=number * 40)
        if kind == "segment":
            rows = [segment(n) for n in range(number * 40, number * 40 + 40)]
        if kind == "rows":
            rows = [{"id": str(n), "who": f"c{n}", "at": "2026-01-01T00:00:00Z"} for n in range(40)]
            rows = [{**row, "id": f"{number}-{row['id']}"} for row in rows]
        ndjson(tmp_path / f"{number}.ndjson", rows)
    made = project(tmp_path, "ga4", "*.ndjson")
    if kind == "segment":
        made = project(tmp_path, "segment", "*.ndjson")
    if kind == "rows":
        makes = [{"event": "page_viewed", "time": {"column": "at"}}]
        mapping = {"key": ["id"], "identifiers": {"customer": "who"}}
        made = of_rows(tmp_path, "*.ndjson", {**mapping, "events": makes})
    with open_stores(Home.open(tmp_path / "a", create=True)) as one, one.home.hold("test"):
        whole = take(made, one, clock)
        marks = fingerprint(one)
    seen: list[int] = []
    with open_stores(Home.open(tmp_path / "b", create=True)) as two, two.home.hold("test"):
        for stop in range(1, 20):
            calls = 0

            def tell(doing: str, last: int = stop) -> None:
                nonlocal calls
                calls += 1
                if calls > last % 3 + 1:
                    raise Stop

            try:
                done = take(made, two, clock, tell=tell, piece=7)
            except Stop:
                continue
            seen.append(done.rows)
            break
        again = take(made, two, clock, piece=7)
        assert (again.rows, again.events) == (0, {})
        assert fingerprint(two) == marks
    assert seen
    assert seen[0] < whole.rows == 80


def test_a_dry_run_says_what_would_come(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    rows = ga4_day(200)
    rows[50] = ga4(50, event_timestamp=None)
    (tmp_path / "a.ndjson").write_bytes(
        b"".join(msgspec.json.encode(row) + b"\n" for row in rows) + b'{"torn": \n'
    )
    made = project(tmp_path, "ga4", "a.ndjson")
    dry = take(made, stores, clock, dry_run=True)
    assert stores.inbox.last_offset() == 0
    assert stores.ledger.latest_snapshot() is None
    assert stores.inbox.quarantine_count() == {}
    assert dry.quarantined == 2
    assert dry.examples["not JSON"] == "a.ndjson, row 201"
    done = take(made, stores, clock)
    assert (done.events, done.reasons) == (dry.events, dry.reasons)
    assert sum(stores.inbox.quarantine_count().values()) == 2


def test_what_was_refused_is_judged_again(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    ndjson(tmp_path / "a.ndjson", [*(ga4(n) for n in range(150)), ga4_purchase(500)])
    strict = copy.deepcopy(EVENTS)
    strict["order_completed"]["properties"]["coupon"]["required"] = True
    made = project(tmp_path, "ga4", "a.ndjson", events=strict)
    assert take(made, stores, clock).quarantined == 1
    stays = replay(made, stores, None, False, rows_again(made, stores, clock, {}))
    assert sum(stays.stayed.values()) == 1
    mended = project(tmp_path, "ga4", "a.ndjson")
    done = replay(mended, stores, None, False, rows_again(mended, stores, clock, {}))
    assert (done.events, done.stayed) == ({"order_completed": 1}, {})


BROKEN: list[tuple[str, bytes, str]] = [
    ("a.ndjson", b"", "the file is empty: a.ndjson"),
    ("a.ndjson", "{}\n".encode("utf-16"), "not UTF-8 text: a.ndjson:1"),
    ("a.json.gz", gzip.compress(b"{}\n" * 99)[:-9], "the gzip file is truncated: a.json.gz"),
    ("a.parquet", b"PAR1 and no more", "not a whole Parquet file"),
]


@pytest.mark.parametrize(("name", "data", "said"), BROKEN, ids=[case[2] for case in BROKEN])
def test_a_file_that_is_not_whole_is_one_clear_line(
    tmp_path: Path, stores: Stores, clock: FixedClock, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as raised:
        take(project(tmp_path, "ga4", "a.*"), stores, clock)
    assert str(raised.value).startswith(said)
    assert stores.inbox.last_offset() == 0


def test_no_file_is_said(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    with pytest.raises(InputError, match=r"no file to import: exports/\*\.parquet"):
        take(project(tmp_path, "ga4", "exports/*.parquet"), stores, clock)


def test_bad_rows_of_the_erased_are_kept_nowhere(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    rows = [segment(n) for n in range(200)]
    rows[3] = segment(3, properties={"order_id": "S3", "revenue": "x"}, userId="gone")
    ndjson(tmp_path / "a.ndjson", rows)
    with stores.ledger.change("test", "bury", "x", {}, clock.now()) as change:
        stores.ledger.bury(change, [leaf_key("customer", "gone")])
    done = take(project(tmp_path, "segment", "a.ndjson"), stores, clock)
    assert done.erased + done.quarantined == 1
    assert stores.inbox.quarantine_count() == {}
