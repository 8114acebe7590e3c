"""``affinity``: which product, category or brand a customer prefers, as shares.

The share of a value is (events with it + m / k) / (events + m) for k values and a belief worth m
events: with few events all are nearly alike.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from liftwerk.definitions.typed import Share
from liftwerk.features.definition import FeatureDefinition, PriorDefinition
from liftwerk.features.packs.pack import FeaturePack, Made, Pack, in_name

WEIGHT = 5.0
"""How many events the belief is worth that all values are liked alike."""


def _make(pack: FeaturePack, _name: str) -> Made:
    of = pack.property
    said = f"{of} is not null"
    if pack.where is not None:
        said = f"({pack.where}) and {said}"
    every = FeatureDefinition(
        "customer", pack.from_, where=said, unnest=pack.unnest, window=pack.window
    )
    alike = PriorDefinition(Share(str(Fraction(1, max(1, len(pack.values))))), WEIGHT)
    for value in pack.values:
        text = value.replace("'", "''")
        yield (
            in_name(value),
            replace(
                every,
                aggregate="rate",
                when=f"{of} = '{text}'",
                prior=pack.prior or alike,
                description=f"Share of {pack.from_} whose {of} is {value}",
            ),
        )
    valued = replace(every, property=of)
    yield (
        "top_share",
        replace(valued, aggregate="top_share", description=f"Share of the favourite {of}"),
    )
    yield (
        "variety",
        replace(valued, aggregate="distinct", description=f"How many different {of}"),
    )
    yield "last", replace(valued, aggregate="last", description=f"The last {of}")


AFFINITY = Pack(
    "affinity",
    "which product, category or brand is preferred",
    needs=("from", "property"),
    takes=("values", "where", "window", "prior"),
    gives=("VALUE", "top_share", "variety", "last"),
    make=_make,
    types={"property": ("string",)},
)
