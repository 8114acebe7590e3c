"""Train a declared uplift model: cross-fitted for honest reading, on all rows for deciding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftwerk.models.design import Design
from liftwerk.models.kinds.uplift.cross_fit import CrossFit, cross_fit
from liftwerk.models.kinds.uplift.learners import LEARNERS
from liftwerk.models.kinds.uplift.model import UpliftModel
from liftwerk.stats.estimate import Estimate, Unknown, to_json
from liftwerk.stats.interval import interval
from liftwerk.stats.off_policy import Scores

Floats = NDArray[np.float64]

FOLDS = 5
SEED = 20080318
"""Deals rows to folds; the same in every home."""

LEADING = 5
"""How many features a card names for an effect."""

ASKED = 2000
"""Rows whose explanations are averaged for that."""


@dataclass(frozen=True)
class TrainedModel:
    """A declared model as it was trained: what decides, and what its card says.

    Parameters
    ----------
    name : str
        The declared model.
    actions : tuple of str
        Control first.
    feature_versions : dict of str to str
        What it looks at, in order, and which version of each.
    outcomes : dict of str to UpliftModel
    types : dict of str to str
        The Arrow type each feature had; a column of nulls alone, as JSON gives it, has none.
    facts : dict
        For the card: rows, rows by action, average effects with intervals, weights, what leads
        each effect, and a fingerprint of the data.
    """

    name: str
    actions: tuple[str, ...]
    feature_versions: dict[str, str]
    outcomes: dict[str, UpliftModel]
    types: dict[str, str]
    facts: dict[str, Any]

    def effects(self, features: pa.Table, outcome: str) -> Floats:
        """Effect of each action but control on an outcome, (n, k - 1)."""
        return self.outcomes[outcome].effects(self._in_order(features))

    def explain(self, features: pa.Table, outcome: str) -> Floats:
        """Contribution of each feature to each effect, (n, k - 1, features + 1), the base last."""
        return self.outcomes[outcome].explain(self._in_order(features))

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON values."""
        return {
            "kind": "uplift",
            "name": self.name,
            "actions": list(self.actions),
            "features": [[name, version] for name, version in self.feature_versions.items()],
            "outcomes": {name: model.to_dict() for name, model in self.outcomes.items()},
            "types": self.types,
            "facts": self.facts,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TrainedModel:
        """Read what `to_dict` wrote; predictions are the same bit for bit."""
        outcomes = document["outcomes"].items()
        return cls(
            document["name"],
            tuple(document["actions"]),
            dict(document["features"]),
            {name: UpliftModel.from_dict(model) for name, model in outcomes},
            dict(document["types"]),
            document["facts"],
        )

    def _in_order(self, features: pa.Table) -> pa.Table:
        columns = {}
        for name in self.feature_versions:
            column = features.column(name)
            if pa.types.is_null(column.type):
                column = column.cast(pa.type_for_alias(self.types[name]))
            columns[name] = column
        return pa.table(columns)


@dataclass(frozen=True)
class Trained:
    """A trained model, and what its cross-fitted twins say about rows they did not see.

    Parameters
    ----------
    model : TrainedModel
    fits : dict of str to CrossFit
        Of each outcome.
    folds : (n,) int array
        Which twin speaks about which row.
    """

    model: TrainedModel
    fits: dict[str, CrossFit]
    folds: NDArray[np.int64]


def train(
    name: str,
    features: pa.Table,
    action: NDArray[np.int64],
    logged: Floats,
    outcomes: Mapping[str, Floats],
    actions: Sequence[str],
    feature_versions: Mapping[str, str],
    tell: Callable[[str], None],
) -> Trained:
    """Train the effects of every action on every outcome.

    Parameters
    ----------
    name : str
        The declared model.
    features : pyarrow.Table
        n rows; a column a feature.
    action : (n,) int array
        0 is control.
    logged : (n, k) float array
        Probabilities the actions were drawn with.
    outcomes : mapping of str to (n,) float array
    actions : sequence of str
        k names, control first.
    feature_versions : mapping of str to str
    tell : callable
        Told what is being done.

    Returns
    -------
    Trained

    Raises
    ------
    Refused
        If an arm has too few rows.
    """
    folds = np.random.default_rng(SEED).permutation(action.shape[0]) % FOLDS
    design = Design.from_table(features)
    fits = {}
    for outcome, values in outcomes.items():
        tell(f"effects on {outcome}")
        fits[outcome] = cross_fit(design, action, values, logged, folds, SEED)
    model = TrainedModel(
        name,
        tuple(actions),
        # In the order of the columns: that of contributions, which are told apart by place.
        {feature: feature_versions[feature] for feature in design.names},
        {outcome: fit.model for outcome, fit in fits.items()},
        {column.name: str(column.type) for column in features.schema},
        {
            **_facts(fits, action, actions),
            "leading_features": _leading(fits, design, actions),
            "data": _fingerprint(design, action, logged, outcomes),
        },
    )
    return Trained(model, fits, folds)


def _facts(
    fits: Mapping[str, CrossFit], action: NDArray[np.int64], actions: Sequence[str]
) -> dict[str, Any]:
    counts = np.bincount(action, minlength=len(actions))
    effects: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for outcome, fit in fits.items():
        for place, name in enumerate(actions[1:]):
            effects.setdefault(outcome, {})[name] = to_json(_average(fit.scores[:, place]))
            blend = zip(LEARNERS, fit.model.weights[place].tolist(), strict=True)
            weights.setdefault(outcome, {})[name] = {kind.name: share for kind, share in blend}
    return {
        "rows": int(action.shape[0]),
        "rows_by_action": dict(zip(actions, counts.tolist(), strict=True)),
        "average_effects": effects,
        "weights": weights,
    }


def _leading(
    fits: Mapping[str, CrossFit], design: Design, actions: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Name the features that move each effect most, by the mean size of their contribution."""
    rows = np.linspace(0, len(design) - 1, min(ASKED, len(design))).astype(np.int64)
    asked = design.take(rows)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for outcome, fit in fits.items():
        size = np.abs(fit.model.explain(asked)[:, :, :-1]).mean(axis=0)
        found[outcome] = {}
        for place, action in enumerate(actions[1:]):
            order = np.argsort(-size[place], kind="stable")[:LEADING]
            found[outcome][action] = {design.names[j]: float(size[place, j]) for j in order}
    return found


def _fingerprint(
    design: Design, action: NDArray[np.int64], logged: Floats, outcomes: Mapping[str, Floats]
) -> str:
    """Hash all that was learned from, whatever form it came in."""
    digest = hashlib.sha256()
    for column in design.columns:
        digest.update(json.dumps([column.name, column.levels]).encode())
        digest.update(column.values.tobytes())
    digest.update(action.tobytes())
    digest.update(np.ascontiguousarray(logged).tobytes())
    for name, values in outcomes.items():
        digest.update(json.dumps(name).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _average(scores: Floats) -> Estimate | Unknown:
    mean = float(scores.mean())
    return interval(
        Scores(mean, scores - mean),
        method="mean of doubly robust scores",
        assumptions=("actions were drawn with the logged probabilities",),
    )
