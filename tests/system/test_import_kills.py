"""An import that was killed anywhere is called again, and ends as one that never was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.exports.rows import ga4_day, ndjson
from tests.system.conftest import call

pytestmark = pytest.mark.slow

PROJECT = """
[project]
name = "shop"
currency = "EUR"
timezone = "Europe/Berlin"
[import]
max_bad = "30%"
[purposes.measurement]
basis = "legitimate_interest"
[sources.file]
kind = "file"
trust = "import"
[identifiers.visitor]
[events.page_viewed]
version = 1
description = "A page"
[events.order_completed]
version = 1
description = "An order"
[events.order_completed.properties]
order_id = "string"
[entities.product]
key = ["sku"]
description = "What is sold"
[entities.product.properties]
sku = "string"
price = "money"
[imports.products]
source = "file"
file = "products.csv"
entity = "product"
valid_from = { column = "since" }
known_at = { column = "entered" }
[imports.history]
source = "file"
file = "exports/*.ndjson"
kind = "ga4"
"""

PRODUCTS = """sku,price,since,entered
cup,9.00,2026-01-01,2026-01-01
cup,9.50,2026-02-01,2026-01-20
pot,x,2026-01-01,2026-01-01
pot,20.00,2026-01-01,2026-01-01
"""

QUESTIONS = {
    "products": "select sku, price, valid_from::varchar as at, valid_to::varchar as till"
    " from product order by all",
    "history": "select 'page' as what, count(*) as n, count(distinct id) as ids from page_viewed"
    " union all select 'order', count(*), count(distinct id) from order_completed order by all",
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history") / "shop"
    (folder / "exports").mkdir(parents=True)
    text = PROJECT.replace('= "string"', '= { type = "string" }')
    (folder / "liftwerk.toml").write_text(text.replace('= "money"', '= { type = "money" }'))
    (folder / "products.csv").write_text(PRODUCTS)
    for number in range(3):  # each file overlaps the one before
        ndjson(folder / "exports" / f"{number}.ndjson", ga4_day(60, first=number * 40))
    return folder


def answers(project: Path, name: str) -> Any:
    asked = call("sql", "--purpose", "measurement", QUESTIONS[name], "--json", cwd=project)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)["rows"]


@pytest.fixture(scope="module")
def expected(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    project = tmp_path_factory.mktemp("whole") / "shop"
    shutil.copytree(pristine, project)
    found = {}
    for name in QUESTIONS:
        assert call("import", "--name", name, cwd=project).returncode == 0
        found[name] = answers(project, name)
    assert found["history"] == [
        {"what": "order", "n": 14, "ids": 14},
        {"what": "page", "n": 112, "ids": 112},
    ]
    return found


SITES = [
    ("products", "entity_commit:before"),
    ("products", "entity_commit:after"),
    ("products", "table_sync:after"),
    ("history", "inbox_append:after:2"),
    ("history", "step_commit:before:2"),
    ("history", "snapshot_commit:before"),
]


@pytest.mark.parametrize(("name", "fault"), SITES)
def test_a_killed_import_is_finished_by_the_next(
    name: str, fault: str, pristine: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    killed = call("import", "--name", name, cwd=project, env={"LIFTWERK_FAULT": fault})
    assert killed.returncode == -signal.SIGKILL, f"{fault} was never reached: {killed.stderr}"
    again = call("import", "--name", name, cwd=project)
    assert again.returncode == 0, again.stderr
    assert answers(project, name) == expected[name]


def test_two_imports_at_once_are_as_one(
    pristine: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    command = [sys.executable, "-m", "liftwerk.cli", "import", "--name", "history"]
    running = [
        subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [(one.communicate()[1].decode(), one.returncode) for one in running]
    # One of them has the home; the other waits for its turn, or says in a line who has it.
    assert any(code == 0 for _, code in ends), ends
    for said, code in ends:
        assert code in (0, 3), said
        if code == 3:
            assert said.startswith("error: ")
            assert said.count("\n") == 1
    assert answers(project, "history") == expected["history"]


def test_a_dry_run_keeps_nothing_and_shows_what_is_refused(pristine: Path, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    done = call("import", "--name", "products", "--dry-run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "(first in row 3, column price)" in done.stdout
    shown = json.loads(call("entities", "list", "--json", cwd=project).stdout)
    assert shown[0]["rows"] == 0
    assert call("import", "--name", "products", cwd=project).returncode == 0
    asked = ("entities", "show", "product", "cup", "--as-of", "2026-02-15T00:00:00Z", "--json")
    now = json.loads(call(*asked, cwd=project).stdout)
    assert [row["price"] for row in now["rows"]] == [950]
    then = call(*asked, "--known-at", "2026-01-10T00:00:00Z", cwd=project)
    assert [row["price"] for row in json.loads(then.stdout)["rows"]] == [900]
    wrong = call("entities", "show", "produkt", cwd=project)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: no entity 'produkt': [entities]: did you mean 'product'?\n",
    )
