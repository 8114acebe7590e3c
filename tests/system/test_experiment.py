"""One experiment from its plan to the register, over events that a real server collects."""

from __future__ import annotations

import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import duckdb
import pytest
from deltalake import DeltaTable

from tests.system.collector import Server, make_project, post, serving
from tests.system.conftest import call

HISTORY_DAYS = 30
HISTORY_CUSTOMERS = 1500
CUSTOMERS = 1600
MATURE_SECONDS = 2.0
SECONDS = 60.0
"""How long something that takes a moment may take on a loaded machine."""

TEXT = """
[goal]
metric = "revenue"
holdout = "10%"
salt = "hold"

[metrics.revenue]
description = "Money within two seconds: this shop is in a hurry"
from = "order_completed"
aggregate = "sum"
property = "revenue"
within = "2s"
unit = "EUR"

[metrics.bought]
description = "Bought within two seconds"
from = "order_completed"
aggregate = "any"
within = "2s"

[actions.nothing]
label = "Nothing"

[actions.greeting]
label = "A greeting"

[placements.top]
channel = "web"
control = "nothing"

[experiments.greet]
design = "ab"
description = "A greeting at the top"
hypothesis = "Who is greeted buys more"
purpose = "measurement"
placement = "top"
metrics = ["revenue"]
counter_metrics = { bought = "50%" }
effect = "40%"
arms = { control = {}, warm = { action = "greeting" } }
testers = { "customer:me" = "warm" }
"""


def order(customer: str, at: datetime, cents: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": "order_completed",
        "version": 1,
        "time": at.isoformat(),
        "identifiers": {"customer": customer},
        "consent": {"granted": ["measurement"], "source": "api"},
        "properties": {
            "order_id": str(uuid.uuid4()),
            "revenue": f"{cents // 100}.{cents % 100:02d}",
        },
    }


def send(server: Server, events: list[dict[str, Any]]) -> None:
    for start in range(0, len(events), 400):
        status, _, answer = post(server.port, json.dumps(events[start : start + 400]).encode())
        assert status == 200, answer


def history(rng: random.Random) -> list[dict[str, Any]]:
    """Orders of the past month: a few new customers a day, who buy at once and then again."""
    now = datetime.now(UTC)
    events = []
    for number in range(HISTORY_CUSTOMERS):
        first = now - timedelta(days=1 + number % HISTORY_DAYS, minutes=number % 700)
        events.append(order(f"old-{number}", first, rng.randrange(500, 5000)))
        if rng.random() < 0.5:
            again = first + timedelta(seconds=1)
            events.append(order(f"old-{number}", again, rng.randrange(500, 5000)))
    return events


def ask(server: Server, customer: str) -> dict[str, Any]:
    context = {
        "targetingKey": f"customer:{customer}",
        "consent": {"granted": ["measurement"], "source": "api"},
    }
    body = json.dumps({"context": context}).encode()
    status, _, answer = post(server.port, body, "/ofrep/v1/evaluate/flags/top")
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def said(project: Path, *arguments: str, code: int = 0) -> Any:
    done = call(*arguments, "--json", cwd=project)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def until_running(server: Server, customer: str) -> None:
    """Wait until a change has reached the server: within five seconds, on a machine at ease."""
    deadline = time.monotonic() + SECONDS
    while ask(server, customer)["reason"] != "TARGETING_MATCH":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def visit(
    server: Server, customers: list[str], rng: random.Random
) -> dict[str, tuple[str, list[int]]]:
    """Let customers come, be given an arm and order; who was given one -> arm and its cents."""
    given: dict[str, tuple[str, list[int]]] = {}
    for start in range(0, len(customers), 100):
        orders = []
        for customer in customers[start : start + 100]:
            answer = ask(server, customer)
            mean = 2000 if answer["value"] == "nothing" else 3400
            spent = [int(rng.gauss(mean, 400)) for _ in range(rng.random() < 0.7)]
            orders += [order(customer, datetime.now(UTC), cents) for cents in spent]
            if answer["reason"] == "SPLIT":
                given[customer] = answer["variant"], spent
        send(server, orders)
    return given


def arms_by_hand(project: Path) -> dict[str, tuple[int, Fraction]]:
    """Arm -> units and revenue, from the tables as they lie on the disk, by SQL of our own."""
    connection = duckdb.connect()
    tables = {}
    for name in ("assigned", "order_completed"):
        [folder] = (project / ".liftwerk").glob(f"**/{name}_v1")
        tables[name] = DeltaTable(folder).to_pyarrow_table()
        connection.register(name, tables[name])
    columns = tables["order_completed"].column_names
    [revenue] = [one for one in columns if one.startswith("revenue") and "currency" not in one]
    [leaf] = [one for one in columns if "customer" in one and one.startswith("leaf")]
    rows = connection.execute(
        f"""
        WITH unit AS (
            SELECT "{leaf}" AS unit, any_value(arm) AS arm, min(time) AS at
            FROM assigned WHERE experiment = 'greet' AND NOT coalesce(tester, FALSE) GROUP BY 1
        ),
        spent AS (
            SELECT unit.unit, sum(o."{revenue}") AS cents
            FROM unit JOIN order_completed AS o ON o."{leaf}" = unit.unit
            WHERE o.time > unit.at AND o.time <= unit.at + INTERVAL 2 SECONDS GROUP BY 1
        )
        SELECT arm, count(*), coalesce(sum(cents), 0) FROM unit LEFT JOIN spent USING (unit)
        GROUP BY arm
        """
    ).fetchall()
    return {arm: (units, Fraction(int(cents), 100)) for arm, units, cents in rows}


@pytest.mark.slow
def test_from_the_plan_to_the_register(tmp_path: Path) -> None:
    rng = random.Random(8)
    project = make_project(tmp_path / "shop")
    file = project / "liftwerk.toml"
    file.write_text(file.read_text() + TEXT)
    with serving(project) as server:
        refused = call("experiment", "plan", "greet", cwd=project)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        send(server, history(rng))
        assert call("events", "compact", cwd=project).returncode == 0

        plan = said(project, "experiment", "plan", "greet")
        assert plan["days"] is not None
        assert 0 < plan["units"] < 5000

        said(project, "experiment", "start", "greet", "--share", "40%")
        until_running(server, "me")
        customers = [f"c{number}" for number in range(CUSTOMERS)]
        first = visit(server, customers[: CUSTOMERS // 2], rng)
        assert 0.3 < len(first) / (CUSTOMERS // 2) < 0.43  # 40% of whom the holdout leaves

        said(project, "experiment", "ramp", "greet", "100%")
        waiting = [one for one in customers[: CUSTOMERS // 2] if one not in first][:30]
        deadline = time.monotonic() + SECONDS
        while all(ask(server, one)["reason"] != "SPLIT" for one in waiting):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        again = {one: ask(server, one)["variant"] for one in list(first)[:50]}
        assert again == {one: first[one][0] for one in again}
        second = visit(server, customers[CUSTOMERS // 2 :], rng)
        assert len(second) / (CUSTOMERS // 2) > 0.7  # a process may have heard a little later

        time.sleep(MATURE_SECONDS)  # the metrics' own window, on the real clock
        assert call("events", "compact", cwd=project).returncode == 0
        reading = said(project, "experiment", "read", "greet")
        [revenue] = [one for one in reading["comparisons"] if one["metric"] == "revenue"]
        assert revenue["answer"] == "better"
        assert reading["verdict"]["advice"] == "ship"
        assert reading["testers"] == 1

        said(project, "experiment", "stop", "greet", "--reason", "it is decided")
        deadline = time.monotonic() + SECONDS
        while ask(server, "me")["reason"] != "DISABLED":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        reading = said(project, "experiment", "read", "greet")
        [revenue] = [one for one in reading["comparisons"] if one["metric"] == "revenue"]
        [registered] = said(project, "effects", "experiment:greet")

        by_hand = arms_by_hand(project)
        counted = {one["arm"]: one["matured"] for one in reading["arms"]}
        assert counted == {arm: units for arm, (units, _) in by_hand.items()}
        means = {arm: total / units for arm, (units, total) in by_hand.items()}
        for arm, key in (("control", "control"), ("warm", "treated")):
            assert abs(Fraction(revenue[key]) - means[arm]) < Fraction(1, 10**9)
        apart = float(means["warm"] - means["control"])
        assert abs(revenue["absolute"]["value"] - apart) < 1e-9
        assert abs(registered["estimate"]["value"] - apart) < 1e-9
        assert registered["metric"] == "revenue"

        with urlopen(f"{server.address}experiments/greet") as page:
            text = page.read().decode()
        assert f"{apart:+.2f}".lstrip("+") in text
        assert reading["verdict"]["words"] in text
