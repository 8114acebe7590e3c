"""What checks look at, read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.experiments.compare import How, Question
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.spine import Spine
from liftwerk.experiments.state import State
from liftwerk.experiments.units import Units, by_of, what_they_did, whole_time
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.latest import values_now
from liftwerk.metrics.read import opened, plans_of
from liftwerk.metrics.units import ASKED, asked_columns, count_units, counted_by
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """An experiment as it is read.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
    experiment : ExperimentDefinition
    state : State
    spine : Spine
        All units.
    units : Units
        The matured ones.
    questions : sequence of Question
    how : How
    as_of : AsOf
    """

    project: Project
    stores: Stores
    name: str
    experiment: ExperimentDefinition
    state: State
    spine: Spine
    units: Units
    questions: Sequence[Question]
    how: How
    as_of: AsOf

    @cached_property
    def counts(self) -> dict[str, int]:
        """Units of each arm, control first."""
        return self.count(self.spine.table)

    @cached_property
    def exposures(self) -> dict[str, int]:
        """Units of each arm that met it."""
        return self.count(self.spine.table.filter(pc.is_valid(self.spine.table["exposed"])))

    @cached_property
    def shares(self) -> list[float]:
        """Declared part of each arm."""
        return [float(share) for share in self.experiment.shares.values()]

    @cached_property
    def past(self) -> Floats:
        """What the units did in a window as long as the metrics' that ended when they came in.

        (k, n): the outcomes' columns of the matured units, in their order.
        """
        table = self.units.table
        before = pc.subtract(table.column("time"), pa.scalar(self._window))
        place = table.column_names.index("time")
        asked = table.set_column(place, "time", before.cast(pa.timestamp("us", "UTC")))
        told = (self.project, self.stores, self.experiment, asked, self.as_of, self._free)
        found = what_they_did(*told, f"{self.name}.past")
        return np.array([found.column(name).to_numpy() for name in self._columns])

    def halves(self, metric: str, part: float) -> tuple[Floats, Floats]:
        """Count a metric that is no ratio in the first part of its window, and in the rest.

        Parameters
        ----------
        metric : str
        part : float

        Returns
        -------
        tuple of (n,) float array
            Of the matured units, in their order.
        """
        (whole,) = asked_columns(self.project, [metric]).values()
        counted, terms = {}, {}
        for name, definition in counted_by(self.project, [whole]).items():
            assert definition.within is not None  # a countable metric has a window
            within = Duration(f"{round(definition.within.microseconds * part / 1_000)}ms")
            first = f"{name} first"
            terms[first] = whole.terms[name]
            counted[name] = definition
            counted[first] = msgspec.structs.replace(definition, within=within)
        columns = {"whole": whole, "first": Sum(terms, whole.constant)}
        found = self._counted(counted, columns)
        early, late = (found.column(name).to_numpy() for name in ("first", "whole"))
        return early, late - early

    def _counted(
        self, counted: Mapping[str, MetricDefinition], columns: Mapping[str, Sum]
    ) -> pa.Table:
        assert self.as_of.time is not None  # a reading has a time
        told = (self.project, self.stores)
        purpose, by = self.experiment.purpose, by_of(self.experiment)
        table = self.units.table
        if self.as_of.offset is None and by == "customer":
            name = f"{self.name}.halves"
            return values_now(
                *told, name, table, columns, counted, purpose, now=self.as_of.time, costs=self._free
            )
        plans = plans_of(self.project, counted, ASKED[by])
        with opened(*told, plans, purpose, self.as_of) as connection:
            currency = self.project.currency
            return count_units(connection, plans, table, columns, currency, by, self._free)

    def count(self, table: pa.Table) -> dict[str, int]:
        """Count units by arm, control first."""
        return by_arm(table, self.experiment.arms)

    def label(self, arm: str) -> str:
        """Return what people call an arm."""
        return self.experiment.arms[arm].label or arm

    @property
    def _columns(self) -> list[str]:
        names = [*self.experiment.metrics, *self.experiment.counter_metrics]
        return list(asked_columns(self.project, names))

    @property
    def _window(self) -> object:
        return whole_time(self.project, self.experiment)

    @property
    def _free(self) -> Mapping[str, Decimal]:
        """No arm costs anything where only what units did is compared."""
        return dict.fromkeys(self.experiment.arms, Decimal(0))


def by_arm(table: pa.Table, arms: Iterable[str]) -> dict[str, int]:
    """Count a spine's units by arm, in the arms' order."""
    rows = pc.value_counts(table["arm"]).to_pylist()
    found = {row["values"]: row["counts"] for row in rows}
    return {arm: found.get(arm, 0) for arm in arms}
