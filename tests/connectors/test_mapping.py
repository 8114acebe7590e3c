"""What the SQL of a mapping makes of text, against Python that does the same in plain words."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.connectors.definition import Cell
from liftwerk.connectors.mapping import UNMAPPED, cell_json
from liftwerk.events.engine import connect
from liftwerk.events.ids import made_id, made_id_sql
from liftwerk.events.properties import PropertyDefinition

SAID = st.one_of(
    st.text(max_size=8),
    st.from_regex(r"\A ?[+-]?[0-9]{1,22}(\.[0-9]{0,3})? ?\Z"),
    st.sampled_from(
        ["", "true", "No", "1", "0.0", "nan", "inf", "1e3", "0x1", "1_000", "٣", "null"]
    ),
)


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    return connect()


def made(engine: duckdb.DuckDBPyConnection, sql: str, said: str | None) -> Any:
    rows = engine.execute(
        f"SELECT json_object('v', {sql})::VARCHAR FROM (SELECT ?::VARCHAR AS c)", [said]
    ).fetchall()
    return msgspec.json.decode(rows[0][0])["v"]


@given(SAID)
def test_a_whole_number_or_the_text(engine: duckdb.DuckDBPyConnection, said: str) -> None:
    value = made(engine, cell_json(Cell("c"), PropertyDefinition("integer")), said)
    is_whole = re.fullmatch(r"\s*[+-]?[0-9]+(\.0*)?\s*", said, re.ASCII) is not None
    if is_whole and -(2**63) <= int(said.strip().partition(".")[0]) < 2**63:
        assert value == int(said.strip().partition(".")[0])
    else:
        assert value == said


@given(SAID)
def test_a_number_or_the_text(engine: duckdb.DuckDBPyConnection, said: str) -> None:
    value = made(engine, cell_json(Cell("c"), PropertyDefinition("number")), said)
    assert value == said or value == pytest.approx(float(said), rel=0, abs=0)


@given(SAID)
def test_true_or_false_or_the_text(engine: duckdb.DuckDBPyConnection, said: str) -> None:
    value = made(engine, cell_json(Cell("c"), PropertyDefinition("boolean")), said)
    words = dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True)
    words.update(dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False))
    assert value == words.get(said.strip(" ").lower(), said)
    assert not isinstance(value, int) or isinstance(value, bool)


@given(st.text(max_size=12))
def test_text_stays(engine: duckdb.DuckDBPyConnection, said: str) -> None:
    assert made(engine, cell_json(Cell("c"), PropertyDefinition("string")), said) == said


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "money", "time"])
def test_an_empty_field_is_null(engine: duckdb.DuckDBPyConnection, kind: Any) -> None:
    assert made(engine, cell_json(Cell("c"), PropertyDefinition(kind)), None) is None


def test_a_map_translates_or_marks(engine: duckdb.DuckDBPyConnection) -> None:
    sql = cell_json(Cell("c", map={"it's": "1", "b": "0"}), PropertyDefinition("boolean"))
    assert [made(engine, sql, said) for said in ("it's", "b", "c", None)] == [
        True, False, {UNMAPPED: True}, None,
    ]  # fmt: skip


def test_one_value_for_every_row(engine: duckdb.DuckDBPyConnection) -> None:
    assert made(engine, cell_json(Cell(value="7"), PropertyDefinition("integer")), "x") == 7


@given(st.lists(st.text(max_size=6), min_size=1, max_size=3))
def test_ids_are_the_same_in_sql(engine: duckdb.DuckDBPyConnection, parts: list[str]) -> None:
    columns = ", ".join(f"?::VARCHAR AS c{place}" for place in range(len(parts)))
    sql = made_id_sql(*(f"c{place}" for place in range(len(parts))))
    rows = engine.execute(f"SELECT {sql} FROM (SELECT {columns})", parts).fetchall()
    assert rows == [(made_id(*parts).hex,)]


def test_no_key_no_id(engine: duckdb.DuckDBPyConnection) -> None:
    assert engine.execute(f"SELECT {made_id_sql('NULL::VARCHAR', chr(39) * 2)}").fetchall() == [
        (None,)
    ]
