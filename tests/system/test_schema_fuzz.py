"""Every answer of the server is one that its OpenAPI declares: fuzzed from that very document."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.system.collector import make_project, serving
from tests.system.schema_fuzz import fuzz

PAGES = ("/v1/decisions", "/v1/figures", "/v1/report", "/v1/batch", "/v1/consent", "/health")
COLLECT = ("/v1/events", "/v1/track", "/ofrep", "/t.js", "/metrics")
CASES = [
    ((), PAGES, ("--max-examples", "3"), 200),
    (("--only", "collect"), COLLECT, ("--max-examples", "40", "--phases", "fuzzing"), 50),
]
"""The soak has all addresses in both ways of serving; here each handler is met once."""


@pytest.mark.parametrize(("mode", "paths", "options", "least"), CASES, ids=["pages", "collect"])
def test_no_answer_is_undeclared(
    tmp_path: Path,
    mode: tuple[str, ...],
    paths: tuple[str, ...],
    options: tuple[str, ...],
    least: int,
) -> None:
    project = make_project(tmp_path / "shop")
    wanted = "^(" + "|".join(paths) + ")"
    with serving(project, *mode, "--no-compact") as server:
        done = fuzz(server, *options, "--include-path-regex", wanted, seed=1)
    assert done.returncode == 0, done.stdout[-10_000:]
    generated = re.search(r"([0-9]+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1]) >= least


def test_the_schema_holds_the_projects_events(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with (
        serving(project, "--only", "collect", "--no-compact") as server,
        urllib.request.urlopen(f"{server.address}schema", timeout=20) as answer,
    ):
        document = json.load(answer)
    body = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["anyOf"][0] == {"$ref": "#/components/schemas/Event"}
    schemas = document["components"]["schemas"]
    assert {"$ref": "#/components/schemas/order_completed_1"} in schemas["Event"]["anyOf"]
    properties = schemas["order_completed_1.order_completed_properties"]["properties"]
    assert properties["revenue"]["pattern"] == r"^[0-9]{1,16}(\.[0-9]{1,2}0*)?$"
    assert "#/$defs/" not in json.dumps(document)
