"""Is what was told what the log says? Recorded answers are made again, and held side by side.

An answer carries the time that its values are of and the last offset that they knew of. Both
together name one state of the log for good, so that the same definitions must give the same values
to the last digit, whenever they are reckoned. A feature that is another one now isn't compared, and
is named. Where values differ, there is a cause:

    rules        what purposes or identity are declared to be has changed since
    erased       somebody was erased since, and their events with them
    retention    rows were taken out since that the value rested on
    unexplained  none of these: something is wrong
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.features.as_of import training_set, with_inputs
from liftwerk.features.brought import reading_beside
from liftwerk.features.definition import FEATURES, FeatureDefinition
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.recompute import Question, recompute
from liftwerk.features.rows import DEFAULT_HOP
from liftwerk.features.told import EVENT, Told, written
from liftwerk.features.version import feature_version, rules_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import to_microseconds
from liftwerk.store.stores import Stores

Cause = Literal["rules", "erased", "retention", "unexplained"]

UNEXPLAINED: Cause = "unexplained"

AUDITED = 1_000
"""Entries of the audit log that are read at once."""


class Difference(Struct, frozen=True):
    """A value that is not what it was.

    Attributes
    ----------
    by, name : str
        Who told it: a view, a decision's policy, or what a view keeps.
    key : str
        Whom or what it was about.
    feature : str
    time : datetime
        The time that it was of.
    offset : int
        The last one that it knew of.
    told, found : str
        What was told, and what the log says, both as JSON.
    cause : str
    """

    by: str
    name: str
    key: str
    feature: str
    time: datetime
    offset: int
    told: str
    found: str
    cause: Cause


class Verified(Struct, frozen=True):
    """What became of some answers.

    Attributes
    ----------
    answers, values : int
        How many were made again.
    equal : int
        Values that are the same to the last digit.
    changed : dict of str to int
        Feature -> its values that were not compared, since it is another one now.
    beside : dict of str to int
        Feature -> its values that were not compared, since it reads more than events: what came
        with a request, reference data, a statement or function of the project's own.
    waiting : int
        Answers that rest on rows that are not sorted into tables yet: the next time.
    erased : int
        Recorded answers that went with erased customers.
    causes : dict of str to int
        Cause -> differences.
    differences : list of Difference
        The unexplained ones first.
    """

    answers: int
    values: int
    equal: int
    changed: dict[str, int]
    beside: dict[str, int]
    waiting: int
    erased: int
    causes: dict[str, int]
    differences: list[Difference]

    @property
    def holds(self) -> bool:
        """Whether nothing is unexplained."""
        return self.causes.get(UNEXPLAINED, 0) == 0

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        if self.answers == 0:
            return "nothing that was told of features could be made again yet"
        said = f"{self.values:,} values of {self.answers:,} answers were made again from the log"
        if not self.causes:
            return f"{said}, and all are the same"
        causes = ", ".join(f"{many:,} {cause}" for cause, many in sorted(self.causes.items()))
        return f"{said}; {self.values - self.equal:,} differ: {causes}"


def verify(
    project: Project, stores: Stores, told: Sequence[Told], now: datetime, since: datetime | None
) -> Verified:
    """Make recorded answers again from the log, and say where they differ, and why.

    Parameters
    ----------
    project : Project
    stores : Stores
    told : sequence of Told
    now : datetime
        What was taken out by then when its time was up.
    since : datetime, optional
        Erased answers are counted from then on.

    Returns
    -------
    Verified
    """
    sorted_up_to = 0
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is not None:
        sorted_up_to = snapshot.inbox_offset
    versions = {name: feature_version(project, name) for name in project.get(FEATURES)}
    changed: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    of_events = _of_events(project)
    groups: dict[tuple[object, ...], list[Told]] = {}
    waiting = 0
    for one in told:
        if one.offset > sorted_up_to:
            waiting += 1
            continue
        same = [name for name, version in one.versions.items() if versions.get(name) == version]
        changed.update(set(one.values) - set(same))
        beside.update(set(same) - of_events)
        same = [name for name in same if name in of_events]
        if same:
            # A decision reads as training does: what was known at its very time.
            at = one.time if one.by == "decision" else None
            groups.setdefault((one.purpose, one.offset, at, *same), []).append(one)
    causes = _Causes(project, stores, now)
    found: list[Difference] = []
    answers = values = 0
    for (_, _, _, *names), group in groups.items():
        answers += len(group)
        again = _again(project, stores, group, [str(name) for name in names])
        for one, row in zip(group, again, strict=True):
            values += len(row)
            found += [
                causes.of(one, feature, value)
                for feature, value in row.items()
                if one.values[feature] != value
            ]
    found.sort(key=lambda one: (one.cause != UNEXPLAINED, one.time, one.feature))
    return Verified(
        answers=answers,
        values=values,
        equal=values - len(found),
        changed=dict(changed),
        beside=dict(beside),
        waiting=waiting,
        erased=_erased(stores, since),
        causes=dict(Counter(one.cause for one in found)),
        differences=found,
    )


def _again(
    project: Project, stores: Stores, group: Sequence[Told], names: Sequence[str]
) -> list[dict[str, str]]:
    """Make the values of answers of one purpose and offset again, as they are recorded."""
    one = group[0]
    if one.by == "decision":
        spine = pa.table(
            {
                CUSTOMER: pa.array([told.key[0] for told in group], pa.binary()),
                "time": pa.array([told.time for told in group], pa.timestamp("us", "UTC")),
            }
        )
        as_of = AsOf(one.time, one.offset)
        table = training_set(project, stores, spine, names, one.purpose, as_of).select(names)
    else:
        asked = [Question(told.key, told.time) for told in group]
        table = recompute(project, stores, asked, names, one.purpose, one.offset)
    return [{name: written(row[name]) for name in names} for row in table.to_pylist()]


def _of_events(project: Project) -> set[str]:
    """Name the features whose values rest on events alone."""
    found = set()
    for name in project.get(FEATURES):
        read = with_inputs(project, [name])
        are_own = any(one.from_ is None and one.expression is None for one in read.values())
        if not are_own and not reading_beside(project, read):
            found.add(name)
    return found


class _Causes:
    """Tells why a value is not what it was."""

    def __init__(self, project: Project, stores: Stores, now: datetime) -> None:
        self._project = project
        self._now = now
        finished = [one.finished for one in stores.ledger.erasures() if one.finished is not None]
        self._last_erasure = max(finished, default=None)
        self._taken_out = _taken_out(stores)

    def of(self, told: Told, feature: str, found: str) -> Difference:
        """Describe a difference."""
        return Difference(
            told.by,
            told.name,
            _key_text(told),
            feature,
            told.time,
            told.offset,
            told.values[feature],
            found,
            self._cause(told, feature),
        )

    def _cause(self, told: Told, feature: str) -> Cause:
        if told.rules is not None and told.rules != rules_of(self._project, told.purpose):
            return "rules"
        # What is kept follows the log, erasures too: it has no past to rest on.
        last = self._last_erasure
        if told.by != "kept" and last is not None and told.time <= last:
            return "erased"
        read = with_inputs(self._project, [feature]).values()
        if any(self._reaches_what_is_gone(one, told) for one in read):
            return "retention"
        return UNEXPLAINED

    def _reaches_what_is_gone(self, feature: FeatureDefinition, told: Told) -> bool:
        """Say whether a value rests on rows, or properties, that were taken out since."""
        last = self._taken_out.get(feature.from_ or "")
        if feature.from_ is None or last is None:
            return False
        if told.by != "kept" and last < told.time:
            return False
        event = known_events(self._project)[feature.from_]
        kept = [event.retention, *(one.retention for one in event.properties.values())]
        reach = 0
        if feature.window is not None:
            hop = DEFAULT_HOP if feature.hop is None else feature.hop.microseconds
            reach = to_microseconds(told.time) - feature.window.microseconds - hop
        return any(
            one is not None and reach < to_microseconds(one.before(self._now)) for one in kept
        )


def _taken_out(stores: Stores) -> dict[str, datetime]:
    """Say when rows or properties of each event were last taken out for their age."""
    found: dict[str, datetime] = {}
    last = 0
    while entries := stores.ledger.audit(last, AUDITED):
        last = entries[-1].seq
        for entry in entries:
            if entry.action == "events.retain":
                found |= {field.partition(".")[0]: entry.at for field in entry.detail}
    return found


def _key_text(told: Told) -> str:
    parts = (part.hex() if isinstance(part, bytes) else str(part) for part in told.key)
    return "/".join(parts)


def _erased(stores: Stores, since: datetime | None) -> int:
    """Count the recorded answers that went with erased customers, by their receipts."""
    many = 0
    receipts: dict[str, Mapping[str, object]] = {}
    for one in stores.ledger.erasures():
        if one.finished is None or (since is not None and one.finished < since):
            continue
        receipts[one.finished.isoformat()] = one.receipt  # erased together, they share one
    for receipt in receipts.values():
        collections = receipt.get("collections", {})
        assert isinstance(collections, Mapping)
        for taken in collections.values():
            fields = taken["fields"]
            many += sum(rows for field, rows in fields.items() if field.startswith(f"{EVENT}_v"))
    return many
