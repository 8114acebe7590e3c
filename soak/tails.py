"""Map where an interval of a mean of rewards can be believed, over size and tail.

    .venv/bin/python -m soak.tails [--draws 2000]

Rewards are 0 for all but 0.9% of the rows; the others are the published trial's orders, lognormal
or Pareto. For each size: how often Cochran's rule lets all rows pass; coverage of the mean of one
arm of three (3 times the reward in a third of the rows) with the plain and the corrected interval;
how often it is answered, and answered wrongly. Then the coverage of a difference of two arms, for
which the plain interval is used. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from liftwerk.simulation.hillstrom import read
from liftwerk.stats import tails
from liftwerk.stats.interval import critical, hall_quantile

FILE = Path(__file__).parents[1] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
SIZES = (2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 512_000)
BUYERS = 0.009
TAILS = ("resampled", "lognormal 0.8", "lognormal 1.2", "lognormal 1.6", "pareto 2.5", "pareto 3.5")
Moments = tuple[float, float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    orders = read(FILE)[1].spend
    orders = orders[orders > 0.0]
    rng = np.random.default_rng(arguments.seed)
    rows = []
    for tail in TAILS:
        for n in SIZES:
            row = {"tail": tail, "n": n} | _cell(tail, n, orders, arguments.draws, rng)
            print(json.dumps(row), file=sys.stderr)
            rows.append(row)
    print(json.dumps({"draws": arguments.draws, "seed": arguments.seed, "map": rows}))
    return 0


def _cell(
    tail: str, n: int, orders: np.ndarray, draws: int, rng: np.random.Generator
) -> dict[str, float]:
    truth = BUYERS * float(orders.mean())
    pooled = np.empty(draws)
    arm = np.empty((draws, 3))
    difference = np.empty((draws, 3))
    for draw in range(draws):
        buyers = max(int(rng.binomial(n, BUYERS)), 3)
        rewards = _orders(tail, buyers, orders, rng)
        which = rng.integers(0, 3, buyers)
        _, _, skew = _moments(rewards, n)
        pooled[draw] = n >= tails.SUGDEN + tails.COCHRAN * skew**2 * n
        first, second = 3.0 * rewards * (which == 0), 3.0 * rewards * (which == 1)
        value, error, skew = _moments(first, n)
        arm[draw] = value - truth, error, skew
        difference[draw] = _moments(first - second, n)
    passed = pooled.astype(bool)
    plain, corrected = _held(arm)
    believed = passed & (np.abs(arm[:, 2]) <= tails.OWN_LIMIT)
    apart_plain, apart_corrected = _held(difference)
    return {
        "passes": float(passed.mean()),
        "arm_plain": float(plain.mean()),
        "arm_corrected": float(corrected.mean()),
        "answered": float(believed.mean()),
        "answered_wrongly": float((believed & ~corrected).mean()),
        "difference_plain": float(apart_plain.mean()),
        "difference_corrected": float(apart_corrected.mean()),
    }


def _orders(tail: str, size: int, orders: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind, _, shape = tail.partition(" ")
    mean = float(orders.mean())
    if kind == "lognormal":
        sigma = float(shape)
        return rng.lognormal(np.log(mean) - 0.5 * sigma**2, sigma, size)
    if kind == "pareto":
        index = float(shape)
        return (rng.pareto(index, size) + 1.0) * mean * (index - 1.0) / index
    return rng.choice(orders, size)


def _moments(values: np.ndarray, n: int) -> Moments:
    """Mean of n rows, all but the given ones 0: value, standard error, skewness of the mean."""
    value = float(values.sum()) / n
    zeros = n - values.shape[0]
    second = (float(((values - value) ** 2).sum()) + zeros * value**2) / n
    third = (float(((values - value) ** 3).sum()) - zeros * value**3) / n
    if second <= 0.0:
        return value, 1e-12, 1.0
    return value, (second / (n - 1)) ** 0.5, third / second**1.5 / n**0.5


def _held(read_off: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell which draws the plain and the corrected interval hold."""
    off, error, skew = read_off.T
    z = critical(0.95)
    plain = np.abs(off) <= z * error
    low = off - error * hall_quantile(z, skew)
    high = off - error * hall_quantile(-z, skew)
    return plain, (low <= 0.0) & (high >= 0.0)


if __name__ == "__main__":
    sys.exit(main())
