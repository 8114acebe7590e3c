"""`Project`: everything that can be asked of a project, each in a line or two.

>>> import liftwerk, tempfile, pathlib
>>> from liftwerk.definitions import templates
>>> folder = pathlib.Path(tempfile.mkdtemp()) / "shop"
>>> _ = templates.write("hillstrom", folder)
>>> with liftwerk.open(folder) as project:
...     [policy["policy"] for policy in project.policies()]
['best_email']
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa

from liftwerk.clock import Clock, SystemClock
from liftwerk.connectors.definition import IMPORTS
from liftwerk.connectors.rows_again import rows_again
from liftwerk.decisions.definition import PLACEMENTS, POLICIES, PolicyDefinition
from liftwerk.definitions import Project as Definitions
from liftwerk.definitions import Section, load
from liftwerk.errors import HomeInUse, ProjectError, UnknownName, did_you_mean
from liftwerk.events.compact import compact
from liftwerk.events.duplicates import duplicates
from liftwerk.events.entities.read import read as read_entity
from liftwerk.events.entities.read import timeline
from liftwerk.events.entities.show import key_of, summaries
from liftwerk.events.inventory.take import take_inventory
from liftwerk.events.quarantine import quarantined
from liftwerk.events.replay import replay
from liftwerk.events.versions import demand_compatible
from liftwerk.features.training import Rebuilt, TrainingSet
from liftwerk.features.used import put_to_use
from liftwerk.identity.resolve import customer_of, query, read
from liftwerk.loop import Loop, controls
from liftwerk.operations.run import Progress, plan_steps
from liftwerk.privacy.permitted import AsOf
from liftwerk.project import training
from liftwerk.project.compact import compacted
from liftwerk.project.decide import decide_all, decide_one
from liftwerk.project.decision_log import DecisionLog
from liftwerk.project.erase import erase_customers
from liftwerk.project.experiments import Experiments
from liftwerk.project.metrics import Metrics
from liftwerk.project.models import card_of, cards, policy_asking
from liftwerk.project.report import Report, last_report, report_of
from liftwerk.project.run import leave_no_trace, run_loop
from liftwerk.project.take_in import take_in
from liftwerk.project.upkeep import upkeep
from liftwerk.releases.advance import advance
from liftwerk.sections import SECTIONS
from liftwerk.store.home import SORTING, SORTING_SECONDS, Home
from liftwerk.store.stores import Stores, open_stores

PIPELINES = ("loop",)


def silent(step: str, doing: str) -> None:
    """Tell nobody."""


class Project:
    """An open project; close it, or use it in ``with``.

    Parameters
    ----------
    definitions : liftwerk.definitions.Project
        What its files declare.
    clock : Clock, optional
        The system's, unless given.
    """

    def __init__(self, definitions: Definitions, clock: Clock | None = None) -> None:
        self.definitions = definitions
        self.clock = clock or SystemClock()
        self.actor = getpass.getuser()
        self._opened: Stores | None = None
        self._kept_up: datetime | None = None

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<liftwerk project {self.definitions.name!r} at {self.definitions.root}>"

    def close(self) -> None:
        """Close its stores."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def stores(self) -> Stores:
        """Its stores, opened on first use; refused when a published version was changed."""
        if self._opened is None:
            opened = open_stores(Home.of(self.definitions, create=True))
            try:
                demand_compatible(self.definitions, opened.ledger)
            except ProjectError:
                opened.close()
                raise
            self._opened = opened
        return self._opened

    # ------------------------------------------------------------------ run

    def use(self) -> None:
        """Keep the versions of what is declared, before it is put to use."""
        put_to_use(self.definitions, self.stores.ledger, self.actor, self.clock.now())
        self.experiments.notice_changes()

    def run(
        self,
        tell: Progress = silent,
        *,
        policy: str | None = None,
        from_step: str | None = None,
        force: bool = False,
        fresh: bool = False,
    ) -> Report:
        """Run the loop; unchanged steps are skipped.

        Parameters
        ----------
        tell : callable
            Called with a step's name and what it is doing.
        policy : str, optional
            The policy; by default the only one.
        from_step : str, optional
            Run this step and all after it, changed or not.
        force : bool
            Run every step.
        fresh : bool
            Forget what was derived from the log first, then run every step.

        Returns
        -------
        Report
        """
        existed = self.definitions.home.exists()
        try:
            loop = self._loop(policy)
            results = run_loop(loop, tell, from_step=from_step, force=force, fresh=fresh)
        except ProjectError:
            if self._opened is not None:
                leave_no_trace(self._opened, existed)
                self._opened = None
            raise
        return report_of(self.stores, results)

    def plan(self, from_step: str | None = None, force: bool = False) -> list[dict[str, Any]]:
        """Say which steps `run` would run, and why."""
        steps = self._loop(None).steps()
        if force:
            from_step = steps[0].name
        rows = plan_steps(steps, self.stores, from_step)
        return [{"step": name, "runs": runs, "reason": reason} for name, runs, reason in rows]

    def train(self, model: str | None = None, tell: Progress = silent) -> dict[str, Any]:
        """Run the loop up to a model, and return the model's card."""
        results = run_loop(self._loop(policy_asking(self.definitions, model)), tell, until="uplift")
        return self.model(results[-1].outputs["artefacts"]["model"])

    def evaluate(self, policy: str | None = None, tell: Progress = silent) -> Report:
        """Evaluate a policy off-policy on the logged decisions: the report that `run` gives."""
        return self.run(tell, policy=policy)

    def report(self) -> Report | None:
        """Return the last run's report, None before the first."""
        return last_report(self.stores)

    def expect_pipeline(self, name: str) -> None:
        """Refuse a pipeline that there is not."""
        if name not in PIPELINES:
            raise UnknownName(f"no pipeline {name!r}", "run", did_you_mean(name, PIPELINES))

    # ------------------------------------------------------------------ ask

    def sql(self, question: str, *, purpose: str) -> pa.Table:
        """Ask the event tables in SQL, read-only, for a declared purpose."""
        return query(self.definitions, self.stores, question, purpose)

    def table(self, name: str, *, purpose: str) -> pa.Table:
        """Read the events of one kind that may be used for a purpose."""
        return read(self.definitions, self.stores, name, purpose)

    def training_set(
        self,
        rows: Any,
        features: Sequence[str],
        *,
        purpose: str,
        time: str = "time",
        customer: str | None = None,
        snapshot: str | None = None,
    ) -> TrainingSet:
        """Add to each row what was known of its customer at its time.

        Parameters
        ----------
        rows : any data frame, or path-like
            pandas, Polars, PyArrow, DuckDB or a .csv, .ndjson or .parquet file. Other columns stay.
        features : sequence of str
        purpose : str
        time, customer : str
            The columns; without ``customer`` those that are called like identifiers will do.
        snapshot : str, optional
            The id of an older snapshot, as `TrainingSet.origin` has it: makes an old set again.

        Returns
        -------
        TrainingSet
        """
        self.use()
        told = (self.definitions, self.stores, rows, features, purpose)
        return training.take(*told, time, customer, snapshot)

    def training_set_again(self, file: Path | str) -> Rebuilt:
        """Make a set that was saved again, and hold it against what it was."""
        return training.take_again(self.definitions, self.stores, file)

    def entities(self) -> list[dict[str, Any]]:
        """List the declared entities, and what is kept of each."""
        return summaries(self.definitions, self.stores)

    def entity(
        self,
        name: str,
        purpose: str,
        at: datetime | None = None,
        known_at: datetime | None = None,
        key: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read an entity: what held at a moment, or without one all that ever holds.

        What was learnt after ``known_at`` is left out; ``key`` names one thing, by the parts of its
        key in the declared order.
        """
        as_of = AsOf(time=known_at)
        one = key_of(self.definitions, name, key)
        if at is None:
            return timeline(self.definitions, self.stores, name, purpose, as_of, one)
        return read_entity(self.definitions, self.stores, name, purpose, at, as_of, one)

    def models(self) -> list[dict[str, Any]]:
        """List the cards of the trained models, newest first."""
        return cards(self.stores)

    def model(self, name: str | None = None) -> dict[str, Any]:
        """Return a model's card, by its name, its id or the beginning of it; the newest if none."""
        return card_of(self.stores, name)

    def policies(self) -> list[dict[str, Any]]:
        """List the declared policies and what is live."""
        champions: dict[str, str | None] = {}
        if self.definitions.home.exists():
            champions = {name: self.stores.ledger.pointer(name) for name in self._declared}
        return [
            {
                "policy": name,
                "placement": policy.placement,
                "control": self.definitions.lookup(PLACEMENTS, policy.placement).control,
                "champion": champions.get(name),
            }
            for name, policy in self._declared.items()
        ]

    def decision(self, decision_id: str) -> dict[str, Any]:
        """Return one decision: features, why, probabilities, guardrails, outcomes."""
        found = DecisionLog(self.definitions, self.stores).one(decision_id)
        if found is None:
            raise UnknownName(f"no decision {decision_id!r}", "decisions", "see `decisions list`")
        return found

    def replay(self, decision_id: str) -> dict[str, Any]:
        """Compute a decision again from its record."""
        done = DecisionLog(self.definitions, self.stores).replay(decision_id)
        return dict(msgspec.to_builtins(done))

    @property
    def metrics(self) -> Metrics:
        """Its metrics: what they mean, and what they were."""
        return Metrics(self.definitions, self.stores, self.clock)

    @property
    def experiments(self) -> Experiments:
        """Its experiments, and the register of effects."""
        return Experiments(self.definitions, self.stores, self.clock, self.actor)

    # ------------------------------------------------------------------ do

    def decide(
        self, customer: str, policy: str | None = None, release: str | None = None
    ) -> dict[str, Any]:
        """Decide for one customer, and log it.

        Parameters
        ----------
        customer : str
            The customer's identifier, as in the data.
        policy : str, optional
            The policy; by default the only one.
        release : str, optional
            Decide with this release instead of the champion; a draft reserves nothing.

        Returns
        -------
        dict
            The decision as it was logged, and why.
        """
        name = policy or self._only(POLICIES)
        known = (customer, customer_of(self.definitions, customer))
        return decide_one(self.definitions, self.stores, self.clock, name, known, release)

    def decide_all(
        self,
        target: Path,
        policy: str | None = None,
        release: str | None = None,
        tell: Progress = silent,
    ) -> dict[str, Any]:
        """Decide for every customer, and write who gets what to a .csv or .parquet file."""
        name = policy or self._only(POLICIES)
        return decide_all(self.definitions, self.stores, self.clock, name, target, release, tell)

    def import_file(
        self,
        file: Path | None = None,
        name: str | None = None,
        tell: Progress = silent,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Import a declared file and compact it under a new snapshot; or say what would come."""
        existed = self.definitions.home.exists()
        chosen = name or self._only(IMPORTS)
        try:
            return take_in(self.definitions, self.stores, chosen, self.clock, file, tell, dry_run)
        except ProjectError:
            leave_no_trace(self.stores, existed)
            self._opened = None
            raise

    def compact(self) -> dict[str, Any]:
        """Move what was collected into the tables, under a new snapshot."""
        with self.stores.home.hold(SORTING, wait=SORTING_SECONDS):
            return compacted(compact(self.definitions, self.stores, self.clock))

    def inventory(self, since: datetime | None = None) -> dict[str, Any]:
        """Say what is collected, declared and seen, and where the gaps are."""
        found = take_inventory(self.definitions, self.stores, self.clock, since)
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return plain

    def quarantine(
        self, reason: str | None = None, examples: int = 3, bodies: bool = False
    ) -> list[dict[str, Any]]:
        """List what was refused, by reason; bodies, which may be personal, only when asked for."""
        found = quarantined(self.definitions, self.stores, reason, examples, bodies)
        plain: list[dict[str, Any]] = msgspec.to_builtins(found)
        return plain

    def duplicates(self, *which: Any) -> list[dict[str, Any]]:
        """List conversions told more than once, as `liftwerk.events.duplicates` takes them."""
        return list(map(msgspec.to_builtins, duplicates(self.definitions, self.stores, *which)))

    def replay_quarantine(self, reason: str | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Judge what was refused again, by today's definitions; what passes is compacted."""
        place = controls(self.definitions)
        rows = rows_again(self.definitions, self.stores, self.clock, place)
        done: dict[str, Any] = msgspec.to_builtins(
            replay(self.definitions, self.stores, reason, dry_run, rows)
        )
        if done["events"] and not dry_run:
            with suppress(HomeInUse):  # whoever holds it will compact
                self.compact()
        return done

    def advance(self, release: str) -> str:
        """Make a release the champion of its policy; refused when its gate did not pass."""
        return advance(release, self.stores, self.clock, self.actor)

    def erase(self, customers: Sequence[str], reason: str, search: bool = True) -> dict[str, Any]:
        """Erase customers everywhere, with all who are queued; then search what is left of them."""
        told = (self.definitions, self.stores, self.actor, self.clock, customers, reason)
        return erase_customers(*told, search=search)

    def keep_up(self) -> dict[str, Any]:
        """Do what a server's process beside it does again and again: see `upkeep`."""
        told = (self.definitions, self.stores, self.actor, self.clock, self._kept_up)
        with self.stores.home.hold("compact"):
            self._kept_up, done = self.clock.now(), upkeep(*told)
        return done

    @property
    def _declared(self) -> dict[str, PolicyDefinition]:
        return self.definitions.get(POLICIES)

    def _loop(self, policy: str | None) -> Loop:
        name = policy or self._only(POLICIES)
        self.definitions.lookup(POLICIES, name)
        return Loop(self.definitions, self.stores, self.clock, name, self.actor)

    def _only(self, section: Section[dict[str, Any]]) -> str:
        names = list(self.definitions.get(section))
        if not names:
            what = f"the project declares no [{section.name}.NAME]"
            raise ProjectError(what, str(self.definitions.file), "declare one")
        if len(names) > 1:
            what = f"the project declares {len(names)} {section.name}"
            raise ProjectError(what, str(self.definitions.file), "name one: " + ", ".join(names))
        return names[0]


def open(path: Path | str = ".", clock: Clock | None = None) -> Project:  # noqa: A001
    """Open a project.

    Parameters
    ----------
    path : path-like
        Its folder or its liftwerk.toml.
    clock : Clock, optional
        The system's, unless given.

    Returns
    -------
    Project

    Raises
    ------
    DefinitionError
        If a definition is wrong; the message names file, line and key.
    """
    return Project(load(Path(path), SECTIONS), clock)
