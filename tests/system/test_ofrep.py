"""OpenFeature's own clients, unchanged, against the real server; and kills in the middle."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.definitions.typed import Share
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.draw import draw_of
from liftwerk.experiments.give import giver
from liftwerk.experiments.ramp import ramp
from liftwerk.experiments.register import register
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.start import start
from liftwerk.experiments.stop import stop
from liftwerk.metrics.definition import GOAL
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.conftest import need_package
from tests.system.collector import KEYS, Server, make_project, post, serving

CLIENT = Path(__file__).with_name("ofrep_client.mjs")
PATH = "/ofrep/v1/evaluate/flags"
CONSENT = {"granted": ["measurement"], "source": "api"}
COLLECT = ("--only", "collect", "--no-compact")
REACHES = 5.0
"""Seconds in which a start, a ramp or a stop has reached every process."""

ORIGINS, ASKS = 'origins = ["https://shop.example"]\n', 'placements = ["top"]\n'
"""The key in the shop's pages may ask about one placement alone."""

TEXT = """
[goal]
metric = "revenue"
holdout = "10%"
salt = "hold"

[metrics.revenue]
description = "Money"
from = "order_completed"
aggregate = "sum"
property = "revenue"
within = "7d"

[actions.nothing]
label = "Nothing"

[actions.greeting]
label = "A greeting"

[placements.top]
channel = "web"
control = "nothing"

[placements.side]
channel = "web"
control = "nothing"

[experiments.greet]
design = "ab"
description = "A greeting at the top"
purpose = "measurement"
placement = "top"
metrics = ["revenue"]
arms = { control = {}, warm = { action = "greeting" } }
testers = { "customer:me" = "warm" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = make_project(tmp_path / "shop")
    file = folder / "liftwerk.toml"
    file.write_text(file.read_text().replace(ORIGINS, ORIGINS + ASKS) + TEXT)
    with stores_of(folder) as stores:
        definitions = load(folder, SECTIONS)
        register(definitions, stores, SystemClock(), "jane", "greet", {"unplanned": "a test"})
        start(definitions, stores, SystemClock(), "jane", "greet")
    return folder


@contextmanager
def stores_of(folder: Path) -> Iterator[Stores]:
    with open_stores(Home.of(load(folder, SECTIONS), create=True)) as stores:
        yield stores


def expected(folder: Path, customer: str, share: Fraction = Fraction(1)) -> str | None:
    definitions = load(folder, SECTIONS)
    greet = definitions.get(EXPERIMENTS)["greet"]
    draw = draw_of("greet", greet, share, goal=definitions.get(GOAL))
    return giver(draw)(leaf_key("customer", customer).hex(), customer)


def spine_of(folder: Path) -> dict[bytes, dict[str, Any]]:
    definitions = load(folder, SECTIONS)
    with stores_of(folder) as stores, stores.home.hold("test"):
        compact(definitions, stores, SystemClock())
        assert stores.inbox.quarantine_list() == []
        spine = assigned_units(definitions, stores, "greet")
    assert spine.mixed == 0
    return {row["unit"]: row for row in spine.table.to_pylist()}


def ask(port: int, context: dict[str, Any], flag: str = "/top", **headers: str) -> Any:
    body = json.dumps({"context": context}).encode()
    status, answered, text = post(port, body, PATH + flag, **headers)
    return status, answered, json.loads(text or b"null")


def until(port: int, context: dict[str, Any], wanted: dict[str, str]) -> None:
    """Ask until the answer is as wanted; a change has to reach every process in time."""
    began = time.monotonic()
    while True:
        _, _, answer = ask(port, context)
        if {key: answer[key] for key in wanted} == wanted:
            return
        assert time.monotonic() - began < REACHES + 10, answer  # a loaded machine is slow
        time.sleep(0.1)


def test_the_javascript_client(project: Path) -> None:
    need_package("@openfeature/ofrep-provider")
    customers = [f"c{number}" for number in range(60)]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("top", {"targetingKey": f"customer:{one}", "consent": CONSENT}) for one in customers
    ]
    asked += [
        ("top", {"targetingKey": "customer:me", "consent": CONSENT}),
        ("side", {"targetingKey": "customer:c0"}),
        ("top", {"targetingKey": "customer:c0"}),
        ("nowhere", {"targetingKey": "customer:c0"}),
        ("top", {}),
    ]
    with serving(project, *COLLECT) as server:
        done = subprocess.run(
            ["node", str(CLIENT), server.address.rstrip("/"), KEYS["SHOP_KEY"]],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    *answers, tester, side, refusing, nowhere, nobody = json.loads(done.stdout)
    given = {}
    for customer, answer in zip(customers, answers, strict=True):
        arm = expected(project, customer)
        if arm is None:
            assert (answer["value"], answer["reason"]) == ("nothing", "STATIC")
            continue
        given[leaf_key("customer", customer)] = arm
        assert (answer["variant"], answer["reason"]) == (arm, "SPLIT")
        assert answer["value"] == {"control": "nothing", "warm": "greeting"}[arm]
        assert answer["flagMetadata"] == {"experiment": "greet"}
    assert {"control", "warm"} == set(given.values())
    assert len(given) < len(customers)
    assert (tester["value"], tester["reason"]) == ("greeting", "TARGETING_MATCH")
    assert (side["value"], side["reason"]) == ("nothing", "STATIC")
    # Without the consent that the purpose rests on nobody is in the experiment.
    assert (refusing["value"], refusing["reason"]) == ("nothing", "STATIC")
    assert (nowhere["value"], nowhere["errorCode"]) == ("my own default", "FLAG_NOT_FOUND")
    assert (nobody["value"], nobody["errorCode"]) == ("my own default", "TARGETING_KEY_MISSING")
    spine = spine_of(project)
    assert {unit: row["arm"] for unit, row in spine.items()} == given


def test_the_python_client_and_a_whole_life(project: Path) -> None:
    entering = next(c for c in map(str, range(99)) if expected(project, c) == "warm")
    key = f"customer:{entering}"
    context = {"targetingKey": key, "consent": CONSENT}
    with serving(project, *COLLECT) as server, stores_of(project) as stores:
        headers = {"X-API-Key": KEYS["SHOP_KEY"]}
        api.set_provider(OFREPProvider(server.address, headers_factory=lambda: headers))
        client = api.get_client()
        whom = EvaluationContext(key, {"consent": CONSENT, "exposed": True})
        found = client.get_string_details("top", "mine", whom)
        assert (found.value, found.variant, found.reason) == ("greeting", "warm", Reason.SPLIT)
        missing = client.get_string_details("nowhere", "mine", whom)
        assert (missing.value, missing.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)
        api.clear_providers()

        status, answered, flags = ask(server.port, context, "")
        assert (status, [flag["key"] for flag in flags["flags"]]) == (200, ["top", "side"])
        same = ask(server.port, context, "", if_none_match=answered["etag"])
        assert (same[0], same[2]) == (304, None)
        assert ask(server.port, {**context, "targetingKey": ""}, "")[2]["flags"][0] == {
            "key": "top",
            "errorCode": "TARGETING_KEY_MISSING",
            "errorDetails": "nobody is named: the context:"
            " send an identifier as targetingKey: NAMESPACE:VALUE",
        }

        stop(stores, SystemClock(), "jane", "greet", "enough")
        until(server.port, context, {"value": "nothing", "reason": "DISABLED"})
        assert ask(server.port, context, "", if_none_match=answered["etag"])[0] == 200
    [row] = spine_of(project).values()
    assert row["unit"] == leaf_key("customer", entering)
    assert row["exposed"] == row["time"]


def test_a_ramp_reaches_every_process(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    file = folder / "liftwerk.toml"
    file.write_text(file.read_text() + TEXT)
    definitions = load(folder, SECTIONS)
    later = next(
        c
        for c in map(str, range(999))
        if expected(folder, c) == "warm" and expected(folder, c, Fraction(1, 10)) is None
    )
    context = {"targetingKey": f"customer:{later}", "consent": CONSENT}
    with serving(folder, *COLLECT) as server, stores_of(folder) as stores:
        until(server.port, context, {"value": "nothing", "reason": "STATIC"})
        register(definitions, stores, SystemClock(), "jane", "greet", {"unplanned": "a test"})
        start(definitions, stores, SystemClock(), "jane", "greet", Share("10%"))
        tester = {**context, "targetingKey": "customer:me"}
        until(server.port, tester, {"value": "greeting", "reason": "TARGETING_MATCH"})
        assert ask(server.port, context)[2]["value"] == "nothing"
        ramp(definitions, stores, SystemClock(), "jane", "greet", Share("100%"))
        until(server.port, context, {"variant": "warm", "reason": "SPLIT"})


def test_what_is_asked_wrongly(project: Path) -> None:
    with serving(project, *COLLECT) as server:
        status, _, answer = ask(server.port, {}, authorization="Bearer no key at all")
        assert (status, answer["title"]) == (401, "Unauthorized")
        for body in (b"{", b"[]", b'{"context": 7}', b"\xff"):
            status, _, text = post(server.port, body, f"{PATH}/top")
            assert (status, json.loads(text)["errorCode"]) == (400, "PARSE_ERROR")
        status, _, answer = ask(server.port, {"targetingKey": 7})
        assert (status, answer["errorCode"]) == (400, "INVALID_CONTEXT")
        key = {"x_write_key": KEYS["WEB_KEY"], "authorization": ""}
        status, _, answer = ask(server.port, {}, origin="https://evil.example", **key)
        assert status == 403
        whom = {"targetingKey": "visitor:v", "consent": CONSENT}
        status, _, answer = ask(server.port, whom, "/side", **key)
        assert (status, answer["errorCode"]) == (404, "FLAG_NOT_FOUND")
        assert [flag["key"] for flag in ask(server.port, whom, "", **key)[2]["flags"]] == ["top"]
        status, headers, _ = ask(server.port, whom, origin="https://shop.example", **key)
        assert (status, headers["access-control-allow-origin"]) == (200, "https://shop.example")


def test_kills_in_the_middle_lose_no_arm_and_change_none(project: Path) -> None:
    """Acknowledged arms are in the log, and nobody was ever given two."""
    acknowledged: dict[str, set[str]] = {}
    ending, guard = threading.Event(), threading.Lock()

    def ask_on(server: Server, part: int) -> None:
        number = 0
        while not ending.is_set():
            customer = f"{part}-{number % 40}"
            number += 1
            try:
                whom = {"targetingKey": f"customer:{customer}", "consent": CONSENT}
                status, _, answer = ask(server.port, whom)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.02)
                continue
            if status == 200:
                with guard:
                    acknowledged.setdefault(customer, set()).add(answer["variant"])

    def enough(many: int) -> bool:
        with guard:
            return len(acknowledged) >= many

    with serving(project, *COLLECT, "--workers", "2") as server:
        asking = [threading.Thread(target=ask_on, args=(server, part)) for part in range(4)]
        for thread in asking:
            thread.start()
        try:
            for kill in range(1, 5):
                began = time.monotonic()
                while not enough(30 * kill) and time.monotonic() - began < 30:
                    time.sleep(0.05)
                assert enough(30 * kill)
                os.kill(server.workers()[0], signal.SIGKILL)
        finally:
            ending.set()
            for thread in asking:
                thread.join()
        server.kill()
    spine = spine_of(project)
    for customer, variants in acknowledged.items():
        arm = expected(project, customer)
        assert variants == {arm or "nothing"}
        if arm is not None:
            assert spine[leaf_key("customer", customer)]["arm"] == arm
