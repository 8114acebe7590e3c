"""Reading experiments against GrowthBook's gbstats: who covers, how wide, how fast.

.venv/bin/python -m benchmarks.experiments_width --reference
                                       # writes tests/stats/data/gbstats_reference.json
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from liftwerk.simulation.experiments import draw_units, truth
from liftwerk.simulation.hillstrom import read
from liftwerk.stats.difference import difference
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.bulk import differences
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.moments import Moments

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "stats" / "data" / "gbstats_reference.json"
ORDERS = ROOT / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
PEERS = {
    "gbstats": ("gbstats==0.8.0", "experiments_peer.py"),
    "spotify-confidence": ("spotify-confidence==4.1.0", "experiments_peer_spotify.py"),
}
METRICS = {
    "proportion": "conversion 0.02",
    "mean": "light",
    "spend": "orders",
    "cuped": "light",
    "ratio": "per order",
}
"""What is compared -> its world."""
ARM = 10_000
EFFECT = 0.2
SLOW = 40
"""Cases that spotify-confidence reads, at some ten a second."""
MANY = 200_000
WIDER = 1.02
FASTER = 100.0


class Peer:
    """A peer in its own process."""

    def __init__(self, name: str) -> None:
        self.requirement, script = PEERS[name]
        self.script = str(ROOT / "benchmarks" / script)

    def __enter__(self) -> Peer:
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [*command, "--with", self.requirement, "python", self.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def ask(self, cases: list[dict[str, Any]]) -> dict[str, Any]:
        """Let it answer cases."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(cases), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def sums(columns: np.ndarray) -> dict[str, Any]:
    """Sum up k columns of whole numbers of one arm, as SQL would."""
    whole = columns.astype(object)
    cross = [[int((x * y).sum()) for y in whole] for x in whole]
    cubes = [int((x * x * x).sum()) for x in whole]
    totals = [int(x.sum()) for x in whole]
    return {"n": columns.shape[1], "sums": totals, "cross": cross, "cubes": cubes}


def reference_cases() -> list[dict[str, Any]]:
    """Make cases of all kinds: equal and unequal arms, with and without an effect."""
    rng = np.random.default_rng(8)
    cases = []
    for kind in ("mean", "proportion", "ratio", "cuped"):
        for sizes in ((20_000, 20_000), (18_000, 2_000), (60_000, 61_000)):
            for lift in (0.0, 0.05):
                arms = [
                    sums(_columns(kind, n, 1.0 + lift * arm, rng)) for arm, n in enumerate(sizes)
                ]
                for method in ("fixed", "anytime"):
                    both = {"control": arms[0], "treated": arms[1]}
                    cases.append(
                        {"kind": kind, "method": method, "tuned_for": 30_000, "relative": False}
                        | both
                    )
    return cases


def _columns(kind: str, n: int, factor: float, rng: np.random.Generator) -> np.ndarray:
    if kind == "proportion":
        return (rng.random((1, n)) < 0.04 * factor).astype(np.int64)
    taste = rng.gamma(2.0, 0.5, n)
    orders = rng.poisson(2.0 * taste)
    spend = np.rint(orders * rng.gamma(3.0, 1500.0 * factor, n)).astype(np.int64)
    if kind == "mean":
        return spend[None]
    if kind == "ratio":
        return np.stack([spend, orders])
    before = np.rint(rng.poisson(2.0 * taste) * rng.gamma(3.0, 1500.0, n)).astype(np.int64)
    return np.stack([spend, before])


def write_reference() -> None:
    """Keep gbstats's answers for the tests."""
    cases = reference_cases()
    for case in cases:
        if case["kind"] == "cuped":
            case["theta"] = least_variance(case["control"], case["treated"])
    with Peer("gbstats") as peer:
        found = peer.ask(cases)
    rows = [case | {"answer": said} for case, said in zip(cases, found["answers"], strict=True)]
    document = {"made_by": "benchmarks/experiments_width.py --reference", "seed": 8}
    document |= {"gbstats": found["version"], "cases": rows}
    REFERENCE.write_text(json.dumps(document, separators=(",", ":")) + "\n")


def least_variance(control: dict[str, Any], treated: dict[str, Any]) -> float:
    """Weigh one covariate so that the difference varies least."""
    own = shared = 0.0
    for arm in (control, treated):
        n = arm["n"]
        (y, x), cross = arm["sums"], arm["cross"]
        own += (n * cross[1][1] - x * x) / n / n / (n - 1)
        shared += (n * cross[0][1] - x * y) / n / n / (n - 1)
    return shared / own


def run(quick: bool) -> dict[str, Any]:
    """Compare widths and speed."""
    draws = 100 if quick else 400
    spend = read(ORDERS)[1].spend
    drawn = {
        what: [_case(what, metric, seed, spend[spend > 0.0]) for seed in range(draws)]
        for what, metric in METRICS.items()
    }
    figures: dict[str, Any] = {}
    bars = []
    versions = {}
    with Peer("gbstats") as gbstats, Peer("spotify-confidence") as spotify:
        for what, cases in drawn.items():
            for method in ("fixed", "anytime"):
                asked = [case | {"method": method} for case in cases]
                said = {"gbstats": gbstats.ask(asked)}
                if method == "fixed" and what not in ("cuped", "ratio"):
                    said["spotify-confidence"] = spotify.ask(asked[:SLOW])
                versions |= {name: answer["version"] for name, answer in said.items()}
                figure = _compare(what, asked, {n: each["answers"] for n, each in said.items()})
                figures[f"{what}, {method}"] = figure
                bars.append(
                    {
                        "bar": f"width of {what}, {method}, to the narrowest peer that covers",
                        "value": figure["ratio"],
                        "goal": WIDER,
                        "holds": figure["ratio"] <= WIDER,
                    }
                )
        figures["speed"] = _speed(gbstats, drawn["mean"])
    ratio = figures["speed"]["at once, to gbstats"]
    bars.append(
        {
            "bar": "differences a second at once, to gbstats",
            "value": ratio,
            "goal": FASTER,
            "holds": ratio >= FASTER,
        }
    )
    return {"figures": figures, "versions": versions, "bars": bars}


def _case(what: str, metric: str, seed: int, orders: np.ndarray) -> dict[str, Any]:
    """Draw an experiment and sum it up, in cents."""
    rng = np.random.default_rng([seed, 20261129])
    drawn = draw_units(metric, 2 * ARM, rng, effect=EFFECT, orders=orders)
    columns = drawn.outcome
    if what == "cuped":
        columns = np.vstack([columns, drawn.before])
    # Counts stay counts; what is measured becomes cents.
    scale = np.where((columns == np.rint(columns)).all(axis=1), 1, 100)
    whole = np.rint(columns * scale[:, None]).astype(np.int64)
    control, treated = truth(metric, EFFECT, orders)
    unit = int(scale[0])
    return {
        "kind": {"spend": "mean"}.get(what, what),
        "relative": False,
        "tuned_for": 2 * ARM,
        "truth": (treated - control) * unit,
        "control": sums(whole[:, ~drawn.treated]),
        "treated": sums(whole[:, drawn.treated]),
    }


def _arms(case: dict[str, Any]) -> list[Moments]:
    return [
        Moments.from_sums(*(case[arm][key] for key in ("n", "sums", "cross", "cubes")))
        for arm in ("control", "treated")
    ]


def _ours(case: dict[str, Any]) -> tuple[float, float]:
    kind = {"cuped": "mean"}.get(case["kind"], case["kind"])
    answer = difference(kind, *_arms(case), method=case["method"], tuned_for=case["tuned_for"])
    if isinstance(answer.absolute, Unknown):
        raise RuntimeError(f"no answer: {answer.absolute}")
    return answer.absolute.low, answer.absolute.high


def _compare(
    what: str, cases: list[dict[str, Any]], said: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    """Give coverage and widths; the ratio is that to the narrowest peer that covers."""
    ours = np.array([_ours(case) for case in cases])
    true = np.array([case["truth"] for case in cases])
    figure: dict[str, Any] = {"liftwerk": _seen(ours, true)}
    ratios = [0.0]
    for name, answers in said.items():
        theirs = np.array([(answer["low"], answer["high"]) for answer in answers])
        figure[name] = _seen(theirs, true[: len(theirs)])
        missed = round((1.0 - figure[name]["covered"]) * len(theirs))
        if binom.sf(missed - 1, len(theirs), 0.05) >= 0.001:
            same = ours[: len(theirs)]
            ratios.append(float(np.median(np.diff(same)) / np.median(np.diff(theirs))))
    return figure | {"ratio": round(max(ratios), 4)}


def _seen(intervals: np.ndarray, true: np.ndarray) -> dict[str, float]:
    held = (intervals[:, 0] <= true) & (true <= intervals[:, 1])
    return {"covered": float(held.mean()), "width": float(np.median(np.diff(intervals)))}


def _speed(gbstats: Peer, cases: list[dict[str, Any]]) -> dict[str, float]:
    """Read means one by one and at once, in turns with gbstats; the best of three."""
    asked = [case | {"method": "fixed"} for case in cases]
    pairs = [_arms(case) for case in asked]
    some = Arms.of(pairs)
    times = MANY // len(cases)
    assert some.cubes is not None
    parts = (some.n, some.means, some.products, some.cubes)
    many = Arms(*(np.concatenate([part] * times) for part in parts))
    theirs, single, bulk = [], [], []
    for _ in range(3):
        theirs.append(len(asked) / gbstats.ask(asked)["seconds"])
        began = time.perf_counter()
        for pair in pairs:
            difference("mean", *pair, method="fixed")
        middle = time.perf_counter()
        differences("mean", many, method="fixed")
        single.append(len(pairs) / (middle - began))
        bulk.append(len(many.n) / (time.perf_counter() - middle))
    return {
        "gbstats, a second": round(max(theirs)),
        "one by one, a second": round(max(single)),
        "at once, a second": round(max(bulk)),
        "at once, to gbstats": round(max(bulk) / max(theirs), 1),
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--reference"]:
        write_reference()
    else:
        sys.exit(str(__doc__))
