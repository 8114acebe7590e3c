"""Explain one decision: what was known, what each thing added, which guardrails stood by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from liftwerk.decisions.definition import ACTIONS, POLICIES, PolicyDefinition
from liftwerk.decisions.kinds.uplift import choose_probabilities, expected_gains
from liftwerk.decisions.learned import Learned, ordered_actions, policy_rule
from liftwerk.definitions import Project
from liftwerk.events.definition import known_events
from liftwerk.features.definition import FEATURES
from liftwerk.models.definition import MODELS


def explain(
    project: Project,
    policy_name: str,
    record: Mapping[str, Any],
    learned: Learned | None,
    known: pa.Table | None = None,
) -> dict[str, Any]:
    """Lay out one decision for a person.

    Parameters
    ----------
    project : Project
    policy_name : str
        The policy of its placement.
    record : mapping
        The properties of ``decision_made``.
    learned : Learned or None
        The release to explain with.
    known : pyarrow.Table, optional
        One row: the features as of then, where the record holds no snapshot.

    Returns
    -------
    dict
        ``probabilities`` by action, ``features``, ``guardrails``, and, where a release explains
        it, ``why`` and ``learned``: what the release would do.
    """
    policy = project.lookup(POLICIES, policy_name)
    if record.get("feature_snapshot"):
        known = pa.Table.from_pylist([msgspec.json.decode(record["feature_snapshot"])])
    listed = record.get("probabilities") or []
    answer: dict[str, Any] = {
        "probabilities": dict(zip(record["eligible"], listed, strict=False)),
        "guardrails": _guardrails(policy, record),
        "features": [],
    }
    if known is None:
        return answer
    answer["features"] = _features(project, policy, known)
    if learned is not None:
        answer["why"] = _why(project, policy, learned, known)
        answer["learned"] = _chosen(project, policy, learned, known)
    return answer


def _chosen(
    project: Project, policy: PolicyDefinition, learned: Learned, known: pa.Table
) -> dict[str, Any]:
    """Say what the release would do if every action were free."""
    actions = ordered_actions(project, policy)
    rule = policy_rule(project, policy)
    effects = learned.effects(known)
    chances = choose_probabilities(effects, rule)[0]
    gains = expected_gains(effects, rule)[0]
    return {
        "release": learned.release,
        "action": actions[int(chances.argmax())],
        "probabilities": dict(zip(actions, chances.tolist(), strict=True)),
        "expected": dict(zip(actions, gains.tolist(), strict=True)),
    }


def _features(project: Project, policy: PolicyDefinition, known: pa.Table) -> list[dict[str, Any]]:
    row = known.to_pylist()[0]
    events = known_events(project)
    found = []
    for name in project.lookup(MODELS, policy.model).features:
        feature = project.lookup(FEATURES, name)
        unit = ""
        declared = None
        if feature.property is not None and feature.from_ is not None:
            declared = events[feature.from_].properties.get(feature.property)
        if declared is not None:
            unit = declared.unit or ""
            if declared.type == "money":
                unit = project.currency
        value = row.get(name)
        entry = {"name": name, "value": value, "description": feature.description}
        if unit:
            entry["unit"] = unit
        found.append(entry)
    return found


def _why(
    project: Project, policy: PolicyDefinition, learned: Learned, known: pa.Table
) -> dict[str, Any]:
    """Split each action's expected reward over control into what everybody gets and features."""
    actions = ordered_actions(project, policy)
    rule = policy_rule(project, policy)
    parts = learned.model.explain(known, learned.outcome)[0] * rule.multiply
    features: Sequence[str] = list(learned.model.feature_versions)
    base, total = {}, {}
    for place, action in enumerate(actions[1:]):
        cost = rule.costs[place + 1] - rule.costs[0]
        base[action] = float(parts[place, -1] - cost)
        total[action] = float(parts[place].sum() - cost)
    contributions = [
        {
            "feature": feature,
            "actions": {
                action: float(parts[place, column]) for place, action in enumerate(actions[1:])
            },
        }
        for column, feature in enumerate(features)
    ]
    contributions.sort(key=_size, reverse=True)
    return {
        "unit": project.currency,
        "base": base,
        "contributions": contributions,
        "total": total,
        "labels": {action: project.lookup(ACTIONS, action).label for action in actions},
    }


def _size(contribution: Mapping[str, Any]) -> float:
    return float(max(abs(value) for value in contribution["actions"].values()))


def _guardrails(policy: PolicyDefinition, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say how each declared guardrail stood; one that nothing was asked of is "not checked"."""
    rails = {"budget": policy.guardrails.budget, "frequency": policy.guardrails.frequency}
    closed = record.get("guardrails") or []
    rows = []
    for name, limit in rails.items():
        if limit is None:
            continue
        state = "passed"
        if name in closed:
            state = "blocked"
        elif record.get("release") is None:
            state = "not checked"
        rows.append({"name": name, "limit": str(limit), "state": state})
    return rows
