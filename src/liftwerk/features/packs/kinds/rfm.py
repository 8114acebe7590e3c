"""``rfm``: how recently, how often and for how much a customer bought."""

from __future__ import annotations

from msgspec.structs import replace

from liftwerk.definitions.typed import Duration
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.kinds.sum import SUMMED
from liftwerk.features.packs.pack import FeaturePack, Made, Pack

WINDOW = Duration("365d")


def _make(pack: FeaturePack, _name: str) -> Made:
    event = pack.from_
    ever = FeatureDefinition("customer", event, where=pack.where)
    window = pack.window or WINDOW
    recent = replace(ever, window=window)
    worth = replace(recent, property=pack.value)
    yield (
        "recency",
        replace(ever, aggregate="time_since", description=f"Days since the last {event}"),
    )
    yield (
        "tenure",
        replace(ever, aggregate="time_since_first", description=f"Days since the first {event}"),
    )
    yield (
        "frequency",
        replace(recent, aggregate="count", description=f"How many {event} in {window}"),
    )
    yield (
        "monetary",
        replace(worth, aggregate="sum", description=f"{pack.value} of all {event} in {window}"),
    )
    yield (
        "mean_value",
        replace(worth, aggregate="mean", description=f"{pack.value} of one {event} in {window}"),
    )


RFM = Pack(
    "rfm",
    "how recently, how often and for how much",
    needs=("from", "value"),
    takes=("where", "window"),
    gives=("recency", "tenure", "frequency", "monetary", "mean_value"),
    make=_make,
    types={"value": SUMMED},
)
