"""A home full of canaries, a server under load, and customers who ask to be forgotten."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.feather

from liftwerk.clock import SystemClock
from liftwerk.definitions import Project, load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.decisions import DecisionRecord
from liftwerk.store.home import Home
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores, open_stores
from tests.system.byte_search import search

TOKEN = "a staff token of the soak"
KEY = "a key for the server"
NOW = datetime.now(UTC).replace(microsecond=0)
MONTHS = 12
PART = 50_000

TOML = """
[project]
name = "shop"
currency = "EUR"
[purposes.measurement]
basis = "legitimate_interest"
[sources.shop]
kind = "http"
trust = "server"
key_env = "SHOP_KEY"
[identifiers.customer]
normalise = "trim"
[identifiers.device]
anonymous = true
[events.page_viewed]
version = 1
description = "A page was seen"
properties = { path = { type = "string" } }
[events.order_completed]
version = 1
description = "A paid order"
unique = ["order_id"]
[events.order_completed.properties]
order_id = { type = "string", privacy = "pseudonymous" }
revenue = { type = "money" }
note = { type = "string", privacy = "personal", required = false }
"""


@dataclass
class Person:
    """A customer, and every canary that stands for them somewhere."""

    customer: str
    device: str
    others: list[str] = field(default_factory=list)

    @property
    def canaries(self) -> list[str]:
        return [self.customer, self.device, *self.others]

    @property
    def keys(self) -> list[bytes]:
        return [leaf_key("customer", self.customer), leaf_key("device", self.device)]


class World:
    """A shop with customers, and chance from a seed."""

    def __init__(self, folder: Path, customers: int, seed: int) -> None:
        self.rng = random.Random(seed)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "liftwerk.toml").write_text(TOML)
        self.folder = folder
        self.people = [Person(self.canary(), self.canary()) for _ in range(customers)]
        self.project: Project = load(folder, SECTIONS)
        self.home = self.project.home

    def canary(self) -> str:
        return f"cnry{self.rng.getrandbits(128):032x}"

    def event(self, person: Person, kind: int, at: datetime) -> dict[str, Any]:
        """One of six: three views of the device, one of both, two orders."""
        made: dict[str, Any] = {
            "id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            "name": "page_viewed",
            "version": 1,
            "time": at.isoformat(),
            "identifiers": {"device": person.device},
            "properties": {"path": f"/{kind}"},
        }
        if kind == 3:
            made["identifiers"]["customer"] = person.customer
        if kind > 3:
            order, note = self.canary(), self.canary()
            person.others += [order, note]
            made |= {
                "name": "order_completed",
                "identifiers": {"customer": person.customer},
                "properties": {"order_id": order, "revenue": "10.00", "note": f"for {note}"},
            }
        return made

    def fill(self) -> int:
        """Put six events of each customer into tables, and some of them everywhere else."""
        rows = 0
        waiting: list[Any] = []
        with open_stores(Home.of(self.project, create=True)) as stores, stores.home.hold("fill"):
            for part in range(0, len(self.people), PART):
                for person in self.people[part : part + PART]:
                    bodies = [
                        json.dumps(self.event(person, kind, self._past())).encode()
                        for kind in range(6)
                    ]
                    admitted = admit(bodies, schema_of(self.project), "shop", NOW)
                    found = [row for row in admitted.rows if row is not None]
                    assert len(found) == 6, admitted.refused
                    waiting += found
                stores.inbox.append(waiting)
                rows += len(waiting)
                waiting = []
                compact(self.project, stores, SystemClock())
            self._elsewhere(stores)
        return rows

    def _past(self) -> datetime:
        return NOW - timedelta(days=self.rng.uniform(1, 30 * MONTHS))

    def _elsewhere(self, stores: Stores) -> None:
        """Refused bodies, live decisions and artefacts of one customer in ten."""
        some = self.people[::10]
        refused = []
        for number, person in enumerate(some):
            text: Any = {"name": "page_viewed", "identifiers": {"customer": person.customer}}
            if number % 3 == 1:
                text = {"said": f"mail <{person.customer}> about it", "n": number}
            body = msgspec.json.encode(text)
            if number % 3 == 2:
                body = b"torn {" + person.device.encode() + b',"' + person.customer.encode()
            refused.append(Rejected("shop", NOW, "made up", str(number), body))
        stores.inbox.quarantine_put(refused)
        for number, person in enumerate(some):
            record = DecisionRecord(
                number.to_bytes(16, "big"), person.keys[0], "mail", NOW, b'{"action":"none"}'
            )
            stores.decisions.decide(record, [])
        scores = pa.table({"customer": [one.keys[0] for one in some], "score": range(len(some))})
        sink = pa.BufferOutputStream()
        pyarrow.feather.write_feather(scores, sink, compression="zstd")
        stores.artefacts.put(sink.getvalue().to_pybytes())


class Load:
    """Clients that send events of everybody, also of those who asked to be forgotten."""

    def __init__(self, world: World, port: int, rate: float, batch: int = 20) -> None:
        self.world, self.port, self.batch = world, port, batch
        self.pause = batch / rate
        self.sent = 0
        self.answers: dict[int, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"authorization": f"Bearer {KEY}"}
        due = time.monotonic()
        while not self._end.is_set():
            rng = self.world.rng
            events = [
                self.world.event(rng.choice(self.world.people), rng.randrange(6), datetime.now(UTC))
                for _ in range(self.batch)
            ]
            connection.request("POST", "/v1/events", json.dumps(events), headers)
            answer = connection.getresponse()
            answer.read()
            self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
            self.sent += self.batch
            due += self.pause
            self._end.wait(max(due - time.monotonic(), 0))
        connection.close()


class Server:
    """`liftwerk serve`, as it is started in earnest."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "liftwerk.cli", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            [*command, "--project", str(folder)],
            env={**os.environ, "SHOP_KEY": KEY, "LIFTWERK_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        self.port = int(address.rstrip("/").rpartition(":")[2])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)

    def ask(self, method: str, path: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        bearer = TOKEN if token is None else token
        connection.request(method, path, headers={"authorization": f"Bearer {bearer}"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said


def quantiles(values: list[float]) -> dict[str, float]:
    """The median, the 95th and 99th percentile, and the largest."""
    ordered = sorted(values)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 3)
        for name, share in at.items()
    }


def erase_under_load(
    folder: Path, customers: int, erased: int, seed: int, rate: float, patience: float
) -> dict[str, Any]:
    """Fill a home, start the server, ask for erasures under load, and search every byte."""
    world = World(folder, customers, seed)
    began = time.monotonic()
    rows = world.fill()
    filled = time.monotonic() - began
    gone = world.rng.sample(world.people, erased)
    before = frozenset(name.encode() for one in gone for name in one.canaries)
    found_before, _, _ = search(world.home, before, frozenset())
    asked: list[float] = []
    with Server(folder, "--only", "collect", "--workers", "2") as server:
        with Load(world, server.port, rate) as load:
            receipts = []
            for person in gone:
                start = time.monotonic()
                status, said = server.ask("DELETE", f"/v1/customers/customer:{person.customer}")
                assert status == 202, said
                asked.append(time.monotonic() - start)
                receipts.append(said["erasure"])
            _until_erased(server, receipts, patience)
            latencies = [_latency(server.ask("GET", f"/v1/erasures/{one}")[1]) for one in receipts]
        _until_sorted(world, patience)
        # Those that came up in the load, too: every canary that ever stood for them.
        canaries = frozenset(name.encode() for one in gone for name in one.canaries)
        keys = frozenset(key for one in gone for key in one.keys)
        left, keys_left, sizes = search(world.home, canaries, keys)
        _, last = server.ask("GET", f"/v1/erasures/{receipts[-1]}")
    names = {one.customer for one in gone}
    first, second = [one for one in world.people if one.customer not in names][:2]
    return {
        "customers": customers,
        "erased": erased,
        "seed": seed,
        "rows": rows,
        "seconds_to_fill": round(filled, 1),
        "events_sent_under_load": load.sent,
        "answers": load.answers,
        "canaries": len(canaries),
        "canaries_found_before": sum(found_before.values()),
        "answer_seconds": quantiles(asked),
        "erased_after_seconds": quantiles(latencies),
        "canaries_found": left,
        "keys_found_outside_the_ledger": {
            name: many for name, many in keys_left.items() if not name.startswith("ledger.sqlite")
        },
        "bytes_searched": sizes,
        "last_receipt": last["receipt"],
        "one_by_bucket": erase_one(folder, first, "--no-search"),
        "one_with_the_search": erase_one(folder, second),
    }


def erase_one(folder: Path, person: Person, *options: str) -> dict[str, Any]:
    """Erase one customer by the command, with nobody else there."""
    command = [sys.executable, "-m", "liftwerk.cli", "erase", f"customer:{person.customer}"]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--yes", "--json", *options, "--project", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = round(time.monotonic() - start, 2)
    said = json.loads(done.stdout)
    return {"seconds": seconds, "events": said["erased"]["events"], "found": said["found"]}


def _until_erased(server: Server, receipts: list[str], patience: float) -> None:
    deadline = time.monotonic() + patience
    for receipt in receipts:
        while server.ask("GET", f"/v1/erasures/{receipt}")[1]["state"] != "erased":
            assert time.monotonic() < deadline, "not erased in time"
            time.sleep(0.5)


def _until_sorted(world: World, patience: float) -> None:
    """Wait until what was collected rests in tables: nothing moves any more."""
    deadline = time.monotonic() + patience
    with open_stores(Home.of(world.project)) as stores:
        while stores.inbox.count():
            assert time.monotonic() < deadline, "not sorted in time"
            time.sleep(0.5)


def _latency(said: dict[str, Any]) -> float:
    asked, finished = (datetime.fromisoformat(said[key]) for key in ("requested", "finished"))
    return (finished - asked).total_seconds()
