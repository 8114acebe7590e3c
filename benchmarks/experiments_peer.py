"""The peer of reading experiments: GrowthBook's gbstats, in a throw-away environment.

One JSON document a line on stdin, a list of cases; one answer a line on stdout, ``{"version",
"seconds", "answers"}``. A case is ``{"kind", "method", "tuned_for", "relative", "control",
"treated"}``, of kind ``cuped`` with the covariate's weight, ``theta``, if gbstats shall not choose
it; an arm is ``{"n", "sums", "cross"}`` and an answer ``{"value", "low", "high", "p_value"}``.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
import warnings

from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    ProportionStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)

warnings.filterwarnings("ignore")


def _mean(arm, column):
    total, squares = arm["sums"][column], arm["cross"][column][column]
    return SampleMeanStatistic(n=arm["n"], sum=total, sum_squares=squares)


def _statistic(case, arm):
    if case["kind"] == "proportion":
        return ProportionStatistic(n=arm["n"], sum=arm["sums"][0])
    if case["kind"] == "mean":
        return _mean(arm, 0)
    first, second, both = _mean(arm, 0), _mean(arm, 1), arm["cross"][0][1]
    if case["kind"] == "ratio":
        return RatioStatistic(
            n=arm["n"], m_statistic=first, d_statistic=second, m_d_sum_of_products=both
        )
    return RegressionAdjustedStatistic(
        n=arm["n"],
        post_statistic=first,
        pre_statistic=second,
        post_pre_sum_of_products=both,
        theta=0.0,
    )


def _answer(case):
    arms = [_statistic(case, case[arm]) for arm in ("control", "treated")]
    how = {"difference_type": "relative" if case["relative"] else "absolute"}
    if case["method"] == "fixed":
        test = TwoSidedTTest(*arms, FrequentistConfig(**how))
    else:
        tuned = SequentialConfig(**how, sequential_tuning_parameter=case["tuned_for"])
        test = SequentialTwoSidedTTest(*arms, tuned)
    if case.get("theta") is not None:
        # Without it gbstats takes the covariate's weight over both arms as one.
        test.stat_a.theta = test.stat_b.theta = case["theta"]
    found = test.compute_result()
    low, high = (float(end) for end in found.ci)
    p_value = float(found.p_value)
    return {"value": float(found.expected), "low": low, "high": high, "p_value": p_value}


def main() -> None:
    """Answer lists of cases until stdin ends."""
    for line in sys.stdin:
        cases = json.loads(line)
        began = time.perf_counter()
        answers = [_answer(case) for case in cases]
        seconds = time.perf_counter() - began
        version = importlib.metadata.version("gbstats")
        print(json.dumps({"version": version, "seconds": seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
