"""Experiments through the door: listed, planned, started, ramped, stopped, and what they showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from liftwerk.clock import Clock
from liftwerk.decisions.definition import PLACEMENTS
from liftwerk.decisions.plan import check_format, write_table
from liftwerk.definitions import Project
from liftwerk.definitions.typed import Share
from liftwerk.errors import ProjectError, UnknownName, did_you_mean
from liftwerk.experiments.board import running_draw
from liftwerk.experiments.changed import changed_keys, notice_changes
from liftwerk.experiments.definition import (
    EXPERIMENTS,
    GLOBAL_HOLDOUT,
    ExperimentDefinition,
)
from liftwerk.experiments.draw import twin
from liftwerk.experiments.effects import history, latest
from liftwerk.experiments.enter import enter
from liftwerk.experiments.holdout import Holdout
from liftwerk.experiments.once import Once
from liftwerk.experiments.planning import plan_experiment
from liftwerk.experiments.planning.ask import Asked, Tell, silent
from liftwerk.experiments.planning.goal import goal_holdout, room_in
from liftwerk.experiments.planning.plan import HORIZON, LONGEST, Plan, demand_feasible, plain
from liftwerk.experiments.ramp import ramp
from liftwerk.experiments.reading import Reading
from liftwerk.experiments.register import UNPLANNED, register
from liftwerk.experiments.start import start
from liftwerk.experiments.state import State, state_of, states
from liftwerk.experiments.stop import stop
from liftwerk.identity.resolve import names_of
from liftwerk.metrics.definition import GOAL
from liftwerk.project.holdout import keep_holdout
from liftwerk.project.once import keep_once
from liftwerk.project.reading import arm_costs, read_experiment
from liftwerk.store.stores import Stores

SEED = 20260301
"""Of simulations: the same question gets the same answer."""

Json = dict[str, Any]
Rows = list[Json]


class Experiments:
    """The experiments of a project.

    Parameters
    ----------
    project : liftwerk.definitions.Project
    stores : Stores
    clock : Clock
    actor : str
        Who asks, for the audit trail.
    """

    def __init__(self, project: Project, stores: Stores, clock: Clock, actor: str) -> None:
        self._project = project
        self._stores = stores
        self._clock = clock
        self._actor = actor

    def list(self) -> Rows:
        """List every experiment that is declared, or that has a log."""
        stood = states(self._stores.ledger)
        declared = self._project.get(EXPERIMENTS)
        names = [*declared, *(name for name in stood if name not in declared)]
        return [self._row(stood.get(name, State(name)), declared.get(name)) for name in names]

    def show(self, name: str) -> Json:
        """Tell of one experiment: what it is, its plan, and its log.

        Raises
        ------
        UnknownName
            If it is not declared and has no log.
        """
        state = self._state(name)
        row = self._row(state, self._project.get(EXPERIMENTS).get(name))
        log = [
            {
                "action": entry.action,
                "at": entry.at.isoformat(),
                "version": entry.version,
                "said": _shown(entry.action, msgspec.json.decode(entry.body)),
            }
            for entry in self._stores.ledger.experiment_log(name)
        ]
        conclusion = None
        if state.conclusions:
            conclusion = state.conclusions[-1]
        draw = None
        if state.stage == "running" and state.definition.geo is None:
            goal = self._project.find(GOAL)
            draw = twin(running_draw(name, state, goal, self._clock.now()))
        told = {"plan": state.plan or None, "conclusion": conclusion, "draw": draw}
        return {**row, **told, "log": log}

    def plan(
        self,
        name: str | None = None,
        *,
        within: int = LONGEST,
        effect: float | None = None,
        simulate: bool = True,
        tell: Tell = silent,
    ) -> Plan:
        """Plan an experiment by the project's history; nothing is kept of it.

        Parameters
        ----------
        name : str, optional
            A declared one; by default the holdout of ``[goal]``.
        within : int
            Days on which units may enter, arms take turns, or markets are treated: a year at most.
        effect : float, optional
            The smallest one to be seen, as a part of control's mean; by default what is declared.
        simulate : bool
            Whether power is simulated besides.
        tell : callable
            Called with a step's name and what it is doing.

        Returns
        -------
        Plan
            Also where it cannot work: with what would.
        """
        called = name or GLOBAL_HOLDOUT
        if name is None:
            experiment = goal_holdout(self._project)
        else:
            experiment = self._project.lookup(EXPERIMENTS, name)
        least = effect or experiment.effect.value
        asked = Asked(
            called,
            experiment,
            self._clock.now(),
            least,
            np.random.default_rng(SEED),
            min(max(within, 1), HORIZON),
            room_in(self._stores, experiment.layer, called),
            arm_costs(self._project, experiment),
            simulate,
            tell,
        )
        return plan_experiment(self._project, self._stores, asked)

    def register(self, name: str, planned: Plan) -> Json:
        """Hold fast what is declared of an experiment, with its plan; refused if it cannot work."""
        demand_feasible(planned)
        return self._told(self._register(name, plain(planned)))

    def start(
        self, name: str, share: str | None = None, unplanned: str = "", tell: Tell = silent
    ) -> Json:
        """Start an experiment; one that is not registered as it is declared is planned first.

        Parameters
        ----------
        name : str
        share : str, optional
            The part of all units that may enter at first, such as ``"5%"``.
        unplanned : str
            Why it is started without a plan.
        tell : callable
            As for `plan`.
        """
        if unplanned:
            self._register(name, {UNPLANNED: unplanned})
        elif self._state(name).stage == "declared":
            self.register(name, self.plan(name, tell=tell))
        asked = None
        if share is not None:
            asked = _share(share)
        told = (self._project, self._stores, self._clock, self._actor, name)
        return self._told(start(*told, asked))

    def ramp(self, name: str, share: str) -> Json:
        """Let a larger part of all units enter, such as ``"20%"``."""
        self.notice_changes()
        told = (self._project, self._stores, self._clock, self._actor, name)
        return self._told(ramp(*told, _share(share)))

    def stop(self, name: str, reason: str) -> Json:
        """Stop an experiment for good; what was changed meanwhile is in its log before that."""
        self.notice_changes()
        self._state(name)
        return self._told(stop(self._stores, self._clock, self._actor, name, reason))

    def assign(self, name: str, target: Path) -> Json:
        """Give every customer who may be read their arm, and write who gets what to a file.

        Parameters
        ----------
        name : str
            A running experiment on customers.
        target : pathlib.Path
            A .csv or .parquet file.
        """
        check_format(target)
        placements = self._project.get(PLACEMENTS)
        controls = {key: placement.control for key, placement in placements.items()}
        given = enter(self._project, self._stores, self._clock, name, controls)
        keys = given.column("customer").to_pylist()
        purpose = self._state(name).definition.purpose
        names = names_of(self._project, self._stores, keys, purpose)
        called = pa.array([names.get(key, key.hex()) for key in keys], pa.string())
        write_table(given.set_column(0, "customer", called), target)
        many = Counter(given.column("arm").drop_null().to_pylist())
        return {"customers": given.num_rows, "arms": dict(many.most_common())}

    def read(self, name: str, fixed: bool = False) -> Reading:
        """Read an experiment that gives arms to units; a stopped one is concluded by it.

        Parameters
        ----------
        name : str
        fixed : bool
            Read it as if it were looked at this once only.
        """
        told = (self._project, self._stores, self._clock, self._actor, name)
        return read_experiment(*told, "fixed" if fixed else None)

    def read_once(self, name: str) -> Once:
        """Read a geo test or a switchback; what one shows that was stopped is its conclusion."""
        return keep_once(self._project, self._stores, self._clock, self._actor, name)

    def holdout(self) -> Holdout:
        """Read what the programme and each policy added; each week goes to the effect register."""
        return keep_holdout(self._project, self._stores, self._clock, self._actor)

    def notice_changes(self) -> dict[str, tuple[str, ...]]:
        """Write into the logs how definitions of what runs were changed; says what differs."""
        return notice_changes(self._project, self._stores, self._clock, self._actor)

    def effects(self, subject: str | None = None, every: bool = False) -> Rows:
        """List what the effect register holds.

        Parameters
        ----------
        subject : str, optional
            Only of this one.
        every : bool
            Also what was believed before.
        """
        ledger, now = self._stores.ledger, self._clock.now()
        found = latest(ledger, subject)
        if every:
            found = history(ledger, subject)
        if subject is not None and not found:
            known = {one.subject for one in latest(ledger)}
            hint = "none is known yet"
            if known:
                hint = did_you_mean(subject, known)
            raise UnknownName(f"no effect of {subject!r}", "effects", hint)
        return [
            {**msgspec.to_builtins(one), "age_seconds": one.age(now).total_seconds()}
            for one in found
        ]

    def _register(self, name: str, plan: Json) -> State:
        told = (self._project, self._stores, self._clock, self._actor, name, plan)
        return register(*told)

    def _state(self, name: str) -> State:
        state = state_of(self._stores.ledger, name)
        if not state.entries and name not in self._project.get(EXPERIMENTS):
            known = [*self._project.get(EXPERIMENTS), *states(self._stores.ledger)]
            hint = did_you_mean(name, known)
            raise UnknownName(f"no experiment {name!r}", "experiment list", hint)
        return state

    def _told(self, state: State) -> Json:
        return self._row(state, self._project.get(EXPERIMENTS).get(state.name))

    def _row(self, state: State, declared: ExperimentDefinition | None) -> Json:
        runs_as = declared
        if state.body:
            runs_as = state.definition
        assert runs_as is not None  # it is declared, or registered
        description = ""
        if declared is not None:
            description = declared.description
        changed: tuple[str, ...] = ()
        if state.body and state.stage != "stopped":
            changed = changed_keys(self._project, state)
        return {
            "experiment": state.name,
            "design": runs_as.design,
            "description": description,
            "stage": state.stage,
            "arms": {arm: float(share) for arm, share in runs_as.shares.items()},
            "metrics": list(runs_as.metrics),
            "layer": runs_as.layer,
            "share": float(state.share),
            "share_in_the_end": float(runs_as.share.exact),
            "registered": _moment(state.registered),
            "started": _moment(state.started),
            "stopped": _moment(state.stopped),
            "reason": state.reason,
            "unplanned": state.plan.get(UNPLANNED, ""),
            "changed": list(changed),
            "version": state.version,
        }


def _shown(action: str, said: Mapping[str, Any]) -> Json:
    """Leave out what the version stands for."""
    if action == "register":
        return {"plan": said["plan"]}
    return dict(said)


def _share(text: str) -> Share:
    try:
        return Share(text)
    except ValueError as error:
        raise ProjectError(f"{text!r} is no share", "experiment", str(error)) from None


def _moment(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.isoformat()
