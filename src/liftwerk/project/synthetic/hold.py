"""What came of the made-up journeys: that they arrived whole and once, and reached nobody."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.decisions.definition import ACTIONS
from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF, leaf_columns
from liftwerk.events.consent.history import consent_history
from liftwerk.events.consent.statements import CHANGE
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import identifier_values, relations
from liftwerk.events.schema import schema_of
from liftwerk.features.as_of import current
from liftwerk.features.definition import FEATURES
from liftwerk.identity.mapping import identity_map
from liftwerk.metrics.count import per_decision
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.kinds import is_countable
from liftwerk.privacy.definition import PURPOSES, Purpose
from liftwerk.privacy.permitted import permitted_sql, withdrawals_sql
from liftwerk.project.metrics import widest
from liftwerk.project.synthetic.journey import Record, Sent, Step
from liftwerk.store.stores import Stores

AUDIT = "audit"
SHOWN = 3
"""Faults of one kind that are told."""

CLOCK = timedelta(seconds=1)
"""How far two clocks may be apart: of less, consent is not told in another order."""

Found = tuple[str, list[str]]
"""A check, and what is wrong."""


def count_arrived(project: Project, stores: Stores, ids: Sequence[str]) -> int:
    """Say how many of some ids rest in the tables, each counted once."""
    with relations(project, stores, AUDIT) as connection:
        _ask_for(connection, ids)
        every = _every(project, "id")
        sql = f"SELECT count(DISTINCT id) FROM ({every}) SEMI JOIN _asked USING (id)"
        [(many,)] = connection.execute(sql).fetchall()
    return int(many)


def held(project: Project, stores: Stores, record: Record, clock: Clock) -> Iterator[Found]:
    """Check everything that must hold of what arrived.

    Parameters
    ----------
    project : Project
    stores : Stores
    record : Record
        What was sent.
    clock : Clock

    Yields
    ------
    (str, list of str)
        Each check with what is wrong; nothing where it holds.
    """
    ids = [one.id for one in record.sent]
    with relations(project, stores, AUDIT) as connection:
        _ask_for(connection, [*ids, *record.changes, *(one.id for one in record.refused)])
        yield from _arrived(project, connection, record)
        yield from _consents(project, connection, record)
        yield "the collector's clock is ours", _clock_faults(connection, record)
    yield "no purpose reads it", _readers(project, stores, record)
    yield "no customer is known by it", _known(project, stores, record.leaves)
    if not project.get(PURPOSES):
        return
    if project.get(FEATURES):
        yield "no feature counts it", _features(project, stores, record.leaves, clock.now())
    if project.get(METRICS):
        yield "no metric counts it", _metrics(project, stores, record, clock.now())
    if project.get(DESTINATIONS):
        yield "no destination is told of it", _destinations(project, stores, record, clock.now())


def _ask_for(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> None:
    keys = pyarrow.array([uuid.UUID(one).bytes for one in ids], pyarrow.binary())
    connection.register("_asked", pyarrow.table({"id": keys}))


def _every(project: Project, columns: str) -> str:
    return " UNION ALL ".join(
        f"SELECT {text(name)} AS event, {columns} FROM {quoted(name)}"
        for name in schema_of(project).types
    )


def _arrived(
    project: Project, connection: duckdb.DuckDBPyConnection, record: Record
) -> Iterator[Found]:
    leaves = leaf_columns(schema_of(project))
    rows: dict[str, dict[str, Any]] = {}
    times: Counter[str] = Counter()
    for name in schema_of(project).types:
        sql = f"SELECT * FROM {quoted(name)} SEMI JOIN _asked USING (id)"
        for row in connection.sql(sql).to_arrow_table().to_pylist():
            key = str(uuid.UUID(bytes=row["id"]))
            rows[key] = {**row, "event": name}
            times[key] += 1
    double = [f"{key} has {many} rows" for key, many in times.items() if many > 1]
    yield "what was sent twice is there once", double
    came = [
        f"{one.body['name']} {one.id} rests in a table" for one in record.refused if one.id in rows
    ]
    yield "what was refused is in no table", came
    marked = [f"{row['event']} {key}" for key, row in rows.items() if not row["synthetic"]]
    yield "all of it is marked as test traffic", marked
    whole = [
        f"{one.body['name']}: {words}"
        for one in record.sent
        if one.id in rows
        for words in _differences(project, one, rows[one.id], leaves)
    ]
    yield "each field is as it was sent", whole


def _differences(
    project: Project, sent: Sent, row: dict[str, Any], leaves: Sequence[str]
) -> Iterator[str]:
    if row["event"] != sent.body["name"]:
        yield f"it is a {row['event']}"
        return
    if row["source"] != sent.source:
        yield f"source is {row['source']}, not {sent.source}"
    if row["time"] != datetime.fromisoformat(sent.body["time"]):
        yield "time is another"
    for name, space in schema_of(project).namespaces.items():
        wanted = None
        if name in sent.body["identifiers"]:
            wanted = leaf_key(name, space.spell(sent.body["identifiers"][name]))
        if row[LEAF + name] != wanted:
            yield f"identifier {name} is another"
    for key in schema_of(project).types[sent.body["name"]].definition.properties:
        if (row[key] is None) != (key not in sent.body["properties"]):
            yield f"property {key} is lost or made up"
    granted = sent.body.get("consent", {}).get("granted")
    if row["consent_granted"] is None and granted is not None:
        yield "consent is lost"
    elif granted is not None and sorted(row["consent_granted"]) != sorted(granted):
        yield "consent is another"


def expected(purpose: Purpose, step: Step, *, asks: bool) -> bool:
    """Say whether what happened at a step of the flow may be used once the flow is over.

    Parameters
    ----------
    purpose : Purpose
    step : str
    asks : bool
        Whether there was a flow: without one nothing was ever granted or withdrawn.

    Examples
    --------
    >>> ads = Purpose("consent", withdrawal="future")
    >>> [expected(ads, step, asks=True) for step in ("before", "granted", "withdrawn")]
    [False, True, False]
    """
    if purpose.basis in ("contract", "legal_obligation"):
        return True
    if step == "granted again":
        return True
    if step == "withdrawn":
        return False
    is_granted = step == "granted" or purpose.basis == "legitimate_interest"
    return is_granted and not (asks and purpose.withdrawal == "retroactive")


def _consents(
    project: Project, connection: duckdb.DuckDBPyConnection, record: Record
) -> Iterator[Found]:
    """Hold the rule of every scan against what the flow says, over test traffic alone."""
    purposes = project.get(PURPOSES)
    leaves = leaf_columns(schema_of(project))
    if not record.changes:
        return
    for relation, column in (("_withdrawn", "withdrawn"), ("_granted", "granted")):
        selects = [
            f"SELECT {quoted(leaf)} AS leaf, unnest({column}) AS purpose, time, known_at,"
            f' "offset" FROM {quoted(CHANGE)} SEMI JOIN _asked USING (id)'
            f" WHERE {quoted(leaf)} IS NOT NULL"
            for leaf in leaves
        ]
        connection.execute(f"CREATE TABLE {relation} AS {' UNION ALL '.join(selects)}")
    columns = ['id, time, "offset", consent_granted, consent_at', *map(quoted, leaves)]
    connection.execute(
        f"CREATE TABLE _ours AS SELECT * FROM ({_every(project, ', '.join(columns))})"
        " SEMI JOIN _asked USING (id)"
    )
    for name, purpose in purposes.items():
        rule = permitted_sql(
            name,
            purpose,
            leaf_columns=leaves,
            withdrawals=withdrawals_sql(name, "_withdrawn", "_granted"),
            agreed_column="consent_at",
            table="e",
        )
        rows = connection.execute(f"SELECT id FROM _ours AS e WHERE {rule}").fetchall()
        seen = {str(uuid.UUID(bytes=key)) for (key,) in rows}
        wrong = []
        for one in record.sent:
            if expected(purpose, one.step, asks=True) != (one.id in seen):
                verb = "cannot"
                if one.id in seen:
                    verb = "can"
                wrong.append(f"{one.body['name']} from {one.source}, {one.step}: {verb} be read")
        yield f"consent holds for {name}", wrong


def _clock_faults(connection: duckdb.DuckDBPyConnection, record: Record) -> list[str]:
    if record.between is None or not record.changes:
        return []
    first, last = record.between
    sql = f"SELECT min(time), max(time) FROM {quoted(CHANGE)} SEMI JOIN _asked USING (id)"
    [(low, high)] = connection.execute(sql).fetchall()
    if low is None:
        return []
    wrong = []
    if low < first - CLOCK:
        wrong.append(f"it is {first - low} behind")
    if high > last + CLOCK:
        wrong.append(f"it is {high - last} ahead")
    return wrong


def _readers(project: Project, stores: Stores, record: Record) -> list[str]:
    wrong = []
    ids = [*(one.id for one in record.sent), *record.changes]
    for purpose in project.get(PURPOSES):
        with relations(project, stores, purpose) as connection:
            _ask_for(connection, ids)
            sql = (
                f"SELECT event, count(*) FROM ({_every(project, 'id')}) SEMI JOIN _asked USING (id)"
                " GROUP BY event ORDER BY event"
            )
            rows = connection.execute(sql).fetchall()
        wrong += [f"{purpose} reads {many} of {event}" for event, many in rows]
    return wrong


def _known(project: Project, stores: Stores, leaves: Sequence[bytes]) -> list[str]:
    wrong = []
    ours = frozenset(leaves)
    linked = ours & set(identity_map(project, stores).column("leaf").to_pylist())
    if linked:
        wrong.append(f"{len(linked)} identifiers are linked to customers")
    listed = identifier_values(project, stores, AUDIT, leaves).num_rows
    if listed:
        wrong.append(f"{listed} identifiers are listed")
    said = consent_history(project, stores, leaves).num_rows
    if said:
        wrong.append(f"{said} statements of consent are in the history")
    return wrong


def _features(
    project: Project, stores: Stores, leaves: Sequence[bytes], now: datetime
) -> list[str]:
    """Compare made-up customers with one of whom nothing was ever told."""
    nobody = uuid.uuid5(uuid.NAMESPACE_URL, "liftwerk nobody").bytes
    names = list(project.get(FEATURES))
    asked = [nobody, *leaves]
    rows = current(project, stores, asked, names, widest(project), now).to_pylist()
    return _counted(rows, names)


def _metrics(project: Project, stores: Stores, record: Record, now: datetime) -> list[str]:
    """Count as if a decision had been made for each made-up customer before they began."""
    actions = list(project.get(ACTIONS)) or ["nothing"]
    nobody = uuid.uuid5(uuid.NAMESPACE_URL, "liftwerk nobody").bytes
    customers = [nobody, *record.leaves]
    began = now
    if record.between is not None:
        began = record.between[0]
    spine = pyarrow.table(
        {
            "decision": pyarrow.array(customers, pyarrow.binary()),
            "customer": pyarrow.array(customers, pyarrow.binary()),
            "time": pyarrow.array([began] * len(customers), pyarrow.timestamp("us", "UTC")),
            "action": pyarrow.array([actions[0]] * len(customers)),
        }
    )
    declared = project.get(METRICS)
    names = [name for name, one in declared.items() if is_countable(project, one)]
    costs = {name: Decimal(0) for name in actions}
    given = (project, stores, spine, names, widest(project))
    return _counted(per_decision(*given, now=now, costs=costs).to_pylist(), names)


def _counted(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Compare all rows with the first, which is nobody's."""
    wrong = []
    for name in names:
        many = sum(row[name] != rows[0][name] for row in rows[1:])
        if many:
            wrong.append(f"{name} differs for {many} made-up identifiers")
    return wrong


def _destinations(project: Project, stores: Stores, record: Record, now: datetime) -> list[str]:
    ours = {uuid.UUID(one.id).bytes for one in record.sent}
    wrong = []
    for name in project.get(DESTINATIONS):
        waiting = stores.outbox.due(name, now + timedelta(days=365), 100_000)
        entries = [*waiting, *(entry for _, entry in stores.outbox.dead(name, 100_000))]
        many = sum(entry.event_id in ours for entry in entries)
        if many:
            wrong.append(f"{name} waits to be told of {many}")
    return wrong
