"""Releases: immutable, named by content, moved only through the gate and with an audit entry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import Refused, UnknownName
from liftwerk.releases.advance import advance, champion
from liftwerk.releases.create import Release, create, find
from liftwerk.releases.gate import Verdict, judge
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

CLOCK = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
PASSED = Verdict("passed", 0.1, "fine", -0.02)


def bundle(state: str = "aa", gate: Verdict = PASSED) -> Release:
    return Release("best", state, "def", {"f": "1"}, "eval", gate)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


def estimate(low: float, high: float) -> Estimate:
    middle = (low + high) / 2
    return Estimate(middle, low, high, (high - low) / 4, 1000, "dr", ())


@pytest.mark.parametrize(
    ("low", "verdict"), [(-0.02, "passed"), (-0.0999, "passed"), (-0.1, "failed"), (-0.3, "failed")]
)
def test_the_gate_is_non_inferiority_at_the_declared_margin(low: float, verdict: str) -> None:
    assert judge(estimate(low, 0.5), 0.1, "USD").verdict == verdict


def test_an_unknown_difference_gives_an_unknown_verdict() -> None:
    judged = judge(Unknown("the tail is too heavy", "more orders"), 0.1, "USD")
    assert judged.verdict == "unknown"
    assert "because the tail is too heavy" in judged.sentence


def test_the_same_bundle_is_written_once_with_one_audit_entry(stores: Stores) -> None:
    first = create(bundle(), stores, CLOCK, "run")
    assert create(bundle(), stores, CLOCK, "run") == first
    assert [row.id for row in stores.ledger.releases()] == [first]
    assert [entry.action for entry in stores.ledger.audit()] == ["release.create"]
    assert find(stores, first[:6]) == (bundle(), "draft")


def test_advancing_moves_the_pointer_and_retires_the_one_before(stores: Stores) -> None:
    old = create(bundle("aa"), stores, CLOCK, "run")
    new = create(bundle("bb"), stores, CLOCK, "run")
    assert champion("best", stores) is None
    advance(old, stores, CLOCK, "ada")
    advance(new, stores, CLOCK, "ada")
    found = champion("best", stores)
    assert found is not None
    assert found.id == new
    assert find(stores, old)[1] == "retired"
    assert stores.ledger.verify_audit().ok


@pytest.mark.parametrize("verdict", ["failed", "unknown"])
def test_what_did_not_pass_the_gate_does_not_go_live(stores: Stores, verdict: str) -> None:
    release = create(bundle(gate=Verdict(verdict, 0.1, "why", None)), stores, CLOCK, "run")
    with pytest.raises(Refused, match=f"the gate says {verdict}"):
        advance(release, stores, CLOCK, "ada")
    assert champion("best", stores) is None


def test_an_unknown_release_is_one_line(stores: Stores) -> None:
    with pytest.raises(UnknownName, match="no release 'zz'"):
        find(stores, "zz")
