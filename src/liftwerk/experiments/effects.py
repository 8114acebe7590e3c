"""The effect register: the current, dated estimate of what each policy and channel adds.

Rows are only added: the latest of a subject and metric counts, and what was believed before stays
to be seen. Reports, budgets and media mix read effects from here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
import rfc8785
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.errors import ProjectError
from liftwerk.faults import fault
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.ledger import EffectRow, Ledger, Transaction

PROGRAMME = "programme"
"""The subject of what everything together adds, by the global holdout."""

ACTION = "effects.put"
"""The audit entry of new effects."""

_SUBJECT = re.compile(r"programme|(policy|channel|experiment):[a-z][a-z0-9_]{0,62}(/[^/\s]+)?")


class Effect(Struct, frozen=True):
    """What something added over a window of time.

    Attributes
    ----------
    subject : str
        ``policy:NAME``, ``channel:NAME``, ``programme``, or ``experiment:NAME``; the last with
        ``/ARM`` where several arms are compared with control.
    metric : str
        By what it is measured.
    start, end : datetime
        The window, of which ``end`` is no part.
    estimate : Estimate or Unknown
    unit : str
        What it is counted in: ``EUR a customer``, ``EUR``.
    method : str
        How it was estimated, in a few words.
    source : str
        What it comes from, so that it can be made again: an experiment, or a report.
    at : datetime
        When it was written.
    """

    subject: str
    metric: str
    start: datetime
    end: datetime
    estimate: Estimate | Unknown
    unit: str
    method: str
    source: str
    at: datetime

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the window ended; 0 while it has not."""
        return max(now - self.end, timedelta(0))


def put_effects(ledger: Ledger, clock: Clock, actor: str, effects: Iterable[Effect]) -> int:
    """Add effects with one audit entry; returns how many were new.

    Parameters
    ----------
    ledger : Ledger
    clock : Clock
    actor : str
    effects : iterable of Effect
        One that says what the latest of its subject and metric says is not written again, and when
        none is new, nothing is.

    Raises
    ------
    ProjectError
        If a subject is none, or a window ends before it begins.
    """
    rows = [row_of(one) for one in effects]
    if not any(_is_new(ledger, row) for row in rows):
        return 0
    subjects: list[str] = sorted({row.subject for row in rows})
    with (
        fault("effect_commit"),
        ledger.change(actor, ACTION, ", ".join(subjects), {"n": len(rows)}, clock.now()) as change,
    ):
        return put_within(ledger, change, rows)


def put_within(ledger: Ledger, change: Transaction, rows: Iterable[EffectRow]) -> int:
    """Add rows as a part of a change; returns how many were new."""
    return sum(ledger.put_effect(change, row) for row in rows)


def history(ledger: Ledger, subject: str | None = None, metric: str | None = None) -> list[Effect]:
    """Return every effect that was ever written, all or some, oldest first."""
    return [_read(row) for row in ledger.effects(subject, metric)]


def latest(ledger: Ledger, subject: str | None = None, metric: str | None = None) -> list[Effect]:
    """Return what is believed now: the last effect of each subject and metric, by name.

    Parameters
    ----------
    ledger : Ledger
    subject, metric : str, optional
        Only of these.
    """
    found = {(one.subject, one.metric): one for one in history(ledger, subject, metric)}
    return [found[key] for key in sorted(found)]


def row_of(effect: Effect) -> EffectRow:
    """Write an effect as the ledger keeps it.

    Raises
    ------
    ProjectError
        If its subject is none, or its window ends before it begins.
    """
    if _SUBJECT.fullmatch(effect.subject) is None:
        hint = "write policy:NAME, channel:NAME, experiment:NAME or programme"
        raise ProjectError(f"{effect.subject!r} is no subject of an effect", "effects", hint)
    if effect.end < effect.start:
        what = f"the window ends at {effect.end.isoformat()}, before it begins"
        raise ProjectError(what, effect.subject, "give its beginning first")
    estimate = rfc8785.dumps(msgspec.to_builtins(effect.estimate)).decode()
    window = (effect.start, effect.end)
    how = (effect.unit, effect.method, effect.source)
    return EffectRow(effect.subject, effect.metric, *window, estimate, *how, effect.at)


def _is_new(ledger: Ledger, row: EffectRow) -> bool:
    known = ledger.effects(row.subject, row.metric)
    return not known or msgspec.structs.replace(known[-1], at=row.at) != row


def _read(row: EffectRow) -> Effect:
    estimate = msgspec.json.decode(row.estimate, type=Estimate | Unknown)
    window = (row.start, row.end)
    return Effect(
        row.subject, row.metric, *window, estimate, row.unit, row.method, row.source, row.at
    )
