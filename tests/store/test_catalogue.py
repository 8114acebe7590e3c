from __future__ import annotations

from datetime import UTC, datetime

import pyarrow
import pytest

from liftwerk.store.catalogue import NOBODY, Catalogue, Collection, Subject, Taken
from liftwerk.store.decisions import DecisionRecord
from liftwerk.store.home import Home
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores, open_stores

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stores(home: Home) -> Stores:
    return open_stores(home)


def collection(name: str, *holds: str) -> Collection:
    return Collection(name, "events", holds, NOBODY, (), "25 months")


def test_what_nobody_registered_is_found(stores: Stores) -> None:
    one = pyarrow.table({"time": pyarrow.array([AT], pyarrow.timestamp("us", "UTC"))})
    stores.tables.append("visit_v1", one)
    sha = stores.artefacts.put(b"x")
    (stores.home.path / "notes.txt").write_text("x")
    assert stores.catalogue.unregistered(stores.home) == [
        f"artefacts/{sha}",
        "inbox.sqlite/inbox",
        "inbox.sqlite/quarantine",
        "notes.txt",
        "outbox.sqlite/sealed",
        "tables/visit_v1",
    ]
    stores.catalogue.register(collection("inbox", "inbox.sqlite/inbox"))
    stores.catalogue.register(collection("quarantine", "inbox.sqlite/quarantine"))
    stores.catalogue.register(collection("events", "tables/visit_v*", "tables/order_v*"))
    stores.catalogue.register(collection("artefacts", "artefacts/*"))
    stores.catalogue.register(collection("delivery fields", "outbox.sqlite/sealed"))
    assert stores.catalogue.unregistered(stores.home) == ["notes.txt"]
    stores.close()


def test_a_collection_of_people_needs_an_eraser() -> None:
    catalogue = Catalogue()
    with pytest.raises(ValueError, match="has no eraser"):
        catalogue.register(Collection("mails", "content", ("mails",), "unit", (), "1 month"))
    silent = Collection(
        "mails", "content", ("mails",), "unit", (), "1 month", lambda _: Taken({"unit": 0})
    )
    with pytest.raises(ValueError, match="exports nothing"):
        catalogue.register(silent)
    catalogue.register(collection("notes", "notes"))
    with pytest.raises(ValueError, match="already registered"):
        catalogue.register(collection("notes", "notes"))
    assert len(catalogue) == 1


def test_erasing_goes_through_every_collection(stores: Stores) -> None:
    seen = []

    def tell(subject: Subject) -> list[dict[str, object]]:
        return [{"mail": "x"}]

    def erase(subject: Subject) -> Taken:
        seen.append(subject)
        return Taken({"unit": 7})

    people = Collection("mails", "content", ("mails",), "unit", (), "1 month", erase, tell)
    stores.catalogue.register(people)
    stores.catalogue.register(collection("facts", "facts"))
    for number, unit in enumerate((b"jane", b"jane", b"joe")):
        record = DecisionRecord(number.to_bytes(16, "big"), unit, "email", AT, b"{}")
        stores.decisions.decide(record, [])
    rows = [(b"joe", b"\x01"), (b"jane", b"\x02")]
    stores.online.apply({"crm@3f:ads": Changes(None, rows)}, 1, AT)
    assert stores.catalogue.export(Subject((b"joe",))) == {
        "live decisions": [
            {
                "id": (2).to_bytes(16, "big").hex(),
                "placement": "email",
                "at": AT.isoformat(),
                "decided": {},
            }
        ],
        "online values": [{"space": "crm@3f:ads", "key": b"joe".hex(), "body": "01"}],
        "mails": [{"mail": "x"}],
    }
    jane = Subject((b"jane", b"j2"))
    assert stores.catalogue.erase(jane) == {
        "live decisions": Taken({"unit": 2}),
        "outbox": Taken({"lane": 0}),
        "online values": Taken({"key": 1}),
        "mails": Taken({"unit": 7}),
    }
    assert seen == [jane]
    assert stores.catalogue.erase(jane)["live decisions"].rows == 0
    stores.close()
