"""``checks`` of a feature: what its values must satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Share

Severity = Literal["stop", "warn"]
"""What a check does that fails: it keeps the values from being used, or tells of it."""

Verdict = Literal["passed", "failed", "unknown"]
"""What comes of a check; unknown where there is too little to tell."""

NUMBERS = ("number", "integer", "money")
"""Types of values that have bounds."""

SPREAD = (*NUMBERS, "string", "boolean")
"""Types of values whose distribution can be compared."""


class FeatureChecks(Struct, frozen=True):
    """What a feature's values must satisfy.

    Attributes
    ----------
    minimum, maximum : float or None
        Bounds, both included.
    null_share : Share or None
        At most so many may be missing.
    categories : tuple of str
        The values that there may be, of a text; empty for any.
    distribution : float or None
        How far the distribution may be from its reference, as population stability index: more than
        0.2 is a usual sign of change.
    severity : str or None
        ``stop`` keeps values from being used, ``warn`` tells of them. Unless it is said, bounds
        stop and all else warns.
    """

    minimum: float | None = None
    maximum: float | None = None
    null_share: Share | None = None
    categories: tuple[str, ...] = ()
    distribution: float | None = None
    severity: Severity | None = None


def check_checks(
    project: Project, path: Path, checks: FeatureChecks, type_: str
) -> Iterable[Problem]:
    """Say what is wrong with the checks of a feature.

    Parameters
    ----------
    project : Project
    path : tuple
        Where they stand.
    checks : FeatureChecks
    type_ : str
        Of the feature's values, as properties name theirs.
    """
    for word in ("minimum", "maximum"):
        bound = getattr(checks, word)
        if bound is not None and type_ not in NUMBERS:
            hint = f"leave it out: the values are no numbers, but of type {type_}"
            yield project.problem((*path, word), hint, bound)
    if (
        checks.minimum is not None
        and checks.maximum is not None
        and checks.minimum > checks.maximum
    ):
        hint = f"write at least the minimum, {checks.minimum:g}"
        yield project.problem((*path, "maximum"), hint, checks.maximum)
    if checks.categories and type_ != "string":
        hint = f"leave it out: categories are of texts, and the values are of type {type_}"
        yield project.problem((*path, "categories"), hint, list(checks.categories))
    for place, category in enumerate(checks.categories):
        if checks.categories.index(category) != place:
            yield project.problem((*path, "categories", place), "name it once", category)
    if checks.distribution is not None and type_ not in SPREAD:
        hint = f"leave it out: values of type {type_} have none to compare"
        yield project.problem((*path, "distribution"), hint, checks.distribution)
    elif checks.distribution is not None and not 0 < checks.distribution < 100:
        hint = "write a population stability index above 0, such as 0.2"
        yield project.problem((*path, "distribution"), hint, checks.distribution)
