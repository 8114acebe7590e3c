"""An experiment over real imported events: command, Python, page and CSV equal plain SQL."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liftwerk.server import format as fmt
from tests.system.conftest import call, copy_example

ITS_OWN = 'experiment = { value = "campaign" }'
"""What the example's file is read as; here it is read as another one, without covariates."""

EXPERIMENT = """
[experiments.emails]
design = "ab"
description = "Which goods to write about, if any"
purpose = "measurement"
placement = "campaign_email"
metrics = ["visit", "margin"]
[experiments.emails.arms]
nothing = { label = "No e-mail" }
mens_email = { action = "mens_email", label = "Men's e-mail" }
womens_email = { action = "womens_email", label = "Women's e-mail" }
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Hillstrom file, assigned, started and stopped."""
    project = copy_example(tmp_path_factory.mktemp("reading") / "shop")
    file = project / "liftwerk.toml"
    text = file.read_text()
    assert text.count(ITS_OWN) == 1
    file.write_text(text.replace(ITS_OWN, ITS_OWN.replace("campaign", "emails")) + EXPERIMENT)
    for command in (
        ("import",),
        ("experiment", "start", "emails", "--unplanned", "a published trial"),
        ("experiment", "stop", "emails", "--reason", "it is of 2008"),
    ):
        done = call(*command, cwd=project)
        assert done.returncode == 0, done.stderr
    return project


@pytest.fixture(scope="module")
def reading(shop: Path) -> dict[str, Any]:
    done = call("experiment", "read", "emails", "--json", "--csv", "read.csv", cwd=shop)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def address(shop: Path, reading: dict[str, Any]) -> Iterator[str]:
    command = [sys.executable, "-m", "liftwerk.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=shop, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", said)
        yield said
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=120) as answer:
        return str(answer.read().decode())


def by_sql(shop: Path) -> dict[str, tuple[int, int, float]]:
    """Count units, visitors and margin of each arm from the file itself."""
    found = duckdb.sql(
        f"""
        SELECT segment, count(*), sum(visit), sum(spend * 0.5)
        FROM read_csv('{shop / "data" / "hillstrom.csv.gz"}') GROUP BY segment
        """
    ).fetchall()
    names = {
        "Mens E-Mail": "mens_email",
        "Womens E-Mail": "womens_email",
        "No E-Mail": "nothing",
    }
    return {names[segment]: tuple(rest) for segment, *rest in found}  # type: ignore[misc]


def cost(shop: Path, arm: str) -> float:
    text = (shop / "liftwerk.toml").read_text()
    (said,) = re.findall(rf'\[actions\.{arm}\][^\[]*?cost = "([0-9.]+)"', text)
    return float(said)


def test_figures_equal_sql_over_the_file(shop: Path, reading: dict[str, Any]) -> None:
    plain = by_sql(shop)
    assert {arm["arm"]: arm["matured"] for arm in reading["arms"]} == {
        arm: n for arm, (n, _, _) in plain.items()
    }
    for one in reading["comparisons"]:
        n, visits, margin = plain[one["arm"]]
        if one["metric"] == "visit":
            assert one["treated"] == pytest.approx(visits / n, abs=1e-12)
            nothing = plain["nothing"]
            value = visits / n - nothing[1] / nothing[0]
            assert one["absolute"]["value"] == pytest.approx(value, abs=1e-12)
        else:
            each = margin / n - cost(shop, one["arm"])
            assert round(one["treated"] * n, 2) == round(each * n, 2)


def test_what_it_shows_is_its_conclusion(shop: Path, reading: dict[str, Any]) -> None:
    done = call("effects", "--json", cwd=shop)
    kept = {(row["subject"], row["metric"]): row for row in json.loads(done.stdout)}
    for one in reading["comparisons"]:
        row = kept[f"experiment:emails/{one['arm']}", one["metric"]]
        if not fmt.is_unknown(one["absolute"]):
            assert row["estimate"]["value"] == one["absolute"]["value"]
            assert row["estimate"]["low"] == one["absolute"]["low"]
        assert row["source"] == "experiment:emails"
    again = call("experiment", "read", "emails", "--json", cwd=shop)
    assert json.loads(again.stdout)["comparisons"] == reading["comparisons"]
    shown = json.loads(call("experiment", "show", "emails", "--json", cwd=shop).stdout)
    assert [one["action"] for one in shown["log"]] == ["register", "start", "stop", "conclude"]


def test_the_page_and_its_csv_say_the_same(
    shop: Path, address: str, reading: dict[str, Any]
) -> None:
    page = get(address + "experiments/emails")
    assert fmt_words(reading["verdict"]["words"]) in page
    for one in reading["comparisons"]:
        if not fmt.is_unknown(one["absolute"]):
            digits = 2 if one["unit"] == "share" else fmt.figure_digits([one["absolute"]])
            assert fmt.quantity(one["absolute"]["value"], one["unit"], digits) in page
    table = get(address + "v1/experiments/emails/metrics.csv")
    assert table == (shop / "read.csv").read_text(encoding="utf-8").replace("\n", "\r\n")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [float(row["treated"]) for row in rows if row["metric"] == "visit"] == [
        one["treated"] for one in reading["comparisons"] if one["metric"] == "visit"
    ]
    assert "emails" in get(address + "experiments")
    assert "no whole week has passed" in get(address + "holdout")


def fmt_words(text: str) -> str:
    """Write a sentence as the template escapes it."""
    return text.replace("&", "&amp;").replace("'", "&#39;")


def test_python_reads_the_same(shop: Path, reading: dict[str, Any]) -> None:
    code = (
        "import json, liftwerk\n"
        "from liftwerk.experiments.reading import plain\n"
        "with liftwerk.open('.') as p: print(json.dumps(plain(p.experiments.read('emails'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["comparisons"] == reading["comparisons"]


def test_what_is_wrong_is_one_line(shop: Path) -> None:
    done = call("experiment", "read", "email", cwd=shop)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'emails'?" in done.stderr
