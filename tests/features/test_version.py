"""A version follows what decides the values, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from liftwerk.definitions.load import build
from liftwerk.errors import UnknownName
from liftwerk.events.definition import EVENTS
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.definition import FEATURES
from liftwerk.features.version import feature_version, feature_versions

PROJECT: dict[str, Any] = {
    "project": {"name": "shop", "currency": "EUR"},
    "events": {
        "order": {
            "version": 1,
            "description": "An order",
            "properties": {"revenue": {"type": "money"}, "items": {"type": "integer"}},
        }
    },
    "features": {
        "spend": {
            "entity": "customer",
            "from": "order",
            "aggregate": "sum",
            "property": "revenue",
            "window": "90d",
            "description": "Spend",
        }
    },
}


def _version(path: str = "", value: object = None) -> str:
    values = copy.deepcopy(PROJECT)
    if path:
        *folders, last = path.split(".")
        place = values
        for folder in folders:
            place = place[folder]
        place[last] = value
    return feature_version(build(values, [EVENTS, ENTITIES, FEATURES]), "spend")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features.spend.description", "What they spent"),
        ("features.spend.owner", "crm@shop.example"),
        ("features.spend.checks", {"minimum": 0}),
        ("features.spend.window", "2160h"),
        ("features.spend.hop", "1d"),
        ("events.order.description", "A paid order"),
        ("events.order.properties.items", {"type": "number"}),
        ("project.name", "other"),
    ],
)
def test_words_and_spelling_change_no_version(path: str, value: object) -> None:
    assert _version(path, value) == _version()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features.spend.window", "30d"),
        ("features.spend.hop", "1h"),
        ("features.spend.aggregate", "last"),
        ("features.spend.property", "items"),
        ("events.order.version", 2),
        ("events.order.unique", ["items"]),
        ("events.order.properties.revenue", {"type": "number"}),
        ("project.currency", "USD"),
    ],
)
def test_whatever_decides_the_values_changes_it(path: str, value: object) -> None:
    assert _version(path, value) != _version()


def test_an_unknown_feature_gets_a_suggestion() -> None:
    project = build(PROJECT, [EVENTS, ENTITIES, FEATURES])
    with pytest.raises(UnknownName, match="did you mean 'spend'"):
        feature_version(project, "spent")


def test_many_versions_are_each_its_own() -> None:
    project = build(PROJECT, [EVENTS, ENTITIES, FEATURES])
    assert feature_versions(project, ["spend"]) == {"spend": feature_version(project, "spend")}
