"""A reading by kept totals is the one that counts all afresh, whatever came in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.experiments.read import read
from liftwerk.experiments.reading import Reading
from liftwerk.metrics.kept import TOTALS, Folder
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import event, put
from tests.experiments.trial import DAYS, START, Trial
from tests.governance.erasing import erase_now

TRIAL = Trial(seed=5, customers=80, effect=40.0, fields={"counter_metrics": {"views": "60%"}})
PROJECT = TRIAL.project()


def same(stores: Stores, now: datetime) -> Reading:
    """Read by kept totals, and hold it to what the log says up to its last offset."""
    snapshot = stores.ledger.latest_snapshot()
    assert snapshot is not None
    found = read(PROJECT, stores, "greeting", now=now)
    assert found == read(PROJECT, stores, "greeting", now=now, offset=snapshot.inbox_offset)
    return found


def tell(stores: Stores, now: datetime, *events: dict[str, Any]) -> None:
    assert put(PROJECT, stores, *events, at=now) == []
    compact(PROJECT, stores, FixedClock(now))


def test_days_of_readings_are_fresh_ones(tmp_path: Path) -> None:
    events = sorted(TRIAL.events(), key=lambda one: str(one["time"]))
    # One of five is told nine days late.
    days: dict[int, list[dict[str, Any]]] = {}
    for place, one in enumerate(events):
        late = 9 * (place % 5 == 0)
        day = (datetime.fromisoformat(one["time"]) - START).days + 1 + late
        days.setdefault(max(day, 0), []).append(one)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        seen = []
        for day in range(DAYS + 16):
            now = START + timedelta(days=day)
            assert put(PROJECT, stores, *days.get(day, []), at=now) == []
            if day in (12, 19, DAYS + 15):
                compact(PROJECT, stores, FixedClock(now))
                seen.append(same(stores, now))
        assert sum(one.matured for one in seen[0].arms) < sum(one.matured for one in seen[1].arms)
        kept = Folder(stores, "greeting").read()
        assert kept is not None
        assert kept.later
        told = event("page_viewed", 90_001, identifiers=_customer(7) | {"device": "another"})
        late = {"time": (START + timedelta(days=8)).isoformat()}
        bought = event("page_viewed", 90_002, identifiers={"device": "another"}, **late)
        tell(stores, now, told, bought)
        same(stores, now)
        said = event("consent_changed", 90_003, identifiers=_customer(11))
        said["properties"] = {"granted": [], "withdrawn": ["measurement"]}
        tell(stores, now, said)
        without = same(stores, now)
        more = Folder(stores, "greeting").read()
        assert more is not None
        # Only who was merged and who withdrew: their units, as they are and as they were.
        assert 0 < more.changed - kept.changed <= 4
        erase_now(PROJECT, stores, FixedClock(now), "email:c20@example.com")
        assert not list((stores.home.path / TOTALS).rglob("*.parquet"))
        erased = same(stores, now)
        assert _units(erased) == _units(without) - 1


def _customer(number: int) -> dict[str, str]:
    return {"email": f"c{number}@example.com"}


def _units(reading: Reading) -> int:
    return sum(one.units for one in reading.arms)
