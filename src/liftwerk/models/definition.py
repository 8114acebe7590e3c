"""``[models.NAME]``: what is predicted, from what, for which purpose."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import Expanded, named
from liftwerk.features.definition import FEATURES
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.packs.definition import name_features
from liftwerk.metrics.definition import METRICS
from liftwerk.privacy.definition import PURPOSES


class ModelDefinition(Struct, frozen=True):
    """``[models.NAME]``.

    Attributes
    ----------
    kind : str
        ``uplift``: the effect of each action against control.
    placement : str
        Whose decisions it learns from.
    outcomes : tuple of str
        Metrics whose effects are estimated.
    features : tuple of str
        What it may look at; ``PACK.*`` for all of a pack's features.
    purpose : str
        What the customers' data are used for.
    negligible : dict of str to decimal.Decimal
        Outcome -> a spread of effects below this is called none.
    description : str
        What it is for.
    on_erasure : str
        What becomes of a version when a customer is erased whom it was trained on: ``flag`` says
        so wherever it is shown, until a run has trained without them; ``keep`` does not.
    """

    kind: Literal["uplift"]
    placement: str
    outcomes: tuple[str, ...]
    features: tuple[str, ...]
    purpose: str
    negligible: dict[str, Decimal] = {}
    description: str = ""
    on_erasure: Literal["flag", "keep"] = "flag"


def _check(project: Project) -> Iterable[Problem]:
    purposes = project.get(PURPOSES)
    features = project.get(FEATURES)
    metrics: Collection[str] = project.get(METRICS)
    for name, model in project.get(MODELS).items():
        path: Path = ("models", name)
        for key, listed, known in (
            ("outcomes", model.outcomes, metrics),
            ("features", model.features, features),
        ):
            if not listed:
                yield project.problem((*path, key), "name at least one", listed)
            for place, item in enumerate(listed):
                if item not in known:
                    yield project.unknown((*path, key, place), item, known)
                elif listed.index(item) != place:
                    yield project.problem((*path, key, place), "name it once", item)
        for place, item in enumerate(model.features):
            if item in features and features[item].entity != CUSTOMER:
                hint = f"it is about a {features[item].entity}, and decisions are about customers"
                yield project.problem((*path, "features", place), hint, item)
        if model.purpose not in purposes:
            yield project.unknown((*path, "purpose"), model.purpose, purposes)
        for outcome, spread in model.negligible.items():
            if outcome not in model.outcomes:
                yield project.unknown_key((*path, "negligible", outcome), model.outcomes)
            if spread <= 0:
                yield project.problem(
                    (*path, "negligible", outcome), "write a number above 0", str(spread)
                )


def _expand(project: Project) -> Iterable[Problem | Expanded]:
    yield from name_features(project, MODELS)


MODELS = named("models", ModelDefinition, _check, _expand)
