"""Off-policy estimates against Open Bandit Pipeline: equal to 1e-9, and how fast.

    .venv/bin/python -m benchmarks ope [--quick]
    .venv/bin/python -m benchmarks.ope --reference     # writes tests/stats/data/obp_reference.json

A million logged decisions with ten actions, both in one go on the same arrays: the four estimates
alone, and with 95% intervals (ours in closed form and corrected for skewness, the peer's from 100
bootstrap draws).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from liftwerk.stats.interval import interval
from liftwerk.stats.off_policy import ESTIMATORS
from liftwerk.stats.off_policy.kinds.direct_method import calibrate

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "stats" / "data" / "obp_reference.json"
PEER = ("obp==0.4.1", "numpy==1.26.4", "pandas==2.1.4", "scikit-learn==1.3.2", "scipy==1.11.4")
# What those need; obp itself would bring in torch, which its estimators don't use.
BESIDE = ("joblib", "threadpoolctl", "python-dateutil", "pytz", "tzdata", "six", "cloudpickle")
Case = dict[str, np.ndarray]


def case(seed: int, n: int, actions: int, binary: bool) -> Case:
    """Draw decisions with known probabilities, a policy, and a model that is a little wrong."""
    rng = np.random.default_rng(seed)
    logged = rng.dirichlet(np.full(actions, 2.0), size=n)
    policy = rng.dirichlet(np.full(actions, 0.7), size=n)
    cumulated = logged.cumsum(axis=1)
    action = (rng.random((n, 1)) * cumulated[:, -1:] > cumulated).sum(axis=1)
    mean = rng.random((n, actions))
    drawn = mean[np.arange(n), action]
    if binary:
        reward = (rng.random(n) < drawn).astype(np.float64)
    else:
        reward = drawn * rng.lognormal(0.0, 1.0, n)
    predicted = mean + rng.normal(0.0, 0.2, mean.shape)
    return {
        "reward": reward,
        "action": action.astype(np.int64),
        "logged": logged,
        "policy": policy,
        "predicted": predicted,
    }


def real_case(rows: list[dict[str, int]]) -> Case:
    """Take clicks on items shown at random, in eight groups of ten items, as logged decisions."""
    item = np.array([row["item"] for row in rows])
    click = np.array([row["click"] for row in rows], dtype=np.float64)
    position = np.array([row["position"] for row in rows])
    n = item.shape[0]
    rng = np.random.default_rng(8)
    policy = np.full((n, 8), 0.05)
    policy[np.arange(n), position % 8] = 0.65
    return {
        "reward": click,
        "action": (item // 10).astype(np.int64),
        "logged": np.full((n, 8), 0.125),
        "policy": policy,
        "predicted": np.round(rng.random((n, 8)) * 0.02, 4),
    }


def ours(given: Case) -> dict[str, float]:
    """Value a case by all four estimators."""
    return {each.key: each.influence(**given).value for each in ESTIMATORS}


class Peer:
    """The peer's process, in an environment that is thrown away."""

    def __enter__(self) -> Peer:
        self.folder = Path(tempfile.mkdtemp(prefix="liftwerk-ope."))
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        python = self.folder / "env" / "bin" / "python"
        subprocess.run([uv, "venv", "--quiet", "--python", "3.11", self.folder / "env"], check=True)
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python]
        subprocess.run([*install, *PEER, *BESIDE], check=True)
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [python, ROOT / "benchmarks" / "ope_peer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | one,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder)

    def ask(self, command: dict[str, Any]) -> Any:
        """Send one command and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's process ended")
        return json.loads(line)["answer"]

    def value(self, cases: dict[str, Case]) -> Any:
        """Let the peer value cases."""
        path = self.folder / "cases.npz"
        np.savez(path, **{f"{name}/{key}": a for name, c in cases.items() for key, a in c.items()})
        return self.ask({"cases": str(path)})

    def seconds(self, given: Case) -> Any:
        """Let the peer time a case."""
        path = self.folder / "timed.npz"
        if not path.exists():
            np.savez(path, **{f"case/{key}": array for key, array in given.items()})
        return self.ask({"time": str(path)})


def write_reference() -> None:
    """Write inputs and the peer's answers for the tests."""
    with Peer() as peer:
        cases = {
            "click": case(1, 200, 3, binary=True),
            "spend": case(2, 200, 3, binary=False),
            "many actions": case(3, 60, 12, binary=False),
            "open bandit, random": real_case(peer.ask({"slice": True})),
        }
        answers = peer.value(cases)
    written = {
        "made_by": "benchmarks/ope.py --reference, with obp 0.4.1",
        "cases": {
            name: {
                "inputs": {key: array.tolist() for key, array in given.items()},
                "values": answers[name],
            }
            for name, given in cases.items()
        },
    }
    REFERENCE.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")


def measure(given: Case) -> dict[str, Any]:
    """Time our estimates alone, and with intervals."""
    began = time.perf_counter()
    values = ours(given)
    middle = time.perf_counter()
    for each in ESTIMATORS:
        model = given["predicted"]
        if each.key == "dm":
            model = calibrate(**given)
        interval(each.influence(**(given | {"predicted": model})), method=each.name)
    return {
        "values": values,
        "estimate": middle - began,
        "interval": time.perf_counter() - middle,
    }


def run(quick: bool = False) -> dict[str, Any]:
    """Run both alternately on the same data.

    Parameters
    ----------
    quick : bool
        A tenth of the rows.

    Returns
    -------
    dict
        Figures, and ``bars``.
    """
    n = 1_000_000
    if quick:
        n = 100_000
    given = case(4, n, 10, binary=True)
    with Peer() as peer:
        rounds = [(measure(given), peer.seconds(given)) for _ in range(3)]
    error = max(
        abs(mine["values"][key] - theirs["values"][key])
        for mine, theirs in rounds
        for key in mine["values"]
    )
    seconds = {
        who: {
            what: statistics.median(pair[place][what] for pair in rounds)
            for what in ("estimate", "interval")
        }
        for place, who in enumerate(("liftwerk", "obp"))
    }
    ratios = {
        what: seconds["obp"][what] / seconds["liftwerk"][what] for what in ("estimate", "interval")
    }
    bars = [
        _bar("largest difference to obp 0.4.1", error, 1e-9, error <= 1e-9),
        _bar(
            "times faster with intervals (obp: 100 bootstrap draws)",
            ratios["interval"],
            4.0,
            ratios["interval"] >= 4.0,
        ),
    ]
    return {
        "benchmark": "ope",
        "rows": n,
        "actions": 10,
        "seconds": seconds,
        "ratios": ratios,
        "versions": {"obp": "0.4.1", "numpy": np.__version__, "peer numpy": "1.26.4"},
        "cores": os.cpu_count(),
        "bars": bars,
    }


def _bar(bar: str, value: float, goal: float, holds: bool) -> dict[str, Any]:
    return {"bar": bar, "value": value, "goal": goal, "holds": bool(holds)}


def main() -> int:
    if "--reference" in sys.argv:
        write_reference()
        return 0
    document = run("--quick" in sys.argv)
    print(json.dumps(document, indent=1))
    return int(not all(bar["holds"] for bar in document["bars"]))


if __name__ == "__main__":
    sys.exit(main())
