"""What would speak against a reading: placebos in time and in space, fit, drift, second opinion."""

from __future__ import annotations

import numpy as np

from liftwerk.amounts import ranged
from liftwerk.experiments.reading import Check
from liftwerk.stats import Estimate, Unknown
from liftwerk.stats.synthetic_control import Measured, Panel, placebo
from liftwerk.stats.synthetic_control.conformal import Scores
from liftwerk.stats.synthetic_control.measure import FEWEST_BEFORE

WINDOWS = 3
ODD = 0.2
"""Part of the other markets that may look as odd as the treated ones where an effect is claimed."""

LOOSE = 0.7
"""Misfit from which on a counterfactual explains less than half of the variance."""


def checks_of(panel: Panel, measured: Measured, second: Estimate | Unknown) -> tuple[Check, ...]:
    """Run all checks of a cell.

    Parameters
    ----------
    panel : Panel
    measured : Measured
    second : Estimate or Unknown
        By another method.

    Returns
    -------
    tuple of Check
    """
    return (
        _fit(measured),
        _drift(measured),
        _in_time(panel, measured),
        _in_space(panel, measured),
        _second(measured, second),
    )


def _fit(measured: Measured) -> Check:
    words = (
        f"before the test the gap is {measured.misfit:.0%} of what the treated markets themselves "
        f"moved, and {measured.imbalance:.0%} of the gap to an equal mix of all others"
    )
    if measured.misfit > LOOSE:
        return Check("fit", "alarm", words)
    return Check("fit", "ok", words)


def _drift(measured: Measured) -> Check:
    if np.isnan(measured.unrest):
        return Check("drift", "unknown", "there is too little before the test to tell")
    times = f"gaps are {measured.unrest:.2f} times as large as the method takes them to be"
    if measured.unrest > placebo.SEEN:
        return Check("drift", "alarm", f"where nothing was done, {times}: the interval is widened")
    return Check("drift", "ok", f"where nothing was done, {times} (1 is as large)")


def _in_time(panel: Panel, measured: Measured) -> Check:
    """Ask for an effect in windows before the test."""
    found = []
    for window in range(1, WINDOWS + 1):
        before = panel.before - window * panel.during
        if before < max(FEWEST_BEFORE, 2 * panel.during):
            break
        end = before + panel.during
        earlier = Panel(panel.treated[:end], panel.donors[:end], before)
        found.append(Scores(earlier, measured.fit.penalty).p_value(0.0))
    if not found:
        return Check("placebo in time", "unknown", "there is too little before the test to tell")
    least = min(found)
    words = f"in {len(found)} windows before the test the least p-value is {least:.2f}"
    if least <= 0.05 / len(found):
        return Check("placebo in time", "alarm", f"{words}: an effect where none can be")
    return Check("placebo in time", "ok", words)


def _in_space(panel: Panel, measured: Measured) -> Check:
    """Ask for an effect in the other markets."""
    if panel.donors.shape[1] < 2:
        return Check("placebo in space", "unknown", "there is one other market only")
    others = placebo.in_space(panel.donors, panel.before)
    squares = Scores(panel, measured.fit.penalty).at(0.0) ** 2
    own = 0.0
    if squares.any():
        own = float(squares[panel.before] / squares.mean())
    odd = int((others >= own).sum())
    words = f"{odd} of {others.shape[0]} other markets look as odd during the test"
    claimed = False
    if isinstance(measured.answer, Estimate):
        claimed = measured.answer.low > 0.0 or measured.answer.high < 0.0
    if claimed and odd > ODD * others.shape[0]:
        return Check("placebo in space", "alarm", f"{words}: something else may have happened")
    return Check("placebo in space", "ok", words)


def _second(measured: Measured, second: Estimate | Unknown) -> Check:
    if isinstance(second, Unknown):
        return Check("second opinion", "unknown", second.reason)
    if isinstance(measured.answer, Unknown):
        return Check("second opinion", "unknown", "there is no first one")
    inside = measured.answer.low <= second.value <= measured.answer.high
    ends = ranged(second.value, second.low, second.high, "")
    words = f"synthetic difference-in-differences says {ends}"
    if inside:
        return Check("second opinion", "ok", words)
    return Check("second opinion", "alarm", f"{words}: outside the interval")
