"""``sql`` and ``python``: a user's own way to make a value, over what each question may know.

Both are handed the history of each question and nothing else, so that neither can look ahead, see
whom it may not, or count an order that was reported twice.

A statement reads a table for each of its ``inputs``, with the event's columns (money in minor
units) and ``row``, the question that the history belongs to; and ``asked`` with ``row`` and
``as_of``. It returns ``row`` and ``value``, no row twice.

A function is handed ``as_of`` (a datetime in UTC) and, by the events' names, Arrow tables of one
question's history in the order of time. It returns the value. When it raises, that question's value
is unknown, the others are made, and a `FeatureFailed` warning names file and line.

They are made when a training set or a decision asks; no view keeps them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import DefinitionError, Refused
from liftwerk.events.definition import known_events
from liftwerk.events.engine import connect, quoted
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.asked import opened
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.entity import KeyPart, key_of
from liftwerk.features.files import ASKED, file_of
from liftwerk.lazy import unhide
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


class FeatureFailed(UserWarning):
    """A Python feature raised, and what it should have made is unknown."""


def own_values(
    project: Project,
    stores: Stores,
    features: Mapping[str, FeatureDefinition],
    spine: pa.Table,
    purpose: str,
    as_of: AsOf,
) -> dict[str, pa.ChunkedArray]:
    """Make the values of the features that are made by a statement or a function.

    Parameters
    ----------
    project : Project
    stores : Stores
    features : mapping of str to FeatureDefinition
        Others are left out.
    spine : pyarrow.Table
        ``time``, and the entities' keys.
    purpose : str
    as_of : AsOf

    Returns
    -------
    dict of str to pyarrow.ChunkedArray
        Values in the order of the spine; null where there is none.

    Raises
    ------
    DefinitionError
        If a file or a function is not there.
    Refused
        If a statement does not run, or gives something else than a value a row.
    """
    found = {}
    for name, feature in features.items():
        make: Callable[..., pa.ChunkedArray] | None = None
        if feature.sql is not None:
            make = _by_statement
        elif feature.python is not None:
            make = _by_function
        if make is not None:
            with opened(project, stores, feature.entity, spine, purpose, as_of, feature.inputs) as (
                connection,
                asked,
            ):
                histories = _histories(project, feature, connection, asked)
            found[name] = make(project, name, feature, histories, asked)
    return found


def _histories(
    project: Project,
    feature: FeatureDefinition,
    connection: duckdb.DuckDBPyConnection,
    asked: pa.Table,
) -> dict[str, pa.Table]:
    """Return, for each input, the rows that each question may know, by question and time."""
    numbered = asked.append_column("row", _rows(asked))
    connection.register("_questions", numbered)
    found = {}
    for event in feature.inputs:
        key = key_of(feature, known_events(project)[event], project.get(ENTITIES))
        found[event] = connection.sql(
            f"""
            SELECT q.row, e.* FROM _questions AS q JOIN {quoted(event)} AS e
            ON {" AND ".join(_same(part) for part in key)}
              AND e.time < q.time AND e.known_at <= q.time AND NOT e.synthetic
              AND (e.superseded_at IS NULL OR e.superseded_at > q.time)
            ORDER BY q.row, e.time, e."offset"
            """
        ).to_arrow_table()
    connection.unregister("_questions")
    return found


def _rows(asked: pa.Table) -> pa.Array:
    return pa.array(range(asked.num_rows), pa.int64())


def _same(part: KeyPart) -> str:
    return f"e.{quoted(part.column)} = q.{quoted(part.name)}"


# ----------------------------------------------------------------------------------- statements


def _by_statement(
    project: Project,
    name: str,
    feature: FeatureDefinition,
    histories: Mapping[str, pa.Table],
    asked: pa.Table,
) -> pa.ChunkedArray:
    file = file_of(project, feature)
    where = f"features.{name}.sql: {file.name}"
    apart = connect()
    try:
        for event, table in histories.items():
            apart.register("_held", table)
            apart.execute(f"CREATE TABLE {quoted(event)} AS SELECT * FROM _held")
            apart.unregister("_held")
        apart.register("_held", pa.table({"row": _rows(asked), "as_of": asked.column("time")}))
        apart.execute(f"CREATE TABLE {ASKED} AS SELECT * FROM _held")
        apart.unregister("_held")
        apart.execute("SET enable_external_access = false; SET lock_configuration = true")
        answer = apart.sql(file.read_text("utf-8")).to_arrow_table()
    except (duckdb.Error, UnicodeDecodeError) as error:
        line = str(error).strip().partition("\n")[0]
        raise Refused(line, where, "correct the statement") from None
    finally:
        apart.close()
    if {"row", "value"} - set(answer.column_names):
        hint = 'name its columns "row" and "value"'
        raise Refused(f"it gives {', '.join(answer.column_names)}", where, hint)
    rows = answer.column("row").cast(pa.int64())
    if len(rows) != len(pc.unique(rows)):
        raise Refused("it gives a row twice", where, "group by row")
    places = pc.index_in(_rows(asked), value_set=rows)
    return answer.column("value").take(places)


# ------------------------------------------------------------------------------------ functions


def _by_function(
    project: Project,
    name: str,
    feature: FeatureDefinition,
    histories: Mapping[str, pa.Table],
    asked: pa.Table,
) -> pa.ChunkedArray:
    file = file_of(project, feature)
    function = _function(file, name, feature)
    values: list[Any] = []
    failed: list[str] = []
    times = asked.column("time").to_pylist()
    for time, told in zip(times, _each(histories, asked.num_rows), strict=True):
        try:
            values.append(function(time, **told))
        except Exception as error:  # the user's own code: one question must not stop the others
            failed.append(_place_of(error, file))
            values.append(None)
    if failed:
        what = f"features.{name} raised on {len(failed)} of {len(values)} rows: {failed[0]}"
        warnings.warn(what, FeatureFailed, stacklevel=2)
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        line = str(error).partition("\n")[0]
        hint = "return numbers, truths, texts or None, and one of them only"
        raise Refused(line, f"features.{name}.python: {file.name}", hint) from None


def _each(histories: Mapping[str, pa.Table], rows: int) -> Iterator[dict[str, pa.Table]]:
    """Cut histories, which are in the order of the questions, into one of each question."""
    bounds = {
        event: np.searchsorted(table.column("row").to_numpy(), np.arange(rows + 1))
        for event, table in histories.items()
    }
    for row in range(rows):
        yield {
            event: table.slice(bounds[event][row], bounds[event][row + 1] - bounds[event][row])
            for event, table in histories.items()
        }


def _place_of(error: Exception, file: Path) -> str:
    """Say where in the user's file it was raised, and what."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == file
    ]
    place = f"{file.name}:{lines[-1]}" if lines else file.name
    return f"{place}: {type(error).__name__}: {error}"


def _function(file: Path, name: str, feature: FeatureDefinition) -> Callable[..., Any]:
    assert feature.python is not None
    function = feature.python.rpartition(":")[2]
    try:
        module = _module(file, hashlib.sha256(file.read_bytes()).hexdigest())
    except Exception as error:  # whatever the user's file does when it is loaded
        what = f"it cannot be loaded: {_place_of(error, file)}"
        raise DefinitionError(what, f"features.{name}.python", "correct it") from None
    found = getattr(module, function, None)
    if not callable(found):
        what = f"no function {function!r} in {file.name}"
        raise DefinitionError(what, f"features.{name}.python", "write FILE:FUNCTION")
    made: Callable[..., Any] = found
    return made


@cache
def _module(file: Path, digest: str) -> Any:
    """Load a file once for each content."""
    spec = importlib.util.spec_from_file_location(f"_features_{digest[:16]}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    unhide()
    spec.loader.exec_module(module)
    return module
