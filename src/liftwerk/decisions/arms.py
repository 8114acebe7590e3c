"""What the actions of a placement earn, from its own decisions, whatever drew them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.decisions.definition import ACTIONS
from liftwerk.decisions.spine import drawing_spine
from liftwerk.definitions import Project
from liftwerk.experiments.bandit import ArmReading, bandit_log, read_arms
from liftwerk.metrics.count import per_decision
from liftwerk.store.stores import Stores


def read_placement(
    project: Project,
    stores: Stores,
    placement: str,
    actions: Sequence[str],
    metric: str,
    purpose: str,
    *,
    now: datetime,
    planned: int | None = None,
    level: float = 0.95,
) -> tuple[ArmReading, ...]:
    """Read what each action of a placement earns, and how much more than the first one.

    Parameters
    ----------
    project : Project
    stores : Stores
    placement : str
    actions : sequence of str
        Control first. Decisions in which one of them was not possible are left out.
    metric : str
        What a decision earned, within its window.
    purpose : str
        What decisions and outcomes are read for.
    now : datetime
        Decisions whose window is not over yet are left out.
    planned : int, optional
        Decisions for which intervals that hold at every look are narrowest; without it the
        intervals are for reading once.
    level : float

    Returns
    -------
    tuple of ArmReading
        In the actions' order.

    Raises
    ------
    Refused
        If there is no decision to read.
    """
    spine = drawing_spine(project, stores, placement, actions, purpose)
    costs = {action: project.lookup(ACTIONS, action).cost for action in actions}
    earned = per_decision(project, stores, spine, [metric], purpose, now=now, costs=costs)
    table = spine.append_column("reward", earned.column(metric).cast(pa.float64()))
    mature = pc.fill_null(earned.column("mature"), False)
    log = bandit_log(table.filter(mature), actions)
    return read_arms(log, planned=planned, level=level)
