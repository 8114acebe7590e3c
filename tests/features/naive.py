"""Features by their definition, in plain Python: one question, one event at a time.

The oracle of the compiled SQL. Written from the definition alone: slow, exact and obvious.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, getcontext
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


Holds = Callable[[str, dict[str, Any]], bool | None]


def value(
    feature: FeatureDefinition,
    type_: str,
    events: list[Event],
    customer: bytes,
    as_of: int,
    holds: Holds = lambda _text, _row: None,
    known: Callable[[Event], bool] | None = None,
) -> Any:
    """Return one feature of one customer as of one time; money as minor units of two decimals."""
    history = []
    for event in events:
        if event.customer != customer or event.synthetic or event.time >= as_of:
            continue
        if known is None and event.known_at > as_of:
            continue
        if known is not None and not known(event):
            continue
        if feature.window is not None and event.time < _head(feature, as_of):
            continue
        if feature.where is not None and not holds(feature.where, event.properties):
            continue
        history.append(event)
    history.sort(key=lambda event: (event.time, event.offset))
    weights = [Fraction(event.weight) for event in history]
    if feature.aggregate == "count":
        return float(sum(weights, Fraction(0)))
    if feature.aggregate == "decayed_count":
        left = [_decay(feature, event.time, as_of) for event in history]
        parts = (weight * part for weight, part in zip(weights, left, strict=True))
        return float(sum(parts, Fraction(0)))
    if feature.aggregate in ("time_since", "time_since_first"):
        if not history:
            return None
        place = {"time_since": -1, "time_since_first": 0}[feature.aggregate]
        return float(Fraction(as_of - history[place].time, DAY))
    if feature.aggregate == "rate":
        assert feature.when is not None
        hits = sum(
            (
                weight
                for event, weight in zip(history, weights, strict=True)
                if holds(feature.when, event.properties)
            ),
            Fraction(0),
        )
        return _share(feature, hits, sum(weights, Fraction(0)))
    return _of_property(feature, type_, history, as_of)


def _share(feature: FeatureDefinition, part: Fraction, whole: Fraction) -> float | None:
    if feature.prior is not None:
        worth = Fraction(feature.prior.weight)
        part += feature.prior.share.exact * worth
        whole += worth
    if whole == 0:
        return None
    return float(part / whole)


def _of_property(feature: FeatureDefinition, type_: str, history: list[Event], as_of: int) -> Any:
    assert feature.property is not None
    said = [event for event in history if event.properties[feature.property] is not None]
    unit = 100 if type_ == "money" else 1
    numbers = [event.properties[feature.property] for event in said]
    weights = [Fraction(event.weight) for event in said]
    if feature.aggregate == "distinct":
        return float(len(set(numbers)))
    if feature.aggregate == "top_share":
        by_value: dict[Any, Fraction] = {}
        for number, weight in zip(numbers, weights, strict=True):
            by_value[number] = by_value.get(number, Fraction(0)) + weight
        top = max(by_value.values(), default=Fraction(0))
        return _share(feature, top, sum(weights, Fraction(0)))
    if feature.aggregate in ("sum", "mean", "decayed_sum"):
        if feature.aggregate == "decayed_sum":
            left = [_decay(feature, event.time, as_of) for event in said]
            weights = [weight * part for weight, part in zip(weights, left, strict=True)]
        terms = zip(numbers, weights, strict=True)
        total = sum((Fraction(number) * weight for number, weight in terms), Fraction(0))
        if feature.aggregate != "mean":
            return float(total / unit)
        if not said:
            return None
        return float(total / unit / sum(weights, Fraction(0)))
    if not said:
        return None
    chosen = {
        "first": lambda: numbers[0],
        "last": lambda: numbers[-1],
        "min": lambda: min(numbers),
        "max": lambda: max(numbers),
    }[feature.aggregate or ""]()
    if type_ == "money":
        return float(Fraction(chosen, unit))
    return chosen


def _decay(feature: FeatureDefinition, time: int, as_of: int) -> Fraction:
    """What is left, in units of 2**-32: rounded within a half-life, rounded down beyond."""
    assert feature.half_life is not None
    getcontext().prec = 60
    hop = _hop(feature)
    halving = feature.half_life.microseconds // hop
    whole, rest = divmod(as_of // hop - time // hop, halving)
    exact = Decimal(2) ** (Decimal(32) - Decimal(rest) / Decimal(halving))
    return Fraction(int(exact.to_integral_value(ROUND_HALF_UP)) // 2**whole, 2**32)


def _hop(feature: FeatureDefinition) -> int:
    return DAY if feature.hop is None else feature.hop.microseconds


def _head(feature: FeatureDefinition, as_of: int) -> int:
    assert feature.window is not None
    hop = _hop(feature)
    return (as_of - feature.window.microseconds) // hop * hop
