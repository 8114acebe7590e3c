"""Decide through the door: find the release, ask the policy, log, and write plans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from liftwerk.clock import Clock
from liftwerk.decisions.ask import ask_policy, everybody, learned_from
from liftwerk.decisions.decide import CHAMPION, Made, decide
from liftwerk.decisions.definition import POLICIES
from liftwerk.decisions.explain import explain
from liftwerk.decisions.learned import Learned
from liftwerk.decisions.plan import check_format, write_plan
from liftwerk.definitions import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.identity.resolve import names_of
from liftwerk.models.definition import MODELS
from liftwerk.operations.run import Progress
from liftwerk.releases.advance import champion
from liftwerk.releases.create import find
from liftwerk.store.stores import Stores


def find_learned(
    project: Project, stores: Stores, policy: str, release: str | None
) -> Learned | None:
    """Return a named release, or the policy's champion; None when nothing is live."""
    if release is None:
        live = champion(policy, stores)
        if live is None:
            return None
        return learned_from(project, stores, policy, live.id, live.policy_state, CHAMPION)
    found, stage = find(stores, release)
    if found.policy != policy:
        what = f"release {found.id} is of another policy"
        raise UnknownName(what, f"policy {policy}", f"it is of {found.policy}")
    return learned_from(project, stores, policy, found.id, found.policy_state, stage)


def decide_for(
    project: Project,
    stores: Stores,
    clock: Clock,
    policy: str,
    customers: Sequence[bytes],
    release: str | None,
) -> tuple[list[Made], Learned | None]:
    """Decide for customers and log it; also returns the release it was decided with."""
    learned = find_learned(project, stores, policy, release)
    ask = ask_policy(project, stores, policy, learned, customers, clock.now())
    return decide(ask, project, stores, clock, np.random.default_rng()), learned


def decide_one(
    project: Project,
    stores: Stores,
    clock: Clock,
    policy: str,
    customer: tuple[str, bytes],
    release: str | None,
) -> dict[str, Any]:
    """Decide for one customer; the answer says why, as `decisions show` does later."""
    name, key = customer
    (made,), learned = decide_for(project, stores, clock, policy, [key], release)
    record = msgspec.to_builtins(made)
    return {**record, "customer": name, **explain(project, policy, record, learned)}


def decide_all(
    project: Project,
    stores: Stores,
    clock: Clock,
    policy: str,
    target: Path,
    release: str | None,
    tell: Progress,
) -> dict[str, Any]:
    """Decide for everybody of whom anything may be known, and write who gets what.

    Raises
    ------
    Refused
        If there is nobody.
    """
    check_format(target)
    tell("decide", "who there is")
    customers = everybody(project, stores, policy)
    if not customers:
        raise Refused("there is nobody to decide for", "decide --all", "import events first")
    tell("decide", f"{len(customers):,} customers")
    made, _ = decide_for(project, stores, clock, policy, customers, release)
    tell("decide", f"write {target.name}")
    model = project.lookup(MODELS, project.lookup(POLICIES, policy).model)
    names = names_of(project, stores, customers, model.purpose)
    return write_plan(made, names, target)
