"""No unit's prediction knows its own outcome, and predictions are worth something."""

from __future__ import annotations

import numpy as np

from liftwerk.experiments.cupac import FEWEST, foretell
from liftwerk.models.design import Design

N = 600


def told(before: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    return foretell(Design.from_matrix(before), outcomes, np.random.default_rng(1))


def test_a_unit_s_own_outcome_is_not_in_its_prediction() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=(N, 3))
    spend = before @ [1.0, 2.0, 0.0] + rng.normal(size=N)
    changed = spend.copy()
    changed[17] += 1_000.0
    first, second = told(before, spend[None])[0], told(before, changed[None])[0]
    assert first[17] == second[17]
    assert np.mean(first != second) > 0.7


def test_what_covariates_tell_is_foretold_for_each_outcome() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(size=(N, 3))
    outcomes = np.stack([before[:, 0] + 0.5 * rng.normal(size=N), rng.normal(size=N)])
    found = told(before, outcomes)
    assert np.corrcoef(found[0], outcomes[0])[0, 1] > 0.8
    # Of noise nothing is foretold.
    assert np.var(found[1]) < 0.02


def test_of_few_units_nothing_is_learned() -> None:
    rng = np.random.default_rng(3)
    outcomes = rng.normal(size=(1, FEWEST - 1))
    found = told(rng.normal(size=(FEWEST - 1, 2)), outcomes)
    assert np.all(found == outcomes.mean())
