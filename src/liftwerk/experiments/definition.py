"""``[experiments.NAME]``: what is compared, on whom, and by which metrics it is judged.

Of everything here but labels and descriptions the registration keeps a hash: what is changed after
the start is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Duration, Share
from liftwerk.events.definition import known_events
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.features.definition import FEATURES
from liftwerk.metrics.definition import METRICS
from liftwerk.privacy.definition import PURPOSES

GLOBAL_HOLDOUT = "global_holdout"
"""What decisions call ``[goal] holdout``; no experiment may be named so."""


class Arm(Struct, frozen=True):
    """One alternative of an experiment.

    Attributes
    ----------
    share : Share or None
        Its part of the units in the experiment; None for an equal part of what the others leave.
    action : str or None
        The action that it gives at the placement. The first arm is control: None there for the
        placement's control action.
    geos : tuple of str
        In a geo design the regions that get it; control has all that no other arm names.
    label : str
        What people call it.
    spend : decimal.Decimal or None
        In a geo design what it cost in all, in the project's currency. It is known when the test is
        over, so it is no part of what is registered.
    """

    share: Share | None = None
    action: str | None = None
    geos: tuple[str, ...] = ()
    label: str = ""
    spend: Decimal | None = None


class Switchback(Struct, frozen=True):
    """How a switchback takes turns.

    Attributes
    ----------
    block : Duration
        How long one arm stays before the next is drawn.
    washout : Duration
        The beginning of each block that is not counted: the arm before still works there.
    """

    block: Duration
    washout: Duration = Duration("0s")


class ExperimentDefinition(Struct, frozen=True):
    """``[experiments.NAME]``: a design with its metrics and how it will be read.

    Attributes
    ----------
    design : str
        ``ab`` and ``holdout`` give arms to units, ``switchback`` to stretches of time, ``geo`` to
        regions.
    description : str
        What is tried.
    arms : dict of str to Arm
        The alternatives; the first is control.
    metrics : tuple of str
        What it is judged by, the most important first.
    purpose : str
        What assignments and outcomes are read for.
    hypothesis, owner : str
        What is expected and why; who answers for it.
    unit : str
        ``customer``, ``visitor`` or ``session``: who gets an arm.
    placement : str or None
        Where the arms' actions appear.
    counter_metrics : dict of str to Share
        What must not get worse -> by how much of control's mean it may at most.
    effect : Share
        The smallest change that would matter, as a part of control's mean.
    share : Share
        The part of all units that may enter in the end; `experiment ramp` goes up to it.
    layer : str or None
        No unit is in two experiments of one layer.
    salt : str
        Decides who gets what; the experiment's name where nothing is written.
    hash : str
        ``sha256``, or ``growthbook`` for whoever comes from there and must move nobody
        (``growthbook_v1`` for an experiment of its older clients).
    rotate : Duration or None
        In a holdout: after this long another draw holds out others.
    strata : tuple of str
        Features as of the assignment within whose values arms are compared.
    covariates : tuple of str
        Features as of the assignment that take variance out.
    adjustment : str
        ``cuped`` uses the covariates, ``cupac`` what a model predicts from them, ``none`` neither.
    segments : tuple of str
        Features as of the assignment by whose values the effect is broken down.
    winsorise : Share or None
        Values above this quantile count as the quantile.
    method : str
        ``anytime``: may be looked at at any time; ``fixed``: read once, when it is complete.
    level : Share
        Of the intervals.
    power : Share
        With which an effect as large as `effect` is to be seen.
    exposure : str or None
        The event that says a unit met its arm; None for ``variant_shown``.
    testers : dict of str to str
        ``NAMESPACE:VALUE`` -> the arm that this one gets; left out of every reading.
    switchback : Switchback or None
        For the design of that name.
    geo : str or None
        For the design of that name: the property of the metrics' events that names the region.
    """

    design: Literal["ab", "holdout", "switchback", "geo"]
    description: str
    arms: dict[str, Arm]
    metrics: tuple[str, ...]
    purpose: str
    hypothesis: str = ""
    owner: str = ""
    unit: Literal["customer", "visitor", "session"] = "customer"
    placement: str | None = None
    counter_metrics: dict[str, Share] = {}
    effect: Share = Share("5%")
    share: Share = Share("100%")
    layer: str | None = None
    salt: str = ""
    hash: Literal["sha256", "growthbook", "growthbook_v1"] = "sha256"
    rotate: Duration | None = None
    strata: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    adjustment: Literal["cuped", "cupac", "none"] = "cuped"
    segments: tuple[str, ...] = ()
    winsorise: Share | None = None
    method: Literal["anytime", "fixed"] = "anytime"
    level: Share = Share("95%")
    power: Share = Share("80%")
    exposure: str | None = None
    testers: dict[str, str] = {}
    switchback: Switchback | None = None
    geo: str | None = None

    @property
    def control(self) -> str:
        """The first arm."""
        return next(iter(self.arms))

    @property
    def shares(self) -> dict[str, Fraction]:
        """Each arm's part of the units in the experiment, in the arms' order.

        Examples
        --------
        >>> arms = {"a": Arm(), "b": Arm(Share("20%")), "c": Arm()}
        >>> ExperimentDefinition("ab", "Tea", arms, ("margin",), "measurement").shares["a"]
        Fraction(2, 5)
        """
        written = {
            name: arm.share.exact for name, arm in self.arms.items() if arm.share is not None
        }
        silent = max(len(self.arms) - len(written), 1)
        rest = (1 - sum(written.values(), Fraction(0))) / silent
        return {name: written.get(name, rest) for name in self.arms}


def salt_of(name: str, experiment: ExperimentDefinition) -> str:
    """Return what decides who gets which arm."""
    if experiment.salt:
        return experiment.salt
    return name


def _check(project: Project) -> Iterable[Problem]:
    salts: dict[str, str] = {}
    for name, experiment in project.get(EXPERIMENTS).items():
        path: Path = ("experiments", name)
        if name == GLOBAL_HOLDOUT:
            what = f"the name {name!r} is taken"
            yield project.problem(path, "choose another one: it is what [goal] keeps", what=what)
        yield from _check_arms(project, path, experiment)
        yield from _check_judged(project, path, experiment)
        yield from _check_features(project, path, experiment)
        yield from _check_design(project, path, experiment)
        yield from _check_testers(project, path, experiment)
        salt = salt_of(name, experiment)
        if salt in salts:
            hint = f"{salts[salt]!r} has it, and would give the same arms to the same units"
            yield project.problem((*path, "salt"), hint, salt)
        salts[salt] = name


def _check_arms(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    if len(experiment.arms) < 2:
        hint = "name two at least, control first"
        yield project.problem((*path, "arms"), hint, list(experiment.arms))
        return
    shares = experiment.shares
    total = sum(shares.values(), Fraction(0))
    if min(shares.values()) <= 0 and experiment.design != "geo":
        what = f"{dotted((*path, 'arms'))} leave nothing for one of them"
        yield project.problem((*path, "arms"), "give each a share above 0", what=what)
    elif total != 1:
        what = f"the shares of {dotted((*path, 'arms'))} add up to {total}"
        yield project.problem((*path, "arms"), "let them add up to 1", what=what)
    if experiment.share.exact == 0:
        yield project.problem((*path, "share"), "let somebody in", str(experiment.share))


def _check_judged(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    metrics = project.get(METRICS)
    purposes: Collection[str] = project.get(PURPOSES)
    if experiment.purpose not in purposes:
        yield project.unknown((*path, "purpose"), experiment.purpose, purposes)
    if not experiment.metrics:
        yield project.problem((*path, "metrics"), "name what it is judged by", [])
    for place, metric in enumerate(experiment.metrics):
        if metric not in metrics:
            yield project.unknown((*path, "metrics", place), metric, metrics)
        elif experiment.metrics.index(metric) != place:
            yield project.problem((*path, "metrics", place), "name it once", metric)
    for metric in experiment.counter_metrics:
        if metric not in metrics:
            yield project.unknown((*path, "counter_metrics", metric), metric, metrics)
        elif metric in experiment.metrics:
            hint = "it is judged by it already: name it in one of the two"
            yield project.problem((*path, "counter_metrics", metric), hint, metric)
    for key in ("effect", "level", "power"):
        found: Share = getattr(experiment, key)
        if found.exact == 0 or (found.exact == 1 and key != "effect"):
            yield project.problem((*path, key), "write more than 0 and less than 1", str(found))
    if experiment.winsorise is not None and experiment.winsorise.exact <= Fraction(1, 2):
        hint = 'write the quantile above which values are cut, such as "99.9%"'
        yield project.problem((*path, "winsorise"), hint, str(experiment.winsorise))
    events = known_events(project)
    if experiment.exposure is not None and experiment.exposure not in events:
        yield project.unknown((*path, "exposure"), experiment.exposure, events)


def _check_features(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    features = project.get(FEATURES)
    for key in ("strata", "covariates", "segments"):
        named_ones: tuple[str, ...] = getattr(experiment, key)
        for place, feature in enumerate(named_ones):
            where = (*path, key, place)
            if feature not in features:
                yield project.unknown(where, feature, features)
            elif features[feature].entity != experiment.unit:
                hint = f"it is about a {features[feature].entity}, the unit is a {experiment.unit}"
                yield project.problem(where, hint, feature)
    if experiment.adjustment == "cupac" and not experiment.covariates:
        hint = "name covariates: a model predicts from them"
        yield project.problem((*path, "adjustment"), hint, experiment.adjustment)


def _check_design(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    for key, design in (("switchback", "switchback"), ("geo", "geo"), ("rotate", "holdout")):
        there = getattr(experiment, key) is not None
        if there and experiment.design != design:
            what = f"{dotted((*path, key))} belongs to the design {design!r}"
            yield project.problem((*path, key), "leave it out", what=what)
        elif experiment.design == design and not there and key != "rotate":
            what = f"{dotted((*path, key))} is missing"
            yield project.problem(path, f"the design {design!r} needs it", what=what)
    turns = experiment.switchback
    if turns is not None and turns.washout.microseconds >= turns.block.microseconds:
        hint = f"write less than the block, {turns.block}: nothing would be counted"
        yield project.problem((*path, "switchback", "washout"), hint, str(turns.washout))
    yield from _check_geos(project, path, experiment)


def _check_geos(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    owner: dict[str, str] = {}
    for name, arm in experiment.arms.items():
        where = (*path, "arms", name)
        if arm.geos and (experiment.design != "geo" or name == experiment.control):
            what = f"{dotted((*where, 'geos'))} has no place here"
            hint = "only the arms of a geo design beside control name regions"
            yield project.problem((*where, "geos"), hint, what=what)
        elif experiment.design == "geo" and not arm.geos and name != experiment.control:
            what = f"{dotted((*where, 'geos'))} is missing"
            yield project.problem(where, "`liftwerk geo plan` proposes regions", what=what)
        treated = experiment.design == "geo" and name != experiment.control
        if arm.spend is not None and (not treated or arm.spend <= 0):
            hint = "only the arms of a geo design beside control have one, of more than 0"
            yield project.problem((*where, "spend"), hint, str(arm.spend))
        for place, geo in enumerate(arm.geos):
            if geo in owner:
                hint = f"a region has one arm, and {owner[geo]!r} names it"
                yield project.problem((*where, "geos", place), hint, geo)
            owner[geo] = name


def _check_testers(
    project: Project, path: Path, experiment: ExperimentDefinition
) -> Iterable[Problem]:
    namespaces = project.get(IDENTIFIERS)
    for tester, arm in experiment.testers.items():
        where = (*path, "testers", tester)
        namespace, colon, value = tester.partition(":")
        if not colon or not value:
            yield project.problem(where, 'write "NAMESPACE:VALUE"', tester)
        elif namespace not in namespaces:
            yield project.unknown(where, namespace, namespaces)
        if arm not in experiment.arms:
            yield project.unknown(where, arm, experiment.arms)


EXPERIMENTS = named("experiments", ExperimentDefinition, _check)
