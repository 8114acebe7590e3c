from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.import_events import import_events
from liftwerk.definitions import Project
from liftwerk.errors import InputError, TooManyBadRows, UnknownName
from liftwerk.events.compact import CLASH, compact
from liftwerk.events.read import read
from liftwerk.store.stores import Stores
from tests.events.shop import event, order


def write(folder: Path, *events: Any, name: str = "events.ndjson") -> Path:
    lines = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in events]
    data = b"\n".join(lines) + b"\n"
    if name.endswith(".gz"):
        data = gzip.compress(data)
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_whole_events_go_in(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path, name: str
) -> None:
    file = write(tmp_path, event(number=1), b"", order(2), event(number=1), name=name)
    done = import_events(shop, stores, file, "file", clock)
    assert (done.rows, done.events) == (3, {"order_completed": 1, "page_viewed": 1})
    assert done.duplicates == 1
    compact(shop, stores, clock)
    [page] = read(shop, stores, "page_viewed", "audit", ["source", "trust"]).to_pylist()
    assert page == {"source": "file", "trust": "import"}
    assert import_events(shop, stores, file, "file", clock).events == {}


def test_a_bad_line_is_quarantined(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    good = [event(number=number) for number in range(1, 300)]
    file = write(tmp_path, *good, b"{torn", event(number=1, session="other"))
    done = import_events(shop, stores, file, "till", clock)
    assert done.reasons == {"not JSON": 1, f"page_viewed: {CLASH}": 1}
    assert sum(done.events.values()) == 299
    kept = [one.rejected for one in stores.inbox.quarantine_list()]
    assert [(one.detail, one.source) for one in kept] == [
        ("line 300", "till"),
        ("line 301", "till"),
    ]
    assert kept[0].body == b"{torn"


def test_what_is_for_a_delivery_alone_is_no_part_of_a_file(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    good = [event(number=number) for number in range(1, 300)]
    agent = {"client_user_agent": "Mozilla/5.0"}
    file = write(tmp_path, *good, event(number=300, delivery=agent))
    done = import_events(shop, stores, file, "till", clock)
    assert done.reasons == {"page_viewed.delivery: no destination declares delivery fields": 1}
    [kept] = stores.inbox.quarantine_list()
    assert kept.rejected.body == msgspec.json.encode(event(number=300))


def test_too_many_publish_nothing(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    file = write(tmp_path, event(number=1), event("page_view", 2))
    with pytest.raises(TooManyBadRows, match="1 of 2 rows are bad, 1% are allowed"):
        import_events(shop, stores, file, "till", clock)
    assert stores.inbox.last_offset() == 0


def test_bad_calls_write_nothing(
    shop: Project, stores: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_events(shop, stores, tmp_path / "none.ndjson", "till", clock)
    with pytest.raises(InputError, match="the file is empty"):
        import_events(shop, stores, write(tmp_path, b"", b""), "till", clock)
    with pytest.raises(InputError, match="not UTF-8 text"):
        import_events(shop, stores, write(tmp_path, event(), b"\xff"), "till", clock)
    with pytest.raises(UnknownName, match="did you mean 'till'"):
        import_events(shop, stores, write(tmp_path, event()), "tilt", clock)
    assert stores.inbox.last_offset() == 0
