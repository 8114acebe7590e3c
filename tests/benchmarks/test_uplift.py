"""The benchmark's own figures: Qini with known and with seen effects, and Holm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.uplift import FILE, compare, holm, numbers, seen_qini, true_qini

from liftwerk.simulation.hillstrom import read

ROOT = Path(__file__).parents[2]


def test_true_qini_is_the_area_above_random_order() -> None:
    effect = np.array([1.0, 0.0, 0.0, 0.0])
    # Curve 1/4 at once against 1/16, 2/16, 3/16, 4/16 on average.
    assert true_qini(effect, effect) == pytest.approx((1.0 - 10.0 / 16.0) / 4.0)
    assert true_qini(-effect, effect) == pytest.approx((1.0 / 4.0 - 10.0 / 16.0) / 4.0)
    assert true_qini(np.zeros(4), effect) == pytest.approx(0.0)


def test_equal_scores_share_their_effects() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(size=1000)
    half = (effect > 0).astype(float)
    shuffled = rng.permutation(1000)
    assert true_qini(half, effect) == pytest.approx(true_qini(half[shuffled], effect[shuffled]))


def test_seen_qini_agrees_with_the_known_effects() -> None:
    rng = np.random.default_rng(1)
    n = 200_000
    effect = np.where(np.arange(n) % 2 == 0, 1.0, 0.0)
    treated = rng.random(n) < 0.5
    outcome = effect * treated + 0.1 * rng.normal(size=n)
    found = seen_qini(effect, treated, outcome, rng)
    assert found == pytest.approx(true_qini(effect, effect), abs=0.01)
    assert seen_qini(rng.random(n), treated, outcome, rng) == pytest.approx(0.0, abs=0.01)


def test_holm_as_in_the_paper() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )


def test_a_peer_that_is_clearly_better_is_called_so() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=50)
    found = {
        "liftwerk": list(shared),
        "better": list(shared + 0.5 + 0.1 * rng.normal(size=50)),
        "like us": list(shared + 0.1 * rng.normal(size=50)),
    }
    row = compare({("visit", 2): found}, lambda count: 1.0 / count)["women's visit"]
    assert row["better"]["holm_p_ours_is_worse"] < 0.001
    assert row["like us"]["holm_p_ours_is_worse"] > 0.05


def test_words_become_an_indicator_a_level() -> None:
    covariates, reference = read(FILE)
    # Five numbers, three kinds of area, three channels.
    assert numbers(covariates, covariates).shape == (len(reference.action), 5 + 3 + 3)


def test_the_runner_names_what_it_has() -> None:
    command = [sys.executable, "-m", "benchmarks"]
    asked = subprocess.run([*command, "uplif"], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 2
    assert "did you mean 'uplift'?" in asked.stderr
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert asked.stderr.startswith("usage: python -m benchmarks NAME")
