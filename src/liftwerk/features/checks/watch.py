"""A view whose values fail a check that stops stays at its last good state.

What a step would write is judged before it is written: each value that changes, and about once a
minute a sample of all. Where a check fails, the step isn't taken: values and offset stay, and the
flag with the reason is written. The log keeps what came, so that nothing is lost: the step is tried
again from the same offset, over all that came since, until it passes because the data were mended
or somebody accepted what was found. A changed definition is another view, filled anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.features.checks.check import plan_of
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.flags import Held, read_held
from liftwerk.features.checks.sample import MOST, Changed, sampled, values_of
from liftwerk.features.checks.values import Plan, reason
from liftwerk.features.kept import KeptView
from liftwerk.features.served import Flag
from liftwerk.store.instants import from_microseconds
from liftwerk.store.stores import Stores

RETRY = 10_000_000
"""Microseconds after which a held step is tried again: it gets longer as the log goes on."""

LOOK = 60_000_000
"""Microseconds after which a sample of all values is looked at."""


class Watch:
    """Judges what steps would write.

    Parameters
    ----------
    project : Project
    stores : Stores
    """

    def __init__(self, project: Project, stores: Stores) -> None:
        self._project = project
        self._stores = stores
        self._plans: dict[str, Plan] = {}
        self._looked: dict[str, int] = {}
        self._held: dict[str, int | None] = {}

    def is_due(self, kept: KeptView, now: int) -> bool:
        """Say whether a step may be tried: one that was held is left alone for a while.

        Parameters
        ----------
        kept : KeptView
        now : int
            Microseconds since 1970.
        """
        if kept.space not in self._held:
            return True
        since = self._held[kept.space]
        return since is not None and not since <= now < since + RETRY

    def judge(self, kept: KeptView, changed: Changed, now: int) -> Held | None:
        """Say why a step must not be written; None where it may.

        Parameters
        ----------
        kept : KeptView
        changed : Changed
            What it would write.
        now : int
            Microseconds since 1970.
        """
        standing = read_held(self._stores.online, kept.space)
        looks = standing is not None or not 0 <= now - self._looked.get(kept.space, 0) < LOOK
        if looks:
            self._looked[kept.space] = now
        held = _held(self._findings(kept, changed, now, looks), standing, now)
        if held is not None and not looks:
            # By what was declared and accepted a while ago: somebody may have accepted more.
            held = _held(self._findings(kept, changed, now, looks=True), standing, now)
        self._held.pop(kept.space, None)
        if held is not None:
            self._held[kept.space] = now
        return held

    def _findings(self, kept: KeptView, changed: Changed, now: int, looks: bool) -> list[Finding]:
        findings: list[Finding] = []
        plan = self._plan(kept, anew=looks)
        if plan.asks_each:
            keys = sorted(changed.rows)[:MOST]
            findings += plan.run(self._values(kept, keys, now, changed), each=True)
        if plan.asks_all and looks:
            keys = sampled(self._stores.online, kept)
            findings += plan.run(self._values(kept, keys, now, changed))
        return findings

    def judge_filled(self, kept: KeptView, changed: Changed, now: int) -> Held | None:
        """Say why values that were made from the whole log must not be served.

        There is no good state to stay at, and a fill is not tried again by itself.
        """
        plan = self._plan(kept, anew=True)
        keys = sampled(self._stores.online, kept)
        findings = plan.run(self._values(kept, keys, now, changed))
        held = _held(findings, read_held(self._stores.online, kept.space), now)
        if held is not None:
            self._held[kept.space] = None
        return held

    def _plan(self, kept: KeptView, anew: bool) -> Plan:
        if anew or kept.space not in self._plans:
            self._plans[kept.space] = plan_of(self._project, self._stores, kept, stopping=True)
        return self._plans[kept.space]

    def _values(self, kept: KeptView, keys: list[bytes], now: int, changed: Changed) -> pa.Table:
        return values_of(self._project, self._stores.online, kept, keys, now, changed)


def _held(findings: Iterable[Finding], standing: Held | None, now: int) -> Held | None:
    by_check = {one.where: one for one in findings if one.stops}
    if not by_check:
        return None
    first, *_ = stopping = list(by_check.values())
    words = reason(first)
    if len(stopping) > 1:
        words += f" (and {len(stopping) - 1} more)"
    since = from_microseconds(now)
    if standing is not None:
        since = standing.flag.since
    return Held(Flag(words, first.where, since), tuple(stopping))
