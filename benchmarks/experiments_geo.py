"""Geo tests: a power study, and fits and intervals beside pysyncon.

- A study of 40 markets x 90 days by 1,000 placebo tests, each with every block predicted and lifts
  put in: once as `geo plan` makes it, and once with all fits augmented.
- The plain fit (weights that are not negative and sum to one) of each market by the others, beside
  pysyncon's with given V: how fast, and whose objective is lower.
- Intervals of one period (pysyncon has none of an average): how often they hold the truth, and how
  wide they are when all are stretched, or shrunk, until they hold it in 95%.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from liftwerk.experiments.geo import read_file
from liftwerk.experiments.geo.plan import Wish, plan
from liftwerk.simulation.geo_trial import WORLDS
from liftwerk.stats.estimate import Estimate
from liftwerk.stats.synthetic_control import Panel, measure
from liftwerk.stats.synthetic_control.augmented import choose_penalty
from liftwerk.stats.synthetic_control.power import detect
from liftwerk.stats.synthetic_control.simplex import Simplex

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "geolift" / "geolift_test.csv"
REQUIREMENT = "pysyncon==1.7.0"
DRAWS = 1_000
TIMES = 50
"""Each of our fits is repeated, so that both are timed over about as long."""

LIFTS = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2])
DESIGN = {"markets": 20, "treated": 1, "before": 60, "during": 1}


class Peer:
    """pysyncon in its own process."""

    def __enter__(self) -> Peer:
        self.folder = Path(tempfile.mkdtemp(prefix="liftwerk-geo."))
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
        peer = str(ROOT / "benchmarks" / "experiments_geo_peer.py")
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [*command, "--with", REQUIREMENT, "python", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | one,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder)

    def ask(self, what: str, cases: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
        """Let it answer cases of a treated series and its donors."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        path = self.folder / "cases.npz"
        arrays = {f"{number}/treated": treated for number, (treated, _) in enumerate(cases)}
        arrays |= {f"{number}/donors": donors for number, (_, donors) in enumerate(cases)}
        np.savez(path, **arrays)
        print(json.dumps({"arrays": str(path), "what": what}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def history() -> np.ndarray:
    """Give the walkthrough's 40 markets x 90 days before the test."""
    markets = read_file(FILE, {})
    return markets.values[: markets.row(date(2021, 4, 1), "the first day of the test")]


def study() -> dict[str, Any]:
    """Time the power study, planned and with every fit augmented."""
    markets = read_file(FILE, {}).until(date(2021, 3, 31))
    wish = Wish(lift=0.05, days=(15,), sizes=(1, 2, 3, 4), draws=DRAWS)
    began = time.perf_counter()
    found = plan(markets, wish, np.random.default_rng(0))
    planned = time.perf_counter() - began
    values = history()
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    for _ in range(DRAWS):
        end = int(rng.integers(60, values.shape[0] + 1))
        chosen = rng.permutation(values.shape[1])
        panel = Panel(values[:end, chosen[:3]], values[:end, chosen[3:]], end - 15)
        penalty = choose_penalty(panel)
        if not np.isfinite(penalty):
            penalty = float((panel.donors.std(axis=0) ** 2).sum())
        detect(panel, penalty, LIFTS)
    augmented = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": {"planned": planned, "augmented": augmented},
        "draws": {"planned": found.draws, "augmented": DRAWS},
        "options": len(found.options),
        "peak_gib": peak,
    }


def fits(peer: Peer, rounds: int) -> dict[str, Any]:
    """Fit each market by the others, both in turn."""
    values = history()[:75]
    places = range(values.shape[1])
    cases = [(values[:, place], np.delete(values, place, axis=1)) for place in places]
    seconds: dict[str, list[float]] = {"liftwerk": [], "pysyncon": []}
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(TIMES):
            ours = [Simplex(donors).weights(treated) for treated, donors in cases]
        seconds["liftwerk"].append((time.perf_counter() - began) / (len(cases) * TIMES))
        theirs = peer.ask("weights", cases)
        seconds["pysyncon"].append(theirs["seconds"] / len(cases))
    errors = [
        [float(np.sqrt(((treated - donors @ np.asarray(weights)) ** 2).mean())) for weights in pair]
        for (treated, donors), pair in zip(
            cases, zip(ours, theirs["answers"], strict=True), strict=True
        )
    ]
    return {
        "seconds_a_fit": {who: statistics.median(times) for who, times in seconds.items()},
        "median_rmse": dict(
            zip(seconds, np.median(np.array(errors), axis=0).tolist(), strict=True)
        ),
        "worst_of_ours_beside_theirs": max(mine / other for mine, other in errors),
        "version": theirs["version"],
    }


def intervals(peer: Peer, experiments: int) -> dict[str, Any]:
    """Draw tests of one period with known truth, and let both give intervals."""
    rng = np.random.default_rng(5)
    truths, cases, ours = [], [], []
    for _ in range(experiments):
        trial = WORLDS["plain"].draw(rng, **DESIGN)
        treated, donors = trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated]
        answer = measure(Panel(treated, donors, trial.before)).answer
        if not isinstance(answer, Estimate):
            continue
        truths.append(trial.effect)
        cases.append((treated[:, 0], donors))
        ours.append((answer.value, answer.low, answer.high))
    theirs = peer.ask("intervals", cases)["answers"]
    truth = np.array(truths)
    found: dict[str, Any] = {"experiments": experiments, "answered": len(cases)}
    for who, given in (("liftwerk", ours), ("pysyncon", theirs)):
        value, low, high = np.array(given).T
        # By how much an interval would have to be stretched to reach the truth.
        needed = (truth - value) / np.where(truth > value, high - value, low - value)
        width = float(np.median(high - low))
        found[who] = {
            "coverage": float(((low <= truth) & (truth <= high)).mean()),
            "median_width": width,
            "median_width_at_95": width * float(np.quantile(needed, 0.95)),
        }
    return found


def run(quick: bool) -> dict[str, Any]:
    """Measure all three.

    Parameters
    ----------
    quick : bool
        Fewer rounds and experiments; the study is the same.
    """
    rounds, experiments = 5, 400
    if quick:
        rounds, experiments = 3, 150
    # One thread, as the peer has.
    with threadpool_limits(1), Peer() as peer:
        fitted = fits(peer, rounds)
        wide = intervals(peer, experiments)
    studied = study()
    seconds = fitted["seconds_a_fit"]
    faster = seconds["pysyncon"] / seconds["liftwerk"]
    worst = fitted["worst_of_ours_beside_theirs"]
    slowest = max(studied["seconds"].values())
    least = 0.95 - 2.6 * (0.95 * 0.05 / wide["answered"]) ** 0.5
    beside = wide["liftwerk"]["median_width_at_95"] / wide["pysyncon"]["median_width_at_95"]
    covered = wide["liftwerk"]["coverage"]
    bars = [
        _bar("geo study, 1,000 placebo tests: seconds", slowest, 60.0, slowest < 60.0),
        _bar("geo study: GiB at most", studied["peak_gib"], 2.0, studied["peak_gib"] < 2.0),
        _bar("plain fit: times faster than pysyncon", faster, 50.0, faster >= 50.0),
        _bar("plain fit: error beside pysyncon's, at worst", worst, 1.0, worst <= 1.0 + 1e-9),
        _bar("interval of one period: coverage", covered, least, covered >= least),
        _bar(
            "interval of one period: width at 95% beside pysyncon's", beside, 1.02, beside <= 1.02
        ),
    ]
    figures = {"study": studied, "fits": fitted, "intervals": wide}
    return {"figures": figures, "versions": {"pysyncon": fitted["version"]}, "bars": bars}


def _bar(bar: str, value: float, goal: float, holds: bool) -> dict[str, Any]:
    return {"bar": bar, "value": value, "goal": goal, "holds": bool(holds)}
