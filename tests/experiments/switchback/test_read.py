from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.definitions.typed import Duration, Share
from liftwerk.errors import Refused
from liftwerk.experiments.definition import Arm, ExperimentDefinition, Switchback
from liftwerk.experiments.draw import draw_of, slot
from liftwerk.experiments.give import giver
from liftwerk.experiments.switchback import read_switchback, schedule
from liftwerk.simulation import switching_shop
from liftwerk.stats.estimate import Estimate, Unknown

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 1, 23, tzinfo=UTC)
"""Midnight in Berlin, four weeks before the clocks are put forward."""


def switchback(block: str = "4h", washout: str = "0s", **more) -> ExperimentDefinition:
    arms = more.pop("arms", {"usual": Arm(), "dearer": Arm()})
    return ExperimentDefinition(
        "switchback",
        "Delivery fee",
        arms,
        ("margin",),
        "measurement",
        switchback=Switchback(Duration(block), Duration(washout)),
        **more,
    )


def hours(experiment, weeks, effect="better", carry_over=0, seed=1, memory=0.6, arm="dearer"):
    """A shop's hours under the arms that the schedule gives them."""
    rng = np.random.default_rng(seed)
    count = weeks * 168
    starts = [START + timedelta(hours=hour) for hour in range(count)]
    blocks = schedule("fee", experiment, START, starts[-1] + timedelta(hours=1), BERLIN)
    begins = blocks.column("begins").to_pylist()
    row = np.searchsorted(np.array(begins), np.array(starts), side="right") - 1
    on = np.array(blocks.column("arm").to_pylist())[row] == arm
    value = switching_shop.switched(
        switching_shop.undisturbed(rng, count, memory=memory), on, effect, carry_over
    )
    return pa.table({"start": pa.array(starts, pa.timestamp("us", tz="UTC")), "value": value})


def read(experiment, table, weeks):
    end = START + timedelta(weeks=weeks)
    return read_switchback("fee", experiment, table, start=START, end=end, zone=BERLIN)


def test_a_schedule_gives_blocks_what_the_lot_gives_their_names():
    experiment = switchback()
    blocks = schedule("fee", experiment, START, START + timedelta(days=30), BERLIN)
    give = giver(draw_of("fee", experiment, Fraction(1)))
    for row in blocks.to_pylist():
        moment = row["begins"] + (row["ends"] - row["begins"]) / 2
        unit = slot(Duration("4h"), moment, BERLIN)
        assert unit == row["unit"]
        assert give(unit, unit) == row["arm"]
        assert row["probability"] == 0.5
    arms = blocks.column("arm").to_pylist()
    assert 0.35 < arms.count("dearer") / len(arms) < 0.65
    few = schedule("fee", experiment, START, START + timedelta(days=30), BERLIN, Fraction(1, 2))
    kept = [(one, all_in) for one, all_in in zip(few["arm"], blocks["arm"], strict=True)]
    assert all(one.as_py() in (None, both.as_py()) for one, both in kept)
    assert 0.3 < few["arm"].null_count / len(arms) < 0.7


def test_a_reading_holds_the_effect_over_a_change_of_clocks():
    experiment = switchback(washout="1h")
    table = hours(experiment, 6, carry_over=1)
    reading = read(experiment, table, 6)
    (arm,) = reading.arms
    found = arm.effect.estimate
    assert isinstance(found, Estimate)
    assert found.low < 5.0 < found.high
    assert arm.effect.p_value < 0.01
    assert abs(arm.second_opinion.value - found.value) < 1e-9
    assert arm.warning is None
    assert reading.washout == 1
    # The last hour lies in a block that had not ended: clocks were put forward in between.
    assert reading.periods == 6 * 168 - 1
    # 6 weeks of 42 blocks, and the one with the missing hour is among them.
    assert arm.blocks + arm.control_blocks == 252
    assert 90.0 < arm.control < 110.0
    assert read(experiment, table, 6) == reading


def test_the_order_of_rows_and_periods_without_a_value_change_nothing_else():
    experiment = switchback()
    table = hours(experiment, 3)
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    assert read(experiment, shuffled, 3) == read(experiment, table, 3)
    value = table.column("value").to_pylist()
    value[100] = None
    holed = table.set_column(1, "value", pa.array(value))
    assert read(experiment, holed, 3).periods == 3 * 168 - 1


def test_a_carry_over_longer_than_the_washout_is_warned_of():
    experiment = switchback(block="6h")
    table = hours(experiment, 12, carry_over=3, memory=0.0)
    (arm,) = read(experiment, table, 12).arms
    assert arm.carry_over.length > 0
    assert "the arm before still shows" in arm.warning
    patient = switchback(block="6h", washout="3h")
    assert read(patient, table, 12).arms[0].warning is None


def test_a_little_that_is_left_at_every_age_is_warned_of():
    experiment = switchback(block="2h")
    found = [
        read(experiment, hours(experiment, 4, carry_over=4, seed=seed), 4).arms[0]
        for seed in range(12)
    ]
    warnings = [arm.warning for arm in found if arm.carry_over.length == 0]
    assert any(words is not None and "the blocks before still add" in words for words in warnings)


def test_a_ratio_is_weighted_by_its_denominator():
    experiment = switchback()
    table = hours(experiment, 3)
    weight = np.random.default_rng(2).integers(0, 50, table.num_rows).astype(float)
    weighted = read(experiment, table.append_column("weight", pa.array(weight)), 3)
    twice = read(experiment, table.append_column("weight", pa.array(2.0 * weight)), 3)
    assert weighted.arms[0].effect.estimate.value == pytest.approx(
        twice.arms[0].effect.estimate.value
    )
    assert weighted != read(experiment, table, 3)


def test_each_of_several_arms_is_read_against_control():
    arms = {"usual": Arm(Share("50%")), "dearer": Arm(Share("25%")), "free": Arm(Share("25%"))}
    experiment = switchback(arms=arms)
    table = hours(experiment, 8, effect="harm", arm="free")
    dearer, free = read(experiment, table, 8).arms
    assert free.effect.estimate.high < 0.0
    assert dearer.effect.estimate.low < 0.0 < dearer.effect.estimate.high
    assert dearer.arm == "dearer"


def test_too_short_a_switchback_is_unknown():
    experiment = switchback(block="24h")
    (arm,) = read(experiment, hours(experiment, 1), 1).arms
    assert isinstance(arm.effect.estimate, Unknown)
    assert isinstance(arm.second_opinion, Unknown)
    assert isinstance(arm.carry_over, Unknown)


def test_refusals():
    experiment = switchback(block="30min")
    table = hours(switchback(), 2)
    with pytest.raises(Refused, match="periods last beyond their block"):
        read(experiment, table, 2)
    with pytest.raises(Refused, match="no period has a value"):
        read(switchback(), table.slice(0, 0), 2)
    with pytest.raises(Refused, match="two periods start at one time"):
        read(switchback(), pa.concat_tables([table, table]), 2)
    arms = {"usual": Arm(), "dearer": Arm()}
    other = ExperimentDefinition("ab", "Fee", arms, ("margin",), "measurement")
    with pytest.raises(Refused, match="takes no turns"):
        read(other, table, 2)
