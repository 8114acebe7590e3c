"""The same 50 features as of many times in four ways: compiled, and by hand in DuckDB's SQL.

Each statement reads ``orders`` and ``_spine`` (``_row``, ``e0``, ``as_of`` in microseconds), and
gives ``_row`` and 60 exact states (a mean has two) in the order of `METHODS`' first.
"""

from __future__ import annotations

from collections.abc import Callable

from liftwerk.definitions.typed import Duration
from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.compile import compile_features
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.kinds.aggregate import DAY

STATES = 60
"""Columns of an answer: a mean has two."""

DAYS = (1, 3, 7, 14, 30, 60, 90, 180, 365, 730)

LATE = 60_000_000
"""Every order is known a minute after it happened: only the window functions rely on it."""

_TOLD = """
    told AS (
      SELECT customer, epoch_us(time) AS time, epoch_us(known_at) AS known_at, revenue,
        (weight * 1000000)::BIGINT AS weight,
        revenue * (weight * 1000000)::BIGINT AS amount
      FROM orders WHERE NOT synthetic
    )
"""


def compiled() -> str:
    """Let liftwerk write it."""
    features = {}
    for aggregate, property_ in (
        ("count", None),
        ("sum", "revenue"),
        ("mean", "revenue"),
        ("max", "revenue"),
        ("time_since", None),
    ):
        for days in DAYS:
            features[f"{aggregate}_{days}"] = FeatureDefinition(
                entity="customer",
                from_="orders",
                aggregate=aggregate,  # type: ignore[arg-type]
                property=property_,
                window=Duration(f"{days}d"),
            )
    orders = EventDefinition(1, "", properties={"revenue": PropertyDefinition("money")})
    (plan,) = compile_features(features, {"orders": orders}, "EUR")
    return plan.sql()


def _asked(*more: str) -> str:
    heads = [f"(as_of - {days * DAY}) - (as_of - {days * DAY}) % {DAY} AS h{days}" for days in DAYS]
    return f"asked AS (SELECT _row, e0, as_of, {', '.join([*heads, *more])} FROM _spine)"


def _filtered(weight: str, amount: str, revenue: str, time: str) -> str:
    """Write every state as an aggregate of the rows that its window holds."""
    columns = []
    for made in ((weight,), (amount,), (amount, weight), (revenue,), (time,)):
        for days in DAYS:
            columns += [f"{one} FILTER (WHERE time >= h{days})" for one in made]
    return ", ".join(columns)


_STATES = _filtered("sum(weight)", "sum(amount)", "max(revenue)", "max(time)")


def join_by_hand() -> str:
    """Write what an expert would: one hash join, and filtered aggregates over it."""
    return f"""
        WITH {_asked()}, {_TOLD},
        answers AS (
          SELECT _row, {_STATES}
          FROM asked JOIN told ON customer = e0 AND time < as_of AND known_at <= as_of
            AND time >= h730
          GROUP BY _row
        )
        SELECT asked._row, answers.* EXCLUDE (_row)
        FROM asked LEFT JOIN answers ON answers._row = asked._row ORDER BY asked._row
    """


def tiles_by_hand() -> str:
    """Make a tile a customer and day; add whole days before yesterday, and the orders since."""
    day = f"as_of - as_of % {DAY} - {DAY} AS recent"  # all that happened before is known by then
    tiles = _filtered("sum(weight)", "sum(amount)", "max(revenue)", "max(last)")
    return f"""
        WITH {_asked(day)}, {_TOLD},
        tiles AS (
          SELECT customer, time - time % {DAY} AS time, sum(weight)::BIGINT AS weight,
            sum(amount)::BIGINT AS amount, max(revenue) AS revenue, max(time) AS last
          FROM told GROUP BY ALL
        ),
        parts AS (
          SELECT _row, asked.* EXCLUDE (_row), tiles.* EXCLUDE (customer)
          FROM asked JOIN tiles ON customer = e0 AND time < recent AND time >= h730
          UNION ALL
          SELECT _row, asked.* EXCLUDE (_row), time, weight, amount, revenue, time AS last
          FROM asked JOIN told ON customer = e0 AND time >= recent AND time >= h730
            AND time < as_of AND known_at <= as_of
        ),
        answers AS (SELECT _row, {tiles} FROM parts GROUP BY _row)
        SELECT asked._row, answers.* EXCLUDE (_row)
        FROM asked LEFT JOIN answers ON answers._row = asked._row ORDER BY asked._row
    """


def windows_by_hand() -> str:
    """Put orders and questions in one order of time, and look back by a frame for each window."""
    columns, frames = [], []
    for days in DAYS:
        back = f"as_of - (as_of - {days * DAY} - (as_of - {days * DAY}) % {DAY})"
        frames.append(
            f"w{days} AS (PARTITION BY e0 ORDER BY as_of"
            f" RANGE BETWEEN {back} PRECEDING AND {LATE} PRECEDING)"
        )
    for made in (
        ("sum(weight)",),
        ("sum(amount)",),
        ("sum(amount)", "sum(weight)"),
        ("max(revenue)",),
        ("max(time)",),
    ):
        for days in DAYS:
            columns += [f"{one} OVER w{days} AS c{len(columns)}_{one[:3]}" for one in made]
    return f"""
        WITH {_TOLD},
        line AS (
          SELECT _row, e0, as_of, NULL::BIGINT AS weight, NULL::BIGINT AS amount,
            NULL::BIGINT AS revenue, NULL::BIGINT AS time FROM _spine
          UNION ALL
          SELECT NULL, customer, time, weight, amount, revenue, time FROM told
        )
        SELECT * FROM (
          SELECT _row, {", ".join(columns)} FROM line WINDOW {", ".join(frames)}
        ) WHERE _row IS NOT NULL ORDER BY _row
    """


METHODS: dict[str, Callable[[], str]] = {
    "compiled": compiled,
    "join_by_hand": join_by_hand,
    "tiles_by_hand": tiles_by_hand,
    "windows_by_hand": windows_by_hand,
}
