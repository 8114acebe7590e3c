"""The `ReportSource` over a project's stores: what the pages and the command line read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import msgspec
import numpy as np

from liftwerk import __version__
from liftwerk.clock import Clock, SystemClock
from liftwerk.decisions.definition import POLICIES
from liftwerk.definitions import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import DefinitionError, Refused, UnknownName
from liftwerk.events.inventory.shapes import Inventory
from liftwerk.events.inventory.take import take_inventory
from liftwerk.features.definition import FEATURES
from liftwerk.features.entity import PEOPLE
from liftwerk.features.older import kept_names
from liftwerk.features.sample import Sampler, lost_samples
from liftwerk.features.serve import Server
from liftwerk.features.served import Served
from liftwerk.governance.lineage import lineage
from liftwerk.lazy import LazyModule
from liftwerk.loop import event_counts
from liftwerk.metrics.definition import GOAL
from liftwerk.models.definition import MODELS
from liftwerk.project.decision_log import DecisionLog
from liftwerk.project.features import (
    catalogue_rows,
    feature_document,
    feature_state,
    undeclared_versions,
)
from liftwerk.project.metrics import Metrics
from liftwerk.project.report import last_report
from liftwerk.releases.create import Release
from liftwerk.server.measured import Measured
from liftwerk.store.ledger import protocol
from liftwerk.store.stores import Stores

if TYPE_CHECKING:
    from liftwerk.server import measures
else:
    measures = LazyModule("liftwerk.server.measures")

BATCH = 1000

FRESH = timedelta(seconds=15)
"""An inventory reads columns of every event: who looks twice in this time sees the same one."""


class LiveSource:
    """Reads a project as it stands; `liftwerk.server.source` names the shapes.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock, optional
        The system's, unless given.
    """

    def __init__(self, project: Project, stores: Stores, clock: Clock | None = None) -> None:
        self.project = project
        self.stores = stores
        self.clock = clock or SystemClock()
        self._inventories: dict[str | None, Inventory] = {}
        self._served: dict[str, Server] = {}
        self._measured = Measured(project, stores, self.clock)
        rng = np.random.default_rng()
        # Looked up when it counts: what counts in a server is not there before its processes are.
        self._sampler = Sampler(
            project, stores, self.clock, rng, count=lambda *told: measures.count_samples(*told)
        )

    def features(self, view: str, entity: str, key: str, request: Mapping[str, str]) -> Served:
        """Return what is known of one entity now, from a view's kept values."""
        server = self._server(view)
        if server.kept.entity != entity:
            what = f"no view {view!r} about a {entity}"
            hint = f"it is about a {server.kept.entity}"
            raise UnknownName(what, f"feature_views.{view}", hint)
        written = [key]
        if len(server.kept.view.plans[0].source.key) > 1:
            written = key.split("/")
        found = server.key([unquote(part) for part in written])
        given = server.request(request)
        served = server.get(*found, request=given)
        if entity in PEOPLE:
            self._sampler.offer(server.kept, found[0], served, given)
        return served

    def features_at_hand(
        self, view: str, entity: str, key: str, request: Mapping[str, str]
    ) -> Served | None:
        """Return what `features` does, of a compiled view whose rows lie in files alone."""
        server = self._served.get(view)
        if server is None or not server.at_hand:
            return None
        return self.features(view, entity, key, request)

    def compile_views(self) -> None:
        """Be ready to be asked for the values of every declared feature view."""
        for view in kept_names(self.project):
            # What is wrong is said to who asks for that view.
            with suppress(DefinitionError, Refused, UnknownName):
                self._server(view)

    def _server(self, view: str) -> Server:
        if view not in self._served:
            self._served[view] = Server(self.project, self.stores, view, self.clock)
        return self._served[view]

    def catalogue(self, search: str = "") -> list[dict[str, Any]]:
        """Return the declared features, and how the views that keep them stand."""
        return catalogue_rows(self.project, self.stores, self.clock.now(), search)

    def feature(self, name: str) -> dict[str, Any]:
        """Return all there is to know of one feature."""
        told = (self.project, self.stores, self.clock.now(), name)
        return {**feature_document(*told), **feature_state(*told)}

    def lineage(self, node: str | None = None) -> dict[str, Any]:
        """Return the lineage, or what of it is connected with a node."""
        graph = lineage(self.project)
        if node is not None:
            graph = graph.around(graph.find(node).id)
        return cast(dict[str, Any], msgspec.to_builtins(graph))

    def definitions(self) -> list[dict[str, Any]]:
        """Return every declared metric, the goal first."""
        return Metrics(self.project, self.stores, self.clock).list()

    def experiments(self) -> list[dict[str, Any]]:
        """Return the declared experiments, where each stands, and what rings."""
        return self._measured.rows()

    def experiment(self, name: str) -> dict[str, Any]:
        """Return one experiment with its reading."""
        return self._measured.one(name)

    def holdout(self) -> dict[str, Any]:
        """Return what the programme and each policy added, week by week."""
        return self._measured.holdout()

    def close(self) -> None:
        """Write what waits, and close the stores."""
        self._sampler.close()
        self.stores.close()

    def report(self) -> dict[str, Any] | None:
        """Return the last run's report, or None before the first run."""
        found = last_report(self.stores)
        if found is None:
            return None
        return {"document": found.document, "charts": found.charts}

    def decisions(
        self,
        *,
        limit: int,
        before: str | None = None,
        after: str | None = None,
        action: str | None = None,
        customer: str | None = None,
        kind: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return up to `limit` rows of the decision log, newest first."""
        log = DecisionLog(self.project, self.stores)
        return log.rows(limit, before, after, action, customer, kind)

    def decision(self, decision_id: str) -> dict[str, Any] | None:
        """Return one decision with all that is known of it, or None."""
        return DecisionLog(self.project, self.stores).one(decision_id)

    def releases(self) -> list[dict[str, Any]]:
        """Return all releases, newest first."""
        return [self._row(row) for row in reversed(self.stores.ledger.releases())]

    def release(self, release_id: str) -> dict[str, Any] | None:
        """Return one release by its id or the beginning of it, or None."""
        rows = [row for row in self.stores.ledger.releases() if row.id.startswith(release_id)]
        if len(rows) != 1:
            return None
        row = rows[0]
        bundle = msgspec.json.decode(row.body, type=Release)
        answer = {
            **self._row(row),
            "policy_state": bundle.policy_state,
            "project_hash": bundle.definitions,
            "evaluation": bundle.evaluation,
            "models": [],
            "features": [
                {"name": name, "version": version, "description": self._describe(name)}
                for name, version in bundle.feature_versions.items()
            ],
            "history": [entry for entry in self._audit() if entry["subject"] == row.id],
        }
        policy = self.project.find(POLICIES) or {}
        if row.policy in policy:
            declared = policy[row.policy]
            answer["placement"] = declared.placement
            model = self.project.get(MODELS)[declared.model]
            answer["models"] = [
                {"name": declared.model, "kind": model.kind, "version": bundle.policy_state}
            ]
        report = self.report()
        if report is not None and report["document"]["release"] == row.id:
            for key in ("headline", "differences", "reproducible_hash"):
                answer[key] = report["document"][key]
        return answer

    def audit(self, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        """Return up to `limit` audit entries, newest first."""
        rows = [row for row in self._audit() if before is None or row["seq"] < before]
        return rows[:limit]

    def status(self) -> dict[str, Any]:
        """Say how the project stands."""
        ledger = self.stores.ledger
        check = ledger.verify_audit()
        snapshot = ledger.latest_snapshot()
        report = last_report(self.stores)
        goal = self.project.find(GOAL)
        facts: dict[str, Any] = {
            "project": self.project.name,
            "version": __version__,
            "at": self.clock.now().isoformat(),
            "customers": 0,
            "events": event_counts(self.project, self.stores),
            "quarantined": self.stores.inbox.quarantine_count(),
            "snapshot": {},
            "stages": [],
            "champions": {name: ledger.pointer(name) for name in self.project.find(POLICIES) or {}},
            "holdout": {},
            "lost_samples": lost_samples(self.stores.online),
            "undeclared": undeclared_versions(self.project, self.stores),
            "audit": {"entries": check.entries, "ok": check.ok, "words": _chain(check)},
        }
        if snapshot is not None:
            facts["snapshot"] = {
                "id": snapshot.id,
                "at": snapshot.at.isoformat(),
                "inbox_offset": snapshot.inbox_offset,
            }
        if report is not None:
            facts["customers"] = report.document["customers"]
            facts["stages"] = report.document["stages"]
        if goal is not None:
            facts["holdout"] = {"share": goal.holdout.value, "salt": goal.salt}
        return facts

    def inventory(self, since: str | None = None) -> dict[str, Any]:
        """Return what is collected; one that was taken a moment ago is given again."""
        now = self.clock.now()
        kept = self._inventories.get(since)
        if kept is not None and now - kept.at < FRESH:
            return cast(dict[str, Any], msgspec.to_builtins(kept))
        bound = None
        if since is not None:
            bound = now - Duration(since).timedelta
        found = take_inventory(self.project, self.stores, self.clock, bound)
        self._inventories[since] = found
        return cast(dict[str, Any], msgspec.to_builtins(found))

    def _row(self, row: protocol.Release) -> dict[str, Any]:
        bundle = msgspec.json.decode(row.body, type=Release)
        flags = [name for name, up in (("frozen", row.frozen), ("killed", row.killed)) if up]
        return {
            "id": row.id,
            "policy": row.policy,
            "stage": row.stage,
            "flags": flags,
            "created": row.at.isoformat(),
            "champion": self.stores.ledger.pointer(row.policy) == row.id,
            "gate": msgspec.to_builtins(bundle.gate),
        }

    def _describe(self, feature: str) -> str:
        declared = (self.project.find(FEATURES) or {}).get(feature)
        if declared is None:
            return ""
        return declared.description

    def _audit(self) -> list[dict[str, Any]]:
        """Read the whole log, newest first."""
        entries: list[protocol.AuditEntry] = []
        while True:
            after = entries[-1].seq if entries else 0
            more = self.stores.ledger.audit(after, BATCH)
            if not more:
                break
            entries.extend(more)
        return [self._entry(entry) for entry in reversed(entries)]

    def _entry(self, entry: protocol.AuditEntry) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(entry)
        name = self.stores.ledger.name_of(entry.actor)
        return {**plain, "actor": name or f"erased ({entry.actor[:8]})"}


def _chain(check: protocol.AuditCheck) -> str:
    if check.ok:
        return f"{check.entries:,} entries, the chain is whole"
    return f"broken at entry {check.broken_at}: {check.reason}"
