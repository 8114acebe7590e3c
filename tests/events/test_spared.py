"""What a refusal says of others stays, wherever it waits when somebody is erased."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read, relations
from liftwerk.events.replay import replay
from liftwerk.events.schema import schema_of
from liftwerk.events.spared import spare_body
from liftwerk.events.tail import Tail
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, granted, put
from tests.governance.erasing import erase_now, rows_of

ADA, BOB, TABLET = (
    leaf_key(space, name)
    for space, name in (
        ("email", "ada@example.com"),
        ("email", "bob@example.com"),
        ("device", "tablet"),
    )
)
SHARED = {"email": "ada@example.com", "device": "tablet"}
"""Whom a browser saw; its word links nobody."""

WORD = event(
    "consent_changed",
    9,
    time="2026-02-01T11:00:00Z",
    identifiers=SHARED,
    session="ada at home",
    context={"page": "/ada@example.com"},
    consent=granted("ads"),
    sent_at="2026-02-01T12:00:00Z",
    properties={"granted": [], "withdrawn": ["ads", "personalisation", "ada@example.com"]},
)


@pytest.fixture
def family(shop: Project, stores: Stores, clock: FixedClock) -> Stores:
    """A home that saw Ada and Bob with one tablet, and the tablet alone."""
    consent = granted("ads", "personalisation")
    seen = [
        event(number=1, identifiers=SHARED, consent=consent),
        event(number=2, identifiers={"email": "bob@example.com", "device": "tablet"}),
        event(number=3, identifiers={"device": "tablet"}, consent=consent),
    ]
    put(shop, stores, *seen, source="web")
    compact(shop, stores, clock)
    return stores


def said(shop: Project, stores: Stores) -> list[dict[str, Any]]:
    """Return the changes of consent that rest in tables."""
    return read(shop, stores, "consent_changed", "audit").to_pylist()


def of_the_tablet(row: dict[str, Any]) -> None:
    """Hold a row against what may be left of the word: of the tablet, and nothing of Ada."""
    assert row["id"] == UUID(int=9).bytes
    assert (row["leaf_email"], row["leaf_device"]) == (None, TABLET)
    assert row["customer_bucket"] == TABLET[0]
    assert (row["granted"], row["withdrawn"]) == ([], ["ads", "personalisation"])
    assert row["time"] == NOW - timedelta(hours=1)  # its clock was set right
    assert (row["known_at"], row["source"], row["trust"]) == (NOW, "web", "browser")
    nothing = ("session", "context", "consent_granted", "consent_source", "consent_at", "decision")
    assert [row[name] for name in nothing] == [None] * len(nothing)


def allowed(shop: Project, stores: Stores, purpose: str = "personalisation") -> list[int]:
    ids = read(shop, stores, "page_viewed", purpose, ["id"]).column("id").to_pylist()
    return [int.from_bytes(one, "big") for one in ids]


def test_a_word_in_tables_stays_for_the_others(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    assert allowed(shop, family) == [1, 3]
    put(shop, family, WORD, source="web")
    compact(shop, family, clock)
    assert allowed(shop, family) == []
    done = erase_now(shop, family, clock, "ada@example.com")
    assert done.found == []
    assert done.taken["events"].fields == {
        "consent_changed_v1.leaf_email": 1,
        "page_viewed_v1.leaf_email": 1,
        "identifiers.leaf": 1,
    }
    [row] = said(shop, family)
    of_the_tablet(row)
    assert row["digest"] is None
    assert [one.name for one in family.ids.folder.iterdir()] == ["manifest.json"]  # nor there
    assert allowed(shop, family) == []
    again = erase_now(shop, family, clock, "ada@example.com")
    assert set(rows_of(again).values()) == {0}
    assert said(shop, family) == [row]
    # Then the tablet, too: nothing is left that it could be about.
    done = erase_now(shop, family, clock, "device:tablet")
    assert done.found == []
    assert said(shop, family) == []


def test_what_comes_again_under_its_id_changes_nothing(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    put(shop, family, WORD, source="web")
    compact(shop, family, clock)
    erase_now(shop, family, clock, "ada@example.com")
    before = said(shop, family)
    other = {**WORD, "properties": {"granted": ["ads"], "withdrawn": []}}
    assert put(shop, family, WORD, other, WORD, source="web") == []
    with Tail(shop, family).reading() as behind:
        assert behind.tables == {}
    done = compact(shop, family, clock)
    assert (done.events, done.duplicates, done.quarantined) == ({}, 3, {})
    assert said(shop, family) == before


def test_a_word_that_waits_in_the_inbox_stays(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    put(shop, family, WORD, event(number=4), source="web")
    done = erase_now(shop, family, clock, "ada@example.com")
    assert done.found == []
    assert done.taken["inbox"].rows == 2  # one of them is another now
    assert family.inbox.count() == 1
    assert put(shop, family, WORD, source="web") == []
    done_again = compact(shop, family, clock)
    assert (done_again.events, done_again.duplicates) == ({"consent_changed": 1}, 1)
    [row] = said(shop, family)
    of_the_tablet(row)
    assert allowed(shop, family) == []


def test_a_word_that_was_let_in_before_the_tombstone_is_sorted_for_the_others(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    """As a process that collects leaves it: it did not know yet."""
    row = admit([msgspec.json.encode(WORD)], schema_of(shop), "web", NOW).rows[0]
    erase_now(shop, family, clock, "ada@example.com")
    assert row is not None
    family.inbox.append([row])
    with (
        Tail(shop, family).reading() as behind,
        relations(shop, family, "audit", names=["consent_changed"], tail=behind) as seen,
    ):
        [ahead] = seen.sql("SELECT * FROM consent_changed").to_arrow_table().to_pylist()
    assert compact(shop, family, clock).erased == 0
    [row] = said(shop, family)
    of_the_tablet(row)
    assert ahead == row


def test_what_names_nobody_who_was_erased_is_kept_whole(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    erase_now(shop, family, clock, "ada@example.com")
    put(shop, family, {**WORD, "identifiers": {"device": "tablet"}}, source="web")
    compact(shop, family, clock)
    [row] = said(shop, family)
    assert (row["session"], row["consent_granted"]) == ("ada at home", ["ads"])
    assert row["withdrawn"] == ["ads", "personalisation", "ada@example.com"]


def test_a_tail_that_holds_a_word_spares_it(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    tail = Tail(shop, family)
    put(shop, family, WORD, event(number=4), source="web")
    with tail.reading() as behind:
        assert sorted(behind.tables) == ["consent_changed_v1", "page_viewed_v1"]
    erase_now(shop, family, clock, "ada@example.com")
    with tail.reading() as behind:
        assert sorted(name for name, rows in behind.tables.items() if rows.num_rows) == [
            "consent_changed_v1"
        ]
        [row] = behind.tables["consent_changed_v1"].to_pylist()
    of_the_tablet(row)


def test_who_withdraws_beside_the_erased_is_let_in(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    erase_now(shop, family, clock, "ada@example.com")
    assert put(shop, family, WORD, source="web") == []
    assert b"ada" not in b"".join(family.inbox.read(0, 10).column("body").to_pylist())
    compact(shop, family, clock)
    of_the_tablet(said(shop, family)[0])
    alone = event("consent_changed", 10, properties={"granted": [], "withdrawn": ["ads"]})
    unknown = {**WORD, "properties": {"granted": [], "withdrawn": ["ada@example.com"]}}
    assert put(shop, family, alone, unknown, event(number=5), source="web") == ["erased"] * 3


def test_what_was_refused_waits_without_the_erased(
    shop: Project, family: Stores, clock: FixedClock
) -> None:
    late = {**WORD, "time": "2027-01-01T00:00:00Z"}
    named = {**WORD, "version": {"by": "ada@example.com"}}
    family.inbox.quarantine_put(
        [
            Rejected("web", NOW, f"reason {place}", "", msgspec.json.encode(one))
            for place, one in enumerate((WORD, late, named))
        ]
    )
    done = erase_now(shop, family, clock, "ada@example.com")
    assert (done.found, done.taken["quarantine"].rows) == ([], 3)
    kept = [one.rejected for one in family.inbox.quarantine_list()]
    assert [one.reason for one in kept] == ["reason 0", "reason 1"]
    assert not [one for one in kept if b"ada" in one.body]
    assert replay(shop, family, reason="reason 0").events == {"consent_changed": 1}
    compact(shop, family, clock)
    of_the_tablet(said(shop, family)[0])


def test_being_told_apart_stays_for_two_that_are_left(clock: FixedClock, stores: Stores) -> None:
    shop = shops.shop(identifiers={**shops.SHOP["identifiers"], "phone": {"normalise": "none"}})
    three = {**SHARED, "phone": "7"}
    properties = {"reason": "ada said so", "pair": "ada and the tablet"}
    apart = event("identity_unlinked", 6, identifiers=three, properties=properties)
    two = event("identity_unlinked", 7, identifiers=SHARED, properties=properties)
    other = event(number=8, identifiers={"email": "bob@example.com", "device": "tablet"})
    more = event(number=11, identifiers={"email": "bob@example.com", "phone": "7"})
    put(shop, stores, apart, two, other, more)
    compact(shop, stores, clock)
    waits = {**apart, "id": str(UUID(int=12))}
    put(shop, stores, waits)
    erase_now(shop, stores, clock, "ada@example.com")
    compact(shop, stores, clock)
    rows = read(shop, stores, "identity_unlinked", "audit").to_pylist()
    assert [
        (int.from_bytes(row["id"], "big"), row["leaf_email"], row["reason"], row["pair"])
        for row in rows
    ] == [(6, None, "", None), (12, None, "", None)]
    assert {row["leaf_device"] for row in rows} == {TABLET}
    assert {row["leaf_phone"] for row in rows} == {leaf_key("phone", "7")}


def test_sparing_is_the_same_again_and_of_nothing_else(shop: Project) -> None:
    schema = schema_of(shop)
    row = admit([msgspec.json.encode(WORD)], schema, "web", NOW).rows[0]
    assert row is not None
    once = spare_body(schema, row.body, frozenset({ADA}))
    assert once is not None
    assert spare_body(schema, once, frozenset({ADA})) == once
    assert spare_body(schema, once, frozenset({ADA, TABLET})) is None
    assert spare_body(schema, row.body, frozenset({ADA, TABLET})) is None
    for body in (b"", b"[]", b'"x"', b"{}", b'{"name":7}', msgspec.json.encode(event())):
        assert spare_body(schema, body, frozenset({ADA})) is None
