from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.duplicates import Duplicates, Pair, duplicates
from liftwerk.store.stores import Stores
from tests.events.shop import NOW, granted, order, put


def pair(counts: int, superseded: int) -> Pair:
    return Pair(str(UUID(int=counts)), str(UUID(int=superseded)))


def test_who_counts_in_whose_place(shop: Project, stores: Stores, clock: FixedClock) -> None:
    yes = granted("ads")
    put(shop, stores, *(order(n, f"o{n}", consent=yes) for n in (1, 2, 3)), source="web")
    put(shop, stores, order(4, "o1"), order(5, "o2", consent=yes), order(6, "o9"))
    put(shop, stores, order(7, "o3", synthetic=True), order(8, "o2", synthetic=True))
    put(shop, stores, order(9, "o2"), at=NOW + timedelta(hours=1))
    compact(shop, stores, clock)
    event = "order_completed"
    from_web = Duplicates(event, "till", "web", 2, (pair(4, 1), pair(5, 2)))
    twice = Duplicates(event, "till", "till", 1, (pair(5, 9),))
    assert duplicates(shop, stores) == [from_web, twice]
    one = Duplicates(event, "till", "web", 2, (pair(4, 1),))
    assert duplicates(shop, stores, event, examples=1) == [one, twice]
    # For ads only one of those may be read that count elsewhere.
    assert duplicates(shop, stores, purpose="ads") == [
        Duplicates(event, "till", "web", 1, (pair(5, 2),))
    ]


def test_what_cannot_be_asked(shop: Project, stores: Stores) -> None:
    assert duplicates(shop, stores) == []
    with pytest.raises(InputError, match=r"page_viewed has no key: events\.page_viewed: declare"):
        duplicates(shop, stores, "page_viewed")
    with pytest.raises(UnknownName, match="did you mean 'order_completed'"):
        duplicates(shop, stores, "order_complete")
    with pytest.raises(UnknownName, match="did you mean 'ads'"):
        duplicates(shop, stores, purpose="adds")
    with pytest.raises(InputError, match="0 examples: --limit: ask for 1 or more"):
        duplicates(shop, stores, examples=0)
