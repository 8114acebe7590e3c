"""Versions of an event side by side, and what was published stays as it is."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, build
from liftwerk.errors import DefinitionError
from liftwerk.events.collect import Collector
from liftwerk.events.compact import UNDECLARED, compact
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.read import read, relations
from liftwerk.events.schema import schema_of
from liftwerk.events.versions import Shape, broken, changes
from liftwerk.sections import SECTIONS
from liftwerk.store.stores import Stores
from tests.events.shop import NOW, SHOP, event, put

FIRST: dict[str, Any] = {
    "version": 1,
    "description": "A paid order",
    "unique": ["order_id"],
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "money"},
        "mass": {"type": "integer", "unit": "kg", "required": False},
        "note": {"type": "string", "required": False},
        "paid": {"type": "time", "required": False},
    },
}

SECOND: dict[str, Any] = {
    "version": 2,
    "description": "A paid order",
    "unique": ["order_id"],
    "properties": {
        "order_id": {"type": "string"},
        "revenue": {"type": "money", "minimum": "0"},
        "channel": {"type": "string", "choices": ["web", "shop"]},
        "mass": {"type": "integer", "unit": "g", "required": False},
        "share": {"type": "number", "required": False},
        "fee": {"type": "money"},
        "paid": {"type": "time"},
        "gift": {"type": "boolean"},
    },
    "earlier": [
        {
            "version": 1,
            "properties": FIRST["properties"],
            "read": {
                "revenue": "total",
                "channel": {"default": "web"},
                "mass": {"times": 1000},
                "share": {"from": "mass", "times": "0.5"},
                "fee": {"default": "0.50"},
                "paid": {"default": "2026-01-01T00:00:00Z"},
                "gift": {"default": False},
            },
        }
    ],
}


def bought(definition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SHOP), "events": {"bought": copy.deepcopy(definition), **more}}


def project(definition: dict[str, Any], **more: Any) -> Project:
    return build(bought(definition, **more), SECTIONS)


def refusal(definition: dict[str, Any]) -> str:
    with pytest.raises(DefinitionError) as caught:
        project(definition)
    return f"{caught.value.what}: {caught.value.hint}"


def changed(definition: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """Return a definition with one value replaced; None takes it away."""
    whole = copy.deepcopy(definition)
    part = whole
    for key in path[:-1]:
        part = part[key]
    if to is None:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return whole


def old(number: int, total: str = "10.00", **properties: Any) -> dict[str, Any]:
    said = {"order_id": f"o{number}", "total": total, **properties}
    return event("bought", number, version=1, properties=said)


def new(number: int, **properties: Any) -> dict[str, Any]:
    said = {
        "order_id": f"o{number}",
        "revenue": "20.00",
        "channel": "shop",
        "fee": "1.00",
        "paid": "2026-02-01T00:00:00Z",
        "gift": True,
        **properties,
    }
    return event("bought", number, version=2, properties=said)


# ----------------------------------------------------------------------------- side by side


def test_every_declared_version_is_taken_and_read_as_the_current_one(
    stores: Stores, clock: FixedClock
) -> None:
    shop = project(SECOND)
    assert put(shop, stores, old(1, mass=3), new(2, mass=5, share=0.5), old(3)) == []
    done = compact(shop, stores, clock)
    assert done.events == {"bought": 3}
    assert done.snapshot is not None
    assert {"bought_v1", "bought_v2"} < set(done.snapshot.tables)
    columns = [
        "order_id",
        "revenue",
        "revenue_currency",
        "channel",
        "mass",
        "share",
        "fee",
        "gift",
    ]
    found = read(shop, stores, "bought", "audit", columns)
    assert [list(row.values()) for row in found.to_pylist()] == [
        ["o1", 1000, "EUR", "web", 3000, 1.5, 50, False],
        ["o2", 2000, "EUR", "shop", 5, 0.5, 100, True],
        ["o3", 1000, "EUR", "web", None, None, 50, False],
    ]
    paid = read(shop, stores, "bought", "audit", ["paid"]).column("paid").to_pylist()
    assert [at.isoformat() for at in paid] == [
        "2026-01-01T00:00:00+00:00",
        "2026-02-01T00:00:00+00:00",
        "2026-01-01T00:00:00+00:00",
    ]


def test_rows_from_before_the_new_version_are_read_by_it(stores: Stores, clock: FixedClock) -> None:
    first = project(FIRST)
    put(first, stores, old(1, paid="2026-02-03T00:00:00Z"))
    compact(first, stores, clock)
    second = project(SECOND)
    found = read(second, stores, "bought", "measurement", ["revenue", "channel", "paid"])
    assert found.to_pylist()[0]["revenue"] == 1000
    put(second, stores, new(2), old(3))
    compact(second, stores, clock)
    assert read(second, stores, "bought", "measurement").num_rows == 3


def test_one_order_told_in_two_versions_is_one(stores: Stores, clock: FixedClock) -> None:
    shop = project(SECOND)
    put(shop, stores, old(1), new(2, order_id="o1"))
    compact(shop, stores, clock)
    assert read(shop, stores, "bought", "measurement", ["revenue"]).to_pylist() == [
        {"revenue": 1000}
    ]
    assert read(shop, stores, "bought", "audit").num_rows == 2


def test_a_view_holds_every_version(stores: Stores, clock: FixedClock) -> None:
    shop = project(SECOND)
    put(shop, stores, old(1), new(2))
    compact(shop, stores, clock)
    with relations(shop, stores, "measurement") as connection:
        sql = "SELECT channel, sum(revenue) FROM bought GROUP BY channel ORDER BY channel"
        assert connection.sql(sql).fetchall() == [("shop", 2000), ("web", 1000)]


def test_a_value_that_leaves_64_bits_leaves_the_others_readable(
    stores: Stores, clock: FixedClock
) -> None:
    shop = project(SECOND)
    put(shop, stores, old(1, mass=2**63 - 1), old(2, mass=1))
    compact(shop, stores, clock)
    found = read(shop, stores, "bought", "audit", ["mass"]).column("mass").to_pylist()
    assert found == [None, 1000]


def test_each_version_is_refused_by_its_own_rules(stores: Stores) -> None:
    shop = project(SECOND)
    assert put(
        shop,
        stores,
        old(1, total="x"),
        event("bought", 2, version=1, properties={"order_id": "o", "revenue": "1"}),
        new(3, channel="fax"),
        event("bought", 4, version=3, properties={"anything": 1}),
        event("bought", 5, version="1", properties={}),
    ) == [
        'bought.total: expected an amount in EUR such as "29.99"',
        "bought: no field 'revenue' is declared",
        "bought.channel: expected one of web, shop",
        "bought: versions 1 and 2 are declared, not this one",
        "bought: versions 1 and 2 are declared, not this one",
    ]


def test_what_is_current_decodes_by_the_plain_decoder() -> None:
    assert isinstance(schema_of(project(FIRST)).decoder, msgspec.json.Decoder)


def test_rows_of_a_version_that_is_gone_wait_in_quarantine(
    stores: Stores, clock: FixedClock
) -> None:
    put(project(SECOND), stores, old(1), new(2))
    alone = project(changed(SECOND, "earlier", to=None))
    assert compact(alone, stores, clock).quarantined == {UNDECLARED: 1}


# ------------------------------------------------------------- what cannot be read is refused


@pytest.mark.parametrize(
    ("path", "to", "line"),
    [
        (
            ("read", "channel"),
            None,
            "events.bought: version 1 says nothing of 'channel', which is required:"
            ' add to read: channel = "an older property" or channel = { default = … }',
        ),
        (
            ("read", "channel"),
            {"default": "fax"},
            "events.bought.earlier[0].read.channel.default is 'fax':"
            " channel is string: write what an event could say",
        ),
        (
            ("read", "fee"),
            {"default": 1},
            "events.bought.earlier[0].read.fee.default is 1:"
            " fee is money: write what an event could say",
        ),
        (
            ("read", "paid"),
            None,
            "events.bought: "
            "'paid' of version 1 may be missing, and is read as 'paid', which is required:"
            " add default = … to read.paid, or let paid be missing",
        ),
        (
            ("read", "revenue"),
            "order_id",
            "events.bought: "
            "'order_id' of version 1 is string and is read as 'revenue', which is money:"
            " read it from a property of the same type, or give a default",
        ),
        (
            ("read", "revenue"),
            "totla",
            "events.bought.earlier[0].read.revenue.from is 'totla': did you mean 'total'?",
        ),
        (
            ("read", "mass"),
            None,
            "events.bought: 'mass' of version 1 counts 'kg' and is read as 'g':"
            " add times = … (1 when only the word changed)",
        ),
        (
            ("read", "mass"),
            {"times": "0.5"},
            "events.bought.earlier[0].read.mass.times is '0.5':"
            " a number, not 0; for an integer a whole one",
        ),
        (
            ("read", "reveneu"),
            "total",
            "unknown key 'reveneu' in [events.bought.earlier[0].read]: did you mean 'revenue'?",
        ),
        (
            ("read", "order_id"),
            {"default": "none"},
            "'order_id' names one fact, so no default can stand for it:"
            " name an older property: from = …",
        ),
        (
            ("properties", "total", "privacy"),
            "personal",
            "events.bought: "
            "'total' of version 1 is personal and is read as 'revenue', which is none:"
            ' tag revenue privacy = "personal"',
        ),
        (
            ("version",),
            2,
            "events.bought.earlier[0].version is 2: from 1 to below the current version, 2",
        ),
    ],
)
def test_one_line_says_what_an_older_version_lacks(
    path: tuple[str, ...], to: Any, line: str
) -> None:
    assert refusal(changed(SECOND, "earlier", 0, *path, to=to)) == line


def test_a_version_is_declared_once() -> None:
    twice = copy.deepcopy(SECOND)
    twice["earlier"].append(twice["earlier"][0])
    assert refusal(twice) == "version 1 of bought is declared twice: declare each version once"


# ------------------------------------------------------------------------- what is published


def published(stores: Stores, clock: FixedClock, *definitions: dict[str, Any]) -> None:
    """Let rows of each definition's current version rest in its table."""
    for number, definition in enumerate(definitions, start=1):
        tell = old
        if definition["version"] == 2:
            tell = new
        shop = project(definition)
        assert put(shop, stores, tell(number)) == []
        compact(shop, stores, clock)


def said(definition: dict[str, Any], stores: Stores) -> list[str]:
    return [
        f"{problem.what}: {problem.hint}" for problem in broken(project(definition), stores.ledger)
    ]


RAISE = "raise version to 2 and declare how version 1 is read"


BREAKING: list[tuple[tuple[str, ...], Any, str]] = [
    (("properties", "note"), None, "its property 'note' is gone"),
    (("properties", "total", "type"), "integer", "'total' was money and is integer"),
    (("properties", "mass", "unit"), "g", "the unit of 'mass' was 'kg' and is 'g'"),
    (("properties", "note", "required"), True, "'note' was optional and is required"),
    (("properties", "total", "minimum"), "0", "minimum of 'total' was none and is 0"),
    (("properties", "mass", "maximum"), "9", "maximum of 'mass' was none and is 9"),
    (("properties", "note", "choices"), ["a"], "'note' was any text and has choices"),
    (("properties", "more"), {"type": "string"}, "its new property 'more' is required"),
    (("unique",), ["order_id", "total"], "unique was [order_id] and is [order_id, total]"),
]

GROWTH: list[tuple[tuple[str, ...], Any]] = [
    (("properties", "more"), {"type": "string", "required": False}),
    (("properties", "total", "required"), False),
    (("properties", "total", "privacy"), "personal"),
    (("properties", "total", "description"), "What was paid"),
    (("owner",), "shop@example.com"),
    (("description",), "An order"),
    (("retention",), "25 months"),
]


def test_a_change_of_a_published_version_says_what_and_what_to_do(
    stores: Stores, clock: FixedClock
) -> None:
    published(stores, clock, FIRST)
    for path, to, change in BREAKING:
        line = f"events.bought: version 1 is published, and {change}: {RAISE}"
        assert said(changed(FIRST, *path, to=to), stores) == [line]


def test_a_change_of_a_published_version_is_refused_before_anything_is_written(
    stores: Stores, clock: FixedClock
) -> None:
    published(stores, clock, FIRST)
    shop = project(changed(FIRST, "properties", "note", to=None))
    put(shop, stores, old(9))
    before = stores.ledger.latest_snapshot()
    with pytest.raises(DefinitionError, match="'note' is gone"):
        compact(shop, stores, clock)
    with pytest.raises(DefinitionError, match="'note' is gone"):
        Collector(shop, stores, clock)
    assert stores.ledger.latest_snapshot() == before
    assert stores.inbox.count() == 1


def test_a_version_may_grow(stores: Stores, clock: FixedClock) -> None:
    published(stores, clock, FIRST)
    for path, to in GROWTH:
        assert said(changed(FIRST, *path, to=to), stores) == []


def test_growth_is_published_too(stores: Stores, clock: FixedClock) -> None:
    more = {"type": "string", "required": False}
    published(stores, clock, FIRST)
    published(stores, clock, changed(FIRST, "properties", "more", to=more))
    assert said(FIRST, stores) == []  # nothing new rests under it
    shop = project(changed(FIRST, "properties", "more", to=more))
    put(shop, stores, old(7))
    compact(shop, stores, clock)
    assert said(FIRST, stores) == [
        f"events.bought: version 1 is published, and its property 'more' is gone: {RAISE}"
    ]


def test_bounds_and_choices_may_widen_and_not_tighten() -> None:
    tight = Shape(
        {
            "n": msgspec.convert({"type": "integer", "minimum": "1", "maximum": "5"}, Of),
            "mood": msgspec.convert({"type": "string", "choices": ["a"]}, Of),
        }
    )
    wide = Shape(
        {
            "n": msgspec.convert({"type": "integer", "minimum": "0"}, Of),
            "mood": msgspec.convert({"type": "string", "choices": ["b", "a"]}, Of),
        }
    )
    assert list(changes(tight, wide)) == []
    assert [change for _, change in changes(wide, tight)] == [
        "minimum of 'n' was 0 and is 1",
        "maximum of 'n' was none and is 5",
        "choices of 'mood' have lost 'b'",
    ]


Of = PropertyDefinition


def test_a_new_version_beside_the_published_one_is_fine(stores: Stores, clock: FixedClock) -> None:
    published(stores, clock, FIRST)
    assert said(SECOND, stores) == []
    published(stores, clock, FIRST, SECOND)
    known = {(one.name, one.version) for one in stores.ledger.published_schemas()}
    assert known == {("bought", 1), ("bought", 2)}
    entry = stores.ledger.audit()[-1]
    assert entry.detail["published"] == ["bought 2"]


def test_a_published_version_stays_declared(stores: Stores, clock: FixedClock) -> None:
    published(stores, clock, FIRST, SECOND)
    assert said(changed(SECOND, "earlier", to=None), stores) == [
        "events.bought: version 1 is published, and no longer declared:"
        " add [[events.bought.earlier]] with version = 1 and how it is read"
    ]
    assert said(FIRST, stores) == [
        "events.bought: version 2 is published, and no longer declared:"
        " put version back to 2, or to what comes after it"
    ]
    assert said(changed(SECOND, "earlier", 0, "properties", "note", to=None), stores) == [
        "events.bought: version 1 is published, and its property 'note' is gone:"
        " write it as it was: what it is read as stands in read"
    ]


def test_an_event_that_is_gone_and_what_is_built_in_are_not_held_to_anything(
    stores: Stores, clock: FixedClock
) -> None:
    published(stores, clock, FIRST)
    assert list(broken(build(SHOP, SECTIONS), stores.ledger)) == []
    shop = project(FIRST)
    put(shop, stores, event("variant_shown", 5, properties={"variant": "a", "placement": "b"}))
    compact(shop, stores, clock)
    assert {one.name for one in stores.ledger.published_schemas()} == {"bought"}


def test_nothing_is_published_before_rows_rest(stores: Stores, clock: FixedClock) -> None:
    put(project(FIRST), stores, old(1))
    assert stores.ledger.published_schemas() == []
    compact(project(changed(FIRST, "properties", "note", to=None)), stores, clock)
    [one] = stores.ledger.published_schemas()
    assert (one.version, one.at) == (1, NOW)


# ----------------------------------------------------------- a change is allowed if rows agree

BOUNDS = st.none() | st.integers(0, 9)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    low, high = draw(BOUNDS), draw(BOUNDS)
    if low is not None and high is not None and low > high:
        low, high = high, low
    n: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    if low is not None:
        n["minimum"] = str(low)
    if high is not None:
        n["maximum"] = str(high)
    n["required"] = draw(st.booleans())
    text: dict[str, Any] = {"type": "string", "required": draw(st.booleans())}
    text["choices"] = draw(st.lists(st.sampled_from("abc"), unique=True))
    properties = {"n": n, "text": text}
    for name in draw(st.sets(st.sampled_from(["n", "text"]))):
        del properties[name]
    return {"version": 1, "description": "x", "properties": properties}


VALUES = st.fixed_dictionaries(
    {},
    optional={"n": st.integers(-1, 10) | st.just(2.5), "text": st.sampled_from(["a", "c", "z"])},
)


@settings(max_examples=60)
@given(definitions(), definitions(), st.lists(VALUES, max_size=20))
def test_after_an_allowed_change_every_event_of_before_could_still_be_told(
    before: dict[str, Any], after: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    was, now = project(before), project(after)
    shapes = [_shape(one) for one in (was, now)]
    if list(changes(*shapes)):
        return
    for values in told:
        body = msgspec.json.encode(event("bought", 1, properties=values))
        if _takes(was, body):
            assert _takes(now, body)


def _shape(shop: Project) -> Shape:
    return Shape(dict(schema_of(shop).types["bought"].definition.properties))


def _takes(shop: Project, body: bytes) -> bool:
    try:
        schema_of(shop).decoder.decode(body)
    except msgspec.ValidationError:
        return False
    return True
