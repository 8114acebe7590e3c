"""What the server asks of the loop: one protocol, and the shapes of its answers.

The shapes are plain JSON-able dicts. The `TypedDict` classes below name their keys; they are what
``/schema`` publishes, and tests hold real answers against them. Where a figure cannot be given
honestly it is ``{"unknown": reason, "needs": what it would take}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict

from liftwerk.features.served import Served

Verdict = Literal["better", "worse", "unclear", "unknown"]
"""The four answers, the same words everywhere."""

DecisionKind = Literal["imported", "live", "draft"]
"""Logged elsewhere and imported; made here by a champion; made here with a draft release."""


class Figure(TypedDict, total=False):
    """An estimate (``value``, ``low``, ``high``) or an unknown (``unknown``, ``needs``)."""

    value: float
    low: float
    high: float
    unknown: str
    needs: str


class PolicyFigures(TypedDict, total=False):
    """One policy's value per customer by four estimators, and the share it treats."""

    dr: Figure
    ips: Figure
    snips: Figure
    dm: Figure
    treated_share: float


class Stage(TypedDict):
    """One step of the last run."""

    name: str
    seconds: float
    skipped: bool


class Document(TypedDict, total=False):
    """The report: exactly what ``liftwerk run --json`` prints."""

    customers: int
    events: int
    quarantined: int
    policies: dict[str, PolicyFigures]
    differences: dict[str, Figure]
    headline: dict[str, Any]
    uplift: dict[str, dict[str, dict[str, Any]]]
    release: str
    reproducible_hash: str
    seconds: float
    stages: list[Stage]


class Curve(TypedDict, total=False):
    """A Qini curve: gain per treated customer when the best ``share`` is treated."""

    share: list[float]
    gain: list[float]
    low: list[float]
    high: list[float]
    unit: str
    unknown: str
    needs: str


class Decile(TypedDict):
    """A tenth of the customers, by predicted uplift (1 is the highest)."""

    decile: int
    predicted: float
    observed: float
    low: float
    high: float
    n: int


class ProfitCurve(TypedDict, total=False):
    """Value per customer when the ``share`` with the largest expected gain is treated."""

    share: list[float]
    value: list[float]
    low: list[float]
    high: list[float]
    marks: dict[str, list[float]]
    unknown: str
    needs: str


class Charts(TypedDict, total=False):
    """What the page draws beside the document."""

    project: dict[str, str]
    policy: str
    labels: dict[str, str]
    headline_words: str
    policies: list[dict[str, Any]]
    qini: dict[str, dict[str, Curve]]
    deciles: dict[str, dict[str, Any]]
    profit_curve: ProfitCurve
    heterogeneity: dict[str, dict[str, Any]]
    gate: dict[str, Any]
    methods: list[str]
    assumptions: list[str]


class Report(TypedDict):
    """The document and what is drawn from the same run."""

    document: Document
    charts: Charts


class FeatureValue(TypedDict, total=False):
    """A feature as it was known at the decision."""

    name: str
    value: Any
    unit: str
    description: str
    version: str


class Contribution(TypedDict):
    """What one feature adds to each action's expected reward over control, in money."""

    feature: str
    actions: dict[str, float]


class Why(TypedDict, total=False):
    """``base`` + the contributions = ``total``, for each action, in ``unit``.

    As the release that chose it explains it, or, for an imported decision, the newest one.
    """

    unit: str
    base: dict[str, float]
    contributions: list[Contribution]
    total: dict[str, float]


class GuardrailState(TypedDict, total=False):
    """A guardrail as it stood: ``passed``, ``blocked`` or ``not checked``."""

    name: str
    limit: str
    state: Literal["passed", "blocked", "not checked"]
    detail: str


class Outcome(TypedDict, total=False):
    """An event that answered the decision; ``words`` says it for people."""

    name: str
    time: str
    known_at: str
    words: str
    properties: dict[str, Any]


class Learned(TypedDict, total=False):
    """What the learned policy would do for this customer.

    ``release`` is the release asked; without it, the policy was fitted without this customer, as
    the evaluation judges it. ``expected`` holds the margin over control by action.
    """

    release: str
    action: str
    probabilities: dict[str, float]
    expected: dict[str, float]


class DecisionRow(TypedDict, total=False):
    """A line of the log. ``cursor`` is opaque and orders the log, newest first."""

    id: str
    cursor: str
    time: str
    customer: str | None
    placement: str
    kind: DecisionKind
    action: str
    probability: float
    release: str | None
    reward: float | None


class Decision(DecisionRow, total=False):
    """Everything that is kept of one decision, and what answered it."""

    control_action: str
    eligible: list[str]
    probabilities: dict[str, float]
    draw: float | None
    policy_state: str | None
    stage: str | None
    experiment: str | None
    arm: str | None
    holdout: bool | None
    expected_reward: float | None
    reward_version: str | None
    latency_us: int | None
    features: list[FeatureValue]
    why: Why
    guardrails: list[GuardrailState]
    outcomes: list[Outcome]
    learned: Learned


class ReleaseRow(TypedDict, total=False):
    """A line of the list of releases."""

    id: str
    policy: str
    stage: str
    flags: list[str]
    created: str
    champion: bool
    gate: dict[str, Any]


class Release(ReleaseRow, total=False):
    """A release with what it bundles and its history."""

    placement: str
    policy_state: str
    snapshot: str
    project_hash: str
    reproducible_hash: str
    models: list[dict[str, Any]]
    features: list[dict[str, Any]]
    differences: dict[str, Figure]
    headline: dict[str, Any]
    history: list[AuditEntry]


class AuditEntry(TypedDict, total=False):
    """One entry of the hash-chained audit log."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str
    previous: str


class AuditState(TypedDict, total=False):
    """Whether the audit log's chain is whole (``ok``), in ``words``."""

    ok: bool
    entries: int
    words: str


class Status(TypedDict, total=False):
    """How the project stands: counts, the last run, the chain, the checks."""

    project: str
    version: str
    at: str
    customers: int
    events: dict[str, int]
    quarantined: dict[str, int]
    snapshot: dict[str, Any]
    stages: list[Stage]
    champions: dict[str, str | None]
    holdout: dict[str, Any]
    lost_samples: int
    undeclared: list[str]
    audit: AuditState
    checks: list[dict[str, str]]


class ReportSource(Protocol):
    """What the loop knows, as the server reads it.

    All methods but `features_at_hand` are called from one thread, the one in which the source was
    opened, so that a source may keep connections that belong to a thread. Lists come newest first.
    """

    def report(self) -> dict[str, Any] | None:
        """Return the last run's `Report`, or None before the first run."""
        ...

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
        """Return up to `limit` rows (`DecisionRow`), newest first.

        Parameters
        ----------
        limit : int
            The most rows to return.
        before, after : str, optional
            A row's ``cursor``: only older rows, or the ones that are just newer.
        action, customer, kind : str, optional
            Keep rows with this action, of this customer (as the project's file names them, or by
            key), of this `DecisionKind`.
        """
        ...

    def decision(self, decision_id: str) -> dict[str, Any] | None:
        """Return one `Decision`, or None when there is none of that id."""
        ...

    def releases(self) -> list[dict[str, Any]]:
        """Return all releases (`ReleaseRow`), newest first."""
        ...

    def release(self, release_id: str) -> dict[str, Any] | None:
        """Return one `Release`, or None when there is none of that id."""
        ...

    def audit(self, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        """Return up to `limit` `AuditEntry`, newest first, only below seq `before` if given."""
        ...

    def status(self) -> dict[str, Any]:
        """Return the project's `Status`."""
        ...

    def inventory(self, since: str | None = None) -> dict[str, Any]:
        """Return what is collected (`liftwerk.events.inventory.shapes.Inventory`).

        Parameters
        ----------
        since : str, optional
            Only what came within this length of time, such as ``7d``.
        """
        ...

    def features(self, view: str, entity: str, key: str, request: Mapping[str, str]) -> Served:
        """Return what is known of one entity now, from a view's kept values.

        Parameters
        ----------
        view : str
            A declared feature view.
        entity : str
            Whom or what it is about.
        key : str
            Percent-encoded: of a customer or a visitor ``VALUE`` or ``NAMESPACE:VALUE``; else the
            parts of its key, with a ``/`` between them.
        request : mapping of str to str
            What comes with the request: feature -> value.
        """
        ...

    def features_at_hand(
        self, view: str, entity: str, key: str, request: Mapping[str, str]
    ) -> Served | None:
        """Return what `features` does, or None if it would not be there within microseconds.

        Asked from another thread than the source's own, also while that one is at work.
        """
        ...

    def compile_views(self) -> None:
        """Be ready to be asked for the values of every declared feature view."""
        ...

    def catalogue(self, search: str = "") -> list[dict[str, Any]]:
        """Return the declared features, and how the views that keep them stand.

        Parameters
        ----------
        search : str
            Only those in which this occurs.
        """
        ...

    def feature(self, name: str) -> dict[str, Any]:
        """Return all there is to know of one feature; `UnknownName` where none is called so."""
        ...

    def lineage(self, node: str | None = None) -> dict[str, Any]:
        """Return ``nodes`` and ``edges``: all of them, or what is connected with a node."""
        ...

    def definitions(self) -> list[dict[str, Any]]:
        """Return every declared metric, as `liftwerk.project.metrics` lists them."""
        ...

    def experiments(self) -> list[dict[str, Any]]:
        """Return the declared experiments, where each stands, and what rings."""
        ...

    def experiment(self, name: str) -> dict[str, Any]:
        """Return one experiment with its ``reading``; `UnknownName` where none is called so."""
        ...

    def holdout(self) -> dict[str, Any]:
        """Return what the programme and each policy added, week by week, or ``why`` not."""
        ...

    def close(self) -> None:
        """Let go of stores and files."""
        ...
