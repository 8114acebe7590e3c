"""``lifecycle``: where a customer stands, and what comes back of what was bought.

The state is a number, so that models and expressions can use it: 0 never bought, 1 bought once, 2
bought again, 3 not since ``active``, 4 not since ``lapsed``.
"""

from __future__ import annotations

from msgspec.structs import replace

from liftwerk.definitions.typed import Duration, Share
from liftwerk.features.definition import FeatureDefinition, PriorDefinition
from liftwerk.features.kinds.aggregate import DAY
from liftwerk.features.packs.pack import FeaturePack, Made, Pack, shrunk

ACTIVE = Duration("90d")
LAPSED = Duration("365d")
BELIEVED = PriorDefinition(Share("10%"), 5.0)
"""What is believed of everybody's returns, unless it is said."""


def _make(pack: FeaturePack, name: str) -> Made:
    event = pack.from_
    of = FeatureDefinition("customer", event, where=pack.where)
    yield "count", replace(of, aggregate="count", description=f"How many {event} so far")
    yield (
        "recency",
        replace(of, aggregate="time_since", description=f"Days since the last {event}"),
    )
    days = [limit.microseconds / DAY for limit in (pack.active or ACTIVE, pack.lapsed or LAPSED)]
    active, lapsed = (f"{name}_recency {{}} {limit!r}" for limit in days)
    yield (
        "state",
        FeatureDefinition(
            "customer",
            expression=(
                f"case when {lapsed.format('>')} then 4"
                f" when {active.format('>')} then 3"
                f" when {name}_count > 1 then 2"
                f" when {name}_count > 0 then 1 else 0 end"
            ),
            description="0 never, 1 new, 2 active, 3 at risk, 4 lapsed",
        ),
    )
    if pack.returned is not None:
        prior = pack.returned.prior or pack.prior or BELIEVED
        back = pack.returned.event
        yield (
            "returned",
            replace(
                of,
                from_=back,
                where=pack.returned.where,
                aggregate="count",
                description=f"How many {back} so far",
            ),
        )
        yield (
            "return_rate",
            FeatureDefinition(
                "customer",
                expression=shrunk(f"{name}_returned", f"{name}_count", prior),
                description=f"Share of {event} that came back, drawn to {prior.share}",
            ),
        )


LIFECYCLE = Pack(
    "lifecycle",
    "where a customer stands, and what comes back",
    needs=("from",),
    takes=("returned", "where", "active", "lapsed", "prior"),
    gives=("count", "recency", "state", "returned", "return_rate"),
    make=_make,
)
