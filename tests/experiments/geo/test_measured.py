"""A geo test over events in the project's own tables reads as its file does."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, Refused
from liftwerk.events.compact import compact
from liftwerk.experiments.geo.file import read_file
from liftwerk.experiments.geo.measured import read_geo, read_measured
from liftwerk.experiments.geo.read import read
from liftwerk.experiments.reading import plain
from liftwerk.experiments.register import register
from liftwerk.experiments.start import start
from liftwerk.experiments.stop import stop
from liftwerk.project.experiments import Experiments
from liftwerk.project.reading import conclude_stopped
from liftwerk.server import once
from liftwerk.server.measured import Measured
from liftwerk.stats.estimate import Estimate
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import order, put

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"
BERLIN = ZoneInfo("Europe/Berlin")
BEGINS, ENDS = date(2021, 4, 1), date(2021, 4, 15)
TREATED = ("chicago", "portland")


def project(metric: str = "sales", **fields: Any) -> Project:
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
                **fields,
            }
        },
    )


def told() -> list[dict[str, Any]]:
    """One order a city and day, worth what the file says of both, at some time of the day."""
    rng = np.random.default_rng(4)
    events = []
    with FILE.open() as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            at = datetime.fromisoformat(row["date"]).replace(tzinfo=BERLIN)
            at += timedelta(seconds=float(rng.integers(86_400)))
            made = order(number, f"o{number}", f"{row['Y']}.00", time=at.isoformat())
            made["properties"]["city"] = row["location"]
            made["identifiers"] = {"email": f"{number}@example.com"}
            events.append(made)
    # The first instant of a day is that day's; clocks are put forward on one of these days.
    first = datetime.fromisoformat(events[0]["time"])
    events[0]["time"] = first.replace(hour=0, minute=0, second=0).isoformat()
    return events


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    definitions = project()
    home = Home.open(tmp_path_factory.mktemp("geo") / "home", create=True)
    over = datetime(2021, 4, 16, 9, tzinfo=UTC)
    with open_stores(home) as stores, home.hold("test"):
        clock = FixedClock(datetime(2021, 3, 31, 22, 0, 1, tzinfo=UTC))
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


def test_a_stopped_one_is_concluded_and_its_page_says_the_same(
    ran: tuple[Project, Stores, datetime],
) -> None:
    definitions, stores, over = ran
    clock = FixedClock(over)
    pages = Measured(definitions, stores, clock)
    running = pages.one("radio")
    assert running["reading"]["verdict"]["advice"] == "keep running"
    assert running["effects"] == []
    stop(stores, clock, "jane", "radio", "it has run")
    assert conclude_stopped(definitions, stores, clock, "upkeep") == 1
    door = Experiments(definitions, stores, clock, "jane")
    found = door.read_once("radio")
    (row,) = door.effects("experiment:radio")
    (cell,) = found.by_metric["sales"].cells
    assert isinstance(cell.incremental, Estimate)
    assert row["estimate"] == msgspec.to_builtins(cell.incremental)
    assert (row["metric"], row["unit"]) == ("sales", definitions.currency)
    # Days of Berlin, which are two hours before those of UTC.
    assert (row["start"], row["end"]) == ("2021-03-31T22:00:00Z", "2021-04-15T22:00:00Z")
    # Reading it again, by hand or by the upkeep, adds nothing.
    assert len(door.effects("experiment:radio", every=True)) == 1

    shown = Measured(definitions, stores, clock).one("radio")
    assert shown["reading"]["verdict"]["words"] == (
        "Ship radio: sales EUR +155.6 (+9.0 to +285.7) a market and day."
    )
    (kept,) = shown["effects"]
    assert kept["estimate"] == plain(cell.incremental)
    assert kept["age_seconds"] == 11 * 3_600
    tables = once.tables(shown["reading"], shown["by_metric"])
    added = {row[2]: row[3:6] for row in tables["answers"].rows}
    assert added["in all markets and days"] == (
        cell.incremental.value,
        cell.incremental.low,
        cell.incremental.high,
    )
    assert "for each unit of money spent" not in added
    during = [row for row in tables["days-sales-radio"].rows if row[1] == "yes"]
    assert 2 * sum(row[4] for row in during) == pytest.approx(cell.incremental.value)
    assert dict(tables["donors-sales-radio"].rows) == cell.weights
    assert "_region" in shown["reading"]["sql"]["sales: order_completed"]
    (listed,) = Measured(definitions, stores, clock).rows()
    assert listed["verdict"] == shown["reading"]["verdict"]


def test_what_an_arm_cost_makes_a_return(ran: tuple[Project, Stores, datetime]) -> None:
    _, stores, over = ran
    costly = project(arms={"quiet": {}, "radio": {"geos": list(TREATED), "spend": "1000"}})
    found = read_geo(costly, stores, "radio", now=over)
    (cell,) = found.by_metric["sales"].cells
    assert isinstance(cell.roas, Estimate)
    assert cell.roas.value == pytest.approx(cell.incremental.value / 1000)
    # It becomes known when the test is over, and changes nothing of what was registered.
    assert found.reading.checks[-1].state == "ok"


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
