"""``engagement``: how much a customer has done of late, each event counted half after a while."""

from __future__ import annotations

from liftwerk.definitions.typed import Duration
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.packs.pack import FeaturePack, Made, Pack

HALF_LIFE = Duration("14d")


def _make(pack: FeaturePack, name: str) -> Made:
    half_life = pack.half_life or HALF_LIFE
    for event in pack.events:
        yield (
            event,
            FeatureDefinition(
                "customer",
                event,
                aggregate="decayed_count",
                half_life=half_life,
                description=f"How many {event}, each counted half after {half_life}",
            ),
        )
    yield (
        "score",
        FeatureDefinition(
            "customer",
            expression=" + ".join(f"{name}_{event}" for event in pack.events),
            description="All of these together",
        ),
    )


ENGAGEMENT = Pack(
    "engagement",
    "how much was done of late",
    needs=("events",),
    takes=("half_life",),
    gives=("EVENT", "score"),
    make=_make,
)
