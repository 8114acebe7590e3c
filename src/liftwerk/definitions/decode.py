"""Plain values from TOML or Python -> checked structs.

Everything that is wrong is reported, not only the first thing. Strict: a number is not text, text
is not a number. A struct may accept a short form: a classmethod ``shorthand(text)`` that makes it
from a string and raises `ValueError` saying what would be right.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import dotted, shown
from liftwerk.definitions.typed import DECIMAL_PATTERN, TypedString
from liftwerk.errors import did_you_mean

Report = Callable[[Path, str, str], None]
"""Receives a path, what is wrong with it, and what would be right."""


class Wrong:
    """Stands where a value could not be read; never leaves this file inside a struct."""


WRONG = Wrong()


def decode(wanted: Any, value: object, path: Path, report: Report) -> Any:
    """Read one value as a type, reporting all that is wrong with it.

    Parameters
    ----------
    wanted : type
        A struct, a typed string, a scalar, or a list, tuple, dict or optional of these.
    value : object
        What the file says.
    path : tuple
        Where it says so.
    report : callable
        Called for each problem.

    Returns
    -------
    object
        The value, or `WRONG` when anything was reported.
    """
    if wanted is Any:  # whoever declares it so checks it
        return value
    origin = typing.get_origin(wanted)
    if origin in (types.UnionType, typing.Union):
        return decode(_member(wanted, value), value, path, report)
    if origin is typing.Literal:
        return _choice(typing.get_args(wanted), value, path, report)
    if origin in (list, tuple):
        return _sequence(wanted, value, path, report)
    if origin is dict:
        return _mapping(wanted, value, path, report)
    if isinstance(wanted, type) and issubclass(wanted, Struct):
        return _struct(wanted, value, path, report)
    return _scalar(wanted, value, path, report)


def _member(union: Any, value: object) -> Any:
    """Pick the member of a union that has the value's shape; TOML has no null."""
    members = [member for member in typing.get_args(union) if member is not type(None)]
    if value is None and len(members) < len(typing.get_args(union)):
        return type(None)
    for member in members:
        if type(value) is member:
            return member
    for member in members:
        if _is_table_like(member) == isinstance(value, Mapping):
            return member
    return members[0]


def _is_table_like(wanted: Any) -> bool:
    if typing.get_origin(wanted) is dict:
        return True
    return isinstance(wanted, type) and issubclass(wanted, Struct)


def _choice(choices: tuple[Any, ...], value: object, path: Path, report: Report) -> Any:
    if value in choices and not isinstance(value, bool):
        return value
    hint = "one of " + ", ".join(str(choice) for choice in choices)
    if isinstance(value, str):
        near = did_you_mean(value, [str(choice) for choice in choices])
        if near.startswith("did you mean"):
            hint = near
    return _wrong(path, value, hint, report)


def _sequence(wanted: Any, value: object, path: Path, report: Report) -> Any:
    if not isinstance(value, list | tuple):
        return _wrong(path, value, "write a list, [ … ]", report)
    item_type = typing.get_args(wanted)[0]
    items = [decode(item_type, item, (*path, i), report) for i, item in enumerate(value)]
    if any(item is WRONG for item in items):
        return WRONG
    if typing.get_origin(wanted) is list:
        return items
    return tuple(items)


def _mapping(wanted: Any, value: object, path: Path, report: Report) -> Any:
    if not isinstance(value, Mapping):
        return _wrong(path, value, "write a table, { name = … }", report)
    item_type = typing.get_args(wanted)[1]
    items = {key: decode(item_type, item, (*path, key), report) for key, item in value.items()}
    if any(item is WRONG for item in items.values()):
        return WRONG
    return items


def _struct(wanted: type[Struct], value: object, path: Path, report: Report) -> Any:
    if isinstance(value, wanted):
        # Built in Python: a struct does not check what it is made from.
        value = {field.encode_name: getattr(value, field.name) for field in _fields(wanted)}
    shorthand = getattr(wanted, "shorthand", None)
    if shorthand is not None and isinstance(value, str):
        try:
            return shorthand(value)
        except ValueError as error:
            return _wrong(path, value, str(error), report)
    if not isinstance(value, Mapping):
        return _wrong(path, value, "write a table, { name = … }", report)
    known = {field.encode_name: field for field in _fields(wanted)}
    sound = True
    meant: set[str] = set()
    for key in value:
        if key not in known:
            sound = False
            hint = did_you_mean(key, known)
            meant.update(name for name in known if hint == f"did you mean {name!r}?")
            report((*path, key), f"unknown key {key!r} in [{dotted(path)}]", hint)
    found: dict[str, Any] = {}
    for key, field in known.items():
        if key in value:
            found[field.name] = decode(field.type, value[key], (*path, key), report)
        elif field.required:
            sound = False
            # A misspelt key is one problem, not two.
            if key not in meant:
                report((*path, key), f"{dotted((*path, key))} is missing", _add(key, field))
    if not sound or any(item is WRONG for item in found.values()):
        return WRONG
    try:
        return wanted(**found)
    except ValueError as error:
        return _wrong(path, value, str(error), report)


@functools.cache
def _fields(struct: type[Struct]) -> tuple[FieldInfo, ...]:
    """Resolve a struct's annotations once: it takes most of the time of reading a project."""
    return fields(struct)


def _add(key: str, field: FieldInfo) -> str:
    wanted = field.type
    if isinstance(wanted, type) and issubclass(wanted, TypedString):
        return f"add {key} = …; {wanted.wanted}"
    if typing.get_origin(wanted) is typing.Literal:
        choices = ", ".join(str(choice) for choice in typing.get_args(wanted))
        return f"add {key} = … (one of {choices})"
    return f"add {key} = …"


def _scalar(wanted: Any, value: object, path: Path, report: Report) -> Any:
    if issubclass(wanted, TypedString):
        return _typed_string(wanted, value, path, report)
    if wanted is datetime:
        return _instant(value, path, report)
    if wanted is Decimal:
        return _decimal(value, path, report)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool):
        return value
    hints = {str: 'write text, "…"', bool: "write true or false", int: "write a whole number"}
    return _wrong(path, value, hints.get(wanted, "write a number"), report)


def _typed_string(wanted: type[TypedString], value: object, path: Path, report: Report) -> Any:
    if isinstance(value, wanted):
        return value
    if not isinstance(value, str):
        return _wrong(path, value, wanted.wanted, report)
    try:
        return wanted(value)
    except ValueError as error:
        return _wrong(path, value, str(error), report)


def instant(value: object) -> datetime:
    """Read a point in time; it must say its zone.

    Parameters
    ----------
    value : object
        ISO 8601 text, or a `datetime`.

    Returns
    -------
    datetime
        The same instant in UTC.

    Raises
    ------
    ValueError
        If it is no instant; the message says what would be right.

    Examples
    --------
    >>> instant("2026-03-01T10:00:00+01:00").isoformat()
    '2026-03-01T09:00:00+00:00'
    """
    wanted = 'write a time with its zone such as "2026-03-01T09:30:00Z"'
    found = value
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            raise ValueError(wanted) from None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ValueError(wanted)
    return found.astimezone(UTC)


def _instant(value: object, path: Path, report: Report) -> Any:
    try:
        return instant(value)
    except ValueError as error:
        return _wrong(path, value, str(error), report)


def _decimal(value: object, path: Path, report: Report) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, float):
        return _wrong(path, value, f'write it as text, "{value}", so that it stays exact', report)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return _wrong(path, value, 'write a decimal such as "29.99"', report)
    if re.fullmatch(DECIMAL_PATTERN, str(value), re.ASCII) is None:
        return _wrong(path, value, 'write a decimal such as "29.99"', report)
    return Decimal(value)


def _wrong(path: Path, value: object, hint: str, report: Report) -> Wrong:
    report(path, f"{dotted(path)} is {shown(value)}", hint)
    return WRONG
