"""A made-up trial for the server's tests: seeded numbers of a plausible shape, no real result.

It answers the same questions as the loop (`liftwerk.server.source.ReportSource`).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast, get_args

import msgspec
import numpy as np

from liftwerk.errors import UnknownName
from liftwerk.events.inventory.shapes import (
    Coverage,
    EventFacts,
    Gap,
    GapKind,
    IdentifierFacts,
    Inventory,
    Latency,
    PropertyFacts,
    Quantiles,
    Seen,
    Silence,
    SourceFacts,
)
from liftwerk.features.served import Served
from liftwerk.governance.lineage import lineage
from liftwerk.project.features import catalogue_rows, feature_document, feature_state
from tests.governance.declared import declared
from tests.server import made_up_experiments, made_up_metrics

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 16, 10, tzinfo=UTC)
ACTIONS = ["nothing", "mens_email", "womens_email"]
LABELS = {"nothing": "No e-mail", "mens_email": "Men's e-mail", "womens_email": "Women's e-mail"}
POLICY_LABELS = {
    "learned": "Chosen per customer",
    "logged": "What was done",
    "mens_to_all": "Men's e-mail to everyone",
    "womens_to_all": "Women's e-mail to everyone",
    "uniform": "By lot, all actions alike",
    "control": "No e-mail to anyone",
}
UNKNOWN = {
    "unknown": "the largest 12 orders carry 41% of the variance",
    "needs": "some 90,000 customers, or a cap on spend",
}
FEATURES = [
    ("recency_months", "months", "Months since the last purchase"),
    ("history", "USD", "Spend in the past year"),
    ("bought_mens", "", "Bought men's goods in the past year"),
    ("bought_womens", "", "Bought women's goods in the past year"),
    ("area", "", "Area type"),
    ("newcomer", "", "New in the past twelve months"),
    ("channel", "", "Channel of the past year's purchases"),
]


def key(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def figure(value: float, error: float) -> Json:
    return {"value": value, "low": value - 1.96 * error, "high": value + 1.96 * error}


def report(difference: float = 0.021, error: float = 0.041) -> Json:
    """Build a report whose headline difference and standard error are given."""
    rng = np.random.default_rng(2008)
    best = 0.662
    values = {
        "learned": (best + difference, 0.069, 0.83),
        "logged": (0.491, 0.042, 0.667),
        "mens_to_all": (best, 0.073, 1.0),
        "womens_to_all": (0.492, 0.071, 1.0),
        "uniform": (0.491, 0.042, 0.667),
        "control": (0.327, 0.068, 0.0),
    }
    policies = {}
    for name, (value, spread, treated) in values.items():
        policies[name] = {
            "dr": figure(value, spread),
            "ips": figure(value + rng.normal(0, 0.01), spread * 1.04),
            "snips": figure(value + rng.normal(0, 0.008), spread * 1.02),
            "dm": figure(value + rng.normal(0, 0.02), spread * 0.6),
            "treated_share": treated,
        }
    differences = {
        "logged": figure(best + difference - 0.491, error * 1.3),
        "mens_to_all": figure(difference, error * 1.18),
        "womens_to_all": figure(best + difference - 0.492, error * 1.6),
        "uniform": figure(best + difference - 0.491, error * 1.3),
        "control": figure(best + difference - 0.327, error * 1.7),
    }
    head = differences["mens_to_all"]
    verdict = "unclear"
    if head["low"] > 0:
        verdict = "better"
    if head["high"] < 0:
        verdict = "worse"
    shapes = {
        ("mens_email", "visit"): (0.076, 0.004, 0.0045),
        ("mens_email", "spend"): (0.77, -0.01, 0.145),
        ("womens_email", "visit"): (0.045, 0.014, 0.0045),
        ("womens_email", "spend"): (0.43, 0.26, 0.14),
    }
    answers: dict[tuple[str, str], Any] = {
        ("mens_email", "visit"): "no",
        ("mens_email", "spend"): {
            "unknown": "the spread of effects is not told apart from none, nor from USD 1.00",
            "needs": "some 4 times as many customers",
        },
        ("womens_email", "visit"): "yes",
        ("womens_email", "spend"): {
            "unknown": "the spread of effects is not told apart from none, nor from USD 1.00",
            "needs": "some 3 times as many customers",
        },
    }
    uplift: Json = {}
    qini: Json = {}
    deciles: Json = {}
    for (action, outcome), (total, bend, spread) in shapes.items():
        share = np.linspace(0, 1, 51)
        unit = "share"
        if outcome == "spend":
            unit = "USD"
        wobble = np.cumsum(rng.normal(0, spread / 14, 51)) * np.sin(np.pi * share)
        gain = total * share + 4 * bend * share * (1 - share) + wobble
        width = 1.96 * spread * np.sqrt(share)
        qini.setdefault(action, {})[outcome] = {
            "share": share.tolist(),
            "gain": gain.tolist(),
            "low": (gain - width).tolist(),
            "high": (gain + width).tolist(),
            "unit": unit,
        }
        rows = []
        for decile in range(1, 11):
            predicted = total + bend * 2.6 * (5.5 - decile) / 4.5
            observed = predicted + rng.normal(0, spread * 2.6)
            rows.append(
                {
                    "decile": decile,
                    "predicted": predicted,
                    "observed": observed,
                    "low": observed - 1.96 * spread * 2.9,
                    "high": observed + 1.96 * spread * 2.9,
                    "n": 2136,
                }
            )
        deciles.setdefault(action, {})[outcome] = rows
        uplift.setdefault(action, {})[outcome] = {
            "qini": figure(bend * 0.66, spread * 0.38),
            "heterogeneity": answers[action, outcome],
        }
    share = np.linspace(0, 1, 51)
    value = 0.327 + (best + difference - 0.327) * (1 - (1 - share) ** 1.7) - 0.02 * share**4
    width = 1.96 * (0.066 + 0.008 * share)
    document = {
        "customers": 32026,
        "events": 69214,
        "quarantined": 3,
        "policies": policies,
        "differences": differences,
        "headline": {
            "detectable": 2.8 * error * 1.18,
            "against": "mens_to_all",
            "difference_to_best_fixed": head["value"],
            "low": head["low"],
            "high": head["high"],
            "verdict": verdict,
        },
        "uplift": uplift,
        "release": key("release")[:16],
        "reproducible_hash": key("hash"),
        "seconds": 27.4,
        "stages": [
            {"name": "import", "seconds": 4.1, "skipped": False},
            {"name": "compact", "seconds": 3.2, "skipped": False},
            {"name": "features", "seconds": 1.9, "skipped": False},
            {"name": "uplift", "seconds": 9.8, "skipped": False},
            {"name": "evaluation", "seconds": 7.6, "skipped": False},
            {"name": "release", "seconds": 0.02, "skipped": True},
        ],
    }
    charts = {
        "project": {"name": "hillstrom", "currency": "USD"},
        "policy": "best_email",
        "labels": LABELS,
        "headline_words": "",
        "policies": [{"name": name, "label": label} for name, label in POLICY_LABELS.items()],
        "qini": qini,
        "deciles": deciles,
        "profit_curve": {
            "share": share.tolist(),
            "value": value.tolist(),
            "low": (value - width).tolist(),
            "high": (value + width).tolist(),
            "marks": {
                name: [values[name][2], values[name][0]]
                for name in ("learned", "mens_to_all", "womens_to_all", "logged", "control")
            },
        },
        "heterogeneity": {},
        "gate": {
            "verdict": "passed",
            "margin": 0.1,
            "sentence": "at worst +0.088 USD a customer against what was done; "
            "the margin allows −0.100",
            "difference": differences["logged"],
        },
    }
    return {"document": document, "charts": charts}


def unknown_report() -> Json:
    """Build a report in which nothing could be said."""
    made = report()
    document = made["document"]
    for entry in document["policies"].values():
        for estimator in ("dr", "ips", "snips", "dm"):
            entry[estimator] = UNKNOWN
    document["differences"] = dict.fromkeys(document["differences"], UNKNOWN)
    document["headline"] = {
        "detectable": UNKNOWN,
        "against": None,
        "difference_to_best_fixed": UNKNOWN,
        "low": UNKNOWN,
        "high": UNKNOWN,
        "verdict": "unclear",
    }
    for action, outcomes in document["uplift"].items():
        for outcome, answer in outcomes.items():
            answer["qini"] = UNKNOWN
            answer["heterogeneity"] = UNKNOWN
            made["charts"]["qini"][action][outcome] = UNKNOWN
            made["charts"]["deciles"][action][outcome] = UNKNOWN
    made["charts"]["profit_curve"] = UNKNOWN
    made["charts"]["gate"] = {"verdict": "unknown", "margin": 0.1, "difference": UNKNOWN}
    return made


def decision(index: int) -> Json:
    """Build the decision of customer `index`."""
    rng = np.random.default_rng([2008, index])
    action = ACTIONS[int(rng.integers(3))]
    spend = float(rng.choice([0, 0, 0, 0, 29.99, 84.5]))
    visited = spend > 0 or bool(rng.random() < 0.2)
    cost = 0.0 if action == "nothing" else 0.05
    values: list[Any] = [
        int(rng.integers(1, 13)),
        round(float(rng.gamma(2, 120)), 2),
        bool(rng.random() < 0.55),
        bool(rng.random() < 0.55),
        str(rng.choice(["Urban", "Surburban", "Rural"])),
        bool(rng.random() < 0.5),
        str(rng.choice(["Web", "Phone", "Multichannel"])),
    ]
    pushes = [
        {
            "feature": name,
            "actions": {
                "mens_email": float(rng.normal(0, 0.08)),
                "womens_email": float(rng.normal(0, 0.11)),
            },
        }
        for name, _, _ in FEATURES
    ]
    base = {"mens_email": 0.335, "womens_email": 0.165}
    total = {each: base[each] + sum(push["actions"][each] for push in pushes) for each in base}
    gains = {"nothing": 0.0, **total}
    best = max(ACTIONS, key=lambda each: gains[each])
    outcomes = []
    if visited:
        outcomes.append(
            {"name": "visit", "time": "2008-03-19T15:00:00Z", "words": "visited the site"}
        )
    if spend:
        outcomes.append(
            {
                "name": "order_completed",
                "time": "2008-03-20T15:00:00Z",
                "words": f"ordered for USD {spend:.2f}",
                "properties": {"order_id": str(index), "revenue": f"{spend:.2f} USD"},
            }
        )
    return {
        "id": f"{key('decision', index)[:8]}-{key('decision', index)[8:12]}-5000-8000-{index:012d}",
        "cursor": f"{100000 - index}",
        "time": "2008-03-18T15:00:00Z",
        "customer": key("customer", index)[:32],
        "placement": "campaign_email",
        "kind": "imported",
        "action": action,
        "probability": 1 / 3,
        "release": None,
        "reward": 0.5 * spend - cost,
        "control_action": "nothing",
        "eligible": ACTIONS,
        "probabilities": dict.fromkeys(ACTIONS, 1 / 3),
        "draw": None,
        "policy_state": None,
        "stage": None,
        "experiment": None,
        "arm": None,
        "holdout": False,
        "expected_reward": None,
        "reward_version": key("margin")[:12],
        "features": [
            {"name": name, "value": value, "unit": unit, "description": text, "version": "1f0c"}
            for (name, unit, text), value in zip(FEATURES, values, strict=True)
        ],
        "why": {"unit": "USD", "base": base, "contributions": pushes, "total": total},
        "guardrails": [
            {"name": "budget", "limit": "5000/week", "state": "not checked", "detail": "imported"},
            {"name": "frequency", "limit": "2/7d", "state": "not checked", "detail": "imported"},
        ],
        "outcomes": outcomes,
        "learned": {
            "release": key("release")[:16],
            "action": best,
            "probabilities": {each: 0.9 if each == best else 0.05 for each in ACTIONS},
            "expected": gains,
        },
    }


def inventory(many: int | None) -> Json:
    """A shop's inventory with every kind of gap and state; an empty one without events."""
    at = datetime(2026, 11, 24, 16, 10, tzinfo=UTC)
    seen = Seen()
    if many is not None:
        seen = Seen(
            events=12_345_678,
            weight=49_382_712.0,
            synthetic=1_234,
            last_time=at,
            last_received=at,
            consent=Coverage(12_345_678, 11_000_000, 1_345_000, 678, {"ads": 5, "profiling": 0}),
            latency=Latency(Quantiles(12, 0.004, 3.2, 400_000.0), Quantiles(12, 4.1, 5.0, 9.0)),
        )
    if many is None:
        found = Inventory("trial", at, None, None, None, seen, (), (), (), (), ())
        return cast(Json, msgspec.to_builtins(found))
    nothing = Seen(consent=Coverage(granted={"ads": 0, "profiling": 0}))
    long = "a_name_that_somebody_chose_to_be_rather_long_indeed"
    facts = EventFacts(
        name=long,
        version=3,
        description="What happened when it happened",
        owner="somebody@shop.example",
        built_in=False,
        unique=("order_id", "line"),
        seen=seen,
        sources={"web": seen, "backend": nothing},
        properties=(
            PropertyFacts("order_id", "string", True, "pseudonymous", 0, 12),
            PropertyFacts(long, "money", False, "none", 12_345_678, 0, "EUR", "Anything"),
        ),
        refused=12,
        without_customer=7,
    )
    sources = [
        SourceFacts(
            name=f"{state}_source",
            kind="http",
            trust="browser",
            sample="25%",
            seen=seen,
            refused=3,
            sessions=5,
            sessions_without_consent=1,
            silence=Silence(state, "nothing for 2 d; in the same hours, 200 events were usual"),
            days=tuple(range(28)),
        )
        for state in ("sending", "silent", "unknown")
    ]
    space = IdentifierFacts(long, "email@1", "personal", True, 5, 10, {"web": 5}, 1)
    found = Inventory(
        project="trial",
        at=at,
        since=None,
        snapshot=key("snapshot"),
        snapshot_at=at,
        seen=seen,
        purposes=("ads", "profiling"),
        gaps=tuple(
            Gap(kind, f"{long}.{number}: <b>1,234</b> of 5,678")
            for kind in get_args(GapKind)
            for number in range(8)
        ),
        sources=tuple(sources),
        events=(facts, EventFacts("never", 1, "", "", True, (), nothing, {}, (), 0, 0)),
        identifiers=(space,),
    )
    return cast(Json, msgspec.to_builtins(found))


class TrialSource:
    """A source over the made-up trial."""

    def __init__(self, said: Json | None, customers: int = 137) -> None:
        self._said = said
        self._decisions = [decision(index) for index in range(customers)]
        self.closed = False

    def report(self) -> Json | None:
        return self._said

    def decisions(
        self,
        *,
        limit: int,
        before: str | None = None,
        after: str | None = None,
        action: str | None = None,
        customer: str | None = None,
        kind: str | None = None,
    ) -> list[Json]:
        found = self._decisions
        if action is not None:
            found = [row for row in found if row["action"] == action]
        if customer is not None:
            found = [row for row in found if row["customer"] == customer]
        if kind is not None:
            found = [row for row in found if row["kind"] == kind]
        if before is not None:
            found = [row for row in found if int(row["cursor"]) < int(before)]
        if after is not None:
            return [row for row in found if int(row["cursor"]) > int(after)][-limit:]
        return found[:limit]

    def inventory(self, since: str | None = None) -> Json:
        return inventory(None if self._said is None else 1)

    def catalogue(self, search: str = "") -> list[Json]:
        if self._said is None:
            return []
        return catalogue_rows(declared(), None, NOW, search)

    def feature(self, name: str) -> Json:
        told = (declared(features__spend__deprecated="2027-03-01"), None, NOW, name)
        return {**feature_document(*told), **feature_state(*told)}

    def lineage(self, node: str | None = None) -> Json:
        if self._said is None:
            return {"nodes": [], "edges": []}
        graph = lineage(declared())
        if node is not None:
            graph = graph.around(graph.find(node).id)
        return cast(Json, msgspec.to_builtins(graph))

    def decision(self, decision_id: str) -> Json | None:
        return next((row for row in self._decisions if row["id"] == decision_id), None)

    def releases(self) -> list[Json]:
        if self._said is None:
            return []
        return [
            {
                "id": key("release")[:16],
                "policy": "best_email",
                "stage": "draft",
                "flags": [],
                "created": "2026-11-24T16:10:00Z",
                "champion": False,
                "gate": self._said["charts"]["gate"],
            }
        ]

    def release(self, release_id: str) -> Json | None:
        found = next((row for row in self.releases() if row["id"] == release_id), None)
        if found is None or self._said is None:
            return None
        document = self._said["document"]
        return {
            **found,
            "placement": "campaign_email",
            "policy_state": key("state"),
            "snapshot": key("snapshot")[:16],
            "project_hash": key("project"),
            "reproducible_hash": document["reproducible_hash"],
            "models": [
                {"name": "email_uplift", "kind": "uplift", "outcome": "visit", "version": "a31c"},
                {"name": "email_uplift", "kind": "uplift", "outcome": "spend", "version": "88e0"},
            ],
            "features": [{"name": name, "version": key(name)[:12]} for name, _, _ in FEATURES],
            "differences": document["differences"],
            "headline": document["headline"],
            "history": [entry for entry in self.audit(limit=100) if release_id in entry["subject"]],
        }

    def audit(self, *, limit: int, before: int | None = None) -> list[Json]:
        actions = ["home.create", "import", "snapshot", "model.train", "policy.evaluate"]
        entries = [
            {
                "seq": seq,
                "at": f"2026-11-24T16:{seq % 60:02d}:00Z",
                "actor": key("person")[:12],
                "action": actions[seq % 5],
                "subject": "hillstrom",
                "detail": {"rows": 32026 + seq},
                "hash": key("entry", seq),
                "previous": key("entry", seq - 1),
            }
            for seq in range(1, 70)
        ]
        entries.append(
            {
                "seq": 70,
                "at": "2026-11-24T17:10:00Z",
                "actor": key("person")[:12],
                "action": "release.create",
                "subject": key("release")[:16],
                "detail": {"stage": "draft", "gate": "passed"},
                "hash": key("entry", 70),
                "previous": key("entry", 69),
            }
        )
        entries.reverse()
        if before is not None:
            entries = [entry for entry in entries if entry["seq"] < before]
        return entries[:limit]

    def status(self) -> Json:
        stages: list[Json] = []
        if self._said is not None:
            stages = self._said["document"]["stages"]
        return {
            "project": "hillstrom",
            "version": "0.1.0",
            "at": "2026-11-24T17:12:00Z",
            "customers": 32026,
            "events": {
                "history_recorded": 32026,
                "decision_made": 32026,
                "visit": 4872,
                "order_completed": 290,
            },
            "quarantined": {"probability outside (0, 1]": 2, "not an integer": 1},
            "snapshot": {"id": key("snapshot")[:16], "at": "2026-11-24T16:08:00Z", "offset": 69214},
            "stages": stages,
            "champions": {"campaign_email": None},
            "holdout": {"share": 0.05, "customers": 1598},
            "lost_samples": 3,
            "undeclared": ["crm@0ce716590ce71659"],
            "audit": {"ok": True, "entries": 70, "words": "70 entries, the chain is whole"},
        }

    def features(self, view: str, entity: str, key: str, request: Mapping[str, str]) -> Served:
        raise UnknownName(f"no [feature_views.{view}] is declared", "liftwerk.toml", key)

    def features_at_hand(
        self, view: str, entity: str, key: str, request: Mapping[str, str]
    ) -> Served | None:
        return self.features(view, entity, key, request)

    def compile_views(self) -> None:
        return None

    def definitions(self) -> list[Json]:
        if self._said is None:
            return []
        return made_up_metrics.rows()

    def experiments(self) -> list[Json]:
        if self._said is None:
            return []
        return made_up_experiments.rows()

    def experiment(self, name: str) -> Json:
        if self._said is None:
            raise UnknownName(f"no [experiments.{name}] is declared", "liftwerk.toml", "declare it")
        return made_up_experiments.experiment(name)

    def holdout(self) -> Json:
        if self._said is None:
            return {"share": None, "why": "No [goal] declares a holdout."}
        return made_up_experiments.holdout()

    def close(self) -> None:
        self.closed = True


class WaitingSource(TrialSource):
    """Answers a report only when a line comes in on stdin."""

    def report(self) -> Json | None:
        print("asked", flush=True)
        sys.stdin.readline()
        return super().report()


def wordy_report() -> Json:
    """Build a report with long names without a space, yen, and amounts in the thousands."""
    made = report()
    name = "Spring-summer-catalogue-reactivation-offer-for-lapsed-customers"
    long = name.replace("-", "")
    charts = made["charts"]
    charts["project"] = {"name": long, "currency": "JPY"}
    charts["policy"] = long
    charts["labels"] = {action: f"{long} {label}" for action, label in LABELS.items()}
    for entry in charts["policies"]:
        entry["label"] = f"{long} {entry['label']}"

    def times(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: times(part) for key, part in value.items()}
        if isinstance(value, float):
            return value * 12_345
        return value

    for entry in made["document"]["policies"].values():
        for estimator in ("dr", "ips", "snips", "dm"):
            entry[estimator] = times(entry[estimator])
    for part in ("differences", "headline"):
        made["document"][part] = times(made["document"][part])
    charts["gate"]["difference"] = times(charts["gate"]["difference"])
    return made
