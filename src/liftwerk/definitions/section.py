"""What a room brings to the project file: a name, a struct, and a check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem

if TYPE_CHECKING:
    from liftwerk.definitions.project import Project

NAME_PATTERN = "^[a-z][a-z0-9_]{0,62}$"
"""What a definition may be called: it becomes a column, a file, a word in SQL."""

T_co = TypeVar("T_co", covariant=True)
Check = Callable[["Project"], Iterable[Problem]]
Expand = Callable[["Project"], Iterable["Problem | Expanded"]]


def is_name(text: str) -> bool:
    """Say whether something may be called so.

    Examples
    --------
    >>> is_name("orders_90d"), is_name("Orders"), is_name("90d")
    (True, False, False)
    """
    return re.fullmatch(NAME_PATTERN[1:-1], text) is not None


class Section(Struct, Generic[T_co], frozen=True):
    """One section of the project file; make it with `one` or `named`.

    Attributes
    ----------
    name : str
        The table's name in the file.
    type : type
        The struct of the table, or of each named table under it.
    many : bool
        Whether the section holds named tables (``[features.x]``) or is one table (``[goal]``).
    check : callable or None
        Yields what is wrong beyond a single value: references, rules between sections.
    unhashed : tuple of str
        Fields that say where something lies and not what is meant; they leave the hash alone.
    expand : callable or None
        Yields the definitions that those of this section stand for, before anything is checked, and
        what is wrong with them.
    """

    name: str
    type: type[Any]
    many: bool
    check: Check | None = None
    unhashed: tuple[str, ...] = ()
    expand: Expand | None = None


class Expanded(Struct, frozen=True):
    """A definition that another one stands for.

    Attributes
    ----------
    section : Section
        Where it belongs.
    name : str
        What it is called.
    value : Struct
        What it says.
    written : mapping of tuple to tuple
        Its keys -> where in the files they were written.
    """

    section: Section[dict[str, Any]]
    name: str
    value: Any
    written: Mapping[Path, Path]


S = TypeVar("S", bound=Struct)


def one(
    name: str, struct: type[S], check: Check | None = None, unhashed: tuple[str, ...] = ()
) -> Section[S]:
    """Make a section that is a single table: `project.get` gives the struct."""
    return Section(name, struct, False, check, unhashed)


def named(
    name: str, struct: type[S], check: Check | None = None, expand: Expand | None = None
) -> Section[dict[str, S]]:
    """Make a section of named tables: `project.get` gives name -> struct, in declared order."""
    return Section(name, struct, True, check, expand=expand)
