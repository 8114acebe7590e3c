"""What an experiment would have met, had it begun some weeks ago: who came, and what they did.

Units enter when they were first seen in a window of history, all in one arm; their outcomes and
covariates are read as those of an experiment are. Nothing was tried on them, so what varies is what
an experiment has to be told apart from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.events.definition import EVENTS
from liftwerk.events.engine import quoted
from liftwerk.experiments.compare import Question, outcomes
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.read import questions_of
from liftwerk.experiments.spine import SPINE, Spine, unit_sql
from liftwerk.experiments.units import Units, matured_units, whole_time
from liftwerk.identity.resolve import relations
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.power import Baseline
from liftwerk.store.stores import Stores

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

WINDOW = timedelta(days=91)
"""How far back units are looked for."""

FEWEST_UNITS = 100
FEWEST_DAYS = 7
"""Less than this is no history to plan by."""

DAY = timedelta(days=1)
NOTHING = 1e-6
"""A part of the variance that is not worth telling, or a rounding error."""

RANK = 1e-9
"""Part of the largest direction below which covariates repeat one another."""


@dataclass(frozen=True, eq=False)
class History:
    """Units of the past, as an experiment would have met them.

    Attributes
    ----------
    since : datetime
        When it would have begun.
    days : int
        Whole days on which units entered that have been seen whole by now.
    units : Units
        As a reading has them; there is one arm.
    day : (n,) int array
        The day on which each entered, from 0.
    questions : tuple of Question
        The metrics, in the order of the definition, and where their columns are.
    matures : timedelta
        After which a unit has been seen whole.
    events : tuple of str
        By which units were seen.
    """

    since: datetime
    days: int
    units: Units
    day: Ints
    questions: tuple[Question, ...]
    matures: timedelta
    events: tuple[str, ...]

    @property
    def intake(self) -> Intake:
        """How many units entered on each day."""
        return Intake.of_days(np.bincount(self.day, minlength=self.days).astype(np.float64))

    def baseline(self, question: Question, days: int | None = None) -> Baseline:
        """Describe a metric without any effect: mean, variance, and what covariates take out.

        Parameters
        ----------
        question : Question
        days : int, optional
            Only of units that entered on the first days. Who comes often enters early, so that
            they are not like those who enter later.
        """
        kept = np.ones(len(self.units), dtype=np.bool_)
        if days is not None:
            kept = self.day < max(days, FEWEST_DAYS)
        own = list(question.columns[: outcomes(question.kind)])
        values = self.units.values[:, kept]
        rows = values[own]
        means = rows.mean(axis=1)
        if question.kind == "ratio":
            value = float(means[0] / means[1])
            one = (rows[0] - value * rows[1]) / means[1]
        else:
            value = float(means[0])
            one = rows[0]
        variance = float(one.var(ddof=1))
        covariates = values[list(question.columns[len(own) :])]
        reduction = _explained(one, covariates, self.units.stratum[kept])
        if question.kind == "proportion":
            return Baseline.proportion(value, reduction)
        if question.kind == "ratio":
            return Baseline("ratio", value, variance, reduction)
        return Baseline("mean", value, variance, reduction)


def history_of(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    where: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal],
) -> History:
    """Look who would have entered an experiment, and what they did.

    Parameters
    ----------
    project : Project
    stores : Stores
    experiment : ExperimentDefinition
    where : str
        What it is called in an error.
    now : datetime
        Nothing later is known.
    costs : mapping of str to decimal.Decimal
        Arm -> what its action costs once.

    Returns
    -------
    History

    Raises
    ------
    Refused
        If there is too little of it.
    """
    matures = whole_time(project, experiment)
    last = now - matures
    found = _seen(project, stores, experiment, where, last, AsOf(now))
    if found is None:
        raise _too_little(where, "nobody was seen early enough", matures)
    since, spine, events = found
    days = (last - since) // DAY
    if days < FEWEST_DAYS:
        what = f"{days} days before the last {_days(matures)}, which no outcome has ended in yet"
        raise _too_little(where, what, matures)
    end = pa.scalar(since + days * DAY, pa.timestamp("us", "UTC"))
    kept = Spine(spine.filter(pc.less(spine.column("time"), end)), 0, 0)
    units = matured_units(project, stores, experiment, kept, as_of=AsOf(now), costs=costs)
    if len(units) < FEWEST_UNITS:
        what = f"{len(units)} units in {days} days from {since.date().isoformat()}"
        raise _too_little(where, what, matures)
    day = pc.subtract(units.table.column("time"), pa.scalar(since, pa.timestamp("us", "UTC")))
    entered = day.cast(pa.int64()).to_numpy() // (DAY // timedelta(microseconds=1))
    questions = questions_of(project, experiment, units)
    return History(since, days, units, entered.astype(np.int64), questions, matures, events)


def _seen(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    where: str,
    last: datetime,
    as_of: AsOf,
) -> tuple[datetime, pa.Table, tuple[str, ...]] | None:
    """Find when each unit was first seen in the window, by the events that would let it in."""
    names = tuple(project.get(EVENTS))
    if experiment.exposure is not None:
        names = (experiment.exposure,)
    unit = unit_sql(project, experiment, where)
    with relations(project, stores, experiment.purpose, as_of, names) as connection:
        first = _first(connection, names)
        if first is None:
            return None
        since = max(first, last - WINDOW)
        table = _spine(connection, names, unit, experiment, since, last)
    return since, table, names


def _first(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> datetime | None:
    asked = " UNION ALL ".join(f"SELECT min(time) AS time FROM {quoted(name)}" for name in names)
    ((found,),) = connection.execute(f"SELECT min(time) FROM ({asked})").fetchall()
    first: datetime | None = found
    return first


def _spine(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    unit: str,
    experiment: ExperimentDefinition,
    since: datetime,
    last: datetime,
) -> pa.Table:
    """Lay out the units that were seen as those of an experiment, all of them in control."""
    key = "unit"
    if experiment.unit == "customer":
        key = "customer"
    # Each event by itself first: what is carried on is a row a unit, and not a row an event.
    by_event = " UNION ALL ".join(
        f"""
        SELECT arg_min({unit}, time) AS unit, any_value(customer) AS customer, min(time) AS time
        FROM {quoted(name)}
        WHERE time >= $since AND time < $last AND {unit} IS NOT NULL
            AND NOT synthetic AND NOT modelled
        GROUP BY {"customer" if key == "customer" else unit}
        """
        for name in names
    )
    table = connection.sql(
        f"""
        SELECT arg_min(unit, time) AS unit, any_value(customer) AS customer, min(time) AS time,
            $arm AS arm, 1.0 AS probability, NULL::TIMESTAMPTZ AS exposed, 0::BIGINT AS period
        FROM ({by_event}) GROUP BY {key} ORDER BY unit
        """,
        params={"since": since, "last": last, "arm": experiment.control},
    ).to_arrow_table()
    return table.cast(SPINE)


def _explained(values: Floats, covariates: Floats, stratum: Ints) -> float:
    """Return the part of the variance that strata and covariates take out."""
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 0.0:
        return 0.0
    _, stratum = np.unique(stratum, return_inverse=True)
    sizes = np.bincount(stratum)
    rows = np.concatenate([values[None, :], covariates])
    centred = rows - np.array([np.bincount(stratum, row) / sizes for row in rows])[:, stratum]
    products = centred @ centred.T
    left = float(products[0, 0])
    scale = np.sqrt(np.diag(products)[1:])
    moving = scale > 0.0
    if moving.any():
        inner = products[1:, 1:][np.ix_(moving, moving)] / np.outer(scale[moving], scale[moving])
        shared = products[1:, 0][moving] / scale[moving]
        left -= float(shared @ np.linalg.pinv(inner, rcond=RANK, hermitian=True) @ shared)
    taken = 1.0 - left / total
    if taken < NOTHING:
        return 0.0
    return min(taken, 1.0)


def _too_little(where: str, found: str, matures: timedelta) -> Refused:
    hint = (
        f"collect for {FEWEST_DAYS} days and the {_days(matures)} an outcome takes, or calculate:"
        " liftwerk experiment plan --baseline 2% --effect 5%"
    )
    return Refused(f"there is no baseline to plan by ({found})", where, hint)


def _days(span: timedelta) -> str:
    return f"{span / DAY:.3g} days"
