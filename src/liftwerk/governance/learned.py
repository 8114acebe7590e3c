"""What was learned from whom: the models that had an erased customer in their training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from liftwerk.definitions.project import Project
from liftwerk.models.definition import MODELS
from liftwerk.store.stores import Stores

FLAG = "flag"
TRAINING = "uplift"
"""The step that trains; it names the table that it learned from."""

EVERY = 1_000_000


def models_trained_on(
    project: Project, stores: Stores, artefacts: Collection[str]
) -> list[dict[str, str]]:
    """Return the versions of models that were trained on some tables, with what their rule says.

    Parameters
    ----------
    project : Project
    stores : Stores
    artefacts : collection of str
        Tables of training rows, by their hashes.

    Returns
    -------
    list of dict
        ``model``, ``id`` and ``rule``: ``flag`` also where the model is no longer declared.
    """
    declared = project.find(MODELS) or {}
    found = []
    for step in stores.ledger.steps():
        if step.name == TRAINING and step.outputs.get("frame") in artefacts:
            name = step.outputs["model"]
            rule = FLAG
            if name in declared:
                rule = declared[name].on_erasure
            found.append({"model": name, "id": step.outputs["artefacts"]["model"], "rule": rule})
    return found


def erased_since(stores: Stores) -> Counter[str]:
    """Count, by the id of a model's version, the erasures that flagged it."""
    return Counter(
        one["id"]
        for erasure in stores.ledger.erasures(EVERY)
        for one in erasure.receipt.get("models", ())
        if one["rule"] == FLAG
    )
