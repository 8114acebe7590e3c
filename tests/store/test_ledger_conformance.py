"""Every kind of ledger keeps the promises of `liftwerk.store.ledger.Ledger`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftwerk.errors import Conflict, HomeInUse, UnknownName
from liftwerk.store.ledger import (
    EXPERIMENT_ACTIONS,
    LEDGERS,
    STAGES,
    EffectRow,
    ExperimentEntry,
    Key,
    Ledger,
    PublishedSchema,
    Release,
    Snapshot,
    Step,
    UsedDefinition,
)
from liftwerk.store.urls import open_url

Open = Callable[[], Ledger]
AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=sorted(LEDGERS))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:{tmp_path / 'ledger'}"


@pytest.fixture
def reopen(url: str) -> Open:
    return lambda: open_url("ledger", LEDGERS, url)


def release(number: int = 1, **changed: str) -> Release:
    return Release(f"r{number}", changed.get("policy", "best_email"), b'{"n":%d}' % number, AT)


# --------------------------------------------------------------------------- published schemas


def test_a_published_schema_is_kept_with_its_entry_and_replaced_by_a_later_one(
    reopen: Open,
) -> None:
    ledger = reopen()
    later = AT + timedelta(days=1)
    shapes = [
        PublishedSchema("visit", 2, "{}", AT),
        PublishedSchema("visit", 1, "{}", AT),
        PublishedSchema("order", 1, "{}", AT),
        PublishedSchema("visit", 1, '{"a":1}', later),
    ]
    for shape in shapes:
        with ledger.change("sequencer", "events.compact", "s1", {}, shape.at) as tx:
            ledger.publish_schema(tx, shape)
    with suppress(ZeroDivisionError), ledger.change("sequencer", "c", "s2", {}, AT) as tx:
        ledger.publish_schema(tx, PublishedSchema("lost", 1, "{}", AT))
        1 / 0  # noqa: B018
    ledger.close()
    ledger = reopen()
    assert ledger.published_schemas() == [shapes[2], shapes[3], shapes[0]]
    ledger.close()


# --------------------------------------------------------------------------------- definitions


def test_a_definition_is_kept_with_when_it_was_first_used_and_last_taken_up(reopen: Open) -> None:
    ledger = reopen()
    used = [("spend", "v1"), ("spend", "v2"), ("visits", "v9"), ("spend", "v1")]
    for day, (name, version) in enumerate(used):
        at = AT + timedelta(days=day)
        with ledger.change("ann", "features.use", "features", {}, at) as tx:
            ledger.use_definition(tx, UsedDefinition("features", name, version, "{}", AT, AT))
    with suppress(ZeroDivisionError), ledger.change("ann", "features.use", "lost", {}, AT) as tx:
        ledger.use_definition(tx, UsedDefinition("features", "lost", "v1", "{}", AT, AT))
        1 / 0  # noqa: B018
    ledger.close()
    ledger = reopen()
    found = [
        (one.name, one.version, (one.first - AT).days, (one.last - AT).days)
        for one in ledger.used_definitions("features")
    ]
    assert found == [("spend", "v2", 1, 1), ("spend", "v1", 0, 3), ("visits", "v9", 2, 2)]
    assert [one.name for one in ledger.used_definitions("features", "visits")] == ["visits"]
    assert ledger.used_definitions("models") == []
    ledger.close()


# ---------------------------------------------------------------------------------------- the audit


def test_a_change_and_its_entry_are_one_transaction(reopen: Open) -> None:
    ledger = reopen()
    with ledger.change("jane", "release.insert", "r1", {"policy": "best_email"}, AT) as tx:
        ledger.insert_release(tx, release())
    with suppress(ZeroDivisionError), ledger.change("jane", "insert", "r2", {}, AT) as tx:
        ledger.insert_release(tx, release(2))
        1 / 0  # noqa: B018
    ledger.close()
    ledger = reopen()
    assert [one.id for one in ledger.releases()] == ["r1"]
    (entry,) = ledger.audit()
    assert (entry.seq, entry.at, entry.action, entry.subject) == (1, AT, "release.insert", "r1")
    assert entry.detail == {"policy": "best_email"}
    assert ledger.verify_audit().ok
    ledger.close()


def test_the_empty_chain_is_whole(reopen: Open) -> None:
    ledger = reopen()
    check = ledger.verify_audit()
    assert (check.ok, check.entries) == (True, 0)
    ledger.close()


def test_entries_come_in_order_and_in_pages(reopen: Open) -> None:
    ledger = reopen()
    for number in range(5):
        with ledger.change("jane", "act", str(number), {"n": number}, AT):
            pass
    assert [entry.subject for entry in ledger.audit(after=1, limit=2)] == ["1", "2"]
    check = ledger.verify_audit()
    assert (check.ok, check.entries) == (True, 5)
    ledger.close()


def test_people_are_known_by_a_random_key_only(reopen: Open, tmp_path: Path) -> None:
    ledger = reopen()
    for name in ("jane.doe@shop.example", "jane.doe@shop.example", "cron"):
        with ledger.change(name, "act", "x", {}, AT):
            pass
    first, second, third = (entry.actor for entry in ledger.audit())
    assert first == second != third
    assert ledger.name_of(first) == "jane.doe@shop.example"
    assert ledger.key_of("jane.doe@shop.example") == first
    assert ledger.erase_person("jane.doe@shop.example")
    assert not ledger.erase_person("jane.doe@shop.example")
    assert ledger.name_of(first) is None
    assert ledger.verify_audit().ok
    assert not any(b"jane.doe" in path.read_bytes() for path in tmp_path.iterdir())
    with ledger.change("jane.doe@shop.example", "act", "x", {}, AT):
        pass
    assert ledger.audit()[-1].actor != first
    ledger.close()


# ------------------------------------------------------------------------------------ the snapshots


def test_the_latest_snapshot_is_the_one_readers_see(reopen: Open) -> None:
    ledger = reopen()
    assert ledger.latest_snapshot() is None
    one = Snapshot(10, {"visit_v1": 0}, AT)
    two = Snapshot(20, {"visit_v1": 1, "order_v1": 0}, AT + timedelta(hours=1))
    for snapshot in (one, two, two):
        with ledger.change("run", "snapshot", snapshot.id, {}, AT) as tx:
            ledger.put_snapshot(tx, snapshot)
    assert ledger.latest_snapshot() == two
    assert ledger.snapshot(one.id) == one
    assert ledger.snapshot("nothing") is None
    assert ledger.snapshots_since(one.id) == [one, two]
    assert ledger.snapshots_since(two.id) == [two]
    assert ledger.snapshots_since("nothing") == []
    # what was restored from a backup may be current again
    with ledger.change("run", "snapshot", one.id, {}, AT) as tx:
        ledger.put_snapshot(tx, one)
    assert ledger.latest_snapshot() == one
    assert ledger.snapshots_since(one.id) == [one]
    assert ledger.snapshots_since(two.id) == [two, one]
    ledger.close()


# ------------------------------------------------------------------------------- steps and leases


def test_a_step_is_found_by_its_inputs(reopen: Open) -> None:
    ledger = reopen()
    token = ledger.acquire_lease("runner", "run", AT, 60)
    step = Step("train", "abc", {"model": "f" * 64, "n": 3}, 1.25, AT)
    ledger.put_step(step, "runner", token)
    assert ledger.get_step("train", "abc") == step
    assert ledger.get_step("train", "other") is None
    assert ledger.get_step("import", "abc") is None
    again = Step("train", "abc", {"model": "0" * 64}, 2.0, AT + timedelta(1))
    ledger.put_step(again, "runner", token)
    assert ledger.steps() == [again]
    ledger.put_step(Step("import", "k", {}, 1.0, AT), "runner", token)
    with ledger.change("run", "steps.drop", "train", {}, AT) as tx:
        assert ledger.drop_steps(tx, ["train", "nothing"]) == 1
    assert [one.name for one in ledger.steps()] == ["import"]
    with ledger.change("run", "steps.drop", "all", {}, AT) as tx:
        assert ledger.drop_steps(tx) == 1
    assert ledger.steps() == []
    ledger.close()


def test_one_holder_at_a_time_and_tokens_only_grow(reopen: Open) -> None:
    ledger = reopen()
    first = ledger.acquire_lease("runner", "run", AT, 60)
    with pytest.raises(HomeInUse, match=f"process {os.getpid()} \\(run\\) holds it"):
        ledger.acquire_lease("runner", "cron", AT + timedelta(seconds=59), 60)
    other = ledger.acquire_lease("compactor", "run", AT, 60)
    ledger.renew_lease("runner", first, AT + timedelta(seconds=50), 60)
    with pytest.raises(HomeInUse):
        ledger.acquire_lease("runner", "cron", AT + timedelta(seconds=109), 60)
    ledger.release_lease("runner", first)
    second = ledger.acquire_lease("runner", "cron", AT + timedelta(seconds=61), 60)
    assert second > first
    ledger.release_lease("runner", first)  # too late to matter
    with pytest.raises(HomeInUse):
        ledger.acquire_lease("runner", "run", AT + timedelta(seconds=62), 60)
    assert other == 1
    ledger.close()


def test_an_expired_lease_is_taken_over_and_its_holder_can_write_no_more(reopen: Open) -> None:
    ledger = reopen()
    stale = ledger.acquire_lease("runner", "run", AT, 60)
    fresh = ledger.acquire_lease("runner", "cron", AT + timedelta(seconds=60), 60)
    step = Step("train", "abc", {}, 1.0, AT)
    with pytest.raises(HomeInUse, match="lost"):
        ledger.put_step(step, "runner", stale)
    with pytest.raises(HomeInUse, match="lost"):
        ledger.renew_lease("runner", stale, AT, 60)
    with suppress(HomeInUse), ledger.change("run", "release.insert", "r1", {}, AT) as tx:
        ledger.insert_release(tx, release())
        ledger.check_token(tx, "runner", stale)
    assert ledger.steps() == []
    assert ledger.releases() == []
    assert ledger.audit() == []
    ledger.put_step(step, "runner", fresh)
    ledger.release_lease("runner", fresh)
    with pytest.raises(HomeInUse, match="released"):
        ledger.put_step(step, "runner", fresh)
    ledger.close()


def _hold_and_die(url: str) -> None:
    open_url("ledger", LEDGERS, url).acquire_lease("runner", "run", AT, 3600)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_lease_of_a_killed_process_is_free_at_once(url: str, reopen: Open) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    ledger = reopen()
    assert ledger.acquire_lease("runner", "run", AT + timedelta(seconds=1), 60) == 2
    ledger.close()


# ---------------------------------------------------------------------------- releases, pointers


def test_a_release_is_immutable_but_moves(reopen: Open) -> None:
    ledger = reopen()
    with ledger.change("jane", "release.insert", "r1", {}, AT) as tx:
        assert ledger.insert_release(tx, release())
        assert not ledger.insert_release(tx, release())
        with pytest.raises(ValueError, match="immutable"):
            ledger.insert_release(tx, Release("r1", "best_email", b"other", AT))
    for stage in STAGES:
        with ledger.change("jane", "release.move", "r1", {"stage": stage}, AT) as tx:
            ledger.move_release(tx, "r1", stage=stage)
        moved = ledger.release("r1")
        assert moved is not None
        assert moved.stage == stage
    with ledger.change("jane", "release.freeze", "r1", {}, AT) as tx:
        ledger.move_release(tx, "r1", frozen=True)
    assert ledger.release("r1") == Release("r1", "best_email", b'{"n":1}', AT, "retired", True)
    with ledger.change("jane", "release.kill", "r1", {}, AT) as tx:
        ledger.move_release(tx, "r1", frozen=False, killed=True)
    last = ledger.release("r1")
    assert last is not None
    assert (last.frozen, last.killed) == (False, True)
    assert ledger.release("r2") is None
    ledger.close()


def test_releases_are_listed_oldest_first(reopen: Open) -> None:
    ledger = reopen()
    with ledger.change("jane", "release.insert", "several", {}, AT) as tx:
        for one in (release(3), release(1), release(2, policy="other")):
            ledger.insert_release(tx, one)
    assert [one.id for one in ledger.releases()] == ["r3", "r1", "r2"]
    assert [one.id for one in ledger.releases("best_email")] == ["r3", "r1"]
    ledger.close()


def test_the_pointer_names_a_known_release(reopen: Open) -> None:
    ledger = reopen()
    assert ledger.pointer("best_email") is None
    with ledger.change("jane", "release.start", "r1", {}, AT) as tx:
        ledger.insert_release(tx, release())
        ledger.set_pointer(tx, "best_email", "r1")
    assert ledger.pointer("best_email") == "r1"
    with (
        pytest.raises(UnknownName, match="did you mean 'r1'"),
        ledger.change("jane", "release.start", "r11", {}, AT) as tx,
    ):
        ledger.set_pointer(tx, "best_email", "r11")
    with (
        pytest.raises(UnknownName),
        ledger.change("jane", "release.move", "r9", {}, AT) as tx,
    ):
        ledger.move_release(tx, "r9", stage="retired")
    with ledger.change("jane", "release.stop", "r1", {}, AT) as tx:
        ledger.set_pointer(tx, "best_email", None)
    assert ledger.pointer("best_email") is None
    assert len(ledger.audit()) == 2
    ledger.close()


# -------------------------------------------------------------------------------------------- keys


def key(number: int = 1) -> Key:
    return Key(f"{number:012x}", "web", bytes([number]) * 32, "shop server", AT)


def end(ledger: Ledger, key_id: str, expires: datetime | None = None) -> bool:
    """Let a key expire, or revoke it without an instant; says whether that changed it."""
    with ledger.change("jane", "key.end", key_id, {}, AT) as tx:
        if expires is None:
            return ledger.revoke_key(tx, key_id)
        return ledger.expire_key(tx, key_id, expires)


def test_keys_are_listed_oldest_first(reopen: Open) -> None:
    ledger = reopen()
    assert ledger.keys() == []
    made = [key(3), key(1), Key("f" * 12, "till", b"f" * 32, "", AT, AT, AT, "decide")]
    for one in made:
        with ledger.change("jane", "key.create", one.id, {}, AT) as tx:
            ledger.add_key(tx, one)
    ledger.close()
    ledger = reopen()
    assert ledger.keys() == made
    ledger.close()


def test_a_key_and_its_entry_are_one_transaction(reopen: Open) -> None:
    ledger = reopen()
    with suppress(ZeroDivisionError), ledger.change("jane", "key.create", "1", {}, AT) as tx:
        ledger.add_key(tx, key())
        1 / 0  # noqa: B018
    assert (ledger.keys(), ledger.audit()) == ([], [])
    ledger.close()


def test_the_end_of_a_key_only_comes_nearer(reopen: Open) -> None:
    ledger = reopen()
    one, two = key(1), key(2)
    with ledger.change("jane", "key.create", "two", {}, AT) as tx:
        ledger.add_key(tx, one)
        ledger.add_key(tx, two)
    for hours, expected in ((5, 5), (9, 5), (2, 2)):
        assert end(ledger, one.id, AT + timedelta(hours=hours))
        assert ledger.keys()[0].expires == AT + timedelta(hours=expected)
    assert end(ledger, one.id)
    revoked = ledger.keys()[0]
    assert revoked.revoked == AT
    assert not end(ledger, one.id)  # the first time stays
    assert not end(ledger, one.id, AT)
    assert ledger.keys() == [revoked, two]
    ledger.close()


def test_an_unknown_key_is_not_repeated(reopen: Open) -> None:
    ledger = reopen()
    with ledger.change("jane", "key.create", "1", {}, AT) as tx:
        ledger.add_key(tx, key())
    for expires in (None, AT):
        with pytest.raises(UnknownName, match="did you mean '000000000001'") as caught:
            end(ledger, "000000000002", expires)
        assert "000000000002" not in str(caught.value)
    assert len(ledger.audit()) == 1
    ledger.close()


# ----------------------------------------------------------------------------- experiments, effects


def entry(number: int, name: str = "welcome", action: str = "register") -> ExperimentEntry:
    return ExperimentEntry(name, action, f'{{"n":{number}}}', f"v{number}", AT, number)


def write_entry(ledger: Ledger, one: ExperimentEntry) -> None:
    with ledger.change("jane", f"experiment.{one.action}", one.name, {}, one.at) as tx:
        ledger.append_experiment(tx, one)


def test_an_experiments_log_is_kept_in_order_with_its_entries(reopen: Open) -> None:
    ledger = reopen()
    told = [entry(number, action=one) for number, one in enumerate(EXPERIMENT_ACTIONS, start=1)]
    other = entry(1, "other")
    for one in (told[0], other, *told[1:]):
        write_entry(ledger, one)
    ledger.close()
    ledger = reopen()
    assert ledger.experiment_log() == [told[0], other, *told[1:]]
    assert ledger.experiment_log("welcome") == told
    assert ledger.experiment_log("nothing") == []
    assert [one.action for one in ledger.audit()][:2] == ["experiment.register"] * 2
    ledger.close()


@pytest.mark.parametrize("number", [1, 3])
def test_an_entry_that_does_not_follow_the_last_writes_nothing(reopen: Open, number: int) -> None:
    ledger = reopen()
    write_entry(ledger, entry(1))
    with pytest.raises(Conflict, match="another process wrote first: experiment welcome"):
        write_entry(ledger, entry(number, action="start"))
    assert ledger.experiment_log() == [entry(1)]
    assert len(ledger.audit()) == 1
    ledger.close()


def effect(day: int, value: int = 1, subject: str = "policy:win_back") -> EffectRow:
    start = AT + timedelta(days=day)
    text = f'{{"kind":"estimate","value":{value}}}'
    window = (start, start + timedelta(days=7))
    return EffectRow(subject, "margin", *window, text, "EUR a customer", "difference", "x", AT)


def test_effects_are_added_and_never_replaced(reopen: Open) -> None:
    ledger = reopen()
    told = [effect(0), effect(0, subject="programme"), effect(0), effect(7), effect(0, 2)]
    new = []
    for one in told:
        with ledger.change("jane", "effects.put", one.subject, {}, one.at) as tx:
            new.append(ledger.put_effect(tx, one))
    with suppress(ZeroDivisionError), ledger.change("jane", "effects.put", "x", {}, AT) as tx:
        assert ledger.put_effect(tx, effect(14))
        1 / 0  # noqa: B018
    assert new == [True, True, False, True, True]
    ledger.close()
    ledger = reopen()
    assert ledger.effects() == [told[0], told[1], told[3], told[4]]
    assert ledger.effects("policy:win_back") == [told[0], told[3], told[4]]
    assert ledger.effects(metric="margin") == ledger.effects()
    assert ledger.effects("policy:win_back", "orders") == []
    ledger.close()


def test_a_ledger_from_before_the_experiments_gets_their_tables(url: str, reopen: Open) -> None:
    reopen().close()
    path = url.partition(":")[2]
    editor = sqlite3.connect(path)
    editor.execute("drop table experiment_log")
    editor.execute("drop table effects")
    editor.commit()
    editor.close()
    ledger = reopen()
    write_entry(ledger, entry(1))
    assert (ledger.experiment_log(), ledger.effects()) == ([entry(1)], [])
    ledger.close()


# -------------------------------------------------------------------------------------- tombstones


def test_the_erased_stay_buried(reopen: Open) -> None:
    ledger = reopen()
    with ledger.change("jane", "customer.erase", "k", {}, AT) as tx:
        ledger.bury(tx, [b"a" * 16, b"b" * 16])
        ledger.bury(tx, [b"a" * 16])
    assert ledger.buried() == {b"a" * 16, b"b" * 16}
    ledger.close()
