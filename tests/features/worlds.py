"""Random worlds: definitions over the whole algebra, and histories of customers to ask them of.

A *world* is one project and one home. It holds many *cases*: each is the history of one person, who
shares no identifier and no order with anybody else, so that one question to an engine answers
hundreds of cases and each of them can be lived alone. The same seed makes the same world, and the
same number the same case of it, whichever others live beside it.

Definitions are drawn as the project file would hold them, each condition and expression beside the
plain Python that says the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from liftwerk.definitions import Project
from tests.events import shop as shops

Row = Mapping[str, Any]
Holds = Callable[[Row], bool | None]
Reckoned = Callable[[Sequence[float | None]], float | None]

PURPOSES = ("ads", "personalisation", "measurement", "accounting")
CONSENTED = ("ads", "personalisation", "measurement")
SPACES = ("email", "device")
ENTITIES = ("customer", "customer", "customer", "visitor", "session", "article")
ARTICLE = {"key": ["sku"], "description": "A thing", "properties": {"sku": {"type": "string"}}}
EVENTS: dict[str, Any] = {
    "page_viewed": {
        "version": 1,
        "description": "A page",
        "properties": {
            "n": {"type": "integer", "required": False},
            "x": {"type": "number", "required": False},
            "b": {"type": "boolean", "required": False},
            "s": {"type": "string", "required": False},
            "seen": {"type": "time", "required": False},
        },
    },
    "order_completed": {
        "version": 1,
        "description": "A paid order",
        "unique": ["order_id"],
        "properties": {
            "order_id": {"type": "string", "privacy": "pseudonymous"},
            "revenue": {"type": "money"},
            "discount": {"type": "money", "required": False},
            "items": {
                "type": "list",
                "required": False,
                "of": {"sku": "string", "quantity": "integer", "price": "money"},
            },
            "tags": {"type": "list", "required": False, "of": "string"},
        },
    },
}
LISTS: dict[str, dict[str, str]] = {
    "items": {"items.sku": "string", "items.quantity": "integer", "items.price": "money"},
    "tags": {"tags": "string"},
}
NUMERIC = ("integer", "number", "money")
TAKES = {
    "count": (),
    "time_since": (),
    "rate": (),
    "sum": NUMERIC,
    "mean": NUMERIC,
    "min": NUMERIC,
    "max": NUMERIC,
    "decayed_sum": NUMERIC,
    "first": (*NUMERIC, "string", "boolean", "time"),
    "last": (*NUMERIC, "string", "boolean", "time"),
    "distinct": (*NUMERIC, "string", "boolean", "time"),
    "top_share": (*NUMERIC, "string", "boolean", "time"),
}
WINDOWS = {"1h": 1, "6h": 6, "1d": 24, "36h": 36, "2d": 48, "7d": 168, "30d": 720}
HOPS = {"1min": 1 / 60, "1h": 1, "7h": 7, "1d": 24}

STARTS = (
    # Clocks go forward and back in the project's zone; a plain week; a leap day.
    datetime(2026, 3, 28, 22, tzinfo=UTC),
    datetime(2026, 10, 24, 22, tzinfo=UTC),
    datetime(2026, 6, 10, 6, 30, tzinfo=UTC),
    datetime(2024, 2, 28, 21, tzinfo=UTC),
)
_STEPS = (0.0, 1e-6, 60.0, 1800.0, 3600.0, 3600.0, 7200.0, 5 * 3600.0, 86400.0)


@dataclass(frozen=True)
class Come:
    """An event comes in at a tick."""

    tick: int
    source: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One person: what comes in about them, and by what they are asked about.

    ``asked`` is a namespace and an identifier, or ``session`` or ``article`` and its key.
    """

    number: int
    comes: tuple[Come, ...]
    leaves: tuple[tuple[str, str], ...]
    asked: tuple[str, str]
    erased: tuple[str, str] | None

    def text(self) -> str:
        """Tell the history, an event a line."""
        lines = [f"{come.tick:3} {come.source:4} {_short(come.body)}" for come in self.comes]
        return "\n".join([*lines, f"asked: {self.asked}, erased: {self.erased}"])


Act = Literal["sqlite", "postgresql", "sort", "erase", "ask"]


@dataclass(frozen=True)
class World:
    """A project's definitions and purpose, when things happen, and to whom."""

    seed: int
    purpose: str
    entity: str
    features: dict[str, dict[str, Any]]
    holds: dict[str, Holds]
    reckoned: dict[str, tuple[tuple[str, ...], Reckoned]]
    ticks: tuple[datetime, ...]
    acts: dict[int, tuple[Act, ...]]
    cases: tuple[Case, ...]

    def project(self) -> Project:
        """Build the project."""
        view = {"purpose": self.purpose, "entity": self.entity, "features": list(self.features)}
        device = {"normalise": "none", "anonymous": self.entity == "visitor"}
        return shops.shop(
            events=EVENTS,
            identifiers={**shops.SHOP["identifiers"], "device": device},
            identity={"at_most": 2},
            entities={"article": ARTICLE},
            features=self.features,
            feature_views={"kept": view},
        )


def world(seed: int, cases: Sequence[int]) -> World:
    """Make up a world with some of its cases.

    Parameters
    ----------
    seed : int
        Whom or what the world is about follows from it: ``ENTITIES[seed % len(ENTITIES)]``.
    cases : sequence of int
        Their numbers.
    """
    declared = random.Random(f"definitions {seed}")
    purpose = declared.choice(PURPOSES)
    entity = ENTITIES[seed % len(ENTITIES)]
    features, holds, reckoned = _definitions(declared, entity)
    draw = random.Random(f"world {seed}")
    ticks = _ticks(draw)
    acts: dict[int, tuple[Act, ...]] = {}
    for tick in range(len(ticks)):
        chosen: list[Act] = []
        for act, chance in (("sort", 0.1), ("sqlite", 0.15), ("postgresql", 0.15)):
            if draw.random() < chance:
                chosen.append(act)  # type: ignore[arg-type]
        draw.shuffle(chosen)
        acts[tick] = tuple(chosen)
    middle, last = len(ticks) * 6 // 10, len(ticks) - 1
    acts[middle] = (*acts[middle], "ask", "erase")
    acts[last] = (*acts[last], "ask")
    made = tuple(
        _case(random.Random(f"case {seed} {one}"), seed, one, ticks, entity) for one in cases
    )
    return World(seed, purpose, entity, features, holds, reckoned, ticks, acts, made)


def _ticks(draw: random.Random) -> tuple[datetime, ...]:
    moment = draw.choice(STARTS)
    ticks = []
    for _ in range(20):
        moment += timedelta(seconds=draw.choice(_STEPS))
        ticks.append(moment)
    return tuple(ticks)


# ----------------------------------------------------------------------------------- definitions


def _definitions(
    draw: random.Random, entity: str
) -> tuple[
    dict[str, dict[str, Any]], dict[str, Holds], dict[str, tuple[tuple[str, ...], Reckoned]]
]:
    features: dict[str, dict[str, Any]] = {}
    types: dict[str, str] = {}
    holds: dict[str, Holds] = {}
    # Each hop, event and list has tiles of its own: few of them in a world, all over many worlds.
    hops = draw.sample([None, *HOPS], 2)
    list_ = draw.choice(list(LISTS))
    for place in range(10):
        name = f"f{place}"
        features[name], types[name] = _aggregate(draw, entity, hops, list_, holds)
    reckoned = {}
    for place in range(3):
        name = f"e{place}"
        numeric = [one for one, type_ in types.items() if type_ in (*NUMERIC, "boolean")]
        chosen = tuple(draw.choice(numeric) for _ in range(3))
        text, said = draw.choice(_EXPRESSIONS)
        features[name] = {"entity": entity, "expression": text.format(*chosen)}
        reckoned[name] = (chosen, said)
        types[name] = "number"
    return features, holds, reckoned


def _aggregate(
    draw: random.Random,
    entity: str,
    hops: list[str | None],
    unnest: str,
    holds: dict[str, Holds],
) -> tuple[dict[str, Any], str]:
    event = draw.choice(list(EVENTS))
    if entity == "article":
        event, unnest = "order_completed", "items"
    aggregate = draw.choice(list(TAKES))
    made: dict[str, Any] = {"entity": entity, "from": event, "aggregate": aggregate}
    types = {key: one["type"] for key, one in EVENTS[event]["properties"].items()}
    list_ = None
    if event == "order_completed" and (entity == "article" or draw.random() < 0.4):
        made["unnest"] = list_ = unnest
        types |= LISTS[list_]
    type_ = "number"
    fit = [key for key, kind in types.items() if kind in TAKES[aggregate]]
    if list_ is not None and set(fit) & set(LISTS[list_]):
        fit = [key for key in fit if key in LISTS[list_]]
    if TAKES[aggregate]:
        if not fit:
            made["aggregate"] = "count"
        else:
            made["property"] = draw.choice(fit)
            if aggregate in ("first", "last", "min", "max"):
                type_ = types[made["property"]]
    _times(draw, made, hops)
    if draw.random() < 0.35:
        made["where"] = _condition(draw, event, list_, holds)
    if made["aggregate"] == "rate":
        made["when"] = _condition(draw, event, list_, holds)
    if made["aggregate"] in ("rate", "top_share") and draw.random() < 0.5:
        made["prior"] = {
            "share": draw.choice(["5%", "0.5%", "50%"]),
            "weight": draw.choice([2.5, 20]),
        }
    return made, type_


def _times(draw: random.Random, made: dict[str, Any], hops: list[str | None]) -> None:
    decays = made["aggregate"] == "decayed_sum"
    hop = draw.choice(hops)
    if draw.random() < 0.7:
        long_enough = [one for one, hours in WINDOWS.items() if hours >= HOPS[hop or "1d"]]
        made["window"] = draw.choice(long_enough)
    if hop is not None and (decays or "window" in made):
        made["hop"] = hop
    if decays:
        minutes = round(60 * HOPS[made.get("hop", "1d")])
        made["half_life"] = f"{minutes * draw.choice([1, 2, 3, 7])}min"


# Each atom: what it says, and the same of a row (money in minor units, None where there is none).
_VIEW_ATOMS: list[tuple[str, Holds]] = [
    ("n >= 2", lambda row: _compared(row["n"], lambda n: n >= 2)),
    ("n between -1 and 2", lambda row: _compared(row["n"], lambda n: -1 <= n <= 2)),
    ("3 > n", lambda row: _compared(row["n"], lambda n: n < 3)),
    ("x < 0.5", lambda row: _compared(row["x"], lambda x: x < 0.5)),
    ("b", lambda row: row["b"]),
    ("s in ('a', 'Straße')", lambda row: _compared(row["s"], lambda s: s in ("a", "Straße"))),
    ("s <> 'a'", lambda row: _compared(row["s"], lambda s: s != "a")),
    ("s is null", lambda row: row["s"] is None),
    ("seen is null", lambda row: row["seen"] is None),
]
_ORDER_ATOMS: list[tuple[str, Holds]] = [
    ("revenue >= 10", lambda row: row["revenue"] >= 1000),
    ("revenue <> 5.50", lambda row: row["revenue"] != 550),
    ("discount < 0", lambda row: _compared(row["discount"], lambda money: money < 0)),
    ("discount is null", lambda row: row["discount"] is None),
]
_ITEM_ATOMS: dict[str, list[tuple[str, Holds]]] = {
    "items": [
        ("items.sku = 'a'", lambda row: _compared(row["items.sku"], lambda sku: sku == "a")),
        ("items.quantity > 1", lambda row: _compared(row["items.quantity"], lambda n: n > 1)),
        ("items.price <= 2.50", lambda row: _compared(row["items.price"], lambda m: m <= 250)),
    ],
    "tags": [("tags = 'new'", lambda row: _compared(row["tags"], lambda tag: tag == "new"))],
}
_ANY_ATOMS: list[tuple[str, Holds]] = [
    ("source = 'till'", lambda row: row["source"] == "till"),
    ("trust <> 'browser'", lambda row: row["trust"] != "browser"),
    ("not modelled", lambda row: not row["modelled"]),
    ("session is null", lambda row: row["session"] is None),
    ("context.country = 'DE'", lambda row: _compared(row["country"], lambda one: one == "DE")),
]


def _compared(value: Any, test: Callable[[Any], bool]) -> bool | None:
    if value is None:
        return None
    return test(value)


def _condition(draw: random.Random, event: str, list_: str | None, holds: dict[str, Holds]) -> str:
    atoms = [*_ANY_ATOMS, *(_VIEW_ATOMS if event == "page_viewed" else _ORDER_ATOMS)]
    if list_ is not None:
        atoms += _ITEM_ATOMS[list_] * 2
    text, said = draw.choice(atoms)
    if draw.random() < 0.2:
        inner = said
        text, said = f"not ({text})", lambda row: _not(inner(row))
    if draw.random() < 0.4:
        more, other = draw.choice(atoms)
        first = said
        if draw.random() < 0.5:
            text, said = f"({text}) and ({more})", lambda row: _and(first(row), other(row))
        else:
            text, said = f"({text}) or ({more})", lambda row: _or(first(row), other(row))
    holds[text] = said
    return text


def _not(one: bool | None) -> bool | None:
    return None if one is None else not one


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: bool | None, other: bool | None) -> bool | None:
    return _not(_and(_not(one), _not(other)))


def _all_known(reckon: Callable[..., float]) -> Reckoned:
    """Reckon where everything is known; what has no answer is unknown."""

    def reckoned(values: Sequence[float | None]) -> float | None:
        if any(value is None for value in values):
            return None
        try:
            found = reckon(*values)
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    return reckoned


def _first(values: Sequence[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _case_when(values: Sequence[float | None]) -> float | None:
    one, other, third = values
    if one is not None and other is not None and one > other:
        return third
    return other


_EXPRESSIONS: list[tuple[str, Reckoned]] = [
    ("{0} / ({1} + 1)", lambda v: _all_known(lambda a, b: a / (b + 1))(v[:2])),
    ("{0} / {1} * {2}", _all_known(lambda a, b, c: a / b * c)),
    ("coalesce({0}, {1}, -1)", lambda v: _first([*v[:2], -1.0])),
    ("case when {0} > {1} then {2} else {1} end", _case_when),
    ("least({0}, {1}) - greatest({1}, {2})", _all_known(lambda a, b, c: min(a, b) - max(b, c))),
    ("sqrt(abs({0})) + {1}", lambda v: _all_known(lambda a, b: math.sqrt(abs(a)) + b)(v[:2])),
    ("{0} - 2 * {1}", lambda v: _all_known(lambda a, b: a - 2 * b)(v[:2])),
]


# ------------------------------------------------------------------------------------- histories


def _case(
    draw: random.Random, seed: int, number: int, ticks: Sequence[datetime], entity: str
) -> Case:
    names = {
        "email": [f"{one}{number}.{seed}@x.org" for one in "abc"],
        "device": [f"{one}{number}.{seed}" for one in "de"],
    }
    # Most of what is known is of few identifiers, so that there is something to aggregate.
    comes: list[Come] = []
    ids = iter(range(10**6))
    for _ in range(draw.randrange(8, 17)):
        tick = draw.randrange(len(ticks))
        if comes and draw.random() < 0.08:
            again = draw.choice(comes)
            comes.append(Come(tick, again.source, again.body))
            continue
        id_ = UUID(int=(seed << 64) + (number << 32) + next(ids))
        comes.append(_come(draw, str(id_), tick, ticks, names, f"{number}.{seed}", entity))
    comes.sort(key=lambda come: come.tick)
    seen = [come.body["identifiers"] for come in comes if come.body["name"] in EVENTS]
    leaves = tuple((space, name) for space in SPACES for name in names[space])
    asked = draw.choice(leaves)
    if seen:
        asked = draw.choice(list(draw.choice(seen).items()))
    if entity == "visitor":
        asked = ("device", draw.choice(names["device"]))
    elif entity == "session":
        asked = ("session", f"s{number}.{seed}")
    elif entity == "article":
        asked = ("article", f"{draw.choice('ab')}{number}.{seed}")
    erased = None
    if draw.random() < 0.05:
        erased = draw.choice(leaves)
    return Case(number, tuple(comes), leaves, asked, erased)


def _come(
    draw: random.Random,
    id_: str,
    tick: int,
    ticks: Sequence[datetime],
    names: Mapping[str, list[str]],
    suffix: str,
    entity: str,
) -> Come:
    kinds = ["page_viewed"] * 7 + ["order_completed"] * 6 + ["consent_changed"] * 2
    kind = draw.choice([*kinds, "identity_linked", "identity_unlinked"])
    source = draw.choice(("web", "till", "till", "file"))
    if kind not in EVENTS:
        source = draw.choice(("till", "file"))
    spaces = draw.choice([["email"], ["email"], ["device"], ["email", "device"]])
    body: dict[str, Any] = {"id": id_, "name": kind, "version": 1}
    if kind.startswith("identity"):
        spaces = list(SPACES)
        body["properties"] = {"reason": "no"} if kind == "identity_unlinked" else {}
    body["identifiers"] = {space: _mostly_first(draw, names[space]) for space in spaces}
    _when(draw, body, source, tick, ticks)
    if kind == "consent_changed":
        chosen = draw.sample(CONSENTED, draw.randrange(1, 3))
        granted = draw.random() < 0.6
        body["properties"] = {
            "granted": chosen if granted else [],
            "withdrawn": [] if granted else chosen,
        }
    elif kind == "page_viewed":
        body["properties"] = _some(draw, _view(draw, ticks))
    elif kind == "order_completed":
        body["properties"] = _order(draw, suffix, entity)
    if draw.random() < 0.9:
        consent = {"granted": [p for p in CONSENTED if draw.random() < 0.85], "source": "api"}
        if draw.random() < 0.6:
            consent["at"] = ticks[draw.randrange(tick + 1)]
        body["consent"] = consent
    for key, value, chance in (
        ("weight", draw.choice([0.125, 2.5, 3.0, 1000.0]), 0.25),
        ("synthetic", True, 0.04),
        ("modelled", True, 0.1),
        ("session", f"{draw.choice('sst')}{suffix}", 0.8 if entity == "session" else 0.3),
    ):
        if draw.random() < chance:
            body[key] = value
    if draw.random() < 0.5:
        country: Any = draw.choice(["DE", "AT", None, 7, {"a": 1}])
        body["context"] = {"country": country}
    return Come(tick, source, body)


def _mostly_first(draw: random.Random, names: list[str]) -> str:
    return draw.choice([names[0]] * 3 + names)


def _when(
    draw: random.Random, body: dict[str, Any], source: str, tick: int, ticks: Sequence[datetime]
) -> None:
    """Say when it happened: now, at the very time of something else, late, or by a wrong clock."""
    received = ticks[tick]
    how = draw.random()
    if how < 0.45:
        time = received
    elif how < 0.85:  # late, often at the microsecond of another tick or beside it
        time = ticks[draw.randrange(tick + 1)] - timedelta(microseconds=draw.choice([0, 0, 1]))
    elif how < 0.93:
        time = received - timedelta(hours=draw.choice([1, 24, 47, 800]))
    else:  # a clock ahead
        time = received + timedelta(seconds=draw.choice([1e-6, 60, 3600, 20 * 3600]))
    body["time"] = time
    if source == "web" and draw.random() < 0.3:
        body["sent_at"] = received + timedelta(seconds=draw.choice([-3600, -9, 0, 9, 7200]))
    if source == "file" and draw.random() < 0.5:
        body["known_at"] = time + timedelta(seconds=draw.choice([0, 3600, 86400]))


def _view(draw: random.Random, ticks: Sequence[datetime]) -> dict[str, Any]:
    return {
        "n": draw.choice([draw.randrange(-3, 5), draw.randrange(-(10**12), 10**12)]),
        "x": draw.choice([draw.randrange(-20, 20) / 8, draw.randrange(-(10**9), 10**9) / 8, -0.0]),
        "b": draw.random() < 0.5,
        "s": draw.choice(["", "a", "Straße", "a'b"]),
        "seen": draw.choice(ticks),
    }


def _some(draw: random.Random, values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if draw.random() < 0.7}


def _order(draw: random.Random, suffix: str, entity: str) -> dict[str, Any]:
    # Nobody shares a thing that is asked about with another case.
    ending = suffix if entity == "article" else ""
    items = [
        {
            "sku": f"{draw.choice('abc')}{ending}",
            "quantity": draw.randrange(1, 4),
            "price": f"{draw.randrange(0, 500) / 100:.2f}",
        }
        for _ in range(draw.randrange(4))
    ]
    optional = {
        "discount": f"{-draw.randrange(0, 300) / 100:.2f}",
        "items": items,
        "tags": [draw.choice(["new", "sale", ""]) for _ in range(draw.randrange(3))],
    }
    revenue = draw.choice([f"{draw.randrange(-500, 5000) / 100:.2f}", "10.00", "5.50"])
    return {
        "order_id": f"{draw.choice('xyzuvw')}{suffix}",
        "revenue": revenue,
        **_some(draw, optional),
    }


def _short(body: Mapping[str, Any]) -> str:
    parts = []
    for key, value in body.items():
        if key in ("id", "version"):
            continue
        said = value.isoformat() if isinstance(value, datetime) else value
        parts.append(f"{key}={said}")
    return " ".join(parts)
