"""`events synthesize`: a tracking test for every deploy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, emit, err, open_project, out
from liftwerk.cli.events import events
from liftwerk.errors import EnvironmentFault, ProjectError, UnknownName, did_you_mean
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from http import client

    import numpy

    from liftwerk.definitions import typed
    from liftwerk.events import definition
    from liftwerk.governance import key_ring
    from liftwerk.governance import keys as write_keys
    from liftwerk.project import door
    from liftwerk.project.synthetic import synthesize as synthetic
else:
    client = LazyModule("http.client")
    numpy = LazyModule("numpy")
    synthetic = LazyModule("liftwerk.project.synthetic.synthesize")
    typed = LazyModule("liftwerk.definitions.typed")
    definition = LazyModule("liftwerk.events.definition")
    key_ring = LazyModule("liftwerk.governance.key_ring")
    write_keys = LazyModule("liftwerk.governance.keys")

PORT = 8080
"""Where `liftwerk serve` listens unless it is told otherwise."""

TRIES = 8
TRY_SECONDS = 0.5
"""A running server hears of a new key within a few seconds."""

OK, UNKNOWN_KEY = 200, 401

LABEL = "events synthesize"
END_SECONDS = 40


@events.command
def synthesize(
    *,
    url: str | None = None,
    key: str | None = None,
    source: str | None = None,
    journeys: int = 2,
    timeout: str = "60s",
    common: Common = DEFAULTS,
) -> int:
    """Send made-up customers through the collector, and check that tracking and consent hold.

    They are marked as test traffic and made up anew each time; what is sent fits the declared
    events, so it works for any project. Exits with 1 when a check fails.

    Parameters
    ----------
    url
        The collector's address; by default the project's running server, or one that is started.
    key
        The write key to send with; by default one is made for each source, and revoked afterwards.
    source
        Only this source; by default every one with kind = "http".
    journeys
        Made-up customers a source.
    timeout
        How long the events may take until they are in the tables.
    """
    if journeys < 1:
        raise ProjectError(f"--journeys is {journeys}", "events synthesize", "write 1 or more")
    seconds = _seconds(timeout)
    with open_project(common) as project, ExitStack() as stack:
        keys = stack.enter_context(_keys(project, key, source))
        address = url
        if address is None:
            address = stack.enter_context(_server(project, next(iter(keys.values())), common))
        if not common.json:
            err.print(f"sending to {address}")
        done = synthetic.synthesize(
            project.definitions,
            project.stores,
            project.clock,
            numpy.random.default_rng(),
            address,
            keys,
            project.compact,
            time.sleep,
            journeys=journeys,
            timeout=seconds,
            are_new=key is None,
        )
    emit(common, done, lambda: _render(done))
    return int(not done.passed)


def _seconds(timeout: str) -> float:
    try:
        return typed.Duration(timeout).seconds
    except ValueError as error:
        raise ProjectError(f"--timeout is {timeout!r}", "events synthesize", str(error)) from None


@contextmanager
def _keys(project: door.Project, key: str | None, source: str | None) -> Iterator[dict[str, str]]:
    """Give a key for each source that is tried; those made here are revoked at the end."""
    taking = [
        name
        for name, one in project.definitions.get(definition.SOURCES).items()
        if one.kind == "http"
    ]
    if source is not None:
        if source not in taking:
            raise UnknownName(
                f"no source {source!r} takes events", "[sources]", did_you_mean(source, taking)
            )
        taking = [source]
    if not taking:
        hint = 'declare [sources.NAME] with kind = "http"'
        raise ProjectError("the project has no source to send from", "[sources]", hint)
    if key is not None:
        ring = key_ring.KeyRing.load(project.definitions, project.stores, os.environ)
        owner = ring.source_of(key, project.clock.now())
        if owner not in taking:
            hint = "a write key of one of them: " + ", ".join(taking)
            raise ProjectError("no write key that works", "--key", hint)
        yield {owner: key}
        return
    given = (project.definitions, project.stores, project.clock, project.actor)
    made = {name: write_keys.create_key(*given, name, LABEL) for name in taking}
    try:
        yield {name: one.secret for name, one in made.items()}
    finally:
        for one in made.values():
            write_keys.revoke_key(project.stores, project.clock, project.actor, one.id)


@contextmanager
def _server(project: door.Project, key: str, common: Common) -> Iterator[str]:
    """Give the address of this project's running server, or start one on a free port."""
    address = f"http://127.0.0.1:{PORT}"
    if _is_ours(key):
        yield address
        return
    place = ("--port", "0", "--project", str(common.project))
    command = [sys.executable, "-m", "liftwerk.cli", "serve", "--only", "collect", *place]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = process.stdout.readline().strip()
            if not said:
                words = process.stderr.read().strip().rpartition("error: ")[2]
                raise EnvironmentFault("the collector does not start", "serve", words)
            yield said
        finally:
            process.terminate()
            try:
                process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_ours(key: str) -> bool:
    """Say whether a server of this project listens at the usual place: it knows the key."""
    ready, said = _ask("GET", "/health/ready", None, {})
    if ready != OK or said != b'{"status":"ready"}':
        return False
    for _ in range(TRIES):
        status, said = _ask("POST", "/v1/events", b"[]", {"x-write-key": key})
        if status != UNKNOWN_KEY:
            return status == OK and b'"dry"' not in said
        time.sleep(TRY_SECONDS)
    return False


def _ask(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Ask whoever listens at the usual place; 0 when nobody does."""
    connection = client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _render(done: synthetic.Synthesized) -> None:
    facts: dict[str, object] = {
        "collector": done.url,
        "sources": ", ".join(done.sources),
        "sent": f"{fmt.number(done.sent)} events, {fmt.number(done.changes)} changes of consent,"
        f" {fmt.number(done.refused)} broken on purpose",
        "in the tables": "not all of it",
    }
    if done.arrived_after is not None:
        facts["in the tables"] = f"{fmt.delay(done.arrived_after)} after the last was sent"
    show.pairs("Tracking test", facts)
    out.print()
    rows = [[show.verdict(one.state), one.check, one.detail] for one in done.checks]
    columns = ["", "what must hold"]
    if not done.passed:
        columns.append("what is wrong")
    show.table("Checks", columns, [row[: len(columns)] for row in rows])
