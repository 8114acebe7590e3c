"""The commands of geo tests on a file, in a folder without a project."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import pytest

import liftwerk
from liftwerk.clock import FixedClock
from tests.system.conftest import call

FILE = Path(__file__).parents[2] / "examples" / "geolift" / "geolift_test.csv"
TEST = ("--from", "2021-04-01", "--to", "2021-04-15")


def test_a_finished_test_is_read_and_drawn(tmp_path: Path) -> None:
    asked = ("geo", "read", FILE, *TEST, "--cell", "a=chicago", "--cell", "b=portland,reno")
    files = ("--cost", "a=500,b=800", "--svg", "lift.svg", "--csv", "lift.csv")
    done = call(*asked, *files, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert [cell["cell"] for cell in found["cells"]] == ["a", "b"]
    assert found["others"] == 37
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["lift-a.csv", "lift-a.svg", "lift-b.csv", "lift-b.svg"]
    for cell in found["cells"]:
        ElementTree.parse(tmp_path / f"lift-{cell['cell']}.svg")
        with (tmp_path / f"lift-{cell['cell']}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        gap = [float(row["gap"]) for row in rows if row["test"] == "yes"]
        effect = cell["effect"]
        value = effect.get("value", sum(gap) / len(gap))
        assert sum(gap) / len(gap) == pytest.approx(value)
    again = call(*asked, "--cost", "a=500,b=800", "--json", cwd=tmp_path)
    assert again.stdout == done.stdout


def test_people_read_the_same(tmp_path: Path) -> None:
    done = call("geo", "read", FILE, *TEST, "--treated", "chicago,portland", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in (
        "+155.6",
        "+4,667",
        "+5.4%",
        "p = 0.048",
        "cincinnati 22.7%",
        "Checks",
        "says +236.2 (",
    ):
        assert said in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("read", FILE, *TEST, "--treated", "chicagoo"), 2, "did you mean 'chicago'?"),
        (("read", FILE, *TEST, "--treated", "reno", "--level", "95"), 2, "is no share"),
        (("read", FILE, *TEST, "--treated", "reno", "--svg", "no/a.svg"), 3, "no such file"),
        (("read", FILE, *TEST, "--treated", "reno", "--csv", FILE), 2, "written over"),
        (("read", FILE, *TEST, "--treated", "reno", "--cost", "nan"), 2, "no amount above 0"),
        (("read", FILE, "--from", "soon", "--to", "2021-04-15", "--treated", "reno"), 2, "soon"),
        (
            ("plan", FILE, "--effect", "0.5%", "--days", "10", "--markets", "2", "--draws", "30"),
            1,
            "nearest: +",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, arguments: tuple[object, ...], code: int, said: str
) -> None:
    done = call("geo", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_made_of_the_history_alone(tmp_path: Path) -> None:
    asked = ("plan", FILE, "--until", "2021-03-31", "--effect", "8%", "--days", "10")
    done = call("geo", *asked, "--markets", "2", "--draws", "60", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["options"][0]["power"] >= 0.8
    shown = call("geo", *asked, "--markets", "2", "--draws", "60", cwd=tmp_path)
    assert ", ".join(found["options"][0]["markets"]) in shown.stdout


DECLARED = f"""
[project]
name = "shop"
currency = "USD"

[purposes.measurement]
basis = "legitimate_interest"
description = "Count"

[identifiers.till]
normalise = "trim"

[sources.tills]
kind = "file"
trust = "import"

[events.sold]
version = 1
description = "A day's sales in a city"
[events.sold.properties]
city = {{ type = "string" }}
units = {{ type = "integer" }}

[imports.sales]
source = "tills"
file = "{FILE}"
key = ["location", "date"]
identifiers = {{ till = "location" }}
[[imports.sales.events]]
event = "sold"
time = {{ column = "date" }}
[imports.sales.events.properties]
city = "location"
units = "Y"

[metrics.sales]
description = "Units sold"
from = "sold"
aggregate = "sum"
property = "units"
within = "7d"
unit = "units"

[experiments.radio]
design = "geo"
description = "Radio in two cities"
purpose = "measurement"
metrics = ["sales"]
geo = "city"
arms = {{ quiet = {{}}, radio = {{ geos = ["chicago", "portland"] }} }}
"""


def test_a_declared_one_is_read_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text(DECLARED)
    assert call("import", cwd=tmp_path).returncode == 0
    unplanned = call("experiment", "start", "radio", cwd=tmp_path)
    assert (unplanned.returncode, unplanned.stderr.count("\n")) == (1, 1)
    # What the file tells of is years ago: nothing says what a test of next week would see.
    assert "there is no baseline to plan by" in unplanned.stderr
    for day, change in ((1, "start"), (16, "stop")):
        clock = FixedClock(datetime(2021, 4, day, 0, 0, 1, tzinfo=UTC))
        with liftwerk.open(tmp_path, clock=clock) as project:
            getattr(project.experiments, change)("radio", **{_WHY[change]: "a test"})
    refused = call("experiment", "read", "radio", "--fixed", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    found = json.loads(call("experiment", "read", "radio", "--json", cwd=tmp_path).stdout)
    (cell,) = found["by_metric"]["sales"]["cells"]
    assert cell["effect"]["value"] == pytest.approx(155.556, abs=0.01)
    (kept,) = json.loads(call("effects", "--json", cwd=tmp_path).stdout)
    assert kept["estimate"]["value"] == cell["incremental"]["value"]
    assert "in all" in call("experiment", "read", "radio", cwd=tmp_path).stdout


_WHY = {"start": "unplanned", "stop": "reason"}
