"""Give everybody who is known their arm at once: who gets which mail, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.events.consent.wire import Consent
from liftwerk.events.engine import quoted
from liftwerk.events.live import namespaces_of
from liftwerk.events.schema import schema_of
from liftwerk.experiments.assign import unit_text
from liftwerk.experiments.board import Running, running_of
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.evaluate import Answer, Reason, Unit
from liftwerk.experiments.give import give_many
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.state import state_of
from liftwerk.experiments.tell import told
from liftwerk.identity.resolve import names_of, relations
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.stores import Stores

BATCH = 20_000
"""Events that are made durable at once."""


def enter(
    project: Project, stores: Stores, clock: Clock, name: str, controls: Mapping[str, str]
) -> pa.Table:
    """Give an arm to every customer of whom anything may be read for the experiment's purpose.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    name : str
        A running experiment on customers.
    controls : mapping of str to str
        Placement -> its control action.

    Returns
    -------
    pyarrow.Table
        ``customer`` (binary), ``arm`` (null for who is in none), ``action`` and ``probability``.
        Who was given an arm before, by whatever key, keeps it. The others' arms are told, with
        the consent of their newest event, and durable.

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it does not run, or gives its arms to something else.
    """
    running = _running(project, stores, name, controls)
    draw, _ = running.drawn(clock.now())
    purpose = running.definition.purpose
    people = _people(project, stores, purpose)
    customers = people.column("customer").combine_chunks()
    keys = customers.to_pylist()
    names = names_of(project, stores, keys, purpose)
    written = pa.array([names.get(key) for key in keys], pa.string())
    arms = give_many(draw, customers, written.fill_null(""))
    if draw.hash != "sha256":  # who has no name has nothing that it could hash
        arms = pc.if_else(written.is_valid(), arms, None)
    spine = assigned_units(project, stores, name).table
    before = pc.index_in(customers, spine.column("customer"))
    arms = pc.coalesce(spine.column("arm").take(before).combine_chunks(), arms)
    arms = pc.coalesce(_forced(running, customers), arms)
    news = pc.and_(before.is_null(), arms.is_valid())
    _tell(project, stores, clock, running, people.filter(news), arms.filter(news))
    given = arms.to_pylist()
    control = running.actions[running.definition.control]
    chance = {arm: draw.probability(arm) for arm in draw.arms}
    return pa.table(
        {
            "customer": customers,
            "arm": arms,
            "action": [running.actions.get(arm, control) for arm in given],
            "probability": pa.array([chance.get(arm) for arm in given], pa.float64()),
        }
    )


def _running(project: Project, stores: Stores, name: str, controls: Mapping[str, str]) -> Running:
    project.lookup(EXPERIMENTS, name)
    where = f"experiment {name}"
    state = state_of(stores.ledger, name)
    if state.stage != "running":
        raise Refused(f"it is {state.stage}", where, f"liftwerk experiment start {name}")
    definition = state.definition
    if definition.design not in ("ab", "holdout") or definition.unit != "customer":
        hint = "ask for each as it comes: POST /ofrep/v1/evaluate/flags"
        raise Refused("its arms are not given to customers", where, hint)
    control = None
    if definition.placement is not None:
        control = controls[definition.placement]
    return running_of(project, name, state, control)


def _forced(running: Running, customers: pa.Array) -> pa.Array:
    """Return the arms that testers are named for; null for everybody else."""
    leaves, arms = [*running.testers], [*running.testers.values()]
    place = pc.index_in(customers, pa.array(leaves, pa.binary()))
    return pa.array(arms, pa.string()).take(place)


def _people(project: Project, stores: Stores, purpose: str) -> pa.Table:
    """List who may be read for a purpose, each with the consent of their newest event."""
    with relations(project, stores, purpose) as connection:
        seen = " UNION ALL ".join(
            'SELECT customer, "offset", consent_granted AS granted, consent_source AS source,'
            f' consent_version AS version, consent_at AS "at" FROM {quoted(event)}'
            for event in schema_of(project).types
        )
        return connection.sql(
            f"""
            SELECT customer, granted, source, version, "at" FROM ({seen})
            WHERE customer IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY customer ORDER BY "offset" DESC) = 1
            ORDER BY customer
            """
        ).to_arrow_table()


def _tell(
    project: Project,
    stores: Stores,
    clock: Clock,
    running: Running,
    people: pa.Table,
    arms: pa.Array,
) -> None:
    """Make it durable who was given which arm."""
    schema, now = schema_of(project), clock.now()
    draw, _ = running.drawn(now)
    period = running.period(now)
    placement = ""
    if running.definition.placement is not None:
        placement = running.definition.placement
    keys = set(people.column("customer").to_pylist())
    namespaces = namespaces_of(schema, stores, stores.ledger.latest_snapshot(), keys)
    for start in range(0, people.num_rows, BATCH):
        rows: list[InboxRow] = []
        given = arms.slice(start, BATCH).to_pylist()
        for one, arm in zip(people.slice(start, BATCH).to_pylist(), given, strict=True):
            key = one.pop("customer")
            text = unit_text(key)
            unit = Unit(text, text, {namespaces[key]: text})
            reason: Reason = "SPLIT"
            chance = draw.probability(arm)
            if key in running.testers:
                reason, chance = "TARGETING_MATCH", 1.0
            answer = Answer(
                placement, running.actions[arm], arm, reason, running.name, chance, unit, period
            )
            consent = None
            if one["granted"] is not None:
                consent = Consent(**one)
            rows += told(schema, answer, consent, now, exposed=False)
        stores.inbox.append(rows)
