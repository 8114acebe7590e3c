"""The effect register: dated, only added to, and read by its latest row."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import ProjectError
from liftwerk.experiments.effects import Effect, history, latest, put_effects
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
CLOCK = FixedClock(NOW)
UNKNOWN = Unknown("nobody was held out", "a holdout")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


def effect(week: int, value: float | None, subject: str = "policy:win_back") -> Effect:
    estimate: Estimate | Unknown = UNKNOWN
    if value is not None:
        estimate = Estimate(value, value - 1 / 3, value + 1 / 3, 0.17, 4000, "holdout", ("x",))
    window = (NOW + week * WEEK, NOW + (week + 1) * WEEK)
    return Effect(subject, "margin", *window, estimate, "EUR", "anytime", "holdout", NOW)


def test_what_is_believed_now_is_the_latest_of_each(stores: Stores) -> None:
    told = [effect(0, 1 / 3), effect(0, None, "programme"), effect(1, 0.2), effect(1, 0.2)]
    assert [put_effects(stores.ledger, CLOCK, "run", [one]) for one in told] == [1, 1, 1, 0]
    assert latest(stores.ledger) == [told[2], told[1]]
    assert latest(stores.ledger, "policy:win_back", "margin") == [told[2]]
    assert latest(stores.ledger, "channel:tv") == []
    assert history(stores.ledger, "policy:win_back") == [told[0], told[2]]
    assert [entry.action for entry in stores.ledger.audit()] == ["effects.put"] * 3


def test_several_are_written_with_one_entry(stores: Stores) -> None:
    several = [effect(0, 1.0), effect(0, 2.0, "programme")]
    assert put_effects(stores.ledger, CLOCK, "run", several) == 2
    (entry,) = stores.ledger.audit()
    assert entry.subject == "policy:win_back, programme"


def test_its_age_counts_from_the_end_of_the_window(stores: Stores) -> None:
    one = effect(0, 1.0)
    assert one.age(NOW + 3 * WEEK) == 2 * WEEK
    assert one.age(NOW) == timedelta(0)


@pytest.mark.parametrize("subject", ["win_back", "policy:", "experiment:Bad", "programme:x", "a:b"])
def test_a_subject_that_is_none_is_refused(stores: Stores, subject: str) -> None:
    with pytest.raises(ProjectError, match="is no subject of an effect"):
        put_effects(stores.ledger, CLOCK, "run", [effect(0, 1.0), effect(0, 1.0, subject)])
    assert history(stores.ledger) == []


def test_a_window_that_is_upside_down_is_refused(stores: Stores) -> None:
    good = effect(0, 1.0)
    turned = Effect(good.subject, "margin", good.end, good.start, UNKNOWN, "EUR", "m", "s", NOW)
    with pytest.raises(ProjectError, match="before it begins: policy:win_back"):
        put_effects(stores.ledger, CLOCK, "run", [turned])


def _put_and_die(home: Path, moment: str) -> None:
    os.environ["LIFTWERK_FAULT"] = f"effect_commit:{moment}"
    with open_stores(Home.open(home)) as stores:
        put_effects(stores.ledger, CLOCK, "run", [effect(0, 1.0)])


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
def test_a_killed_write_is_whole_or_not_there(stores: Stores, moment: str, kept: int) -> None:
    arguments = (stores.home.path, moment)
    process = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(history(stores.ledger)) == kept
    assert put_effects(stores.ledger, CLOCK, "run", [effect(0, 1.0)]) == 1 - kept
    assert len(stores.ledger.audit()) == 1
