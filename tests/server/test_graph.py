"""A lineage is laid out so that everything goes from left to right, whatever its size."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec

from liftwerk.governance.lineage import lineage
from liftwerk.server.graph import WIDE, drawing
from tests.governance.declared import declared


def drawn(**changed):
    return drawing(msgspec.to_builtins(lineage(declared(**changed))), None)


def test_columns_go_from_what_happened_to_where_it_is_shown() -> None:
    found = drawn()
    assert [one["text"] for one in found["columns"]] == [
        "What happened",
        "Features",
        "Of features",
        "Views and metrics",
        "Models",
        "Policies and experiments",
        "Placements and goal",
    ]
    x = {node["id"]: node["x"] for node in found["nodes"]}
    for edge in lineage(declared()).edges:
        if edge.source in x and edge.target in x:
            assert x[edge.source] < x[edge.target], edge


def test_an_event_stands_there_only_where_it_is_read_as_a_whole() -> None:
    ids = {node["id"] for node in drawn()["nodes"]}
    assert "events.visit" in ids
    assert "events.order" not in ids
    chosen = msgspec.to_builtins(lineage(declared()).around("events.order"))
    assert "events.order" in {node["id"] for node in drawing(chosen, "events.order")["nodes"]}


def test_two_hundred_nodes_lie_on_no_other_and_are_laid_out_at_once() -> None:
    many = {
        f"features__f{number}": {
            "entity": "customer",
            "from": "visit",
            "aggregate": "count",
            "window": f"{number + 1}d",
        }
        for number in range(200)
    }
    began = time.process_time()
    found = drawn(**many)
    assert time.process_time() - began < 5
    assert len(found["nodes"]) > 200
    places = sorted((node["x"], node["y"]) for node in found["nodes"])
    for (x1, y1), (x2, y2) in pairwise(places):
        assert x1 != x2 or y2 - y1 >= found["high"]
    assert max(x for x, _ in places) + WIDE <= found["width"]
    assert max(y for _, y in places) + found["high"] <= found["height"]


def test_nothing_declared_is_nothing_to_draw() -> None:
    assert drawing({"nodes": [], "edges": []}) is None
