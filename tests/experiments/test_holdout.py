"""The programme's weeks equal plain SQL to the cent, and last click is told beside them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.decisions.decide import Made
from liftwerk.definitions import Project
from liftwerk.definitions.typed import Share
from liftwerk.errors import Refused
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.assign import held_out, unit_text
from liftwerk.experiments.effects import history
from liftwerk.experiments.holdout import Holdout, calibration_age, register_weeks, weekly
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.decisions import DecisionRecord
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, put

MONDAY = datetime(2026, 1, 5, tzinfo=UTC) - timedelta(hours=1)
"""Midnight in Berlin."""

WEEKS = 6
NOW = MONDAY + timedelta(days=7 * WEEKS + 2)
CUSTOMERS = 700
COSTS = {"nothing": Decimal(0), "mail": Decimal("0.25")}
GOAL = {"metric": "margin", "holdout": "30%", "salt": "shop-1", "purpose": "measurement"}


def shop(**goal: Any) -> Project:
    told = {**GOAL, **goal}
    metric = {
        "description": "Margin, less what was spent on it",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
        "multiply": "40%",
        "subtract": "action_cost",
        "within": "28d",
    }
    return shops.shop(metrics={"margin": metric}, goal=told)


class World:
    """Customers who are mailed each week, but for those held out, and what they bought."""

    def __init__(self, effect: float) -> None:
        chance = np.random.default_rng(4)
        self.orders: list[dict[str, Any]] = []
        self.decided: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        share = Share(GOAL["holdout"]).exact
        for customer in range(CUSTOMERS):
            key = leaf_key("email", f"c{customer}@example.com")
            held = held_out(GOAL["salt"], share, unit_text(key))
            # Some are first heard of while it runs.
            came = MONDAY - timedelta(days=9) + timedelta(days=int(chance.integers(0, 18)))
            self._tell("page_viewed", customer, came)
            keen = float(chance.gamma(3.0, 0.4))
            for week in range(WEEKS):
                at = MONDAY + timedelta(days=7 * week, hours=9, seconds=customer)
                if at > came:
                    row = {"who": customer, "told": at, "held": held, "key": key}
                    self.decided.append(row)
            for _ in range(chance.poisson(keen * WEEKS)):
                at = MONDAY + timedelta(seconds=int(chance.integers(WEEKS * 7 * 86_400)))
                worth = float(chance.exponential(20.0)) + (0.0 if held else effect)
                cents = round(100 * worth)
                self.orders.append({"who": customer, "told": at, "cents": cents, "held": held})
                said = {"order_id": f"o{len(self.orders)}", "revenue": f"{cents / 100:.2f}"}
                self._tell("order_completed", customer, at, **said)

    def _tell(self, name: str, customer: int, at: datetime, **properties: Any) -> None:
        number = len(self.events) + 1
        who = {"email": f"c{customer}@example.com"}
        fields = {"identifiers": who, "time": at.isoformat(), "properties": properties}
        self.events.append(event(name, number, **fields))

    def tell(self, project: Project, stores: Stores) -> None:
        """Let all of it come in: decisions as the decision path records them."""
        assert put(project, stores, *self.events, at=NOW) == []
        stores.decisions.decide_many([(record(row), []) for row in self.decided])
        compact(project, stores, FixedClock(NOW))
        assert stores.inbox.quarantine_count() == {}

    def sql(self, statement: str, **told: Any) -> list[tuple[Any, ...]]:
        known: dict[int, datetime] = {}
        for one in self.events:
            who = int(one["identifiers"]["email"][1:].partition("@")[0])
            at = datetime.fromisoformat(one["time"])
            known[who] = min(at, known.get(who, at))
        rows = [{"who": who, "since": since} for who, since in known.items()]
        held = {row["who"]: row["held"] for row in self.decided}
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            people = [{**row, "held": held[row["who"]]} for row in rows]
            connection.register("people", pa.Table.from_pylist(people))
            connection.register("orders", pa.Table.from_pylist(self.orders))
            decided = [{key: row[key] for key in ("who", "told", "held")} for row in self.decided]
            connection.register("decided", pa.Table.from_pylist(decided))
            return connection.execute(statement, told).fetchall()


def record(row: dict[str, Any]) -> DecisionRecord:
    action, experiment, arm = "mail", None, None
    if row["held"]:
        action, experiment, arm = "nothing", "global_holdout", "holdout"
    number = uuid.UUID(int=2**100 + row["who"] * 1_000 + row["told"].day * 20 + row["told"].month)
    made = Made(
        id=str(number),
        unit=row["key"].hex(),
        placement="slot",
        time=row["told"],
        release=None,
        policy_state=None,
        stage=None,
        eligible=["nothing"] if row["held"] else ["nothing", "mail"],
        action=action,
        probability=1.0,
        probabilities=[1.0] if row["held"] else [0.0, 1.0],
        draw=0.5,
        control_action="nothing",
        expected_reward=None,
        reward_version="r1",
        feature_snapshot=None,
        guardrails=[],
        experiment=experiment,
        arm=arm,
        latency_us=5,
    )
    body = msgspec.json.encode(msgspec.to_builtins(made))
    return DecisionRecord(
        id=number.bytes, unit=row["key"], placement="slot", at=row["told"], body=body, contact=False
    )


@pytest.fixture(scope="module")
def world() -> World:
    return World(effect=8.0)


@pytest.fixture(scope="module")
def stores(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    home = Home.open(tmp_path_factory.mktemp("holdout") / "home", create=True)
    with open_stores(home) as opened, home.hold("test"):
        world.tell(shop(), opened)
        yield opened


@pytest.fixture(scope="module")
def found(stores: Stores) -> Holdout:
    policies = {"win_back": "slot", "elsewhere": "banner"}
    return weekly(shop(), stores, policies, "measurement", now=NOW, costs=COSTS)


WEEK = """
WITH spent AS (
  SELECT who, sum(cents) AS cents FROM orders
  WHERE told >= $start AND told < $end GROUP BY who
),
mailed AS (
  SELECT who, count(*) AS n FROM decided
  WHERE told >= $start AND told < $end AND NOT held GROUP BY who
)
SELECT held, count(*), sum(coalesce(cents, 0)), sum(coalesce(n, 0))
FROM people LEFT JOIN spent USING (who) LEFT JOIN mailed USING (who)
WHERE since < $start GROUP BY held ORDER BY held
"""

LAST_CLICK = """
SELECT coalesce(sum(cents), 0) FROM orders AS o JOIN people USING (who)
WHERE o.told >= $start AND o.told < $end AND since < $start AND EXISTS (
  FROM decided AS d WHERE d.who = o.who AND NOT d.held
  AND d.told <= o.told AND d.told > o.told - INTERVAL 30 DAY
)
"""


def test_weeks_equal_sql_that_somebody_else_wrote(world: World, found: Holdout) -> None:
    programme = found.subjects[0]
    assert [week.start for week in programme.weeks] == [
        MONDAY + timedelta(days=7 * week) for week in range(WEEKS)
    ]
    for week in programme.weeks:
        told = {"start": week.start, "end": week.end}
        (_, treated, cents, mails), (_, held, less, _) = world.sql(WEEK, **told)
        assert (week.treated, week.held_out) == (treated, held)
        each = Decimal(cents) * 40 / 10_000 - Decimal(mails) / 4
        more = each - Decimal(less) * 40 / 10_000 * treated / held
        assert isinstance(week.increment, Estimate)
        assert abs(Decimal(week.increment.value) - more) < Decimal("0.005")
        ((claimed,),) = world.sql(LAST_CLICK, **told)
        assert abs(Decimal(week.last_click) - Decimal(claimed) * 40 / 10_000) < Decimal("0.005")


def test_the_sum_so_far_is_found_and_last_click_claims_more(found: Holdout) -> None:
    programme = found.subjects[0]
    last = programme.weeks[-1].so_far
    assert isinstance(last, Estimate)
    assert last.low > 0
    assert sum(week.last_click for week in programme.weeks) > last.high


def test_a_policy_is_read_among_whom_it_decided_for(found: Holdout) -> None:
    policy, elsewhere = found.subjects[1:]
    assert policy.subject == "policy:win_back"
    assert policy.weeks[0].treated > found.subjects[0].weeks[0].treated
    assert policy.weeks[0].treated + policy.weeks[0].held_out <= CUSTOMERS
    assert [week.treated for week in elsewhere.weeks] == [0] * WEEKS
    assert all(isinstance(week.increment, Unknown) for week in elsewhere.weeks)


def test_every_week_goes_to_the_effect_register_once(stores: Stores, found: Holdout) -> None:
    clock = FixedClock(NOW)
    assert calibration_age(stores.ledger, NOW) is None
    assert register_weeks(stores.ledger, clock, "ada", found) == 3 * WEEKS
    assert register_weeks(stores.ledger, clock, "ada", found) == 0
    kept = [one for one in history(stores.ledger, "programme") if one.metric == "margin"]
    assert [one.estimate for one in kept] == [week.increment for week in found.subjects[0].weeks]
    assert kept[0].unit == "EUR"
    # It is two days since the last whole week ended.
    assert calibration_age(stores.ledger, NOW) == timedelta(days=2)


def test_of_a_week_that_is_not_over_nothing_is_said(stores: Stores) -> None:
    then = MONDAY + timedelta(days=6)
    found = weekly(shop(), stores, {}, "measurement", now=then, costs=COSTS)
    assert found.subjects[0].weeks == ()


def test_without_a_holdout_it_says_what_to_declare(stores: Stores) -> None:
    with pytest.raises(Refused, match="nobody is held out"):
        weekly(shop(holdout="0%"), stores, {}, "measurement", now=NOW, costs=COSTS)


def test_who_may_not_be_read_is_not_in_it(stores: Stores) -> None:
    """Nobody consented to ads, so of nobody anything is known for ads."""
    found = weekly(shop(), stores, {}, "ads", now=NOW, costs=COSTS)
    assert all(week.treated == 0 for one in found.subjects for week in one.weeks)
