"""``[metrics.NAME]`` and ``[goal]``: what counts, and what counts most.

A metric comes about in one of four ways: it counts events, or rows of an entity (``from``); it is
reckoned from other metrics (``formula``); it is what an action added to another one
(``incremental``); or a machine says it (``measured``).
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named, one
from liftwerk.definitions.typed import Day, Duration, Share
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.metrics import rules
else:  # it brings a parser along, and every command reads this file
    rules = LazyModule("liftwerk.metrics.rules")

AggregateName = Literal["any", "count", "sum", "new", "lapse"]
"""How many events become one number."""


class Surrogate(Struct, frozen=True):
    """Why a number that is no money may be a goal: it was shown to follow one that is.

    Attributes
    ----------
    stands_for : str
        The metric that is meant.
    study : str
        What showed it, and where that is written down.
    date : Day
        When.
    """

    stands_for: str
    study: str
    date: Day


class MetricDefinition(Struct, frozen=True):
    """``[metrics.NAME]``: a number that counts.

    Attributes
    ----------
    description : str
        What it says.
    from_ : str or None
        The event it counts, or the entity whose rows it counts (``from`` in the file). A row of an
        entity counts when it begins to hold.
    aggregate : str or None
        Of one customer: ``any`` (0 or 1), ``count``, ``sum``, ``new`` (1 if the first of all such
        events is among them) or ``lapse`` (1 if there is none). Of a period: the sum of these, but
        for ``lapse``, which is the share of those who were active when it began and then let
        ``within`` pass without another.
    within : Duration or None
        Time after a decision or an assignment in which events count; None where it is only read
        by period.
    property : str or None
        The property that is summed.
    multiply : Share or None
        A factor on the sum, such as the margin on revenue.
    subtract : str or None
        ``action_cost``: less what the decision's action cost.
    maturity : Duration or None
        Time after the decision before it may be learned from; None for ``within``.
    unit : str
        What it is counted in.
    where : str or None
        Which events count, such as ``channel = 'email' and revenue >= 20``.
    unnest : str or None
        A property that is a list: each of its items counts as an event of its own.
    value : str or None
        In place of ``property``: what is summed, in ``+ - *`` over properties, fields of the items
        and properties that entities had at the event's time, such as
        ``items.quantity * (items.price - product.cost)``.
    per : str or None
        Of a period: the mean over the customers whom this ``new`` metric counts in it, each from
        that first event on, within ``within``.
    formula : str or None
        Sums and differences of metrics with factors, such as ``margin - costs``, or one metric
        divided by another, such as ``revenue / orders``.
    incremental : str or None
        The metric of which this is what the programme added: read by a holdout or an experiment,
        and taken from the effect register.
    measured : str or None
        ``model:NAME.FIGURE``, a figure of a model's card, or ``system:NAME``, one of ``/metrics``.
    supports : str or None
        The metric that this one is kept up for: from the system to the model to the goal.
    owner : str
        Who answers for it.
    better : str
        ``higher`` or ``lower``.
    target : decimal.Decimal or None
        What it should reach.
    threshold : decimal.Decimal or None
        Where it must not go beyond: worse than that is an alarm.
    surrogate : Surrogate or None
        What it stands for, if it is a goal and no money.
    """

    description: str
    from_: str | None = field(name="from", default=None)
    aggregate: AggregateName | None = None
    within: Duration | None = None
    property: str | None = None
    multiply: Share | None = None
    subtract: Literal["action_cost"] | None = None
    maturity: Duration | None = None
    unit: str = ""
    where: str | None = None
    unnest: str | None = None
    value: str | None = None
    per: str | None = None
    formula: str | None = None
    incremental: str | None = None
    measured: str | None = None
    supports: str | None = None
    owner: str = ""
    better: Literal["higher", "lower"] = "higher"
    target: Decimal | None = None
    threshold: Decimal | None = None
    surrogate: Surrogate | None = None

    @builtins.property  # the field `property` hides the short name here
    def matures(self) -> Duration | None:
        """Time after the decision before it may be learned from; None where nothing says it."""
        if self.maturity is None:
            return self.within
        return self.maturity


class Goal(Struct, frozen=True):
    """``[goal]``: what all of this is for, and who is kept out to measure it.

    Attributes
    ----------
    metric : str
        The metric to increase; money, or a declared surrogate of it.
    holdout : Share
        Part of the customers kept on the control action from the first day.
    salt : str
        Decides who they are; never changes.
    purpose : str
        What customers and outcomes are read for to see what the programme adds; where nothing is
        written, what the policies' models are read for.
    """

    metric: str
    holdout: Share = Share("0%")
    salt: str = ""
    purpose: str = ""


def _check_metrics(project: Project) -> Iterable[Problem]:
    yield from rules.check_metrics(project)


def _check_goal(project: Project) -> Iterable[Problem]:
    yield from rules.check_goal(project)


METRICS = named("metrics", MetricDefinition, _check_metrics)
GOAL = one("goal", Goal, _check_goal)
