"""A geo test over events in the project's own tables reads as its file does."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, Refused
from liftwerk.events.compact import compact
from liftwerk.experiments.geo.file import read_file
from liftwerk.experiments.geo.measured import read_measured
from liftwerk.experiments.geo.read import read
from liftwerk.experiments.register import register
from liftwerk.experiments.start import start
from liftwerk.experiments.stop import stop
from liftwerk.project.experiments import Experiments
from liftwerk.stats.estimate import Estimate
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import order, put

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"
BEGINS, ENDS = date(2021, 4, 1), date(2021, 4, 15)
TREATED = ("chicago", "portland")


def project(metric: str = "sales") -> Project:
    events: dict[str, Any] = {name: dict(one) for name, one in shops.SHOP["events"].items()}
    ordered = events["order_completed"]
    region = {"city": {"type": "string", "required": False}}
    events["order_completed"] = {**ordered, "properties": {**ordered["properties"], **region}}
    counted = {"description": "x", "from": "order_completed", "within": "7d"}
    return shops.shop(
        events=events,
        metrics={
            "sales": {**counted, "aggregate": "sum", "property": "revenue"},
            "orders": {**counted, "aggregate": "count"},
            "basket": {"description": "x", "formula": "sales / orders"},
            "views": {**counted, "from": "page_viewed", "aggregate": "count"},
        },
        experiments={
            "radio": {
                "design": "geo",
                "description": "Radio in two cities",
                "purpose": "measurement",
                "metrics": [metric],
                "geo": "city",
                "arms": {"quiet": {}, "radio": {"geos": list(TREATED)}},
            }
        },
    )


def told() -> list[dict[str, Any]]:
    """One order a city and day, worth what the file says of both, at some time of the day."""
    rng = np.random.default_rng(4)
    events = []
    with FILE.open() as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            at = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            at += timedelta(seconds=float(rng.integers(86_400)))
            made = order(number, f"o{number}", f"{row['Y']}.00", time=at.isoformat())
            made["properties"]["city"] = row["location"]
            made["identifiers"] = {"email": f"{number}@example.com"}
            events.append(made)
    # The first instant of a day is that day's.
    events[0]["time"] = datetime.fromisoformat(events[0]["time"]).strftime("%Y-%m-%dT00:00:00Z")
    return events


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    definitions = project()
    home = Home.open(tmp_path_factory.mktemp("geo") / "home", create=True)
    over = datetime(2021, 4, 16, 9, tzinfo=UTC)
    with open_stores(home) as stores, home.hold("test"):
        clock = FixedClock(datetime(2021, 4, 1, 0, 0, 1, tzinfo=UTC))
        register(definitions, stores, clock, "jane", "radio", {"unplanned": "a test"})
        start(definitions, stores, clock, "jane", "radio")
        assert put(definitions, stores, *told(), at=over) == []
        compact(definitions, stores, FixedClock(over))
        yield definitions, stores, over


def test_events_read_as_the_file_does(ran: tuple[Project, Stores, datetime]) -> None:
    definitions, stores, over = ran
    found = read_measured(definitions, stores, "radio", now=over)
    plain = read(
        read_file(FILE, {}), {"radio": TREATED}, BEGINS, ENDS, rng=np.random.default_rng(0)
    )
    (cell,), (wanted,) = found["sales"].cells, plain.cells
    assert (found["sales"].start, found["sales"].end) == (BEGINS, ENDS)
    assert isinstance(cell.effect, Estimate)
    assert cell.effect.value == pytest.approx(155.556, rel=0.1)
    assert (cell.effect, cell.p_value, cell.weights) == (
        wanted.effect,
        wanted.p_value,
        wanted.weights,
    )


def test_a_stopped_one_is_concluded(ran: tuple[Project, Stores, datetime]) -> None:
    definitions, stores, over = ran
    clock = FixedClock(over)
    stop(stores, clock, "jane", "radio", "it has run")
    door = Experiments(definitions, stores, clock, "jane")
    found = door.read_once("radio")
    (row,) = door.effects("experiment:radio")
    (cell,) = found.by_metric["sales"].cells
    assert isinstance(cell.incremental, Estimate)
    assert row["estimate"]["value"] == cell.incremental.value
    assert (row["metric"], row["unit"]) == ("sales", definitions.currency)
    assert door.read_once("radio") == found
    assert len(door.effects("experiment:radio", every=True)) == 1


@pytest.mark.parametrize(
    ("metric", "words"),
    [("basket", "is a ratio"), ("views", "does not say in which 'city' it happened")],
)
def test_what_has_no_regions_is_refused(
    stores: Stores, clock: FixedClock, metric: str, words: str
) -> None:
    definitions = project(metric)
    register(definitions, stores, clock, "jane", "radio", {"unplanned": "a test"})
    with pytest.raises(Refused, match="not started"):
        read_measured(definitions, stores, "radio", now=clock.now())
    start(definitions, stores, clock, "jane", "radio")
    with pytest.raises(Refused, match="no day of it is over"):
        read_measured(definitions, stores, "radio", now=clock.now())
    with pytest.raises(InputError, match=words):
        read_measured(definitions, stores, "radio", now=clock.now() + timedelta(days=3))
