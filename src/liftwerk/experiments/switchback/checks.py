"""What would speak against a switchback: arms that are remembered, and the other method."""

from __future__ import annotations

from liftwerk.amounts import decimals, number, ranged
from liftwerk.experiments.reading import Check
from liftwerk.experiments.switchback.read import ArmReading
from liftwerk.stats.estimate import Unknown


def checks_of(arm: ArmReading, washout: int, of: str) -> tuple[Check, ...]:
    """Run the checks of one arm.

    Parameters
    ----------
    arm : ArmReading
    washout : int
        Periods of a block that are not counted.
    of : str
        Which metric of which arm it is.

    Returns
    -------
    tuple of Check
    """
    return (_carry_over(arm, washout, of), _second(arm, of))


def _carry_over(arm: ArmReading, washout: int, of: str) -> Check:
    found = arm.carry_over
    if isinstance(found, Unknown):
        words = f"{of}: unknown, because {found.reason}; it would take {found.needs}."
        return Check("carry-over", "unknown", words)
    if arm.warning is not None:
        return Check("carry-over", "alarm", f"{of}: {arm.warning}.")
    least = number(found.detectable, decimals([found.detectable]))
    left = "nothing of the arm before is found in a block"
    if washout:
        left = "nothing of the arm before is found after the washout"
    words = f"{of}: {left}; {least} more or less in a period would be, four times out of five."
    return Check("carry-over", "ok", words)


def _second(arm: ArmReading, of: str) -> Check:
    first, second = arm.effect.estimate, arm.second_opinion
    if isinstance(second, Unknown):
        return Check("second opinion", "unknown", f"{of}: {second.reason}.")
    if isinstance(first, Unknown):
        return Check("second opinion", "unknown", f"{of}: there is no first one.")
    words = f"{of}: Newey-West says {ranged(second.value, second.low, second.high, '')}"
    if first.low <= second.value <= first.high:
        return Check("second opinion", "ok", f"{words}.")
    return Check("second opinion", "alarm", f"{words}: outside the interval.")
