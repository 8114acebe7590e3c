"""From the moments of two arms to how far apart they are, with one method for all that is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference import intervals, region
from liftwerk.stats.difference.adjust import Adjusted, adjust
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.kinds import KINDS, Kind
from liftwerk.stats.difference.methods import METHODS, Method, MethodName
from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.difference.methods.fixed import Fixed
from liftwerk.stats.difference.pair import Both, of_clusters, pair, total
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.moments import Moments
from liftwerk.stats.multiplicity import holm, holm_levels

Floats: TypeAlias = NDArray[np.float64]
Arm: TypeAlias = Moments | Sequence[Moments]


NO_PART = Unknown(
    "control's value is not shown to be above 0, so nothing is a part of it",
    "more units, or a metric whose mean is above 0",
)


class Difference(msgspec.Struct, frozen=True):
    """How far the treated arm is from control.

    Attributes
    ----------
    absolute : Estimate or Unknown
        Treated less control, in the metric's unit.
    relative : Estimate or Unknown
        The same as a part of control's value: 0.05 is five per cent more.
    p_value : float or None
        Of no difference, by the method of both intervals: they exclude 0 if and only if it is at
        most 1 - level.
    method : str
        ``anytime`` or ``fixed``.
    """

    absolute: Estimate | Unknown
    relative: Estimate | Unknown
    p_value: float | None
    method: MethodName


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two arms compared, ready to be read at any level.

    Attributes
    ----------
    control, treated : float
        Values of the arms after adjustment, or the reason why there is none.
    covariance : (2, 2) float array
        Of these two values.
    n : int
        Units (or clusters) of both arms.
    name : str
        ``anytime`` or ``fixed``.
    law : Method
    words : str
        How it was made.
    assumptions : tuple of str
    """

    control: float
    treated: float
    covariance: Floats
    n: int
    name: MethodName
    law: Method
    words: str
    assumptions: tuple[str, ...]

    @property
    def standard_error(self) -> float:
        """Standard error of the difference."""
        return float(intervals.standard_error(self.covariance))

    @property
    def p_value(self) -> float:
        """p-value of no difference."""
        return float(self.law.p_value((self.treated - self.control) / self.standard_error))

    def read(self, level: float = 0.95) -> Difference:
        """Give intervals at a level, and the p-value that goes with them.

        Parameters
        ----------
        level : float

        Returns
        -------
        Difference
        """
        values, reach = np.array([self.control, self.treated]), self.law.reach(level)
        absolute = self._estimate(intervals.of_difference(values, self.covariance, reach), level)
        relative: Estimate | Unknown = NO_PART
        ratio = intervals.of_ratio(values, self.covariance, reach)
        if all(math.isfinite(each) for each in ratio):
            relative = self._estimate(ratio, level)
        return Difference(absolute, relative, self.p_value, self.name)

    def _estimate(self, found: tuple[Floats, ...], level: float) -> Estimate:
        value, low, high, error = (float(each) for each in found)
        return Estimate(value, low, high, error, self.n, self.words, self.assumptions, level)


def contrast(
    kind: str,
    control: Arm,
    treated: Arm,
    *,
    method: MethodName = "anytime",
    tuned_for: float | None = None,
    level: float = 0.95,
    clustered: bool = False,
    notes: tuple[str, ...] = (),
) -> Contrast | Unknown:
    r"""Compare two arms.

    Covariates are columns that the arm cannot have changed: features as of the assignment, or
    predictions made from them by models that did not learn from the unit. With :math:`d` the
    difference of outcomes and :math:`z` that of covariates, what is read is :math:`d - \theta^T z`
    with the :math:`\theta` of least variance, :math:`\mathrm{Cov}(z)^{-1} \mathrm{Cov}(z, d)`:
    CUPED (Deng, Xu, Kohavi and Walker, 2013, WSDM) from regressions within the arms, weighted so
    that it never loses, also with unequal arms (Lin, 2013, Annals of Applied Statistics 7(1)).

    Parameters
    ----------
    kind : {"mean", "proportion", "ratio"}
    control, treated : Moments, or a sequence of Moments for strata
        Columns: the outcome (of a ratio its numerator and denominator), then covariates. Where
        clusters were assigned, moments are over clusters, and columns are sums over the cluster's
        units: of the outcome, then their number (of a ratio its denominator), then of covariates.
    method : {"anytime", "fixed"}
    tuned_for : float
        For ``anytime``: units of both arms together with which intervals shall be narrowest. Where
        clusters were assigned, units within them (of a ratio, of its denominator).
    level : float
        At which level they shall be narrowest.
    clustered : bool
        Whether moments are over clusters.
    notes : tuple of str
        What else has to hold or was done: it goes to the estimate's assumptions.

    Returns
    -------
    Contrast or Unknown
        Unknown outside the region in which intervals were shown to cover.

    Raises
    ------
    ValueError
        If arms have other strata, ``anytime`` is not tuned, or the kind is not known.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> arms = [Moments.of([rng.normal(mean, 1.0, 4000)]) for mean in (1.0, 1.2)]
    >>> answer = contrast("mean", *arms, method="fixed").read()
    >>> print(answer.absolute, answer.p_value < 0.05)
    0.23138 (0.187426 to 0.275335) True
    """
    strata = _strata(control, treated)
    shape = kind_of(kind, clustered)
    whole = Arms.of([total(strata)])
    outside = region.refusal(shape, whole, clustered, region.corrects(shape, method))
    if outside is not None:
        return outside
    arms = pair(strata, shape.freedom)
    if clustered:
        arms = of_clusters(arms)
    adjusted = adjust(shape, arms)
    fault = adjusted.why_not()
    if fault is not None:
        return fault
    if method == "fixed":
        law: Method = Fixed(
            float(adjusted.freedom), float(region.skewness_of_difference(shape, whole)[0])
        )
    else:
        law = _sequence(adjusted, whole, tuned_for, level, clustered)
    what = "clusters" if clustered else "units"
    assumptions = [METHODS[method].assumption, f"{what} do not influence each other"]
    words = [f"difference of {kind}s", *_how(shape, strata, arms.strata, clustered)]
    if clustered:
        assumptions.append("clusters were assigned as a whole")
    elif kind != "proportion" and whole.cubes is None:
        assumptions.append(region.UNSEEN)
    if adjusted.covariates:
        assumptions.append("the arms cannot have changed the covariates")
    return Contrast(
        float(adjusted.values[0]),
        float(adjusted.values[1]),
        adjusted.covariance,
        int(arms.sizes.sum()),
        method,
        law,
        f"{', '.join(words)}: {METHODS[method].words}",
        (*assumptions, *notes),
    )


def difference(
    kind: str,
    control: Arm,
    treated: Arm,
    *,
    method: MethodName = "anytime",
    tuned_for: float | None = None,
    level: float = 0.95,
    clustered: bool = False,
    notes: tuple[str, ...] = (),
) -> Difference:
    """Compare two arms and read the answer at one level.

    Parameters
    ----------
    kind, control, treated, method, tuned_for, level, clustered, notes : as for `contrast`

    Returns
    -------
    Difference

    Examples
    --------
    >>> few = Moments.of([[0.0, 1.0, 0.0]])
    >>> print(difference("proportion", few, few, tuned_for=1000).absolute)
    unknown: an arm has 3 units (needs at least 50 units in each arm)
    """
    found = contrast(
        kind,
        control,
        treated,
        method=method,
        tuned_for=tuned_for,
        level=level,
        clustered=clustered,
        notes=notes,
    )
    if isinstance(found, Unknown):
        return Difference(found, found, None, method)
    return found.read(level)


def together(
    contrasts: Sequence[Contrast | Unknown], level: float = 0.95, method: MethodName = "anytime"
) -> list[Difference]:
    """Read a family of comparisons (metrics times arms) together, by Holm.

    The p-values are the adjusted ones, and each interval is read at the level that belongs to
    its step of Holm's procedure, so that an interval excludes 0 if and only if its adjusted
    p-value is at most 1 - level.

    Parameters
    ----------
    contrasts : sequence of Contrast or Unknown
        An Unknown counts as a member of the family that says nothing.
    level : float
    method : {"anytime", "fixed"}
        What the Unknown ones would have been read by.

    Returns
    -------
    list of Difference, in the order of the contrasts
    """
    raw = [1.0 if isinstance(each, Unknown) else each.p_value for each in contrasts]
    answers = []
    for each, step, p in zip(contrasts, holm_levels(raw, level), holm(raw), strict=True):
        if isinstance(each, Unknown):
            answers.append(Difference(each, each, None, method))
        else:
            answers.append(msgspec.structs.replace(each.read(float(step)), p_value=float(p)))
    return answers


def _strata(control: Arm, treated: Arm) -> list[Both]:
    """Bring arms into one form: a list of strata with both arms in each."""
    first = [control] if isinstance(control, Moments) else list(control)
    second = [treated] if isinstance(treated, Moments) else list(treated)
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} strata of control go with {len(second)} of the other arm")
    return list(zip(first, second, strict=True))


def kind_of(kind: str, clustered: bool) -> Kind:
    """Find a kind by its name."""
    if kind not in KINDS:
        raise ValueError(f"no kind of metric is called {kind!r}: {', '.join(KINDS)}")
    # A mean over the units of clusters is a ratio of two sums over clusters.
    return KINDS["ratio"] if clustered else KINDS[kind]


def _sequence(
    adjusted: Adjusted, arms: Arms, tuned_for: float | None, level: float, clustered: bool
) -> Anytime:
    if tuned_for is None:
        raise ValueError("a confidence sequence is tuned for a number of units: none was given")
    if not clustered:
        return Anytime(float(arms.n.sum()), tuned_for, level)
    # Clusters are seen again at the next look, with more units: information grows no faster than
    # the number of these, and looks are more alike than those of independent units.
    clock = float((arms.n * arms.means[..., 1]).sum())
    return Anytime(clock, tuned_for, level, float(adjusted.freedom), correlated=True)


def _how(kind: Kind, strata: Sequence[Both], kept: int, clustered: bool) -> list[str]:
    """Say in words what was done beside comparing."""
    words = []
    if clustered:
        words.append("robust for clusters")
    if kept > 1:
        words.append(f"within {kept} strata")
    covariates = len(strata[0][0].means) - kind.columns
    if covariates:
        words.append(f"adjusted by {covariates} covariate{'s'[: covariates > 1]}")
    return words
