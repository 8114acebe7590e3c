"""SQL by people and programs over what a purpose may read: one statement, nothing written.

The statement runs in a database of its own that holds only the permitted rows and can reach
neither files nor the network.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName, did_you_mean
from liftwerk.events.engine import connect, quoted
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.read import demand_purpose, readable_for, timelines
from liftwerk.events.read import OneCustomer, relations
from liftwerk.events.schema import schema_of
from liftwerk.privacy.definition import HOUSEKEEPING, PURPOSES
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

_WHERE = "sql"
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")


def query(
    project: Project,
    stores: Stores,
    sql: str,
    purpose: str,
    as_of: AsOf = NOW,
    derived: Mapping[str, str] | None = None,
    beside: Mapping[str, pyarrow.Table] | None = None,
    one_customer: OneCustomer | None = None,
) -> pyarrow.Table:
    """Run one reading statement over the events that a purpose may read.

    Parameters
    ----------
    project : Project
    stores : Stores
    sql : str
        DuckDB's SQL; each event is a table of its name, and so is each entity that the purpose may
        read: its timeline, as `liftwerk.events.entities.read.timeline` has it.
    purpose : str
        A declared purpose; the built-in ones are not for questions.
    as_of : AsOf
        What may be known.
    derived : mapping of str to str, optional
        Further columns of every table, as SQL over the event's own.
    beside : mapping of str to pyarrow.Table, optional
        Relations that this SQL may read.
    one_customer : callable, optional
        As `liftwerk.events.read.relations` takes it.

    Returns
    -------
    pyarrow.Table
        The answer.

    Raises
    ------
    UnknownName
        If the purpose is not declared.
    InputError
        If it is not one reading statement, or does not run.
    """
    if purpose not in project.get(PURPOSES):
        hint = did_you_mean(purpose, project.get(PURPOSES))
        if purpose in HOUSEKEEPING:
            hint = "it is for liftwerk's own housekeeping; " + hint
        raise UnknownName(f"no purpose {purpose!r} to ask for", "--purpose", hint)
    events = schema_of(project).types
    entities = readable_for(project, purpose)
    known = [*events, *entities]
    apart = connect()
    used = _tables_of(apart, _only_statement(apart, sql), known)
    for name in sorted(used & set(project.get(ENTITIES))):
        demand_purpose(project, name, purpose)
    with relations(
        project, stores, purpose, as_of, derived, None, beside, one_customer
    ) as permitted:
        _copy(permitted, apart, events, used)
    with timelines(project, stores, purpose, entities, as_of) as permitted:
        _copy(permitted, apart, entities, used)
    apart.execute("SET enable_external_access = false")
    apart.execute("SET lock_configuration = true")
    try:
        return apart.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise _refused(error, known) from None
    finally:
        apart.close()


def _copy(
    permitted: duckdb.DuckDBPyConnection,
    apart: duckdb.DuckDBPyConnection,
    names: Iterable[str],
    used: Container[str],
) -> None:
    """Copy views into tables; those that the statement doesn't read get their columns only."""
    for name in names:
        rows = permitted.sql(f"SELECT * FROM {quoted(name)}")
        if name not in used:
            rows = rows.limit(0)
        held = rows.to_arrow_table()
        apart.register("held", held)
        apart.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM held")
        apart.unregister("held")


def _only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise InputError(_one_line(error), _WHERE, "") from None
    if len(statements) != 1:
        raise InputError(f"{len(statements)} statements", _WHERE, "write one")
    if statements[0].type != duckdb.StatementType.SELECT:
        hint = "begin with SELECT, WITH, DESCRIBE or SHOW"
        raise InputError("only reading is possible", _WHERE, hint)
    return statements[0]


def _tables_of(
    connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement, known: Iterable[str]
) -> set[str]:
    """Name the tables that a statement reads; when that cannot be told, all of them."""
    try:
        names = connection.get_table_names(statement.query)
    except duckdb.Error:
        return set(known)
    return {name.lower() for name in names}


def _refused(error: duckdb.Error, known: Iterable[str]) -> InputError:
    line = _one_line(error)
    missing = _NO_TABLE.search(line)
    if missing is not None:
        return InputError(line, _WHERE, did_you_mean(missing[1], known))
    return InputError(line, _WHERE, "`DESCRIBE NAME` shows a table's columns")


def _one_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
