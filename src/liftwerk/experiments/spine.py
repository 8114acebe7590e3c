"""Who was given which arm, and when: one row a unit, ready for its outcomes.

Read from the events alone. What belongs to nobody's effect is left out and counted: testers, and
whoever turned out to have been given two arms, because two units were one customer all along.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.engine import quoted
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.identity.definition import VISITOR, anonymous_namespaces
from liftwerk.identity.resolve import customers_of, leaf_of, leaf_sql, relations
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

ASSIGNED = "assigned"
SHOWN = "variant_shown"

SPINE = pa.schema(
    [
        ("unit", pa.binary()),
        ("customer", pa.binary()),
        ("time", pa.timestamp("us", "UTC")),
        ("arm", pa.string()),
        ("probability", pa.float64()),
        ("exposed", pa.timestamp("us", "UTC")),
        ("period", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Spine:
    """The units of an experiment.

    Attributes
    ----------
    table : pyarrow.Table
        In the order of the units: ``unit`` (a leaf key, or a session's id), ``customer`` (whose it
        is; null for a session of whom nothing is known), ``time`` of its first assignment, ``arm``,
        ``probability``, ``exposed`` (when it first met its arm; null if it did not) and ``period``
        (of a rotating holdout, in which a unit is there once a period; else 0).
    mixed : int
        Units that were found in two arms, and are left out.
    testers : int
        Units of testers, left out too.
    """

    table: pa.Table
    mixed: int
    testers: int


def assigned_units(
    project: Project, stores: Stores, experiment: str, *, as_of: AsOf = NOW
) -> Spine:
    """List the units of an experiment, each with its arm.

    Parameters
    ----------
    project : Project
    stores : Stores
    experiment : str
        A declared one. What is read, it is read for its purpose.
    as_of : AsOf
        What may be known: of assignments and exposures as of who is whom.

    Returns
    -------
    Spine

    Raises
    ------
    UnknownName
        If no such experiment is declared.
    ProjectError
        If its units are visitors, and no namespace is anonymous.

    Notes
    -----
    Of two customers who were merged the first assignment counts where both have one arm. Where
    they have two, no arm had this customer for itself: they are `mixed`. Of visitors and sessions
    each is a unit of its own; a customer whose visitors were given two arms is mixed with all of
    them.
    """
    declared = project.lookup(EXPERIMENTS, experiment)
    unit = unit_sql(project, declared, f"experiments.{experiment}")
    names = list(dict.fromkeys((ASSIGNED, exposure_of(declared))))
    with relations(project, stores, declared.purpose, as_of, names) as connection:
        testers = _testers(project, stores, declared, as_of)
        connection.register("_testers", pa.table({"customer": pa.array(testers, pa.binary())}))
        _tell(connection, unit, declared, experiment)
        _expose(connection, unit, declared, experiment)
        [(mixed, tested)] = connection.execute(
            "SELECT count(*) FILTER (is_mixed AND NOT is_tester), count(*) FILTER (is_tester)"
            " FROM _units"
        ).fetchall()
        table = connection.sql(
            """
            SELECT unit, customer, u.time, u.arm, probability, e.time AS exposed, period
            FROM _units AS u LEFT JOIN _exposed AS e USING (key, period)
            WHERE NOT is_mixed AND NOT is_tester
            ORDER BY period, unit
            """
        ).to_arrow_table()
    return Spine(table.cast(SPINE), mixed, tested)


def exposure_of(experiment: ExperimentDefinition) -> str:
    """Name the event that says a unit met its arm."""
    if experiment.exposure is None:
        return SHOWN
    return experiment.exposure


def unit_sql(project: Project, experiment: ExperimentDefinition, where: str) -> str:
    """Return an event's unit as SQL over its columns, binary.

    Parameters
    ----------
    project : Project
    experiment : ExperimentDefinition
    where : str
        The experiment's place, for an error.

    Raises
    ------
    ProjectError
        If units are visitors, and no namespace is anonymous.
    """
    if experiment.unit == "session":
        return "encode(session)"
    if experiment.unit == "customer":
        return leaf_sql(project)
    if not anonymous_namespaces(project):
        hint = "write anonymous = true in the [identifiers] of a cookie, or take another unit"
        raise ProjectError("nothing knows a visitor", f"{where}.unit", hint)
    return VISITOR


def _tell(
    connection: duckdb.DuckDBPyConnection, unit: str, experiment: ExperimentDefinition, name: str
) -> None:
    """Make the relation of the units: one row a unit and period, with what speaks against it."""
    period = _period(experiment)
    # What is the same in all rows of a unit need not be compared.
    first, customer = "key", "arg_min(customer, (time, customer))"
    if experiment.unit == "customer":
        first, customer = "arg_min(unit, (time, unit))", "key"
    is_tester, is_mixed, window = "is_tester", "arm <> highest", ""
    if experiment.unit == "visitor":
        # What speaks against one visitor speaks against the customer's others, too.
        is_tester = "bool_or(is_tester) OVER person"
        is_mixed = "min(arm) OVER person <> max(highest) OVER person"
        window = "WINDOW person AS (PARTITION BY customer, period)"
    connection.execute(
        f"""
        CREATE TABLE _units AS
        WITH told AS (
            SELECT {_key(experiment)} AS key, * FROM (
                SELECT {unit} AS unit, customer, time, arm, probability, {period} AS period,
                    coalesce(tester, FALSE) OR {unit} IN (SELECT customer FROM _testers)
                    OR coalesce(customer IN (SELECT customer FROM _testers), FALSE) AS is_tester
                FROM {ASSIGNED} WHERE experiment = ?
            ) WHERE unit IS NOT NULL
        ),
        units AS (
            SELECT key, period, {first} AS unit, {customer} AS customer, min(time) AS time,
                min(arm) AS arm, max(arm) AS highest, min(probability) AS probability,
                bool_or(is_tester) AS is_tester
            FROM told GROUP BY key, period
        )
        SELECT * REPLACE ({is_tester} AS is_tester), {is_mixed} AS is_mixed
        FROM units {window}
        """,
        [name],
    )


def _expose(
    connection: duckdb.DuckDBPyConnection, unit: str, experiment: ExperimentDefinition, name: str
) -> None:
    """Make the relation of when units first met their arm."""
    period = _period(experiment)
    event = exposure_of(experiment)
    if event == SHOWN:
        # It says of which experiment it is, so it is not before the assignment, whatever a
        # browser's clock says.
        shown = f"SELECT {unit} AS unit, customer, time, arm, {period} AS period FROM {SHOWN}"
        told = f"SELECT *, {_key(experiment)} AS key FROM ({shown} WHERE experiment = ?)"
        joined = "s.arm IS NULL OR s.arm = u.arm"
        parameters = [name]
    else:
        shown = f"SELECT {unit} AS unit, customer, time, {period} AS period"
        shown += f" FROM {quoted(event)}"
        told = f"SELECT *, {_key(experiment)} AS key FROM ({shown})"
        joined = "s.time >= u.time"
        parameters = []
    connection.execute(
        f"""
        CREATE TABLE _exposed AS
        SELECT key, period, greatest(min(s.time), any_value(u.time)) AS time
        FROM _units AS u JOIN ({told}) AS s USING (key, period) WHERE {joined}
        GROUP BY key, period
        """,
        parameters,
    )


def _key(experiment: ExperimentDefinition) -> str:
    """Name what a unit is one row by: a merged customer's units are one."""
    if experiment.unit == "customer":
        return "customer"
    return "unit"


def _period(experiment: ExperimentDefinition) -> str:
    if experiment.rotate is None:
        return "0"
    return f"(epoch_us(time) // {experiment.rotate.microseconds})"


def _testers(
    project: Project, stores: Stores, experiment: ExperimentDefinition, as_of: AsOf
) -> list[bytes]:
    """Return the keys of the declared testers, and of the customers that they are now."""
    leaves = [leaf_of(project, tester) for tester in experiment.testers]
    customers = customers_of(project, stores, leaves, as_of)
    return sorted({*customers, *customers.values()})
