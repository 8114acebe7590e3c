# ruff: noqa: E501 -- the messages are as long as they are
from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_file import import_file
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.errors import InputError, TooManyBadRows, UnknownName
from liftwerk.events.compact import CLASH, compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.ids import made_id
from liftwerk.events.read import read
from liftwerk.events.sequence import fingerprint
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.connectors.trial_file import CONTROLS, HEADER, content, project, row, rows, write
from tests.events.shop import NOW

at = datetime.fromisoformat


def take(folder: Path, stores: Stores, clock: FixedClock, **changes: Any) -> Imported:
    made = project(folder, **changes)
    done = import_file(ImportJob(made, stores, "trial", clock, CONTROLS))
    compact(made, stores, clock)
    return done


def found(folder: Path, stores: Stores, name: str, *columns: str) -> list[dict[str, Any]]:
    table = read(project(folder), stores, name, "audit", columns)
    listed: list[dict[str, Any]] = table.to_pylist()
    return listed


def test_a_row_becomes_its_events(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    write(tmp_path, rows(15))
    done = take(tmp_path, stores, clock)
    assert done == Imported(
        rows=15,
        events={"decision_made": 15, "history": 15, "order": 3, "visit": 5},
        duplicates=0,
        quarantined=0,
        erased=0,
        reasons={},
    )
    leaf = leaf_key("customer", "1")
    decision_id = made_id("import", "trial", "decision_made", "1").bytes
    asked = ("id", "time", "leaf_customer", "unit", "placement", "stage", "eligible", "action",
             "probability", "probabilities", "control_action", "source", "trust",
             "consent_granted", "consent_version")  # fmt: skip
    assert found(tmp_path, stores, "decision_made", *asked)[0] == {
        "id": decision_id,
        "time": at("2026-01-05T11:00:00+00:00"),  # noon in Berlin, as the project's zone says
        "leaf_customer": leaf,
        "unit": leaf.hex(),
        "placement": "mail",
        "stage": "logged",
        "eligible": ["nothing", "voucher"],
        "action": "voucher",
        "probability": 0.5,
        "probabilities": [0.5, 0.5],
        "control_action": "nothing",
        "source": "file",
        "trust": "import",
        "consent_granted": ["ads"],
        "consent_version": "v1",
    }
    history = found(tmp_path, stores, "history", "months", "area", "time", "known_at")
    first = at("2026-01-01T00:00:00+00:00")
    assert history[0] == {"months": 3, "area": "Rural", "time": first, "known_at": first}
    [visit, *_] = found(tmp_path, stores, "visit", "known_at", "decision")
    assert visit == {
        "known_at": at("2026-01-08T00:00:00+00:00"),  # two days after it happened
        "decision": made_id("import", "trial", "decision_made", "3").bytes,
    }
    orders = found(tmp_path, stores, "order", "order_id", "revenue", "revenue_currency")
    assert orders[0] == {"order_id": "5", "revenue": 2999, "revenue_currency": "EUR"}


def test_importing_twice_changes_nothing(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    write(tmp_path, rows(10, r4={"months": "x"}))
    first = take(tmp_path, stores, clock)
    snapshot, marks = stores.ledger.latest_snapshot(), fingerprint(stores)
    clock.advance(timedelta(days=400))
    again = take(tmp_path, stores, clock)
    assert (again.events, again.duplicates) == ({}, sum(first.events.values()))
    assert again.quarantined == first.quarantined == 1
    assert stores.ledger.latest_snapshot() == snapshot
    assert fingerprint(stores) == marks
    assert stores.inbox.quarantine_count() == first.reasons


def test_a_file_cut_off_after_the_inbox_is_finished(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, rows(10))
    made = project(tmp_path)
    # As a kill leaves it: in the inbox, not yet in the tables.
    import_file(ImportJob(made, stores, "trial", clock, CONTROLS))
    again = take(tmp_path, stores, clock)
    assert again.events == {}
    assert len(found(tmp_path, stores, "decision_made", "id")) == 10


def test_a_longer_file_adds_what_is_new(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    write(tmp_path, rows(10))
    take(tmp_path, stores, clock)
    # Later rows, and a visit of a customer who had none before.
    write(tmp_path, rows(12, r1={"seen": "1"}))
    done = take(tmp_path, stores, clock)
    assert done.events == {"decision_made": 2, "history": 2, "visit": 2}
    assert done.duplicates == 25
    assert done.quarantined == 0


def test_another_import_makes_other_ids() -> None:
    assert made_id("import", "a", "visit", "1") != made_id("import", "b", "visit", "1")
    assert made_id("import", "a", "visit", "1", "2") != made_id("import", "a", "visit", "12")


# ------------------------------------------------------------------------------------- bad rows


NUMBER = "history.months: expected a whole number from 0 to 120"
CHANCE = "decision_made.probability: expected a number from 0.000000001 to 1"
AMOUNT = 'order.revenue: expected an amount in EUR such as "29.99", at least 0'
BAD_ROWS: list[tuple[dict[str, str], str, str]] = [
    ({"months": "abc"}, NUMBER, "months"),
    ({"months": "3.7"}, NUMBER, "months"),
    ({"months": "121"}, NUMBER, "months"),
    ({"months": ""}, NUMBER, "months"),
    ({"mail": "letter"}, "decision_made.action: the map has no entry for it", "mail"),
    ({"mail": ""}, "decision_made.action: the map has no entry for it", "mail"),
    ({"chance": "0"}, CHANCE, "chance"),
    ({"chance": "1.5"}, CHANCE, "chance"),
    ({"chance": "nan"}, CHANCE, "chance"),
    (
        {"on": "soon"},
        'decision_made.time: expected a time with its zone such as "2026-03-01T09:30:00Z"',
        "on",
    ),
    ({"paid": "1", "spent": "-1"}, AMOUNT, "spent"),
    ({"paid": "1", "spent": "1.005"}, AMOUNT, "spent"),
    ({"id": ""}, "history: no key", "id"),
    ({"id": "  "}, "history.identifiers: an identifier is empty", "id"),
]


def test_a_bad_row_is_quarantined_whole(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    bad = {f"r{3 * place}": change for place, (change, _, _) in enumerate(BAD_ROWS, start=1)}
    write(tmp_path, rows(90, **bad))
    done = import_file(ImportJob(project(tmp_path), stores, "trial", clock, CONTROLS))
    assert done.quarantined == len(BAD_ROWS)
    assert sum(done.reasons.values()) == len(BAD_ROWS)
    assert done.events["decision_made"] == done.events["history"] == 90 - len(BAD_ROWS)
    assert done.events["visit"] == 30 - len(BAD_ROWS)  # each third row would be one
    kept = [one.rejected for one in stores.inbox.quarantine_list()]
    for place, (change, reason, column) in enumerate(BAD_ROWS, start=1):
        rejected = kept[place - 1]
        assert rejected.source == "file"
        assert (rejected.reason, rejected.detail) == (reason, f"row {3 * place}, column {column}")
        body = msgspec.json.decode(rejected.body)
        assert (body["import"], body["row"]) == ("trial", 3 * place)
        assert list(body["columns"]) == HEADER.split(",")
        assert body["columns"][column] == (change[column] or None)


def test_a_known_id_with_other_content_is_a_bad_row(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, rows(10))
    take(tmp_path, stores, clock)
    write(tmp_path, rows(11, r2={"months": "4"}))
    done = take(tmp_path, stores, clock)
    assert done.reasons == {f"history: {CLASH}": 1}
    assert done.events == {"decision_made": 1, "history": 1}
    assert {one["months"] for one in found(tmp_path, stores, "history", "months")} == {3}


def test_a_key_twice_in_a_file(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    # The same row again is one row; the same key with other content is a bad row.
    write(tmp_path, [*rows(8), row(3), row(4, months="9")])
    done = take(tmp_path, stores, clock)
    assert done.reasons == {f"history: {CLASH}": 1}
    assert done.duplicates == 3
    [kept] = stores.inbox.quarantine_list()
    assert kept.rejected.detail == "row 10"
    assert len(found(tmp_path, stores, "decision_made", "id")) == 8


def test_too_many_bad_rows_publish_nothing(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, rows(10, r1={"months": "x"}, r2={"months": "y"}))
    assert take(tmp_path, stores, clock).quarantined == 2  # 20%, as much as is allowed
    before = stores.ledger.latest_snapshot()
    write(tmp_path, rows(14, r11={"months": "x"}, r12={"spent": "x", "paid": "1"}, r13={"id": ""}))
    with pytest.raises(TooManyBadRows) as caught:
        import_file(ImportJob(project(tmp_path), stores, "trial", clock, CONTROLS))
    assert str(caught.value) == (
        "3 of 14 rows are bad, 20% are allowed: trial.csv:"
        " 1 x history.months: expected a whole number from 0 to 120 (first in row 11, column months);"
        ' 1 x order.revenue: expected an amount in EUR such as "29.99", at least 0'
        " (first in row 12, column spent); 1 x history: no key (first in row 13, column id)"
    )
    assert stores.inbox.count() == 0
    assert stores.ledger.latest_snapshot() == before
    assert sum(stores.inbox.quarantine_count().values()) == 2


def test_the_erased_are_left_out(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("customer", "3")])
    write(tmp_path, rows(9, r3={"id": " 3 "}))
    done = take(tmp_path, stores, clock)
    assert (done.erased, done.quarantined) == (1, 0)
    assert len(found(tmp_path, stores, "history", "id")) == 8


def test_a_bad_row_of_the_erased_is_kept_nowhere(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("customer", "3")])
    write(tmp_path, rows(9, r3={"months": "x"}, r4={"months": "x"}))
    done = take(tmp_path, stores, clock)
    assert (done.erased, done.quarantined) == (1, 1)
    [kept] = stores.inbox.quarantine_list()
    assert kept.rejected.detail == "row 4, column months"


# -------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("said", ["3", "3.0", " 3", "+3", "003"])
def test_a_whole_number_may_be_written_so(
    tmp_path: Path, stores: Stores, clock: FixedClock, said: str
) -> None:
    write(tmp_path, rows(1, r1={"months": said}))
    take(tmp_path, stores, clock)
    assert found(tmp_path, stores, "history", "months") == [{"months": 3}]


@pytest.mark.parametrize(("said", "seen"), [("1", 1), ("1.0", 1), ("0", 0), ("", 0), ("yes", 0)])
def test_only_the_rows_that_say_so(
    tmp_path: Path, stores: Stores, clock: FixedClock, said: str, seen: int
) -> None:
    write(tmp_path, rows(2, r1={"seen": said}))
    done = import_file(ImportJob(project(tmp_path), stores, "trial", clock, CONTROLS))
    assert done.events.get("visit", 0) == seen


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00+00:00"),
        ("2026-07-05 12:00:00", "2026-07-05T10:00:00+00:00"),  # summer in Berlin
        ("2026-01-05", "2026-01-04T23:00:00+00:00"),
        ("2026-01-05 12:00:00.123456-05", "2026-01-05T17:00:00.123456+00:00"),
    ],
)
def test_a_time_without_a_zone_is_in_the_projects(
    tmp_path: Path, stores: Stores, clock: FixedClock, said: str, meant: str
) -> None:
    write(tmp_path, rows(1, r1={"on": said}))
    take(tmp_path, stores, clock)
    assert found(tmp_path, stores, "decision_made", "time") == [{"time": at(meant)}]


def test_probabilities_of_what_was_not_drawn(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, rows(2, r1={"chance": "0.9"}, r2={"chance": "0.1"}))
    take(tmp_path, stores, clock)
    assert [one["probabilities"] for one in found(tmp_path, stores, "decision_made", "probabilities")] == [
        [pytest.approx(0.1), 0.9],
        [0.1, 0.9],
    ]  # fmt: skip


def test_text_arrives_as_it_was(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    area = 'Zürich, "am See"\n\\ \u2028 é 😀'
    quoted = '"' + area.replace('"', '""') + '"'
    write(tmp_path, rows(3, r2={"area": quoted}, r3={"area": ""}))
    take(tmp_path, stores, clock)
    assert [one["area"] for one in found(tmp_path, stores, "history", "area")] == [
        "Rural", area, None,
    ]  # fmt: skip


# --------------------------------------------------------------------------------- other formats


def plain(folder: Path) -> str:
    return write(folder, rows(10), "trial.csv").name


def gzipped(folder: Path) -> str:
    return write(folder, rows(10), "trial.csv.gz").name


def with_mark_and_crlf(folder: Path) -> str:
    data = "\ufeff" + content(rows(10)).replace("\n", "\r\n")
    (folder / "trial.csv").write_bytes(data.encode())
    return "trial.csv"


def parquet(folder: Path) -> str:
    names = HEADER.split(",")
    columns: dict[str, Any] = {
        name: [line.split(",")[place] for line in rows(10)] for place, name in enumerate(names)
    }
    columns["months"] = [int(value) for value in columns["months"]]
    columns["spent"] = [float(value) for value in columns["spent"]]
    columns["seen"] = [float(value) for value in columns["seen"]]
    columns["chance"] = [float(value) for value in columns["chance"]]
    columns["on"] = [datetime.fromisoformat(value) for value in columns["on"]]
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "trial.parquet")
    return "trial.parquet"


def ndjson(folder: Path) -> str:
    names = HEADER.split(",")
    lines = []
    for line in rows(10):
        values: dict[str, Any] = dict(zip(names, line.split(","), strict=True))
        values["months"], values["seen"] = int(values["months"]), int(values["seen"])
        lines.append(msgspec.json.encode(values))
    (folder / "trial.ndjson").write_bytes(b"\n".join(lines) + b"\n\n")
    return "trial.ndjson"


def packed_ndjson(folder: Path) -> str:
    data = (folder / ndjson(folder)).read_bytes()
    (folder / "trial.ndjson.gz").write_bytes(gzip.compress(data))
    return "trial.ndjson.gz"


@pytest.mark.parametrize(
    "make", [plain, gzipped, with_mark_and_crlf, parquet, ndjson, packed_ndjson]
)
def test_every_format_says_the_same(
    tmp_path: Path, stores: Stores, clock: FixedClock, make: Callable[[Path], str]
) -> None:
    write(tmp_path, rows(10), "reference.csv")
    take(tmp_path, stores, clock, file="reference.csv")
    marks = fingerprint(stores)
    done = take(tmp_path, stores, clock, file=make(tmp_path))
    assert (done.events, done.duplicates, done.quarantined) == ({}, 25, 0)
    assert fingerprint(stores) == marks


def test_another_encoding_and_delimiter(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    data = content(rows(3, r2={"area": "Zürich"})).replace(",", ";")
    (tmp_path / "trial.csv").write_bytes(data.encode("latin-1"))
    take(tmp_path, stores, clock, encoding="latin-1", delimiter=";")
    assert found(tmp_path, stores, "history", "area")[1] == {"area": "Zürich"}


def test_another_file_than_the_declared(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    other = write(tmp_path, rows(3), "other.csv")
    done = import_file(ImportJob(project(tmp_path), stores, "trial", clock, CONTROLS, file=other))
    assert done.rows == 3


# -------------------------------------------------------------------------------------- bad files


def gzip_bytes() -> bytes:
    return gzip.compress(content(rows(200)).encode(), mtime=0)


def flipped() -> bytes:
    data = bytearray(gzip_bytes())
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


BAD_FILES: list[tuple[str, bytes | None, str]] = [
    ("trial.csv", None, "no such file: trial.csv: put it there, or name another file"),
    ("trial.csv", b"", "the file is empty: trial.csv: export it again"),
    ("trial.csv", b"\n\n", "the file is empty: trial.csv: export it again"),
    ("trial.csv", HEADER.encode() + b"\n", "no rows under the header: trial.csv: export it again"),
    (
        "trial.csv.gz",
        gzip_bytes()[:-200],
        "the gzip file is truncated: trial.csv.gz: copy or export it again",
    ),
    ("trial.csv.gz", flipped(), "the gzip file is damaged"),
    (
        "trial.csv.gz",
        content(rows()).encode(),
        "not a gzip file: trial.csv.gz: compress it again, or drop the .gz",
    ),
    (
        "trial.csv",
        content(rows(5, r3={"area": "Zürich"})).encode("latin-1"),
        "not UTF-8 text: trial.csv:4: save it as UTF-8, or name its encoding, such as"
        ' encoding = "latin-1"',
    ),
    (
        "trial.csv",
        content(rows()).encode("utf-16-le"),
        'a NUL character: not plain text: trial.csv:1: name its encoding, such as encoding = "utf-16"',
    ),
    (
        "trial.csv",
        content(rows()).replace("months", "month").encode(),
        "no column 'months': trial.csv: did you mean 'month'?",
    ),
    (
        "trial.csv",
        content(rows()).replace("months,spent", "month,spend").encode(),
        "no columns 'months', 'spent': trial.csv: did you mean 'month'?",
    ),
    (
        "trial.csv",
        content(rows()).replace("area", "id").encode(),
        "the column 'id' is there twice: trial.csv: give every column its own name",
    ),
    (
        "trial.csv",
        content(rows()).replace(",area", ",").encode(),
        "a column without a name: trial.csv: name every column in the header",
    ),
    (
        "trial.csv",
        content(rows()).replace(",", ";").encode(),
        "the header is one field: it has ';' and not ',': trial.csv: set delimiter = ';'",
    ),
    (
        "trial.csv",
        content([*rows(3), "4,5", *rows(2)]).encode(),
        "a row of 2 fields under a header of 9: trial.csv:5: mend the row, or export the file again",
    ),
    (
        "trial.csv",
        content([*rows(3), row(4) + ",x"]).encode(),
        "a row of 10 fields under a header of 9: trial.csv:5: mend the row, or export the file again",
    ),
    (
        "trial.csv",
        content([*rows(3), row(4, area='"Rural')]).encode(),
        'a quote that is not closed: trial.csv:5: write a quote inside as ""',
    ),
    ("trial.parquet", b"PAR1 not really", "not a whole Parquet file"),
    (
        "trial.ndjson",
        b'{"id": "1"}\n{"id": \n',
        "not a JSON object: trial.ndjson:2: write one flat object a line",
    ),
    ("trial.ndjson", b"[1]\n", "not a JSON object: trial.ndjson:1: write one flat object a line"),
]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    home = Home.open(tmp_path_factory.mktemp("untouched") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        yield stores


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES)
def test_a_bad_file_writes_nothing(
    tmp_path: Path,
    untouched: Stores,
    clock: FixedClock,
    name: str,
    data: bytes | None,
    message: str,
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    before = sorted(untouched.home.path.rglob("*"))
    with pytest.raises(InputError) as caught:
        import_file(ImportJob(project(tmp_path, file=name), untouched, "trial", clock, CONTROLS))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert untouched.inbox.last_offset() == 0
    assert untouched.inbox.quarantine_count() == {}
    assert untouched.ledger.audit() == []
    assert sorted(untouched.home.path.rglob("*")) == before


def test_a_file_torn_far_down_writes_nothing(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    write(tmp_path, [*rows(20_000), "1,2"])
    with pytest.raises(
        InputError, match=r"a row of 2 fields under a header of 9: trial\.csv:20002"
    ):
        import_file(ImportJob(project(tmp_path), stores, "trial", clock, CONTROLS))
    assert stores.inbox.last_offset() == 0


def test_a_damaged_parquet_writes_nothing(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    parquet(tmp_path)
    path = tmp_path / "trial.parquet"
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a whole Parquet file"):
        import_file(ImportJob(project(tmp_path, file=path.name), stores, "trial", clock, CONTROLS))
    assert stores.inbox.last_offset() == 0


def test_names_are_checked(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    write(tmp_path, rows())
    with pytest.raises(UnknownName, match=r"trail.*did you mean 'trial'"):
        import_file(ImportJob(project(tmp_path), stores, "trail", clock, CONTROLS))
    with pytest.raises(UnknownName, match="no placement 'mail'"):
        import_file(ImportJob(project(tmp_path), stores, "trial", clock, {}))
