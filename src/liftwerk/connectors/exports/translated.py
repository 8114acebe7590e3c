"""What a kind of export makes of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow

from liftwerk.connectors.mapping import Mapped

Body = str | bytes
Bodies = list[tuple[int, tuple[Body | None, ...]]]

NOT_JSON = "not a JSON object"
"""A row that is none; it is admitted as an event, and so refused with a reason."""

UNTRANSLATED = Mapped("", tuple({} for _ in range(4)), (frozenset(),) * 4)
"""No column of the file is to blame: a row's fields are named in the reason."""


@dataclass(frozen=True)
class Translated:
    """How a file's rows become events.

    Attributes
    ----------
    sql : str
        Returns the row's number, and what ``events_of`` takes.
    events_of : callable
        Turns a batch into each row's number and the JSON of its events, and counts in the counter
        why rows make none.
    mapped : Mapped
        Whom to blame for what is refused.
    """

    sql: str
    events_of: Callable[[pyarrow.RecordBatch, Counter[str]], Bodies]
    mapped: Mapped
