"""The peer of geo tests: pysyncon's plain `Synth`, in a throw-away environment.

One JSON document a line on stdin, ``{"arrays": PATH, "what": "weights" | "intervals"}`` with an
``.npz`` of cases ``N/treated`` (periods,) and ``N/donors`` (periods, donors); one answer a line on
stdout, ``{"version", "seconds", "answers"}``. Its V is given as equal, for its search takes over 90
seconds a fit. ``weights`` fits to all periods; ``intervals`` holds the last period for the test.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from pysyncon import Synth

warnings.filterwarnings("ignore")


def _cases(path):
    cases = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            number, name = key.split("/")
            cases.setdefault(int(number), {})[name] = arrays[key]
    return [cases[number] for number in sorted(cases)]


def _frames(case):
    return pd.DataFrame(case["donors"]), pd.Series(case["treated"], name="treated")


def _weights(case):
    donors, treated = _frames(case)
    synth = Synth()
    given = {"X0": donors, "X1": treated, "Z0": donors, "Z1": treated}
    synth.fit(**given, custom_V=np.ones(donors.shape[0]))
    return synth.W.tolist()


def _interval(case):
    donors, treated = _frames(case)
    last = donors.shape[0] - 1
    before = list(range(last))
    synth = Synth()
    equal = np.ones(last)
    given = {"X0": donors.loc[before], "X1": treated.loc[before]}
    synth.fit(**given, Z0=donors.loc[before], Z1=treated.loc[before], custom_V=equal)
    scale = float(treated.std())
    with contextlib.redirect_stdout(io.StringIO()):
        found = synth.confidence_interval(
            alpha=0.05,
            time_periods=[last],
            pre_periods=before,
            tol=2e-3 * scale,
            step_sz=0.2 * scale,
            max_iter=200,
            custom_V=equal,
            verbose=False,
            Z0=donors,
            Z1=treated,
            **given,
        )
    return [float(found.loc[last, key]) for key in ("value", "lower_ci", "upper_ci")]


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        command = json.loads(line)
        cases = _cases(command["arrays"])
        answer = {"weights": _weights, "intervals": _interval}[command["what"]]
        began = time.perf_counter()
        answers = [answer(case) for case in cases]
        seconds = time.perf_counter() - began
        version = importlib.metadata.version("pysyncon")
        print(json.dumps({"version": version, "seconds": seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
