"""All that decides who gets which arm, as one value: nothing is looked up or stored.

The rule, exactly, for whoever has to recompute it elsewhere (``tracker/assign.js`` does):

1. A unit is a text: a customer's or a visitor's leaf key as `liftwerk.experiments.assign` writes
   it, a session's id, a region's name, or the beginning of a stretch of time (`slot`).
2. Who is held out by ``[goal] holdout`` never enters any experiment.
3. A unit enters when its position in the experiment's *entry* is in the range that is open: from
   ``low`` to ``high``. The position is the first eight bytes of SHA-256(entry, NUL, unit), as in
   the holdout's rule. The entry is the experiment's salt; in a layer it is ``layer:`` and the
   layer's name, the same for all of its experiments, whose ranges don't overlap.
4. Its arm follows from the *next* eight bytes of SHA-256(salt, NUL, unit), as a whole number: the
   first arm, in their order, whose share added to those before it is above number / 2**64.
5. In a rotating holdout the salt of step 4 is followed by ``#`` and the number of the period since
   1970-01-01 UTC.

So a ramp, which moves ``high`` alone, lets more units in and gives nobody another arm, and within
any part of the units, a stratum among them, the arms are drawn as in the whole. Each period of a
rotating holdout is drawn by itself: with a share of 5% one in twenty of those who were held out is
held out again.

With ``hash = "growthbook"`` steps 3 and 4 are those of GrowthBook's clients, over the identifier
as it was written (`liftwerk.experiments.hashes.kinds.growthbook`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any

from msgspec import Struct

from liftwerk.definitions.typed import Duration
from liftwerk.experiments.definition import ExperimentDefinition, salt_of
from liftwerk.experiments.layers import EVERYTHING, Range
from liftwerk.experiments.switchback.blocks import block_at
from liftwerk.metrics.definition import Goal

RANGE = 2**64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kept(Struct, frozen=True):
    """Who never enters: the global holdout."""

    salt: str
    share: Fraction


class Draw(Struct, frozen=True):
    """How one experiment gives its arms.

    Attributes
    ----------
    experiment : str
    hash : str
        A name in `liftwerk.experiments.hashes.HASHES`.
    salt : str
        Decides the arm.
    entry : str
        Decides the position.
    low, high : fractions.Fraction
        Who stands between them enters.
    reserved : Range
        As far as the experiment may grow.
    arms : tuple of str
        Control first.
    shares : tuple of fractions.Fraction
        Of each arm; together 1.
    kept : Kept or None
        The global holdout.
    layer : str or None
    """

    experiment: str
    hash: str
    salt: str
    entry: str
    low: Fraction
    high: Fraction
    reserved: Range
    arms: tuple[str, ...]
    shares: tuple[Fraction, ...]
    kept: Kept | None = None
    layer: str | None = None

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the numbers of each arm but the last end, of 2**64."""
        so_far = Fraction(0)
        found = []
        for share in self.shares[:-1]:
            so_far += share
            found.append(threshold(so_far))
        return tuple(found)

    def probability(self, arm: str) -> float:
        """Return how likely a unit that enters is to get an arm."""
        return float(self.shares[self.arms.index(arm)])


def threshold(share: Fraction) -> int:
    """Return the smallest whole number that is not below a share of 2**64.

    Examples
    --------
    >>> threshold(Fraction(1, 2)) == 2**63, threshold(Fraction(1)) == 2**64
    (True, True)
    """
    return -(-share.numerator * RANGE // share.denominator)


def draw_of(
    name: str,
    experiment: ExperimentDefinition,
    share: Fraction,
    *,
    reserved: Range = EVERYTHING,
    goal: Goal | None = None,
    at: datetime | None = None,
) -> Draw:
    """Say how an experiment gives its arms now.

    Parameters
    ----------
    name : str
    experiment : ExperimentDefinition
        As it was registered.
    share : fractions.Fraction
        The part of all units that may enter now.
    reserved : Range
        What the experiment holds of its layer.
    goal : Goal, optional
        The project's, for its holdout.
    at : datetime, optional
        The time, for a rotating holdout: which period it is.

    Returns
    -------
    Draw

    Examples
    --------
    >>> from liftwerk.experiments.definition import Arm
    >>> arms = {"control": Arm(), "warm": Arm()}
    >>> tea = ExperimentDefinition("ab", "Tea", arms, ("margin",), "measurement")
    >>> draw = draw_of("tea", tea, Fraction(1, 10))
    >>> draw.salt, draw.arms, draw.high
    ('tea', ('control', 'warm'), Fraction(1, 10))
    """
    salt = salt_of(name, experiment)
    entry = salt
    if experiment.layer is not None:
        entry = f"layer:{experiment.layer}"
    if experiment.rotate is not None and at is not None:
        salt = f"{salt}#{period(experiment.rotate, at)}"
    kept = None
    if goal is not None and goal.holdout.exact > 0:
        kept = Kept(goal.salt, goal.holdout.exact)
    shares = experiment.shares
    return Draw(
        experiment=name,
        hash=experiment.hash,
        salt=salt,
        entry=entry,
        low=reserved.low,
        high=min(reserved.low + share, reserved.high),
        reserved=reserved,
        arms=tuple(shares),
        shares=tuple(shares.values()),
        kept=kept,
        layer=experiment.layer,
    )


def period(length: Duration, at: datetime) -> int:
    """Return the number of the stretch of time that a moment lies in, from 1970-01-01 UTC.

    Examples
    --------
    >>> period(Duration("1d"), datetime(1970, 1, 3, 12, tzinfo=UTC))
    2
    """
    return (at - EPOCH) // timedelta(microseconds=length.microseconds)


def slot(length: Duration, at: datetime, zone: tzinfo) -> str:
    """Name the stretch of time in which a moment lies, by its beginning: a unit as any other.

    Stretches are laid out on the clocks of a zone (`liftwerk.experiments.switchback.blocks`).

    Examples
    --------
    >>> slot(Duration("4h"), datetime(2026, 3, 1, 9, 30, tzinfo=UTC), UTC)
    '2026-03-01T08:00:00Z'
    """
    return block_at(length, at, zone).unit


def twin(draw: Draw) -> dict[str, Any]:
    """Write a draw as JSON for ``tracker/assign.js``: it gives the same arms in a browser.

    Parameters
    ----------
    draw : Draw

    Returns
    -------
    dict
        Whole numbers of 2**64 stand as 16 hexadecimal digits, none where the end is open.

    Examples
    --------
    >>> from liftwerk.experiments.definition import Arm
    >>> arms = {"control": Arm(), "warm": Arm()}
    >>> tea = ExperimentDefinition("ab", "Tea", arms, ("margin",), "measurement")
    >>> written = twin(draw_of("tea", tea, Fraction(1)))
    >>> written["arms"], written["ends"], written["high"]
    (['control', 'warm'], ['8000000000000000'], None)
    """
    kept = None
    if draw.kept is not None:
        kept = {"salt": draw.kept.salt, "end": hexadecimal(threshold(draw.kept.share))}
    return {
        "experiment": draw.experiment,
        "hash": draw.hash,
        "salt": draw.salt,
        "entry": draw.entry,
        "low": hexadecimal(threshold(draw.low)),
        "high": hexadecimal(threshold(draw.high)),
        "arms": list(draw.arms),
        "ends": [hexadecimal(end) for end in draw.ends],
        "kept": kept,
        "namespace": namespace(draw),
        "coverage": coverage(draw),
        "weights": [float(share) for share in draw.shares],
    }


def hexadecimal(end: int) -> str | None:
    """Write where positions end; None where all are before it.

    Examples
    --------
    >>> hexadecimal(255), hexadecimal(2**64)
    ('00000000000000ff', None)
    """
    if end >= RANGE:
        return None
    return f"{end:016x}"


def namespace(draw: Draw) -> list[Any] | None:
    """Return the layer and range of a draw as GrowthBook's namespace."""
    if draw.layer is None:
        return None
    return [draw.layer, float(draw.reserved.low), float(draw.reserved.high)]


def coverage(draw: Draw) -> float:
    """Return the part of its range that may enter: what GrowthBook calls coverage."""
    return float((draw.high - draw.low) / draw.reserved.share)
