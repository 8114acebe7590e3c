"""Compute a decision again from its record: the same release, the same features, the same draw."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from liftwerk.decisions.decide import draw_actions
from liftwerk.decisions.kinds.uplift import Rule, choose_probabilities
from liftwerk.decisions.learned import Learned
from liftwerk.errors import Refused


class Replayed(msgspec.Struct, frozen=True):
    """What came out: ``same`` is whether it is what was logged; ``source`` says from what."""

    id: str
    logged: str
    replayed: str
    same: bool
    source: str


def replay(
    record: dict[str, Any], actions: tuple[str, ...], rule: Rule, learned: Learned | None
) -> Replayed:
    """Compute a recorded decision again.

    Parameters
    ----------
    record : dict
        The properties of ``decision_made`` and its ``id``.
    actions : tuple of str
        The policy's actions, control first.
    rule : Rule
    learned : Learned or None
        The release it names.

    Returns
    -------
    Replayed

    Raises
    ------
    Refused
        If the record holds too little: an imported decision has no draw.
    """
    draw = record.get("draw")
    if draw is None:
        raise Refused(
            "it was drawn elsewhere and its draw was not recorded",
            f"decision {record['id']}",
            "only decisions made here can be replayed",
        )
    free = np.array([[action in record["eligible"] for action in actions]])
    effects = np.zeros((1, len(actions) - 1))
    source = "eligible set, probabilities and draw; no release"
    if learned is not None and record.get("feature_snapshot"):
        known = msgspec.json.decode(record["feature_snapshot"])
        effects = learned.effects(pa.Table.from_pylist([known]))
        source = f"release {learned.release}, features, eligible set and draw"
    chances = choose_probabilities(effects, rule, free)
    action = actions[int(draw_actions(chances, np.array([draw]))[0])]
    listed = [float(chances[0, actions.index(name)]) for name in record["eligible"]]
    same = action == record["action"] and listed == list(record["probabilities"])
    return Replayed(record["id"], record["action"], action, same, source)
