"""The small parts of SQL that definitions are written in, as trees."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot.errors import SqlglotError


def tree_of(text: str, what: str) -> Any:
    """Parse one piece of SQL.

    Parameters
    ----------
    text : str
        As it is written in the project file.
    what : str
        What it should be, such as ``condition``.

    Returns
    -------
    sqlglot.exp.Expression

    Raises
    ------
    ValueError
        If it cannot be read, or is not one.
    """
    try:
        found = sqlglot.parse(text, read="duckdb")
    except (SqlglotError, RecursionError):
        raise ValueError(f"{text!r} cannot be read as the {what}") from None
    if len(found) != 1 or found[0] is None:
        raise ValueError(f"{text!r} is not one {what}")
    return found[0]
