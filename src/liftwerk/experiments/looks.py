"""The timeline: what was to be seen at the end of each day, from moments that add up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from liftwerk.experiments.compare import How, Question, compare
from liftwerk.experiments.reading import Look, Seen
from liftwerk.experiments.units import Units
from liftwerk.stats.moments import Moments

EPOCH = date(1970, 1, 1)

MOST = 90
"""Days that are read; of a longer experiment evenly spread ones, the last among them."""


def looks(units: Units, questions: Sequence[Question], how: How) -> tuple[Look, ...]:
    """Read what had matured by each day's end, oldest first.

    Parameters
    ----------
    units : Units
    questions : sequence of Question
    how : How

    Returns
    -------
    tuple of Look
        A day on which nothing matured is left out: it showed what the day before did.
    """
    found: list[Look] = []
    none = [Moments.none(len(units.columns))] * units.strata
    so_far = dict.fromkeys(units.arms, none)
    days = np.unique(units.day)
    shown = set(days[np.linspace(0, len(days) - 1, min(MOST, len(days))).astype(np.int64)].tolist())
    for day in days.tolist():
        # Units stand in the order in which they matured.
        first, behind = np.searchsorted(units.day, [day, day + 1]).tolist()
        fresh = units.moments(slice(first, behind))
        so_far = {
            arm: [old + new for old, new in zip(so_far[arm], fresh[arm], strict=True)]
            for arm in units.arms
        }
        if day in shown:
            n = sum(one.n for parts in so_far.values() for one in parts)
            seen = tuple(
                Seen(one.metric, one.arm, one.absolute) for one in compare(questions, so_far, how)
            )
            found.append(Look(EPOCH + timedelta(days=day), n, seen))
    return tuple(found)
