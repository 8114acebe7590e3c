"""E-mail trials with known truth, of the shape of the published one.

A world is a finite population (the rows of a covariate table) with, for every customer and each of
three arms, a known probability of a visit, a known probability of an order (nobody orders without
a visit) and a known distribution of what an order is worth. A trial draws customers from it with
replacement, gives each an arm with probability 1/3, and draws outcomes. So the true value of any
rule from covariates to arms is an exact mean over the population.

The probabilities are fitted once, by penalised logistic regressions, on a reference trial; the
worlds differ in what the arms do:

================== ================================================================================
`resampled`        effects as fitted arm by arm; an order is worth one of the reference's orders
`lognormal`        the same, an order is lognormal with sigma 1.6 and the same mean
`constant_effect`  each arm adds the same to everybody's visit probability and expected spend
`planted`          the women's arm adds 0.7 of the linear projection of its effect on visits in the
                   reference; every other effect is constant
`nothing_works`    all arms alike
`harm`             both e-mails lose visits and orders
================== ================================================================================

This file is frozen: methods are judged in these worlds, so it was committed, with its hash in a
test, before any of them was tuned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = dict[str, NDArray[np.float64] | NDArray[np.str_]]

WORLDS = ("resampled", "lognormal", "constant_effect", "planted", "nothing_works", "harm")
ARMS = 3
LOGNORMAL_SIGMA = 1.6
PLANTED_SHARE = 0.7


@dataclass(frozen=True)
class Reference:
    """Arms and outcomes of the trial that the worlds are fitted on, row by row.

    Parameters
    ----------
    action : (N,) int array
        0 is the control arm.
    visit : (N,) float array of 0 and 1
    spend : (N,) float array
        Above 0 for whoever ordered.
    """

    action: NDArray[np.int64]
    visit: Floats
    spend: Floats


@dataclass(frozen=True)
class Trial:
    """One drawn trial.

    Parameters
    ----------
    columns : dict of str to (n,) array
        Covariates under the population's names.
    rows : (n,) int array
        Which population row each customer is.
    action : (n,) int array
    visit, spend : (n,) float array
    logged : (n, 3) float array
        The probabilities with which the arms were drawn: 1/3 each.
    """

    columns: Columns
    rows: NDArray[np.int64]
    action: NDArray[np.int64]
    visit: Floats
    spend: Floats
    logged: Floats


@dataclass(frozen=True)
class World:
    """A population with known outcomes under every arm; see `world`.

    Parameters
    ----------
    name : str
    columns : dict of str to (N,) array
    visit : (N, 3) float array
        Probability of a visit under each arm.
    order : (N, 3) float array
        Probability of an order under each arm; at most that of a visit.
    amounts : (m,) float array
        What an order may be worth, each equally likely.
    sigma : float
        0, or the sigma of lognormal amounts with the mean of `amounts`.
    """

    name: str
    columns: Columns
    visit: Floats
    order: Floats
    amounts: Floats
    sigma: float

    def mean(self, outcome: str) -> Floats:
        """Give the exact expected outcome of every population row under every arm.

        Parameters
        ----------
        outcome : {"visit", "spend"}

        Returns
        -------
        (N, 3) float array
        """
        if outcome == "visit":
            return self.visit
        if outcome == "spend":
            return self.order * float(self.amounts.mean())
        raise ValueError(f"a world has outcomes visit and spend, not {outcome!r}")

    def draw(self, rng: np.random.Generator, n: int | None = None) -> Trial:
        """Draw a trial of `n` customers (as many as the population has, unless told).

        Parameters
        ----------
        rng : numpy.random.Generator
        n : int, optional

        Returns
        -------
        Trial
        """
        population = self.visit.shape[0]
        if n is None:
            n = population
        rows = rng.integers(0, population, size=n)
        action = rng.integers(0, ARMS, size=n)
        visits = self.visit[rows, action]
        visited = rng.random(n) < visits
        ordered = visited & (rng.random(n) * visits < self.order[rows, action])
        if self.sigma > 0.0:
            location = np.log(self.amounts.mean()) - 0.5 * self.sigma**2
            amount = rng.lognormal(location, self.sigma, size=n)
        else:
            amount = rng.choice(self.amounts, size=n)
        return Trial(
            columns={name: column[rows] for name, column in self.columns.items()},
            rows=rows,
            action=action,
            visit=visited.astype(np.float64),
            spend=np.where(ordered, amount, 0.0),
            logged=np.full((n, ARMS), 1.0 / ARMS),
        )


def world(name: str, covariates: Columns, reference: Reference) -> World:
    """Build a world.

    Parameters
    ----------
    name : str
        One of `WORLDS`.
    covariates : dict of str to (N,) array
        The population; numbers are taken as they are, words as categories.
    reference : Reference
        Arms and outcomes of the same N rows.

    Returns
    -------
    World

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> covariates = {"age": rng.normal(size=600)}
    >>> visit = (rng.random(600) < 0.5).astype(float)
    >>> reference = Reference(np.arange(600) % 3, visit, visit * (rng.random(600) < 0.3) * 20.0)
    >>> nothing = world("nothing_works", covariates, reference)
    >>> trial = nothing.draw(rng, 1000)
    >>> trial.spend.shape, bool((nothing.mean("spend")[:, 0] == nothing.mean("spend")[:, 2]).all())
    ((1000,), True)
    """
    if name not in WORLDS:
        raise ValueError(f"no world {name!r}; there are {', '.join(WORLDS)}")
    design = _design(covariates)
    visit, order = _fit_arms(design, reference)
    amounts = np.sort(reference.spend[reference.spend > 0.0])
    sigma = 0.0
    if name == "lognormal":
        sigma = LOGNORMAL_SIGMA
    if name in ("constant_effect", "planted"):
        visit = visit[:, :1] + _mean_effect(reference, reference.visit)
        ordered = (reference.spend > 0.0).astype(np.float64)
        order = order[:, :1] + _mean_effect(reference, ordered)
    if name == "planted":
        projection = design @ _projection(design, reference)
        visit[:, 2] = visit[:, 0] + PLANTED_SHARE * projection
    if name == "nothing_works":
        visit = np.repeat(visit[:, :1], ARMS, axis=1)
        order = np.repeat(order[:, :1], ARMS, axis=1)
    if name == "harm":
        visit = visit[:, :1] * np.array([1.0, 0.85, 0.9])
        order = order[:, :1] * np.array([1.0, 0.6, 0.75])
    visit = np.clip(visit, 0.001, 0.999)
    order = np.clip(order, 0.0, visit)
    return World(name, dict(covariates), visit, order, amounts, sigma)


def _design(covariates: Columns) -> Floats:
    """Intercept, standardised numbers, indicators of all but the first category."""
    parts = [np.ones(len(next(iter(covariates.values()))))]
    for column in covariates.values():
        if column.dtype.kind == "U":
            levels = np.unique(column)
            parts.extend((column == level).astype(np.float64) for level in levels[1:])
        else:
            numbers = column.astype(np.float64)
            parts.append((numbers - numbers.mean()) / numbers.std())
    return np.column_stack(parts)


def _fit_arms(design: Floats, reference: Reference) -> tuple[Floats, Floats]:
    """Probabilities of visit and order for all rows under each arm."""
    visits = []
    orders = []
    ordered = (reference.spend > 0.0).astype(np.float64)
    for arm in range(ARMS):
        inside = reference.action == arm
        visitors = inside & (reference.visit > 0.0)
        visit = _logistic(design, _fit_logistic(design[inside], reference.visit[inside]))
        # Few orders: a stronger penalty, so that the worlds are not wilder than the reference.
        order_of_visitor = _fit_logistic(design[visitors], ordered[visitors], penalty=10.0)
        visits.append(visit)
        orders.append(visit * _logistic(design, order_of_visitor))
    return np.column_stack(visits), np.column_stack(orders)


def _logistic(design: Floats, coefficients: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-design @ coefficients)), dtype=np.float64)


def _fit_logistic(design: Floats, outcome: Floats, penalty: float = 1.0) -> Floats:
    """Ridge-penalised logistic regression by Newton's method; the intercept is free."""
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    coefficients = np.zeros(design.shape[1])
    for _ in range(30):
        fitted = _logistic(design, coefficients)
        gradient = design.T @ (outcome - fitted) - ridge * coefficients
        weights = fitted * (1.0 - fitted)
        curvature = (design * weights[:, None]).T @ design + np.diag(ridge)
        coefficients = coefficients + np.linalg.solve(curvature, gradient)
    return coefficients


def _mean_effect(reference: Reference, outcome: Floats) -> Floats:
    """Difference in means of each arm to control; 0 for control itself."""
    means = np.array([outcome[reference.action == arm].mean() for arm in range(ARMS)])
    return np.asarray(means - means[0], dtype=np.float64)


def _projection(design: Floats, reference: Reference) -> Floats:
    """Coefficients of the linear projection of the women's effect on visits."""
    fits = []
    for arm in (0, 2):
        inside = reference.action == arm
        fits.append(np.linalg.lstsq(design[inside], reference.visit[inside], rcond=None)[0])
    return np.asarray(fits[1] - fits[0], dtype=np.float64)
