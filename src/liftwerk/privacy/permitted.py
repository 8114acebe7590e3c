"""The one rule: which event may be read for which purpose, by what was known then.

======================  ==================  ==========================
basis                   granted in event?   can be withdrawn?
======================  ==================  ==========================
consent                 must be             yes
legitimate_interest     not asked           yes (an objection)
contract                not asked           no
legal_obligation        not asked           no
======================  ==================  ==========================

A withdrawal counts against an event if all of these hold:

1. it names the purpose, and one of the event's leaf keys;
2. it was known as of the time and the offset that the reader asks for;
3. it reaches the event: where the purpose says ``retroactive``, every event; otherwise (``future``)
   events that happened at its time or later;
4. the event does not rest on a consent given after it: someone who withdraws in May and agrees
   again in June is heard both times;
5. no later grant lifted it before the event: one that names the same purpose and leaf key, and was
   known too. A grant reaches what happens from its time on, and never the past.

An event whose consent is not known (null) is never permitted where the basis is consent. The same
rule stands twice: as a Python function, and compiled to a DuckDB expression for scans; a test over
random data holds the two together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from liftwerk.privacy.definition import Purpose

_GRANTED = ("consent",)


class Change(Struct, frozen=True):
    """Someone changed their mind about a purpose.

    Attributes
    ----------
    leaf : bytes
        The identifier's leaf key.
    purpose : str
        What for.
    time : datetime
        When it was done.
    known_at : datetime
        When we learnt it.
    offset : int
        Its place in the log: what orders knowledge.
    """

    leaf: bytes
    purpose: str
    time: datetime
    known_at: datetime
    offset: int


class Withdrawal(Change, frozen=True):
    """Someone took back a consent, or objected."""


class Grant(Change, frozen=True):
    """Someone agreed, or took back an objection."""


class AsOf(Struct, frozen=True):
    """What a reader may know: up to a time, up to an offset, or both.

    Attributes
    ----------
    time : datetime or None
        Latest known time; None for no bound.
    offset : int or None
        Last offset; None for no bound.
    """

    time: datetime | None = None
    offset: int | None = None

    def knows(self, change: Change) -> bool:
        """Say whether a change was known."""
        if self.time is not None and change.known_at > self.time:
            return False
        return self.offset is None or change.offset <= self.offset


NOW = AsOf()
"""Everything that is known."""


def permitted(
    granted: Collection[str] | None,
    time: datetime,
    leaves: Collection[bytes | None],
    *,
    name: str,
    purpose: Purpose,
    withdrawals: Iterable[Withdrawal],
    grants: Iterable[Grant] = (),
    as_of: AsOf = NOW,
    agreed: datetime | None = None,
) -> bool:
    """Say whether an event may be read for a purpose.

    Parameters
    ----------
    granted : collection of str or None
        Purposes granted in the event; None when its consent is not known.
    time : datetime
        When the event happened.
    leaves : collection of bytes
        Leaf keys of the event's identifiers; None among them stands for one it does not have.
    name : str
        The purpose's name.
    purpose : Purpose
        The purpose.
    withdrawals : iterable of Withdrawal
        All withdrawals; of other people and purposes too.
    grants : iterable of Grant
        All grants that were told by themselves, not in an event.
    as_of : AsOf
        What the reader may know.
    agreed : datetime or None
        When the consent in the event was given; None when that is not known.

    Returns
    -------
    bool
        Whether it may be read.

    Examples
    --------
    >>> from datetime import UTC
    >>> may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    >>> gone = Withdrawal(b"ada", "ads", time=may, known_at=may, offset=7)
    >>> ads = Purpose("consent")
    >>> permitted(["ads"], june, [b"ada"], name="ads", purpose=ads, withdrawals=[gone])
    False
    >>> permitted(["ads"], june, [b"bob"], name="ads", purpose=ads, withdrawals=[gone])
    True
    """
    if purpose.basis in _GRANTED and (granted is None or name not in granted):
        return False
    if not purpose.can_be_withdrawn:
        return True
    consent = None
    if purpose.basis in _GRANTED:
        consent = agreed
    known = [grant for grant in grants if grant.purpose == name and as_of.knows(grant)]
    return not any(
        withdrawal.purpose == name
        and withdrawal.leaf in leaves
        and as_of.knows(withdrawal)
        and _reaches(withdrawal, purpose, time, consent)
        and not any(
            grant.leaf == withdrawal.leaf and withdrawal.time < grant.time <= time
            for grant in known
        )
        for withdrawal in withdrawals
    )


def _reaches(
    withdrawal: Withdrawal, purpose: Purpose, time: datetime, agreed: datetime | None
) -> bool:
    if agreed is not None and agreed > withdrawal.time:
        return False
    return purpose.withdrawal == "retroactive" or withdrawal.time <= time


def withdrawals_sql(
    name: str,
    withdrawals: str,
    grants: str | None = None,
    *,
    as_of_time: str | None = None,
    as_of_offset: str | None = None,
) -> str:
    r"""Compile which withdrawals of a purpose a reader knows, and which of them were lifted.

    Parameters
    ----------
    name : str
        The purpose's name.
    withdrawals : str
        A relation with columns ``leaf`` (BLOB), ``purpose``, ``time``, ``known_at``, ``offset``:
        a table's name, or a query in parentheses.
    grants : str or None
        A relation with the same columns; None when there are no grants.
    as_of_time, as_of_offset : str or None
        SQL of the reader's bounds, usually parameters (``$as_of``); None for no bound.

    Returns
    -------
    str
        A query in parentheses: ``w_leaf``, ``w_time``, and ``w_lifted``, when the first known grant
        after it lifted it. So named, no column is taken for an event's inside `permitted_sql`.

    Examples
    --------
    >>> known = withdrawals_sql("ads", "w", as_of_offset="7")
    >>> known.partition(" FROM ")[2]
    'w AS w WHERE purpose = \'ads\' AND w."offset" <= 7)'
    """
    bounds = {"known_at": as_of_time, "offset": as_of_offset}
    known = {key: bound for key, bound in bounds.items() if bound is not None}
    conditions = [f"purpose = {_text(name)}"]
    conditions += [f"w.{_quoted(key)} <= {bound}" for key, bound in known.items()]
    lifted = "CASE WHEN FALSE THEN w.time END"  # null, of the type that times have
    if grants is not None:
        lifting = ["g.leaf = w.leaf", f"g.purpose = {_text(name)}", "g.time > w.time"]
        lifting += [f"g.{_quoted(key)} <= {bound}" for key, bound in known.items()]
        lifted = f"(SELECT min(g.time) FROM {grants} AS g WHERE {' AND '.join(lifting)})"
    return (
        f"(SELECT leaf AS w_leaf, time AS w_time, {lifted} AS w_lifted FROM {withdrawals} AS w"
        f" WHERE {' AND '.join(conditions)})"
    )


def permitted_sql(
    name: str,
    purpose: Purpose,
    *,
    leaf_columns: Sequence[str],
    withdrawals: str,
    granted_column: str = "consent_granted",
    time_column: str = "time",
    agreed_column: str | None = None,
    table: str | None = None,
) -> str:
    """Compile `permitted` to a DuckDB expression over an event table's columns.

    Parameters
    ----------
    name : str
        The purpose's name.
    purpose : Purpose
        The purpose.
    leaf_columns : sequence of str
        Columns with the event's leaf keys (BLOB; null where it lacks that identifier).
    withdrawals : str
        What `withdrawals_sql` returned, or the name of a table that was made of it.
    granted_column, time_column : str
        Columns with the granted purposes (VARCHAR[], may be null) and the event's time.
    agreed_column : str or None
        Column with the time the consent was given, when there is one.
    table : str or None
        Alias of the event table, when the query names more than one.

    Returns
    -------
    str
        A boolean expression, never null.

    Examples
    --------
    >>> permitted_sql("tax", Purpose("legal_obligation"), leaf_columns=[], withdrawals="w")
    'TRUE'
    >>> print(permitted_sql("ads", Purpose("consent"), leaf_columns=[], withdrawals="w"))
    (coalesce(list_contains("consent_granted", 'ads'), FALSE))
    """

    def column(title: str) -> str:
        if table is None:
            return _quoted(title)
        return f"{_quoted(table)}.{_quoted(title)}"

    conditions = []
    if purpose.basis in _GRANTED:
        contains = f"list_contains({column(granted_column)}, {_text(name)})"
        conditions.append(f"coalesce({contains}, FALSE)")
    if purpose.can_be_withdrawn:
        reach = [f"(w_lifted IS NULL OR {column(time_column)} < w_lifted)"]
        if purpose.withdrawal == "future":
            reach.append(f"w_time <= {column(time_column)}")
        if agreed_column is not None and purpose.basis in _GRANTED:
            agreed = column(agreed_column)
            reach.append(f"({agreed} IS NULL OR {agreed} <= w_time)")
        # One anti-join a column: each has an equality to hash on, where an OR would have none.
        conditions += [
            f"NOT EXISTS (SELECT 1 FROM {withdrawals}"
            f" WHERE {' AND '.join([f'w_leaf = {column(leaf)}', *reach])})"
            for leaf in leaf_columns
        ]
    if not conditions:
        return "TRUE"
    return "(" + " AND ".join(conditions) + ")"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
