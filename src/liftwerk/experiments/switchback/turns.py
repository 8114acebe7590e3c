"""Which arm each block has."""

from __future__ import annotations

from datetime import datetime, tzinfo
from fractions import Fraction

import pyarrow as pa

from liftwerk.errors import Refused
from liftwerk.experiments.definition import ExperimentDefinition, Switchback
from liftwerk.experiments.draw import draw_of
from liftwerk.experiments.give import give_many
from liftwerk.experiments.switchback.blocks import blocks_between

TIME = pa.timestamp("us", tz="UTC")


def schedule(
    name: str,
    experiment: ExperimentDefinition,
    start: datetime,
    end: datetime,
    zone: tzinfo,
    share: Fraction = Fraction(1),
) -> pa.Table:
    """List the blocks of a switchback with their arms.

    Parameters
    ----------
    name : str
    experiment : ExperimentDefinition
        Its design is ``switchback``.
    start, end : datetime
        The first block is that in which `start` lies, the last one begins before `end`.
    zone : tzinfo
        The project's time zone.
    share : fractions.Fraction
        The part of all blocks that are in the experiment.

    Returns
    -------
    pyarrow.Table
        ``block`` (its number), ``begins``, ``ends`` (timestamp us UTC), ``unit`` (what the lot is
        given), ``arm`` and ``probability`` (null where the block is not in the experiment).

    Examples
    --------
    >>> from datetime import UTC
    >>> from liftwerk.definitions.typed import Duration
    >>> from liftwerk.experiments.definition import Arm
    >>> arms = {"control": Arm(), "dearer": Arm()}
    >>> experiment = ExperimentDefinition(
    ...     "switchback", "Price", arms, ("margin",), "measurement",
    ...     switchback=Switchback(Duration("6h")),
    ... )
    >>> start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    >>> schedule("price", experiment, start, end, UTC).column("arm").to_pylist()
    ['dearer', 'control', 'dearer', 'control']
    """
    blocks = list(blocks_between(turns_of(name, experiment).block, start, end, zone))
    units = pa.array([block.unit for block in blocks], pa.string())
    draw = draw_of(name, experiment, share)
    arms = give_many(draw, units, units)
    chance = {arm: draw.probability(arm) for arm in draw.arms}
    return pa.table(
        {
            "block": pa.array([block.number for block in blocks], pa.int64()),
            "begins": pa.array([block.begins for block in blocks], TIME),
            "ends": pa.array([block.ends for block in blocks], TIME),
            "unit": units,
            "arm": arms,
            "probability": pa.array([chance.get(arm) for arm in arms.to_pylist()], pa.float64()),
        }
    )


def turns_of(name: str, experiment: ExperimentDefinition) -> Switchback:
    """Return how an experiment takes turns.

    Raises
    ------
    Refused
        If it is no switchback.
    """
    if experiment.switchback is None:
        hint = 'declare design = "switchback" with its block and washout'
        raise Refused(f"{name!r} takes no turns", f"experiments.{name}", hint)
    return experiment.switchback
