"""What a customer's consent is, from all that they ever said: a fold over statements.

Consent is said in two ways. An event carries all that was granted when it was collected (a *whole*
statement); a change says what was granted or withdrawn, and nothing of the rest. Folded in the
order of their times:

1. A change grants or withdraws what it names.
2. A whole statement grants the purposes it lists. Where consent is the basis and a purpose is not
   in it, it was withdrawn if it had been granted, and refused if not. For other bases its silence
   says nothing.
3. A whole statement does not undo a withdrawal unless its own time is known: it may be older. An
   objection to a legitimate interest is lifted only by a change that names one of the same leaf
   keys.
4. At one instant a withdrawal is heard last.

So what is said to be granted is what `liftwerk.privacy.permitted` permits: of an event that
happens at that instant, and carries this consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from liftwerk.privacy.definition import Basis, Purpose

Word = Literal["granted", "withdrawn", "refused", "never asked"]


class Statement(Struct, frozen=True):
    """Something that a customer said about purposes.

    Attributes
    ----------
    time : datetime
        When they said it; for a whole statement whose time is not known, when the event happened.
    known_at : datetime
        When we learnt it.
    offset : int
        Its place in the log.
    granted, withdrawn : frozenset of str
        Purposes.
    whole : bool
        Whether ``granted`` lists everything that is granted.
    dated : bool
        Whether the time is that of the consent itself.
    leaves : frozenset of bytes
        The customer's leaf keys that a change names.
    event : str
        The event it stands in.
    source : str
        The source that told us.
    consent_source, version : str or None
        As the event's consent says.
    """

    time: datetime
    known_at: datetime
    offset: int
    granted: frozenset[str]
    withdrawn: frozenset[str] = frozenset()
    whole: bool = False
    dated: bool = True
    leaves: frozenset[bytes] = frozenset()
    event: str = "consent_changed"
    source: str = ""
    consent_source: str | None = None
    version: str | None = None


class Turn(Struct, frozen=True):
    """A statement that changed, or said again, what holds for a purpose."""

    purpose: str
    word: Word
    statement: Statement


class ConsentState(Struct, frozen=True):
    """What holds for one purpose at an instant.

    Attributes
    ----------
    purpose, basis : str
    state : str
        ``granted``, ``withdrawn``, ``refused`` or ``never asked``.
    since : datetime or None
        Since when; None when never asked.
    permitted : bool
        Whether what happens at that instant may be used for the purpose.
    """

    purpose: str
    basis: Basis
    state: Word
    since: datetime | None
    permitted: bool


def turns(statements: Iterable[Statement], name: str, purpose: Purpose) -> Iterator[Turn]:
    """Say how a purpose's consent came about.

    Parameters
    ----------
    statements : iterable of Statement
        All of one customer, in any order.
    name : str
        The purpose's name.
    purpose : Purpose

    Yields
    ------
    Turn
        In the order of their times: every change that names the purpose, and every whole statement
        that turned it.
    """
    word: Word = "never asked"
    closed: set[bytes] = set()  # leaf keys under a withdrawal that no change has lifted
    for statement in sorted(statements, key=lambda statement: _order(statement, name)):
        turned = word
        if statement.whole:
            turned = _heard(statement, name, purpose, word, bool(closed))
            if turned == word:
                continue
        elif name in statement.withdrawn:
            closed |= statement.leaves
            turned = "withdrawn"
        elif name in statement.granted:
            closed -= statement.leaves
            turned = "granted"
            if closed and purpose.basis != "consent":
                turned = "withdrawn"
        else:
            continue
        word = turned
        yield Turn(name, turned, statement)


def _order(statement: Statement, name: str) -> tuple[datetime, bool, bool, int]:
    return statement.time, name in statement.withdrawn, not statement.whole, statement.offset


def _heard(
    statement: Statement, name: str, purpose: Purpose, before: Word, is_closed: bool
) -> Word:
    """Say what a whole statement makes of a purpose."""
    asks = purpose.basis == "consent"
    if name in statement.granted:
        if is_closed and not (asks and statement.dated):
            return before
        return "granted"
    if not asks or before in ("withdrawn", "refused"):
        return before
    if before == "granted":
        return "withdrawn"
    return "refused"


def state_of(
    statements: Iterable[Statement], name: str, purpose: Purpose, at: datetime | None = None
) -> ConsentState:
    """Say what holds for a purpose.

    Parameters
    ----------
    statements : iterable of Statement
        All of one customer that were known.
    name : str
        The purpose's name.
    purpose : Purpose
    at : datetime or None
        The instant; None for after everything.

    Returns
    -------
    ConsentState

    Examples
    --------
    >>> from datetime import UTC
    >>> may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    >>> yes = Statement(may, may, 1, frozenset({"ads"}), whole=True)
    >>> no = Statement(june, june, 2, frozenset(), frozenset({"ads"}), leaves=frozenset({b"ada"}))
    >>> state_of([yes], "ads", Purpose("consent")).state
    'granted'
    >>> state_of([yes, no], "ads", Purpose("consent")).state
    'withdrawn'
    """
    word: Word = "never asked"
    since = None
    for turn in turns(_said_by(statements, purpose, at), name, purpose):
        if turn.word != word:
            since = turn.statement.time
        word = turn.word
    permitted = True
    if purpose.basis == "consent":
        permitted = word == "granted"
    elif purpose.basis == "legitimate_interest":
        permitted = word != "withdrawn"
    return ConsentState(name, purpose.basis, word, since, permitted)


def _said_by(
    statements: Iterable[Statement], purpose: Purpose, at: datetime | None
) -> Iterator[Statement]:
    """Leave out what is said for later; a retroactive withdrawal counts from when it is known."""
    for statement in statements:
        if at is None or statement.time <= at:
            yield statement
        elif statement.withdrawn and purpose.withdrawal == "retroactive":
            yield Statement(
                statement.time,
                statement.known_at,
                statement.offset,
                frozenset(),
                statement.withdrawn,
                leaves=statement.leaves,
            )
