"""A lineage as a drawing: columns from what happened to where it is shown, and lines between.

Pure layout; the template writes the SVG. Nodes are ordered in their columns so that lines cross
little: each goes to the mean place of what it is connected with, a few times forth and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]

COLUMNS = (
    ("What happened", ("event", "property", "entity")),
    ("Features", ("feature",)),
    ("Views and metrics", ("view", "metric")),
    ("Models", ("model",)),
    ("Policies and experiments", ("policy", "experiment")),
    ("Placements and goal", ("placement", "goal")),
)
"""Headings, and the kinds of nodes below each."""

WIDE, HIGH, GAP, TOP = 152, 30, 10, 34
"""Of a node, between two of them, and above the first, in units of the drawing."""

WIDEST, PAGE = 260, 1072
"""Of a node where there are few columns, and of a page's text."""

BETWEEN = 34
"""From one column to the next: the lines go here."""

MANY, LOW, CLOSE = 30, 22, 4
"""Of more nodes in a column each is lower, and they stand closer."""

LETTERS = 17
"""More of a name don't fit a narrow node; the whole is in the title."""

LETTER, INSIDE = 7.6, 20
"""How wide a letter is at most, as a rule, and what a node needs beside its name."""

SWEEPS = 6


def drawing(found: Mapping[str, Any], chosen: str | None = None) -> Json | None:
    """Lay a lineage out.

    Parameters
    ----------
    found : mapping
        ``nodes`` and ``edges``, as `liftwerk.governance.lineage.Lineage` has them.
    chosen : str, optional
        The id of the node that is looked at.

    Returns
    -------
    dict or None
        ``width``, ``height``, ``columns``, ``nodes`` and ``lines``; None where nothing is to draw.
    """
    kinds = {one["id"]: one["kind"] for one in found["nodes"]}
    edges = [
        (edge["source"], edge["target"], edge["why"])
        for edge in found["edges"]
        # An event and its properties are in one column.
        if (kinds[edge["source"]], kinds[edge["target"]]) != ("event", "property")
    ]
    joined = {name for source, target, _ in edges for name in (source, target)}
    shown = [
        one for one in found["nodes"] if one["kind"] != "event" or one["id"] in {*joined, chosen}
    ]
    if not shown:
        return None
    columns = _columns(shown, edges)
    wide = max(WIDE, min(WIDEST, (PAGE + BETWEEN) // len(columns) - BETWEEN))
    letters = max(LETTERS, int((wide - INSIDE) / LETTER))
    order = _ordered([ids for _, ids in columns], edges)
    highest = max(len(ids) for ids in order)
    high, gap, middle = HIGH, GAP, 0.5
    if highest > MANY:
        high, gap, middle = LOW, CLOSE, 0.0
    height = TOP + highest * (high + gap)
    nodes, places = [], {}
    by_id = {one["id"]: one for one in shown}
    for column, ids in enumerate(order):
        # Short columns stand in the middle of long ones, as far as these fit on a screen.
        first = TOP + (highest - len(ids)) * (high + gap) * middle
        for row, name in enumerate(ids):
            x, y = column * (wide + BETWEEN), first + row * (high + gap)
            places[name] = (x, y)
            node = by_id[name]
            text = {**node, "x": x, "y": y, "text": clipped(node["name"], letters)}
            nodes.append({**text, "href": f"/lineage?node={quote(name)}", "on": name == chosen})
    lines = [
        _line(places[source], places[target], wide, high, why) for source, target, why in edges
    ]
    heads = [
        {"x": at * (wide + BETWEEN), "text": heading} for at, (heading, _) in enumerate(columns)
    ]
    width = len(columns) * (wide + BETWEEN) - BETWEEN
    size = {"width": width, "height": height, "wide": wide, "high": high, "dense": highest > MANY}
    return {**size, "columns": heads, "nodes": nodes, "lines": lines}


def clipped(name: str, letters: int = LETTERS) -> str:
    """Shorten a name from its middle: both of its ends say something.

    Examples
    --------
    >>> clipped("orders_90d"), clipped("order_completed.items.price_before_discount")
    ('orders_90d', 'order_co…discount')
    >>> clipped("history_recorded.recency_months")
    'h….recency_months'
    """
    if len(name) <= letters:
        return name
    of, _, last = name.rpartition(".")
    left = letters - len(last) - 2
    if of and left > 0:
        return f"{of[:left]}….{last}"  # a property is told by its own name
    half = (letters - 1) // 2
    return f"{name[:half]}…{name[-(letters - 1 - half) :]}"


def _columns(
    nodes: Sequence[Mapping[str, Any]], edges: Iterable[tuple[str, str, str]]
) -> list[tuple[str, list[str]]]:
    """Part nodes into columns; features that read other features stand to the right of these."""
    found: list[tuple[str, list[str]]] = []
    for heading, kinds in COLUMNS:
        ids = [one["id"] for one in nodes if one["kind"] in kinds]
        if kinds == ("feature",):
            steps = _steps(ids, edges)
            for step in range(max(steps.values(), default=-1) + 1):
                text = heading if not step else "Of features"
                found.append((text, [name for name in ids if steps[name] == step]))
        elif ids:
            found.append((heading, ids))
    return found


def _steps(names: Sequence[str], edges: Iterable[tuple[str, str, str]]) -> dict[str, int]:
    """Return how many features stand before each, one after another."""
    steps = dict.fromkeys(names, 0)
    inner = [(source, target) for source, target, _ in edges if source in steps and target in steps]
    for _ in names:
        moved = False
        for source, target in inner:
            if steps[target] <= steps[source]:
                steps[target] = steps[source] + 1
                moved = True
        if not moved:
            break
    return steps


def _ordered(
    columns: Sequence[list[str]], edges: Sequence[tuple[str, str, str]]
) -> list[list[str]]:
    near: dict[str, list[str]] = {}
    for source, target, _ in edges:
        near.setdefault(source, []).append(target)
        near.setdefault(target, []).append(source)
    order = [list(ids) for ids in columns]
    place = {name: row / max(1, len(ids)) for ids in order for row, name in enumerate(ids)}
    for sweep in range(SWEEPS):
        walk = range(len(order)) if sweep % 2 == 0 else range(len(order) - 1, -1, -1)
        for column in walk:
            ids = order[column]
            own = {name: place[name] for name in ids}
            for name in ids:
                others = [place[other] for other in near.get(name, ()) if other not in own]
                if others:
                    own[name] = sum(others) / len(others)
            ids.sort(key=lambda name: own[name])
            place |= {name: (row + 0.5) / len(ids) for row, name in enumerate(ids)}
    return order


def _line(
    source: tuple[float, float], target: tuple[float, float], wide: int, high: int, why: str
) -> Json:
    x1, y1 = source[0] + wide, source[1] + high / 2
    x2, y2 = target[0], target[1] + high / 2
    bend = BETWEEN * 0.6
    path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return {"d": path, "why": why}
