"""What a real server told of features is proved by a command, and a changed byte is found."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from liftwerk.definitions import load
from liftwerk.features.kept import kept_view
from liftwerk.features.states import decode_row, encode_row
from liftwerk.identity.resolve import leaf_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.online import Changes
from liftwerk.store.stores import open_stores
from tests.system.collector import post, serving, view
from tests.system.conftest import call
from tests.system.test_features import project_in

SECONDS = 60


def scraped(address: str) -> bytes:
    with urlopen(f"{address}metrics") as answer:
        found: bytes = answer.read()
    return found


def test_what_a_server_told_is_proved(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    file = project / "liftwerk.toml"
    table = "[feature_views.visitors]\n"
    file.write_text(file.read_text().replace(table, f'{table}sample = "100%"\n'))
    with serving(project, "--only", "collect", "--no-compact") as server:
        for number in (1, 1, 2):
            event = view(str(uuid.uuid4()), number)
            assert post(server.port, json.dumps(event).encode())[0] == 200
        assert server.stop() == 0
    assert call("features", "backfill", cwd=project).returncode == 0
    assert call("events", "compact", cwd=project).returncode == 0
    with serving(project, "--no-compact") as server:
        for _ in range(2):
            address = f"http://127.0.0.1:{server.port}/v1/features/customer/visitor%3Av1"
            with urlopen(f"{address}?view=visitors") as answer:
                assert json.load(answer)["values"]["views"] == 2.0
        noted = b'liftwerk_feature_samples_total{outcome="noted"} 2.0'
        deadline = time.monotonic() + SECONDS
        while noted not in scraped(server.address):  # it is written behind the answer
            assert time.monotonic() < deadline, scraped(server.address)
            time.sleep(0.05)
        assert server.stop() == 0
    assert call("events", "compact", cwd=project).returncode == 0
    proved = call("features", "verify", "--json", cwd=project)
    document = json.loads(proved.stdout)
    assert (proved.returncode, document["holds"]) == (0, True), document
    assert document["answers"] == 4  # two that were noted, two that are kept
    assert document["values"] == document["equal"] == 12
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores:
        kept = kept_view(definitions, "visitors")
        leaf = leaf_of(definitions, "visitor:v1")
        (body,), progress = stores.online.get(kept.space, [leaf])
        assert body is not None
        assert progress is not None
        row = decode_row(body)
        tile = next(iter(row[0].whole.values()))
        tile[0] += 1_000_000
        changes = Changes(progress, [(leaf, encode_row(row))])
        stores.online.apply({kept.space: changes}, progress.offset, progress.at)
    found = call("features", "verify", "visitors", "--since", "7d", cwd=project)
    assert found.returncode == 1
    assert "unexplained" in found.stdout
    assert "kept visitors" in found.stdout
    wrong = call("features", "verify", "--since", "soon", cwd=project)
    assert wrong.returncode == 2
    assert "write a length of time such as 7d" in wrong.stderr
    unknown = call("features", "verify", "visitor", cwd=project)
    assert unknown.returncode == 2
    assert "did you mean 'visitors'?" in unknown.stderr


def test_what_decisions_rest_on_is_proved(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(small[0], project)
    release = json.loads(call("run", "--json", cwd=project).stdout)["release"]
    for customer in ("3", "7", "11"):
        decided = call("decide", customer, "--release", release, cwd=project)
        assert decided.returncode == 0, decided.stderr
    again = json.loads(call("run", "--json", cwd=project).stdout)
    assert {stage["name"]: stage["skipped"] for stage in again["stages"]}["verify"] is False
    proved = call("features", "verify", "--json", cwd=project)
    document = json.loads(proved.stdout)
    assert (proved.returncode, document["answers"]) == (0, 3), document
    assert document["equal"] == document["values"] > 0
    assert call("decide", "3", "--release", release, cwd=project).returncode == 0
    database = next(project.rglob("decisions.sqlite"))
    with closing(sqlite3.connect(database)) as connection, connection:
        (body,) = connection.execute(
            "SELECT body FROM decisions ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        altered = re.sub(rb'(\\"history\\":)[0-9.]+', rb"\g<1>12345.5", body)
        assert altered != body
        connection.execute("UPDATE decisions SET body = ? WHERE body = ?", (altered, body))
    said = call("run", cwd=project)
    assert "1 differ: 1 unexplained" in " ".join(said.stdout.split())
    found = call("features", "verify", cwd=project)
    assert found.returncode == 1
    assert "12345.5" in found.stdout
