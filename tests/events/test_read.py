from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.append import append_event
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.query import query
from liftwerk.events.read import read, relations
from liftwerk.privacy.permitted import NOW as ALL
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import NOW, SHOP, event, granted, order, put
from tests.events.shop import shop as shop_with

BOB = {"email": "bob@example.com"}


def day(number: int) -> str:
    return f"2026-02-{number:02}T00:00:00Z"


def seen(
    project: Project,
    stores: Stores,
    purpose: str,
    name: str = "page_viewed",
    as_of: AsOf = ALL,
) -> list[int]:
    table = read(project, stores, name, purpose, ["id"], as_of)
    return [int.from_bytes(row, "big") for row in table.column("id").to_pylist()]


def withdrawn(number: int, *purposes: str, time: str, **fields: Any) -> dict[str, Any]:
    properties = {"granted": [], "withdrawn": list(purposes)}
    return event("consent_changed", number, time=time, properties=properties, **fields)


def test_consent_is_asked_where_it_is_the_basis(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(
        shop,
        stores,
        event(number=1),
        event(number=2, consent=granted()),
        event(number=3, consent=granted("ads")),
        event(number=4, consent=granted("ads", "personalisation")),
    )
    compact(shop, stores, clock)
    assert seen(shop, stores, "measurement") == [1, 2, 3, 4]
    assert seen(shop, stores, "accounting") == [1, 2, 3, 4]
    assert seen(shop, stores, "ads") == [3, 4]
    assert seen(shop, stores, "personalisation") == [4]
    assert seen(shop, stores, "audit") == [1, 2, 3, 4]


def test_a_withdrawal_reaches_what_its_purpose_says(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    both = granted("ads", "personalisation")
    put(
        shop,
        stores,
        event(number=1, time=day(1), consent=both),
        event(number=2, time=day(9), consent=both),
        event(number=3, time=day(1), consent=both, identifiers=BOB),
        event(number=4, time=day(9), consent=granted("ads", "personalisation", at=day(8))),
        withdrawn(5, "ads", "personalisation", "measurement", "accounting", time=day(5)),
    )
    compact(shop, stores, clock)
    assert seen(shop, stores, "ads") == [1, 3, 4]  # future: from the fifth on
    assert seen(shop, stores, "personalisation") == [3, 4]  # retroactive; agreed again on the 8th
    assert seen(shop, stores, "measurement") == [1, 3]  # an objection, future
    assert seen(shop, stores, "accounting") == [1, 2, 3, 4]  # a duty


def test_a_withdrawal_is_found_by_any_identifier(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    yes = granted("personalisation")
    put(
        shop,
        stores,
        event(number=1, consent=yes, identifiers={"email": "ada@example.com", "device": "d"}),
        event(number=2, consent=yes, identifiers={"device": "d"}),
        event(number=3, consent=yes, identifiers={"device": "e"}),
        withdrawn(4, "personalisation", time=day(5), identifiers={"device": "d"}),
    )
    compact(shop, stores, clock)
    assert seen(shop, stores, "personalisation") == [3]


def test_a_withdrawal_is_older_than_a_namespace(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    taken_back = {"granted": [], "withdrawn": ["personalisation"]}
    put(shop, stores, event("consent_changed", 1, properties=taken_back))
    compact(shop, stores, clock)
    more = shop_with(identifiers={**SHOP["identifiers"], "phone": {"normalise": "none"}})
    consent = granted("personalisation")
    put(more, stores, event(number=2, consent=consent))
    put(more, stores, event(number=3, identifiers={"phone": "7"}, consent=consent))
    compact(more, stores, clock)
    seen = read(more, stores, "page_viewed", "personalisation", ["leaf_phone"]).to_pylist()
    assert seen == [{"leaf_phone": leaf_key("phone", "7")}]


def test_the_past_knows_only_what_was_known(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    yes = granted("personalisation")
    put(shop, stores, event(number=1, consent=yes))
    put(shop, stores, withdrawn(2, "personalisation", time=day(1)), at=NOW + timedelta(days=2))
    put(shop, stores, event(number=3, identifiers=BOB, consent=yes), at=NOW + timedelta(days=4))
    compact(shop, stores, clock)

    def on(days: int) -> list[int]:
        return seen(shop, stores, "personalisation", as_of=AsOf(NOW + timedelta(days=days)))

    assert [on(-1), on(0), on(2), on(4)] == [[], [1], [], [3]]
    by_offset = [
        seen(shop, stores, "personalisation", as_of=AsOf(offset=offset)) for offset in range(4)
    ]
    assert by_offset == [[], [1], [], [3]]


def test_test_traffic_is_not_counted(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1), event(number=2, synthetic=True))
    compact(shop, stores, clock)
    assert seen(shop, stores, "measurement") == [1]
    assert seen(shop, stores, "audit") == [1, 2]


def test_a_conversion_counts_once(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, order(1, "a", "1.00"), order(2, "b", "2.00"))
    put(shop, stores, order(3, "a", "9.00", time=day(1)), at=NOW + timedelta(hours=1))
    compact(shop, stores, clock)
    assert seen(shop, stores, "accounting", "order_completed") == [1, 2]
    # A file that says it knew earlier is no surer than the shop's own server.
    put(shop, stores, order(4, "b", "3.00", known_at=day(2)), source="file")
    put(shop, stores, order(5, "b", "3.00", time=day(2)), at=NOW - timedelta(hours=1))
    compact(shop, stores, clock)
    assert seen(shop, stores, "accounting", "order_completed") == [1, 5]
    assert seen(shop, stores, "audit", "order_completed") == [1, 2, 3, 4, 5]


def test_the_surest_source_tells_a_conversion(stores: Stores, clock: FixedClock) -> None:
    sources = {
        name: {"kind": "http", "trust": trust, "key_env": "K"}
        for name, trust in (("web", "browser"), ("ally", "partner"), ("till", "server"))
    }
    project = shop_with(sources={**sources, "file": {"kind": "file", "trust": "import"}})
    for number, source in enumerate(("web", "ally", "file", "till"), 1):
        told = order(number, known_at=NOW + timedelta(hours=number))
        put(project, stores, told, source=source, at=NOW + timedelta(hours=number))
        compact(project, stores, clock)
        assert seen(project, stores, "accounting", "order_completed") == [number]
    # Each was the best of those known by its offset, and by its time; and the order of arrival is
    # nothing but what was known: after the surest nothing changes any more.
    put(project, stores, order(5), source="web", at=NOW + timedelta(hours=5))
    compact(project, stores, clock)
    for number in range(1, 6):
        best = [min(number, 4)]
        by_offset = AsOf(offset=number)
        assert seen(project, stores, "accounting", "order_completed", by_offset) == best
        by_time = AsOf(NOW + timedelta(hours=number))
        assert seen(project, stores, "accounting", "order_completed", by_time) == best


def test_a_conversion_counts_where_it_may_be_read(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    yes = granted("ads", "personalisation")
    put(shop, stores, order(1, "a", consent=yes, identifiers=BOB), source="web")
    put(
        shop,
        stores,
        order(2, "a"),  # surer, and known to nobody who asks for ads
        order(3, "a", synthetic=True),
        order(4, "b", consent=yes),  # its consent will be withdrawn, for all time
    )
    put(shop, stores, order(5, "b", consent=yes, identifiers=BOB), source="web")
    put(shop, stores, order(6, "c", identifiers={"email": "eve@example.com"}))
    put(shop, stores, order(7, "c", identifiers=BOB), source="web")
    compact(shop, stores, clock)
    assert seen(shop, stores, "ads", "order_completed") == [1, 4]
    assert seen(shop, stores, "accounting", "order_completed") == [2, 4, 6]
    put(shop, stores, withdrawn(8, "personalisation", time=day(20)))
    compact(shop, stores, clock)
    assert seen(shop, stores, "personalisation", "order_completed") == [1, 5]
    before = AsOf(offset=7)
    assert seen(shop, stores, "personalisation", "order_completed", before) == [1, 4]
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("email", "eve@example.com")])
    assert seen(shop, stores, "accounting", "order_completed") == [2, 4, 7]


def test_what_was_seen_comes_before_what_was_modelled(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, order(1, "a", modelled=True), order(2, "b", modelled=True))
    put(shop, stores, order(3, "a"), source="web")
    compact(shop, stores, clock)
    assert seen(shop, stores, "accounting", "order_completed") == [2, 3]


def test_a_partial_key_is_no_key(stores: Stores, clock: FixedClock) -> None:
    events = copy.deepcopy(SHOP["events"])
    definition = events["order_completed"]
    definition["unique"] = ["order_id", "part"]
    definition["properties"]["part"] = {"type": "integer", "required": False}
    project = shop_with(events=events)
    put(project, stores, order(1), order(2), *(order(n, properties={"part": 1}) for n in (3, 4)))
    put(project, stores, order(5, properties={"part": 2}))
    compact(project, stores, clock)
    assert seen(project, stores, "accounting", "order_completed") == [1, 2, 3, 5]


def test_a_conversion_of_two_versions_counts_once(stores: Stores, clock: FixedClock) -> None:
    events = copy.deepcopy(SHOP["events"])
    old = copy.deepcopy(events["order_completed"])
    put(shop_with(events=events), stores, order(1, "a"), order(2, "b"), source="web")
    events["order_completed"]["version"] = 3
    events["order_completed"]["earlier"] = [{"version": 2, "properties": old["properties"]}]
    project = shop_with(events=events)
    put(project, stores, order(3, "a", version=3))
    put(project, stores, order(4, "b", version=3), source="web", at=NOW + timedelta(hours=1))
    compact(project, stores, clock)
    assert seen(project, stores, "accounting", "order_completed") == [2, 3]


def test_the_report_that_counts_brings_its_own_weight(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, order(1, "a", weight=4.0), order(2, "b", weight=4.0), source="web")
    put(shop, stores, order(3, "a"))
    compact(shop, stores, clock)
    table = read(shop, stores, "order_completed", "accounting", ["weight"])
    assert table.column("weight").to_pylist() == [4.0, 1.0]


def test_what_counted_until_when_can_be_asked(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    hours = [NOW + timedelta(hours=n) for n in range(4)]
    for number, source in ((1, "web"), (2, "till"), (3, "web")):
        put(shop, stores, order(number, "a"), source=source, at=hours[number])
    put(shop, stores, event(number=4))
    compact(shop, stores, clock)
    with relations(shop, stores, "accounting", superseded=True) as connection:
        rows = connection.execute(
            "SELECT superseded_at, superseded_by FROM order_completed ORDER BY id"
        ).fetchall()
        views = connection.execute("SELECT superseded_by FROM page_viewed").fetchall()
    two = (2).to_bytes(16, "big")
    # The third was never the best: the first was known before it, and is as sure.
    assert rows == [(hours[2], two), (None, None), (hours[1], two)]
    assert views == [(None,)]


def test_whose_erasure_began_is_seen_no_more(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), event(number=2, identifiers=BOB))
    compact(shop, stores, clock)
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("email", "bob@example.com")])
    assert seen(shop, stores, "measurement") == [1]
    assert seen(shop, stores, "erasure") == [1, 2]


def test_columns_come_as_asked(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, order(1))
    compact(shop, stores, clock)
    table = read(shop, stores, "order_completed", "accounting", ["revenue", "offset"])
    assert table.column_names == ["revenue", "offset"]
    assert str(table.schema.field("revenue").type) == "int64"
    derived = read(
        shop, stores, "order_completed", "accounting", ["cents"], derived={"cents": "revenue % 100"}
    )
    assert derived.column("cents").to_pylist() == [0]
    with pytest.raises(UnknownName, match=r"no column 'revenu': .*: did you mean 'revenue'"):
        read(shop, stores, "order_completed", "accounting", ["revenu"])


def test_the_columns_are_there_without_rows(shop: Project, stores: Stores) -> None:
    empty = read(shop, stores, "order_completed", "accounting")
    assert empty.num_rows == 0
    assert str(empty.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert "list" in str(empty.schema.field("items").type)


def test_names_are_checked(shop: Project, stores: Stores) -> None:
    with pytest.raises(UnknownName, match=r"no purpose 'add': .*: did you mean 'ads'"):
        read(shop, stores, "page_viewed", "add")
    with pytest.raises(UnknownName, match=r"no event 'page_view': .*: did you mean 'page_viewed'"):
        read(shop, stores, "page_view", "ads")


def test_views_have_the_events_names(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1), order(2))
    compact(shop, stores, clock)
    with relations(shop, stores, "measurement", derived={"who": "leaf_email"}) as connection:
        rows = connection.execute(
            "SELECT count(*), any_value(p.who = o.who) FROM page_viewed p, order_completed o"
        ).fetchall()
    assert rows == [(1, True)]


# ------------------------------------------------------------------------------------------- SQL


def ask(project: Project, stores: Stores, sql: str, purpose: str = "ads") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(project, stores, sql, purpose).to_pylist()
    return found


@pytest.fixture(scope="module")
def asked(shop: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    home = Home.open(tmp_path_factory.mktemp("asked") / "home", create=True)
    with open_stores(home) as stores:
        put(
            shop,
            stores,
            order(1, "a", "1.50", consent=granted("ads")),
            order(2, "b", "2.50"),
            event(number=3, consent=granted("ads")),
        )
        compact(shop, stores, FixedClock(NOW))
        yield stores


def test_a_question_is_answered_for_its_purpose(shop: Project, asked: Stores) -> None:
    sql = "SELECT count(*) AS orders, sum(revenue)::BIGINT AS cents FROM Order_Completed"
    assert ask(shop, asked, sql) == [{"orders": 1, "cents": 150}]
    assert ask(shop, asked, sql, "accounting") == [{"orders": 2, "cents": 400}]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("WITH a AS (FROM order_completed) SELECT count(*) n FROM a", [{"n": 1}]),
        ("-- how many\nFROM main.page_viewed SELECT count(*) n;", [{"n": 1}]),
        ("SELECT (SELECT count(*) FROM page_viewed) n", [{"n": 1}]),
        ("SELECT 1 AS n", [{"n": 1}]),
        (
            'SELECT count(*) n FROM page_viewed JOIN "order_completed" USING (leaf_email)',
            [{"n": 1}],
        ),
    ],
)
def test_reading_is_possible(shop: Project, asked: Stores, sql: str, rows: list[Any]) -> None:
    assert ask(shop, asked, sql) == rows


def test_tables_describe_themselves(shop: Project, asked: Stores) -> None:
    described = ask(shop, asked, "DESCRIBE order_completed")
    types = {row["column_name"]: row["column_type"] for row in described}
    assert (types["revenue"], types["time"]) == ("BIGINT", "TIMESTAMP WITH TIME ZONE")
    names = [row["name"] for row in ask(shop, asked, "SHOW TABLES")]
    assert {"order_completed", "page_viewed", "decision_made"} <= set(names)
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP TABLE page_viewed", "only reading is possible: sql: begin with SELECT"),
        ("INSERT INTO page_viewed SELECT * FROM page_viewed", "only reading is possible"),
        ("COPY page_viewed TO '/tmp/x.csv'", "only reading is possible"),
        ("ATTACH 'x.db'", "only reading is possible"),
        ("SET threads = 1", "only reading is possible"),
        ("PRAGMA database_list", "only reading is possible"),
        ("CALL pragma_version()", "only reading is possible"),
        ("SELECT 1; SELECT 2", "2 statements: sql: write one"),
        ("", "0 statements"),
        ("SELEC 1", "Parser Error: syntax error"),
        ("SELECT * FROM page_view", "did you mean 'page_viewed'"),
        ("SELECT nothing FROM page_viewed", "Binder Error"),
        ("SELECT * FROM _withdrawals", "_withdrawals does not exist"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
        ("SELECT * FROM '/etc/hostname'", "/etc/hostname does not exist"),
        ("SELECT * FROM '/etc/hostname.csv'", "disabled by configuration"),
        ("SELECT * FROM glob('/*')", "disabled by configuration"),
        ("SELECT 1 / (SELECT count(*) FROM (SELECT unnest(range(3)) WHERE error('a\nb')))", "a"),
    ],
)
def test_nothing_else_is(shop: Project, asked: Stores, sql: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(shop, asked, sql)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_question_needs_a_declared_purpose(shop: Project, asked: Stores) -> None:
    with pytest.raises(UnknownName, match=r"no purpose 'audit' to ask for: .*housekeeping"):
        ask(shop, asked, "SELECT 1", "audit")
    with pytest.raises(UnknownName, match="did you mean 'ads'"):
        ask(shop, asked, "SELECT 1", "adds")


# ------------------------------------------------------------------------------- our own events


def test_an_event_of_our_own(shop: Project, stores: Stores, clock: FixedClock) -> None:
    told = {
        "name": "consent_changed",
        "identifiers": BOB,
        "properties": {"granted": [], "withdrawn": ["ads"]},
    }
    first = append_event(shop, stores, told, "till", clock)
    assert append_event(shop, stores, told, "till", clock) == first
    clock.advance(timedelta(microseconds=1))
    assert append_event(shop, stores, told, "till", clock) != first
    assert compact(shop, stores, clock).events == {"consent_changed": 2}
    with pytest.raises(InputError, match=r"consent_changed\.withdrawn|withdrawn is missing"):
        append_event(shop, stores, {**told, "properties": {"granted": []}}, "till", clock)
