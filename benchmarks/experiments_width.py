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
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "stats" / "data" / "gbstats_reference.json"
REQUIREMENT = "gbstats==0.8.0"


class Peer:
    """gbstats in its own process."""

    def __enter__(self) -> Peer:
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
        peer = str(ROOT / "benchmarks" / "experiments_peer.py")
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [*command, "--with", REQUIREMENT, "python", peer],
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
    with Peer() as peer:
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


if __name__ == "__main__":
    if sys.argv[1:] != ["--reference"]:
        sys.exit(str(__doc__))
    write_reference()
