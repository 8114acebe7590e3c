"""Run a list of steps: each is named by the hash of what it depends on, and done once.

A step whose key was committed before, and whose artefacts are still there, is skipped and says
why. A step that was killed left nothing that counts: its row in the ledger is the last thing it
writes, under a fencing token, so that a runner that lost its lease can't commit.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import rfc8785

from liftwerk import __version__
from liftwerk.clock import Clock
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.store.ledger import protocol as ledger
from liftwerk.store.stores import Stores

LEASE = "runner"
LEASE_SECONDS = 600.0

Outputs = dict[str, dict[str, Any]]
"""What the steps before have given, by step name; JSON-able, a step's ``artefacts`` by role."""

Progress = Callable[[str, str], None]
"""Called with a step's name and what it is doing now."""


class Step(msgspec.Struct, frozen=True):
    """One piece of work.

    Parameters
    ----------
    name : str
        Its name, also a command's.
    sentence : str
        What it does, for a person.
    inputs : callable
        From the outputs so far to a JSON-able mapping that holds everything the work depends on.
    work : callable
        From the outputs so far and a progress callback to JSON-able outputs. Must be safe to
        repeat after a kill at any point.
    """

    name: str
    sentence: str
    inputs: Callable[[Outputs], Mapping[str, Any]]
    work: Callable[[Outputs, Callable[[str], None]], dict[str, Any]]


class StepResult(msgspec.Struct, frozen=True):
    """What became of one step: its outputs, the wall seconds it took, skipped or not, and why."""

    name: str
    seconds: float
    skipped: bool
    reason: str
    outputs: dict[str, Any]


def step_key(step: Step, outputs: Outputs) -> str:
    """Name the work by its content: SHA-256 over RFC 8785 JSON of name, version and inputs."""
    content = {
        "step": step.name,
        "liftwerk": __version__,
        "inputs": msgspec.to_builtins(step.inputs(outputs)),
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def run_steps(
    steps: Sequence[Step],
    stores: Stores,
    clock: Clock,
    progress: Progress,
    force_from: str | None = None,
) -> list[StepResult]:
    """Run the steps in their order under the runner's lease.

    Parameters
    ----------
    steps : sequence of Step
    stores : Stores
        The caller holds the home.
    clock : Clock
    progress : callable
        Told of each step as it starts.
    force_from : str, optional
        Run this step and all after it even when nothing changed.

    Returns
    -------
    list of StepResult
        One a step, in order.

    Raises
    ------
    UnknownName
        If `force_from` names no step.
    HomeInUse
        If another runner has the lease, or took it meanwhile.
    """
    forced_at = _position(steps, force_from)
    holder = f"pid {os.getpid()}"
    token = stores.ledger.acquire_lease(LEASE, holder, clock.now(), LEASE_SECONDS)
    outputs: Outputs = {}
    results = []
    try:
        for position, step in enumerate(steps):
            stores.ledger.renew_lease(LEASE, token, clock.now(), LEASE_SECONDS)
            result = _run_one(step, outputs, stores, clock, progress, token, position >= forced_at)
            outputs[step.name] = result.outputs
            results.append(result)
    finally:
        stores.ledger.release_lease(LEASE, token)
    return results


def plan_steps(
    steps: Sequence[Step], stores: Stores, force_from: str | None = None
) -> list[tuple[str, bool, str]]:
    """Say what `run_steps` would do, without doing it.

    Parameters
    ----------
    steps : sequence of Step
    stores : Stores
    force_from : str, optional
        As in `run_steps`.

    Returns
    -------
    list of (name, would run, reason)
        After the first step that would run, the later ones depend on what it gives: "depends on".
    """
    forced_at = _position(steps, force_from)
    outputs: Outputs = {}
    plan = []
    waiting_for = ""
    for position, step in enumerate(steps):
        if waiting_for:
            plan.append((step.name, True, f"depends on what {waiting_for} gives"))
            continue
        found, reason = _committed(step, outputs, stores)
        if position >= forced_at:
            found, reason = None, "asked for"
        if found is None:
            waiting_for = step.name
            plan.append((step.name, True, reason))
            continue
        outputs[step.name] = found
        plan.append((step.name, False, reason))
    return plan


def _position(steps: Sequence[Step], name: str | None) -> int:
    if name is None:
        return len(steps)
    names = [step.name for step in steps]
    if name not in names:
        raise UnknownName(f"no step {name!r}", "--from", did_you_mean(name, names))
    return names.index(name)


def _run_one(
    step: Step,
    outputs: Outputs,
    stores: Stores,
    clock: Clock,
    progress: Progress,
    token: int,
    forced: bool,
) -> StepResult:
    began = time.perf_counter()
    found, reason = _committed(step, outputs, stores)
    if found is not None and not forced:
        return StepResult(step.name, time.perf_counter() - began, True, reason, found)
    if forced:
        reason = "asked for"
    progress(step.name, step.sentence)
    given = step.work(outputs, lambda doing: progress(step.name, doing))
    seconds = time.perf_counter() - began
    # The key is taken again: a step may change what it reads (compaction advances the snapshot),
    # and the next run must find the row under the inputs that it will see then.
    key = step_key(step, outputs)
    done = ledger.Step(step.name, key, given, seconds, clock.now())
    stores.ledger.put_step(done, LEASE, token)
    # Later steps see what they will see when this one is skipped, to the order of names.
    kept = stores.ledger.get_step(step.name, key)
    assert kept is not None
    return StepResult(step.name, seconds, False, reason, kept.outputs)


def _committed(step: Step, outputs: Outputs, stores: Stores) -> tuple[dict[str, Any] | None, str]:
    """Find an earlier run of exactly this work whose artefacts are whole."""
    row = stores.ledger.get_step(step.name, step_key(step, outputs))
    if row is None:
        return None, "new inputs or definitions"
    for role, sha in row.outputs.get("artefacts", {}).items():
        if not stores.artefacts.exists(sha):
            return None, f"its {role} is gone"
    return row.outputs, f"unchanged since {row.at:%Y-%m-%d %H:%M:%S} UTC"
