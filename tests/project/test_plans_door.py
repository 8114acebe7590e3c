"""A switchback and a geo test by command: planned by the project's events, registered, begun."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwerk.cli.main import main

pytestmark = pytest.mark.slow

CITIES = [f"city{number:02}" for number in range(12)]
DAYS = 70
TEXT = """
[project]
name = "shop"
currency = "EUR"
timezone = "Europe/Berlin"

[purposes.measurement]
basis = "legitimate_interest"

[sources.till]
kind = "file"
trust = "import"

[identifiers.customer]
normalise = "trim"

[events.order]
version = 1
description = "A paid order"
unique = ["number"]

[events.order.properties]
number = { type = "string", privacy = "pseudonymous" }
revenue = { type = "money", minimum = "0" }
city = { type = "string" }

[imports.orders]
source = "till"
file = "orders.csv"
key = ["number"]
identifiers = { customer = "customer" }
consent = { granted = ["measurement"], version = "1", at = "2020-01-01T00:00:00Z" }

[[imports.orders.events]]
event = "order"
time = { column = "at" }

[imports.orders.events.properties]
number = "number"
revenue = "revenue"
city = "city"

[metrics.revenue]
description = "What is paid"
from = "order"
aggregate = "sum"
property = "revenue"
within = "7d"

[experiments.fee]
design = "switchback"
description = "A delivery fee"
arms = { usual = {}, dearer = {} }
metrics = ["revenue"]
purpose = "measurement"
effect = "40%"
switchback = { block = "6h" }

[experiments.radio]
design = "geo"
description = "Radio in two cities"
purpose = "measurement"
metrics = ["revenue"]
effect = "15%"
geo = "city"

[experiments.radio.arms]
quiet = {}
radio = { geos = ["city03", "city07"] }

[experiments.typo]
design = "geo"
description = "Television in a town that is not there"
purpose = "measurement"
metrics = ["revenue"]
effect = "15%"
geo = "city"

[experiments.typo.arms]
quiet = {}
tv = { geos = ["ctiy03"] }
"""

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "liftwerk.toml").write_text(TEXT)
    rng = np.random.default_rng(4)
    usual, common = rng.uniform(80, 120, len(CITIES)), 1.0 + 0.1 * rng.normal(size=DAYS)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with (folder / "orders.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "customer", "at", "city", "revenue"])
        for day in range(DAYS):
            for place, city in enumerate(CITIES):
                at = today - timedelta(days=DAYS - day, seconds=-int(rng.integers(86_400)))
                worth = usual[place] * common[day] * (1.0 + 0.03 * rng.normal())
                told = [f"o{day}-{place}", f"c{place}", at.isoformat(), city, f"{worth:.2f}"]
                rows.writerow(told)
    with pytest.raises(SystemExit) as ended:
        main(["import", "--project", str(folder)])
    assert ended.value.code == 0
    return folder


@pytest.fixture
def ask(folder: Path, capfd: pytest.CaptureFixture[str]) -> Ask:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--project", str(folder)])
        printed = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


@pytest.mark.parametrize(
    ("name", "counted", "said"),
    [
        ("fee", "blocks", "blocks begin"),
        ("radio", "markets", "pays for itself below"),
    ],
)
def test_one_is_planned_registered_and_begun(ask: Ask, name: str, counted: str, said: str) -> None:
    code, printed, line = ask("experiment", "plan", name)
    assert (code, line) == (0, "")
    assert f"{counted} (" in printed
    # A narrow terminal breaks the head of a column into lines.
    assert set(said.split()) <= set(printed.split())
    code, printed, _ = ask("experiment", "plan", name, "--register", "--no-simulate", "--json")
    plan: dict[str, Any] = json.loads(printed)
    assert (code, plan["counted"], plan["feasible"], plan["method"]) == (0, counted, True, "fixed")
    code, printed, _ = ask("experiment", "start", name, "--json")
    started = json.loads(printed)
    assert (code, started["stage"], started["unplanned"]) == (0, "running", "")
    code, printed, _ = ask("experiment", "show", name, "--json")
    shown = json.loads(printed)
    assert [one["action"] for one in shown["log"]] == ["register", "start"]
    assert shown["plan"] == plan
    _, printed, _ = ask("experiment", "show", name)
    assert f"Planned for {plan['days']} days, with {plan['entering']} {counted}." in printed
    assert ask("check")[:2] == (0, "fine: every definition holds together\n")


@pytest.mark.parametrize("name", ["fee", "radio"])
def test_what_cannot_work_is_refused_with_what_would_do(ask: Ask, name: str) -> None:
    asked = ("experiment", "plan", name, "--effect", "1%", "--within", "2w", "--no-simulate")
    code, printed, line = ask(*asked)
    assert code == 1
    assert "look for an effect of" in printed
    assert line.startswith("error: an effect of 1% on revenue is out of reach: what ")
    assert f"at least: experiment {name}: nearest: look for an effect of" in line
    assert line.count("\n") == 1


def test_a_region_that_is_not_there_is_one_line(ask: Ask) -> None:
    code, printed, line = ask("experiment", "start", "typo")
    assert (code, printed) == (2, "")
    told = "error: no event of the last year names the region 'ctiy03', of 'tv': experiment typo:"
    assert line.startswith(f"{told} did you mean 'city03'? (nearest: treat city")
    assert line.count("\n") == 1
    code, printed, _ = ask("experiment", "show", "typo", "--json")
    assert json.loads(printed)["stage"] == "declared"
