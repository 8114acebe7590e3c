"""Hard limits on decisions, as the store's reservations and as masks before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from liftwerk.decisions.definition import Guardrails
from liftwerk.money import Money
from liftwerk.store.decisions import (
    BudgetReservation,
    Decisions,
    FrequencyReservation,
    Reservation,
)


def reservations(
    rails: Guardrails,
    policy: str,
    placement: str,
    cost: Decimal,
    currency: str,
    at: datetime,
    zone: tzinfo,
) -> list[Reservation]:
    """List what an action has to reserve; an action that costs nothing reserves nothing.

    Parameters
    ----------
    rails : Guardrails
    policy, placement : str
        The budget is the policy's, contacts are counted at the placement.
    cost : decimal.Decimal
        Of the action, once.
    currency : str
    at : datetime
        Now.
    zone : tzinfo
        The project's: budget periods are its calendar periods.

    Returns
    -------
    list of Reservation
    """
    if cost == 0:
        return []
    wanted: list[Reservation] = []
    if rails.budget is not None:
        limit = Money.parse(rails.budget.amount, currency)
        amount = Money.parse(cost, currency)
        start = period_start(rails.budget.period, at, zone)
        wanted.append(BudgetReservation("budget", policy, start, amount.minor, limit.minor))
    if rails.frequency is not None:
        window = timedelta(microseconds=rails.frequency.within.microseconds)
        wanted.append(FrequencyReservation("frequency", window, rails.frequency.count, placement))
    return wanted


def blocked(
    rails: Guardrails,
    policy: str,
    placement: str,
    units: Sequence[bytes],
    store: Decisions,
    cost: Decimal,
    currency: str,
    at: datetime,
    zone: tzinfo,
) -> dict[str, NDArray[np.bool_]]:
    """Ask for each unit which guardrails are closed to an action of this cost, before scoring.

    Returns
    -------
    dict of str to (n,) bool array
        Guardrail -> whether it is closed. What opens or closes meanwhile is settled by the
        reservation.
    """
    closed = {}
    for wanted in reservations(rails, policy, placement, cost, currency, at, zone):
        if isinstance(wanted, BudgetReservation):
            spent = store.spent(wanted.key, wanted.period_start)
            full = spent + wanted.amount_minor > wanted.limit_minor
            closed[wanted.guardrail] = np.full(len(units), full)
            continue
        counts = [store.contacts(unit, at, wanted.window, wanted.placement) for unit in units]
        closed[wanted.guardrail] = np.asarray(counts) >= wanted.limit
    return closed


def period_start(period: str, at: datetime, zone: tzinfo) -> datetime:
    """Return when the calendar period that an instant lies in began, in UTC.

    Parameters
    ----------
    period : str
        ``hour``, ``day``, ``week`` (from Monday) or ``month``.
    at : datetime
    zone : tzinfo
        The project's.

    Examples
    --------
    >>> period_start("week", datetime(2026, 3, 5, 9, 30, tzinfo=UTC), UTC).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    local = at.astimezone(zone)
    start = local.replace(minute=0, second=0, microsecond=0)
    if period != "hour":
        start = start.replace(hour=0)
    if period == "week":
        start = start - timedelta(days=start.weekday())
    if period == "month":
        start = start.replace(day=1)
    return start.astimezone(UTC)
