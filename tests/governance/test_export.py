from __future__ import annotations

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.governance.export import export
from liftwerk.server.customer_page import customer_page
from liftwerk.store.decisions.protocol import DecisionRecord
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores
from tests.events.shop import NOW, event, granted, order, put
from tests.governance.erasing import DPO, erase_now

ADA = leaf_key("email", "ada@example.com")
BOTH = {"email": "ada@example.com", "device": "phone"}


@pytest.fixture
def known(shop: Project, stores: Stores, clock: FixedClock) -> Stores:
    """A home that knows Ada in several places, and Bob beside her."""
    bob = {"email": "bob@example.com"}
    items = [{"sku": "a<b>", "quantity": 2, "price": "5.00"}]
    put(
        shop,
        stores,
        event(number=1, identifiers=BOTH, consent=granted("ads"), context={"page": "/x"}),
        event(number=2, identifiers={"device": "phone"}),
        order(3, "o-3", "12.34", identifiers=BOTH, properties={"items": items}),
        order(4, "o-4", "99.00", identifiers=bob),
    )
    compact(shop, stores, clock)
    put(shop, stores, event(number=5, identifiers=BOTH), event(number=6, identifiers=bob))
    bodies = (b'{"note": "call Ada@example.com soon"}', b'{"note": "bob@example.com"}')
    stores.inbox.quarantine_put([Rejected("till", NOW, "why", "", body) for body in bodies])
    record = DecisionRecord(bytes(15) + b"\x08", ADA, "mail", NOW, b'{"action":"letter"}')
    stores.decisions.decide(record, [])
    return stores


def test_all_that_is_known_is_told_and_nothing_of_others(
    shop: Project, known: Stores, clock: FixedClock
) -> None:
    said = export(shop, known, "device:phone", DPO, clock)
    assert {one["namespace"]: one["value"] for one in said["identifiers"]} == BOTH
    collections = {name: one["rows"] for name, one in said["collections"].items()}
    assert {name: len(rows) for name, rows in collections.items()} == {
        "live decisions": 1,
        "inbox": 1,
        "quarantine": 1,
        "events": 3,
    }
    bought = collections["events"][2]
    assert bought["properties"] == {
        "order_id": "o-3",
        "revenue": "12.34 EUR",
        "items": [{"sku": "a<b>", "quantity": 2, "price": "5.00 EUR"}],
    }
    assert collections["events"][0]["context"] == {"page": "/x"}
    assert collections["live decisions"][0]["decided"] == {"action": "letter"}
    ads = next(one for one in said["consent"]["state"] if one["purpose"] == "ads")
    assert ads["permitted"]
    text = msgspec.json.encode(said)
    for other in (b"bob@", b"o-4", b"99.00"):
        assert other not in text
    entry = known.ledger.audit()[-1]
    assert (entry.action, entry.subject, entry.detail) == ("customer.export", "a customer", {})


def test_the_page_tells_the_same_and_escapes_it(
    shop: Project, known: Stores, clock: FixedClock
) -> None:
    page = customer_page(export(shop, known, "ada@example.com", DPO, clock))
    for told in ("ada@example.com", "12.34 EUR", "a&lt;b&gt;", "call Ada@example.com soon"):
        assert told in page
    assert "a<b>" not in page
    assert "<script" not in page


def test_of_the_erased_there_is_nothing_to_tell(
    shop: Project, known: Stores, clock: FixedClock
) -> None:
    assert erase_now(shop, known, clock, "ada@example.com").found == []
    said = export(shop, known, "ada@example.com", DPO, clock)
    assert (said["identifiers"], said["collections"]) == ([], {})
