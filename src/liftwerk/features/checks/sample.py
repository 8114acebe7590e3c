"""Values of a few customers of a view, as they are kept or would be: what its checks look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.features.as_of import with_expressions, with_inputs
from liftwerk.features.brought import reading_beside
from liftwerk.features.definition import value_type
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.kept import KeptView, kept_view, leaves_of
from liftwerk.features.reading import Reader
from liftwerk.features.states import Row, decode_row, is_told
from liftwerk.identity.customers import Customers
from liftwerk.store.online import Online, Reading

MOST = 5_000
"""Keys that are looked at. Those of people are random: the first of them are a random sample."""


class Changed(Struct, frozen=True):
    """What a step would write.

    Attributes
    ----------
    rows : mapping of bytes to bytes or None
        Key -> its row; None for one that goes.
    customers : Customers or None
        Who is which customer by then.
    """

    rows: Mapping[bytes, bytes | None]
    customers: Customers | None


_ARROW: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "time": pa.int64(),
}


def sampled(online: Online, kept: KeptView, most: int = MOST) -> list[bytes]:
    """Return the first keys of a view that have rows."""
    return [row.key for row in online.rows(kept.space, limit=most)]


@lru_cache(maxsize=16)
def kept_features(project: Project, view: str) -> tuple[str, ...]:
    """Name the features of a view that its rows tell, without request, clock or reference data."""
    kept = kept_view(project, view)
    made = {reading.name for reading in kept.view.readings}
    found = []
    for name in kept.declared.features:
        inputs = with_inputs(project, [name])
        told = all(one in made or inputs[one].expression is not None for one in inputs)
        if told and not reading_beside(project, inputs):
            found.append(name)
    return tuple(found)


def values_of(
    project: Project,
    online: Online,
    kept: KeptView,
    keys: Sequence[bytes],
    now: int,
    step: Changed | None = None,
) -> pa.Table:
    """Return the values of some keys of a view, of each customer once.

    Parameters
    ----------
    project : Project
    online : Online
    kept : KeptView
    keys : sequence of bytes
    now : int
        Microseconds since 1970.
    step : Changed, optional
        What takes the place of what is kept.

    Returns
    -------
    pyarrow.Table
        One column a feature of the view, of `kept_features`.
    """
    with online.reading() as reading:
        members = [[key] for key in keys]
        if kept.entity == CUSTOMER:
            groups = _groups(reading, kept, keys, step)
            members = [leaves_of(group) for group in dict.fromkeys(groups)]
        asked = list(dict.fromkeys(key for group in members for key in group))
        bodies, _ = reading.get(kept.space, asked)
    known = dict(zip(asked, bodies, strict=True))
    if step is not None:
        known |= step.rows
    rows = [
        [decode_row(body) for key in group if (body := known[key]) is not None] for group in members
    ]
    return _values(project, kept, [one for one in rows if any(map(is_told, one))], now)


def _groups(
    reading: Reading, kept: KeptView, keys: Sequence[bytes], step: Changed | None
) -> list[bytes]:
    if step is None:
        groups, _ = reading.get(kept.members, keys)
        return [group or key for key, group in zip(keys, groups, strict=True)]
    if step.customers is None:
        return list(keys)
    known = step.customers.groups_of(keys)
    return [known.get(key, key) for key in keys]


def _values(
    project: Project, kept: KeptView, customers: Sequence[Sequence[Row]], now: int
) -> pa.Table:
    names = kept_features(project, kept.name)
    features, view = with_inputs(project, names), kept.view
    reader = Reader(view.grids, view.readings)
    found = [reader.read(rows, now)[0] for rows in customers]
    columns: dict[str, Any] = {}
    for reading in view.readings:
        if reading.name not in features:
            continue
        type_ = _ARROW.get(value_type(project, features[reading.name]), pa.float64())
        columns[reading.name] = pa.array([one[reading.name] for one in found], type_)
    values = with_expressions(project, features, pa.table(columns))
    return values.select(list(names))
