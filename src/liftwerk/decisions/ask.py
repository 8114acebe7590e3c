"""Put together what a decision needs: the release's model, the customers, what is known of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from liftwerk.decisions.decide import Ask
from liftwerk.decisions.definition import ACTIONS, POLICIES
from liftwerk.decisions.learned import Learned, earning_outcome, ordered_actions, policy_rule
from liftwerk.definitions import Project
from liftwerk.definitions.project import plain_value
from liftwerk.errors import Refused
from liftwerk.experiments.assign import held_out_many
from liftwerk.features.as_of import current, events_of
from liftwerk.features.version import feature_versions
from liftwerk.identity.resolve import relations
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.models.definition import MODELS
from liftwerk.models.train import TrainedModel
from liftwerk.store.stores import Stores


def learned_from(
    project: Project, stores: Stores, policy_name: str, release: str, state: str, stage: str
) -> Learned:
    """Load what a release has learned.

    Parameters
    ----------
    project : Project
    stores : Stores
    policy_name : str
    release, state, stage : str
        The release's id, the artefact of its model, its stage.

    Returns
    -------
    Learned

    Raises
    ------
    Refused
        If the features' definitions are no longer those that the model was trained on.
    """
    model = TrainedModel.from_dict(msgspec.json.decode(stores.artefacts.get(state)))
    policy = project.lookup(POLICIES, policy_name)
    names = project.lookup(MODELS, policy.model).features
    now = feature_versions(project, names)
    if now != model.feature_versions:
        changed = sorted(set(now.items()) ^ set(model.feature_versions.items()))
        raise Refused(
            f"the feature {changed[0][0]!r} has changed since the release was trained",
            f"release {release}",
            "liftwerk run makes a release on the new definition",
        )
    return Learned(release, state, stage, model, earning_outcome(project, policy_name))


def ask_policy(
    project: Project,
    stores: Stores,
    policy_name: str,
    learned: Learned | None,
    customers: Sequence[bytes],
    now: datetime,
) -> Ask:
    """Look up what may be known of customers now, and who is held out.

    Parameters
    ----------
    project : Project
    stores : Stores
    policy_name : str
    learned : Learned or None
        None answers the control action.
    customers : sequence of bytes
        Customer keys.
    now : datetime

    Returns
    -------
    Ask
    """
    policy = project.lookup(POLICIES, policy_name)
    model = project.lookup(MODELS, policy.model)
    goal = project.get(GOAL)
    actions = ordered_actions(project, policy)
    names = list(model.features)
    # Said before they are read: what is sorted meanwhile is not known to this decision.
    offset = 0
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is not None:
        offset = snapshot.inbox_offset
    features = current(project, stores, customers, names, model.purpose, now, offset).select(names)
    return Ask(
        policy_name=policy_name,
        policy=policy,
        actions=actions,
        costs=tuple(project.lookup(ACTIONS, action).cost for action in actions),
        rule=policy_rule(project, policy),
        reward_version=metric_version(project, policy.reward),
        learned=learned,
        customers=customers,
        features=features,
        as_of=now,
        offset=offset,
        known=_known(features),
        held_out=held_out_many(goal.salt, goal.holdout.exact, customers),
        consents=latest_consents(project, stores, policy_name, customers),
    )


def latest_consents(
    project: Project, stores: Stores, policy_name: str, customers: Sequence[bytes]
) -> list[dict[str, Any] | None]:
    """Return the consent that each customer's newest event carries: a decision carries it on.

    Parameters
    ----------
    project : Project
    stores : Stores
    policy_name : str
    customers : sequence of bytes

    Returns
    -------
    list of dict or None
        The envelope's ``consent``; None where nothing may be read of the customer.
    """
    model = project.lookup(MODELS, project.lookup(POLICIES, policy_name).model)
    events = events_of(project, model.features)
    with relations(project, stores, model.purpose, names=events) as connection:
        connection.register("_asked", pa.table({"customer": pa.array(customers, pa.binary())}))
        seen = " UNION ALL ".join(
            f'SELECT customer, "offset", consent_granted AS granted, consent_source AS source, '
            f'consent_version AS version, consent_at AS "at" FROM "{name}"'
            for name in events
        )
        rows = connection.sql(
            f"""
            SELECT customer, granted, source, version, "at" FROM ({seen})
            WHERE customer IN (SELECT customer FROM _asked)
            QUALIFY row_number() OVER (PARTITION BY customer ORDER BY "offset" DESC) = 1
            """
        ).to_arrow_table()
    found = {row.pop("customer"): row for row in rows.to_pylist() if row["granted"] is not None}
    return [found.get(customer) for customer in customers]


WORDS = ("description", "unit", "owner", "supports", "better", "target", "threshold", "surrogate")
"""Parts of a metric's definition that count nothing."""


def metric_version(project: Project, name: str) -> str:
    """Hash a metric's definition: two rewards of one version count the same."""
    said = plain_value(project.lookup(METRICS, name))
    counting = {key: said[key] for key in said if key not in WORDS and said[key] is not None}
    content = json.dumps(counting, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _known(features: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say of whom at least one feature has a value."""
    known = np.zeros(features.num_rows, dtype=np.bool_)
    for column in features.columns:
        known |= column.is_valid().to_numpy()
    return known


def everybody(project: Project, stores: Stores, policy_name: str) -> list[bytes]:
    """List every customer whom a policy may decide for: of whom anything may be known.

    Parameters
    ----------
    project : Project
    stores : Stores
    policy_name : str

    Returns
    -------
    list of bytes
        Customer keys, in order.
    """
    policy = project.lookup(POLICIES, policy_name)
    model = project.lookup(MODELS, policy.model)
    events = events_of(project, model.features)
    with relations(project, stores, model.purpose, names=events) as connection:
        seen = " UNION ".join(f'SELECT customer FROM "{name}"' for name in events)
        rows = connection.execute(
            f"SELECT customer FROM ({seen}) WHERE customer IS NOT NULL ORDER BY customer"
        ).fetchall()
    return [customer for (customer,) in rows]
