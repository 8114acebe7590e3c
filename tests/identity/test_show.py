"""What `liftwerk identity` shows and does, through the command's own door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liftwerk.cli.main import main
from liftwerk.clock import FixedClock
from liftwerk.errors import Refused
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read as read_events
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.identity.mapping import identity_map
from liftwerk.identity.resolve import customers_of
from liftwerk.identity.show import LISTED, resolve_one, show_one
from liftwerk.identity.unmerge import unmerge
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, put
from tests.governance.erasing import erase_now

ADA = leaf_key("email", "ada@example.com")
BOB = leaf_key("email", "bob@example.com")
PHONE = leaf_key("device", "phone")
IDENTIFIERS = {
    "email": {"normalise": "email", "privacy": "personal"},
    "device": {"anonymous": True},
}
SHOP = shops.shop(identifiers=IDENTIFIERS)


def pair(email: str, device: str = "phone") -> dict[str, str]:
    return {"email": f"{email}@example.com", "device": device}


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['namespace']}:{row['value']}" for row in rows]


@pytest.fixture
def merged(stores: Stores, clock: FixedClock) -> Stores:
    put(SHOP, stores, event(number=1, identifiers=pair("ada")))
    put(SHOP, stores, event(number=2, identifiers=pair("bob")))
    put(SHOP, stores, event(number=3, identifiers=pair("ada", "tablet")), source="web")
    put(SHOP, stores, event(number=4, identifiers={"device": "alone"}))
    compact(SHOP, stores, clock)
    return stores


def test_a_customer_is_shown_with_its_evidence(merged: Stores) -> None:
    found = show_one(SHOP, merged, "device:phone")
    assert found["customer"]["value"] == "ada@example.com"
    assert names(found["identifiers"]) == [
        "email:ada@example.com",
        "device:phone",
        "email:bob@example.com",
    ]
    bob = found["identifiers"][2]
    assert bob["with"]["value"] == "phone"
    assert (bob["event"], bob["source"], bob["offset"]) == ("page_viewed", "till", 2)
    assert bob["happened"] == "2026-02-01T12:00:00+00:00"
    assert bob["known"] == NOW.isoformat()
    [held] = found["held_back"]
    assert (held["with"]["value"], held["source"]) == ("tablet", "web")
    assert held["reason"] == "seen by a source whose word does not link"


def test_a_stranger_and_a_visitor_are_shown_too(merged: Stores) -> None:
    for identifier, value in (("device:alone", "alone"), ("nobody@example.com", None)):
        found = show_one(SHOP, merged, identifier)
        assert [row["value"] for row in found["identifiers"]] == [value]
        assert found["held_back"] == []
    assert resolve_one(SHOP, merged, "device:alone")["visitor"]
    phone = resolve_one(SHOP, merged, "device:phone")
    assert (phone["visitor"], phone["customer"]["value"]) == (False, "ada@example.com")


def test_what_is_shared_is_held_back_and_counted(stores: Stores, clock: FixedClock) -> None:
    project = shops.shop(identifiers=IDENTIFIERS, identity={"shared": ["email:test@example.com"]})
    people = [event(number=n, identifiers=pair(f"p{n}")) for n in range(1, LISTED + 6)]
    put(project, stores, *people, event(number=99, identifiers=pair("test", "lab")))
    compact(project, stores, clock)
    found = show_one(project, stores, "device:phone")
    assert found["held_back_count"] == LISTED + 5
    assert len(found["held_back"]) == LISTED
    assert {row["reason"] for row in found["held_back"]} == {
        "shared: linked to more than 10 others"
    }
    [held] = show_one(project, stores, "device:lab")["held_back"]
    assert (held["with"]["value"], held["reason"]) == ("test@example.com", "shared: declared so")


def test_unmerging_changes_what_comes_and_no_event(merged: Stores, clock: FixedClock) -> None:
    before = read_events(SHOP, merged, "page_viewed", "audit")
    done = unmerge(SHOP, merged, "ada@example.com", "bob@example.com", "ann", clock, "a family")
    assert done["customers"] == [ADA.hex(), BOB.hex()]
    assert read_events(SHOP, merged, "page_viewed", "audit") == before
    assert customers_of(SHOP, merged, [ADA, BOB, PHONE]) == {ADA: ADA, BOB: BOB, PHONE: ADA}
    rows = [row for row in identity_map(SHOP, merged).to_pylist() if row["leaf"] == BOB]
    assert [(row["customer"], row["until"] is None) for row in rows] == [(ADA, False), (BOB, True)]
    reasons = [row["reason"] for row in show_one(SHOP, merged, "bob@example.com")["held_back"]]
    assert reasons == ["told apart: a family", "it would join what was told apart"]
    entry = merged.ledger.audit()[-2]  # the last one is the compaction's
    assert (entry.action, entry.detail["reason"]) == ("identity.unmerge", "a family")
    assert ADA.hex() not in str(entry)
    with pytest.raises(Refused, match="they are not one customer"):
        unmerge(SHOP, merged, "ada@example.com", "bob@example.com", "ann", clock, "again")
    with pytest.raises(Refused, match="the same identifier"):
        unmerge(SHOP, merged, "ada@example.com", "Ada@example.com", "ann", clock, "again")


def test_half_a_pair_says_nothing_and_is_erased_with_its_customer(
    merged: Stores, clock: FixedClock
) -> None:
    unmerge(SHOP, merged, "ada@example.com", "bob@example.com", "ann", clock, "a family")
    fill_catalogue(SHOP, merged, clock)
    done = erase_now(SHOP, merged, clock, "bob@example.com")
    assert done.found == []
    assert customers_of(SHOP, merged, [ADA, PHONE]) == {ADA: ADA, PHONE: ADA}
    assert read_events(SHOP, merged, "identity_unlinked", "audit").num_rows == 1


TOML = """
[project]
name = "shop"
currency = "EUR"
[sources.file]
kind = "file"
trust = "import"
[identifiers.email]
normalise = "email"
[identifiers.device]
anonymous = true
[events.page_viewed]
version = 1
description = "A page"
"""


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], clock: Any) -> None:
    (tmp_path / "liftwerk.toml").write_text(TOML)
    home = Home.open(tmp_path / ".liftwerk", create=True)
    with open_stores(home) as stores, home.hold("test"):
        for number, who in ((1, "ada"), (2, "bob")):
            put(SHOP, stores, event(number=number, identifiers=pair(who)), source="file")
        compact(SHOP, stores, clock)

    def run(*arguments: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["identity", *arguments, "--project", str(tmp_path), "--json"])
        said = capsys.readouterr()
        if ended.value.code == 0:
            return 0, json.loads(said.out)
        return int(ended.value.code or 0), said.err

    code, found = run("show", "bob@example.com")
    assert (code, len(found["identifiers"])) == (0, 3)
    assert (
        run("resolve", "device:phone", "--as-of", "2026-01-01T00:00:00Z")[1]["customer"]["value"]
        == "phone"
    )
    assert run("resolve", "device:phone", "--as-of", "soon")[0] == 2
    two = ("ada@example.com", "bob@example.com")
    code, done = run("unmerge", *two, "--reason", "a family")
    assert (code, len(set(done["customers"]))) == (0, 2)
    code, error = run("unmerge", *two, "--reason", "a family")
    assert code == 1
    assert error == "error: they are not one customer: identity unmerge: see `identity show`\n"
    for command in ("show", "resolve"):
        with pytest.raises(SystemExit):
            main(["identity", command, "bob@example.com", "--project", str(tmp_path)])
        assert "bob@example.com" in capsys.readouterr().out
