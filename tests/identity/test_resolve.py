from __future__ import annotations

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key, normalise
from liftwerk.events.read import read as read_events
from liftwerk.identity.resolve import (
    customer_of,
    leaves_of,
    names_of,
    query,
    read,
    relations,
    resolve,
)
from liftwerk.store.stores import Stores
from tests.events.shop import event, put, shop

ADA = leaf_key("email", "ada@example.com")
BOB = leaf_key("email", "bob@example.com")
PHONE = leaf_key("device", "phone")
SHARED = leaf_key("device", "shared")


@pytest.fixture
def known(shop: Project, stores: Stores, clock: FixedClock) -> Stores:
    people = [
        {"email": "Ada@example.com", "device": "phone"},
        {"email": "ada@example.com", "device": "shared"},
        {"email": "bob@example.com", "device": "shared"},
        {"device": "shared"},
        {"device": "alone"},
        {"device": "phone"},
    ]
    put(shop, stores, *(event(number=n, identifiers=one) for n, one in enumerate(people, start=1)))
    compact(shop, stores, clock)
    return stores


def test_a_customer_is_the_first_declared_namespace(shop: Project, known: Stores) -> None:
    expected = [ADA, ADA, BOB, SHARED, leaf_key("device", "alone"), PHONE]
    table = resolve(shop, read_events(shop, known, "page_viewed", "measurement"))
    assert table.column("customer").to_pylist() == expected
    read_table = read(shop, known, "page_viewed", "measurement", ["customer"])
    assert read_table.column("customer").to_pylist() == expected
    with relations(shop, known, "measurement", names=["page_viewed"]) as connection:
        rows = connection.execute('SELECT customer FROM page_viewed ORDER BY "offset"').fetchall()
    assert [row[0] for row in rows] == expected
    sql = "SELECT count(DISTINCT customer) AS people FROM page_viewed"
    assert query(shop, known, sql, "measurement").to_pylist() == [{"people": 5}]


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


def test_what_others_use_too_is_not_a_customers_alone(shop: Project, known: Stores) -> None:
    assert leaves_of(shop, known, ADA) == [ADA, PHONE]
    assert leaves_of(shop, known, BOB) == [BOB]


def test_one_namespace_needs_no_look(stores: Stores) -> None:
    single = shop(identifiers={"customer_id": {"normalise": "trim"}})
    assert leaves_of(single, stores, ADA) == [ADA]


@pytest.mark.parametrize(
    ("rule", "value", "spelled"),
    [
        ("none", " A ", " A "),
        ("trim", " A\t", "A"),
        ("lower", " ÄB ", "äb"),
        ("lower", "e\u0301", "\u00e9"),
        ("email", " Ada@Example.com ", "ada@example.com"),
    ],
)
def test_one_spelling(rule: str, value: str, spelled: str) -> None:
    assert normalise(rule, value) == spelled  # type: ignore[arg-type]
    assert normalise(rule, spelled) == spelled  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "value"),
    [("none", ""), ("trim", " \n"), ("email", "ada"), ("email", "@x"), ("email", "a b@x")],
)
def test_no_spelling(rule: str, value: str) -> None:
    with pytest.raises(ValueError, match="an identifier is"):
        normalise(rule, value)  # type: ignore[arg-type]


def test_namespaces_keep_values_apart() -> None:
    assert leaf_key("email", "x") != leaf_key("device", "x")
    assert len(leaf_key("email", "x")) == 16
