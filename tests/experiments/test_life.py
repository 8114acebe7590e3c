"""The life of an experiment: registered, started, ramped, stopped, concluded."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, load
from liftwerk.definitions.typed import Share
from liftwerk.errors import ProjectError, Refused, UnknownName
from liftwerk.experiments import log
from liftwerk.experiments.changed import changed_keys, notice_changes
from liftwerk.experiments.conclude import conclude
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.effects import Effect, latest
from liftwerk.experiments.ramp import ramp
from liftwerk.experiments.register import register
from liftwerk.experiments.start import start
from liftwerk.experiments.state import State, running, state_of, states
from liftwerk.experiments.stop import stop
from liftwerk.experiments.version import body_of, definition_of
from liftwerk.project.check import check_project
from liftwerk.sections import SECTIONS
from liftwerk.stats.estimate import Estimate
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

SHOP = Path(__file__).parents[1] / "definitions" / "shop.toml"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
PLAN = {"per_arm": 12000, "days": 21}

TEXT = """
[experiments.voucher]
design = "ab"
description = "A voucher in the weekly mail"
hypothesis = "A small voucher brings them back"
owner = "crm@shop.example"
purpose = "ads"
placement = "email"
metrics = ["margin"]
counter_metrics = { visited = "2%" }
covariates = ["spent"]
testers = { "customer_id:42" = "voucher" }
layer = "mail"
share = "60%"
arms = { control = { label = "As ever" }, voucher = { action = "voucher" } }

[experiments.subject_line]
design = "ab"
description = "Another subject"
purpose = "ads"
placement = "email"
metrics = ["visited"]
layer = "mail"
share = "40%"
arms = { control = {}, question = { share = "1/4" } }

[experiments.late]
design = "ab"
description = "One more in the same layer"
purpose = "ads"
metrics = ["visited"]
layer = "mail"
share = "50%"
arms = { a = {}, b = {} }
"""

Shop = Callable[..., Project]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    def made(*edits: tuple[str, str]) -> Project:
        text = SHOP.read_text() + TEXT
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "liftwerk.toml").write_text(text)
        return load(tmp_path, SECTIONS)

    return made


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / ".liftwerk", create=True)) as opened:
        yield opened


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


def begin(project: Project, stores: Stores, clock: FixedClock, name: str = "voucher") -> State:
    register(project, stores, clock, "jane", name, PLAN)
    return start(project, stores, clock, "jane", name)


def actions(stores: Stores) -> list[str]:
    return [entry.action for entry in stores.ledger.experiment_log()]


def test_a_whole_life_is_in_the_log_and_audited(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    project = shop()
    assert state_of(stores.ledger, "voucher").stage == "declared"
    registered = register(project, stores, clock, "jane", "voucher", PLAN)
    assert (registered.stage, registered.plan, registered.registered) == ("registered", PLAN, NOW)
    assert running(stores) == {}
    clock.advance(WEEK)
    started = start(project, stores, clock, "jane", "voucher", Share("5%"))
    assert (started.stage, started.started, started.share) == (
        "running",
        NOW + WEEK,
        Fraction(1, 20),
    )
    assert running(stores) == {"voucher": started}
    clock.advance(WEEK)
    ramped = ramp(project, stores, clock, "jane", "voucher", Share("60%"))
    assert [str(one.share) for one in ramped.ramps] == ["1/20", "3/5"]
    clock.advance(WEEK)
    ended = stop(stores, clock, "jane", "voucher", "  it is\n clear ")
    assert (ended.stage, ended.reason, ended.stopped) == ("stopped", "it is clear", NOW + 3 * WEEK)
    assert actions(stores) == ["register", "start", "ramp", "stop"]
    audited = [(entry.action, entry.subject) for entry in stores.ledger.audit()]
    assert audited == [(f"experiment.{one}", "voucher") for one in actions(stores)]
    assert stores.ledger.verify_audit().ok


def test_the_same_again_writes_nothing(shop: Shop, stores: Stores, clock: FixedClock) -> None:
    project = shop()
    begin(project, stores, clock)
    clock.advance(WEEK)
    start(project, stores, clock, "jane", "voucher")
    ramp(project, stores, clock, "jane", "voucher", Share("60%"))
    stop(stores, clock, "jane", "voucher", "clear")
    stop(stores, clock, "jane", "voucher", "clear")
    assert actions(stores) == ["register", "start", "stop"]
    assert len(stores.ledger.audit()) == 3


def test_nothing_is_started_that_is_not_registered(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    with pytest.raises(Refused, match="it is not registered: experiment voucher"):
        start(shop(), stores, clock, "jane", "voucher")
    with pytest.raises(UnknownName, match="did you mean 'voucher'"):
        register(shop(), stores, clock, "jane", "vouchers", PLAN)
    register(shop(), stores, clock, "jane", "voucher", PLAN)
    changed = shop(('multiply = "40%"', 'multiply = "50%"'))
    with pytest.raises(Refused, match=r"since it was registered \(metrics.margin.multiply\)"):
        start(changed, stores, clock, "jane", "voucher")
    register(changed, stores, clock, "jane", "voucher", PLAN)
    assert start(changed, stores, clock, "jane", "voucher").stage == "running"
    assert actions(stores) == ["register", "register", "start"]


CHANGES = [
    ('metrics = ["margin"]', 'metrics = ["revenue"]', "experiment.metrics"),
    ('multiply = "40%"', 'multiply = "50%"', "metrics.margin.multiply"),
    ('aggregate = "any"\nwithin = "14d"', 'aggregate = "any"\nwithin = "7d"', "metrics.visited"),
    (
        'property = "revenue"\nchecks',
        'window = "9d"\nproperty = "revenue"\nchecks',
        "features.spent",
    ),
    ('visited = "2%"', 'visited = "20%"', "experiment.counter_metrics.visited"),
    ('hypothesis = "A small', 'hypothesis = "A large', "experiment.hypothesis"),
    (
        'voucher = { action = "voucher" }',
        'voucher = { action = "voucher", share = "1/4" }',
        "share",
    ),
    ('share = "60%"', 'share = "60%"\neffect = "10%"', "experiment.effect"),
]


@pytest.mark.parametrize(("old", "new", "key"), CHANGES, ids=[key for *_, key in CHANGES])
def test_what_is_changed_after_the_start_is_seen_and_refused(
    shop: Shop, stores: Stores, clock: FixedClock, old: str, new: str, key: str
) -> None:
    begun = begin(shop(), stores, clock)
    changed = shop((old, new))
    for _ in range(2):
        (keys,) = notice_changes(changed, stores, clock, "cron").values()
        assert any(key in one for one in keys)
    assert running(stores)["voucher"].changes[0].keys == keys
    for refused in (
        lambda: ramp(changed, stores, clock, "jane", "voucher", Share("60%")),
        lambda: start(changed, stores, clock, "jane", "voucher"),
    ):
        with pytest.raises(Refused, match=f"after its start .*{key}.*stop it and start a new one"):
            refused()
    assert notice_changes(shop(), stores, clock, "cron") == {}
    assert actions(stores) == ["register", "start", "change", "change"]
    now = running(stores)["voucher"]
    assert (now.definition, now.body) == (begun.definition, begun.body)
    with pytest.raises(Refused, match="by what was registered"):
        register(changed, stores, clock, "jane", "voucher", PLAN)


def test_check_names_what_runs_and_was_changed(
    shop: Shop, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    begin(shop(), stores, clock)
    fine = check_project(tmp_path, clock)
    assert fine.problems == []
    assert fine.says[0].startswith("what the holdout can detect is not known: there is no baseline")
    shop(('multiply = "40%"', 'multiply = "50%"'))
    (problem,) = check_project(tmp_path, clock).problems
    assert "experiment voucher was changed after its start (metrics.margin.multiply)" in str(
        problem
    )
    assert problem.line is not None
    shop((TEXT, ""))
    (problem,) = check_project(tmp_path, clock).problems
    assert "was changed after its start (experiment)" in str(problem)
    stop(stores, clock, "jane", "voucher", "tidy")
    assert check_project(tmp_path, clock).problems == []


WORDS = [
    ('description = "A voucher in the weekly mail"', 'description = "Else"'),
    ('owner = "crm@shop.example"', 'owner = "else@shop.example"'),
    ('label = "As ever"', 'label = "Else"'),
    ('"customer_id:42" = "voucher"', '"customer_id:43" = "control"'),
    ('share = "60%"', 'share = "0.6"'),
]


@pytest.mark.parametrize(("old", "new"), WORDS)
def test_words_people_and_spelling_change_nothing(
    shop: Shop, stores: Stores, clock: FixedClock, old: str, new: str
) -> None:
    begun = begin(shop(), stores, clock)
    changed = shop((old, new))
    assert changed_keys(changed, begun) == ()
    assert notice_changes(changed, stores, clock, "cron") == {}
    text = "".join(entry.body for entry in stores.ledger.experiment_log())
    assert "crm@shop" not in text
    assert "customer_id:42" not in text


def test_another_order_of_arms_is_another_control(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    begin(shop(), stores, clock, "late")
    turned = shop(("arms = { a = {}, b = {} }", "arms = { b = {}, a = {} }"))
    assert notice_changes(turned, stores, clock, "cron")["late"] == ("experiment.arms",)


def test_an_experiment_that_is_declared_no_more_goes_on(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    begin(shop(), stores, clock, "subject_line")
    gone = shop((TEXT, ""))
    assert notice_changes(gone, stores, clock, "cron") == {"subject_line": ("experiment",)}
    assert running(stores)["subject_line"].definition.shares["question"] == Fraction(1, 4)
    assert stop(stores, clock, "jane", "subject_line", "tidy").stage == "stopped"


def test_what_was_registered_is_read_as_it_was_declared(shop: Shop) -> None:
    project = shop()
    for name, declared in project.get(EXPERIMENTS).items():
        again = definition_of(body_of(project, name))
        assert again.shares == declared.shares
        assert again.control == declared.control
        for field in (
            "metrics",
            "counter_metrics",
            "covariates",
            "share",
            "layer",
            "level",
            "unit",
        ):
            assert getattr(again, field) == getattr(declared, field)


def test_a_ramp_only_goes_up_and_no_further_than_declared(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    project = shop()
    register(project, stores, clock, "jane", "voucher", PLAN)
    with pytest.raises(Refused, match="it does not run, it is registered"):
        ramp(project, stores, clock, "jane", "voucher", Share("10%"))
    with pytest.raises(Refused, match="nobody may enter"):
        start(project, stores, clock, "jane", "voucher", Share("0"))
    start(project, stores, clock, "jane", "voucher", Share("10%"))
    for share, words in (
        ("5%", "less than may enter now, 10%"),
        ("61%", "more than was registered"),
    ):
        with pytest.raises(Refused, match=words):
            ramp(project, stores, clock, "jane", "voucher", Share(share))
    with pytest.raises(Refused, match="it runs already, with 10%"):
        start(project, stores, clock, "jane", "voucher", Share("20%"))
    assert actions(stores) == ["register", "start"]


def test_what_was_stopped_stays_stopped(shop: Shop, stores: Stores, clock: FixedClock) -> None:
    project = shop()
    with pytest.raises(Refused, match="it does not run, it is declared"):
        stop(stores, clock, "jane", "voucher", "never mind")
    begin(project, stores, clock)
    with pytest.raises(ProjectError, match="no reason is given"):
        stop(stores, clock, "jane", "voucher", " \n")
    stop(stores, clock, "jane", "voucher", "clear")
    with pytest.raises(Refused, match=r"stopped already \(clear\)"):
        stop(stores, clock, "jane", "voucher", "unclear")
    with pytest.raises(Refused, match="under a new name"):
        start(project, stores, clock, "jane", "voucher")
    with pytest.raises(Refused, match="under a new name"):
        ramp(project, stores, clock, "jane", "voucher", Share("60%"))


def test_a_layer_has_room_once(shop: Shop, stores: Stores, clock: FixedClock) -> None:
    project = shop()
    first, second = (begin(project, stores, clock, one) for one in ("voucher", "subject_line"))
    assert (first.begins, second.begins) == (Fraction(0), Fraction(3, 5))
    register(project, stores, clock, "jane", "late", PLAN)
    with pytest.raises(Refused, match="no room for 50%: layer mail: nothing is free"):
        start(project, stores, clock, "jane", "late")
    stop(stores, clock, "jane", "subject_line", "room is needed")
    with pytest.raises(Refused, match="no room for 50%: layer mail: at most 40% is free"):
        start(project, stores, clock, "jane", "late")
    stop(stores, clock, "jane", "voucher", "room is needed")
    assert start(project, stores, clock, "jane", "late").begins == 0


def test_a_start_that_another_process_has_just_made_is_found(
    shop: Shop, stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shop()
    register(project, stores, clock, "jane", "voucher", PLAN)
    seen = state_of(stores.ledger, "voucher")
    first = start(project, stores, clock, "jane", "voucher")
    stale = iter([seen])
    with monkeypatch.context() as patch:
        patch.setattr(log, "state_of", lambda *told: next(stale, None) or state_of(*told))
        assert start(project, stores, clock, "jane", "voucher") == first
    assert next(stale, None) is None
    assert actions(stores) == ["register", "start"]


# ------------------------------------------------------------------------------------ conclusions


def effect(value: float = 0.4, subject: str = "experiment:voucher", at: datetime = NOW) -> Effect:
    estimate = Estimate(value, value - 0.2, value + 0.2, 0.1, 24000, "anytime", ("randomised",))
    window = (NOW, NOW + WEEK)
    return Effect(subject, "margin", *window, estimate, "EUR a customer", "anytime", "v1", at)


def test_a_conclusion_and_its_effects_are_one(
    shop: Shop, stores: Stores, clock: FixedClock
) -> None:
    begin(shop(), stores, clock)
    verdict = {"word": "better"}
    with pytest.raises(Refused, match="it is running, not stopped"):
        conclude(stores, clock, "jane", "voucher", [effect()], verdict)
    stop(stores, clock, "jane", "voucher", "clear")
    with pytest.raises(ProjectError, match="an effect is of 'policy:win_back'"):
        conclude(stores, clock, "jane", "voucher", [effect(subject="policy:win_back")], verdict)
    assert (latest(stores.ledger), len(actions(stores))) == ([], 3)
    for _ in range(2):
        clock.advance(WEEK)
        conclude(stores, clock, "jane", "voucher", [effect(at=clock.now())], verdict)
    (kept,) = latest(stores.ledger)
    assert kept == effect(at=NOW + WEEK)
    assert kept.age(NOW + 3 * WEEK) == 2 * WEEK
    (said,) = state_of(stores.ledger, "voucher").conclusions
    assert (said["verdict"], said["effects"][0]["estimate"]["value"]) == (verdict, 0.4)
    conclude(stores, clock, "jane", "voucher", [effect(0.5, at=clock.now())], verdict)
    assert [one.estimate.value for one in latest(stores.ledger)] == [0.5]
    assert actions(stores)[3:] == ["conclude", "conclude"]


# -------------------------------------------------------------------------------- many processes


def _start(folder: Path, name: str, fault: str) -> None:
    if fault:
        os.environ["LIFTWERK_FAULT"] = fault
    project = load(folder, SECTIONS)
    with open_stores(Home.open(folder / ".liftwerk")) as stores:
        try:
            start(project, stores, FixedClock(NOW), "jane", name)
        except Refused:
            os._exit(1)


def spawned(folder: Path, *names: str, fault: str = "") -> list[int | None]:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_start, args=(folder, name, fault)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


@pytest.mark.slow
def test_of_two_processes_one_starts_it(
    shop: Shop, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    register(shop(), stores, clock, "jane", "voucher", PLAN)
    assert spawned(tmp_path, "voucher", "voucher") == [0, 0]
    assert actions(stores) == ["register", "start"]
    assert stores.ledger.verify_audit().entries == 2


@pytest.mark.slow
def test_of_two_that_want_the_same_units_one_starts(
    shop: Shop, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    for name in ("voucher", "late"):
        register(shop(), stores, clock, "jane", name, PLAN)
    assert sorted(str(code) for code in spawned(tmp_path, "voucher", "late")) == ["0", "1"]
    assert len(running(stores)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "stage"), [("before", "registered"), ("after", "running")])
def test_a_start_that_was_killed_is_whole_or_not_there(
    shop: Shop, stores: Stores, clock: FixedClock, tmp_path: Path, moment: str, stage: str
) -> None:
    register(shop(), stores, clock, "jane", "voucher", PLAN)
    fault = f"experiment_commit:{moment}"
    assert spawned(tmp_path, "voucher", fault=fault) == [-signal.SIGKILL]
    assert states(stores.ledger)["voucher"].stage == stage
    assert spawned(tmp_path, "voucher") == [0]
    assert actions(stores) == ["register", "start"]
    assert stores.ledger.verify_audit().ok
