"""The probability of what was drawn: a column that says it, or a plan the counts agree with."""

from __future__ import annotations

from collections.abc import Collection
from math import sqrt

from msgspec import Struct

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.look import TABLE, Column, Look
from liftwerk.connectors.trial.roles import Arm
from liftwerk.connectors.trial.shares import plan_of
from liftwerk.events.engine import quoted, text

ADDED = "drawn_probability"
"""The column that is added where every arm has a probability of its own."""

_TOLERANCE = 5.0
"""Standard errors between what adds up and what is near enough."""


class Chance(Struct, frozen=True):
    """Where the probability of the drawn action comes from.

    Attributes
    ----------
    value : str
        One for every row, such as ``1/3``; empty when a column holds it.
    column : str
        The column; empty for one value.
    sql : str
        How to make the column from the file's, where it has to be added.
    question : str
        What to ask about it; empty when nothing is in doubt.
    varies : bool
        Whether it differs within an arm, so that the arms may differ too.
    """

    value: str = ""
    column: str = ""
    sql: str = ""
    question: str = ""
    varies: bool = False


def chance_of(look: Look, arm: Column, arms: tuple[Arm, ...], taken: Collection[Column]) -> Chance:
    """Find the probability of what was drawn.

    Parameters
    ----------
    look : Look
        The file.
    arm : Column
        The column that says what was done.
    arms : tuple of Arm
        The control arm first.
    taken : collection of Column
        Columns that are something else.

    Returns
    -------
    Chance
    """
    column = _column(look, taken)
    if column is not None:
        return _said(look, column, arm, arms)
    shares = plan_of([one.count for one in arms])
    if shares.are_equal:
        return Chance(value=str(shares.exact[0]))
    listed = ", ".join(
        f"{one.label} {share}" for one, share in zip(arms, shares.exact, strict=True)
    )
    question = f"the arms were drawn with these probabilities: {listed} (read off their sizes)"
    if not shares.planned:
        question = f"no plain shares fit the arms' sizes, so their observed ones stand: {listed}"
    cases = " ".join(
        f"WHEN {text(one.level)} THEN {text(repr(float(share)))}"
        for one, share in zip(arms, shares.exact, strict=True)
    )
    sql = f"CASE {quoted(arm.name)} {cases} END"
    return Chance(column=ADDED, sql=sql, question=question)


def _column(look: Look, taken: Collection[Column]) -> Column | None:
    for column in look.columns:
        if column in taken or column.filled < look.rows or not column.is_number:
            continue
        if (
            column.low is None
            or column.high is None
            or not words.has(column.name, words.PROBABILITY)
        ):
            continue
        if column.low > 0 and column.high <= 1:
            return column
    return None


def _said(look: Look, column: Column, arm: Column, arms: tuple[Arm, ...]) -> Chance:
    """Find out whose probability the column holds: 1/p adds up to the rows in every arm."""
    name = quoted(column.name)
    varies = column.distinct > len(arms)
    if all(_adds_up(look, arm, one, name) for one in arms):
        return Chance(column=column.name, varies=varies)
    other = f"(1 - CAST({name} AS DOUBLE))"
    if (
        len(arms) == 2
        and _adds_up(look, arm, arms[0], other)
        and _adds_up(look, arm, arms[1], name)
    ):
        control = f"{quoted(arm.name)} = {text(arms[0].level)}"
        sql = f"CASE WHEN {control} THEN CAST({other} AS VARCHAR) ELSE {name} END"
        question = f"{column.name!r} is the probability of {arms[1].label!r} in every row"
        return Chance(column=ADDED, sql=sql, question=question, varies=varies)
    question = (
        f"{column.name!r} is the probability of what was drawn:"
        " the arms' sizes do not agree with it"
    )
    return Chance(column=column.name, question=question, varies=varies)


def _adds_up(look: Look, arm: Column, one: Arm, probability: str) -> bool:
    drawn = f"CAST({probability} AS DOUBLE)"
    ((total, variance),) = look.ask(
        f"SELECT sum(1 / p), sum((1 - p) / (p * p)) FROM (SELECT {drawn} AS p FROM {TABLE}"
        f" WHERE {quoted(arm.name)} = {text(one.level)})"
    )
    return bool(abs(total - look.rows) <= _TOLERANCE * sqrt(variance) + 1)
