"""What metrics were in a period: totals, ratios and shares of the business, with intervals.

A total is what was counted, and has no interval. A ratio, a share and a mean of customers stand for
the customers who might have come in another such period: their interval takes customers as drawn,
each with all that is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.metrics.customers import Customers, entity_total, lapsed, newcomers
from liftwerk.metrics.definition import METRICS, MetricDefinition
from liftwerk.metrics.formula import Ratio, Sum, flattened, formula_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import interval
from liftwerk.stats.off_policy.scores import Scores
from liftwerk.store.stores import Stores

Value: TypeAlias = float | Estimate | Unknown
_ONE = Fraction(1)
Period: TypeAlias = Literal["day", "week", "month"]

_DRAWN = ("customers come and buy independently of each other",)


class Window(Struct, frozen=True):
    """A stretch of time, of which ``end`` is no part."""

    start: datetime
    end: datetime


class Added(Struct, frozen=True):
    """What the effect register says was added: the estimate, over which time, and in what unit."""

    estimate: Estimate | Unknown
    window: Window
    unit: str


class Told(Struct, frozen=True):
    """What is known elsewhere, by functions that the callers of this room hand in.

    Attributes
    ----------
    added : callable
        Metric -> what the programme added to it; None where nothing says it.
    measured : callable
        What a metric's ``measured`` names -> its value now; None where nothing says it.
    """

    added: Callable[[str], Added | None]
    measured: Callable[[str], float | None]


def windows(period: Period, zone: ZoneInfo, now: datetime, many: int) -> list[Window]:
    """Return the last periods of the calendar that are over, the latest last.

    Examples
    --------
    >>> from datetime import UTC
    >>> last = windows("month", ZoneInfo("Europe/Berlin"), datetime(2026, 3, 31, 22, tzinfo=UTC), 1)
    >>> last[0].start.isoformat(), last[0].end.isoformat()
    ('2026-03-01T00:00:00+01:00', '2026-04-01T00:00:00+02:00')
    """
    begins = _begin(period, now.astimezone(zone).date())
    found: list[Window] = []
    for _ in range(many):
        before = _begin(period, begins - timedelta(days=1))
        found.append(Window(_midnight(before, zone), _midnight(begins, zone)))
        begins = before
    return found[::-1]


def _begin(period: Period, day: date) -> date:
    if period == "month":
        return day.replace(day=1)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def value_in(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    window: Window,
    *,
    now: datetime,
    told: Told,
) -> Value:
    """Say what a metric was in a stretch of time.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The metric.
    purpose : str
        What is read for.
    window : Window
    now : datetime
        What was known later is left out.
    told : Told

    Returns
    -------
    float, Estimate or Unknown
        A total is a plain number. What is incremental is of the window of its effect.

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If money in another currency would have to be mixed in.
    """
    project.lookup(METRICS, name)
    asking = _Asking(project, stores, purpose, window, now, told)
    try:
        return asking.value(name)
    except ProjectError as error:
        return Unknown(error.what, error.hint)


class _Asking:
    """One stretch of time, in which a metric may be asked for by several."""

    def __init__(
        self,
        project: Project,
        stores: Stores,
        purpose: str,
        window: Window,
        now: datetime,
        told: Told,
    ) -> None:
        self.project = project
        self.stores = stores
        self.purpose = purpose
        self.window = window
        self.now = now
        self.told = told
        self.metrics: Mapping[str, MetricDefinition] = project.get(METRICS)
        given = (project, stores, purpose, AsOf(now))
        self.customers = Customers(*given, window.start, window.end)

    def value(self, name: str) -> Value:
        metric = self.metrics[name]
        if metric.measured is not None:
            return self._measured(metric.measured)
        if metric.incremental is not None:
            return self._added(metric.incremental)[0]
        if metric.formula is not None:
            found = formula_of(self.metrics, name)
            if isinstance(found, Ratio):
                return self._ratio(found)
            return self._sum(name, found)
        if metric.subtract is not None:
            needs = "a metric without subtract; what actions cost is known of decisions"
            return Unknown("it takes off what each decision's action cost", needs)
        if metric.per is not None:
            return self._mean(name, metric)
        if metric.aggregate == "lapse":
            return self._share(name)
        if metric.from_ in self.project.get(ENTITIES):
            given = (self.project, self.stores, name, self.purpose, AsOf(self.now))
            return entity_total(*given, self.window.start, self.window.end)
        return float(self.customers.total(Sum({name: _ONE})))

    def _measured(self, what: str) -> Value:
        value = self.told.measured(what)
        if value is None:
            return Unknown(f"nothing says {what}", "a run that measures it")
        return value

    def _added(self, name: str) -> tuple[Estimate | Unknown, Added | None]:
        found = self.told.added(name)
        if found is None:
            needs = "a holdout, or an experiment that is concluded"
            return Unknown(
                f"nothing in the effect register says what was added to {name}", needs
            ), None
        return found.estimate, found

    def _sum(self, name: str, found: Sum) -> Value:
        if self._is_counted(name):
            return float(self.customers.total(flattened(self.metrics, name)))
        parts = {part: self.value(part) for part in found.terms}
        for value in parts.values():
            if isinstance(value, Unknown):
                return value
        drawn = [part for part, value in parts.items() if isinstance(value, Estimate)]
        if len(drawn) > 1:
            needs = "an experiment that reads the sum itself"
            return Unknown(f"the intervals of {' and '.join(drawn)} cannot be added up", needs)
        rest = float(found.constant)
        for part, value in parts.items():
            if isinstance(value, float):
                rest += float(found.terms[part]) * value
        if not drawn:
            return rest
        estimate = parts[drawn[0]]
        assert isinstance(estimate, Estimate)
        return moved(estimate, float(found.terms[drawn[0]]), rest)

    def _ratio(self, found: Ratio) -> Value:
        above, below = found.names
        if self._is_counted(above) and self._is_counted(below):
            return self._drawn(above, below)
        metric = self.metrics[above]
        if metric.incremental is not None:
            return self._added_for(metric.incremental, below)
        one, other = self.value(above), self.value(below)
        if isinstance(one, Unknown):
            return one
        if isinstance(other, Unknown):
            return other
        if isinstance(other, Estimate):
            needs = "an experiment that reads the ratio itself"
            return Unknown(f"{below} is known within an interval only", needs)
        if other == 0:
            return Unknown(f"{below} is 0", f"a period with {below}")
        if isinstance(one, Estimate):
            return moved(one, 1 / other, 0.0)
        return one / other

    def _added_for(self, above: str, below: str) -> Value:
        """Divide what was added by what it took in the same time."""
        estimate, added = self._added(above)
        if added is None or isinstance(estimate, Unknown):
            return estimate
        if " a " in added.unit:
            needs = "an effect of everybody together"
            return Unknown(f"the effect register tells {above} in {added.unit}", needs)
        given = (self.project, self.stores, self.purpose, added.window, self.now, self.told)
        spent = _Asking(*given).value(below)
        if not isinstance(spent, float):
            return Unknown(f"{below} is not known exactly in that time", "all of it")
        if spent == 0:
            return Unknown(f"{below} was 0 in that time", f"an effect of a time with {below}")
        return moved(estimate, 1 / spent, 0.0)

    def _is_counted(self, name: str) -> bool:
        """Say whether a metric adds up what single customers did."""
        try:
            total = flattened(self.metrics, name)
        except ValueError:
            return False
        bases = [self.metrics[one] for one in total.terms]
        return bool(bases) and all(
            one.from_ in known_events(self.project)
            and one.aggregate != "lapse"
            and one.per is None
            and one.subtract is None
            for one in bases
        )

    def _drawn(self, above: str, below: str) -> Value:
        sides = {name: flattened(self.metrics, name) for name in (above, below)}
        values = self.customers.values(sides)
        total = values[below].sum()
        if total == 0:
            return Unknown(f"{below} is 0", f"a period with {below}")
        ratio = float(self.customers.total(sides[above]) / self.customers.total(sides[below]))
        influence = (values[above] - ratio * values[below]) / values[below].mean()
        return _interval(ratio, influence, "ratio of sums, by customer")

    def _mean(self, name: str, metric: MetricDefinition) -> Value:
        assert metric.per is not None
        assert metric.within is not None  # the definition's check demands it
        ripe = self.window.end + metric.within.timedelta
        if ripe > self.now:
            reason = f"its customers are not known for {metric.within} yet"
            return Unknown(reason, f"waiting until {ripe.date().isoformat()}")
        values = newcomers(self.customers, name, metric.per)
        if not values.size:
            return Unknown(f"{metric.per} is 0", f"a period with {metric.per}")
        mean = float(values.mean())
        return _interval(mean, values - mean, "mean of new customers")

    def _share(self, name: str) -> Value:
        left, active = lapsed(self.customers, name)
        if not active:
            return Unknown("nobody was active when it began", "customers who were")
        scores = np.zeros(active)
        scores[:left] = 1.0
        return _interval(left / active, scores - left / active, "share of who was active")


def _interval(value: float, influence: NDArray[np.float64], method: str) -> Estimate | Unknown:
    if influence.size < 2:
        return Unknown("it is one customer's", "at least two customers")
    return interval(Scores(value, influence), method=method, assumptions=_DRAWN)


def moved(estimate: Estimate, factor: float, plus: float) -> Estimate:
    """Multiply an estimate with a known number, and add one.

    Examples
    --------
    >>> print(moved(Estimate(0.2, 0.1, 0.4, 0.1, 10, ""), -1.0, 1.0))
    0.8 (0.6 to 0.9)
    """
    ends = sorted((estimate.low * factor + plus, estimate.high * factor + plus))
    return Estimate(
        estimate.value * factor + plus,
        ends[0],
        ends[1],
        estimate.standard_error * abs(factor),
        estimate.n,
        estimate.method,
        estimate.assumptions,
        estimate.level,
    )
