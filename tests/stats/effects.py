"""Ask simulated trials the four questions of a report: two e-mails, visits and spend.

Shared by the slow test (100 seeds) and the soak (`soak/heterogeneity.py`, 1,000).
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from liftwerk.models.design import Design, as_design
from liftwerk.models.encode import Encoder
from liftwerk.models.kinds.uplift.trial import Trial
from liftwerk.simulation.email_trial import World, world
from liftwerk.simulation.hillstrom import read
from liftwerk.stats.heterogeneity import Heterogeneity, Question, heterogeneity

FILE = Path(__file__).parents[2] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
QUESTIONS = ("mens_email/visit", "womens_email/visit", "mens_email/spend", "womens_email/spend")
NEGLIGIBLE = {"visit": 0.02, "spend": 1.0}
FOLDS = 5


@functools.cache
def population(name: str) -> tuple[World, Design]:
    truth = world(name, *read(FILE))
    return truth, as_design(pa.table(truth.columns))


def ask(name: str, seed: int) -> dict[str, Heterogeneity]:
    """Draw one trial and answer; scores as `models` makes them, cross-fitted over five folds."""
    truth, customers = population(name)
    rng = np.random.default_rng([seed, 20261125])
    drawn = truth.draw(rng)
    design = customers.take(drawn.rows)
    encoded = Encoder.fit(design).transform(design)
    folds = rng.permutation(len(design)) % FOLDS
    questions = []
    for outcome, values in (("visit", drawn.visit), ("spend", drawn.spend)):
        trial = Trial(design, drawn.action, values, drawn.logged, folds)
        scores = np.empty((len(design), 2))
        for fold in range(FOLDS):
            rows = np.flatnonzero(folds == fold)
            others = tuple((other,) for other in range(FOLDS) if other != fold)
            scores[rows] = trial.scores(rows, others)
        for arm in range(2):
            size = NEGLIGIBLE[outcome]
            questions.append(Question(scores[:, arm], encoded, values, size))
    return dict(zip(QUESTIONS, heterogeneity(questions, rng), strict=True))


def ask_many(name: str, seeds: Iterable[int], processes: int = 2) -> list[dict[str, Heterogeneity]]:
    """Ask many trials on some cores; the result does not depend on how many."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(functools.partial(ask, name), list(seeds), chunksize=4))


def share(answers: list[dict[str, Heterogeneity]], question: str, word: str) -> float:
    """Share of trials in which a question was answered so."""
    return sum(each[question].answer == word for each in answers) / len(answers)
