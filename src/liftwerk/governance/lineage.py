"""Where everything comes from and goes to: one graph over all that is declared.

    event, property -> feature -> view
                       feature -> model -> policy -> placement
             metric -> model, policy, experiment
                       feature -> experiment -> placement

It is drawn from the definitions alone: nothing has to have run. That a model learns from what its
placement decided before is no edge of it, or everything would come from everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Literal, get_args

from msgspec import Struct

from liftwerk.decisions.definition import PLACEMENTS, POLICIES
from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.features.catalogue import in_words, reads_of
from liftwerk.features.definition import FEATURES, features_read, parsed
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.metrics.catalogue import sources_of
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.models.definition import MODELS
from liftwerk.privacy.tags import Tag

Kind = Literal[
    "event",
    "property",
    "entity",
    "feature",
    "view",
    "metric",
    "model",
    "policy",
    "experiment",
    "placement",
    "goal",
]
"""What a node may be, from what happened to where something is shown."""

SECTIONS: Mapping[Kind, str] = {
    "event": "events",
    "property": "events",
    "entity": "entities",
    "feature": "features",
    "view": "feature_views",
    "metric": "metrics",
    "model": "models",
    "policy": "policies",
    "experiment": "experiments",
    "placement": "placements",
    "goal": "goal",
}
"""Kind -> the section of the project file in which it is declared."""


_READ = ("event", "property", "entity")
"""Kinds of nodes that are only told of where something is made of them."""


class Node(Struct, frozen=True):
    """Something that is declared.

    Attributes
    ----------
    id : str
        As the project file names it, such as ``features.orders_90d``; a property is
        ``events.EVENT.PROPERTY``.
    kind : str
    name : str
        Without the section.
    privacy : str
        The strongest tag of all that it is made of.
    owner, says : str
        Who answers for it, and what it is.
    """

    id: str
    kind: Kind
    name: str
    privacy: Tag = "none"
    owner: str = ""
    says: str = ""


class Edge(Struct, frozen=True):
    """One thing that another is made of.

    Attributes
    ----------
    source, target : str
        The nodes' ids.
    why : str
        What the target does with it, such as ``sums it``.
    """

    source: str
    target: str
    why: str


class Lineage(Struct, frozen=True, dict=True):
    """Nodes in the order of `Kind`, and the edges between them; there is no circle.

    Attributes
    ----------
    nodes : tuple of Node
    edges : tuple of Edge
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def find(self, name: str) -> Node:
        """Return a node by its id, or by its name where only one is called so.

        Raises
        ------
        UnknownName
            If nothing is, or several are.
        """
        found = [one for one in self.nodes if one.id == name]
        if not found:
            found = [one for one in self.nodes if one.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            hint = f"write {' or '.join(one.id for one in found)}"
            raise UnknownName(f"{name!r} may be several things", "lineage", hint)
        known = [text for one in self.nodes for text in (one.id, one.name)]
        raise UnknownName(f"nothing {name!r} is declared", "lineage", did_you_mean(name, known))

    def up(self, name: str) -> Lineage:
        """Return all that a node is made of, and the node."""
        return self._only({name, *_reached(name, self.sources)})

    def down(self, name: str) -> Lineage:
        """Return all that is made of a node, and the node."""
        return self._only({name, *_reached(name, self.targets)})

    def around(self, name: str) -> Lineage:
        """Return both: all that a node is made of, and all that is made of it."""
        together = (*_reached(name, self.sources), *_reached(name, self.targets))
        return self._only({name, *together})

    @cached_property
    def sources(self) -> dict[str, list[Edge]]:
        """Node -> the edges that end at it."""
        return _by(self.edges, "target")

    @cached_property
    def targets(self) -> dict[str, list[Edge]]:
        """Node -> the edges that begin at it."""
        return _by(self.edges, "source")

    def _only(self, names: set[str]) -> Lineage:
        edges = [one for one in self.edges if one.source in names and one.target in names]
        return Lineage(tuple(one for one in self.nodes if one.id in names), tuple(edges))


def lineage(project: Project) -> Lineage:
    """Draw the graph of all that is declared.

    Parameters
    ----------
    project : Project

    Returns
    -------
    Lineage
        Events and properties that nothing reads are not in it.
    """
    found: dict[tuple[str, str], Edge] = {}
    for edge in _edges(project):
        found.setdefault((edge.source, edge.target), edge)
    for name in sorted({edge.source for edge in found.values()}):
        parts = name.split(".")
        if parts[0] == "events" and len(parts) > 2:
            event = ".".join(parts[:2])
            found[event, name] = Edge(event, name, "is part of it")
    edges = tuple(found[pair] for pair in sorted(found))
    used = {name for edge in edges for name in (edge.source, edge.target)}
    nodes = [one for one in _nodes(project) if one.id in used or one.kind not in _READ]
    return _tagged(nodes, edges)


def _edges(project: Project) -> Iterator[Edge]:
    for name, feature in project.get(FEATURES).items():
        target = f"features.{name}"
        if feature.expression is not None:
            for read in features_read(project, feature):
                yield Edge(f"features.{read}", target, "reckons with it")
            for read in parsed(project, feature).names:
                if "." in read:
                    yield Edge(f"entities.{read}", target, "looks it up")
        reads = [(".".join(read.split(".")[:2]), why) for read, why in reads_of(project, feature)]
        for read, why in reads:
            # The event as a whole is named only where no property of it is.
            if not any(other.startswith(f"{read}.") for other, _ in reads):
                yield Edge(f"events.{read}", target, why)
    for name, view in project.get(FEATURE_VIEWS).items():
        for feature_name in view.features:
            yield Edge(f"features.{feature_name}", f"feature_views.{name}", "keeps it ready")
    for name in project.get(METRICS):
        for source, why in sources_of(project, name):
            yield Edge(source, f"metrics.{name}", why)
    for name, model in project.get(MODELS).items():
        for feature_name in model.features:
            yield Edge(f"features.{feature_name}", f"models.{name}", "predicts from it")
        for outcome in model.outcomes:
            yield Edge(f"metrics.{outcome}", f"models.{name}", "predicts it")
    for name, policy in project.get(POLICIES).items():
        target = f"policies.{name}"
        yield Edge(f"models.{policy.model}", target, "asks it")
        yield Edge(f"metrics.{policy.reward}", target, "increases it: its reward")
        yield Edge(target, f"placements.{policy.placement}", "is decided by it")
    for name, experiment in project.get(EXPERIMENTS).items():
        for source, why in _read_by(project, experiment):
            yield Edge(source, f"experiments.{name}", why)
        if experiment.placement is not None:
            placement = f"placements.{experiment.placement}"
            yield Edge(f"experiments.{name}", placement, "shows its arms")
    goal = project.find(GOAL)
    if goal is not None:
        yield Edge(f"metrics.{goal.metric}", "goal", "is it")


def _read_by(project: Project, experiment: ExperimentDefinition) -> Iterator[tuple[str, str]]:
    """Say what an experiment is read from, and what it does with it."""
    for metric in experiment.metrics:
        yield f"metrics.{metric}", "is judged by it"
    for metric in experiment.counter_metrics:
        yield f"metrics.{metric}", "must not make it worse"
    for feature in experiment.strata:
        yield f"features.{feature}", "compares within it"
    for feature in experiment.covariates:
        yield f"features.{feature}", "takes out what it explains"
    for feature in experiment.segments:
        yield f"features.{feature}", "is broken down by it"
    if experiment.exposure is not None:
        yield f"events.{experiment.exposure}", "takes from it who met an arm"
    if experiment.geo is not None:
        asked = [*experiment.metrics, *experiment.counter_metrics]
        for event in sorted({event for metric in asked for event in _events_of(project, metric)}):
            yield f"{event}.{experiment.geo}", "takes the region from it"


def _events_of(project: Project, metric: str) -> Iterator[str]:
    """List the events that a metric counts, through the metrics that it is made of."""
    for source, _ in sources_of(project, metric):
        section, name, *_ = source.split(".")
        if section == "metrics":
            yield from _events_of(project, name)
        elif section == "events":
            yield f"events.{name}"


def _nodes(project: Project) -> Iterator[Node]:
    events = known_events(project)
    for name, event in events.items():
        yield Node(f"events.{name}", "event", name, "none", event.owner, event.description)
    for name, event in events.items():
        for key, one in event.properties.items():
            text = f"{name}.{key}"
            owner, says = event.owner, one.description
            yield Node(f"events.{text}", "property", text, one.privacy, owner, says)
    for name, entity in project.get(ENTITIES).items():
        for key, one in entity.properties.items():
            text = f"{name}.{key}"
            yield Node(f"entities.{text}", "entity", text, one.privacy, says=one.description)
    for name, feature in project.get(FEATURES).items():
        says = feature.description or in_words(feature)
        yield Node(f"features.{name}", "feature", name, "none", feature.owner, says)
    for name, view in project.get(FEATURE_VIEWS).items():
        says = view.description or f"for {view.purpose}"
        yield Node(f"feature_views.{name}", "view", name, "none", view.owner, says)
    for name, metric in project.get(METRICS).items():
        owner, says = metric.owner, metric.description
        yield Node(f"metrics.{name}", "metric", name, "none", owner, says)
    for name, model in project.get(MODELS).items():
        says = model.description or f"{model.kind}, for {model.purpose}"
        yield Node(f"models.{name}", "model", name, says=says)
    for name, policy in project.get(POLICIES).items():
        owner, says = policy.owner, policy.description
        yield Node(f"policies.{name}", "policy", name, "none", owner, says)
    for name, experiment in project.get(EXPERIMENTS).items():
        owner, says = experiment.owner, experiment.description
        yield Node(f"experiments.{name}", "experiment", name, "none", owner, says)
    for name, place in project.get(PLACEMENTS).items():
        says = place.description or place.channel
        yield Node(f"placements.{name}", "placement", name, says=says)
    if project.find(GOAL) is not None:
        yield Node("goal", "goal", "goal", says="what all of this is for")


def _tagged(nodes: Iterable[Node], edges: tuple[Edge, ...]) -> Lineage:
    """Give each node the strongest privacy tag of all that it is made of."""
    order = get_args(Tag)
    untagged = Lineage(tuple(nodes), edges)
    own = {one.id: one.privacy for one in untagged.nodes}
    tagged = []
    for one in untagged.nodes:
        tags = [own[one.id], *(own[name] for name in _reached(one.id, untagged.sources))]
        strongest = max(tags, key=order.index)
        tagged.append(Node(one.id, one.kind, one.name, strongest, one.owner, one.says))
    return Lineage(tuple(tagged), edges)


def _by(edges: Iterable[Edge], end: Literal["source", "target"]) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {}
    for edge in edges:
        found.setdefault(getattr(edge, end), []).append(edge)
    return found


def _reached(name: str, edges: Mapping[str, list[Edge]]) -> set[str]:
    """Return all nodes that are reached from one, along the edges of each."""
    seen = {name}
    waiting = [name]
    while waiting:
        at = waiting.pop()
        ends = {end for edge in edges.get(at, ()) for end in (edge.source, edge.target)}
        waiting += ends - seen
        seen |= ends
    return seen - {name}
