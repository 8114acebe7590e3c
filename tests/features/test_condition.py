"""Conditions mean the same in DuckDB, in Spark's SQL and in plain Python; mistakes are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.condition import (
    columns_of_event,
    holds,
    parse_condition,
)
from liftwerk.features.filter import condition_ibis
from liftwerk.features.steps import Step

ORDER = EventDefinition(
    1,
    "",
    properties={
        "n": PropertyDefinition("integer"),
        "x": PropertyDefinition("number"),
        "revenue": PropertyDefinition("money"),
        "b": PropertyDefinition("boolean"),
        "s": PropertyDefinition("string"),
        "at": PropertyDefinition("time"),
        "items": PropertyDefinition("list", of={"sku": "string", "price": "money"}),
    },
)
COLUMNS = columns_of_event(ORDER, "EUR", "items")
SCHEMA = {
    "n": "int64",
    "x": "float64",
    "revenue": "int64",
    "b": "boolean",
    "s": "string",
    "at": "timestamp('UTC')",
    "context.country": "string",
    "context.campaign.name": "string",
    "items": "struct<sku: string, price: int64>",
    "_row": "int64",
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

_literals = {
    "n": st.sampled_from(["0", "1", "-2"]),
    "x": st.sampled_from(["0", "0.5", "-2.25"]),
    "revenue": st.sampled_from(["0", "19.90", "-1.5"]),
    "items.price": st.sampled_from(["0", "19.90"]),
    "s": st.sampled_from(["''", "'a'", "'it''s'"]),
    "items.sku": st.sampled_from(["'a'", "'b'"]),
    "context.country": st.sampled_from(["'DE'", "''"]),
    "context.campaign.name": st.sampled_from(["'DE'", "'x'"]),
    "at": st.sampled_from(["'2026-03-01T12:00:00Z'", "timestamp '2026-03-01 11:00:00'"]),
    "b": st.sampled_from(["true", "false"]),
}


@st.composite
def _tests(draw: Any) -> str:
    name = draw(st.sampled_from(sorted(_literals)))
    literal = _literals[name]
    ops = ["=", "<>", "!=", "in", "not in", "is null", "is not null"]
    if name in ("n", "x", "revenue", "at"):
        ops += ["<", "<=", ">", ">=", "between"]
    if name == "b":
        ops.append("")
    op = draw(st.sampled_from(ops))
    if op in ("in", "not in"):
        return f"{name} {op} ({draw(literal)}, {draw(literal)})"
    if op in ("is null", "is not null", ""):
        return f"{name} {op}"
    if op == "between":
        return f"{name} between {draw(literal)} and {draw(literal)}"
    return f"{name} {op} {draw(literal)}"


_conditions = st.recursive(
    _tests(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=6,
)
_rows = st.fixed_dictionaries(
    {
        "n": st.sampled_from([None, 0, 1, -2]),
        "x": st.sampled_from([None, 0.0, 0.5, -2.25]),
        "revenue": st.sampled_from([None, 0, 1990, -150]),
        "items.price": st.sampled_from([None, 0, 1990]),
        "items.sku": st.sampled_from([None, "a", "b"]),
        "b": st.sampled_from([None, True, False]),
        "s": st.sampled_from([None, "", "a", "it's"]),
        "context.country": st.sampled_from([None, "DE", ""]),
        "context.campaign.name": st.sampled_from([None, "DE", "x"]),
        "at": st.sampled_from([None, NOON, NOON.replace(hour=11)]),
    }
)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    items = [{"sku": row["items.sku"], "price": row["items.price"]} for row in rows]
    return pa.table(
        {
            "n": pa.array([row["n"] for row in rows], pa.int64()),
            "x": pa.array([row["x"] for row in rows], pa.float64()),
            "revenue": pa.array([row["revenue"] for row in rows], pa.int64()),
            "b": pa.array([row["b"] for row in rows], pa.bool_()),
            "s": pa.array([row["s"] for row in rows], pa.string()),
            "at": pa.array([row["at"] for row in rows], pa.timestamp("us", "UTC")),
            **{
                name: pa.array([row[name] for row in rows], pa.string())
                for name in ("context.country", "context.campaign.name")
            },
            "items": pa.array(items, pa.struct({"sku": pa.string(), "price": pa.int64()})),
            "_row": pa.array(range(len(rows)), pa.int64()),
        }
    )


@settings(max_examples=60)
@given(st.lists(_conditions, min_size=1, max_size=8), st.lists(_rows, min_size=1, max_size=12))
def test_means_the_same_in_sql_and_in_python(
    conditions: list[str], rows: list[dict[str, Any]]
) -> None:
    parsed = [parse_condition(text, COLUMNS) for text in conditions]
    table = ibis.table(SCHEMA, name="rows")
    made = {f"c{place}": condition_ibis(one, table) for place, one in enumerate(parsed)}
    expression = table.select("_row", **made).order_by("_row")
    step = Step.of("conditions", expression)
    assert step.sql("pyspark")
    with duckdb.connect() as connection:
        connection.register("rows", table_of(rows))
        found = connection.sql(step.sql("duckdb")).to_arrow_table()
    for place, condition in enumerate(parsed):
        wanted = [holds(condition, row) for row in rows]
        assert found.column(f"c{place}").to_pylist() == wanted, condition.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("revenu > 1", "there is no 'revenu' here: did you mean 'revenue'?"),
        ("revenue > 1.234", "revenue is of type money: write an amount with at most 2 decimals"),
        ("n = 'a'", "n is of type integer: write a whole number, not 'a'"),
        ("s > 'a'", "s is of type string, which has no order"),
        ("n = x", "n is of type integer: write a whole number, not x"),
        ("lower(s) = 'a'", "LOWER(s) is no name: compare a name with a literal"),
        ("n + 1 > 2", "n + 1 is no name"),
        ("s", "s is of type string: compare it with something"),
        ("n in (select 1)", "is no comparison of a name with a literal"),
        ("n = 1; drop table rows", "is not one condition"),
        ("n = 99999999999999999999", "n is of type integer: write a whole number"),
        ("revenue > 1e30", "revenue is of type money: write an amount"),
        ("x = 1e999", "x is of type number: write a number"),
        ("s = 5::text", "s is of type string: write a text in quotes"),
        ("context.Land = 'DE'", "'context.Land' is no name"),
        ("(" * 400 + "n = 1" + ")" * 400, "cannot be read as the condition"),
        ("n =", "cannot be read as the condition"),
        ("", "is not one condition"),
    ],
)
def test_a_mistake_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_condition(text, COLUMNS)


def test_spaces_and_capitals_make_no_other_condition() -> None:
    one = parse_condition("n=1 AND  (S = 'A')".replace("S =", "s ="), COLUMNS)
    assert one.text == parse_condition("n = 1 and s = 'A'", COLUMNS).text
    assert parse_condition(one.text, COLUMNS) == one
