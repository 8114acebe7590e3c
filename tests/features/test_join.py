"""The compiled as-of join equals the definition, row by row."""

from __future__ import annotations

from typing import Any, get_args

import duckdb
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from liftwerk.definitions.typed import Duration, Share
from liftwerk.errors import InputError, Refused
from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.compile import compile_features
from liftwerk.features.definition import AggregateName, FeatureDefinition, PriorDefinition
from liftwerk.features.join import values_as_of, with_keys
from liftwerk.features.kinds import AGGREGATES
from liftwerk.features.reading import Reader
from liftwerk.features.states import Adder, Row, Tiles, decode_row, encode_row
from liftwerk.features.tiles import compile_view, tiles_of

from . import naive

ALICE, BOB, CAROL = b"a" * 16, b"b" * 16, b"c" * 16
HOUR = 3_600_000_000

TYPES = {"n": "integer", "x": "number", "m": "money", "b": "boolean", "s": "string"}
ARROW = {
    "n": pa.int64(),
    "x": pa.float64(),
    "m": pa.int64(),
    "b": pa.bool_(),
    "s": pa.string(),
}
# The event is named like a step of the SQL, and features like columns of it, on purpose.
EVENTS = {
    name: EventDefinition(
        1,
        "",
        properties={key: PropertyDefinition(kind, required=False) for key, kind in TYPES.items()},
    )
    for name in ("history", "order")
}


def _feature(
    aggregate: AggregateName, property_: str | None, window: str | None, hop: str | None, event: str
) -> FeatureDefinition:
    half_life = None
    if AGGREGATES[aggregate].decays:
        half_life = Duration("3d") if hop is None else Duration(f"{3 * int(hop[:-1])}h")
    return FeatureDefinition(
        entity="customer",
        from_=event,
        aggregate=aggregate,
        property=property_,
        window=None if window is None else Duration(window),
        hop=None if hop is None else Duration(hop),
        half_life=half_life,
        when="b" if aggregate == "rate" else None,
        prior=PriorDefinition(Share("5%"), 2.5) if aggregate == "top_share" else None,
    )


FEATURES = {
    f"{name}_{property_ or 'all'}_{window or 'ever'}_{hop or 'day'}_{event}": _feature(
        name, property_, window, hop, event
    )
    for name in get_args(AggregateName)
    if name != "rate"
    for property_ in [key for key, kind in TYPES.items() if kind in AGGREGATES[name].types]
    or [None]
    for window, hop in ((None, None), ("2d", None), ("36h", "1h"), ("9h", "7h"))
    for event in EVENTS
}


def context_of(row: naive.Event) -> str | None:
    """Make up a context: text, a number, a truth, an object, nothing, no context at all."""
    values = ['"DE"', "7", "true", '{"a": 1}', "null", '"{"', '""']
    if row.offset % 9 == 0:
        return None
    place = row.offset % len(values)
    return f'{{"country": {values[place]}, "campaign": {{"name": {values[place - 1]}}}}}'


def event_table(rows: list[naive.Event], currency: str = "USD") -> pa.Table:
    table = {
        "customer": pa.array([row.customer for row in rows], pa.binary(16)),
        "time": pa.array([row.time for row in rows], pa.timestamp("us", "UTC")),
        "known_at": pa.array([row.known_at for row in rows], pa.timestamp("us", "UTC")),
        "offset": pa.array([row.offset for row in rows], pa.int64()),
        "weight": pa.array([row.weight for row in rows], pa.float64()),
        "synthetic": pa.array([row.synthetic for row in rows], pa.bool_()),
        "m_currency": pa.array([currency for _ in rows], pa.string()),
        "context": pa.array([context_of(row) for row in rows], pa.string()),
    }
    for key, type_ in ARROW.items():
        table[key] = pa.array([row.properties.get(key) for row in rows], type_)
    return pa.table(table)


def connect(events: dict[str, list[naive.Event]], currency: str = "USD") -> Any:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for name, rows in events.items():
        connection.register(name, event_table(rows, currency))
    return connection


def spine(questions: list[tuple[bytes, int]]) -> pa.Table:
    return pa.table(
        {
            "customer": pa.array([customer for customer, _ in questions], pa.binary(16)),
            "time": pa.array([time for _, time in questions], pa.timestamp("us", "UTC")),
        }
    )


def ask(
    features: dict[str, FeatureDefinition],
    events: dict[str, list[naive.Event]],
    questions: list[tuple[bytes, int]],
) -> dict[str, list[Any]]:
    plans = compile_features(features, EVENTS, "USD")
    with connect(events) as connection:
        return values_as_of(connection, plans, spine(questions), "USD").to_pydict()


# Few distinct times, on both sides of 1970, so that microseconds, hops and windows' ends collide.
_times = st.one_of(
    st.integers(-3, 3).map(lambda day: day * naive.DAY),
    st.integers(-60, 60).map(lambda hour: hour * HOUR),
    st.integers(-60, 60).map(lambda hour: hour * HOUR + 1),
    st.integers(-60, 60).map(lambda hour: hour * HOUR - 1),
)
_asked = [ALICE, ALICE, ALICE, BOB, BOB, BOB, CAROL]
_eighths = st.integers(-(10**9), 10**9).map(lambda n: n / 8)


@st.composite
def _events(draw: Any, offsets: list[int]) -> naive.Event:
    time = draw(_times)
    late = draw(st.sampled_from([0, 0, 0, 1, HOUR, 30 * HOUR, -HOUR]))
    return naive.Event(
        customer=draw(st.sampled_from([ALICE, BOB])),
        time=time,
        known_at=time + late,
        offset=offsets.pop(),
        weight=draw(st.sampled_from([1.0, 1.0, 2.5, 0.125, 1000.0])),
        synthetic=draw(st.sampled_from([False, False, False, True])),
        properties={
            "n": draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
            "x": draw(st.none() | _eighths),
            "m": draw(st.none() | st.integers(-(10**15), 10**15)),
            "b": draw(st.none() | st.booleans()),
            "s": draw(st.none() | st.sampled_from(["", "a", "Straße"])),
        },
    )


@st.composite
def _worlds(draw: Any) -> tuple[dict[str, list[naive.Event]], list[tuple[bytes, int]]]:
    offsets = draw(st.permutations(range(1, 60)))
    events = {
        name: draw(st.lists(_events(list(offsets)), min_size=10, max_size=24)) for name in EVENTS
    }
    questions = draw(st.lists(st.tuples(st.sampled_from(_asked), _times), min_size=10, max_size=20))
    return events, questions


@pytest.mark.slow
def test_equals_the_definition() -> None:
    """Random histories: same microsecond, known late, synthetic, weighted; no difference."""
    counts = {"values": 0, "known": 0}

    # Not shrunk: that takes minutes here, and the message says which value differs.
    @settings(max_examples=8, phases=[Phase.generate])
    @given(_worlds())
    def compare(world: tuple[dict[str, list[naive.Event]], list[tuple[bytes, int]]]) -> None:
        events, questions = world
        found = ask(FEATURES, events, questions)
        for name, feature in FEATURES.items():
            type_ = TYPES.get(feature.property or "", "")
            for row, (customer, as_of) in enumerate(questions):
                wanted = naive.value(feature, type_, events[feature.from_], customer, as_of)
                counts["values"] += 1
                counts["known"] += wanted not in (None, 0.0)
                assert found[name][row] == wanted, (name, row, found[name][row], wanted)
                assert type(found[name][row]) is type(wanted), name

    compare()
    assert counts["values"] > 10_000
    assert counts["known"] / counts["values"] > 0.2, counts


def _event(time: int, n: int, offset: int, known_at: int | None = None) -> naive.Event:
    if known_at is None:
        known_at = time
    properties = {"n": n, "x": None, "m": None, "b": None, "s": None}
    return naive.Event(ALICE, time, known_at, offset, properties=properties)


LAST_N = {"time": _feature("last", "n", None, None, "order")}


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0, HOUR])
def test_tiles_that_are_kept_give_the_same_values(ahead: int) -> None:
    """Random histories, cut into batches anywhere, some of them added before they happen."""
    counts = {"values": 0, "known": 0}
    view = compile_view(FEATURES, EVENTS, "USD")

    @settings(max_examples=4, phases=[Phase.generate])
    @given(_worlds(), st.integers(1, 5))
    def compare(
        world: tuple[dict[str, list[naive.Event]], list[tuple[bytes, int]]], batches: int
    ) -> None:
        events, questions = world
        as_of = max(time for _, time in questions)
        kept: dict[bytes, Row] = {}
        for batch in range(batches):
            part = {name: rows[batch::batches] for name, rows in events.items()}
            now = as_of - ahead * (batches - batch)
            with connect(part) as connection:
                for (key,), row in tiles_of(connection, view, now, "USD").items():
                    old = kept.setdefault(key, [Tiles({}, {}) for _ in view.grids])
                    Adder(view.grids).add(old, row, now)
                    kept[key] = decode_row(encode_row(old))
        for customer in (ALICE, BOB, CAROL):
            rows = [kept[customer]] if customer in kept else []
            found, _ = Reader(view.grids, view.readings).read(rows, as_of)
            for name, feature in FEATURES.items():
                type_ = TYPES.get(feature.property or "", "")
                wanted = naive.value(
                    feature, type_, events[feature.from_], customer, as_of, known=lambda _: True
                )
                counts["values"] += 1
                counts["known"] += wanted not in (None, 0.0)
                assert found[name] == wanted, (name, found[name], wanted)

    compare()
    assert counts["known"] / counts["values"] > 0.2, counts


def test_an_event_at_the_as_of_time_is_the_future() -> None:
    events = {"order": [_event(100, 7, 1)]}
    assert ask(LAST_N, events, [(ALICE, 100), (ALICE, 101)])["time"] == [None, 7]


def test_what_was_learnt_later_is_unknown_until_then() -> None:
    events = {"order": [_event(100, 7, 1), _event(90, 6, 2, known_at=500), _event(110, 8, 3, 300)]}
    found = ask(LAST_N, events, [(ALICE, 299), (ALICE, 300), (ALICE, 600)])
    assert found["time"] == [7, 8, 8]


def test_order_of_rows_leaves_no_trace() -> None:
    events = [_event(100, value, offset) for offset, value in enumerate([5, 3, 9, 1])]
    sums = {"s": _feature("sum", "x", None, None, "order"), **LAST_N}
    floats = [0.1, 0.2, 0.3, 1e9]
    for event, number in zip(events, floats, strict=True):
        event.properties["x"] = number
    forward = ask(sums, {"order": events}, [(ALICE, 600)])
    backward = ask(sums, {"order": events[::-1]}, [(ALICE, 600)])
    assert forward == backward == {"s": [1000000000.6], "time": [1]}


def test_rows_come_back_in_the_order_of_the_spine() -> None:
    events = {"order": [_event(time, time, time) for time in range(1, 50)]}
    questions = [(ALICE, time) for time in (40, 3, 17, 3, 49)] + [(CAROL, 10)]
    assert ask(LAST_N, events, questions)["time"] == [39, 2, 16, 2, 48, None]


def test_an_empty_history_counts_nothing_and_knows_nothing() -> None:
    empty: dict[str, list[naive.Event]] = {name: [] for name in EVENTS}
    found = ask(FEATURES, empty, [(ALICE, 0)])
    for name, (value,) in found.items():
        empty = AGGREGATES[FEATURES[name].aggregate].empty
        if FEATURES[name].prior is not None:
            empty = 0.05  # nothing but what was believed before
        assert value == empty


def test_an_empty_spine_gives_no_rows() -> None:
    found = ask(LAST_N, {"order": [_event(1, 1, 1)]}, [])
    assert found == {"time": []}


def test_currencies_are_never_mixed() -> None:
    events = {"order": [naive.Event(ALICE, 1, 1, 1, properties={"m": 5})]}
    plans = compile_features({"m": _feature("sum", "m", None, None, "order")}, EVENTS, "USD")
    with (
        connect(events, currency="EUR") as connection,
        pytest.raises(Refused, match=r"1 amounts in EUR, and the project counts in USD: order\.m"),
    ):
        values_as_of(connection, plans, spine([(ALICE, 5)]), "USD")


def test_every_declarable_aggregate_has_its_file() -> None:
    assert set(AGGREGATES) == set(get_args(AggregateName))


@pytest.mark.parametrize("number", [1e300, 1e25])
def test_a_sum_beyond_128_bits_is_refused_and_not_rounded(number: float) -> None:
    events = {"order": [naive.Event(ALICE, 1, 1, 1, properties={"x": number}) for _ in range(3)]}
    with pytest.raises(Refused, match=r"too large to be added up exactly: events\.order"):
        ask({"x": _feature("sum", "x", None, None, "order")}, events, [(ALICE, 5)])


IN_CONTEXT = {
    text: FeatureDefinition("customer", "order", "count", where=text)
    for text in (
        "context.country = 'DE'",
        "context.country in ('7', 'true')",
        "context.country is null",
        "context.campaign.name = 'DE' or context.country = ''",
        "not (context.country = 'DE')",
    )
}


def test_a_condition_reaches_into_the_context() -> None:
    events = {"order": [_event(number, 1, number) for number in range(1, 64)]}
    found = ask(IN_CONTEXT, events, [(ALICE, 100)])
    assert list(found.values()) == [[8.0], [16.0], [31.0], [16.0], [24.0]]


def test_items_of_a_list_count_each_where_a_condition_holds() -> None:
    event = EventDefinition(
        1,
        "",
        properties={
            "items": PropertyDefinition(
                "list", of={"sku": "string", "price": "money", "quantity": "integer"}
            ),
            "channel": PropertyDefinition("string"),
        },
    )
    every = {"entity": "customer", "from_": "basket", "unnest": "items"}
    features = {
        "spent": FeatureDefinition(**every, aggregate="sum", property="items.price"),
        "dear": FeatureDefinition(
            **every, aggregate="count", where="items.price >= 10.50 and channel = 'web'"
        ),
        "skus": FeatureDefinition(**every, aggregate="distinct", property="items.sku"),
        "many": FeatureDefinition(**every, aggregate="rate", when="items.quantity > 1"),
    }
    items = [
        {"sku": "a", "price": 1050, "quantity": 1},
        {"sku": "b", "price": 999, "quantity": 2},
        {"sku": "a", "price": 2000, "quantity": None},
    ]
    item = pa.struct({"sku": pa.string(), "price": pa.int64(), "quantity": pa.int64()})
    table = pa.table(
        {
            "customer": pa.array([ALICE, ALICE, BOB], pa.binary(16)),
            "time": pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
            "known_at": pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
            "offset": pa.array([1, 2, 3], pa.int64()),
            "weight": pa.array([1.0, 2.0, 1.0], pa.float64()),
            "synthetic": pa.array([False] * 3),
            "channel": ["web", "web", "shop"],
            "items": pa.array([items, items[:1], items], pa.list_(item)),
        }
    )
    wanted = {
        ALICE: {"spent": 61.49, "dear": 4.0, "skus": 2.0, "many": 0.2},
        BOB: {"spent": 40.49, "dear": 0.0, "skus": 2.0, "many": 1 / 3},
    }
    view = compile_view(features, {"basket": event}, "USD")
    with duckdb.connect() as connection:
        connection.register("basket", table)
        plans = compile_features(features, {"basket": event}, "USD")
        found = values_as_of(connection, plans, spine([(ALICE, 9), (BOB, 9)]), "USD")
        rows = tiles_of(connection, view, 9, "USD")
    assert found.to_pylist() == list(wanted.values())
    for customer, values in wanted.items():
        assert Reader(view.grids, view.readings).read([rows[(customer,)]], 9)[0] == values


def test_a_key_is_what_the_event_says_it_is() -> None:
    """Of a declared entity with two parts: a field of the items, and a name under the context."""
    event = EventDefinition(
        1, "", properties={"items": PropertyDefinition("list", of={"sku": "string"})}
    )
    parts = {"sku": PropertyDefinition("string"), "country": PropertyDefinition("string")}
    entities = {"offer": EntityDefinition(("sku", "country"), parts, "A product in a country")}
    sold = FeatureDefinition(
        entity="offer",
        from_="basket",
        aggregate="count",
        unnest="items",
        by=("items.sku", "context.country"),
        window=Duration("1d"),
    )
    in_session = FeatureDefinition(entity="session", from_="basket", aggregate="count")
    features = {"sold": sold, "in_session": in_session}
    item = pa.list_(pa.struct({"sku": pa.string()}))
    table = pa.table(
        {
            "customer": pa.array([ALICE, BOB, BOB, BOB], pa.binary(16)),
            "session": ["s", "s", None, "t"],
            "time": pa.array([1, 2, 3, 4], pa.timestamp("us", "UTC")),
            "known_at": pa.array([1, 2, 3, 4], pa.timestamp("us", "UTC")),
            "offset": pa.array([1, 2, 3, 4], pa.int64()),
            "weight": pa.array([1.0, 1.0, 1.0, 3.0], pa.float64()),
            "synthetic": pa.array([False] * 4),
            "context": ['{"country": "DE"}', '{"country": "DE"}', '{"country": "AT"}', None],
            "items": pa.array(
                [[{"sku": "a"}, {"sku": "b"}], [{"sku": "a"}, {"sku": "a"}], [{"sku": "a"}], []],
                item,
            ),
        }
    )
    asked = pa.table(
        {
            "time": pa.array([3, 9, 9, 9], pa.timestamp("us", "UTC")),
            "sku": ["a", "a", "b", "c"],
            "country": ["DE", "AT", "DE", "DE"],
            "session": ["s", "t", "u", "s"],
        }
    )
    view = compile_view({"sold": sold}, {"basket": event}, "USD", entities)
    with duckdb.connect() as connection:
        connection.register("basket", table)
        plans = compile_features(features, {"basket": event}, "USD", entities)
        found = values_as_of(connection, plans, with_keys(asked, plans), "USD").to_pydict()
        rows = tiles_of(connection, view, 9, "USD")
    assert found == {"sold": [3.0, 1.0, 1.0, 0.0], "in_session": [2.0, 3.0, 0.0, 2.0]}
    reader = Reader(view.grids, view.readings)
    assert {key: reader.read([row], 9)[0]["sold"] for key, row in rows.items()} == {
        ("a", "DE"): 3.0,
        ("b", "DE"): 1.0,
        ("a", "AT"): 1.0,
    }


def test_a_spine_has_to_say_whom_it_is_about() -> None:
    orders = FeatureDefinition(entity="session", from_="order", aggregate="count")
    plans = compile_features({"orders": orders}, EVENTS, "USD")
    with pytest.raises(InputError, match="the rows do not say which session they are about"):
        with_keys(spine([(ALICE, 1)]), plans)
    with pytest.raises(InputError, match="'session' holds binary, and no string"):
        with_keys(pa.table({"session": [b"\xff"]}), plans)
