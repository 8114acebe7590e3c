"""Read simulated trials through the real learners and the real evaluation, and count what covers.

Shared by the test (100 fixed seeds) and the soak (`soak/coverage.py`, thousands).
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from liftwerk.decisions.evaluate import Evaluation, evaluate, fixed_policies
from liftwerk.decisions.kinds.uplift import Rule, choose_probabilities
from liftwerk.decisions.learn import learn_in_turn
from liftwerk.models.design import Design, as_design
from liftwerk.simulation.email_trial import World, world
from liftwerk.simulation.hillstrom import read
from liftwerk.stats.estimate import Estimate, Unknown

FILE = Path(__file__).parents[2] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
# The example's own numbers: half of spend is margin, an e-mail costs five cents, floors of 0.05.
RULE = Rule(costs=(0.0, 0.05, 0.05), multiply=0.5, exploration=0.05)
BASELINES = {"mens_to_all": 1, "womens_to_all": 2}
LEARNED = "learned"


@functools.cache
def population(name: str) -> tuple[World, Design, np.ndarray]:
    """The world, its customers as a design, and the true reward of each action for each."""
    truth = world(name, *read(FILE))
    reward = RULE.multiply * truth.mean("spend") - np.array(RULE.costs)
    return truth, as_design(pa.table(truth.columns)), reward


@dataclass(frozen=True)
class Reading:
    """One trial's answers beside the truth."""

    seed: int
    evaluation: Evaluation
    values: dict[str, float]

    def hit(self, policy: str, estimator: str) -> bool | None:
        """Tell whether the interval holds the true value; None for an Unknown."""
        answer = self.evaluation.policies[policy].values[estimator]
        return _holds(answer, self.values[policy])

    def hit_difference(self, policy: str) -> bool | None:
        answer = self.evaluation.differences[policy]
        return _holds(answer, self.values[LEARNED] - self.values[policy])

    def hit_jointly(self) -> bool | None:
        """Tell whether all intervals of differences hold; None when none was given."""
        hits = [self.hit_difference(policy) for policy in self.evaluation.differences]
        given = [hit for hit in hits if hit is not None]
        if not given:
            return None
        return all(given)

    def claims_too_much(self) -> bool:
        """Tell whether the headline says better (or worse) than a policy when it is not."""
        headline = self.evaluation.headline
        difference = self.values[LEARNED] - self.values[headline.against]
        if headline.verdict == "better":
            return difference <= 0.0
        return headline.verdict == "worse" and difference >= 0.0


def _holds(answer: Estimate | Unknown, truth: float) -> bool | None:
    if isinstance(answer, Unknown):
        return None
    return answer.low <= truth <= answer.high


def read_trial(name: str, seed: int, n: int | None = None) -> Reading:
    """Draw one trial, learn, evaluate, and put the truth beside it."""
    truth, customers, earned = population(name)
    rng = np.random.default_rng([seed, 20261124])
    trial = truth.draw(rng, n)
    reward = RULE.multiply * trial.spend - np.array(RULE.costs)[trial.action]
    design = customers.take(trial.rows)
    turns = learn_in_turn(design, trial.action, trial.spend, trial.logged, rng)
    evaluation = evaluate(
        reward,
        trial.action,
        trial.logged,
        learned=choose_probabilities(turns.effects, RULE),
        predicted=RULE.multiply * turns.means - np.array(RULE.costs),
        fixed=fixed_policies(BASELINES, trial.logged),
        folds=turns.folds,
        rng=rng,
    )
    shares = np.bincount(turns.folds) / turns.folds.shape[0]
    by_fold = [
        float((choose_probabilities(model.effects(customers), RULE) * earned).sum(axis=1).mean())
        for model in turns.models
    ]
    values = {LEARNED: float(shares @ np.array(by_fold))}
    for policy, probabilities in fixed_policies(BASELINES, np.full((1, 3), 1.0 / 3.0)).items():
        values[policy] = float((probabilities[0] * earned).sum(axis=1).mean())
    return Reading(seed, evaluation, values)


def read_trials(name: str, seeds: Iterable[int], processes: int = 2) -> list[Reading]:
    """Read many trials on some cores; the result does not depend on how many."""
    wanted = list(seeds)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(functools.partial(read_trial, name), wanted, chunksize=4))


def coverage(hits: Sequence[bool | None]) -> tuple[float, float]:
    """Share that holds among the answered ones (1 where none is), and share of Unknown."""
    answered = [hit for hit in hits if hit is not None]
    unknown = 1.0 - len(answered) / len(hits)
    if not answered:
        return 1.0, unknown
    return float(np.mean(answered)), unknown


def table(readings: Sequence[Reading]) -> dict[str, tuple[float, float]]:
    """Coverage and share of Unknown of every interval that a report shows."""
    first = readings[0].evaluation
    rows = {}
    for policy, value in first.policies.items():
        for estimator in value.values:
            hits = [reading.hit(policy, estimator) for reading in readings]
            rows[f"{policy}/{estimator}"] = coverage(hits)
    for policy in first.differences:
        hits = [reading.hit_difference(policy) for reading in readings]
        rows[f"{LEARNED} - {policy}"] = coverage(hits)
    rows["differences jointly"] = coverage([reading.hit_jointly() for reading in readings])
    return rows
