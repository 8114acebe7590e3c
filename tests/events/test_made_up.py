from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.events.admit import admit
from liftwerk.events.definition import EVENTS
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.made_up import RESERVED, identifier, made_up
from liftwerk.events.schema import schema_of
from liftwerk.events.spelling import LATEST
from tests.events.shop import NOW, shop

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=2).map(lambda one: f"{one:f}")
BOUNDS = st.one_of(
    st.just({}),
    AMOUNTS.map(lambda one: {"minimum": one}),
    AMOUNTS.map(lambda one: {"maximum": one}),
    st.tuples(AMOUNTS, AMOUNTS).map(
        lambda two: dict(zip(("minimum", "maximum"), sorted(two, key=Decimal), strict=True))
    ),
)
SCALARS = ("string", "integer", "number", "boolean", "money", "time")


@st.composite
def properties(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([*SCALARS, "list", "choices"]))
    made: dict[str, Any] = {"type": kind, "required": draw(st.booleans())}
    if kind in ("integer", "number", "money"):
        bounds = draw(BOUNDS)
        if kind == "integer":
            bounds = {key: str(int(Decimal(one))) for key, one in bounds.items()}
        made.update(bounds)
    if kind == "choices":
        made.update(type="string", choices=["a", "b"])
    if kind == "list":
        made["of"] = draw(st.sampled_from([*SCALARS, {"sku": "string", "price": "money"}]))
    return made


@settings(max_examples=40)
@given(
    st.lists(properties(), max_size=6),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.booleans(),
    st.integers(min_value=0, max_value=2**32),
)
def test_whatever_is_declared_what_is_made_up_for_it_is_taken(
    many: list[dict[str, Any]], currency: str, whole: bool, seed: int
) -> None:
    declared = {f"p{number}": one for number, one in enumerate(many)}
    if currency == "JPY":  # between bounds in cents there may be no yen
        declared = {key: one for key, one in declared.items() if one["type"] != "money"}
    event = {"version": 3, "description": "Anything", "properties": declared}
    project = shop(
        project={"name": "any", "currency": currency, "timezone": "UTC"}, events={"made": event}
    )
    generator = np.random.default_rng(seed)
    spaces = project.get(IDENTIFIERS)
    names = {key: identifier(one, "r-1", generator) for key, one in spaces.items()}
    definition = project.get(EVENTS)["made"]
    made = made_up("made", definition, currency, NOW, names, generator, whole=whole)
    admitted = admit([msgspec.json.encode(made)], schema_of(project), "till", NOW)
    assert admitted.refused == []
    assert made["synthetic"] is True


@pytest.mark.parametrize("rule", LATEST)
def test_each_rule_of_spelling_takes_the_reserved_form(rule: str) -> None:
    project = shop(identifiers={"it": {"normalise": rule}})
    space = project.get(IDENTIFIERS)["it"]
    generator = np.random.default_rng(1)
    for number in range(20):
        spelled = space.spell(identifier(space, f"r-{number}", generator))
        if rule in ("none", "trim", "lower", "email", "sku"):
            assert spelled.lower().startswith(RESERVED)


def test_two_customers_who_do_not_exist_are_two() -> None:
    space = shop().get(IDENTIFIERS)["email"]
    generator = np.random.default_rng(1)
    assert identifier(space, "r-1", generator) != identifier(space, "r-2", generator)
