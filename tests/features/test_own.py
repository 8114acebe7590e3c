"""A user's own statements and functions see what a question may know, and nothing else."""

from __future__ import annotations

import importlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError, ProjectError, Refused
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import training_set
from liftwerk.features.own import FeatureFailed
from liftwerk.features.version import feature_version
from liftwerk.lazy import hide
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.shop import granted, order, put
from tests.identity.histories import END, at

SPREAD_SQL = """
SELECT row, (max(revenue) - min(revenue)) / 100 AS value FROM order_completed GROUP BY row;
"""
SPREAD_PY = """
import pyarrow.compute as pc

def spread(as_of, order_completed):
    found = pc.min_max(order_completed.column("revenue")).as_py()
    return (found["max"] - found["min"]) / 100
"""
OWN = {"entity": "customer", "inputs": ["order_completed"]}
ADA, BOB, EVE = (leaf_key("email", f"{name}@x.org") for name in ("ada", "bob", "eve"))


def shop(root: Path, sql: str = SPREAD_SQL, python: str = SPREAD_PY, **features: Any) -> Project:
    root.mkdir(exist_ok=True)
    (root / "spread.sql").write_text(sql)
    (root / "spread.py").write_text(python)
    declared = {
        "by_sql": {**OWN, "sql": "spread.sql"},
        "by_python": {**OWN, "python": "spread.py:spread"},
        "twice": {"entity": "customer", "expression": "2 * by_sql"},
    }
    return shops.shop(root, features={**declared, **features})


def came(name: str, hour: int) -> dict[str, Any]:
    consent = granted("personalisation")
    return {"identifiers": {"email": name}, "time": at(hour), "consent": consent}


def asked(project: Project, root: Path, *questions: tuple[bytes, datetime]) -> list[dict[str, Any]]:
    spine = pa.Table.from_pylist([{"customer": who, "time": when} for who, when in questions])
    names = ["by_sql", "by_python", "twice"]
    with open_stores(Home.open(root / "home", create=True)) as stores, stores.home.hold("test"):
        rows = (
            (order(1, "x", "10.00", **came("ada@x.org", 1)), 1),
            (order(2, "y", "12.50", **came("ada@x.org", 2)), 5),  # told late
            (order(3, "y", "99.00", **came("ada@x.org", 2)), 6),  # a report that counts nothing
            (order(4, "z", "1.00", **came("bob@x.org", 1)), 1),
            (order(5, "w", "70.00", **{**came("ada@x.org", 3), "consent": granted()}), 3),
        )
        for body, hour in rows:
            assert put(project, stores, body, at=at(hour)) == []
        compact(project, stores, FixedClock(END))
        table = training_set(project, stores, spine, names, "personalisation")
    return table.select(names).to_pylist()


def test_both_see_the_history_of_each_question(tmp_path: Path) -> None:
    project = shop(tmp_path)
    questions = [(ADA, at(9)), (BOB, at(9)), (ADA, at(4)), (ADA, at(2))]
    found = asked(project, tmp_path, *questions)
    assert found == [
        {"by_sql": value, "by_python": value, "twice": 2 * value} for value in (2.5, 0.0, 0.0, 0.0)
    ]


def test_a_function_that_raises_is_told_and_stops_no_other(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with pytest.warns(
        FeatureFailed, match=r"by_python raised on 1 of 2 rows: spread.py:6: TypeErr"
    ):
        found = asked(project, tmp_path, (EVE, at(9)), (ADA, at(9)))
    assert [row["by_python"] for row in found] == [None, 2.5]
    assert [row["by_sql"] for row in found] == [None, 2.5]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT row, 1 AS value FROM asked UNION ALL SELECT row, 2 FROM asked", "a row twice"),
        ("SELECT row FROM asked", "it gives row"),
        ("SELECT row, sum(nothing) AS value FROM asked GROUP BY row", "nothing"),
        ("SELECT row, read_text('/etc/hostname') AS value FROM asked", "spread.sql"),
    ],
)
def test_a_statement_that_gives_no_value_a_row_is_refused(
    tmp_path: Path, sql: str, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        asked(shop(tmp_path, sql=sql), tmp_path, (ADA, at(9)))


def test_a_function_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    project = shop(tmp_path, python="import nothing_of_that_name\n" + SPREAD_PY)
    with pytest.raises(DefinitionError, match=r"spread.py:1: ModuleNotFoundError"):
        asked(project, tmp_path, (ADA, at(9)))


def test_a_function_may_use_what_commands_go_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pickletools", raising=False)
    hide("pickletools")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pickletools")
    project = shop(tmp_path, python="import pickletools\n" + SPREAD_PY)
    (found,) = asked(project, tmp_path, (ADA, at(9)))
    assert found["by_python"] == 2.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sql": "SELECT 1; SELECT 2"}, "spread.sql has to hold one SELECT"),
        ({"sql": "SELECT * FROM order_complete"}, "did you mean 'order_completed'?"),
        ({"sql": "SELEC 1 FROM"}, "spread.sql cannot be read"),
        ({"python": "def spred(as_of, order_completed): pass"}, "did you mean 'spred'?"),
        ({"python": "\ndef spread(orders): pass"}, r"spread.py:2: spread has to take \(as_of, ord"),
        ({"python": "\ndef spread(:"}, "spread.py:2 cannot be read"),
        ({"gone": {**OWN, "sql": "gone.sql"}}, "no file that can be read at gone.sql"),
        ({"none": {"entity": "customer", "sql": "spread.sql"}}, "features.none.inputs is missing"),
        (
            {"both": {**OWN, "sql": "spread.sql", "expression": "1"}},
            "the value comes of expression",
        ),
    ],
)
def test_check_finds_it_before_anything_is_read(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProjectError, match=said):
        shop(tmp_path, **changes)


def test_another_file_is_another_version(tmp_path: Path) -> None:
    before = feature_version(shop(tmp_path), "by_python")
    assert feature_version(shop(tmp_path), "by_python") == before
    after = feature_version(shop(tmp_path, python=SPREAD_PY + "# really"), "by_python")
    assert after != before
