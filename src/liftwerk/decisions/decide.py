"""Decide for customers, now: eligibility, scores, probabilities, a draw, guardrails, the record.

The order is the design's: eligibility and guardrails mask the candidates, then scores, then
probabilities over what is left, then a draw from exactly these; reservation and record are one
transaction. An action whose reservation was lost in between leads to a second, logged draw among
the rest. The control action costs nothing and is always left.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftwerk.clock import Clock
from liftwerk.decisions.definition import PolicyDefinition
from liftwerk.decisions.guardrails import blocked, reservations
from liftwerk.decisions.kinds.uplift import Rule, choose_probabilities, expected_gains
from liftwerk.decisions.learned import Learned
from liftwerk.definitions import Project
from liftwerk.store.decisions import DecisionRecord, Reservation
from liftwerk.store.stores import Stores

CHAMPION = "champion"
HOLDOUT = "holdout"

CONTROL = 0
"""Position of the control action among the actions."""

NO_RELEASE = "no release is champion: answered with the control action"
HELD_OUT = "in the global holdout: kept on the control action"
NOTHING_KNOWN = "nothing may be known of this customer for the policy's purpose: control action"


class Made(msgspec.Struct, frozen=True):
    """One decision as it was made and logged; the properties of ``decision_made``.

    ``probabilities`` are over ``eligible``, in its order; ``expected_reward`` is the action's
    expected reward over control; ``note`` says why an answer is not the policy's own.
    """

    id: str
    unit: str
    placement: str
    time: datetime
    release: str | None
    policy_state: str | None
    stage: str | None
    eligible: list[str]
    action: str
    probability: float
    probabilities: list[float]
    draw: float
    control_action: str
    expected_reward: float | None
    reward_version: str
    feature_snapshot: str | None
    guardrails: list[str]
    experiment: str | None
    arm: str | None
    latency_us: int
    note: str = ""
    features_as_of: datetime | None = None
    known_offset: int | None = None


@dataclass(frozen=True)
class Ask:
    """What a policy is asked: for whom, with what known of them.

    Parameters
    ----------
    policy_name : str
    policy : PolicyDefinition
    actions : tuple of str
        What may be drawn, the control action first.
    costs : tuple of Decimal
        Of each action.
    rule : Rule
    reward_version : str
    learned : Learned or None
        The release to decide with; None answers the control action.
    customers : sequence of bytes
        Customer keys, n of them.
    features : pyarrow.Table
        Their features as of now, in the same order.
    known : (n,) bool array
        Of whom anything may be known.
    held_out : (n,) bool array
        Who is in the global holdout.
    consents : list of dict or None
        The consent that each customer's decision is logged with.
    as_of : datetime or None
        The time that the features are of.
    offset : int or None
        The last one that they know of.
    """

    policy_name: str
    policy: PolicyDefinition
    actions: tuple[str, ...]
    costs: tuple[Decimal, ...]
    rule: Rule
    reward_version: str
    learned: Learned | None
    customers: Sequence[bytes]
    features: pa.Table
    known: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    consents: list[dict[str, Any] | None]
    as_of: datetime | None = None
    offset: int | None = None


def decide(
    ask: Ask, project: Project, stores: Stores, clock: Clock, rng: np.random.Generator
) -> list[Made]:
    """Decide for customers, and log each decision before it is answered.

    Parameters
    ----------
    ask : Ask
    project : Project
    stores : Stores
    clock : Clock
    rng : numpy.random.Generator
        For ids and draws; the number drawn is logged.

    Returns
    -------
    list of Made
        In the customers' order.
    """
    began = time.perf_counter()
    now = clock.now()
    n = len(ask.customers)
    effects = np.zeros((n, len(ask.actions) - 1))
    if ask.learned is not None:
        effects = ask.learned.effects(ask.features)
    scores = expected_gains(effects, ask.rule)
    free, closed = _eligible(ask, project, stores, now)
    snapshots = _snapshots(ask)
    open_rows = np.arange(n)
    made: list[Made | None] = [None] * n
    while open_rows.size:
        chances = choose_probabilities(effects, ask.rule, free)
        draws = rng.random(n)
        drawn = draw_actions(chances, draws)
        latency = int((time.perf_counter() - began) * 1e6 / n)
        batch = [
            _one(
                ask, row, now, rng, free, chances, draws, drawn, scores, closed, snapshots, latency
            )
            for row in open_rows.tolist()
        ]
        verdicts = stores.decisions.decide_many(
            [
                _wanted(ask, project, one, ask.consents[row], now)
                for row, one in zip(open_rows, batch, strict=True)
            ]
        )
        lost = []
        for row, one, verdict in zip(open_rows, batch, verdicts, strict=True):
            if verdict.recorded:
                made[row] = one
                continue
            free[row, drawn[row]] = False
            for name in verdict.blocked:
                closed[row].add(name)
            lost.append(row)
        open_rows = np.asarray(lost, dtype=np.int64)
    return [one for one in made if one is not None]


def draw_actions(chances: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw each row's action by inverting the cumulative sum of its probabilities.

    Parameters
    ----------
    chances : (n, k) float array
        Rows add up to 1; 0 where an action is not eligible.
    draws : (n,) float array
        Uniform in [0, 1).

    Returns
    -------
    (n,) int array

    Examples
    --------
    >>> draw_actions(np.array([[0.05, 0.9, 0.05], [0.0, 0.5, 0.5]]), np.array([0.5, 0.0])).tolist()
    [1, 1]
    """
    position = (draws[:, None] >= np.cumsum(chances, axis=1)).sum(axis=1)
    # Rounding can leave a sum a hair below 1: the last action that can be drawn takes the rest.
    last = chances.shape[1] - 1 - np.argmax(chances[:, ::-1] > 0, axis=1)
    return np.asarray(np.minimum(position, last), dtype=np.int64)


def _eligible(
    ask: Ask, project: Project, stores: Stores, now: datetime
) -> tuple[NDArray[np.bool_], list[set[str]]]:
    """Mask the candidates: no release, holdout, nothing known, and closed guardrails."""
    n = len(ask.customers)
    free = np.ones((n, len(ask.actions)), dtype=np.bool_)
    closed: list[set[str]] = [set() for _ in range(n)]
    only_control = ask.held_out | ~ask.known
    if ask.learned is None:
        only_control = np.ones(n, dtype=np.bool_)
    free[only_control] = False
    for position, cost in enumerate(ask.costs):
        found = blocked(
            ask.policy.guardrails,
            ask.policy_name,
            ask.policy.placement,
            ask.customers,
            stores.decisions,
            cost,
            project.currency,
            now,
            project.timezone,
        )
        for name, shut in found.items():
            free[shut, position] = False
            for row in np.flatnonzero(shut):
                closed[row].add(name)
    free[:, CONTROL] = True
    return free, closed


def _snapshots(ask: Ask) -> list[str | None]:
    """Write each customer's features as canonical JSON: what a replay computes from."""
    if ask.learned is None:
        return [None] * len(ask.customers)
    rows = ask.features.to_pylist()
    return [msgspec.json.encode(row, order="sorted").decode() for row in rows]


def _one(
    ask: Ask,
    row: int,
    now: datetime,
    rng: np.random.Generator,
    free: NDArray[np.bool_],
    chances: NDArray[np.float64],
    draws: NDArray[np.float64],
    drawn: NDArray[np.int64],
    scores: NDArray[np.float64],
    closed: list[set[str]],
    snapshots: list[str | None],
    latency: int,
) -> Made:
    left = np.flatnonzero(free[row])
    action = int(drawn[row])
    expected = None
    release, state, stage = None, None, None
    if ask.learned is not None:
        expected = float(scores[row, action])
        release, state, stage = ask.learned.release, ask.learned.state, ask.learned.stage
    experiment, arm, note = None, None, ""
    if ask.held_out[row]:
        experiment, arm, note = "global_holdout", HOLDOUT, HELD_OUT
    elif ask.learned is None:
        note = NO_RELEASE
    elif not ask.known[row]:
        note = NOTHING_KNOWN
    return Made(
        id=str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        unit=ask.customers[row].hex(),
        placement=ask.policy.placement,
        time=now,
        release=release,
        policy_state=state,
        stage=stage,
        eligible=[ask.actions[position] for position in left],
        action=ask.actions[action],
        probability=float(chances[row, action]),
        probabilities=[float(chances[row, position]) for position in left],
        draw=float(draws[row]),
        control_action=ask.actions[CONTROL],
        expected_reward=expected,
        reward_version=ask.reward_version,
        feature_snapshot=snapshots[row],
        guardrails=sorted(closed[row]),
        experiment=experiment,
        arm=arm,
        latency_us=latency,
        note=note,
        features_as_of=ask.as_of,
        known_offset=ask.offset,
    )


def _wanted(
    ask: Ask, project: Project, one: Made, consent: dict[str, Any] | None, now: datetime
) -> tuple[DecisionRecord, list[Reservation]]:
    """Pair a record with what it has to reserve; only a champion reserves anything."""
    wanted: list[Reservation] = []
    if one.stage == CHAMPION:
        wanted = reservations(
            ask.policy.guardrails,
            ask.policy_name,
            one.placement,
            ask.costs[ask.actions.index(one.action)],
            project.currency,
            now,
            project.timezone,
        )
    body = msgspec.to_builtins(one)
    if consent is not None:
        body["consent"] = consent
    record = DecisionRecord(
        id=uuid.UUID(one.id).bytes,
        unit=bytes.fromhex(one.unit),
        placement=one.placement,
        at=now,
        body=msgspec.json.encode(body),
        contact=bool(wanted),
    )
    return record, wanted
