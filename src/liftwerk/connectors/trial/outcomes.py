"""What happened after the action: yes or no, and how much money."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.look import TABLE, Column, Look
from liftwerk.errors import InputError
from liftwerk.events.engine import quoted, text

BINARIES_MAX = 2
"""More outcomes than these beside money only blur the answer."""

ORDERED = "ordered"
"""The column that is added where none says whether money was spent."""

_ENOUGH = 3
_SURE = 5
_RARE = 0.5


class Binary(Struct, frozen=True):
    """An outcome that happened or not.

    Attributes
    ----------
    column : str
        Where it stands.
    yes : str
        What the column says when it happened.
    sql : str
        How to make the column from the file's, where it has to be added.
    question : str
        What to ask about it; empty when nothing is in doubt.
    """

    column: str
    yes: str
    sql: str = ""
    question: str = ""

    @property
    def happened(self) -> str:
        """The same as an SQL condition on the file's columns."""
        if self.sql:
            return f"({self.sql}) = {text(self.yes)}"
        return f"coalesce({quoted(self.column)} = {text(self.yes)}, false)"


class Outcomes(Struct, frozen=True):
    """What the trial can measure.

    Attributes
    ----------
    binaries : tuple of Binary
        What happened or not, beside an order.
    order : Binary
        Whether an order was made.
    money : Column or None
        What it brought; None where the file does not say.
    question : str
        What to ask about the money; empty when nothing is in doubt.
    """

    binaries: tuple[Binary, ...]
    order: Binary
    money: Column | None
    question: str = ""


def outcomes_of(look: Look, taken: Collection[Column]) -> Outcomes:
    """Find what happened after the action.

    Raises
    ------
    InputError
        If no column looks like it.
    """
    free = [column for column in look.columns if column not in taken]
    candidates = [column for column in free if is_outcome(column)]
    binaries = [found for column in candidates if (found := _binary(column)) is not None]
    money, score = _money(look, free, binaries)
    if money is not None:
        order = _same(look, money, binaries)
        question = ""
        if score < _SURE:
            question = f"{money.name!r} is what a customer spent after the action"
        if order is None:
            spent = f"CASE WHEN CAST({quoted(money.name)} AS DOUBLE) <> 0 THEN '1' ELSE '0' END"
            order = Binary(ORDERED, "1", sql=spent)
        rest = tuple(one for one in binaries if one.column != order.column)
        return Outcomes(rest[:BINARIES_MAX], order, money, question)
    if not binaries:
        binaries = [found for column in candidates if (found := _counted(column)) is not None]
    if not binaries:
        hint = 'name it "conversion" (0 or 1) or "spend" in the header'
        raise InputError("no column looks like an outcome", look.file.name, hint)
    named = [one for one in binaries if words.has(one.column, words.ORDER)]
    order = (named or binaries)[0]
    rest = tuple(one for one in binaries if one != order)
    return Outcomes(rest[:BINARIES_MAX], order, None)


def is_outcome(column: Column) -> bool:
    """Say whether a column's name promises something that happened after the action."""
    if words.has(column.name, words.BEFORE | words.MEANWHILE):
        return False
    return words.has(column.name, words.OUTCOME)


def is_afterwards(column: Column) -> bool:
    """Say whether a column looks as if it was filled after the action, whatever it is.

    Such a column may never be a feature: it would tell the model the answer.
    """
    if words.has(column.name, words.BEFORE):
        return False
    known = words.OUTCOME | words.MEANWHILE
    if column.is_number:
        known |= words.MONEY_FOR_SURE
    return words.has(column.name, known)


def _binary(column: Column) -> Binary | None:
    if len(column.levels) != 2:
        return None
    said = {level.strip().lower(): level for level, _ in column.levels}
    yes = [level for key, level in said.items() if key in words.YES]
    no = [level for key, level in said.items() if key in words.NO]
    if yes and no:
        return Binary(column.name, yes[0])
    if column.is_number:
        return None
    rarer = column.levels[1][0]
    without_no = [level for level, _ in column.levels if not words.has(level, words.CONTROL)]
    if len(without_no) == 1:
        rarer = without_no[0]
    return Binary(column.name, rarer, question=f"{column.name!r} happened where it says {rarer!r}")


def _counted(column: Column) -> Binary | None:
    """Make "at least once" of a number of times."""
    if not column.is_whole or column.low is None or column.low < 0:
        return None
    at_least_once = f"CASE WHEN CAST({quoted(column.name)} AS DOUBLE) > 0 THEN '1' ELSE '0' END"
    question = f"{column.name!r} counts what happened after the action: once or more is a success"
    return Binary(f"any_{words.slug(column.name, 'outcome')}", "1", at_least_once, question)


def _money(look: Look, free: list[Column], binaries: list[Binary]) -> tuple[Column | None, int]:
    """Find the column that is most likely what was spent after the action."""
    best: tuple[Column | None, int] = (None, _ENOUGH - 1)
    for column in free:
        if not column.is_number or len(column.levels) == 2 or column.nonzero == 0:
            continue
        if words.has(column.name, words.BEFORE) or not words.has(column.name, words.MONEY):
            continue
        score = 1
        if words.has(column.name, words.MONEY_FOR_SURE):
            score += 2
        if column.nonzero < _RARE * look.rows:
            score += 2
        if words.days_in(column.name) is not None or words.has(column.name, words.MEANWHILE):
            score += 1
        if _same(look, column, binaries) is not None:
            score += 3
        if score > best[1]:
            best = (column, score)
    return best


def _same(look: Look, money: Column, binaries: list[Binary]) -> Binary | None:
    """Find the outcome that happened exactly where money was spent."""
    for one in binaries:
        spent = f"coalesce(CAST({quoted(money.name)} AS DOUBLE), 0) <> 0"
        ((differ,),) = look.ask(
            f"SELECT count(*) FILTER (WHERE ({spent}) <> ({one.happened})) FROM {TABLE}"
        )
        if differ == 0:
            return one
    return None
