"""Test traffic changes nothing that is derived: with it or without, every reader sees the same."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.consent.history import consent_history
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import identifier_values, relations
from liftwerk.events.sequence import fingerprint
from liftwerk.identity.mapping import identity_map
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, granted, order, put

LATER = FixedClock(NOW + timedelta(days=1))
PURPOSES = ("measurement", "ads", "personalisation", "accounting")
EMAILS = ("ada@example.com", "bob@example.com")
KINDS = ("page_viewed", "order_completed", "consent_changed", "identity_linked")


def drawn(rng: random.Random) -> dict[str, Any]:
    return {
        "kind": rng.choice(KINDS),
        "who": rng.choice(EMAILS),
        "device": rng.choice([None, "d1", "d2"]),
        "granted": rng.choice([None, [], ["ads"], ["ads", "personalisation"]]),
        "withdrawn": rng.random() < 0.3,
        "order": rng.choice(["o1", "o2", "o3"]),
        "day": rng.randrange(20),
        "synthetic": rng.random() < 0.5,
    }


def made(number: int, one: dict[str, Any]) -> dict[str, Any]:
    identifiers = {"email": one["who"]}
    if one["device"] is not None:
        identifiers["device"] = one["device"]
    elif one["synthetic"]:
        identifiers["device"] = "only in tests"
    fields: dict[str, Any] = {
        "time": (NOW - timedelta(days=30 - one["day"])).isoformat(),
        "identifiers": identifiers,
        "synthetic": one["synthetic"],
    }
    if one["granted"] is not None:
        fields["consent"] = granted(*one["granted"], at=fields["time"])
    if one["kind"] == "order_completed":
        return order(number, one["order"], f"{number}.00", **fields)
    if one["kind"] == "consent_changed":
        change = {"granted": one["granted"] or [], "withdrawn": []}
        if one["withdrawn"]:
            change = {"granted": [], "withdrawn": ["ads", "personalisation", "measurement"]}
        fields["properties"] = change
    return event(one["kind"], number, **fields)


def _without_offsets(table: pyarrow.Table) -> list[dict[str, Any]]:
    """Test traffic has its places in the log: the offsets of others differ."""
    names = [name for name in table.column_names if "offset" not in name]
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    return rows


def derived(shop: Project, folder: Path, many: list[dict[str, Any]]) -> dict[str, Any]:
    """Say all that a reader can see."""
    with open_stores(Home.open(folder / "home", create=True)) as stores, stores.home.hold("test"):
        assert put(shop, stores, *many) == []
        compact(shop, stores, LATER)
        found: dict[str, Any] = {}
        for purpose in PURPOSES:
            with relations(shop, stores, purpose) as connection:
                for name in KINDS:
                    sql = f'SELECT * EXCLUDE ("offset") FROM {name} ORDER BY "offset"'
                    rows = connection.sql(sql).to_arrow_table().to_pylist()
                    found[f"{purpose} {name}"] = rows
        found["content"] = fingerprint(stores)
        found["identities"] = _without_offsets(identity_map(shop, stores))
        found["values"] = identifier_values(shop, stores, "audit").to_pylist()
        leaves = [leaf_key("email", email) for email in EMAILS]
        found["consent"] = _without_offsets(consent_history(shop, stores, leaves))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_what_is_derived_is_the_same_without_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    many = [drawn(rng) for _ in range(40)]
    whole = [made(number + 1, one) for number, one in enumerate(many)]
    real = [one for one in whole if not one["synthetic"]]
    shop = shops.shop()
    with_tests = derived(shop, tmp_path / "with", whole)
    assert any(rows for name, rows in with_tests.items() if name.startswith("ads "))
    assert with_tests == derived(shop, tmp_path / "without", real)
