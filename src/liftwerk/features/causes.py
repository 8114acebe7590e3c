"""Why a value that was told is not what the log says now.

    rules        what purposes or identity are declared to be has changed since
    erased       somebody was erased since, with events that it may have rested on
    retention    rows were taken out since that the value rested on
    unexplained  none of these: something is wrong

Whom the erased shared events with is not kept, since it would tell of them. So an erasure may
explain a difference that something else made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.features.as_of import with_inputs
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.rows import DEFAULT_HOP
from liftwerk.features.told import Told
from liftwerk.features.version import rules_of
from liftwerk.privacy.definition import PURPOSES
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


class Causes:
    """Tells why a value is not what it was."""

    def __init__(self, stores: Stores, now: datetime) -> None:
        self._now = now
        self._erased = _erasures(stores)
        self._taken_out = _taken_out(stores)

    def of(self, project: Project, told: Told, feature: str, found: str) -> Difference:
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
            self._cause(project, told, feature),
        )

    def _cause(self, project: Project, told: Told, feature: str) -> Cause:
        if told.rules is not None and told.rules != rules_of(project, told.purpose):
            return "rules"
        read = with_inputs(project, [feature]).values()
        if self._may_be_erased(project, read, told):
            return "erased"
        if any(self._reaches_what_is_gone(project, one, told) for one in read):
            return "retention"
        return UNEXPLAINED

    def _may_be_erased(
        self, project: Project, read: Iterable[FeatureDefinition], told: Told
    ) -> bool:
        """Say whether an erasure since took rows that a value may rest on.

        Whom else the erased shared them with is not kept. Who is one customer may rest on an event
        of any kind, and with it whose withdrawals reach somebody. What is known of a visitor for a
        purpose that nobody can withdraw rests on the events alone that are read.
        """
        if told.by == "kept":
            return False  # it follows the log, erasures too: it has no past to rest on
        since = [taken for at, taken in self._erased if told.time <= at]
        if told.entity == CUSTOMER or project.get(PURPOSES)[told.purpose].can_be_withdrawn:
            return bool(since)
        names = {one.from_ for one in read}
        return any(not names.isdisjoint(taken) for taken in since)

    def _reaches_what_is_gone(
        self, project: Project, feature: FeatureDefinition, told: Told
    ) -> bool:
        """Say whether a value rests on rows, or properties, that were taken out since."""
        last = self._taken_out.get(feature.from_ or "")
        if feature.from_ is None or last is None:
            return False
        if told.by != "kept" and last < told.time:
            return False
        event = known_events(project)[feature.from_]
        kept = [event.retention, *(one.retention for one in event.properties.values())]
        reach = 0
        if feature.window is not None:
            hop = DEFAULT_HOP if feature.hop is None else feature.hop.microseconds
            reach = to_microseconds(told.time) - feature.window.microseconds - hop
        return any(
            one is not None and reach < to_microseconds(one.before(self._now)) for one in kept
        )


def _erasures(stores: Stores) -> list[tuple[datetime, set[str]]]:
    """Say when there were erasures, and of which events they took rows."""
    found = []
    for one in stores.ledger.erasures():
        if one.finished is None:
            continue
        collections = one.receipt.get("collections", {})
        assert isinstance(collections, Mapping)
        fields = [one for taken in collections.values() for one in taken["fields"].items()]
        found.append((one.finished, {field.rpartition("_v")[0] for field, rows in fields if rows}))
    return found


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
