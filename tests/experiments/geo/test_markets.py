from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from liftwerk.errors import InputError, LiftwerkError, ProjectError, UnknownName
from liftwerk.experiments.definition import Arm, ExperimentDefinition
from liftwerk.experiments.geo import from_table, read_file
from liftwerk.experiments.geo.cells import of_arms, parse

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"


def written(folder, text):
    path = folder / "given.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_walkthrough_is_read_by_its_usual_names():
    markets = read_file(FILE, {})
    assert len(markets.names) == 40
    assert markets.names[0] == "atlanta"
    assert markets.values.shape == (105, 40)
    assert markets.values[0, markets.names.index("new york")] == 3300.0
    assert markets.spend is None
    assert markets.said_range() == "there are 2021-01-01 to 2021-04-15, daily"
    assert len(markets.without(["chicago"]).names) == 39


def test_a_parquet_file_and_named_columns_give_the_same(tmp_path):
    table = pa.table(
        {
            "where": ["b", "a"] * 2,
            "on": ["20260302", "20260302", "20260309", "20260309"],
            "orders": pa.array([3, 1, 4, 2]),
            "paid": [0.0, 1.0, 0.5, 2.0],
        }
    )
    parquet.write_table(table, tmp_path / "given.parquet")
    named = {"geo": "where", "day": "on", "value": "orders", "spend": "paid"}
    markets = read_file(tmp_path / "given.parquet", named)
    assert markets.names == ("a", "b")
    assert markets.values.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert markets.spend.tolist() == [[1.0, 0.0], [2.0, 0.5]]
    assert markets.said_range().endswith("every 7 days")


HEAD = "geo,day,value\n"
FULL = "a,2026-03-01,1\nb,2026-03-01,2\na,2026-03-02,3\nb,2026-03-02,4\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Empty CSV file"),
        (HEAD, "there are no rows"),
        ("geo,day\na,2026-03-01\n", "no column looks like the value"),
        (HEAD + FULL + "a,2026-03-01,9\n", "a has 2 rows of 2026-03-01"),
        (HEAD + FULL + "a,2026-03-03,9\n", "b has no row of 2026-03-03 (1 such gaps in all)"),
        (HEAD + FULL + "a,2026-03-05,9\nb,2026-03-05,9\n", "between 2026-03-02 and 2026-03-05"),
        (HEAD + FULL + "a,2026-03-03,\nb,2026-03-03,9\n", "1 rows have no value"),
        (HEAD + FULL + "a,2026-03-03,much\n", "does not hold numbers"),
        (HEAD + FULL + "a,soon,1\n", "does not hold days"),
        (HEAD + FULL + "a,2026-03-03,inf\nb,2026-03-03,1\n", "not a finite number"),
        (HEAD + "a,2026-03-01\n", "CSV parse error"),
    ],
)
def test_a_file_that_is_not_a_full_table_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(InputError) as refused:
        read_file(written(tmp_path, text), {})
    assert said in str(refused.value)
    assert "given.csv" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.hint


def test_a_file_in_another_encoding_or_nowhere_is_refused(tmp_path):
    path = tmp_path / "given.csv"
    path.write_bytes((HEAD + "Köln,2026-03-01,1\n").encode("latin-1"))
    with pytest.raises(LiftwerkError):
        read_file(path, {})
    with pytest.raises(InputError, match="no such file"):
        read_file(tmp_path / "none.csv", {})
    with pytest.raises(LiftwerkError):
        read_file(tmp_path, {})
    with pytest.raises(InputError, match="did you mean 'value'"):
        read_file(written(tmp_path, HEAD + FULL), {"value": "valu"})


def test_names_and_days_that_are_not_there_are_named():
    days = [date(2026, 3, 1), date(2026, 3, 2)]
    table = pa.table({"geo": ["a", "b", "a", "b"], "day": [days[0]] * 2 + [days[1]] * 2})
    markets = from_table(table.append_column("value", pa.array([1.0, 2.0, 3.0, 4.0])), "rows")
    with pytest.raises(UnknownName, match="market 'aa' is not in the data"):
        markets.columns(["aa"])
    with pytest.raises(InputError, match="2026-03-03 is not among the days"):
        markets.row(date(2026, 3, 3), "the last day of the test")
    assert markets.row(days[1], "") == 1


@pytest.mark.parametrize(
    ("treated", "cells", "said"),
    [
        (None, [], "no market is treated"),
        ("a", ["x=b"], "together"),
        (None, ["x"], "has no name"),
        (None, ["../x=a"], "has no name"),
        (None, ["x=a", "x=b"], "two cells are called 'x'"),
        (None, ["x=a,b", "y=b"], "market 'b' is in cells 'x' and 'y'"),
        ("a,a", [], "market 'a' is in cell 'treated' twice"),
        (None, ["x="], "cell 'x' has no markets"),
    ],
)
def test_cells_that_cannot_be_are_refused(treated, cells, said):
    with pytest.raises(ProjectError, match=said):
        parse(treated, cells)


def test_a_declared_experiment_has_a_cell_for_each_arm_but_control():
    arms = {"off": Arm(), "tv": Arm(geos=("a", "b")), "radio": Arm(geos=("c",))}
    declared = ExperimentDefinition("geo", "Ads", arms, ("margin",), "measurement", geo="region")
    assert of_arms(declared) == {"tv": ("a", "b"), "radio": ("c",)}
