"""The holdout through the door: read by week, kept in the effect register, told on its page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from liftwerk.clock import Clock
from liftwerk.decisions.definition import ACTIONS, POLICIES
from liftwerk.definitions import Project
from liftwerk.errors import Refused
from liftwerk.experiments.effects import PROGRAMME
from liftwerk.experiments.holdout import (
    Holdout,
    Subject,
    calibration_age,
    goal_held_out,
    register_weeks,
    weekly,
)
from liftwerk.experiments.reading import plain
from liftwerk.metrics.definition import GOAL
from liftwerk.models.definition import MODELS
from liftwerk.privacy.definition import PURPOSES
from liftwerk.stats.estimate import Unknown
from liftwerk.store.ledger import Ledger
from liftwerk.store.stores import Stores

Json = dict[str, Any]


def read_holdout(project: Project, stores: Stores, clock: Clock) -> Holdout:
    """Read what the programme and each policy added, week by week.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock

    Returns
    -------
    Holdout

    Raises
    ------
    Refused
        If nobody is held out, or nothing says what may be read for it.
    """
    goal_held_out(project)
    policies = {name: one.placement for name, one in project.get(POLICIES).items()}
    costs = {name: action.cost for name, action in project.get(ACTIONS).items()}
    purpose = purpose_of(project)
    return weekly(project, stores, policies, purpose, now=clock.now(), costs=costs)


def keep_holdout(project: Project, stores: Stores, clock: Clock, actor: str) -> Holdout:
    """Read the holdout, and write each week's result to the effect register."""
    found = read_holdout(project, stores, clock)
    register_weeks(stores.ledger, clock, actor, found)
    return found


def purpose_of(project: Project) -> str:
    """Say what is read to see what the programme adds.

    Raises
    ------
    Refused
        If nothing says it, or policies say different things.
    """
    goal = project.find(GOAL)
    if goal is not None and goal.purpose:
        return goal.purpose
    models = project.get(MODELS)
    said = {models[one.model].purpose for one in project.get(POLICIES).values()}
    if not said:
        said = set(project.get(PURPOSES))
    if len(said) != 1:
        what = "nothing says for which purpose the holdout is read"
        raise Refused(what, "goal.purpose", 'add purpose = "…" to [goal], one of [purposes]')
    return said.pop()


def document(found: Holdout, ledger: Ledger) -> Json:
    """Lay a holdout out for people.

    Parameters
    ----------
    found : Holdout
    ledger : Ledger
        Says how old the newest measured effect is.
    """
    age = calibration_age(ledger, found.as_of)
    return {
        "metric": found.metric,
        "currency": found.currency,
        "timezone": found.timezone,
        "share": found.share,
        "level": found.level,
        "as_of": found.as_of.isoformat(),
        "mixed": found.mixed,
        "age_seconds": None if age is None else age.total_seconds(),
        "age_words": age_words(age),
        "subjects": [_subject(one) for one in found.subjects],
        "why": None,
    }


def age_words(age: timedelta | None) -> str:
    """Say how old what is known is.

    Examples
    --------
    >>> age_words(timedelta(days=3, hours=5)), age_words(timedelta(days=1))
    ('The newest measured effect is 3 days old.', 'The newest measured effect is 1 day old.')
    >>> age_words(None)
    'No effect was measured yet: nothing is calibrated.'
    """
    if age is None:
        return "No effect was measured yet: nothing is calibrated."
    if age.days == 1:
        return "The newest measured effect is 1 day old."
    return f"The newest measured effect is {age.days} days old."


def _subject(one: Subject) -> Json:
    weeks = [
        {
            "start": week.start.date().isoformat(),
            "end": (week.end - timedelta(days=1)).date().isoformat(),
            "treated": week.treated,
            "held_out": week.held_out,
            "increment": plain(week.increment),
            "so_far": plain(week.so_far),
            "last_click": week.last_click,
        }
        for week in one.weeks
    ]
    total: Json = plain(Unknown("no whole week has passed since a decision was made here", "one"))
    if weeks:
        total = weeks[-1]["so_far"]
    return {
        "subject": one.subject,
        "label": one.label,
        "says": one.says,
        "weeks": weeks,
        "total": total,
        "last_click": sum(week.last_click for week in one.weeks),
        "sql": one.sql if one.subject == PROGRAMME else {},
    }
