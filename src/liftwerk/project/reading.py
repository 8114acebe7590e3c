"""Readings through the door: an experiment as it is read, and as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import msgspec

from liftwerk.amounts import number, share
from liftwerk.clock import Clock
from liftwerk.decisions.definition import ACTIONS, PLACEMENTS
from liftwerk.definitions import Project
from liftwerk.errors import InputError, Refused, UnknownName, did_you_mean
from liftwerk.experiments.changed import REMOVED
from liftwerk.experiments.conclude import conclude
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.effects import latest
from liftwerk.experiments.once import Once
from liftwerk.experiments.planning.plan import Plan
from liftwerk.experiments.read import READ_HERE, read
from liftwerk.experiments.reading import Reading, plain
from liftwerk.experiments.register import UNPLANNED
from liftwerk.experiments.ring import alarms
from liftwerk.experiments.state import State, state_of, states
from liftwerk.experiments.units import whole_time
from liftwerk.experiments.version import body_of
from liftwerk.project.conclusions import conclusions
from liftwerk.project.once import keep_once
from liftwerk.store.stores import Stores

Json = dict[str, Any]

LATE = timedelta(days=7)
"""So long after its last unit has matured a conclusion follows what comes in late."""


def read_now(
    project: Project,
    stores: Stores,
    clock: Clock,
    name: str,
    method: Literal["anytime", "fixed"] | None = None,
) -> Reading:
    """Read an experiment, and keep nothing of it.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    name : str
    method : {"anytime", "fixed"}, optional
        Another one than is declared.
    """
    costs = arm_costs(project, project.lookup(EXPERIMENTS, name))
    return read(project, stores, name, now=clock.now(), costs=costs, method=method)


def conclude_stopped(project: Project, stores: Stores, clock: Clock, actor: str) -> int:
    """Conclude what was stopped, again while its units mature; returns how many were read."""
    now, many = clock.now(), 0
    for name, state in states(stores.ledger).items():
        experiment = project.get(EXPERIMENTS).get(name)
        if state.stopped is None or experiment is None:
            continue
        matured = state.stopped
        if experiment.design in READ_HERE:
            matured += whole_time(project, experiment)
        if not state.conclusions or now <= matured + LATE:
            many += _concluded(project, stores, clock, actor, name, experiment.design)
    return many


def _concluded(
    project: Project, stores: Stores, clock: Clock, actor: str, name: str, design: str
) -> bool:
    if design in READ_HERE:
        read_experiment(project, stores, clock, actor, name)
        return True
    try:
        keep_once(project, stores, clock, actor, name)
    except (Refused, InputError, UnknownName):  # before a day was over, or its metric is gone
        return False
    return True


def read_experiment(
    project: Project,
    stores: Stores,
    clock: Clock,
    actor: str,
    name: str,
    method: Literal["anytime", "fixed"] | None = None,
) -> Reading:
    """Read an experiment; of one that was stopped, what it shows is its conclusion from now on.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str
    method : {"anytime", "fixed"}, optional
        Another one than is declared: to look at, never to conclude.

    Returns
    -------
    Reading
    """
    found = read_now(project, stores, clock, name, method)
    state = state_of(stores.ledger, name)
    if state.stage == "stopped" and method is None and found.started is not None:
        effects = conclusions(found, state, clock)
        conclude(stores, clock, actor, name, effects, plain(found.verdict))
    return found


def arm_costs(project: Project, experiment: ExperimentDefinition) -> dict[str, Decimal]:
    """Return what each arm's action costs once; what gives no action costs nothing."""
    actions = project.get(ACTIONS)
    control = None
    if experiment.placement is not None:
        control = project.get(PLACEMENTS)[experiment.placement].control
    costs = {}
    for name, arm in experiment.arms.items():
        action = arm.action
        if action is None and name == experiment.control:
            action = control
        costs[name] = Decimal(0)
        if action is not None and action in actions:
            costs[name] = actions[action].cost
    return costs


def rows(project: Project, stores: Stores, listed: list[Json], verdicts: Mapping[str, Json]) -> Any:
    """Lay out the list of experiments: where each stands, what rings, what was read last.

    Parameters
    ----------
    project : Project
    stores : Stores
    listed : list of dict
        From `liftwerk.project.experiments.Experiments.list`.
    verdicts : mapping of str to dict
        What was read of some lately.
    """
    rung = {one.experiment: one.words for one in alarms(stores.ledger)}
    made = []
    for row in listed:
        name = row["experiment"]
        verdict = verdicts.get(name)
        state = state_of(stores.ledger, name)
        if verdict is None and state.conclusions:
            verdict = state.conclusions[-1]["verdict"]
        ringing = [rung[name]] if name in rung else []
        made.append({**_named(project, row), "alarms": ringing, "verdict": verdict})
    return made


def document(
    project: Project,
    stores: Stores,
    clock: Clock,
    shown: Json,
    found: Reading | Once | None,
    why: str = "",
) -> Json:
    """Lay out one experiment: what was registered and what is declared, and what it shows.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    shown : dict
        From `liftwerk.project.experiments.Experiments.show`.
    found : Reading, Once or None
    why : str
        Why there is none, where that is known.

    Returns
    -------
    dict
        Plain values; but ``by_metric`` holds what `Once` has, as it is: it is drawn from.
    """
    name = shown["experiment"]
    state = state_of(stores.ledger, name)
    reading, by_metric = None, None
    if isinstance(found, Once):
        reading, by_metric = plain(found.reading), found.by_metric
    elif found is not None and found.started is not None:
        reading = plain(found)
    return {
        **_named(project, shown),
        "registered": shown["registered"],
        "version": shown["version"],
        "changes": _changes(project, state, shown["changed"]),
        "log": [
            {"action": one["action"], "at": one["at"], "words": _words(one)} for one in shown["log"]
        ],
        "plan": planned_words(state.plan),
        "effects": _effects(stores, clock, name),
        "reading": reading,
        "by_metric": by_metric,
        "why": why or _why_not(shown),
    }


def _effects(stores: Stores, clock: Clock, name: str) -> list[Json]:
    """Return what the effect register holds of an experiment, and how old that is."""
    subject = f"experiment:{name}"
    return [
        {**plain(one), "age_seconds": one.age(clock.now()).total_seconds()}
        for one in latest(stores.ledger)
        if one.subject.partition("/")[0] == subject
    ]


def planned_words(plan: Json) -> list[str]:
    """Say what was planned, a sentence each."""
    if not plan:
        return []
    if UNPLANNED in plan:
        return [f"It was started without a plan: {plan[UNPLANNED]}."]
    try:
        planned = msgspec.convert(plan, Plan)
    except msgspec.ValidationError:  # of a form that plans had once
        return []
    said = []
    if planned.days is not None:
        many = f"{number(planned.entering)} {planned.counted}"
        said.append(f"Planned for {planned.days} days, with {many}.")
    if planned.detectable is not None:
        least = f"An effect of {share(abs(planned.detectable))} on {planned.metric}"
        said.append(f"{least} would be seen, with {share(planned.power, 0)} power.")
    return [*said, *(f"{cell.arm}: {', '.join(cell.markets)}." for cell in planned.cells)]


def demand_declared(project: Project, name: str) -> None:
    """Refuse the name of an experiment that is not declared."""
    if name not in project.get(EXPERIMENTS):
        hint = did_you_mean(name, project.get(EXPERIMENTS))
        raise UnknownName(f"no [experiments.{name}] is declared", str(project.file), hint)


def _named(project: Project, row: Json) -> Json:
    declared = project.get(EXPERIMENTS).get(row["experiment"])
    since = row["stopped"] or row["started"] or row["registered"]
    return {
        "name": row["experiment"],
        "design": row["design"],
        "description": row["description"],
        "owner": "" if declared is None else declared.owner,
        "hypothesis": "" if declared is None else declared.hypothesis,
        "stage": row["stage"],
        "since": since,
        "metrics": row["metrics"],
        "changed": bool(row["changed"]),
    }


def _why_not(shown: Json) -> str:
    """Say why there is no reading."""
    if shown["stage"] in ("declared", "registered"):
        return "It has not started: nobody was assigned yet."
    return "Nobody was assigned yet."


def _changes(project: Project, state: State, keys: list[str]) -> list[Json]:
    if tuple(keys) == REMOVED:
        return [{"key": "experiment", "then": "declared", "now": None}]
    if not keys:
        return []
    now = body_of(project, state.name)
    return [{"key": key, "then": _at(state.body, key), "now": _at(now, key)} for key in keys]


def _at(body: Json, key: str) -> Any:
    """Look a dotted key up in what is held fast; None where it is not said."""
    found: Any = body
    for part in key.split("."):
        if isinstance(found, list):
            found = next((one for one in found if one["name"] == part), None)
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


def _words(entry: Json) -> str:
    said = entry["said"]
    words = []
    if "share" in said:
        words.append(share(float(Fraction(said["share"]))))
    if "reason" in said:
        words.append(said["reason"])
    return ", ".join(words)
