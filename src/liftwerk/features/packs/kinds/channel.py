"""``channel``: what a customer does about messages, and how many were sent of late.

The rate of a signal is (signals + p m) / (messages + m), never above 1: with few messages it stays
near p, what is believed of everybody. Saturation is e / (e + h) for an exposure e (messages, each
counted half after a week) and the exposure h at which a customer is half saturated.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from liftwerk.definitions.typed import Duration, Share
from liftwerk.features.definition import FeatureDefinition, PriorDefinition
from liftwerk.features.packs.pack import FeaturePack, Made, Pack, Signal, shrunk

WINDOW = Duration("90d")
HALF_LIFE = Duration("7d")
SATURATION = 3.0
WEIGHT = 20.0
"""How many messages a belief is worth."""

BELIEVED = {"opened": Share("20%"), "clicked": Share("2%"), "unsubscribed": Share("0.5%")}
"""What is believed of everybody, unless it is said."""


def _make(pack: FeaturePack, name: str) -> Made:
    window = pack.window or WINDOW
    sent = FeatureDefinition("customer", pack.from_, where=pack.where)
    recent = replace(sent, window=window)
    yield "sent", replace(recent, aggregate="count", description=f"Messages in {window}")
    signals: Mapping[str, Signal | None] = {
        "opened": pack.opened,
        "clicked": pack.clicked,
        "unsubscribed": pack.unsubscribed,
    }
    for word, signal in signals.items():
        if signal is None:
            continue
        prior = signal.prior or pack.prior or PriorDefinition(BELIEVED[word], WEIGHT)
        yield (
            word,
            replace(
                recent,
                from_=signal.event,
                where=signal.where,
                aggregate="count",
                description=f"How many {signal.event} in {window}",
            ),
        )
        yield (
            f"{word}_rate",
            FeatureDefinition(
                "customer",
                expression=shrunk(f"{name}_{word}", f"{name}_sent", prior),
                description=f"Share of messages that were {word}, drawn to {prior.share}",
            ),
        )
    yield (
        "last_touch",
        replace(sent, aggregate="time_since", description="Days since the last message"),
    )
    half_life = pack.half_life or HALF_LIFE
    yield (
        "exposure",
        replace(
            sent,
            aggregate="decayed_count",
            half_life=half_life,
            description=f"Messages, each counted half after {half_life}",
        ),
    )
    half = pack.saturation or SATURATION
    yield (
        "saturation",
        FeatureDefinition(
            "customer",
            expression=f"{name}_exposure / ({name}_exposure + {half!r})",
            description=f"Exposure from 0 to 1, half at {half:g} messages",
        ),
    )


CHANNEL = Pack(
    "channel",
    "what is done about messages, and how many were sent of late",
    needs=("from",),
    takes=(
        "opened",
        "clicked",
        "unsubscribed",
        "where",
        "window",
        "half_life",
        "prior",
        "saturation",
    ),
    gives=("sent", "SIGNAL", "SIGNAL_rate", "last_touch", "exposure", "saturation"),
    make=_make,
)
