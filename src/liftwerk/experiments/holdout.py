"""What the programme adds, week by week: the held-out beside all others, beside last click.

who is known, who is held out -> each whole week what they earned, as the goal's metric counts it
-> the week's increment, and the sum so far at any time -> the effect register
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.experiments.earned import Earned, Floats
from liftwerk.experiments.effects import PROGRAMME, Effect, history, latest, put_effects
from liftwerk.experiments.weeks import (
    Flags,
    People,
    Week,
    everybody,
    first_decisions,
    spent,
    touches,
    whole_weeks,
)
from liftwerk.identity.resolve import relations
from liftwerk.metrics.definition import GOAL, Goal
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.difference import difference
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.holdout import holdout
from liftwerk.stats.moments import Moments
from liftwerk.store.ledger import Ledger
from liftwerk.store.stores import Stores

LEVEL = 0.95
HORIZON = 26
"""Weeks after which the interval of the sum so far shall be narrowest."""

ALL = "Customers who were known when the week began."

SOURCE = "holdout"
"""What the effect register calls this."""


class Increment(Struct, frozen=True):
    """One week of a subject.

    Attributes
    ----------
    start, end : datetime
        ``end`` is no part of it.
    treated, held_out : int
        Customers.
    increment : Estimate or Unknown
        What all treated together earned more in it, in the project's currency.
    so_far : Estimate or Unknown
        The same since the first week; its intervals hold in all weeks together.
    last_click : float
        What last click would credit in it.
    """

    start: datetime
    end: datetime
    treated: int
    held_out: int
    increment: Estimate | Unknown
    so_far: Estimate | Unknown
    last_click: float


class Subject(Struct, frozen=True):
    """The whole programme, or one policy.

    Attributes
    ----------
    subject : str
        As the effect register names it.
    label, says : str
        For people; whom it is about.
    weeks : tuple of Increment
        Oldest first.
    sql : dict of str to str
        What was asked.
    """

    subject: str
    label: str
    says: str
    weeks: tuple[Increment, ...]
    sql: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A subject before it is counted.

    Parameters
    ----------
    subject, label, says : str
    people : People
    touches : pyarrow.Table
        What last click counts for it.
    from_start : bool
        Whether only customers known before a week began are in it; else before it was over.
    """

    subject: str
    label: str
    says: str
    people: People
    touches: pa.Table
    from_start: bool = True

    def until(self, week: Week) -> datetime:
        """Return by when a customer has to be known."""
        if self.from_start:
            return week.start
        return week.end


class Holdout(Struct, frozen=True):
    """What a holdout shows.

    Attributes
    ----------
    metric, currency, timezone : str
    share, level : float
    as_of : datetime
    subjects : tuple of Subject
    mixed : int
        Customers left out: decided for as held out, and as not.
    """

    metric: str
    currency: str
    timezone: str
    share: float
    level: float
    as_of: datetime
    subjects: tuple[Subject, ...]
    mixed: int


def weekly(
    project: Project,
    stores: Stores,
    policies: Mapping[str, str],
    purpose: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal],
    offset: int | None = None,
) -> Holdout:
    """Read the global holdout, week by week.

    Parameters
    ----------
    project : Project
    stores : Stores
    policies : mapping of str to str
        Policy -> its placement.
    purpose : str
        What customers, decisions and outcomes are read for.
    now : datetime
        Only weeks that are over, and nothing learnt later.
    costs : mapping of str to decimal.Decimal
        Action -> what doing it once costs, for a metric that takes it off.
    offset : int, optional
        Only what the log knew up to this offset.

    Returns
    -------
    Holdout

    Raises
    ------
    Refused
        If nobody is held out, or the goal is no sum of what customers do.
    """
    goal = goal_held_out(project)
    as_of = AsOf(now, offset)
    earned = Earned(project, stores, goal, purpose, as_of)
    with relations(project, stores, purpose, as_of) as connection:
        people = everybody(connection, goal)
        begun = first_decisions(connection)
        spent_on = spent(connection, costs)
        asked = [Asked(PROGRAMME, "The whole programme", ALL, people, touches(connection))]
        for name, placement in policies.items():
            decided = first_decisions(connection, placement)
            asked.append(_policy(name, people, decided, touches(connection, placement)))
    weeks: list[Week] = []
    if begun.num_rows:
        first = datetime.fromtimestamp(pc.min(begun.column("since")).as_py(), project.timezone)
        weeks = list(whole_weeks(first, now, project.timezone))
    subjects = tuple(_subject(earned, one, weeks, spent_on) for one in asked)
    return Holdout(
        metric=earned.metric,
        currency=project.currency,
        timezone=project.timezone.key,
        share=goal.holdout.value,
        level=LEVEL,
        as_of=now,
        subjects=subjects,
        mixed=people.mixed,
    )


def goal_held_out(project: Project) -> Goal:
    """Return the goal, which says who is held out.

    Raises
    ------
    Refused
        If nobody is.
    """
    goal = project.find(GOAL)
    if goal is None or goal.holdout.exact == 0:
        hint = 'add [goal] with holdout = "5%" and a salt'
        raise Refused("nobody is held out, so nothing says what the programme adds", "goal", hint)
    return goal


def _subject(earned: Earned, asked: Asked, weeks: Sequence[Week], spent_on: pa.Table) -> Subject:
    """Read the weeks of one subject."""
    people = asked.people
    found = []
    with earned.counting() as every:
        for week in weeks:
            rows = people.since < asked.until(week).timestamp()
            values = every.week(people.customers.filter(pa.array(rows)), week)
            costs = earned.costs_taken * _spent_in(people, spent_on, week)[rows]
            found.append((week, rows, values - costs))
    with earned.counting(asked.touches) as clicked:
        claims = [
            float(clicked.week(people.customers.filter(pa.array(rows)), week).sum())
            for week, rows, _ in found
        ]
    made = _increments(people, found, claims)
    return Subject(asked.subject, asked.label, asked.says, tuple(made), earned.sql)


def _increments(
    people: People, found: Sequence[tuple[Week, Flags, Floats]], claims: Sequence[float]
) -> Iterator[Increment]:
    """Compare the held-out with the others: in each week, and in all weeks so far."""
    total = np.zeros(len(people))
    looks = []
    for _, rows, values in found:
        total[rows] += values
        held = people.held[rows]
        both = np.array([total[rows], values])
        looks.append((Moments.of(both[:, held]), Moments.of(both[:, ~held])))
    so_far = holdout(looks, HORIZON, LEVEL)
    for (week, _, _), (held_out, treated), sum_, claim in zip(
        found, looks, so_far, claims, strict=True
    ):
        alone = difference(
            "mean", held_out.take([1]), treated.take([1]), method="fixed", level=LEVEL
        )
        yield Increment(
            start=week.start,
            end=week.end,
            treated=treated.n,
            held_out=held_out.n,
            increment=_times(alone.absolute, treated.n),
            so_far=_times(sum_.absolute, treated.n),
            last_click=claim,
        )


def _times(figure: Estimate | Unknown, many: int) -> Estimate | Unknown:
    """Say of all treated together what is said of one."""
    if isinstance(figure, Unknown):
        return figure
    return msgspec.structs.replace(
        figure,
        value=figure.value * many,
        low=figure.low * many,
        high=figure.high * many,
        standard_error=figure.standard_error * many,
    )


def _spent_in(people: People, spent_on: pa.Table, week: Week) -> Floats:
    """Return what the decisions of a week cost for each customer."""
    place = pc.index_in(spent_on.column("customer"), value_set=people.customers)
    time = spent_on.column("time").to_numpy()
    inside = (time >= week.start.timestamp()) & (time < week.end.timestamp())
    known = inside & pc.is_valid(place).to_numpy()
    places = place.fill_null(0).to_numpy()[known]
    costs = spent_on.column("cost").to_numpy()[known]
    return np.bincount(places, weights=costs, minlength=len(people)).astype(np.float64)


def _policy(name: str, people: People, decided: pa.Table, seen: pa.Table) -> Asked:
    """Keep whom a policy has decided for, each known from its first decision on."""
    place = pc.index_in(people.customers, value_set=decided.column("customer").combine_chunks())
    since = decided.column("since").combine_chunks().take(place)
    rows = np.asarray(since.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    kept = people.keep(rows)
    times = since.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    says = (
        "Customers for whom it had decided by the week's end. Who is held out is held out of"
        " everything: what other policies did to the same customers is in it."
    )
    who = People(kept.customers, kept.held, times, kept.mixed)
    return Asked(f"policy:{name}", f"Policy {name}", says, who, seen, from_start=False)


def register_weeks(ledger: Ledger, clock: Clock, actor: str, found: Holdout) -> int:
    """Write each week's result to the effect register; returns how many rows were new.

    Parameters
    ----------
    ledger : Ledger
    clock : Clock
    actor : str
    found : Holdout

    Returns
    -------
    int
    """
    known = {
        (one.subject, one.metric, one.start): one.estimate
        for one in history(ledger)
        if one.source == SOURCE
    }
    fresh = [
        Effect(
            subject=subject.subject,
            metric=found.metric,
            start=week.start,
            end=week.end,
            estimate=week.increment,
            unit=found.currency,
            method=_method(week.increment),
            source=SOURCE,
            at=clock.now(),
        )
        for subject in found.subjects
        for week in subject.weeks
        if known.get((subject.subject, found.metric, week.start)) != week.increment
    ]
    if not fresh:
        return 0
    return put_effects(ledger, clock, actor, fresh)


def _method(figure: Estimate | Unknown) -> str:
    if isinstance(figure, Unknown):
        return "none"
    return figure.method


def calibration_age(ledger: Ledger, now: datetime) -> timedelta | None:
    """Return how old the newest measured effect is; None where nothing was measured yet."""
    ages = [one.age(now) for one in latest(ledger) if isinstance(one.estimate, Estimate)]
    return min(ages, default=None)
