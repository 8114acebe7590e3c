"""From a published schema over a refused change to a new version, and a replay, by the commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.system.conftest import call

PROJECT = """\
[project]
name = "shop"
currency = "EUR"

[purposes.measurement]
basis = "legitimate_interest"

[sources.file]
kind = "file"
trust = "import"

[identifiers.customer]
normalise = "trim"

[import]
max_bad = "50%"

[events.order_completed]
version = 1
description = "A paid order"
unique = ["order_id"]

[events.order_completed.properties]
order_id = { type = "string", privacy = "pseudonymous" }
total = { type = "money", minimum = "0" }

[imports.orders]
source = "file"
file = "orders.csv"
key = ["order_id"]
identifiers = { customer = "who" }

[[imports.orders.events]]
event = "order_completed"
time = { column = "day" }
properties = { order_id = "order_id", total = "total" }
"""

ORDERS = """\
order_id,who,day,total
1,ada,2026-03-01T09:00:00Z,29.99
2,bob,2026-03-02T09:00:00Z,5.00
3,cy,2026-03-03T09:00:00Z,-4.00
"""

TOTAL = 'total = { type = "money", minimum = "0" }'

SECOND = """
[[events.order_completed.earlier]]
version = 1
read = { revenue = "total", channel = { default = "web" } }

[events.order_completed.earlier.properties]
order_id = { type = "string", privacy = "pseudonymous" }
total = { type = "money" }
"""

REFUSED = (
    "events.order_completed: version 1 is published, and its property 'total' is gone:"
    " liftwerk.toml:23: raise version to 2 and declare how version 1 is read"
)


def test_a_schema_changes_and_no_order_is_lost(tmp_path: Path) -> None:
    toml = tmp_path / "liftwerk.toml"
    toml.write_text(PROJECT, encoding="utf-8")
    (tmp_path / "orders.csv").write_text(ORDERS, encoding="utf-8")
    assert call("import", cwd=tmp_path).returncode == 0

    shown = call("events", "quarantine", cwd=tmp_path).stdout
    assert "1 x order_completed.total: expected an amount in EUR" in shown
    assert "row 3, column total" in shown
    assert "cy" not in shown
    bodies = call("events", "quarantine", "--show", "--json", cwd=tmp_path)
    assert '"who":"cy"' in json.loads(bodies.stdout)[0]["examples"][0]["body"]
    assert "personal" in bodies.stderr

    # A refund is an order too: the bound goes, and what was refused is let in.
    toml.write_text(PROJECT.replace(TOTAL, 'total = { type = "money" }'), encoding="utf-8")
    done = json.loads(call("events", "replay", "--json", cwd=tmp_path).stdout)
    assert (done["events"], done["stayed"]) == ({"order_completed": 1}, {})

    # Renamed in place, it is refused by every door, and nothing is written.
    renamed = PROJECT.replace(TOTAL, 'revenue = { type = "money" }\nchannel = { type = "string" }')
    renamed = renamed.replace('total = "total"', 'revenue = "total", channel = { value = "shop" }')
    toml.write_text(renamed, encoding="utf-8")
    checked = call("check", cwd=tmp_path)
    assert checked.returncode == 2
    assert checked.stdout.splitlines()[0] == REFUSED
    for command in (["import"], ["events", "compact"]):
        refused = call(*command, cwd=tmp_path)
        assert (refused.returncode, refused.stderr.strip()) == (2, f"error: {REFUSED}")

    second = renamed.replace("version = 1\ndescription", "version = 2\ndescription")
    second = second.replace("[imports.orders]", SECOND + "\n[imports.orders]", 1)
    toml.write_text(second, encoding="utf-8")
    assert call("check", cwd=tmp_path).returncode == 0
    (tmp_path / "orders.csv").write_text(
        ORDERS.splitlines()[0] + "\n4,ada,2026-03-04T09:00:00Z,7.50\n", encoding="utf-8"
    )
    assert call("import", cwd=tmp_path).returncode == 0
    question = "select order_id, revenue, channel from order_completed order by order_id"
    answer = call("sql", "--purpose", "measurement", question, "--json", cwd=tmp_path)
    assert [list(row.values()) for row in json.loads(answer.stdout)["rows"]] == [
        ["1", 2999, "web"],
        ["2", 500, "web"],
        ["3", -400, "web"],
        ["4", 750, "shop"],
    ]

    document = json.loads(call("schema", "event", "order_completed", cwd=tmp_path).stdout)
    assert document["title"] == "order_completed 2"
    types = call("schema", "types", "--language", "python", cwd=tmp_path).stdout
    assert "class OrderCompletedV1(Envelope):" in types
    assert json.loads(call("schema", cwd=tmp_path).stdout)["title"] == "liftwerk.toml"


def test_compacting_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text(PROJECT, encoding="utf-8")
    event = {
        "id": "00000000-0000-0000-0000-000000000001",
        "name": "order_completed",
        "version": 1,
        "time": "2026-03-01T09:00:00Z",
        "identifiers": {"customer": "ada"},
        "properties": {"order_id": "1", "total": "1.00"},
        "source": "file",
    }
    # What a collector leaves behind.
    program = (
        "import json, sys; from pathlib import Path;"
        "from liftwerk.store.home import Home; from liftwerk.store.stores import open_stores;"
        "stores = open_stores(Home.open(Path('.liftwerk'), create=True));"
        "stores.inbox.append([(bytes(15) + b'1', 'order_completed', 1, sys.argv[1].encode())])"
    )
    put = [sys.executable, "-c", program, json.dumps(event, separators=(",", ":"))]
    subprocess.run(put, cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "liftwerk.cli", "events", "compact", "--every", "10ms"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert "Compacted" in running.stdout.readline()
    assert "new order_completed" in running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 0
    wrong = call("events", "compact", "--every", "soon", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
