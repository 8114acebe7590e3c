from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.cli.main import main
from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.consent.change import change_consent
from liftwerk.events.read import read
from liftwerk.governance.consent import change_customer, show_customer
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import NOW, event, granted, put, shop

SHOP = shop()
ADA = "email:ada@example.com"
BOTH = granted("ads", "personalisation")
BEFORE = (NOW - timedelta(days=1)).isoformat()
AFTER = (NOW + timedelta(hours=1)).isoformat()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def stores(tmp_path: Path, clock: FixedClock) -> Iterator[Stores]:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores:
        put(
            SHOP,
            stores,
            event(
                number=1,
                time=BEFORE,
                consent=BOTH,
                identifiers={"email": "ada@example.com", "device": "a"},
            ),
            event(number=2, time=BEFORE, consent=BOTH, identifiers={"device": "a"}),
            event(number=3, time=BEFORE, consent=BOTH, identifiers={"email": "bob@example.com"}),
        )
        with home.hold("test"):
            compact(SHOP, stores, clock)
        yield stores


def seen(stores: Stores, purpose: str, project: Project = SHOP) -> list[int]:
    table = read(project, stores, "page_viewed", purpose, ["id"])
    return [int.from_bytes(key, "big") for key in table.column("id").to_pylist()]


def change(
    stores: Stores, clock: FixedClock, yes: tuple[str, ...] = (), no: tuple[str, ...] = ()
) -> Any:
    return change_customer(SHOP, stores, ADA, yes, no, "me", clock)


def test_a_withdrawal_is_told_of_all_that_a_customer_is_known_by(
    stores: Stores, clock: FixedClock
) -> None:
    assert seen(stores, "personalisation") == [1, 2, 3]
    done = change(stores, clock, no=("personalisation", "ads"))
    assert (len(done["events"]), done["identifiers"], done["counts"]) == (1, 2, True)
    assert seen(stores, "personalisation") == [3]  # retroactive, the device alone too
    assert seen(stores, "ads") == [1, 2, 3]  # the future only
    clock.advance(timedelta(minutes=5))
    change(stores, clock, yes=("ads",))
    put(SHOP, stores, event(number=4, time=AFTER, consent=BOTH), at=NOW + timedelta(hours=1))
    with stores.home.hold("test"):
        compact(SHOP, stores, clock)
    assert seen(stores, "ads") == [1, 2, 3, 4]  # lifted, for what happens from then on
    assert seen(stores, "personalisation") == [3]
    found = show_customer(SHOP, stores, ADA)
    assert {one["purpose"]: (one["state"], one["permitted"]) for one in found["state"]} == {
        "measurement": ("never asked", True),
        "ads": ("granted", True),
        "personalisation": ("withdrawn", False),
        "accounting": ("never asked", True),
    }
    words = [(one["purpose"], one["change"]) for one in found["history"]]
    assert words == [
        ("ads", "granted"),
        ("personalisation", "granted"),
        ("ads", "withdrawn"),
        ("personalisation", "withdrawn"),
        ("ads", "granted"),
    ]
    entries = [entry for entry in stores.ledger.audit() if entry.action == "consent.change"]
    assert [entry.subject for entry in entries] == ["a customer"] * 2


def test_several_identifiers_of_a_namespace_are_told_one_by_one(
    stores: Stores, clock: FixedClock
) -> None:
    for number, device in enumerate("bc", start=10):
        who = {"email": "ada@example.com", "device": device}
        put(SHOP, stores, event(number=number, time=BEFORE, consent=BOTH, identifiers=who))
        put(
            SHOP,
            stores,
            event(number=number + 10, time=BEFORE, consent=BOTH, identifiers={"device": device}),
        )
    with stores.home.hold("test"):
        compact(SHOP, stores, clock)
    done = change(stores, clock, no=("personalisation",))
    assert (len(done["events"]), done["identifiers"]) == (3, 4)
    assert seen(stores, "personalisation") == [3]


def test_while_another_process_compacts_the_change_waits_in_the_inbox(
    stores: Stores, clock: FixedClock
) -> None:
    with stores.home.hold("server"):
        done = change(stores, clock, no=("personalisation",))
        assert done["counts"] is False
        assert seen(stores, "personalisation") == [1, 2, 3]
        compact(SHOP, stores, clock)
        assert seen(stores, "personalisation") == [3]


def test_what_cannot_be_changed(stores: Stores, clock: FixedClock) -> None:
    with pytest.raises(UnknownName, match=r"no purpose 'adds': consent: did you mean 'ads'\?"):
        change(stores, clock, no=("adds",))
    with pytest.raises(InputError, match="accounting rests on legal_obligation: consent: nobody"):
        change(stores, clock, no=("accounting",))
    with pytest.raises(InputError, match="no purpose is named"):
        change(stores, clock)
    with pytest.raises(InputError, match="a purpose is both granted and withdrawn"):
        change(stores, clock, yes=("ads",), no=("ads",))
    with pytest.raises(UnknownName, match="no source 'tills'"):
        change_consent(SHOP, stores, {"email": "a@x.de"}, ["ads"], [], "tills", clock)
    told = change_consent(SHOP, stores, {"email": "new@x.de"}, [], ["ads"], "till", clock)
    assert told == change_consent(SHOP, stores, {"email": "new@x.de"}, [], ["ads"], "till", clock)


TOML = """
[project]
name = "shop"
currency = "EUR"
[purposes.ads]
basis = "consent"
[sources.till]
kind = "http"
trust = "server"
key_env = "SHOP_KEY"
[identifiers.email]
normalise = "email"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "liftwerk.toml").write_text(TOML)
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["consent", *arguments, "--project", str(folder)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "show", "ada@example.com") == 0
    assert "never asked" in capsys.readouterr().out
    assert run(folder, "withdraw", "ada@example.com", "--purpose", "ads") == 0
    assert "withdrawn: ads" in capsys.readouterr().out
    assert run(folder, "grant", "ada@example.com", "--purpose", "ads", "--json") == 0
    assert json.loads(capsys.readouterr().out)["identifiers"] == 1
    assert run(folder, "show", "email:Ada@example.com", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["state"][0]["state"] == "granted"
    assert [one["change"] for one in said["history"]] == ["withdrawn", "granted"]
    assert run(folder, "show", "ada@example.com") == 0
    assert "How it came about" in capsys.readouterr().out
    assert run(folder, "withdraw", "ada@example.com", "--purpose", "adds") == 2
    assert "did you mean 'ads'?" in capsys.readouterr().err
