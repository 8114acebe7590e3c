"""The log of decisions, and one of them with everything that is known of it.

Decisions are read from the event tables for the built-in purpose ``audit``. Those that were made
since the last compaction are not there yet; they come from the store that recorded them.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.decisions.ask import learned_from
from liftwerk.decisions.definition import POLICIES
from liftwerk.decisions.explain import explain
from liftwerk.decisions.frame import Frame
from liftwerk.decisions.learned import Learned, ordered_actions, policy_rule
from liftwerk.decisions.replay import Replayed, replay
from liftwerk.definitions import Project
from liftwerk.errors import InputError, LiftwerkError, UnknownName
from liftwerk.events.definition import known_events
from liftwerk.features.as_of import training_set
from liftwerk.identity.resolve import customer_of, names_of, relations
from liftwerk.models.definition import MODELS
from liftwerk.money import Money
from liftwerk.releases.create import find
from liftwerk.store.stores import Stores

AUDIT = "audit"
LOG = "decision_made"
PENDING = "pending"

KIND = """
    CASE WHEN release IS NULL AND draw IS NULL THEN 'imported'
         WHEN stage = 'champion' OR release IS NULL THEN 'live'
         ELSE 'draft' END
"""

_NUMBER = re.compile(r"[0-9]{1,18}")

_ROW = """
    id, customer, time, placement, action, probability, release, stage, draw, control_action,
    eligible, probabilities, policy_state, experiment, arm, expected_reward, reward_version,
    latency_us, feature_snapshot, guardrails
"""


class DecisionLog:
    """Reads decisions as they stand now.

    Parameters
    ----------
    project : Project
    stores : Stores
    """

    def __init__(self, project: Project, stores: Stores) -> None:
        self.project = project
        self.stores = stores

    def rows(
        self,
        limit: int,
        before: str | None,
        after: str | None,
        action: str | None,
        customer: str | None,
        kind: str | None,
    ) -> list[dict[str, Any]]:
        """Return a page of the log, newest first; filters that are None keep everything."""
        conditions = ["TRUE"]
        values: list[Any] = []
        for condition, value in (
            ("action = ?", action),
            ("kind = ?", kind),
            ("(time, place) < (make_timestamptz(?), ?)", before),
            ("(time, place) > (make_timestamptz(?), ?)", after),
        ):
            if value is None:
                continue
            conditions.append(condition)
            values += [value]
            if condition.endswith("?)"):
                values[-1:] = _place(value)
        if customer is not None:
            conditions.append("customer IN (?, ?)")
            values += [customer_of(self.project, customer), _key(customer)]
        order = "DESC"
        if after is not None:
            order = "ASC"
        with relations(self.project, self.stores, AUDIT, names=[LOG]) as connection:
            connection.register("_rewards", self._rewards())
            connection.register("_pending", self._pending())
            found = connection.sql(
                f"""
                WITH every AS (
                  SELECT id, customer, time, placement, action, probability, release,
                    "offset" AS place, {KIND} AS kind
                  FROM {LOG} WHERE NOT synthetic
                  UNION ALL
                  SELECT * FROM _pending WHERE id NOT IN (SELECT id FROM {LOG})
                )
                SELECT every.*, _rewards.reward
                FROM every LEFT JOIN _rewards ON _rewards.decision = every.id
                WHERE {" AND ".join(conditions)}
                ORDER BY time {order}, place {order} LIMIT {int(limit)}
                """,
                params=values,
            ).to_arrow_table()
        rows = found.to_pylist()
        if after is not None:
            rows.reverse()
        names = names_of(self.project, self.stores, [row["customer"] for row in rows], AUDIT)
        return [_row(row, names) for row in rows]

    def one(self, decision_id: str) -> dict[str, Any] | None:
        """Return one decision, or None; everything in it JSON-able."""
        key = _uuid(decision_id)
        if key is None:
            return None
        record = self.record(key)
        if record is None:
            return None
        names = names_of(self.project, self.stores, [record["customer"]], AUDIT)
        answer = {
            **record,
            "id": str(uuid.UUID(bytes=key)),
            "customer": names.get(record["customer"], record["customer"].hex()),
            "time": _iso(record["time"]),
            "holdout": record["arm"] == "holdout",
            "outcomes": self._outcomes(key),
        }
        policy = self._policy(record["placement"])
        if policy is None:
            return answer
        learned = self._learned(policy, record)
        answer |= explain(self.project, policy, record, learned, self._known(policy, record))
        rewards = self._rewards()
        earned = rewards.filter(pc.equal(rewards.column("decision"), key)).column("reward")
        if len(earned):
            answer["reward"] = earned[0].as_py()
        answer.pop("feature_snapshot")
        return answer

    def replay(self, decision_id: str) -> Replayed:
        """Compute a decision again from its record.

        Raises
        ------
        UnknownName
            If there is none of that id.
        Refused
            If it was not made here, or its release explains nothing any more.
        """
        key = _uuid(decision_id)
        record = None
        if key is not None:
            record = self.record(key)
        policy = None
        if record is not None:
            policy = self._policy(record["placement"])
        if record is None or policy is None:
            raise UnknownName(f"no decision {decision_id!r}", "decisions", "see `decisions list`")
        learned = None
        if record["release"] is not None:
            bundle, stage = find(self.stores, record["release"])
            learned = learned_from(
                self.project, self.stores, policy, bundle.id, bundle.policy_state, stage
            )
        declared = self.project.get(POLICIES)[policy]
        actions = ordered_actions(self.project, declared)
        rule = policy_rule(self.project, declared)
        return replay({**record, "id": decision_id}, actions, rule, learned)

    def record(self, key: bytes) -> dict[str, Any] | None:
        """Return a decision's properties with ``id``, ``customer`` and ``time``, or None."""
        with relations(self.project, self.stores, AUDIT, names=[LOG]) as connection:
            rows = connection.sql(
                f"SELECT {_ROW}, {KIND} AS kind FROM {LOG} WHERE id = ?", params=[key]
            ).to_arrow_table()
        if rows.num_rows:
            return dict(rows.to_pylist()[0])
        recorded = self.stores.decisions.get(key)
        if recorded is None:
            return None
        said = msgspec.json.decode(recorded.body)
        return {**said, "customer": recorded.unit, "time": recorded.at, "kind": _kind(said)}

    def _pending(self) -> pa.Table:
        """Read what was recorded since the last compaction."""
        after = 0
        snapshot = self.stores.ledger.latest_snapshot()
        if snapshot is not None:
            after = snapshot.decisions_offset
        recorded = self.stores.decisions.read(after, 100_000)
        said = [msgspec.json.decode(body) for body in recorded.column("body").to_pylist()]
        return pa.table(
            {
                "id": recorded.column("id").cast(pa.binary()),
                "customer": recorded.column("unit").cast(pa.binary()),
                "time": recorded.column("at"),
                "placement": recorded.column("placement"),
                "action": pa.array([one["action"] for one in said], pa.string()),
                "probability": pa.array([one["probability"] for one in said], pa.float64()),
                "release": pa.array([one["release"] for one in said], pa.string()),
                "place": recorded.column("offset"),
                "kind": pa.array([_kind(one) for one in said], pa.string()),
            }
        )

    def _last_outputs(self, step: str) -> dict[str, Any]:
        rows = [row for row in self.stores.ledger.steps() if row.name == step]
        if not rows:
            return {}
        return rows[-1].outputs

    def _rewards(self) -> pa.Table:
        """Read what each past decision earned, from the rows that were last learned from."""
        sha = self._last_outputs("features").get("artefacts", {}).get("frame")
        policies = list((self.project.find(POLICIES) or {}).values())
        if sha is None or not self.stores.artefacts.exists(sha) or len(policies) != 1:
            return pa.schema([("decision", pa.binary()), ("reward", pa.float64())]).empty_table()
        actions = ordered_actions(self.project, policies[0])
        frame = Frame.from_bytes(self.stores.artefacts.get(sha), actions)
        earned = pa.array(frame.metric(policies[0].reward))
        return pa.table({"decision": frame.table.column("decision"), "reward": earned})

    def _policy(self, placement: str) -> str | None:
        for name, policy in (self.project.find(POLICIES) or {}).items():
            if policy.placement == placement:
                return name
        return None

    def _learned(self, policy: str, record: dict[str, Any]) -> Learned | None:
        """Load the release a decision names, or the newest one, to explain with."""
        named = record["release"]
        if named is None:
            named = self._last_outputs("release").get("release")
        if named is None:
            return None
        try:
            bundle, stage = find(self.stores, named)
            state = bundle.policy_state
            return learned_from(self.project, self.stores, policy, bundle.id, state, stage)
        except LiftwerkError:
            # An erased model or changed features explain nothing any more; the rest still shows.
            return None

    def _known(self, policy: str, record: dict[str, Any]) -> pa.Table | None:
        if record["customer"] is None:
            return None
        model = self.project.get(MODELS)[self.project.get(POLICIES)[policy].model]
        spine = pa.table(
            {
                "customer": pa.array([record["customer"]], pa.binary()),
                "time": pa.array([record["time"]], pa.timestamp("us", "UTC")),
            }
        )
        names = list(model.features)
        found = training_set(self.project, self.stores, spine, names, model.purpose)
        return found.select(names)

    def _outcomes(self, key: bytes) -> list[dict[str, Any]]:
        """List the events that answered a decision, oldest first."""
        events = known_events(self.project)
        found = []
        with relations(self.project, self.stores, AUDIT) as connection:
            for (name,) in connection.execute("SHOW TABLES").fetchall():
                if name.startswith("_") or name not in events:
                    continue
                rows = connection.sql(
                    f'SELECT * FROM "{name}" WHERE decision = ?', params=[key]
                ).to_arrow_table()
                properties = events[name].properties
                for row in rows.to_pylist():
                    said = {
                        one: _plain(row[one], declared.type, row.get(f"{one}_currency"))
                        for one, declared in properties.items()
                    }
                    found.append(
                        {
                            "name": name,
                            "time": _iso(row["time"]),
                            "known_at": _iso(row["known_at"]),
                            "words": _words(name, said),
                            "properties": said,
                        }
                    )
        return sorted(found, key=lambda outcome: outcome["time"])


def _place(cursor: str) -> tuple[int, int]:
    """Read a row's cursor: its time in microseconds, and its place among those of that time."""
    moment, _, place = cursor.partition("-")
    numbers = tuple(int(part) for part in (moment, place) if _NUMBER.fullmatch(part))
    if len(numbers) != 2:
        raise InputError("no such cursor", cursor[:60], "take the one that a row shows")
    return numbers


def _uuid(text: str) -> bytes | None:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def _row(row: dict[str, Any], names: dict[bytes, str]) -> dict[str, Any]:
    moment: datetime = row["time"]
    customer = row["customer"]
    shown = None
    if customer is not None:
        shown = names.get(customer, customer.hex())
    return {
        "id": str(uuid.UUID(bytes=row["id"])),
        "cursor": f"{int(moment.timestamp()) * 1_000_000 + moment.microsecond}-{row['place']}",
        "time": _iso(moment),
        "customer": shown,
        "placement": row["placement"],
        "kind": row["kind"],
        "action": row["action"],
        "probability": row["probability"],
        "release": row["release"],
        "reward": row["reward"],
    }


def _kind(said: dict[str, Any]) -> str:
    if said["stage"] == "champion" or said["release"] is None:
        return "live"
    return "draft"


def _key(customer: str) -> bytes:
    """Read a customer key in hexadecimal; anything else finds nobody."""
    try:
        return bytes.fromhex(customer)
    except ValueError:
        return b""


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _plain(value: Any, kind: str, currency: str | None) -> Any:
    if kind == "money" and value is not None and currency is not None:
        return str(Money(value, currency))
    if isinstance(value, datetime):
        return _iso(value)
    return value


def _words(name: str, said: dict[str, Any]) -> str:
    amounts = [str(value) for value in said.values() if value is not None]
    words = name.replace("_", " ")
    if not amounts:
        return words
    return f"{words} ({', '.join(amounts)})"
