"""``session``: what is done in the visit that is going on."""

from __future__ import annotations

from msgspec.structs import replace

from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.packs.pack import FeaturePack, Made, Pack

MINUTES = 1440
"""In a day: times since are days."""


def _make(pack: FeaturePack, name: str) -> Made:
    event = pack.from_
    seen = FeatureDefinition("session", event, where=pack.where)
    yield "views", replace(seen, aggregate="count", description=f"How many {event} in the session")
    yield (
        "since_first",
        replace(seen, aggregate="time_since_first", description=f"Days since its first {event}"),
    )
    yield (
        "since_last",
        replace(seen, aggregate="time_since", description=f"Days since its last {event}"),
    )
    made = FeatureDefinition("session")
    yield (
        "minutes",
        replace(
            made,
            expression=f"({name}_since_first - {name}_since_last) * {MINUTES}",
            description=f"Minutes from its first to its last {event}",
        ),
    )
    yield (
        "idle_minutes",
        replace(
            made,
            expression=f"{name}_since_last * {MINUTES}",
            description=f"Minutes since its last {event}",
        ),
    )
    if pack.property is not None:
        yield (
            "variety",
            replace(
                seen,
                aggregate="distinct",
                property=pack.property,
                unnest=pack.unnest,
                description=f"How many different {pack.property}",
            ),
        )
    for other in pack.events:
        yield (
            other,
            replace(
                made,
                from_=other,
                aggregate="count",
                description=f"How many {other} in the session",
            ),
        )


SESSION = Pack(
    "session",
    "what is done in the visit that is going on",
    needs=("from",),
    takes=("property", "events", "where"),
    gives=("views", "since_first", "since_last", "minutes", "idle_minutes", "variety", "EVENT"),
    make=_make,
    types={"property": ("string", "integer")},
    entity="session",
)
