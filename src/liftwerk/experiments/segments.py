"""The breakdown: the same comparison among units that share a value, corrected for the many.

Whoever looks through ten segments finds a surprising one: answers are adjusted over all segments,
arms and features together, by Holm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftwerk.experiments.categories import categories
from liftwerk.experiments.compare import How, Question, compare_together
from liftwerk.experiments.reading import Segment
from liftwerk.experiments.units import Units

MOST = 12
"""Values of one feature that are read, the most frequent ones."""


def segments(units: Units, questions: Sequence[Question], how: How) -> tuple[Segment, ...]:
    """Compare arms within the values of each declared feature.

    Parameters
    ----------
    units : Units
    questions : sequence of Question
        The first of them is what is broken down.
    how : How

    Returns
    -------
    tuple of Segment
        By feature in the declared order, then by value.
    """
    parts = []
    for feature in units.known.column_names:
        names, codes = categories(units.known.column(feature))
        sizes = np.bincount(codes, minlength=len(names))
        frequent = sorted(np.argsort(-sizes, kind="stable")[:MOST].tolist())
        for place in frequent:
            rows = codes == place
            parts.append((feature, names[place], int(sizes[place]), units.moments(rows)))
    if not parts:
        return ()
    families = compare_together(questions[:1], [arms for *_, arms in parts], how)
    return tuple(
        Segment(feature, value, n, comparisons)
        for (feature, value, n, _), comparisons in zip(parts, families, strict=True)
    )
