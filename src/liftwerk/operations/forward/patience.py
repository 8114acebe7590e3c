"""When to try again, when to stop trying, and how fast to go.

A failed event waits ``random() * min(cap, base * 2**tries)``: exponential back-off with full
jitter, so that many that failed together do not come back together. A destination that failed
several times in a row is left alone altogether (its circuit breaker is open) until one request, the
probe, goes through.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import numpy
from msgspec import structs

from liftwerk.definitions.typed import Rate
from liftwerk.store.outbox.protocol import Entry, Health

BASE_SECONDS = 1.0
EVENT_CAP_SECONDS = 900.0
"""An event is tried again after a quarter of an hour at the latest."""

OPENS_AFTER = 5
"""Failures in a row that open a destination's circuit breaker."""

PROBE_BASE_SECONDS = 5.0
PROBE_CAP_SECONDS = 300.0
"""A destination that came back is noticed after five minutes at the latest."""

STRIKES_OUT = 12
"""Failures of one event, each after others went through, that make it a dead letter."""

Breaker = Literal["closed", "open", "half-open"]


def back_off(tries: int, generator: numpy.random.Generator) -> timedelta:
    """Draw how long an event waits after so many tries.

    Parameters
    ----------
    tries : int
        How often it was tried, from 1.
    generator : numpy.random.Generator

    Returns
    -------
    timedelta
        Uniform between nothing and the exponential bound.

    Examples
    --------
    >>> waits = [back_off(4, numpy.random.default_rng(seed)) for seed in range(100)]
    >>> timedelta(seconds=1) < max(waits) <= timedelta(seconds=8)
    True
    """
    bound = min(EVENT_CAP_SECONDS, BASE_SECONDS * 2.0 ** min(tries - 1, 32))
    return timedelta(seconds=bound * generator.random())


def breaker(health: Health, now: datetime) -> Breaker:
    """Say whether a destination may be sent to: freely, not at all, or one probe.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> breaker(Health(), noon), breaker(Health(5, noon, noon + timedelta(seconds=3)), noon)
    ('closed', 'open')
    """
    if health.not_before is not None and now < health.not_before:
        return "open"
    if health.opened is not None:
        return "half-open"
    return "closed"


def succeeded(health: Health, now: datetime) -> Health:
    """Return the health after a request that went through."""
    return structs.replace(health, failures=0, opened=None, not_before=None, succeeded=now)


def failed(
    health: Health, reason: str, wait: float, now: datetime, generator: numpy.random.Generator
) -> Health:
    """Return the health after a request that did not.

    Parameters
    ----------
    health : Health
        Before.
    reason : str
        Why it failed.
    wait : float
        Seconds that the vendor asked for; 0 when it did not.
    now : datetime
    generator : numpy.random.Generator

    Returns
    -------
    Health
        Open after `OPENS_AFTER` failures in a row. The wait for the probe is drawn from the upper
        half of its bound.
    """
    failures = health.failures + 1
    opened = health.opened
    pause = wait
    if failures >= OPENS_AFTER:
        opened = opened or now
        doublings = min(failures - OPENS_AFTER, 32)
        bound = min(PROBE_CAP_SECONDS, PROBE_BASE_SECONDS * 2.0**doublings)
        pause = max(wait, bound * (0.5 + 0.5 * generator.random()))
    not_before = None
    if pause > 0:
        not_before = now + timedelta(seconds=pause)
    return Health(failures, opened, not_before, health.succeeded, now, reason)


def tried_again(
    entry: Entry,
    reason: str,
    wait: float,
    health: Health,
    now: datetime,
    generator: numpy.random.Generator,
) -> Entry:
    """Return an entry after a failure, with the moment of its next try.

    Parameters
    ----------
    entry : Entry
        Before.
    reason : str
        Why it failed.
    wait : float
        Seconds that the vendor asked for.
    health : Health
        The destination's, before the failure.
    now : datetime
    generator : numpy.random.Generator

    Returns
    -------
    Entry
        With a strike more if others went through since it was tried last: a destination that is
        down gives no event a strike, however long it takes.
    """
    others_went = (
        entry.tried is not None and health.succeeded is not None and health.succeeded >= entry.tried
    )
    tries = entry.tries + 1
    delay = max(back_off(tries, generator), timedelta(seconds=wait))
    strikes = entry.strikes + others_went
    return structs.replace(
        entry, due=now + delay, tries=tries, strikes=strikes, tried=now, reason=reason
    )


class Pace:
    """A token bucket that holds one second's worth, at least one event.

    Parameters
    ----------
    rate : Rate or None
        Events; None for no limit.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> pace = Pace(Rate("60/min"))
    >>> pace.wait(1, noon), pace.wait(1, noon), pace.wait(1, noon + timedelta(seconds=1))
    (0.0, 1.0, 0.0)
    """

    def __init__(self, rate: Rate | None) -> None:
        self._per_second = 0.0
        self.burst = 2**31
        if rate is not None:
            self._per_second = rate.per_second
            self.burst = max(1, int(rate.per_second))
        self._tokens = float(self.burst)
        self._at: datetime | None = None

    def wait(self, events: int, now: datetime) -> float:
        """Take tokens for some events, or say in how many seconds there will be enough."""
        if self._per_second == 0:
            return 0.0
        if self._at is not None and now > self._at:
            gained = (now - self._at).total_seconds() * self._per_second
            self._tokens = min(float(self.burst), self._tokens + gained)
        self._at = now
        # A millionth is what a clock's microsecond rounds away.
        missing = events - self._tokens
        if missing > 1e-6:
            return missing / self._per_second
        self._tokens -= events
        return 0.0
