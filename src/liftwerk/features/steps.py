"""Named steps of a plan: Ibis expressions over the step before, printed as one SQL statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    import ibis

    from liftwerk.features import written
else:
    ibis = LazyModule("ibis")
    written = LazyModule("liftwerk.features.written")

DIALECTS = ("duckdb", "pyspark")
"""The engines that a plan is written for, as Ibis names them."""


class Step(Struct, frozen=True):
    """One step.

    Attributes
    ----------
    name : str
        What later steps call it.
    made : ibis.Table, or mapping of str to str
        How it is made: an expression, or SQL for each dialect where engines differ.
    schema : mapping of str to str
        Column -> its Ibis type.
    """

    name: str
    made: Any
    schema: Mapping[str, str]

    @classmethod
    def of(cls, name: str, table: ibis.Table) -> Step:
        """Make a step of an expression."""
        return cls(name, table, {key: str(kind) for key, kind in table.schema().items()})

    @property
    def relation(self) -> ibis.Table:
        """The step as a later one reads it."""
        return ibis.table(dict(self.schema), name=self.name)

    def sql(self, dialect: str) -> str:
        """Write the step alone."""
        if isinstance(self.made, Mapping):
            return str(self.made[dialect])
        return written.sql_of(self.made, dialect)


class Statement(Struct, frozen=True):
    """Steps, and what they are written as for DuckDB: once, since they run many times.

    Attributes
    ----------
    steps : tuple of Step
        Each reads those before it.
    duckdb : str
        The statement.
    """

    steps: tuple[Step, ...]
    duckdb: str

    @classmethod
    def of(cls, *steps: Step) -> Statement:
        """Make a statement of steps; its answer is the last of them."""
        return cls(steps, joined(steps, "duckdb"))

    def sql(self, dialect: str = "duckdb") -> str:
        """Write the statement for an engine: ``duckdb`` or ``pyspark``."""
        if dialect == "duckdb":
            return self.duckdb
        return joined(self.steps, dialect)


def joined(steps: Sequence[Step], dialect: str) -> str:
    """Write steps as one statement, whose answer is the last of them.

    Parameters
    ----------
    steps : sequence of Step
        Each reads those before it.
    dialect : str
        One of `DIALECTS`.
    """
    *before, last = steps
    written = ",\n".join(f"{step.name} AS (\n{_indented(step.sql(dialect))}\n)" for step in before)
    return f"WITH {written}\n{last.sql(dialect)}"


def _indented(sql: str) -> str:
    return "\n".join(f"  {line}" for line in sql.splitlines())
