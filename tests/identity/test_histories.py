"""Whatever happens in whatever order: what is kept equals what is made anew, and what rules say."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .histories import check, history

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [1, 4])
def test_a_history_is_what_its_log_says(seed: int, tmp_path: Path) -> None:
    counts = check(tmp_path, history(random.Random(seed)), offsets=3)
    assert all(counts[what] for what in ("merged", "superseded", "hidden", "answers"))


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a history takes long: one that fails is made shorter by hand
    suppress_health_check=list(HealthCheck),
)
@given(draw=st.randoms(use_true_random=False))
def test_every_history_is_what_its_log_says(draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), history(draw, events=16), offsets=2)
