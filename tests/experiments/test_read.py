"""A reading equals plain SQL to the cent, finds what is there, and says nothing of broken lots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import Refused
from liftwerk.experiments.compare import compare
from liftwerk.experiments.read import gather, read
from liftwerk.experiments.reading import Comparison, Reading
from liftwerk.experiments.register import register
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.experiments.trial import END, METRICS, Trial

RICH = {
    "covariates": ["spent"],
    "segments": ["mood"],
    "counter_metrics": {"views": "60%"},
    "arms": {"control": {}, "warm": {"label": "Warm"}},
}


@contextmanager
def told(folder: Path, trial: Trial) -> Iterator[Stores]:
    home = Home.open(folder / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        trial.tell(trial.project(), stores)
        yield stores


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(customers=1_200, effect=40.0, fields=RICH)


@pytest.fixture(scope="module")
def stores(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with told(tmp_path_factory.mktemp("trial"), trial) as stores:
        yield stores


@pytest.fixture(scope="module")
def reading(trial: Trial, stores: Stores) -> Reading:
    return again(trial, stores)


def again(trial: Trial, stores: Stores, now: datetime = END, **fields: Any) -> Reading:
    """Read the trial with other fields in its declaration."""
    other = Trial(trial.seed, trial.customers, trial.effect, {**(trial.fields or {}), **fields})
    return read(other.project(), stores, "greeting", now=now)


def compared(trial: Trial, stores: Stores, **fields: Any) -> tuple[tuple[Comparison, ...], Any]:
    """Only compare, with other fields in its declaration; also what was done to the values."""
    other = Trial(trial.seed, trial.customers, trial.effect, {**(trial.fields or {}), **fields})
    found = gather(other.project(), stores, "greeting", AsOf(END), {})
    return compare(found.questions, found.units.moments(), found.how), found.units.notes


def of(comparisons: tuple[Comparison, ...], metric: str, arm: str = "warm") -> Comparison:
    return next(one for one in comparisons if (one.metric, one.arm) == (metric, arm))


def estimate(figure: Estimate | Unknown) -> Estimate:
    assert isinstance(figure, Estimate), figure
    return figure


def tables(trial: Trial) -> dict[str, pa.Table]:
    """Tell the trial's events as plain tables, amounts in cents."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in trial.events():
        said = dict(one["properties"])
        if "revenue" in said:
            said["cents"] = int(Decimal(said.pop("revenue")) * 100)
        at = datetime.fromisoformat(one["time"])
        who = one["identifiers"]["email"]
        rows.setdefault(one["name"], []).append({"who": who, "told": at, **said})
    return {name: pa.Table.from_pylist(found) for name, found in rows.items()}


PLAIN = """
WITH u AS (SELECT who, arm, told FROM assigned WHERE told + INTERVAL 7 DAY <= $end),
money AS (
  SELECT u.who, sum(cents) AS cents, count(*) AS n FROM u JOIN order_completed AS o
  ON o.who = u.who AND o.told > u.told AND o.told <= u.told + INTERVAL 7 DAY GROUP BY u.who
),
pages AS (
  SELECT u.who, count(*) AS n FROM u JOIN page_viewed AS o
  ON o.who = u.who AND o.told > u.told AND o.told <= u.told + INTERVAL 7 DAY GROUP BY u.who
)
SELECT arm, count(*), sum(coalesce(cents, 0)), count(money.n), sum(coalesce(pages.n, 0)),
  sum(coalesce(cents, 0)::HUGEINT ** 2)
FROM u LEFT JOIN money USING (who) LEFT JOIN pages USING (who) GROUP BY arm ORDER BY arm
"""


def plain_sql(trial: Trial, end: datetime) -> dict[str, tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in tables(trial).items():
            connection.register(name, table)
        found = connection.execute(PLAIN, {"end": end}).fetchall()
    return {arm: rest for arm, *rest in found}  # type: ignore[misc]


def test_it_equals_sql_that_somebody_else_wrote(trial: Trial, stores: Stores) -> None:
    end = datetime(2026, 1, 22, tzinfo=trial.project().timezone)
    found = again(trial, stores, end, covariates=[])
    (n_c, cents_c, bought_c, pages_c, square_c), (n_t, cents_t, bought_t, pages_t, square_t) = (
        plain_sql(trial, end)[arm] for arm in ("control", "warm")
    )
    assert [arm.matured for arm in found.arms] == [n_c, n_t]
    assert 0 < n_c + n_t < trial.customers
    money = of(found.comparisons, "revenue")
    assert round(money.control * n_c * 100) == cents_c  # type: ignore[operator]
    assert round(money.treated * n_t * 100) == cents_t  # type: ignore[operator]
    value = cents_t / n_t / 100 - cents_c / n_c / 100
    assert estimate(money.absolute).value == pytest.approx(value, rel=1e-12)
    spread = [
        (square - cents**2 / n) / (n - 1) / n / 10_000
        for n, cents, square in ((n_c, cents_c, square_c), (n_t, cents_t, square_t))
    ]
    assert estimate(money.absolute).standard_error == pytest.approx(
        float(sum(spread)) ** 0.5, rel=1e-9
    )
    bought = of(found.comparisons, "ordered")
    assert (bought.control, bought.treated) == pytest.approx((bought_c / n_c, bought_t / n_t))
    pages = of(found.comparisons, "views")
    assert (pages.control, pages.treated) == pytest.approx((pages_c / n_c, pages_t / n_t))


def test_what_is_there_is_found_and_shipped(reading: Reading) -> None:
    money = of(reading.comparisons, "revenue")
    assert money.answer == "better"
    assert estimate(money.absolute).low > 0
    # More is earned from as many orders: no more customers buy.
    assert of(reading.comparisons, "ordered").answer == "unclear"
    assert of(reading.comparisons, "views").harmless
    assert reading.verdict.advice == "ship"
    assert reading.verdict.words.startswith("Ship Warm: revenue EUR +")
    assert reading.alarms == ()


def test_interval_and_adjusted_p_value_say_the_same(reading: Reading) -> None:
    comparisons = [*reading.comparisons, *reading.exposed]
    comparisons += [one for part in reading.segments for one in part.comparisons]
    known = [one for one in comparisons if one.adjusted is not None]
    assert len(known) > 6
    for one in known:
        figure = estimate(one.absolute)
        assert (figure.low > 0 or figure.high < 0) == (one.adjusted <= 0.05)  # type: ignore[operator]
        assert one.p_value <= one.adjusted  # type: ignore[operator]


def test_covariates_and_what_they_foretell_take_variance_out(
    trial: Trial, stores: Stores, reading: Reading
) -> None:
    def error(found: tuple[Comparison, ...]) -> float:
        return estimate(of(found, "revenue").absolute).standard_error

    plain, _ = compared(trial, stores, adjustment="none")
    foretold, notes = compared(trial, stores, adjustment="cupac", covariates=["spent", "mood"])
    assert error(reading.comparisons) < 0.97 * error(plain)
    assert error(foretold) < 0.97 * error(plain)
    assert any("CUPAC" in note for note in notes)


def test_a_look_is_what_was_to_be_seen_on_that_day(
    trial: Trial, stores: Stores, reading: Reading
) -> None:
    last = reading.looks[-1]
    assert last.units == sum(arm.matured for arm in reading.arms)
    for seen in last.seen:
        figure = of(reading.comparisons, seen.metric).absolute
        assert estimate(seen.absolute).low == pytest.approx(estimate(figure).low)
    units = [look.units for look in reading.looks]
    assert units == sorted(set(units))
    look = reading.looks[len(reading.looks) // 2]
    zone = trial.project().timezone
    midnight = datetime(look.day.year, look.day.month, look.day.day, tzinfo=zone)
    then = again(trial, stores, midnight + timedelta(days=1))
    assert sum(arm.matured for arm in then.arms) == look.units
    for seen in look.seen:
        figure = estimate(of(then.comparisons, seen.metric).absolute)
        assert estimate(seen.absolute).value == pytest.approx(figure.value)
        assert estimate(seen.absolute).high == pytest.approx(figure.high)


def test_segments_part_the_units(reading: Reading) -> None:
    assert [part.value for part in reading.segments] == ["bad", "good"]
    assert sum(part.units for part in reading.segments) == sum(arm.matured for arm in reading.arms)
    assert {one.metric for part in reading.segments for one in part.comparisons} == {"revenue"}


def test_the_exposed_are_read_beside_all(reading: Reading) -> None:
    met = sum(arm.exposed for arm in reading.arms)
    exposed = estimate(of(reading.exposed, "revenue").absolute)
    everybody = estimate(of(reading.comparisons, "revenue").absolute)
    assert met < everybody.n
    assert exposed.n == met


def test_strata_and_cuts_are_declared_and_told(trial: Trial, stores: Stores) -> None:
    found, notes = compared(trial, stores, strata=["mood"], winsorise="95%", covariates=[])
    money = of(found, "revenue")
    assert "within 2 strata" in estimate(money.absolute).method
    assert any("95% quantile" in note for note in notes)
    whole, _ = compared(trial, stores, covariates=[])
    assert money.treated < of(whole, "revenue").treated  # type: ignore[operator]
    # Who bought is not cut.
    assert of(found, "ordered").treated == pytest.approx(of(whole, "ordered").treated, abs=0.01)


def test_lost_units_give_no_figure_but_do_not_trust(tmp_path: Path) -> None:
    trial = Trial(effect=30.0, lost=0.4, customers=400)
    with told(tmp_path, trial) as stores:
        found = read(trial.project(), stores, "greeting", now=END)
    assert [check.name for check in found.alarms] == ["sample ratio"]
    assert found.verdict.advice == "do not trust"
    assert "EUR" not in found.verdict.words


def test_an_arm_that_nobody_got_is_an_alarm(trial: Trial, stores: Stores) -> None:
    found = again(trial, stores, arms={"control": {}, "warm": {}, "cold": {"share": "0.1%"}})
    (empty,) = (check for check in found.checks if check.name == "empty arm")
    assert empty.state == "alarm"
    assert "cold" in empty.words
    assert found.verdict.advice == "do not trust"


def test_what_was_registered_is_held_to(tmp_path: Path) -> None:
    small = Trial(customers=120, fields={"method": "fixed"})
    with told(tmp_path, small) as stores:
        register(small.project(), stores, FixedClock(END), "ada", "greeting", {"units": 5_000})
        found = again(small, stores)
        changed = again(small, stores, metrics=["ordered"])
    assert found.verdict.words.startswith("Keep running: it may be read once, when 5,000 units")
    assert "registration" not in [check.name for check in found.alarms]
    assert [check.name for check in changed.alarms] == ["registration"]
    assert changed.verdict.advice == "do not trust"
    assert "metrics" in changed.verdict.words


def test_before_anything_matured_it_says_when(trial: Trial, stores: Stores) -> None:
    found = again(trial, stores, END - timedelta(days=35))
    assert found.verdict.advice == "keep running"
    assert "2026-01-12" in found.verdict.change
    assert all(isinstance(one.absolute, Unknown) for one in found.comparisons)
    assert found.looks == ()


def test_nobody_assigned_is_said(trial: Trial, stores: Stores) -> None:
    found = again(trial, stores, END - timedelta(days=60))
    assert found.started is None
    assert found.verdict.words == "Keep running: nothing can be said yet."


def test_a_switchback_is_read_otherwise(trial: Trial, stores: Stores) -> None:
    turns = {"design": "switchback", "switchback": {"block": "1d"}, "segments": []}
    with pytest.raises(Refused, match="gives no arms to units"):
        again(trial, stores, **turns)


def test_the_statement_behind_a_figure_is_told(reading: Reading) -> None:
    assert set(reading.sql) == {"units", "metrics: order_completed", "metrics: page_viewed"}
    assert '"order_completed"' in reading.sql["metrics: order_completed"]
    assert set(METRICS) >= {one.metric for one in reading.comparisons}
