"""What metrics were in a month equals independent SQL over plain tables, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from liftwerk.metrics.period import Added, Told, Value, Window, value_in, windows
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.metrics.business import METRICS, business
from tests.metrics.shopping import END, Shopping

BERLIN = ZoneInfo("Europe/Berlin")
FEBRUARY = Window(datetime(2026, 2, 1, tzinfo=BERLIN), datetime(2026, 3, 1, tzinfo=BERLIN))
ADDED = Added(Estimate(900.0, 100.0, 1700.0, 400.0, 5000, "holdout"), FEBRUARY, "EUR")
TOLD = Told(
    added={"revenue": ADDED}.get,
    measured={"system:liftwerk_requests_total": 7.0}.get,
)
BY_HAND = """
WITH p AS (SELECT TIMESTAMPTZ '2026-01-31 23:00Z' AS a, TIMESTAMPTZ '2026-02-28 23:00Z' AS b),
o AS (SELECT o.* FROM orders AS o, p WHERE "at" >= a AND "at" < b),
r AS (SELECT r.* FROM returns AS r, p WHERE "at" >= a AND "at" < b),
m AS (
  SELECT sum(i.quantity * (i.price - (
    SELECT c.cost FROM costs AS c WHERE c.sku = i.sku AND c.since <= o.at
    ORDER BY c.since DESC LIMIT 1))) AS margin
  FROM o JOIN items AS i USING (order_id)
),
f AS (SELECT person, min("at") AS first FROM orders GROUP BY person),
n AS (SELECT f.* FROM f, p WHERE first >= a AND first < b),
l AS (
  SELECT n.person, sum(o.cents) AS brought FROM n JOIN orders AS o
  ON o.person = n.person AND o.at >= n.first AND o.at < n.first + INTERVAL 30 DAY GROUP BY ALL
),
g AS (
  SELECT person, "at", lead("at") OVER (PARTITION BY person ORDER BY "at") AS next FROM orders
),
w AS (
  SELECT person, bool_or("at" + INTERVAL 30 DAY >= a AND "at" + INTERVAL 30 DAY < b
    AND (next IS NULL OR next > "at" + INTERVAL 30 DAY)) AS left_us
  FROM g, p WHERE "at" >= a - INTERVAL 30 DAY AND "at" < b GROUP BY person, a HAVING min("at") < a
)
SELECT
  (SELECT sum(cents) / 100 FROM o) AS revenue,
  (SELECT count(*) FROM o) AS orders,
  (SELECT count(*) FROM o WHERE cents >= 5000) AS large_orders,
  (SELECT count(DISTINCT person) FROM o) AS bought,
  (SELECT margin / 100 FROM m) AS margin,
  ((SELECT margin FROM m) - (SELECT sum(refund) + sum(cost) FROM r)) / 100 AS profit,
  (SELECT sum(cents) / 100 / count(*) FROM o) AS basket,
  (SELECT count(*) FROM r) / (SELECT count(*) FROM o) AS return_rate,
  (SELECT count(*) FROM n) AS new_customers,
  (SELECT sum(spend) / 100 FROM spends, p WHERE day >= a AND day < b) AS spend,
  (SELECT sum(spend) / 100 FROM spends, p WHERE day >= a AND day < b)
    / (SELECT count(*) FROM n) AS cac,
  (SELECT sum(brought) / 100 / count(*) FROM l) AS ltv,
  (SELECT avg(left_us::INT) FROM w) AS churn,
  (SELECT count(*) FROM costs, p WHERE stock = 0 AND since >= a AND since < b) AS stock_outs
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_month_equals_sql_written_by_hand(tmp_path: Path, seed: int) -> None:
    project, shopping = business(), Shopping(seed, people=150, orders=400)
    names = [
        line.split(" AS ")[-1].strip(" ,\n") for line in BY_HAND.split("\nSELECT\n")[1].split("\n")
    ]
    names = [name for name in names if name in METRICS]
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)

        def value(name: str, purpose: str = "accounting", now: datetime = END) -> Value:
            given = (project, stores, name, purpose, FEBRUARY)
            return value_in(*given, now=now, told=TOLD)

        found = {name: value(name) for name in [*names, "ltv_to_cac", "incremental_roas"]}
        early = value("ltv", now=datetime(2026, 3, 10, tzinfo=UTC))
        forbidden = value("spend", "measurement")
        others = [
            value("incremental_profit"),
            value("incremental_revenue"),
            value("served_in_time"),
        ]
    wanted = dict(zip(names, shopping.sql(BY_HAND)[0], strict=True))
    assert len(names) == 14
    for name in names:
        plain = found[name]
        if isinstance(plain, Estimate):
            assert plain.low < plain.value < plain.high
            plain = plain.value
        assert plain == pytest.approx(float(wanted[name]), rel=1e-12), name
    drawn = [name for name, one in found.items() if isinstance(one, Estimate)]
    assert drawn == ["basket", "return_rate", "ltv", "churn", "ltv_to_cac", "incremental_roas"]
    to_cac, roas = found["ltv_to_cac"], found["incremental_roas"]
    assert isinstance(to_cac, Estimate)
    assert isinstance(roas, Estimate)
    assert to_cac.value == pytest.approx(float(wanted["ltv"]) / float(wanted["cac"]), rel=1e-12)
    assert roas.low == pytest.approx(100 / float(wanted["spend"]), rel=1e-12)
    assert early == Unknown("its customers are not known for 30d yet", "waiting until 2026-03-31")
    assert isinstance(forbidden, Unknown)
    assert "may not be read for 'measurement'" in forbidden.reason
    assert isinstance(others[0], Unknown)
    assert others[1:] == [ADDED.estimate, 7.0]


def test_periods_are_those_of_the_calendar_in_the_projects_zone() -> None:
    now = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)  # one minute to April in Berlin
    assert windows("month", BERLIN, now, 1)[0] == FEBRUARY
    days = windows("day", BERLIN, now, 3)
    # Summer time began on the 29th: that day had 23 hours.
    assert [(one.end - one.start).days for one in days] == [1, 1, 1]
    assert days[0].end.astimezone(UTC) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert days[1].end.astimezone(UTC) == datetime(2026, 3, 29, 22, tzinfo=UTC)
    weeks = windows("week", BERLIN, now, 1)
    assert weeks[0].start.isoformat() == "2026-03-23T00:00:00+01:00"
