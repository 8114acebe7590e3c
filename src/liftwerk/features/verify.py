"""Is what was told what the log says? Recorded answers are made again, and held side by side.

An answer carries the time that its values are of and the last offset that they knew of. Both
together name one state of the log for good, so that the same definitions must give the same values
to the last digit, whenever they are reckoned. A feature that is another one now isn't compared, and
is named. Where values differ, there is a cause, or an
alarm: `liftwerk.features.causes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.features.as_of import training_set, with_inputs
from liftwerk.features.brought import properties_read, reading_beside
from liftwerk.features.causes import UNEXPLAINED, Causes, Difference
from liftwerk.features.definition import FEATURES
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.older import as_used
from liftwerk.features.recompute import Question, recompute
from liftwerk.features.told import EVENT, Told, written
from liftwerk.features.version import feature_version
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


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
        Feature -> its values that were not compared, since more than events decided them.
    why : dict of str to str
        Feature -> what that was.
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
    why: dict[str, str]
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
    meant = _Meant(project, stores)
    changed: Counter[str] = Counter()
    beside: dict[str, Counter[str]] = {}
    groups: dict[tuple[object, ...], list[Told]] = {}
    waiting = 0
    for one in told:
        if one.offset > sorted_up_to:
            waiting += 1
            continue
        same = meant.unchanged(one)
        changed.update(set(one.values) - set(same))
        again: list[str] = []
        for name in same:
            reason = meant.beyond(one, name)
            if reason is None:
                again.append(name)
            else:
                beside.setdefault(name, Counter())[reason] += 1
        if again:
            # A decision reads as training does: what was known at its very time.
            at = one.time if one.by == "decision" else None
            groups.setdefault((one.purpose, one.offset, at, one.version, *again), []).append(one)
    causes = Causes(stores, now)
    found: list[Difference] = []
    answers = values = 0
    for (_, _, _, _, *names), group in groups.items():
        answers += len(group)
        used = meant.project(group[0])
        made = _again(used, stores, group, [str(name) for name in names])
        for one, row in zip(group, made, strict=True):
            values += len(row)
            found += [
                causes.of(used, one, feature, value)
                for feature, value in row.items()
                if one.values[feature] != value
            ]
    found.sort(key=lambda one: (one.cause != UNEXPLAINED, one.time, one.feature))
    return Verified(
        answers=answers,
        values=values,
        equal=values - len(found),
        changed=dict(changed),
        beside={name: reasons.total() for name, reasons in beside.items()},
        why={name: "; ".join(reasons) for name, reasons in beside.items()},
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
        asked = [Question(told.key, told.time, told.request) for told in group]
        table = recompute(project, stores, asked, names, one.purpose, one.offset)
    return [{name: written(row[name]) for name in names} for row in table.to_pylist()]


class _Meant:
    """Tells what answers meant: by which definitions, and what they rest on beside events."""

    def __init__(self, project: Project, stores: Stores) -> None:
        self._project = project
        self._stores = stores
        self._used: dict[str, Project | None] = {"": project}
        self._versions: dict[str, Mapping[str, str]] = {}
        self._beside: dict[tuple[str, str], tuple[str | None, list[str]]] = {}

    def project(self, told: Told) -> Project:
        """Return the project that an answer is made again by."""
        used = self._as_used(told)
        assert used is not None
        return used

    def unchanged(self, told: Told) -> list[str]:
        """Name the features that are what they were."""
        used = self._as_used(told)
        if used is None:
            return []  # nobody keeps that version any more
        if told.version not in self._versions:
            names = used.get(FEATURES)
            self._versions[told.version] = {name: feature_version(used, name) for name in names}
        versions = self._versions[told.version]
        return [name for name, version in told.versions.items() if versions.get(name) == version]

    def beyond(self, told: Told, name: str) -> str | None:
        """Say why a value cannot be made again, if more than is known decided it."""
        place = (told.version, name)
        if place not in self._beside:
            self._beside[place] = self._reads(self.project(told), name)
        reason, requests = self._beside[place]
        if reason is None and not told.request.keys() >= set(requests):
            return "what came with the request was not noted"
        return reason

    def _as_used(self, told: Told) -> Project | None:
        if told.version not in self._used:
            try:
                used = as_used(self._project, self._stores.ledger, told.version)
            except (Refused, UnknownName):
                self._used[told.version] = None
            else:
                self._used[told.version] = used
        return self._used[told.version]

    def _reads(self, project: Project, name: str) -> tuple[str | None, list[str]]:
        read = with_inputs(project, [name])
        requests = [key for key, one in read.items() if one.request is not None]
        if any(one.sql is not None or one.python is not None for one in read.values()):
            return "it is a statement or function of the project's own", requests
        if properties_read(project, reading_beside(project, read)):
            return "it reads reference data", requests
        return None, requests


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
