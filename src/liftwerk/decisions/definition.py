"""``[actions.NAME]``, ``[placements.NAME]``, ``[policies.NAME]``: what to do, where, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from liftwerk.connectors.definition import DECISION, IMPORTS
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Budget, Limit, Share
from liftwerk.events.definition import SOURCES
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.lazy import LazyModule
from liftwerk.metrics.definition import GOAL, METRICS, MetricDefinition
from liftwerk.models.definition import MODELS

if TYPE_CHECKING:
    from liftwerk.metrics import kinds
else:  # it brings a parser along, and every command reads this file
    kinds = LazyModule("liftwerk.metrics.kinds")


class Action(Struct, frozen=True):
    """``[actions.NAME]``: what can be done or shown.

    Attributes
    ----------
    label : str
        What people call it.
    cost : decimal.Decimal
        What doing it once costs, in the project's currency.
    description : str
        What it is.
    """

    label: str
    cost: Decimal = Decimal(0)
    description: str = ""


class Placement(Struct, frozen=True):
    """``[placements.NAME]``: where an action appears.

    Attributes
    ----------
    channel : str
        By which channel.
    control : str
        The action that is business as usual there.
    description : str
        What it is.
    """

    channel: str
    control: str
    description: str = ""


class Guardrails(Struct, frozen=True):
    """Hard limits on a policy's decisions.

    Attributes
    ----------
    budget : Budget or None
        Money its actions may cost in each period.
    frequency : Limit or None
        Actions with a cost that a unit may get in any stretch of time.
    """

    budget: Budget | None = None
    frequency: Limit | None = None


class Gate(Struct, frozen=True):
    """What a policy must show before it may go live.

    Attributes
    ----------
    margin : decimal.Decimal
        It may lose at most this much a customer against what was done.
    """

    margin: Decimal


class PolicyDefinition(Struct, frozen=True):
    """``[policies.NAME]``: a rule from customer to probabilities of actions.

    Attributes
    ----------
    placement : str
        Where it decides.
    kind : str
        ``uplift``: the action with the largest expected reward.
    model : str
        The model it asks.
    actions : tuple of str
        What it may choose, the control action among them.
    reward : str
        The metric it increases.
    gate : Gate
        What it must show before it may go live.
    exploration : Share
        The least probability of each eligible action.
    baselines : dict of str to str
        Name -> action: fixed policies it is compared with.
    guardrails : Guardrails
        Hard limits.
    owner : str
        Who answers for it.
    description : str
        What it is.
    """

    placement: str
    kind: Literal["uplift"]
    model: str
    actions: tuple[str, ...]
    reward: str
    gate: Gate
    exploration: Share = Share("0")
    baselines: dict[str, str] = {}
    guardrails: Guardrails = Guardrails()
    owner: str = ""
    description: str = ""


NAMES_OF_POLICIES = ("learned", "control", "uniform", "logged")
"""Policies that every evaluation has; a baseline may not be named so."""


def reward_outcome(project: Project, policy: PolicyDefinition) -> str | None:
    """Return the model's outcome whose effect the reward is made from.

    The reward's effect is then ``multiply * effect - cost of the action``.

    Parameters
    ----------
    project : Project
        The project.
    policy : PolicyDefinition
        One of its policies.

    Returns
    -------
    str or None
        The outcome's metric; None when no outcome of the model counts the same events.
    """
    metrics = project.get(METRICS)
    for outcome in project.get(MODELS)[policy.model].outcomes:
        if _counted(metrics[outcome]) == _counted(metrics[policy.reward]):
            return outcome
    return None


def _counted(metric: MetricDefinition) -> tuple[object, ...]:
    return (
        metric.from_,
        metric.aggregate,
        metric.property,
        metric.value,
        metric.unnest,
        metric.where,
        metric.within,
    )


def _check_actions(project: Project) -> Iterable[Problem]:
    goal = project.find(GOAL)
    held_out = goal is not None and goal.holdout.exact > 0
    for name, action in project.get(ACTIONS).items():
        path: Path = ("actions", name, "cost")
        if action.cost < 0:
            yield project.problem(path, "write 0 or more", str(action.cost))
        elif action.cost > 0 and not held_out:
            what = f"the action {name!r} spends {action.cost}, and no holdout measures it"
            hint = 'add [goal] with holdout = "5%"'
            yield project.problem(path, hint, what=what)


def _check_placements(project: Project) -> Iterable[Problem]:
    actions = project.get(ACTIONS)
    for name, placement in project.get(PLACEMENTS).items():
        if placement.control not in actions:
            yield project.unknown(("placements", name, "control"), placement.control, actions)
    placements = project.get(PLACEMENTS)
    for name, model in project.get(MODELS).items():
        if model.placement not in placements:
            yield project.unknown(("models", name, "placement"), model.placement, placements)
    for name, source in project.get(SOURCES).items():
        for place, asked in enumerate(source.placements):
            if asked not in placements:
                yield project.unknown(("sources", name, "placements", place), asked, placements)
    yield from _check_imports(project)
    yield from _check_experiments(project)


def _check_imports(project: Project) -> Iterable[Problem]:
    """Hold imported decisions to the declared placements and actions."""
    actions, placements = project.get(ACTIONS), project.get(PLACEMENTS)
    for name, definition in project.get(IMPORTS).items():
        for place, event in enumerate(definition.events):
            if event.event != DECISION or event.placement is None or event.action is None:
                continue
            path: Path = ("imports", name, "events", place)
            for i, action in enumerate(event.eligible):
                if action not in actions:
                    yield project.unknown((*path, "eligible", i), action, actions)
            if event.action.map is not None:
                for said, action in event.action.map.items():
                    if action not in event.eligible:
                        key = (*path, "action", "map", said)
                        yield project.unknown(key, action, event.eligible)
            chosen = event.action.value
            if chosen is not None and chosen not in event.eligible:
                yield project.unknown((*path, "action", "value"), chosen, event.eligible)
            if event.placement not in placements:
                yield project.unknown((*path, "placement"), event.placement, placements)
                continue
            control = placements[event.placement].control
            if control in actions and control not in event.eligible:
                what = f"{dotted((*path, 'eligible'))} lacks the control action"
                yield project.problem((*path, "eligible"), f"add {control!r}", what=what)


def _check_experiments(project: Project) -> Iterable[Problem]:
    """Hold experiments to the declared placements and actions."""
    actions, placements = project.get(ACTIONS), project.get(PLACEMENTS)
    for name, experiment in project.get(EXPERIMENTS).items():
        path: Path = ("experiments", name)
        if experiment.placement is not None and experiment.placement not in placements:
            yield project.unknown((*path, "placement"), experiment.placement, placements)
            continue
        for arm, what in experiment.arms.items():
            where = (*path, "arms", arm, "action")
            if what.action is not None and experiment.placement is None:
                yield project.problem(where, "name the placement where it appears", what.action)
            elif what.action is not None and what.action not in actions:
                yield project.unknown(where, what.action, actions)
        if experiment.placement is not None:
            control = placements[experiment.placement].control
            first = experiment.arms.get(experiment.control)
            if first is not None and first.action not in (None, control):
                hint = f"control is the placement's control action, {control!r}"
                where = (*path, "arms", experiment.control, "action")
                yield project.problem(where, hint, first.action)


def _check_policies(project: Project) -> Iterable[Problem]:
    known: dict[str, Collection[str]] = {
        "placement": project.get(PLACEMENTS),
        "model": project.get(MODELS),
        "reward": project.get(METRICS),
    }
    for name, policy in project.get(POLICIES).items():
        path: Path = ("policies", name)
        sound = True
        for key, declared in known.items():
            found = getattr(policy, key)
            if found not in declared:
                sound = False
                yield project.unknown((*path, key), found, declared)
        yield from _check_choice(project, path, policy)
        if sound:
            yield from _check_reward(project, path, policy)
        if policy.gate.margin < 0:
            yield project.problem(
                (*path, "gate", "margin"), "write 0 or more", str(policy.gate.margin)
            )


def _check_choice(project: Project, path: Path, policy: PolicyDefinition) -> Iterable[Problem]:
    actions = project.get(ACTIONS)
    for place, action in enumerate(policy.actions):
        if action not in actions:
            yield project.unknown((*path, "actions", place), action, actions)
        elif policy.actions.index(action) != place:
            yield project.problem((*path, "actions", place), "name it once", action)
    placement = project.get(PLACEMENTS).get(policy.placement)
    control = None
    if placement is not None and placement.control in actions:
        control = placement.control
    if control is not None and control not in policy.actions:
        what = f"{dotted(path)}.actions lacks the control action of {policy.placement!r}"
        hint = f"add {control!r}: without it nothing can be measured"
        yield project.problem((*path, "actions"), hint, what=what)
    elif len(policy.actions) < 2:
        hint = "name at least one action beside the control action"
        yield project.problem((*path, "actions"), hint, policy.actions)
    if policy.exploration.exact * len(policy.actions) >= 1:
        hint = f"write less than 1/{len(policy.actions)}, so that a choice is left"
        yield project.problem((*path, "exploration"), hint, str(policy.exploration))
    for name, action in policy.baselines.items():
        if action not in policy.actions:
            yield project.unknown((*path, "baselines", name), action, policy.actions)
        if name in NAMES_OF_POLICIES:
            what = f"the baseline name {name!r} is taken"
            yield project.problem((*path, "baselines", name), "choose another name", what=what)


def _check_reward(project: Project, path: Path, policy: PolicyDefinition) -> Iterable[Problem]:
    reward = project.get(METRICS)[policy.reward]
    if not kinds.earns_money(project, reward):
        hint = "a reward is money, not a visit: sum a money property"
        yield project.problem((*path, "reward"), hint, policy.reward)
    outcomes = project.get(MODELS)[policy.model].outcomes
    metrics = project.get(METRICS)
    if all(outcome in metrics for outcome in outcomes) and reward_outcome(project, policy) is None:
        what = f"no outcome of {policy.model!r} counts what the reward {policy.reward!r} counts"
        hint = "add an outcome with the same from, aggregate, property and within"
        yield project.problem((*path, "reward"), hint, what=what)
    model_placement = project.get(MODELS)[policy.model].placement
    if model_placement in project.get(PLACEMENTS) and model_placement != policy.placement:
        hint = f"the model learns from {model_placement!r}"
        yield project.problem((*path, "placement"), hint, policy.placement)


ACTIONS = named("actions", Action, _check_actions)
PLACEMENTS = named("placements", Placement, _check_placements)
POLICIES = named("policies", PolicyDefinition, _check_policies)
