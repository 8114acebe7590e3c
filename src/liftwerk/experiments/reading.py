"""What a reading of an experiment says: the one document that terminal, pages and JSON show."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from liftwerk.stats.estimate import Estimate, Unknown, to_json

Role: TypeAlias = Literal["primary", "counter"]
Answer: TypeAlias = Literal["better", "worse", "unclear", "unknown"]
State: TypeAlias = Literal["ok", "alarm", "unknown"]
Advice: TypeAlias = Literal["ship", "stop", "keep running", "do not trust", "unclear", "unknown"]


class Counted(Struct, frozen=True):
    """How many units an arm has.

    Attributes
    ----------
    arm, label : str
        Its name, and what people call it.
    share : float
        Its part of the units, as it is declared.
    units : int
        Assigned, testers and mixed ones left out.
    matured : int
        Of these, those whose metrics have had their whole time: only they are read.
    exposed : int
        Of the assigned, those that met their arm.
    """

    arm: str
    label: str
    share: float
    units: int
    matured: int
    exposed: int


class Comparison(Struct, frozen=True):
    """One metric of one arm beside control.

    Attributes
    ----------
    metric, arm : str
    role : str
        ``primary``: judges; ``counter``: must not get worse.
    unit : str
        ``share``, a currency, or what is counted.
    up : bool
        Whether more of it is better.
    control, treated : float or None
        The arms' own means; None where nothing matured.
    absolute, relative : Estimate or Unknown
        The difference, and as a part of control's mean.
    p_value, adjusted : float or None
        By the interval's own method; and by Holm over all that is judged together.
    answer : str
        ``better`` and ``worse`` only where Holm's p-value allows it.
    margin : float or None
        Of a counter-metric: by how much of control's mean it may get worse.
    harmless : bool or None
        Of a counter-metric: whether worse than that is ruled out; None: not known.
    more : int or None
        Further units of all arms after which the question would be decided if what is seen stays;
        None where it is decided, or no reasonable number would do.
    kind : str
        ``mean``, ``proportion`` or ``ratio``: `liftwerk.amounts.whose` it is.
    """

    metric: str
    arm: str
    role: Role
    unit: str
    up: bool
    control: float | None
    treated: float | None
    absolute: Estimate | Unknown
    relative: Estimate | Unknown
    p_value: float | None
    adjusted: float | None
    answer: Answer
    margin: float | None = None
    harmless: bool | None = None
    more: int | None = None
    kind: str = "mean"


class Seen(Struct, frozen=True):
    """One metric of one arm at one look."""

    metric: str
    arm: str
    absolute: Estimate | Unknown


class Look(Struct, frozen=True):
    """What was to be seen at the end of a day.

    Attributes
    ----------
    day : datetime.date
        In the project's time zone.
    units : int
        Of all arms that had matured by its end.
    seen : tuple of Seen
    """

    day: date
    units: int
    seen: tuple[Seen, ...]


class Segment(Struct, frozen=True):
    """The comparisons among units that share a feature's value as of their assignment.

    Attributes
    ----------
    feature, value : str
    units : int
        Matured ones.
    comparisons : tuple of Comparison
        Adjusted together over all segments.
    """

    feature: str
    value: str
    units: int
    comparisons: tuple[Comparison, ...]


class Check(Struct, frozen=True):
    """Whether something that would spoil the answer was found: ``ok``, ``alarm``, ``unknown``."""

    name: str
    state: State
    words: str


class Verdict(Struct, frozen=True):
    """What to do, in words, and what would change it."""

    advice: Advice
    words: str
    change: str
    arm: str | None = None


class Reading(Struct, frozen=True):
    """What an experiment says so far.

    Attributes
    ----------
    experiment, design, description : str
    unit : str
        Who gets an arm.
    as_of : datetime.datetime
        Nothing learnt later is in it.
    started : datetime.datetime or None
        The first assignment.
    method : str
        ``anytime`` or ``fixed``.
    level : float
        Of the intervals.
    effect : float
        The smallest change that would matter, as a part of control's mean.
    arms : tuple of Counted
        Control first.
    comparisons : tuple of Comparison
        All units as they were assigned (intention to treat).
    exposed : tuple of Comparison
        Only units that met their arm.
    segments : tuple of Segment
    looks : tuple of Look
        The days' ends, oldest first.
    checks : tuple of Check
    verdict : Verdict
    mixed, testers : int
        Units left out because a merge of identities gave them two arms; and forced ones.
    notes : tuple of str
        What was done to the data: covariates, strata, cuts.
    sql : dict of str to str
        Figure -> the statement behind it.
    """

    experiment: str
    design: str
    description: str
    unit: str
    as_of: datetime
    started: datetime | None
    method: str
    level: float
    effect: float
    arms: tuple[Counted, ...]
    comparisons: tuple[Comparison, ...]
    exposed: tuple[Comparison, ...]
    segments: tuple[Segment, ...]
    looks: tuple[Look, ...]
    checks: tuple[Check, ...]
    verdict: Verdict
    mixed: int
    testers: int
    notes: tuple[str, ...]
    sql: dict[str, str]

    @property
    def alarms(self) -> tuple[Check, ...]:
        """The checks that ring."""
        return tuple(check for check in self.checks if check.state == "alarm")


def of_role(comparisons: Iterable[Comparison], role: Role) -> list[Comparison]:
    """Keep the comparisons that judge, or those of counter-metrics."""
    return [one for one in comparisons if one.role == role]


def plain(value: object) -> Any:
    """Write a reading, or a part of it, as plain JSON values, figures as every report has them.

    Examples
    --------
    >>> plain(Seen("margin", "b", Unknown("few units", "100 of them")))
    {'metric': 'margin', 'arm': 'b', 'absolute': {'unknown': 'few units', 'needs': '100 of them'}}
    """
    if isinstance(value, Estimate | Unknown):
        return to_json(value)
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    return value
