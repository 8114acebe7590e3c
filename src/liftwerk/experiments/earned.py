"""What customers earned in a week, exactly as the goal counts it, and what last click credits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.events.engine import quoted
from liftwerk.experiments.weeks import TOUCH_DAYS, Week
from liftwerk.metrics.compile import Plan
from liftwerk.metrics.definition import Goal
from liftwerk.metrics.kinds import columns_of, goal_metric, kind_of
from liftwerk.metrics.read import opened, plans_of
from liftwerk.metrics.reckon import weighted
from liftwerk.metrics.units import count_units, counted_by
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

Floats = NDArray[np.float64]

ARM = "everybody"
"""Nobody's action is taken off here: what actions cost is known from the decisions themselves."""

CLICKED = """\
SELECT * FROM {whole} AS o
WHERE EXISTS (
  FROM _touches AS t
  WHERE t.customer = o.customer AND t.time <= o.time AND t.time > o.time - INTERVAL {days} DAY
)"""


class Earned:
    """Counts the goal's metric in weeks.

    Parameters
    ----------
    project : Project
    stores : Stores
    goal : Goal
    purpose : str
    as_of : AsOf

    Raises
    ------
    Refused
        If the goal is a ratio: what it is in a week does not add up.
    """

    def __init__(
        self, project: Project, stores: Stores, goal: Goal, purpose: str, as_of: AsOf
    ) -> None:
        self.project = project
        self.metric = goal_metric(project, goal.metric)
        if kind_of(project, self.metric) == "ratio":
            what = f"the goal {self.metric!r} is a ratio, which does not add up over weeks"
            raise Refused(what, "goal.metric", "take a sum of what customers do")
        self._stores = stores
        self._purpose = purpose
        self._as_of = as_of
        self._columns = columns_of(project, self.metric)

    @contextmanager
    def counting(self, touches: pa.Table | None = None) -> Iterator[Counting]:
        """Open what is counted: all of it, or only what follows a touch.

        Parameters
        ----------
        touches : pyarrow.Table, optional
            ``customer`` and ``time``.
        """
        plans = self.plans(Duration("7d"))
        told = (self.project, self._stores, plans, self._purpose, self._as_of)
        with opened(*told) as connection:
            if touches is not None:
                _only_after(connection, touches, [plan.event for plan in plans])
            yield Counting(self, connection)

    def plans(self, within: Duration) -> list[Plan]:
        """Compile the metric for weeks of a length."""
        counted = {
            name: msgspec.structs.replace(one, within=within, maturity=None)
            for name, one in counted_by(self.project, self._columns.values()).items()
        }
        return plans_of(self.project, counted, "customers")

    @property
    def sql(self) -> dict[str, str]:
        """The statements behind a week's figures, of seven days."""
        plans = self.plans(Duration("7d"))
        found = {f"{self.metric}: {plan.event}": plan.sql for plan in plans}
        for plan in plans:
            name = f"last click, in place of {plan.event}"
            found[name] = CLICKED.format(whole=quoted(plan.event), days=TOUCH_DAYS)
        return found

    @property
    def costs_taken(self) -> float:
        """How many times what an action costs is taken off."""
        ((_, total),) = self._columns.items()
        counted = {one.name: one for plan in self.plans(Duration("7d")) for one in plan.counted}
        return float(weighted(total, counted).costs)


class Counting:
    """An open connection in which weeks are counted.

    Parameters
    ----------
    earned : Earned
    connection : duckdb.DuckDBPyConnection
    """

    def __init__(self, earned: Earned, connection: duckdb.DuckDBPyConnection) -> None:
        self._earned = earned
        self._connection = connection
        self._plans: dict[timedelta, list[Plan]] = {}

    def week(self, customers: pa.Array, week: Week) -> Floats:
        """Count what each customer earned from a week's first moment to its last.

        Parameters
        ----------
        customers : pyarrow.Array of binary
        week : Week

        Returns
        -------
        (n,) float array
            In money; what actions cost is not taken off.
        """
        # A window is open at its beginning and closed at its end.
        before = week.start - timedelta(microseconds=1)
        length = timedelta(seconds=week.end.timestamp() - week.start.timestamp())
        if length not in self._plans:
            seconds = Duration(f"{length // timedelta(seconds=1)}s")
            self._plans[length] = self._earned.plans(seconds)
        n = len(customers)
        spine = pa.table(
            {
                "unit": customers,
                "customer": customers,
                "time": pa.array([before] * n, pa.timestamp("us", "UTC")),
                "arm": pa.array([ARM] * n, pa.string()),
            }
        )
        found = count_units(
            self._connection,
            self._plans[length],
            spine,
            self._earned._columns,
            self._earned.project.currency,
            "customer",
            {ARM: Decimal(0)},
        )
        (column,) = found.columns
        return np.asarray(column.to_numpy(), dtype=np.float64)


def _only_after(
    connection: duckdb.DuckDBPyConnection, touches: pa.Table, events: list[str]
) -> None:
    """Narrow events to those that follow a touch within the time that last click remembers."""
    connection.register("_given", touches)
    connection.execute("CREATE TABLE _touches AS SELECT customer, time FROM _given")
    connection.unregister("_given")
    for event in dict.fromkeys(events):
        whole = f"_every_{event}"
        connection.execute(f"ALTER VIEW {quoted(event)} RENAME TO {quoted(whole)}")
        narrowed = CLICKED.format(whole=quoted(whole), days=TOUCH_DAYS)
        connection.execute(f"CREATE VIEW {quoted(event)} AS {narrowed}")
