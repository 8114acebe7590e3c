"""All that a trial's file says, put together."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.chances import Chance, chance_of
from liftwerk.connectors.trial.history import History, Known, LeftOut, history_of
from liftwerk.connectors.trial.look import TABLE, Column, Look
from liftwerk.connectors.trial.outcomes import Outcomes, outcomes_of
from liftwerk.connectors.trial.roles import Arm, arm_of, arms_of, key_of
from liftwerk.errors import InputError
from liftwerk.events.engine import quoted, text
from liftwerk.money import exponent

DEFAULT_CURRENCY = "USD"
DEFAULT_DAYS = 14


class Trial(Struct, frozen=True):
    """A trial, understood.

    Attributes
    ----------
    key : Column
        Names a customer.
    arm : Column
        Says what was done.
    arms : tuple of Arm
        The control arm first.
    control_is_guess : bool
        Whether the control arm had to be guessed.
    chance : Chance
        The probability of what was drawn.
    outcomes : Outcomes
        What happened afterwards.
    history : History
        What was known before.
    currency : str
        Of the amounts.
    currency_is_guess : bool
        Whether that had to be guessed.
    days : int
        How long outcomes were counted.
    days_is_guess : bool
        Whether that had to be guessed.
    mean_spend : float
        What a row brought on average.
    made : dict of str to str
        Columns that have to be made or changed -> SQL over the file's own.
    changes : tuple of str
        The same in words.
    """

    key: Column
    arm: Column
    arms: tuple[Arm, ...]
    control_is_guess: bool
    chance: Chance
    outcomes: Outcomes
    history: History
    currency: str
    currency_is_guess: bool
    days: int
    days_is_guess: bool
    mean_spend: float
    made: dict[str, str]
    changes: tuple[str, ...]

    @property
    def used(self) -> list[str]:
        """The file's columns that the project reads, those that are made included."""
        names = [self.key.name, self.arm.name, self.chance.column, self.outcomes.order.column]
        names += [one.column for one in self.outcomes.binaries]
        if self.outcomes.money is not None:
            names.append(self.outcomes.money.name)
        names += [one.column.name for one in self.history.known]
        return list(dict.fromkeys(name for name in names if name))

    @property
    def needs_copy(self) -> bool:
        """Whether the file cannot stand in the project as it is."""
        return bool(self.made) or any(one.personal for one in self.history.left_out)


def understand(look: Look) -> Trial:
    """Say what each column of a trial's file is.

    Parameters
    ----------
    look : Look
        The file.

    Returns
    -------
    Trial

    Raises
    ------
    InputError
        If there is no key, no arm, no outcome, or nothing to learn from.
    """
    key = key_of(look)
    arm = arm_of(look, key)
    arms, control_is_guess = arms_of(arm)
    chance = chance_of(look, arm, arms, (key, arm))
    taken = [one for one in look.columns if one in (key, arm) or one.name == chance.column]
    outcomes = outcomes_of(look, taken)
    happened = (outcomes.order, *outcomes.binaries)
    names = {one.name for one in taken} | {one.column for one in happened}
    if chance.sql:
        names |= {one.name for one in look.columns if words.has(one.name, words.PROBABILITY)}
    if outcomes.money is not None:
        names.add(outcomes.money.name)
    history = history_of(look, arm, happened, names, by_lot=not chance.varies)
    currency, currency_is_guess = _currency(look, outcomes.money)
    history = _with_exact_money(look, history, currency)
    if not history.known:
        what = "no column says what was known of a customer before the action"
        raise InputError(what, look.file.name, _why_not(history.left_out))
    days = next(
        (days for name in _outcome_names(outcomes) if (days := words.days_in(name)) is not None),
        None,
    )
    trial = Trial(
        key=key,
        arm=arm,
        arms=arms,
        control_is_guess=control_is_guess,
        chance=chance,
        outcomes=outcomes,
        history=history,
        currency=currency,
        currency_is_guess=currency_is_guess,
        days=days or DEFAULT_DAYS,
        days_is_guess=days is None,
        mean_spend=_mean(look, outcomes),
        made={},
        changes=(),
    )
    made, changes = _made(look, trial)
    return replace(trial, made=made, changes=changes)


def _outcome_names(outcomes: Outcomes) -> list[str]:
    names = [outcomes.order.column, *(one.column for one in outcomes.binaries)]
    if outcomes.money is not None:
        names.insert(0, outcomes.money.name)
    return names


def _currency(look: Look, money: Column | None) -> tuple[str, bool]:
    if money is not None:
        for word in words.words(money.name):
            if word.upper() in words.CURRENCIES:
                return word.upper(), False
    if look.symbol:
        return words.SYMBOLS[look.symbol], look.symbol != "€"
    return DEFAULT_CURRENCY, True


def _with_exact_money(look: Look, history: History, currency: str) -> History:
    """Let only amounts that the currency can hold be money; others are numbers."""
    known = [
        Known(one.column, "number")
        if one.kind == "money" and _inexact(look, one.column, currency)
        else one
        for one in history.known
    ]
    return replace(history, known=tuple(known))


def _inexact(look: Look, column: Column, currency: str) -> int:
    """Count the amounts that are not written as the currency's."""
    decimals = exponent(currency)
    cents = r"(\.0+)?"
    if decimals:
        cents = rf"(\.[0-9]{{1,{decimals}}}0*)?"
    pattern = rf"\s*-?[0-9]{{1,15}}{cents}\s*"
    name = quoted(column.name)
    ((count,),) = look.ask(
        f"SELECT count(*) FILTER (WHERE NOT regexp_full_match({name}, {text(pattern)}))"
        f" FROM {TABLE}"
    )
    return int(count)


def _mean(look: Look, outcomes: Outcomes) -> float:
    value = f"CAST({outcomes.order.happened} AS DOUBLE)"
    if outcomes.money is not None:
        value = f"coalesce(CAST({quoted(outcomes.money.name)} AS DOUBLE), 0)"
    ((mean,),) = look.ask(f"SELECT avg({value}) FROM {TABLE}")
    return float(mean)


def _made(look: Look, trial: Trial) -> tuple[dict[str, str], tuple[str, ...]]:
    """List what has to be made or changed, so that the importer takes the file."""
    made: dict[str, str] = {}
    changes: list[str] = []
    for name in trial.used:
        column = next((one for one in look.columns if one.name == name), None)
        if column is not None and column.tidied:
            made[name] = quoted(name)
            changes.append(f"{name}: {column.tidied}")
    money = trial.outcomes.money
    if money is not None and _inexact(look, money, trial.currency):
        decimals = exponent(trial.currency)
        amount = f"CAST(CAST({quoted(money.name)} AS DOUBLE) AS DECIMAL(18, {decimals}))"
        made[money.name] = f"CAST({amount} AS VARCHAR)"
        changes.append(f"{money.name}: amounts rounded to {decimals} decimals")
    if trial.chance.sql:
        made[trial.chance.column] = trial.chance.sql
        changes.append(f"{trial.chance.column}: added, the probability of what was drawn")
    for one in (trial.outcomes.order, *trial.outcomes.binaries):
        if one.sql:
            made[one.column] = one.sql
            changes.append(f"{one.column}: added, 1 where it happened")
    return made, tuple(changes)


def _why_not(left_out: tuple[LeftOut, ...]) -> str:
    if not left_out:
        return "add what was known before, such as past purchases"
    return "; ".join(f"{one.column!r} is left out: {one.why}" for one in left_out[:3])
