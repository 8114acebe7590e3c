"""Rows of a file that were bad are judged again by today's mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_file import import_file
from liftwerk.connectors.job import ImportJob
from liftwerk.connectors.rows_again import rows_again
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.events.replay import Replayed, replay
from liftwerk.store.stores import Stores
from tests.connectors.trial_file import CONTROLS, project, rows, write
from tests.events.shop import NOW, shop


def again(made: Project, stores: Stores, clock: FixedClock, **options: Any) -> Replayed:
    return replay(made, stores, others=rows_again(made, stores, clock, CONTROLS), **options)


def imported(folder: Path, stores: Stores, clock: FixedClock) -> Project:
    """Import ten rows, of which the mapping knows two not."""
    bad = {"r2": {"mail": "letter"}, "r3": {"mail": "letter", "months": "999"}}
    write(folder, rows(10, **bad))
    made = project(folder)
    done = import_file(ImportJob(made, stores, "trial", clock, CONTROLS))
    assert done.reasons == {
        "decision_made.action: the map has no entry for it": 1,
        "history.months: expected a whole number from 0 to 120": 1,
    }
    compact(made, stores, clock)
    return made


def mended(folder: Path) -> Project:
    events = _events()
    events[1]["action"]["map"]["letter"] = "voucher"
    return project(folder, events=events)


def _events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {
            "event": "history",
            "time": "2026-01-01T00:00:00Z",
            "properties": {"months": "months", "area": "area"},
        },
        {
            "event": "decision_made",
            "time": {"column": "on"},
            "placement": "mail",
            "action": {"column": "mail", "map": {"none": "nothing", "voucher": "voucher"}},
            "eligible": ["nothing", "voucher"],
            "probability": {"column": "chance"},
        },
    ]
    return events


def test_after_the_mapping_is_mended_whole_rows_go_in(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    made = imported(tmp_path, stores, clock)
    nothing = again(made, stores, clock)
    assert (nothing.events, sum(nothing.stayed.values())) == ({}, 2)
    fixed = mended(tmp_path)
    dry = again(fixed, stores, clock, dry_run=True)
    done = again(fixed, stores, clock)
    assert done == dry
    assert done.events == {"decision_made": 1, "history": 1}
    assert done.stayed == {"history.months: expected a whole number from 0 to 120": 1}
    [kept] = stores.inbox.quarantine_list()
    assert kept.rejected.detail == "row 3, column months"
    compact(fixed, stores, clock)
    table = read(fixed, stores, "decision_made", "audit", ["leaf_customer", "action"])
    assert {"leaf_customer": leaf_key("customer", "2"), "action": "voucher"} in table.to_pylist()


def test_the_same_file_imported_before_the_replay_makes_no_doubles(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    imported(tmp_path, stores, clock)
    fixed = mended(tmp_path)
    import_file(ImportJob(fixed, stores, "trial", clock, CONTROLS))
    compact(fixed, stores, clock)
    before = read(fixed, stores, "history", "audit").num_rows
    done = again(fixed, stores, clock)
    assert (done.events, done.known) == ({}, 1)
    assert read(fixed, stores, "history", "audit").num_rows == before == 9


def test_a_row_of_an_import_that_is_gone_stays(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    imported(tmp_path, stores, clock)
    other = shop(tmp_path)
    assert again(other, stores, clock).stayed == {"the import 'trial' is no longer declared": 2}


def test_rows_about_the_erased_are_dropped(
    tmp_path: Path, stores: Stores, clock: FixedClock
) -> None:
    imported(tmp_path, stores, clock)
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("customer", "2")])
    done = again(mended(tmp_path), stores, clock)
    assert (done.events, done.erased) == ({}, 1)
