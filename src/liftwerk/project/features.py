"""What the pages and the command line tell of features: declared, used, kept and spread."""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate
from typing import Any

import msgspec

from liftwerk.definitions import Project
from liftwerk.definitions.project import plain_value
from liftwerk.features.catalogue import Entry, catalogue, entry_of, statements
from liftwerk.features.checks.check import plan_of
from liftwerk.features.checks.keep import REFERENCES, Reference
from liftwerk.features.checks.kinds import checks_of_values
from liftwerk.features.checks.sample import sampled, values_of
from liftwerk.features.checks.sketch import Sketch, sketch
from liftwerk.features.diff import difference, written_keys
from liftwerk.features.kept import kept_view
from liftwerk.features.older import orphans
from liftwerk.features.standing import Standing, standings
from liftwerk.features.used import SHORT, Version, versions_of
from liftwerk.governance.lineage import lineage
from liftwerk.store.instants import to_microseconds
from liftwerk.store.stores import Stores

QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)

SAMPLE = 2_000
"""Identifiers whose values are looked at to say how they are spread now."""

Json = dict[str, Any]


def catalogue_rows(
    project: Project, stores: Stores | None, now: datetime, search: str = ""
) -> list[Json]:
    """List the declared features with how the views that keep them stand.

    Parameters
    ----------
    project : Project
    stores : Stores or None
        None where nothing is kept yet.
    now : datetime
    search : str
        Only those in which this occurs.
    """
    stand: dict[str, Standing] = {}
    if stores is not None:
        stand = standings(project, stores, now)
    return [_row(one, stand) for one in catalogue(project, search)]


def undeclared_versions(project: Project, stores: Stores) -> list[str]:
    """Name the versions of views of which values are kept though nobody declares them."""
    return list(dict.fromkeys(name.partition("/")[0] for name in orphans(project, stores)))


def feature_document(project: Project, stores: Stores | None, now: datetime, name: str) -> Json:
    """Tell all there is to know of one feature.

    Parameters
    ----------
    project : Project
    stores : Stores or None
        None where nothing is kept yet.
    now : datetime
    name : str

    Raises
    ------
    UnknownName
        If no such feature is declared.
    """
    entry = entry_of(project, name)
    ledger = None
    stand: dict[str, Standing] = {}
    if stores is not None:
        ledger, stand = stores.ledger, standings(project, stores, now)
    versions = versions_of(project, ledger, name)
    graph = lineage(project)
    node = f"features.{name}"
    asks = [one.expected for one in checks_of_values(name, entry.checks)]
    return {
        **_row(entry, stand),
        "asks": asks,
        "declared": written_keys(versions[-1]),
        "sql": statements(project, name, "duckdb"),
        "versions": _versions(versions),
        "standings": [
            _plain(one) for view, one in stand.items() if view.partition("@")[0] in entry.views
        ],
        "up": [_plain(one) for one in graph.sources.get(node, ())],
        "down": [_plain(one) for one in graph.targets.get(node, ())],
    }


def feature_state(project: Project, stores: Stores | None, now: datetime, name: str) -> Json:
    """Tell what is found in a feature's values now: their spread, and what its checks say.

    Parameters
    ----------
    project : Project
    stores : Stores or None
    now : datetime
    name : str

    Returns
    -------
    dict
        ``now``, ``training`` and ``checks``; a spread that is not known says why.
    """
    entry = entry_of(project, name)
    nothing = "no view that keeps it is filled: liftwerk features backfill"
    if not entry.views:
        nothing = "no view keeps it"
    untrained = "no model was trained on this version of it"
    state: Json = {"now": {"unknown": nothing}, "training": {"unknown": untrained}, "checks": []}
    if stores is None:
        return state
    (body,), _ = stores.online.get(REFERENCES, [entry.version.encode()])
    if body is not None:
        reference = msgspec.json.decode(body, type=Reference)
        said = {"source": reference.source, "at": reference.at.isoformat()}
        state["training"] = {**spread(reference.sketch), **said}
    stand = standings(project, stores, now)
    filled = [view for view in entry.views if stand[view].fresh is not None]
    if not filled:
        return state
    kept = kept_view(project, filled[0])
    keys = sampled(stores.online, kept, SAMPLE)
    values = values_of(project, stores.online, kept, keys, to_microseconds(now))
    found = plan_of(project, stores, kept).run(values)
    state["checks"] = [_plain(one) for one in found if one.subject == f"features.{name}"]
    state["now"] = {"unknown": "no value of it is known, or too few say the same"}
    seen = sketch(values.column(name))
    if entry.type == "time":
        state["now"] = {"unknown": "times only ever go on: they have no spread to compare"}
    elif seen is not None:
        state["now"] = {
            **spread(seen),
            "source": f"feature_views.{filled[0]}",
            "at": now.isoformat(),
        }
    return state


def spread(found: Sketch) -> Json:
    """Tell how values are spread: quantiles of numbers, shares of texts.

    Examples
    --------
    >>> told = spread(Sketch((0.5, 1.0, 2.0, 9.0), (), (0, 6, 3, 1, 0), 10))
    >>> told["values"], told["missing"], told["quantiles"]
    (10, 0.5, [1.0, 1.0, 1.0, 2.0, 9.0])
    """
    known = sum(found.counts)
    told: Json = {"values": known, "missing": found.missing / max(1, known + found.missing)}
    if found.texts:
        shares = [count / known for count in found.counts]
        told["texts"] = [*zip(found.texts, shares, strict=False)]
        told["others"] = shares[-1]
        return told
    sums = [*accumulate(found.counts)]
    told["quantiles"] = []
    for share in QUANTILES:
        place = next(at for at, many in enumerate(sums) if many >= max(1, share * known))
        told["quantiles"].append(found.ends[min(place, len(found.ends) - 1)])
    return told


def _row(entry: Entry, stand: dict[str, Standing]) -> Json:
    """Add how fresh a feature is: as its least fresh view."""
    behind = {view: stand[view] for view in entry.views if view in stand}
    known = [one.fresh for one in behind.values()]
    fresh = None
    if known and None not in known:
        fresh = min(one for one in known if one is not None).isoformat()
    held = next((one.held for one in behind.values() if one.held is not None), None)
    return {**_plain(entry), "short": entry.version[:SHORT], "fresh": fresh, "held": held}


def _versions(versions: list[Version]) -> list[Json]:
    """List versions, the newest first, each with what it changed."""
    told = []
    for place, one in enumerate(versions):
        row: Json = {"version": one.version, "short": one.short, "first": None, "last": None}
        if one.first is not None and one.last is not None:
            row |= {"first": one.first.isoformat(), "last": one.last.isoformat()}
        row |= {"changes": [], "words": "the first"}
        if place:
            found = difference(versions[place - 1], one)
            row |= {"changes": [_plain(each) for each in found.changes], "words": found.words}
        told.append(row)
    return told[::-1]


def _plain(one: Any) -> Json:
    plain: Json = plain_value(one)
    return plain
