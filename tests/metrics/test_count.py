"""What a decision earned equals the definition, decision by decision."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from liftwerk.definitions.typed import Duration, Share
from liftwerk.errors import Refused, UnknownName
from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.metrics.compile import compile_metrics
from liftwerk.metrics.count import count_decisions
from liftwerk.metrics.definition import MetricDefinition

from .naive import Decision, Outcome, value

ALICE, BOB, CAROL = b"a" * 16, b"b" * 16, b"c" * 16
DAY = 86_400_000_000
COSTS = {"nothing": Decimal("0.00"), "mail": Decimal("0.05"), "letter": Decimal("0.333")}
EVENTS = {
    "order": EventDefinition(
        1,
        "",
        properties={
            "revenue": PropertyDefinition("money"),
            "items": PropertyDefinition("integer"),
            "score": PropertyDefinition("number"),
        },
    )
}


def metric(aggregate: Any, within: str, **more: Any) -> MetricDefinition:
    return MetricDefinition("", "order", aggregate, Duration(within), **more)


METRICS = {
    # Named like columns of the SQL's steps, on purpose.
    "decision": metric("any", "14d"),
    "time": metric("count", "1d"),
    "weight": metric("sum", "3d", property="items"),
    "score": metric("sum", "14d", property="score"),
    "spend": metric("sum", "14d", property="revenue"),
    "margin": metric(
        "sum", "14d", property="revenue", multiply=Share("1/3"), subtract="action_cost"
    ),
    "early": metric("sum", "1d", property="revenue", multiply=Share("50%"), subtract="action_cost"),
}


def count(
    decisions: list[Decision],
    outcomes: list[Outcome],
    metrics: dict[str, MetricDefinition] | None = None,
    costs: dict[str, Decimal] = COSTS,
    currency: str = "USD",
) -> dict[str, list[float]]:
    stamp = pa.timestamp("us", "UTC")
    spine = pa.table(
        {
            "decision": pa.array([row.id for row in decisions], pa.binary(16)),
            "customer": pa.array([row.customer for row in decisions], pa.binary(16)),
            "time": pa.array([row.time for row in decisions], stamp),
            "action": pa.array([row.action for row in decisions], pa.string()),
        }
    )
    orders = pa.table(
        {
            "customer": pa.array([row.customer for row in outcomes], pa.binary(16)),
            "decision": pa.array([row.decision for row in outcomes], pa.binary(16)),
            "time": pa.array([row.time for row in outcomes], stamp),
            "trust": pa.array([row.trust for row in outcomes], pa.string()),
            "weight": pa.array([row.weight for row in outcomes], pa.float64()),
            "synthetic": pa.array([row.synthetic for row in outcomes], pa.bool_()),
            "modelled": pa.array([row.modelled for row in outcomes], pa.bool_()),
            "revenue": pa.array([row.revenue for row in outcomes], pa.int64()),
            "revenue_currency": pa.array([currency for _ in outcomes], pa.string()),
            "items": pa.array([row.items for row in outcomes], pa.int64()),
            "score": pa.array([row.score for row in outcomes], pa.float64()),
        }
    )
    plans = compile_metrics(metrics or METRICS, EVENTS, "USD")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("order", orders)
        found: dict[str, list[float]] = count_decisions(
            connection, plans, spine, "USD", costs
        ).to_pydict()
    return found


# Few distinct times, so that outcomes fall on decisions and on both ends of their windows.
_times = st.tuples(
    st.sampled_from([0, 1, 3, 14, 15]), st.integers(-2, 2), st.sampled_from([-1, 0, 0, 1])
).map(lambda parts: parts[0] * DAY + parts[1] * DAY // 2 + parts[2])
_ids = st.sampled_from([bytes([i]) * 16 for i in range(6)])


@st.composite
def _outcomes(draw: Any) -> Outcome:
    return Outcome(
        customer=draw(st.sampled_from([ALICE, BOB])),
        time=draw(_times),
        trust=draw(st.sampled_from(["server", "import", "server", "import", "browser", "partner"])),
        decision=draw(st.none() | _ids),
        weight=draw(st.sampled_from([1.0, 1.0, 2.5, 0.125, 1000.0])),
        synthetic=draw(st.sampled_from([False, False, False, True])),
        modelled=draw(st.sampled_from([False, False, False, True])),
        revenue=draw(st.none() | st.integers(-(10**4), 10**15)),
        items=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        score=draw(st.none() | st.integers(-(10**9), 10**9).map(lambda n: n / 8)),
    )


@st.composite
def _decisions(draw: Any) -> list[Decision]:
    ids = draw(st.lists(_ids, min_size=3, max_size=6, unique=True))
    customers = st.sampled_from([ALICE, ALICE, BOB, BOB, CAROL])
    return [
        Decision(id_, draw(customers), draw(_times), draw(st.sampled_from(sorted(COSTS))))
        for id_ in ids
    ]


def test_equals_the_definition() -> None:
    """Random worlds: several decisions a customer, windows' ends, untrusted words, weights."""
    counts = {"values": 0, "earned": 0}

    # Not shrunk: that takes minutes here, and the message says which value differs.
    @settings(max_examples=30, phases=[Phase.generate])
    @given(_decisions(), st.lists(_outcomes(), min_size=10, max_size=20))
    def compare(decisions: list[Decision], outcomes: list[Outcome]) -> None:
        found = count(decisions, outcomes)
        for name, definition in METRICS.items():
            for row, decision in enumerate(decisions):
                wanted = value(definition, outcomes, decision, COSTS)
                counts["values"] += 1
                counts["earned"] += value(METRICS["decision"], outcomes, decision, COSTS) > 0
                assert found[name][row] == wanted, (name, row, found[name][row], wanted)

    compare()
    assert counts["values"] > 800
    assert counts["earned"] / counts["values"] > 0.3, counts


MAILED = Decision(b"1" * 16, ALICE, 0, "mail")


def test_the_window_is_open_at_the_decision_and_closed_at_its_end() -> None:
    first = {"n": metric("count", "1d")}
    orders = [Outcome(ALICE, time) for time in (-1, 0, 1, DAY, DAY + 1)]
    assert count([MAILED], orders, first) == {"n": [2.0]}


def test_an_answer_is_credited_to_its_decision_alone() -> None:
    again = Decision(b"2" * 16, ALICE, 10, "mail")
    orders = [Outcome(ALICE, 20, decision=MAILED.id, revenue=1000)]
    assert count([MAILED, again], orders)["spend"] == [10.0, 0.0]


def test_an_answer_reaches_its_decision_from_another_customer_key() -> None:
    """The decision's id says more than an identifier that was not merged yet."""
    orders = [Outcome(BOB, 20, decision=MAILED.id, revenue=1000)]
    assert count([MAILED], orders)["spend"] == [10.0]


def test_an_order_without_an_answer_is_credited_to_each_decision_in_its_window() -> None:
    again = Decision(b"2" * 16, ALICE, 10, "nothing")
    assert count([MAILED, again], [Outcome(ALICE, 20, revenue=1000)])["spend"] == [10.0, 10.0]


@pytest.mark.parametrize("trust", ["browser", "partner"])
def test_a_forged_order_teaches_nothing(trust: str) -> None:
    orders = [Outcome(ALICE, 20, trust=trust, revenue=1000)]
    assert count([MAILED], orders)["spend"] == [0.0]


def test_margin_is_exact_before_it_is_a_float() -> None:
    half = {"margin": metric("sum", "1d", property="revenue", multiply=Share("50%"))}
    orders = [Outcome(ALICE, 1, revenue=2999), Outcome(ALICE, 2, revenue=10)]
    assert count([MAILED], orders, half)["margin"] == [15.045]
    third = {"m": metric("sum", "1d", property="revenue", subtract="action_cost")}
    assert count([MAILED], [], third)["m"] == [-0.05]


def test_a_cost_below_a_cent_is_kept() -> None:
    metrics = {"m": metric("sum", "1d", property="revenue", subtract="action_cost")}
    costs = {"mail": Decimal("0.0005")}
    assert count([MAILED], [], metrics, costs)["m"] == [-0.0005]


def test_an_action_without_a_cost_is_named() -> None:
    with pytest.raises(UnknownName, match=r"no cost of the action 'mail'.*did you mean 'mails'"):
        count([MAILED], [], costs={"mails": Decimal(1)})


def test_currencies_are_never_mixed() -> None:
    with pytest.raises(Refused, match="1 amounts in EUR"):
        count([MAILED], [Outcome(ALICE, 1, revenue=1)], currency="EUR")


def test_no_decisions_give_no_rows() -> None:
    assert count([], [Outcome(ALICE, 1, revenue=1)]) == {name: [] for name in METRICS}


def test_a_sum_beyond_128_bits_is_refused_and_not_rounded() -> None:
    with pytest.raises(Refused, match=r"too large to be added up exactly: events\.order"):
        count([MAILED], [Outcome(ALICE, 1, score=1e30)])
