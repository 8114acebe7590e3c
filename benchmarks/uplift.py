"""Uplift against its peers: true Qini in trials with known effects, Qini on the real file.

    .venv/bin/python -m benchmarks uplift [--quick]

**Known effects.** 200 trials (seeds 0 to 199) of the frozen world ``resampled`` of
`liftwerk.simulation.email_trial`, as many customers as the real file has, three arms. Everybody is
fitted on the same trial and orders the whole population; the true Qini is computed from the known
effects, in outcome per customer above random order.

**Real file.** 20 splits in halves (seeds 0 to 19). q(k) = Yt(k) - Yc(k) Nt(k) / Nc(k) on the test
half sorted by score; the figure is (mean_k q(k) - q(n) / 2) / Nt(n). Splits overlap, so errors are
corrected after Nadeau and Bengio (2003).

Peers get the same small LightGBM learners that we would give them for this size, and the known
probabilities; all run on one thread, one after the other on the same data. Families of tests are
corrected after Holm (1979).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from liftwerk.models.design import Design
from liftwerk.models.kinds.uplift.model import fit_uplift
from liftwerk.simulation.email_trial import Columns, Reference, world
from liftwerk.simulation.hillstrom import read

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
REQUIREMENTS = (
    "econml==0.17.0",
    "causalml==0.18.0",
    "scikit-uplift==0.5.1",
    "lightgbm==4.7.0",
    "scikit-learn==1.9.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
)
OURS = "liftwerk"
TO_BEAT = "econml DRLearner, linear final"
OUTCOMES = ("visit", "spend")
ARMS = {1: "men's", 2: "women's"}
TRIALS, SPLITS = 200, 20
QUICK_TRIALS, QUICK_SPLITS = 8, 4

Floats = np.ndarray
Key = tuple[str, int]
Scores = dict[str, dict[Key, Floats]]
Seconds = dict[str, list[tuple[float, float]]]


class Peers:
    """The peers' process, in an environment that is thrown away."""

    def __enter__(self) -> Peers:
        self.folder = Path(tempfile.mkdtemp(prefix="liftwerk-uplift."))
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
        for requirement in REQUIREMENTS:
            command += ["--with", requirement]
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [*command, "python", str(ROOT / "benchmarks" / "uplift_peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | one,
        )
        hello = self._read()
        self.names: list[str] = hello["peers"]
        self.versions: dict[str, str] = hello["versions"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder)

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process ended")
        return json.loads(line)

    def ask(self, given: dict[str, Floats]) -> tuple[Scores, Seconds]:
        """Let every peer fit on a train set and predict effects on a test set."""
        assert self.process.stdin is not None
        paths = {name: str(self.folder / f"{name}.npz") for name in ("given", "found")}
        np.savez(paths["given"], **given)
        print(json.dumps(paths), file=self.process.stdin, flush=True)
        clocks = self._read()["seconds"]
        scores: Scores = {name: {} for name in self.names}
        seconds: Seconds = {name: [] for name in self.names}
        with np.load(paths["found"]) as found:
            for label, clock in clocks.items():
                name, outcome, arm = label.split("|")
                scores[name][outcome, int(arm)] = found[label]
                seconds[name].append(tuple(clock))
        return scores, seconds


def numbers(columns: Columns, levels: Columns) -> Floats:
    """Give the peers their matrix: words as indicators of the levels of the whole file."""
    parts = []
    for name, column in columns.items():
        if column.dtype.kind == "U":
            parts += [(column == level).astype(np.float64) for level in np.unique(levels[name])]
        else:
            parts.append(column.astype(np.float64))
    return np.column_stack(parts)


def ours(
    train: Columns, action: Floats, outcomes: dict[str, Floats], test: Columns
) -> tuple[dict[Key, Floats], list[tuple[float, float]]]:
    """Fit liftwerk on a train set and predict effects on a test set."""
    logged = np.full((len(action), 3), 1.0 / 3.0)
    scores: dict[Key, Floats] = {}
    seconds = []
    for outcome, values in outcomes.items():
        wall, cpu = time.perf_counter(), time.process_time()
        model = fit_uplift(Design.from_table(pa.table(train)), action, values, logged)
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        effects = model.effects(pa.table(test))
        for arm in ARMS:
            scores[outcome, arm] = effects[:, arm - 1]
    return scores, seconds


def true_qini(score: Floats, effect: Floats) -> float:
    """Area between the curve of known effects and random order, equal scores shared evenly."""
    _, place = np.unique(-score, return_inverse=True)
    shared = np.bincount(place, weights=effect) / np.bincount(place)
    curve = np.cumsum(shared[np.sort(place)]) / len(effect)
    return float(curve.mean() - curve[-1] * (len(effect) + 1) / (2 * len(effect)))


def seen_qini(score: Floats, treated: Floats, outcome: Floats, rng: np.random.Generator) -> float:
    """Qini on a test half, as the module's docstring has it; equal scores in random order."""
    order = np.lexsort((rng.random(len(score)), -score))
    t, y = treated[order], outcome[order]
    nt, nc = np.cumsum(t), np.cumsum(~t)
    yt, yc = np.cumsum(y * t), np.cumsum(y * ~t)
    curve = yt - yc * nt / np.maximum(nc, 1)
    return float((curve.mean() - curve[-1] / 2.0) / nt[-1])


def holm(p_values: dict[Any, float]) -> dict[Any, float]:
    """Adjust p-values of a family (Holm 1979)."""
    adjusted: dict[Any, float] = {}
    worst = 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        worst = max(worst, min(1.0, p * (len(p_values) - place)))
        adjusted[name] = worst
    return adjusted


def on_trials(
    peers: Peers, covariates: Columns, reference: Reference, seeds: Iterable[int]
) -> tuple[dict[Key, dict[str, list[float]]], Seconds]:
    """Collect true Qinis, the oracle's among them, over trials with known effects."""
    known = world("resampled", covariates, reference)
    effects = {outcome: known.mean(outcome) for outcome in OUTCOMES}
    qinis: dict[Key, dict[str, list[float]]] = {(o, a): {} for o in OUTCOMES for a in ARMS}
    seconds: Seconds = {}
    for seed in seeds:
        trial = known.draw(np.random.default_rng(seed))
        outcomes = {"visit": trial.visit, "spend": trial.spend}
        mine, spent = ours(trial.columns, trial.action, outcomes, covariates)
        scores, clocks = peers.ask(
            {
                "x": numbers(trial.columns, covariates),
                "action": trial.action,
                "test": numbers(covariates, covariates),
                **{f"y_{name}": values for name, values in outcomes.items()},
            }
        )
        for name, clock in {OURS: spent, **clocks}.items():
            seconds.setdefault(name, []).extend(clock)
        for outcome, arm in qinis:
            effect = effects[outcome][:, arm] - effects[outcome][:, 0]
            found = qinis[outcome, arm]
            found.setdefault("known effects themselves", []).append(true_qini(effect, effect))
            for name, said in {OURS: mine, **scores}.items():
                if (outcome, arm) in said:
                    value = true_qini(said[outcome, arm], effect)
                    found.setdefault(name, []).append(value)
        _tell(f"trial {seed}", qinis)
    return qinis, seconds


def on_the_file(
    peers: Peers, covariates: Columns, reference: Reference, seeds: Iterable[int]
) -> dict[Key, dict[str, list[float]]]:
    """Collect Qinis on the test halves of splits of the real file."""
    qinis: dict[Key, dict[str, list[float]]] = {(o, a): {} for o in OUTCOMES for a in ARMS}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(reference.action))
        train, test = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        halves = [
            {name: column[rows] for name, column in covariates.items()} for rows in (train, test)
        ]
        outcomes = {"visit": reference.visit, "spend": reference.spend}
        seen = {name: values[train] for name, values in outcomes.items()}
        mine, _ = ours(halves[0], reference.action[train], seen, halves[1])
        scores, _ = peers.ask(
            {
                "x": numbers(halves[0], covariates),
                "action": reference.action[train],
                "test": numbers(halves[1], covariates),
                **{f"y_{name}": values for name, values in seen.items()},
            }
        )
        action = reference.action[test]
        for outcome, arm in qinis:
            pair = (action == 0) | (action == arm)
            for name, said in {OURS: mine, **scores}.items():
                if (outcome, arm) in said:
                    value = seen_qini(
                        said[outcome, arm][pair],
                        action[pair] == arm,
                        outcomes[outcome][test][pair],
                        np.random.default_rng(seed),
                    )
                    qinis[outcome, arm].setdefault(name, []).append(value)
        _tell(f"split {seed}", qinis)
    return qinis


def compare(
    qinis: dict[Key, dict[str, list[float]]], correction: Callable[[int], float]
) -> dict[str, dict[str, dict[str, float]]]:
    """Give means, and for every peer the difference to ours with its corrected error and p."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    p_values: dict[tuple[str, str], float] = {}
    for (outcome, arm), found in qinis.items():
        problem = f"{ARMS[arm]} {outcome}"
        table[problem] = {}
        for name, values in found.items():
            row = {"mean": float(np.mean(values))}
            if name != OURS:
                behind = np.array(found[OURS]) - np.array(values)
                count = len(behind)
                error = float(np.sqrt(behind.var(ddof=1) * correction(count)))
                row |= {"ours_less_this": float(behind.mean()), "error": error}
                if name in found and not name.startswith("known"):
                    t = float(behind.mean()) / max(error, 1e-300)
                    p_values[problem, name] = float(stats.t.cdf(t, count - 1))
            table[problem][name] = row
    for (problem, name), p in holm(p_values).items():
        table[problem][name]["holm_p_ours_is_worse"] = p
    return table


def run(quick: bool = False) -> dict[str, Any]:
    """Run everybody alternately on the same data.

    Parameters
    ----------
    quick : bool
        8 trials and 4 splits instead of 200 and 20.

    Returns
    -------
    dict
        Figures, and ``bars``.
    """
    trials, splits = TRIALS, SPLITS
    if quick:
        trials, splits = QUICK_TRIALS, QUICK_SPLITS
    covariates, reference = read(FILE)
    with Peers() as peers:
        known, seconds = on_trials(peers, covariates, reference, range(trials))
        seen = on_the_file(peers, covariates, reference, range(splits))
        versions = peers.versions
    in_trials = compare(known, lambda count: 1.0 / count)
    # Nadeau and Bengio: test and train halves are of one size.
    on_file = compare(seen, lambda count: 1.0 / count + 1.0)
    return {
        "trials": trials,
        "splits": splits,
        "rows": len(reference.action),
        "true_qini_per_customer": in_trials,
        "file_qini_per_treated": on_file,
        "fit_seconds_of_both_arms_and_one_outcome": _per_outcome(seconds),
        "ratios": {
            "liftwerk / best peer, true Qini": {
                problem: row[OURS]["mean"] / row[_best(row)]["mean"]
                for problem, row in in_trials.items()
            },
        },
        "versions": {f"peer {name}": text for name, text in versions.items()},
        "bars": [*_trial_bars(in_trials), *_file_bars(on_file)],
    }


def _best(row: dict[str, dict[str, float]]) -> str:
    peers = [name for name in row if name != OURS and not name.startswith("known")]
    return max(peers, key=lambda name: row[name]["mean"])


def _trial_bars(table: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    bars = []
    for problem, row in table.items():
        best = _best(row)
        ratio = row[OURS]["mean"] / row[best]["mean"]
        p = row[best]["holm_p_ours_is_worse"]
        bars.append(
            {
                "bar": f"true Qini, {problem}: ours / {best}, or not significantly below (Holm)",
                "value": ratio,
                "goal": 0.95,
                "holm_p": p,
                "holds": bool(ratio >= 0.95 or p >= 0.05),
            }
        )
    return bars


def _file_bars(table: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    bars = []
    for problem in ("women's visit", "women's spend"):
        ratio = table[problem][OURS]["mean"] / table[problem][TO_BEAT]["mean"]
        bars.append(
            {
                "bar": f"Qini on the real file, {problem}: ours / {TO_BEAT}",
                "value": ratio,
                "goal": 0.9,
                "holds": bool(ratio >= 0.9),
            }
        )
    return bars


def _per_outcome(seconds: Seconds) -> dict[str, dict[str, float]]:
    """Median wall and CPU seconds; a peer is fitted arm by arm, we fit both at once."""
    found = {}
    for name, clocks in seconds.items():
        fits = len(ARMS)
        if name == OURS:
            fits = 1
        wall, cpu = np.median(np.array(clocks), axis=0) * fits
        found[name] = {"wall": round(float(wall), 4), "cpu": round(float(cpu), 4)}
    return found


def _tell(what: str, qinis: dict[Key, dict[str, list[float]]]) -> None:
    """Say on stderr what was found last, so that a run cut short has not been for nothing."""
    last = {
        f"{ARMS[arm]} {outcome}": {name: round(values[-1], 6) for name, values in found.items()}
        for (outcome, arm), found in qinis.items()
    }
    print(f"uplift: {what}: {json.dumps(last)}", file=sys.stderr, flush=True)
