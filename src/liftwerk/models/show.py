"""A model's card: what it is, what it learned from, how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liftwerk.models.train import TrainedModel


def card(model: TrainedModel) -> dict[str, Any]:
    """Return the card's facts.

    Returns
    -------
    dict
        ``model``, ``kind``, ``actions``, ``features``, ``customers`` and what it found.
    """
    return {
        "model": model.name,
        "kind": "uplift",
        "actions": list(model.actions),
        "features": model.feature_versions,
        "customers": model.facts["rows"],
        "rows_by_action": model.facts["rows_by_action"],
        "average_effects": model.facts["average_effects"],
        "weights": model.facts["weights"],
        "leading_features": model.facts["leading_features"],
        "data": model.facts["data"],
    }


def markdown(facts: Mapping[str, Any]) -> str:
    """Write a card as Markdown, which a terminal shows well too."""
    lines = [f"# {facts['model']} ({facts['kind']})", ""]
    arms = ", ".join(f"{name} {rows:,}" for name, rows in facts["rows_by_action"].items())
    lines += [f"Learned from {facts['customers']:,} customers: {arms}.", ""]
    lines += ["Average effects over control, with 95% intervals:", ""]
    for outcome, effects in facts["average_effects"].items():
        lines += [f"- {outcome}, {action}: {_figure(found)}" for action, found in effects.items()]
    lines += ["", "Learners' weights around the average (0: everybody gets the average):", ""]
    for outcome, weights in facts["weights"].items():
        for action, blend in weights.items():
            shares = ", ".join(f"{learner} {share:.2f}" for learner, share in blend.items())
            lines.append(f"- {outcome}, {action}: {shares}")
    lines += ["", "What moves an effect most (mean size of a feature's contribution):", ""]
    for outcome, leading in facts["leading_features"].items():
        for action, sizes in leading.items():
            named = ", ".join(f"{feature} {size:.4f}" for feature, size in sizes.items())
            lines.append(f"- {outcome}, {action}: {named}")
    if facts.get("erased_since"):
        many = f"{facts['erased_since']:,}"
        lines += ["", f"Flagged by {many} erasures since: `liftwerk run` trains without them."]
    lines += ["", f"Data: {facts['data']}", "", "Features: " + ", ".join(facts["features"]) + "."]
    return "\n".join(lines)


def _figure(found: Mapping[str, Any]) -> str:
    if "unknown" in found:
        return f"unknown, because {found['unknown']}; it would take {found['needs']}"
    return f"{found['value']:+.4f} (between {found['low']:+.4f} and {found['high']:+.4f})"
