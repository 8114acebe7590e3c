"""Features by their definition, in plain Python: one question, one event at a time.

The oracle of the compiled SQL. Written from the definition alone: slow, exact and obvious.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from liftwerk.features.definition import FeatureDefinition

DAY = 86_400_000_000


@dataclass(frozen=True)
class Event:
    customer: bytes
    time: int
    known_at: int
    offset: int
    weight: float = 1.0
    synthetic: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


def value(
    feature: FeatureDefinition, type_: str, events: list[Event], customer: bytes, as_of: int
) -> Any:
    """Return one feature of one customer as of one time; money as minor units of two decimals."""
    history = []
    for event in events:
        if event.customer != customer or event.synthetic:
            continue
        if event.time >= as_of or event.known_at > as_of:
            continue
        if feature.window is not None and event.time < _head(feature, as_of):
            continue
        history.append(event)
    history.sort(key=lambda event: (event.time, event.offset))
    if feature.aggregate == "count":
        return float(sum((Fraction(event.weight) for event in history), Fraction(0)))
    if feature.aggregate == "time_since":
        if not history:
            return None
        return float(Fraction(as_of - history[-1].time, DAY))
    assert feature.property is not None
    said = [event for event in history if event.properties[feature.property] is not None]
    unit = 1
    if type_ == "money":
        unit = 100
    if feature.aggregate == "sum":
        total = Fraction(0)
        for event in said:
            total += Fraction(event.properties[feature.property]) * Fraction(event.weight)
        return float(total / unit)
    if not said:
        return None
    last = said[-1].properties[feature.property]
    if type_ == "money":
        return float(Fraction(last, unit))
    return last


def _head(feature: FeatureDefinition, as_of: int) -> int:
    assert feature.window is not None
    hop = DAY
    if feature.hop is not None:
        hop = feature.hop.microseconds
    return (as_of - feature.window.microseconds) // hop * hop
