"""The whole loop on one page, and the only place that wires the rooms.

    import -> compact -> features -> uplift -> evaluate -> verify -> release -> report

Each step is named by the hash of what it reads; `liftwerk.operations` runs it once. What a step
does stands in its room, under the name of the verb; here is only what it reads and gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS
from liftwerk.connectors.files import files_of
from liftwerk.connectors.import_declared import import_declared
from liftwerk.connectors.job import ImportJob
from liftwerk.decisions.definition import ACTIONS, PLACEMENTS, POLICIES, PolicyDefinition
from liftwerk.decisions.frame import Frame, build_frame
from liftwerk.decisions.learned import earning_outcome, ordered_actions, policy_rule
from liftwerk.decisions.report import (
    evaluation_figures,
    profit_chart,
    reproducible_hash,
    uplift_charts,
    uplift_figures,
)
from liftwerk.decisions.spine import learning_spine
from liftwerk.decisions.value import seed_of, value_policy
from liftwerk.decisions.verify import verify_told
from liftwerk.definitions import PROJECT, Project
from liftwerk.errors import InputError
from liftwerk.events.compact import compact
from liftwerk.events.definition import EVENTS, SOURCES
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.retain import Expired, expired
from liftwerk.features.as_of import training_set
from liftwerk.features.checks.keep import keep_sketches
from liftwerk.features.definition import FEATURES
from liftwerk.features.retain import retain
from liftwerk.features.version import feature_versions
from liftwerk.identity.definition import IDENTITY
from liftwerk.identity.resolve import relations
from liftwerk.metrics.count import per_decision
from liftwerk.metrics.definition import METRICS
from liftwerk.models.assess import assess
from liftwerk.models.definition import MODELS, ModelDefinition
from liftwerk.models.train import train
from liftwerk.operations.run import Outputs, Step
from liftwerk.privacy.definition import PURPOSES
from liftwerk.releases.create import Release, create
from liftwerk.releases.gate import Verdict, judge
from liftwerk.store.stores import Stores

STEPS = ("import", "compact", "features", "uplift", "evaluate", "verify", "release", "report")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Loop:
    """The loop of one policy of one project.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    clock : Clock
    policy_name : str
        The declared policy.
    actor : str
        Who runs it, for the audit log.
    """

    project: Project
    stores: Stores
    clock: Clock
    policy_name: str
    actor: str

    @property
    def policy(self) -> PolicyDefinition:
        """The policy's definition."""
        return self.project.lookup(POLICIES, self.policy_name)

    @property
    def model(self) -> ModelDefinition:
        """The definition of the model that the policy asks."""
        return self.project.lookup(MODELS, self.policy.model)

    @property
    def actions(self) -> tuple[str, ...]:
        """The policy's actions, the control action first."""
        return ordered_actions(self.project, self.policy)

    def steps(self) -> tuple[Step, ...]:
        """List the steps in their order."""
        doing = (
            ("read the declared files", self._files, self._import),
            ("sort new events into tables", self._inbox, self._compact),
            ("what was known at each decision", self._log, self._features),
            ("learn what each action adds", self._rows, self._uplift),
            ("what the policy would earn", self._learned, self._evaluate),
            ("make again what was told of features", self._told, self._verify),
            ("bundle the policy", self._evaluated, self._release),
            ("write the report", self._released, self._report),
        )
        return tuple(Step(name, *parts) for name, parts in zip(STEPS, doing, strict=True))

    # ------------------------------------------------------------------ import

    def _files(self, outputs: Outputs) -> dict[str, Any]:
        sections = (PROJECT, SOURCES, EVENTS, IDENTIFIERS, ENTITIES, IMPORT_LIMITS, IMPORTS)
        files = {
            name: [file_hash(file) for file in files_of(self.project.root, one)]
            for name, one in self.project.get(IMPORTS).items()
        }
        return {"definitions": self.project.section_hash(*sections), "files": files}

    def _import(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        counts = {}
        for name in self.project.get(IMPORTS):
            tell(f"read {name}")
            job = ImportJob(
                self.project, self.stores, name, self.clock, controls(self.project), tell=tell
            )
            done = import_declared(job)
            counts[name] = msgspec.to_builtins(done)
        return {"imports": counts}

    # ------------------------------------------------------------------ compact

    def _inbox(self, outputs: Outputs) -> dict[str, Any]:
        return {
            "inbox": self.stores.inbox.last_offset(),
            "decisions": self.stores.decisions.last_offset(),
            "buried": len(self.stores.ledger.buried()),
            "expired": [msgspec.to_builtins(one) for one in self._expired()],
        }

    def _expired(self) -> list[Expired]:
        return expired(self.project, self.stores, self.clock.now())

    def _compact(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        done = compact(self.project, self.stores, self.clock)
        gone = sum(one.rows for one in retain(self.project, self.stores, self.clock))
        return {"events": done.events, "duplicates": done.duplicates, "expired": gone}

    # ------------------------------------------------------------------ features

    def _log(self, outputs: Outputs) -> dict[str, Any]:
        snapshot = self.stores.ledger.latest_snapshot()
        tables: Mapping[str, int] = {}
        if snapshot is not None:
            tables = snapshot.tables
        data = (PROJECT, PURPOSES, EVENTS, IDENTIFIERS, IDENTITY)
        asked = (FEATURES, METRICS, MODELS, PLACEMENTS, ACTIONS)
        return {
            "definitions": self.project.section_hash(*data, *asked),
            "policy": self.policy_name,
            "tables": dict(tables),
            "buried": len(self.stores.ledger.buried()),
        }

    def _features(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        model = self.model
        place = self.policy.placement
        spine = learning_spine(self.project, self.stores, place, self.actions, model.purpose)
        tell(f"{spine.num_rows:,} decisions")
        names = list(model.features)
        known = training_set(self.project, self.stores, spine, names, model.purpose)
        source, at = f"models.{self.policy.model}", self.clock.now()
        keep_sketches(self.project, self.stores, known.select(names), source, at)
        wanted = list(dict.fromkeys([*model.outcomes, self.policy.reward]))
        earned = per_decision(
            self.project,
            self.stores,
            spine,
            wanted,
            model.purpose,
            now=self.clock.now(),
            costs={action: self.project.lookup(ACTIONS, action).cost for action in self.actions},
        )
        table = build_frame(
            spine, known.select(names), earned.select(wanted), earned.column("mature")
        )
        frame = Frame(table, self.actions)
        return {
            "artefacts": {"frame": self.stores.artefacts.put(frame.to_bytes())},
            "feature_versions": feature_versions(self.project, names),
            "customers": len(frame),
        }

    def _frame(self, outputs: Outputs) -> Frame:
        sha = outputs["features"]["artefacts"]["frame"]
        return Frame.from_bytes(self.stores.artefacts.get(sha), self.actions)

    # ------------------------------------------------------------------ uplift

    def _rows(self, outputs: Outputs) -> dict[str, Any]:
        return {
            "frame": outputs["features"]["artefacts"]["frame"],
            "features": outputs["features"]["feature_versions"],
            "definitions": self.project.section_hash(MODELS),
            "model": self.policy.model,
        }

    def _uplift(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        frame = self._frame(outputs)
        outcomes = {name: frame.metric(name) for name in self.model.outcomes}
        trained = train(
            self.policy.model,
            frame.features,
            frame.action,
            frame.logged,
            outcomes,
            self.actions,
            outputs["features"]["feature_versions"],
            tell,
        )
        tell("hold it against what was seen")
        rng = np.random.default_rng(seed_of(self.policy.model, "assess"))
        readings = assess(
            frame.features, frame.action, outcomes, trained, self.model.negligible, rng
        )
        units = {name: self.project.lookup(METRICS, name).unit for name in outcomes}
        charts = uplift_charts(readings, self.actions, units)
        put = self.stores.artefacts.put
        return {
            "artefacts": {
                "model": put(msgspec.json.encode(trained.model.to_dict())),
                "charts": put(msgspec.json.encode(charts)),
            },
            "uplift": uplift_figures(readings, self.actions),
            "model": self.policy.model,
            "frame": outputs["features"]["artefacts"]["frame"],
        }

    # ------------------------------------------------------------------ evaluate

    def _learned(self, outputs: Outputs) -> dict[str, Any]:
        return {
            "frame": outputs["features"]["artefacts"]["frame"],
            "definitions": self.project.section_hash(METRICS, MODELS, ACTIONS, POLICIES),
        }

    def _evaluate(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        frame = self._frame(outputs)
        policy = self.policy
        tell("learn in turn, value on the others")
        valued = value_policy(
            frame.features,
            frame.action,
            frame.logged,
            frame.metric(earning_outcome(self.project, self.policy_name)),
            frame.metric(policy.reward),
            policy_rule(self.project, policy),
            {name: self.actions.index(action) for name, action in policy.baselines.items()},
            np.random.default_rng(seed_of(self.policy_name, "evaluate")),
        )
        difference = valued.evaluation.differences["logged"]
        verdict = judge(difference, policy.gate.margin, self.project.currency)
        chart = {"profit_curve": profit_chart(valued.curve, valued.evaluation)}
        put = self.stores.artefacts.put
        return {
            "artefacts": {
                "evaluation": put(msgspec.json.encode(valued.evaluation)),
                "charts": put(msgspec.json.encode(chart)),
            },
            "figures": evaluation_figures(valued.evaluation),
            "gate": msgspec.to_builtins(verdict),
        }

    # ------------------------------------------------------------------ verify

    def _told(self, outputs: Outputs) -> dict[str, Any]:
        views = {
            space.name: [space.progress.offset, space.rows] for space in self.stores.online.spaces()
        }
        return {**self._log(outputs), "views": views}

    def _verify(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        rng = np.random.default_rng(seed_of("features", "verify"))
        found = verify_told(self.project, self.stores, self.clock, rng)
        tell(found.sentence)
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return {**plain, "holds": found.holds, "sentence": found.sentence}

    # ------------------------------------------------------------------ release

    def _bundle(self, outputs: Outputs) -> Release:
        return Release(
            policy=self.policy_name,
            policy_state=outputs["uplift"]["artefacts"]["model"],
            definitions=self.project.hash,
            feature_versions=outputs["features"]["feature_versions"],
            evaluation=outputs["evaluate"]["artefacts"]["evaluation"],
            gate=msgspec.convert(outputs["evaluate"]["gate"], Verdict),
        )

    def _evaluated(self, outputs: Outputs) -> dict[str, Any]:
        return {"release": self._bundle(outputs).id}

    def _release(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        release = create(self._bundle(outputs), self.stores, self.clock, self.actor)
        return {"release": release}

    # ------------------------------------------------------------------ report

    def _released(self, outputs: Outputs) -> dict[str, Any]:
        return {
            "release": outputs["release"]["release"],
            "features": outputs["features"],
            "uplift": outputs["uplift"],
            "evaluate": outputs["evaluate"],
            "verify": outputs["verify"],
            "counts": self._counts(),
            "project": self.project.section_hash(PROJECT, ACTIONS, POLICIES),
        }

    def _counts(self) -> dict[str, int]:
        events = sum(event_counts(self.project, self.stores).values())
        quarantined = sum(self.stores.inbox.quarantine_count().values())
        return {"events": events, "quarantined": quarantined}

    def _report(self, outputs: Outputs, tell: Tell) -> dict[str, Any]:
        evaluated = outputs["evaluate"]
        document = {
            "customers": outputs["features"]["customers"],
            **self._counts(),
            **evaluated["figures"],
            "uplift": outputs["uplift"]["uplift"],
            "release": outputs["release"]["release"],
        }
        document["reproducible_hash"] = reproducible_hash(document)
        charts = {
            "project": {"name": self.project.name, "currency": self.project.currency},
            "policy": self.policy_name,
            "labels": {a: self.project.lookup(ACTIONS, a).label for a in self.actions},
            "policies": self._policy_labels(evaluated["figures"]["policies"]),
            "gate": evaluated["gate"],
            "proof": {key: outputs["verify"][key] for key in ("holds", "sentence")},
            **self._charts(outputs["uplift"]),
            **self._charts(evaluated),
        }
        report = msgspec.json.encode({"document": document, "charts": charts})
        return {"artefacts": {"report": self.stores.artefacts.put(report)}}

    def _policy_labels(self, names: Mapping[str, Any]) -> list[dict[str, Any]]:
        labels = []
        for name, figures in names.items():
            action = {**self.policy.baselines, "control": self.actions[0]}.get(name)
            entry = {"name": name, "dr": figures["dr"]}
            if action is not None:
                entry["label"] = f"{self.project.lookup(ACTIONS, action).label} to everybody"
            labels.append(entry)
        return labels

    def _charts(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        charts: dict[str, Any] = msgspec.json.decode(
            self.stores.artefacts.get(outputs["artefacts"]["charts"])
        )
        return charts


def controls(project: Project) -> dict[str, str]:
    """Return each placement's control action."""
    return {name: place.control for name, place in project.get(PLACEMENTS).items()}


def event_counts(project: Project, stores: Stores) -> dict[str, int]:
    """Count the rows of each event that has any; test traffic is not counted."""
    with relations(project, stores, "audit") as connection:
        names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        counts = {
            name: connection.sql(f'SELECT count(*) FROM "{name}" WHERE NOT synthetic').fetchall()[
                0
            ][0]
            for name in names
            if not name.startswith("_")
        }
    return {name: count for name, count in counts.items() if count}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    InputError
        If it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"cannot be read ({(error.strerror or str(error)).lower()})"
        raise InputError(what, str(path), "put the file there, or name another") from None
