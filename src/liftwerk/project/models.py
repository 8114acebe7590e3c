"""The models that were trained, as their cards."""

from __future__ import annotations

from typing import Any

import msgspec

from liftwerk.decisions.definition import POLICIES
from liftwerk.definitions import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.governance.learned import erased_since
from liftwerk.models.show import card, markdown
from liftwerk.models.train import TrainedModel
from liftwerk.store.stores import Stores


def cards(stores: Stores) -> list[dict[str, Any]]:
    """List the cards of the trained models, newest first."""
    found: dict[str, dict[str, Any]] = {}
    erased = erased_since(stores)
    for row in stores.ledger.steps():
        sha = row.outputs.get("artefacts", {}).get("model")
        if row.name == "uplift" and stores.artefacts.exists(sha):
            facts = card(TrainedModel.from_dict(msgspec.json.decode(stores.artefacts.get(sha))))
            facts |= {"id": sha, "erased_since": erased[sha], "at": row.at.isoformat()}
            found[sha] = facts
    return list(reversed(found.values()))


def card_of(stores: Stores, name: str | None) -> dict[str, Any]:
    """Return a model's card, by its name, its id or the beginning of it; the newest if none.

    Raises
    ------
    UnknownName
        If no such model was trained.
    """
    rows = cards(stores)
    for row in rows:
        if name is None or row["model"] == name or row["id"].startswith(name):
            return {**row, "markdown": markdown(row)}
    if not rows:
        raise UnknownName("no model was trained yet", "models", "liftwerk train")
    known = [row["model"] for row in rows]
    raise UnknownName(f"no model {name!r}", "models list", did_you_mean(name or "", known))


def policy_asking(project: Project, model: str | None) -> str | None:
    """Return the policy that asks a model; None where none is named.

    Raises
    ------
    UnknownName
        If no policy does.
    """
    if model is None:
        return None
    declared = project.get(POLICIES)
    for name, policy in declared.items():
        if policy.model == model:
            return name
    hint = did_you_mean(model, [policy.model for policy in declared.values()])
    raise UnknownName(f"no policy asks the model {model!r}", "train", hint)
