"""Run the loop in a home, whole or up to a step."""

from __future__ import annotations

import shutil

import msgspec
from threadpoolctl import threadpool_limits

from liftwerk.clock import Clock
from liftwerk.features.used import put_to_use
from liftwerk.loop import Loop
from liftwerk.operations.run import Progress, StepResult, run_steps
from liftwerk.releases.create import Release
from liftwerk.store.home import SORTING_SECONDS
from liftwerk.store.stores import Stores


def run_loop(
    loop: Loop,
    tell: Progress,
    *,
    from_step: str | None = None,
    force: bool = False,
    fresh: bool = False,
    until: str | None = None,
) -> list[StepResult]:
    """Hold the home and run the loop's steps; unchanged ones are skipped.

    Parameters
    ----------
    loop : Loop
    tell : callable
        Called with a step's name and what it is doing.
    from_step : str, optional
        Run this step and all after it, changed or not.
    force : bool
        Run every step.
    fresh : bool
        Forget what was derived from the log first. The log, the decisions, the releases and the
        audit stay.
    until : str, optional
        The last step to run.

    Returns
    -------
    list of StepResult
    """
    steps = loop.steps()
    if until is not None:
        names = [step.name for step in steps]
        steps = steps[: names.index(until) + 1]
    with loop.stores.home.hold("run", wait=SORTING_SECONDS):
        put_to_use(loop.project, loop.stores.ledger, loop.actor, loop.clock.now())
        if fresh:
            _forget(loop.stores, loop.clock, loop.actor)
        if force or fresh:
            from_step = steps[0].name
        # Sums of floats depend on how threads share them; a report's hash must not.
        with threadpool_limits(limits=1):
            return run_steps(steps, loop.stores, loop.clock, tell, from_step)


def leave_no_trace(stores: Stores, existed: bool) -> None:
    """Remove a home that was only made to find out that the project or its file is wrong."""
    nothing_in_it = stores.ledger.latest_snapshot() is None and stores.inbox.last_offset() == 0
    if existed or not nothing_in_it:
        return
    stores.close()
    shutil.rmtree(stores.home.path)


def _forget(stores: Stores, clock: Clock, actor: str) -> None:
    """Forget steps and artefacts, but for those that a release names."""
    kept = set()
    for row in stores.ledger.releases():
        release = msgspec.json.decode(row.body, type=Release)
        kept |= {release.policy_state, release.evaluation}
    detail = {"reason": "run --fresh"}
    with stores.ledger.change(actor, "steps.forget", "all", detail, clock.now()) as change:
        stores.ledger.drop_steps(change)
    for sha in stores.artefacts.names():
        if sha not in kept:
            stores.artefacts.delete(sha)
