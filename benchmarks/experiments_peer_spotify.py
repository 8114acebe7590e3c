"""Another peer of reading experiments: spotify-confidence, in a throw-away environment.

The same conversation as with `experiments_peer`: lists of cases on stdin, their answers on stdout.
It reads means and proportions at a fixed time; its sequential tests are for a number of looks and
units that are fixed before, so nothing of it is asked of readings at any time.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
import warnings

import pandas as pd
import spotify_confidence

warnings.filterwarnings("ignore")


def _answer(case):
    arms = [case["control"], case["treated"]]
    frame = pd.DataFrame(
        {
            "arm": ["control", "treated"],
            "units": [arm["n"] for arm in arms],
            "total": [arm["sums"][0] for arm in arms],
            "squares": [arm["cross"][0][0] for arm in arms],
        }
    )
    test = spotify_confidence.StudentsTTest(
        frame,
        numerator_column="total",
        numerator_sum_squares_column="squares",
        denominator_column="units",
        categorical_group_columns="arm",
        interval_size=0.95,
    )
    found = test.difference(level_1="control", level_2="treated").iloc[0]
    return {
        "value": float(found["difference"]),
        "low": float(found["ci_lower"]),
        "high": float(found["ci_upper"]),
        "p_value": float(found["p-value"]),
    }


def main() -> None:
    """Answer lists of cases until stdin ends."""
    for line in sys.stdin:
        cases = json.loads(line)
        began = time.perf_counter()
        answers = [_answer(case) for case in cases]
        seconds = time.perf_counter() - began
        version = importlib.metadata.version("spotify-confidence")
        print(json.dumps({"version": version, "seconds": seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
