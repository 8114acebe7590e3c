from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read as read_events
from liftwerk.identity.history import histories
from liftwerk.identity.leaves import leaves_of
from liftwerk.identity.mapping import customers_as_of, identity_map
from liftwerk.identity.resolve import (
    customer_of,
    customers_of,
    names_of,
    query,
    read,
    relations,
    resolve,
)
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, put

_TIME = pyarrow.timestamp("us", "UTC")
ADA = leaf_key("email", "ada@example.com")
BOB = leaf_key("email", "bob@example.com")
PHONE = leaf_key("device", "phone")
SHARED = leaf_key("device", "shared")
ALONE = leaf_key("device", "alone")


COOKIES = {"email": {"normalise": "email"}, "device": {"anonymous": True}}
PEOPLE = [
    {"email": "Ada@example.com", "device": "phone"},
    {"email": "ada@example.com", "device": "shared"},
    {"email": "bob@example.com", "device": "shared"},
    {"device": "shared"},
    {"device": "alone"},
    {"device": "phone"},
]


@pytest.fixture
def known(shop: Project, stores: Stores, clock: FixedClock) -> Stores:
    events = [event(number=n, identifiers=one) for n, one in enumerate(PEOPLE, start=1)]
    put(shop, stores, *events)
    compact(shop, stores, clock)
    return stores


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({}, [ADA, ADA, ADA, ADA, ALONE, ADA]),
        ({"shared": ["device:shared"]}, [ADA, ADA, BOB, SHARED, ALONE, ADA]),
        ({"linked_by": ["import"]}, [ADA, ADA, BOB, SHARED, ALONE, PHONE]),
    ],
)
def test_customers_are_what_links_make(
    known: Stores, identity: dict[str, Any], expected: list[bytes]
) -> None:
    project = shops.shop(identity=identity)
    rows = read_events(project, known, "page_viewed", "measurement")
    customers = customers_as_of(project, known)
    assert resolve(project, rows, customers).column("customer").to_pylist() == expected
    assert (
        read(project, known, "page_viewed", "measurement", ["customer"])
        .column("customer")
        .to_pylist()
        == expected
    )
    with relations(project, known, "measurement", names=["page_viewed"]) as connection:
        found = connection.execute('SELECT customer FROM page_viewed ORDER BY "offset"').fetchall()
    assert [row[0] for row in found] == expected
    sql = "SELECT count(DISTINCT customer) AS people FROM page_viewed"
    assert query(project, known, sql, "measurement").to_pylist() == [{"people": len({*expected})}]
    asked = customers_of(project, known, [BOB, PHONE])
    assert asked == {BOB: expected[2], PHONE: expected[5]}


def test_what_was_not_known_yet_merges_nobody(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    early, late = NOW, NOW + timedelta(days=2)
    put(shop, stores, event(number=1, identifiers={"device": "phone"}), at=early)
    put(shop, stores, event(number=2, identifiers=PEOPLE[0]), at=late)
    compact(shop, stores, clock)

    def customers(as_of: AsOf) -> list[bytes]:
        rows = read(shop, stores, "page_viewed", "measurement", ["customer"], as_of)
        return list(rows.column("customer").to_pylist())

    assert customers(AsOf()) == [ADA, ADA]
    assert customers(AsOf(time=early)) == [PHONE]
    assert customers(AsOf(offset=1)) == [PHONE]
    [row] = identity_map(shop, stores).to_pylist()
    assert (row["leaf"], row["customer"], row["known_from"]) == (PHONE, ADA, late)
    assert row["valid_from"] == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert (row["known_offset"], row["since"], row["until"]) == (2, late, None)
    assert identity_map(shop, stores, AsOf(offset=1)).num_rows == 0


def test_a_shared_identifier_links_nobody(known: Stores) -> None:
    project = shops.shop(identifiers=COOKIES, identity={"at_most": 1})
    rows = read(project, known, "page_viewed", "measurement", ["customer"])
    assert rows.column("customer").to_pylist() == [ADA, ADA, BOB, SHARED, ALONE, ADA]


def test_test_traffic_and_browsers_link_nobody(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1, identifiers=PEOPLE[0], synthetic=True))
    put(shop, stores, event(number=2, identifiers=PEOPLE[1]), source="web")
    compact(shop, stores, clock)
    assert identity_map(shop, stores).num_rows == 0
    believed = shops.shop(identity={"linked_by": ["browser"]})
    assert customers_of(believed, stores, [SHARED, PHONE]) == {SHARED: ADA, PHONE: PHONE}


def test_a_visitor_is_a_unit_of_its_own(known: Stores) -> None:
    project = shops.shop(identifiers=COOKIES)
    rows = read(project, known, "page_viewed", "measurement", ["customer", "visitor"])
    assert rows.column("visitor").to_pylist() == [PHONE, SHARED, SHARED, SHARED, ALONE, PHONE]
    assert rows.column("customer").to_pylist() == [ADA, ADA, ADA, ADA, ALONE, ADA]


def test_two_of_one_namespace_are_linked_by_a_pair(stores: Stores, clock: FixedClock) -> None:
    single = shops.shop(identifiers={"customer_id": {"normalise": "trim"}})
    old, new = leaf_key("customer_id", "7"), leaf_key("customer_id", "8")
    found = []
    for number, value in ((1, "7"), (2, "8")):
        said = event("identity_linked", number, identifiers={"customer_id": value})
        put(single, stores, {**said, "properties": {"pair": "x", "evidence": "moved"}})
        compact(single, stores, clock)
        found.append(set(customers_of(single, stores, [old, new]).values()))
    assert found == [{old, new}, {min(old, new)}]


def test_a_person_writes_an_identifier(shop: Project) -> None:
    assert customer_of(shop, " ADA@example.com") == ADA
    assert customer_of(shop, "device:phone") == PHONE
    assert customer_of(shop, "phone", namespace="device") == PHONE
    assert customer_of(shop, "email:ada@example.com") == ADA
    with pytest.raises(InputError, match="not an e-mail address: identifiers"):
        customer_of(shop, "phone")
    with pytest.raises(UnknownName, match="did you mean 'device'"):
        customer_of(shop, "phone", namespace="devise")


def test_customers_have_names(shop: Project, known: Stores) -> None:
    names = names_of(shop, known, [ADA, SHARED, bytes(16)], "measurement")
    assert names == {ADA: "ada@example.com", SHARED: "shared"}


def test_what_others_use_too_is_not_a_customers_alone(known: Stores) -> None:
    apart = shops.shop(identifiers=COOKIES, identity={"at_most": 1})
    for identifier in (ADA, PHONE):
        assert leaves_of(apart, known, identifier) == [ADA, PHONE]
    assert leaves_of(apart, known, BOB) == [BOB]
    unlinked = shops.shop(identity={"linked_by": ["import"]})
    assert leaves_of(unlinked, known, ADA) == [ADA, PHONE]


def test_a_merged_customer_is_all_its_identifiers(shop: Project, known: Stores) -> None:
    assert leaves_of(shop, known, PHONE) == [ADA, *sorted([BOB, SHARED, PHONE])]


def test_one_namespace_needs_no_look(stores: Stores) -> None:
    single = shops.shop(identifiers={"customer_id": {"normalise": "trim"}})
    assert leaves_of(single, stores, ADA) == [ADA]


def test_namespaces_keep_values_apart() -> None:
    assert leaf_key("email", "x") != leaf_key("device", "x")
    assert len(leaf_key("email", "x")) == 16


def test_a_withdrawal_reaches_identifiers_that_were_linked_later(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    yes = {"granted": ["ads"], "source": "api"}
    by_phone = {"identifiers": {"device": "phone"}, "consent": yes}
    others = {"identifiers": {"device": "alone"}, "consent": yes}
    gone = {"granted": [], "withdrawn": ["ads"]}
    early, late = NOW, NOW + timedelta(days=2)
    put(
        shop,
        stores,
        event(
            "consent_changed",
            1,
            identifiers={"email": "ada@example.com"},
            properties=gone,
            time="2026-01-10T12:00:00Z",
        ),
        event(number=2, **by_phone),
        event(number=3, **others),
        at=early,
    )
    compact(shop, stores, clock)
    assert read(shop, stores, "page_viewed", "ads", ["offset"]).column(0).to_pylist() == [2, 3]
    put(shop, stores, event(number=4, identifiers=PEOPLE[0], consent=yes), at=late)
    compact(shop, stores, clock)
    assert read(shop, stores, "page_viewed", "ads", ["offset"]).column(0).to_pylist() == [3]
    assert query(shop, stores, "SELECT count(*) AS n FROM page_viewed", "ads").to_pylist() == [
        {"n": 1}
    ]
    # Who knew no link knew no withdrawal of this phone.
    known = read(shop, stores, "page_viewed", "ads", ["offset"], AsOf(time=early))
    assert known.column(0).to_pylist() == [2, 3]
    spine = pyarrow.table({"customer": [PHONE], "time": pyarrow.array([late], _TIME)})
    with histories(shop, stores, spine, "ads", names=["page_viewed"]) as (connection, _):
        assert connection.execute("SELECT count(*) FROM page_viewed").fetchall() == [(0,)]
    # A later grant by any of the identifiers is theirs too.
    again = {"granted": ["ads"], "withdrawn": []}
    put(
        shop,
        stores,
        event(
            "consent_changed",
            5,
            identifiers={"device": "phone"},
            properties=again,
            time="2026-01-20T12:00:00Z",
        ),
        at=late,
    )
    compact(shop, stores, clock)
    assert read(shop, stores, "page_viewed", "ads", ["offset"]).column(0).to_pylist() == [2, 3, 4]
