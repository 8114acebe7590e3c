"""The rows of a reading: one matured unit each, with outcomes, covariates and the day it matured.

Outcomes are counted by `metrics`, what was known of a unit when it was assigned by `features`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.experiments.categories import categories
from liftwerk.experiments.cupac import foretell
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.spine import Spine
from liftwerk.features.as_of import training_set
from liftwerk.metrics.kinds import kind_of
from liftwerk.metrics.latest import per_unit_now
from liftwerk.metrics.units import MATURED, By, asked_columns, counted_by, per_unit
from liftwerk.models.design import Design
from liftwerk.models.encode import Encoder
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.moments import Moments
from liftwerk.stats.winsorise import cap, note
from liftwerk.store.stores import Stores

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

SEED = 20240611
"""Deals units to the folds of predictions; the same in every home."""


EVERY = slice(None)
"""All rows."""


@dataclass(frozen=True)
class Units:
    """Matured units, in the order in which they matured.

    Parameters
    ----------
    arms : tuple of str
        Control first.
    arm : (n,) int array
        Places in `arms`.
    day : (n,) int array
        The day in the project's time zone in which a unit's last window ended, counted from 1970.
    exposed : (n,) bool array
    columns : tuple of str
        What `values` holds: outcomes, then covariates.
    values : (k, n) float array
    stratum : (n,) int array
        From 0.
    known : pyarrow.Table
        What was known of each unit when it was assigned: the features of `segments`.
    table : pyarrow.Table
        Their rows of the spine.
    notes : tuple of str
        What was done to the values.
    """

    arms: tuple[str, ...]
    arm: Ints
    day: Ints
    exposed: NDArray[np.bool_]
    columns: tuple[str, ...]
    values: Floats
    stratum: Ints
    known: pa.Table
    table: pa.Table
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def strata(self) -> int:
        """How many strata there are."""
        return int(self.stratum.max(initial=0)) + 1

    def moments(self, rows: NDArray[np.bool_] | slice = EVERY) -> dict[str, list[Moments]]:
        """Return the moments of every arm in each stratum, of all units or of some."""
        arm, stratum, values = self.arm[rows], self.stratum[rows], self.values[:, rows]
        return {
            name: [
                Moments.of(values[:, (arm == place) & (stratum == number)])
                for number in range(self.strata)
            ]
            for place, name in enumerate(self.arms)
        }


def once_each(table: pa.Table) -> pa.Table:
    """Keep the first row of each customer, and of nobody known every one.

    What a customer does counts for each of their visitors, and in each period of a rotating holdout
    anew: two rows of one customer would say the same twice, and intervals take rows for
    independent.

    Parameters
    ----------
    table : pyarrow.Table
        ``customer`` and ``time``; further columns are kept.

    Examples
    --------
    >>> rows = {"customer": [b"a", b"b", b"a", None, None], "time": [3, 1, 2, 0, 0]}
    >>> once_each(pa.table(rows))["time"].to_pylist()
    [1, 2, 0, 0]
    """
    place = pa.array(np.arange(table.num_rows))
    sorted_ = table.select(["customer", "time"]).append_column("place", place).sort_by("time")
    known = sorted_.filter(pc.is_valid(sorted_["customer"]))
    first = known.group_by("customer", use_threads=False).aggregate([("place", "first")])
    nobody = sorted_.filter(pc.is_null(sorted_["customer"]))["place"].to_numpy()
    kept = np.sort(np.concatenate([first["place_first"].to_numpy(), nobody]))
    return table.take(pa.array(kept))


def outcomes_of(project: Project, experiment: ExperimentDefinition) -> dict[str, tuple[str, ...]]:
    """Return each metric of an experiment with the columns that it is read from."""
    names = (*experiment.metrics, *experiment.counter_metrics)
    return {name: tuple(asked_columns(project, [name])) for name in names}


def by_of(experiment: ExperimentDefinition) -> By:
    """Say whose outcomes are a unit's: its session's, or its customer's."""
    if experiment.unit == "session":
        return "session"
    return "customer"


def whole_time(project: Project, experiment: ExperimentDefinition) -> timedelta:
    """Return how long after its assignment a unit has matured."""
    names = [*experiment.metrics, *experiment.counter_metrics]
    counted = counted_by(project, asked_columns(project, names).values()).values()
    spans = [metric.matures.timedelta for metric in counted if metric.matures is not None]
    return max(spans)


def what_they_did(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    spine: pa.Table,
    as_of: AsOf,
    costs: Mapping[str, Decimal],
    kept_as: str | None,
) -> pa.Table:
    """Count the metrics of an experiment for some units: `liftwerk.metrics.units.per_unit`.

    As of now the totals that are kept of customers are brought up to date; as of an offset, and of
    sessions, all is counted afresh.

    Parameters
    ----------
    project, stores, experiment, as_of, costs, kept_as : as for `matured_units`
    spine : pyarrow.Table
    """
    assert as_of.time is not None  # a reading has a time
    by = by_of(experiment)
    names = [*experiment.metrics, *experiment.counter_metrics]
    told = (names, experiment.purpose)
    if kept_as is not None and as_of.offset is None and by == "customer":
        return per_unit_now(project, stores, kept_as, spine, *told, now=as_of.time, costs=costs)
    return per_unit(
        project, stores, spine, *told, now=as_of.time, by=by, costs=costs, offset=as_of.offset
    )


def matured_units(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    spine: Spine,
    *,
    as_of: AsOf,
    costs: Mapping[str, Decimal],
    kept_as: str | None = None,
) -> Units:
    """Read the units whose metrics have had their whole time.

    Parameters
    ----------
    project : Project
    stores : Stores
    experiment : ExperimentDefinition
    spine : Spine
    as_of : AsOf
        What may be known; its time says what has matured.
    costs : mapping of str to decimal.Decimal
        Arm -> what its action costs once.
    kept_as : str, optional
        What the units' totals are kept under, so that the next reading counts what came in since.

    Returns
    -------
    Units
    """
    table = what_they_did(project, stores, experiment, spine.table, as_of, costs, kept_as)
    names = [*experiment.metrics, *experiment.counter_metrics]
    table = table.filter(table.column(MATURED)).sort_by("time")
    known = _known(project, stores, experiment, table, as_of)
    outcomes = list(asked_columns(project, names))
    values = np.array([table.column(name).to_numpy() for name in outcomes])
    notes = _notes(experiment)
    if experiment.winsorise is not None and len(values[0]):
        values, cut = _cut(project, experiment, outcomes, values, experiment.winsorise.value)
        notes = (*notes, *cut)
    labels, more = _covariates(experiment, known, outcomes, values)
    arms = tuple(experiment.arms)
    time = pc.add(table.column("time"), pa.scalar(whole_time(project, experiment)))
    return Units(
        arms,
        _places(table.column("arm"), arms),
        days(time, project),
        np.asarray(pc.is_valid(table.column("exposed")).to_numpy(), dtype=np.bool_),
        (*outcomes, *labels),
        np.concatenate([values, more]),
        _strata(experiment, known),
        known.select(list(experiment.segments)),
        table.select(spine.table.column_names),
        notes,
    )


def days(times: pa.ChunkedArray, project: Project) -> Ints:
    """Return the days of moments in the project's time zone, counted from 1970."""
    local = pc.local_timestamp(times.cast(pa.timestamp("us", project.timezone.key)))
    return np.asarray(local.cast(pa.date32()).cast(pa.int32()).to_numpy(), dtype=np.int64)


def _known(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    table: pa.Table,
    as_of: AsOf,
) -> pa.Table:
    """Look up what was known of each unit when it was assigned, for the experiment's purpose."""
    names = dict.fromkeys((*experiment.strata, *experiment.covariates, *experiment.segments))
    if not names:
        return pa.table({"time": table.column("time")})
    whom = table.column("unit")
    if experiment.unit == "customer":
        whom = table.column("customer")
    elif experiment.unit == "session":
        whom = whom.cast(pa.string())
    asked = pa.table({experiment.unit: whom, "time": table.column("time")})
    return training_set(project, stores, asked, list(names), experiment.purpose, as_of)


def _cut(
    project: Project,
    experiment: ExperimentDefinition,
    outcomes: Sequence[str],
    values: Floats,
    share: float,
) -> tuple[Floats, tuple[str, ...]]:
    """Count values above a quantile of all arms as the quantile; who bought is left as it is."""
    asked = outcomes_of(project, experiment)
    whole = {asked[name][0] for name in asked if kind_of(project, name) == "proportion"}
    cut, notes = values.copy(), []
    for place, name in enumerate(outcomes):
        if name not in whole:
            limit = cap([values[place]], share)
            cut[place] = np.minimum(values[place], limit)
            notes.append(f"{name}: {note(limit, share)}.")
    return cut, tuple(notes)


def _notes(experiment: ExperimentDefinition) -> tuple[str, ...]:
    """Say what takes variance out."""
    notes = []
    names = ", ".join(experiment.covariates)
    if experiment.covariates and experiment.adjustment == "cuped":
        notes.append(f"Variance is taken out by {names} as of the assignment (CUPED).")
    if experiment.covariates and experiment.adjustment == "cupac":
        notes.append(f"Variance is taken out by what {names} foretell (CUPAC).")
    if experiment.strata:
        notes.append(f"Arms are compared within {', '.join(experiment.strata)}.")
    return tuple(notes)


def _covariates(
    experiment: ExperimentDefinition, known: pa.Table, outcomes: Sequence[str], values: Floats
) -> tuple[list[str], Floats]:
    """Lay out what takes variance out: the features as numbers, or what they foretell."""
    none = np.empty((0, values.shape[1]))
    if experiment.adjustment == "none" or not experiment.covariates or values.shape[1] == 0:
        return [], none
    design = Design.from_table(known, list(experiment.covariates))
    if experiment.adjustment == "cupac":
        told = foretell(design, values, np.random.default_rng(SEED))
        return [f"foretold {name}" for name in outcomes], told
    encoder = Encoder.fit(design)
    return list(encoder.labels), encoder.transform(design).T


def _strata(experiment: ExperimentDefinition, known: pa.Table) -> Ints:
    """Give each combination of the strata's categories a number."""
    together = np.zeros(known.num_rows, dtype=np.int64)
    for name in experiment.strata:
        names, codes = categories(known.column(name))
        together = together * len(names) + codes
    _, places = np.unique(together, return_inverse=True)
    return np.asarray(places, dtype=np.int64)


def _places(column: pa.ChunkedArray, arms: Sequence[str]) -> Ints:
    found = pc.index_in(column, value_set=pa.array(arms))
    return np.asarray(found.to_numpy(), dtype=np.int64)


def first_day(spine: Spine, span: timedelta) -> datetime | None:
    """Return when the first unit will have matured; None where nobody was assigned."""
    started = pc.min(spine.table.column("time")).as_py()
    if started is None:
        return None
    when: datetime = started + span
    return when
