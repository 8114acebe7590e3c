"""All checks of a relation in one scan: their statistics are one statement, compiled once.

It is an Ibis expression, as features are, and is written for DuckDB and for Spark alike. The
relation may be a table, a few customers' values or the events themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from liftwerk.errors import DefinitionError
from liftwerk.events.engine import connect
from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.kinds.check import Check
from liftwerk.features.steps import Step
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    import ibis
else:
    ibis = LazyModule("ibis")

RELATION = "_checked"
"""What the statement reads."""

TYPES: Mapping[str, tuple[str, pa.DataType]] = {
    "number": ("float64", pa.float64()),
    "integer": ("float64", pa.float64()),
    "money": ("float64", pa.float64()),
    "string": ("string", pa.string()),
    "boolean": ("string", pa.string()),
    "time": ("int64", pa.int64()),
}
"""Type of a value -> how it is scanned."""


class Asked(Struct, frozen=True):
    """A check, and of what.

    Attributes
    ----------
    subject : str
        As the project file names it.
    check : Check
    severity : str
    expected : str
        As it is declared; the check may let more pass that somebody accepted.
    """

    subject: str
    check: Check
    severity: Severity
    expected: str


class Scan:
    """Checks of one relation, compiled.

    Parameters
    ----------
    asked : sequence of Asked
    columns : mapping of str to str
        Column of the relation -> its Ibis type.

    Examples
    --------
    >>> from liftwerk.features.checks.kinds.bounds import Minimum
    >>> asked = Asked("features.spend", Minimum("spend", 0.0), "stop", "at least 0")
    >>> scan = Scan([asked], {"spend": "float64"})
    >>> (found,) = scan.table(pa.table({"spend": [3.0, -2.0, None]}))
    >>> found.verdict, found.found
    ('failed', '1 of 2 are not, the worst -2')
    """

    def __init__(self, asked: Sequence[Asked], columns: Mapping[str, str]) -> None:
        self.asked = tuple(asked)
        table = ibis.table(dict(columns), name=RELATION)
        self._statistics: dict[str, Any] = {}
        for one in asked:
            self._statistics |= one.check.statistics(table)
        self._names = list(self._statistics)
        self._duckdb = ""
        if self._statistics:
            places = {f"s{place}": one for place, one in enumerate(self._statistics.values())}
            self._step = Step.of("_statistics", table.aggregate(**places))
            self._duckdb = self.sql("duckdb")

    def sql(self, dialect: str) -> str:
        """Write the statement, for ``duckdb`` or ``pyspark``."""
        return self._step.sql(dialect)

    def run(self, connection: duckdb.DuckDBPyConnection) -> list[Finding]:
        """Scan the relation that a connection has under `RELATION`, and judge what was found."""
        found: dict[str, Any] = {}
        if self._duckdb:
            (row,) = connection.sql(self._duckdb).fetchall()
            found = dict(zip(self._names, row, strict=True))
        return self.judge(found)

    def table(self, values: pa.Table) -> list[Finding]:
        """Scan a table."""
        if not self._duckdb:
            return self.judge({})
        with connect() as connection:
            connection.register(RELATION, values)
            return self.run(connection)

    def judge(self, found: Mapping[str, Any]) -> list[Finding]:
        """Judge statistics by their names, wherever they were made."""
        findings = []
        for one in self.asked:
            said = one.check.judge(found)
            findings.append(
                Finding(
                    one.subject,
                    one.check.name,
                    one.severity,
                    said.verdict,
                    one.expected,
                    said.found,
                    said.observed,
                )
            )
        return findings


def scannable(values: pa.Table, types: Mapping[str, str]) -> pa.Table:
    """Bring the columns that are checked into the form in which they are scanned.

    Parameters
    ----------
    values : pyarrow.Table
    types : mapping of str to str
        Column -> its type, as properties name theirs.

    Raises
    ------
    DefinitionError
        If a column holds something else.
    """
    columns = {}
    for name, type_ in types.items():
        column = values.column(name)
        wanted = TYPES[type_][1]
        if column.type != wanted:
            is_text = pa.types.is_string(column.type)
            if is_text or (wanted == pa.float64() and not _is_number(column.type)):
                what = f"the values of {name} are no {type_}, but {column.type}"
                raise DefinitionError(what, f"features.{name}.checks", "check something else of it")
            column = pc.cast(column, wanted, safe=False)
        columns[name] = column
    return pa.table(columns)


def _is_number(type_: pa.DataType) -> bool:
    of_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(is_it(type_) for is_it in of_number)
