from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from liftwerk.definitions import Project
from liftwerk.events.admit import admit
from liftwerk.events.inventory.violations import Undeclared, violations
from liftwerk.events.schema import schema_of
from liftwerk.store.inbox.protocol import QuarantineGroup
from tests.events.shop import NOW, event, order

ITEMS = [{"sku": "a", "quantity": "two", "price": "1"}]


def refused(shop: Project, body: dict[str, Any]) -> QuarantineGroup:
    """Have a body refused, for the reason that a collector would give."""
    schema = schema_of(shop)
    [refusal] = admit([msgspec.json.encode(body)], schema, "till", NOW).refused
    return QuarantineGroup(refusal.reason, "till", 3, NOW, NOW, ())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (order(revenue="-1"), "revenue"),
        (event("order_completed", properties={"revenue": "1"}), "order_id"),
        (order(properties={"items": ITEMS}), "items"),
    ],
)
def test_a_property_is_named_by_the_reason(shop: Project, body: Any, field: str) -> None:
    found = violations(schema_of(shop), [refused(shop, body)])
    assert found.fields == Counter({("order_completed", field): 3})
    assert found.events == Counter(order_completed=3)
    assert found.sources == Counter(till=3)
    assert not found.undeclared


@pytest.mark.parametrize("name", ["order_complete", "zzz", "it's", "a: b", "\x1b[31m"])
def test_an_event_that_is_not_declared_is_named(shop: Project, name: str) -> None:
    found = violations(schema_of(shop), [refused(shop, event(name))])
    [(undeclared, many)] = found.undeclared.items()
    assert (undeclared.field, many) == (None, 3)
    # As it stands in the reason: with what a terminal would obey written out.
    assert undeclared.event == repr(name)[1:-1]
    assert not found.events


@pytest.mark.parametrize(
    ("body", "undeclared"),
    [
        (order(properties={"coupon": "x"}), Undeclared("order_completed", "coupon")),
        (event(identifiers={"phone": "1"}), Undeclared("page_viewed", "phone", True)),
        (
            event(consent={"granted": [], "who": "me"}),
            Undeclared("page_viewed", "consent.who"),
        ),
    ],
)
def test_a_field_that_is_not_declared_is_named(
    shop: Project, body: Any, undeclared: Undeclared
) -> None:
    found = violations(schema_of(shop), [refused(shop, body)])
    assert found.undeclared == Counter({undeclared: 3})


def test_an_identifier_of_the_wrong_type_is_counted_at_its_namespace(shop: Project) -> None:
    group = refused(shop, event(identifiers={"email": 1}))
    assert violations(schema_of(shop), [group]).identifiers == Counter(email=3)


@pytest.mark.parametrize("reason", ["not JSON", "name is missing", "same id with other content"])
def test_a_reason_without_a_place_counts_for_its_source_alone(shop: Project, reason: str) -> None:
    found = violations(schema_of(shop), [QuarantineGroup(reason, "web", 2, NOW, NOW, ())])
    assert found.sources == Counter(web=2)
    assert not found.events
    assert not found.undeclared


def test_what_was_refused_before_is_left_out(shop: Project) -> None:
    group = refused(shop, event("nope"))
    assert violations(schema_of(shop), [group], NOW).sources
    assert not violations(schema_of(shop), [group], NOW + timedelta(seconds=1)).sources
