"""Who a row is about and what was done: the key, the arm, and the arm that did nothing."""

from __future__ import annotations

from msgspec import Struct

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.look import Column, Look
from liftwerk.errors import InputError

ARMS_MAX = 10
"""A column with more different values is no arm."""

_SMALLEST = 20
"""Rows below which an arm is more likely something else."""


class Arm(Struct, frozen=True):
    """One arm of the trial.

    Attributes
    ----------
    level : str
        As the file has it.
    action : str
        Its name in the project.
    label : str
        What people call it.
    count : int
        Rows.
    """

    level: str
    action: str
    label: str
    count: int


def key_of(look: Look) -> Column:
    """Find the column that names a customer.

    Raises
    ------
    InputError
        If none has another value in every row.
    """
    unique = [
        column
        for column in look.columns
        if column.filled == look.rows == column.distinct
        and not (column.is_number and column.decimals > 0)
        and not column.is_time
    ]
    named = [column for column in unique if words.has(column.name, words.KEY)]
    if named:
        return min(named, key=_key_rank)
    # A measurement may differ in every row of a small file: a key comes first or is no number.
    likely = [c for c in unique if not c.is_number or c == look.columns[0]]
    if likely:
        return likely[0]
    hint = 'add a column such as "customer_id" with another value in every row'
    for column in look.columns:
        if words.has(column.name, words.KEY) and column.distinct > look.rows / 2:
            repeats = look.rows - column.distinct
            what = f"{column.name!r} repeats or is empty in {repeats} of {look.rows} rows"
            raise InputError(what, look.file.name, "leave one row a customer")
    raise InputError("no column names a customer", look.file.name, hint)


def _key_rank(column: Column) -> tuple[bool, bool]:
    found = words.words(column.name)
    return (words.is_personal(column.name), "id" not in found and "key" not in found)


def arm_of(look: Look, key: Column) -> Column:
    """Find the column that says what was done.

    Raises
    ------
    InputError
        If none looks like it.
    """
    scored = [
        (_arm_score(column), -place, column)
        for place, column in enumerate(look.columns)
        if column != key
        and 2 <= len(column.levels) <= ARMS_MAX
        and column.filled == look.rows
        and not column.is_time
    ]
    best = max(scored, default=(0, 0, key), key=lambda one: one[:2])
    if best[0] <= 0:
        what = "no column says which arm a row was in"
        raise InputError(what, look.file.name, 'name it "arm" in the header')
    return best[2]


def _arm_score(column: Column) -> int:
    score = 0
    found = words.words(column.name)
    named = words.has(column.name, words.ARM)
    if named:
        score += 4
    if len(found) == 1 and named:
        score += 2
    if any(words.has(level, words.CONTROL) for level, _ in column.levels):
        score += 5
    if words.has(column.name, words.BEFORE | words.OUTCOME | words.MEANWHILE) and not named:
        score -= 6
    smallest = min(count for _, count in column.levels)
    if score > 0 and smallest < _SMALLEST:
        score -= 2
    return score


def arms_of(column: Column) -> tuple[tuple[Arm, ...], bool]:
    """Name the arms, the control arm first.

    Returns
    -------
    (tuple of Arm, bool)
        The arms, and whether the control arm had to be guessed.
    """
    control = next(
        (level for level, _ in column.levels if words.has(level, words.CONTROL)),
        next(
            (level for level, _ in column.levels if level.lower() in words.CONTROL_LEVELS),
            None,
        ),
    )
    is_guess = control is None
    if control is None:
        control = column.levels[0][0]
    ordered = sorted(column.levels, key=lambda one: (one[0] != control, one[0]))
    arms: list[Arm] = []
    for place, (level, count) in enumerate(ordered):
        bare = level.lower() in (*words.YES, *words.NO)
        action = words.slug(level, f"arm_{place}")
        label = level
        if bare and level == control:
            action, label = "nothing", f"{column.name} {level}"
        elif bare:
            action, label = words.slug(column.name, "treated"), f"{column.name} {level}"
        while any(action == arm.action for arm in arms):
            action = f"{action}_{place}"
        arms.append(Arm(level, action, label, count))
    return tuple(arms), is_guess
