"""What was known before the action: columns that may become features, and those that may not.

Names and values sort most columns. Two guards look at the rows: a column that all but says the
outcome was filled after it, and one that differs between the arms by more than lot was filled after
the action. Neither may reach a model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf, sqrt
from typing import Literal

from msgspec import Struct
from scipy.special import chdtrc, ndtr

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.look import TABLE, Column, Look
from liftwerk.connectors.trial.outcomes import Binary, is_afterwards
from liftwerk.events.engine import quoted

LEVELS_MAX = 20
"""A text with more different values is no feature."""

_MONEY_DECIMALS = 2
_TELLS = 0.99
_TOO_COMMON = 0.9
_SEEN = 20
_EXPECTED = 5
_BY_LOT = 1e-6
"""Differences between the arms that are less likely than this are not due to the lot."""

Kind = Literal["boolean", "integer", "number", "money", "string"]


class Known(Struct, frozen=True):
    """A column that was known before the action.

    Attributes
    ----------
    column : Column
        Where it stands.
    kind : str
        Its type as a property.
    """

    column: Column
    kind: Kind


class LeftOut(Struct, frozen=True):
    """A column that is not used, and why; a personal one is not even copied."""

    column: str
    why: str
    personal: bool = False


class History(Struct, frozen=True):
    """What was known before the action.

    Attributes
    ----------
    known : tuple of Known
        In the file's order.
    left_out : tuple of LeftOut
        In the file's order.
    question : str
        What to ask about the lot; empty when nothing is in doubt.
    """

    known: tuple[Known, ...]
    left_out: tuple[LeftOut, ...]
    question: str = ""


def history_of(
    look: Look, arm: Column, happened: Iterable[Binary], taken: Collection[str], by_lot: bool
) -> History:
    """Sort the remaining columns.

    Parameters
    ----------
    look : Look
        The file.
    arm : Column
        The column that says what was done.
    happened : iterable of Binary
        The outcomes.
    taken : collection of str
        Columns that are something else.
    by_lot : bool
        Whether every row was equally likely to be in an arm, so that arms are alike but for chance.

    Returns
    -------
    History
    """
    known: list[Known] = []
    left_out: list[LeftOut] = []
    outcomes = list(happened)
    for column in look.columns:
        if column.name in taken:
            continue
        reason = _reason(look, column, outcomes)
        kind = _kind(column)
        if reason is not None:
            left_out.append(reason)
        elif kind is None:
            why = f"a text with {column.distinct} different values"
            left_out.append(LeftOut(column.name, why, personal=_is_about_rows(look, column)))
        else:
            known.append(Known(column, kind))
    if not by_lot:
        return History(tuple(known), tuple(left_out))
    return _without_unlike(look, arm, known, left_out)


def _reason(look: Look, column: Column, outcomes: list[Binary]) -> LeftOut | None:
    name = column.name
    if words.is_personal(name) or _more_than_half(column, column.emails):
        return LeftOut(name, "it tells who a person is", personal=True)
    if _more_than_half(column, column.phones) and not column.is_number:
        return LeftOut(name, "it tells who a person is", personal=True)
    if words.has(name, words.SENSITIVE):
        return LeftOut(name, "it is sensitive", personal=True)
    if column.filled == 0:
        return LeftOut(name, "it is empty")
    if column.distinct == 1 and column.filled == look.rows:
        return LeftOut(name, "it says the same in every row")
    if column.is_time:
        return LeftOut(name, "it is a time: say as a number how long ago it was")
    if words.has(name, words.KEY) and column.distinct > look.rows / 2:
        return LeftOut(name, "it names a row", personal=True)
    if is_afterwards(column):
        return LeftOut(name, "it looks like something that happened after the action")
    for outcome in outcomes:
        if _tells(look, column, outcome):
            return LeftOut(name, f"it says {outcome.column!r}: it was filled after the action")
    return None


def _more_than_half(column: Column, count: int) -> bool:
    return count > column.filled / 2


def _is_about_rows(look: Look, column: Column) -> bool:
    """Free text and codes that nearly every row has of its own are not worth the copy."""
    return column.distinct > look.rows / 2


def _kind(column: Column) -> Kind | None:
    said = {level.strip().lower() for level, _ in column.levels}
    if len(said) == 2 and said & set(words.YES) and said & set(words.NO):
        return "boolean"
    if column.is_whole:
        return "integer"
    if column.is_number:
        if words.has(column.name, words.MONEY) and column.decimals <= _MONEY_DECIMALS:
            return "money"
        return "number"
    if 0 < len(column.levels) <= LEVELS_MAX:
        return "string"
    return None


def _tells(look: Look, column: Column, outcome: Binary) -> bool:
    """Say whether a value of the column all but makes the outcome certain."""
    name = quoted(column.name)
    value = f"CASE WHEN CAST({name} AS DOUBLE) = 0 THEN '0' WHEN {name} IS NOT NULL THEN '1' END"
    if column.levels:
        value = name
    elif not column.is_number:
        value = f"CASE WHEN {name} IS NOT NULL THEN '1' END"
    ((base,),) = look.ask(f"SELECT avg(CAST({outcome.happened} AS DOUBLE)) FROM {TABLE}")
    ((most,),) = look.ask(
        f"SELECT max(share) FROM (SELECT avg(CAST({outcome.happened} AS DOUBLE)) AS share"
        f" FROM {TABLE} GROUP BY {value} HAVING count(*) >= {_SEEN})"
    )
    return base < _TOO_COMMON and most is not None and most >= _TELLS


def _without_unlike(
    look: Look, arm: Column, known: list[Known], left_out: list[LeftOut]
) -> History:
    """Leave out what differs between the arms; where most of it does, doubt the lot instead."""
    unlike = [one for one in known if _chance(look, arm, one) < _BY_LOT]
    if not unlike:
        return History(tuple(known), tuple(left_out))
    names = ", ".join(one.column.name for one in unlike)
    if 2 * len(unlike) > len(known):
        question = f"the arm was drawn by lot: {names} differ between the arms by more than chance"
        return History(tuple(known), tuple(left_out), question)
    why = "it differs between the arms by more than chance: it may have been filled afterwards"
    out = [*left_out, *(LeftOut(one.column.name, why) for one in unlike)]
    order = [column.name for column in look.columns]
    question = f"{names} differ between the arms by more than chance and were left out"
    return History(
        tuple(one for one in known if one not in unlike),
        tuple(sorted(out, key=lambda one: order.index(one.column))),
        question,
    )


def _chance(look: Look, arm: Column, one: Known) -> float:
    """Return the p-value of the largest difference between the arms."""
    name = quoted(one.column.name)
    if one.column.levels:
        return _chance_of_levels(look, arm, f"coalesce({name}, '')")
    rows = look.ask(
        f"SELECT count({name}), avg(CAST({name} AS DOUBLE)), var_samp(CAST({name} AS DOUBLE))"
        f" FROM {TABLE} GROUP BY {quoted(arm.name)} HAVING count({name}) > 1"
    )
    (first_n, first_mean, first_variance), *others = rows or [(0, 0.0, 0.0)]
    least = 1.0
    for n, mean, variance in others:
        error = sqrt(variance / n + first_variance / first_n)
        z = 0.0
        if error > 0:
            z = abs(mean - first_mean) / error
        elif mean != first_mean:
            z = inf
        least = min(least, 2 * float(ndtr(-z)))
    return least


def _chance_of_levels(look: Look, arm: Column, value: str) -> float:
    """Return the p-value of Pearson's test that arm and value have nothing in common.

    Values too rare for the test (less than five expected in an arm) are not looked at.
    """
    ((statistic, arms, values),) = look.ask(
        "WITH cell AS (SELECT a, v, count(*) AS n FROM"
        f" (SELECT {quoted(arm.name)} AS a, {value} AS v FROM {TABLE}) GROUP BY a, v),"
        " by_arm AS (SELECT a, sum(n) AS n FROM cell GROUP BY a),"
        " by_value AS (SELECT v, sum(n) AS n FROM cell GROUP BY v HAVING"
        f" sum(n) * (SELECT min(n) FROM by_arm) / {look.rows} >= {_EXPECTED}),"
        f" wanted AS (SELECT a, v, by_arm.n * by_value.n / {look.rows} AS e"
        " FROM by_arm CROSS JOIN by_value)"
        " SELECT sum((coalesce(n, 0) - e) ** 2 / e), count(DISTINCT a), count(DISTINCT v)"
        " FROM wanted LEFT JOIN cell USING (a, v)"
    )
    freedom = (arms - 1) * (values - 1)
    if freedom <= 0:
        return 1.0
    return float(chdtrc(freedom, float(statistic)))
