"""Readings through the door: an experiment as it is read, and as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from liftwerk.amounts import share
from liftwerk.clock import Clock
from liftwerk.decisions.definition import ACTIONS, PLACEMENTS
from liftwerk.definitions import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.experiments.changed import REMOVED
from liftwerk.experiments.conclude import conclude
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.effects import Effect
from liftwerk.experiments.read import READ_HERE, read
from liftwerk.experiments.reading import Comparison, Reading, of_role, plain
from liftwerk.experiments.ring import alarms
from liftwerk.experiments.state import State, state_of, states
from liftwerk.experiments.units import whole_time
from liftwerk.experiments.version import body_of
from liftwerk.stats.estimate import Estimate, Unknown
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
        if state.stopped is None or experiment is None or experiment.design not in READ_HERE:
            continue
        matured = state.stopped + whole_time(project, experiment)
        if not state.conclusions or now <= matured + LATE:
            read_experiment(project, stores, clock, actor, name)
            many += 1
    return many


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


def conclusions(found: Reading, state: State, clock: Clock) -> list[Effect]:
    """Write what a reading shows as the effect register keeps it.

    What cannot be trusted is no effect: it is kept as unknown, with why.
    """
    assert found.started is not None
    assert state.stopped is not None
    many = len(found.arms) > 2
    made = []
    for one in of_role(found.comparisons, "primary"):
        subject = f"experiment:{found.experiment}"
        if many:
            subject = f"{subject}/{one.arm}"
        figure = one.absolute
        if found.verdict.advice == "do not trust":
            figure = Unknown(found.verdict.words, "a new experiment")
        made.append(
            Effect(
                subject=subject,
                metric=one.metric,
                start=found.started,
                end=max(state.stopped, found.started),
                estimate=figure,
                unit=_unit(one, found.unit),
                method=_method(figure),
                source=f"experiment:{found.experiment}",
                at=clock.now(),
            )
        )
    return made


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


def document(project: Project, stores: Stores, shown: Json, found: Reading | None) -> Json:
    """Lay out one experiment: what was registered and what is declared, and what it shows.

    Parameters
    ----------
    project : Project
    stores : Stores
    shown : dict
        From `liftwerk.project.experiments.Experiments.show`.
    found : Reading or None
    """
    name = shown["experiment"]
    state = state_of(stores.ledger, name)
    reading = None
    if found is not None and found.started is not None:
        reading = plain(found)
    return {
        **_named(project, shown),
        "registered": shown["registered"],
        "version": shown["version"],
        "changes": _changes(project, state, shown["changed"]),
        "log": [
            {"action": one["action"], "at": one["at"], "words": _words(one)} for one in shown["log"]
        ],
        "reading": reading,
        "why": _why_not(shown),
    }


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
    if shown["design"] not in READ_HERE:
        command = f"liftwerk experiment read {shown['experiment']}"
        return f"It gives no arms to units, and is read otherwise: {command}."
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


def _unit(one: Comparison, unit: str) -> str:
    return f"{one.unit} a {unit}".strip()


def _method(figure: Estimate | Unknown) -> str:
    if isinstance(figure, Unknown):
        return "none"
    return figure.method
