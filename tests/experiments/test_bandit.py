from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwerk.errors import Refused
from liftwerk.experiments.bandit import bandit_log, policy_value, read_arms
from liftwerk.stats.adaptive.contributions import weighted
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import standard_error
from tests.stats.adaptive.cells import ARMS, Cell

DATA = Path(__file__).parent / "data"
ITEMS = tuple(str(item) for item in range(80))
UNIFORM = dict.fromkeys(ITEMS, 1 / 80)


def open_bandit(policy: str) -> pa.Table:
    rows = pq.read_table(DATA / f"obd_{policy}.parquet")
    return pa.table(
        {
            "action": rows.column("item_id").cast(pa.string()),
            "probability": rows.column("propensity_score"),
            "reward": rows.column("click").cast(pa.float64()),
        }
    )


def decisions(cell: Cell, seed: int = 1) -> pa.Table:
    """A simulated log, as `decision_made` events say it."""
    log = next(cell.logs(seed, 1))
    return pa.table(
        {
            "action": np.array(ARMS)[log.action],
            "probability": log.probability,
            "eligible": pa.array([list(ARMS)] * log.n),
            "probabilities": pa.array(log.probabilities.tolist()),
            "reward": log.reward,
            "state": [f"state {number}" for number in log.batch],
        }
    )


def test_a_log_of_decisions_is_laid_out_as_it_was_drawn():
    cell = Cell("flips", "noise", "thompson", True, batches=5)
    drawn = next(cell.logs(1, 1))
    log = bandit_log(decisions(cell), ARMS)
    for name in ("reward", "action", "probability", "batch", "probabilities"):
        np.testing.assert_array_equal(getattr(log, name), getattr(drawn, name))


def test_arms_are_read_with_their_differences_to_control():
    cell = Cell("harm", "noise", "thompson")
    log = bandit_log(decisions(cell), ARMS)
    readings = read_arms(log)
    assert [reading.arm for reading in readings] == list(ARMS)
    assert sum(reading.drawn for reading in readings) == log.n
    assert readings[0].difference is None
    for number, reading in enumerate(readings):
        assert reading.value.low < cell.truth[number] < reading.value.high
    assert readings[2].difference.estimate.high < 0.0
    assert readings[2].difference.p_value < 0.001
    always = read_arms(log, planned=log.n)
    assert always[2].difference.estimate.high < 0.0
    for once, whenever in zip(readings, always, strict=True):
        width = whenever.value.high - whenever.value.low
        assert width > once.value.high - once.value.low


def test_without_all_probabilities_a_log_is_read_by_those_of_drawn_arms():
    cell = Cell("harm", "noise", "thompson")
    table = decisions(cell).drop_columns(["eligible", "probabilities"])
    log = bandit_log(table, ARMS)
    assert log.probabilities is None
    readings = read_arms(log)
    assert readings[2].value.low < cell.truth[2] < readings[2].value.high


def test_the_open_bandit_log_of_a_uniform_policy_says_its_own_click_rate():
    log = bandit_log(open_bandit("random"), ITEMS)
    found = policy_value(log, UNIFORM)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.0038, abs=0.0002)
    assert found.low < 0.0038 < found.high


def test_the_open_bandit_log_of_thompson_sampling_cannot_say_a_uniform_policys_click_rate():
    """42 clicks, in which one drawn with 0.2% weighs as a third of all: an honest Unknown."""
    log = bandit_log(open_bandit("bts"), ITEMS)
    found = policy_value(log, UNIFORM)
    assert isinstance(found, Unknown)
    assert "10000 of 10000 rows, worth 334 independent draws" in found.reason
    # The score behind it is right: what the uniform policy's own log shows is within its error.
    scores = weighted(log, np.full(80, 1 / 80))
    assert abs(scores.value - 0.0038) < 1.96 * standard_error(scores.influence)
    # The plain mean of the log is another question's answer.
    assert log.reward.mean() == pytest.approx(0.0042)


def test_refusals():
    table = decisions(Cell("harm", "noise", "thompson", batches=2))
    with pytest.raises(Refused, match="no decision to read"):
        bandit_log(table.slice(0, 0), ARMS)
    with pytest.raises(Refused, match="'c' was drawn and is no arm"):
        bandit_log(table, ARMS[:2])
    reward = pa.array([None, *table.column("reward").to_pylist()[1:]])
    with pytest.raises(Refused, match="1 rows have no reward"):
        bandit_log(table.set_column(4, "reward", reward), ARMS)
    with pytest.raises(Refused, match="a drawn arm's probability is not above 0"):
        bandit_log(table.set_column(1, "probability", pa.array([0.0] * table.num_rows)), ARMS)
    log = bandit_log(table, ARMS)
    with pytest.raises(ValueError, match=r"add up to 1, not 0\.9"):
        policy_value(log, {"a": 0.9})
