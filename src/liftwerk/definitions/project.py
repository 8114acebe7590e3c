"""A checked project: what its definitions say, and a hash of what they mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec
from msgspec import Struct

from liftwerk.definitions.files import Places
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted, shown
from liftwerk.definitions.section import Section, one
from liftwerk.definitions.typed import TypedString
from liftwerk.errors import DefinitionError, UnknownName, did_you_mean
from liftwerk.money import is_currency

T = TypeVar("T")

DEFAULT_HOME = ".liftwerk"


class ProjectSection(Struct, frozen=True, forbid_unknown_fields=True):
    """``[project]``: the project's name, money and time zone.

    Attributes
    ----------
    name : str
        A short name, in lower case.
    currency : str
        ISO 4217 code of all money in it.
    timezone : str
        IANA zone of calendar periods.
    include : tuple of str
        Patterns of further files, relative to the project's folder.
    description : str
        What it is about.
    """

    name: str
    currency: str
    timezone: str = "UTC"
    include: tuple[str, ...] = ()
    description: str = ""


class Project:
    """A project whose definitions are decoded and checked; made by `load` or `build`.

    Attributes
    ----------
    root : pathlib.Path
        The project's folder.
    file : pathlib.Path
        The project file.
    """

    def __init__(
        self,
        root: FilePath,
        file: FilePath,
        sections: Sequence[Section[Any]],
        values: Mapping[str, Any],
        places: Places,
    ) -> None:
        self.root = root
        self.file = file
        self.sections = tuple(sections)
        self._values = dict(values)
        self._places = places

    def __repr__(self) -> str:
        return f"Project({str(self.file)!r})"

    @property
    def name(self) -> str:
        """The project's name."""
        return self.get(PROJECT).name

    @property
    def currency(self) -> str:
        """ISO 4217 code of the project's money."""
        return self.get(PROJECT).currency

    @property
    def timezone(self) -> ZoneInfo:
        """The zone of calendar periods."""
        return ZoneInfo(self.get(PROJECT).timezone)

    @property
    def home(self) -> FilePath:
        """The folder where the project's state is kept; `[store] home` names it."""
        store = self._values.get("store")
        return self.root / getattr(store, "home", DEFAULT_HOME)

    def get(self, section: Section[T]) -> T:
        """Return what a section says.

        Parameters
        ----------
        section : Section
            One of the sections the project was loaded with.

        Returns
        -------
        Struct or dict
            The struct of a single table (its defaults when it is not in the file); name -> struct
            for named tables.

        Raises
        ------
        UnknownName
            If the table is not in the file and has no defaults.
        """
        value = self.find(section)
        if value is None:
            what = f"no [{section.name}] is declared"
            raise UnknownName(what, self._places.main, f"add a [{section.name}] table")
        return value

    def find(self, section: Section[T]) -> T | None:
        """Return what a section says, or None where `get` would raise."""
        value: T | None = self._values.get(section.name)
        return value

    def lookup(self, section: Section[dict[str, T]], name: str) -> T:
        """Return one named definition.

        Raises
        ------
        UnknownName
            If it is not declared; the nearest name is suggested.
        """
        known = self.get(section)
        if name not in known:
            what = f"no [{section.name}.{name}] is declared"
            raise UnknownName(what, self._places.main, did_you_mean(name, known))
        return known[name]

    def with_definition(
        self,
        section: Section[dict[str, T]],
        name: str,
        value: T,
        written: Mapping[Path, Path] | None = None,
    ) -> Project:
        """Return the project with one more definition, which nothing checks.

        Parameters
        ----------
        section : Section
            A section of named tables.
        name : str
            What it is called; it takes the place of one of that name.
        value : Struct
            What it says.
        written : mapping of tuple to tuple, optional
            Its keys -> where in the files they were written.
        """
        values = {**self._values, section.name: {**self._values[section.name], name: value}}
        places = self._places.standing_for(written or {})
        return Project(self.root, self.file, self.sections, values, places)

    def problem(self, path: Path, hint: str, found: object = None, what: str = "") -> Problem:
        """Say what is wrong with a key, with its place in the files.

        Parameters
        ----------
        path : tuple
            The key, from the top.
        hint : str
            What would be right.
        found : object
            The value that was found, for "KEY is FOUND".
        what : str
            Other words, instead of "KEY is FOUND".
        """
        words = what
        if not words:
            words = f"{dotted(path)} is {shown(found)}"
        return Problem(words, *self._places.of(path), dotted(path), hint)

    def unknown(self, path: Path, found: str, known: Iterable[str]) -> Problem:
        """Say that a name refers to nothing declared, and suggest the nearest."""
        return self.problem(path, did_you_mean(found, known), found)

    def unknown_key(self, path: Path, known: Iterable[str]) -> Problem:
        """Say that a key is none of the declared names, and suggest the nearest."""
        key = str(path[-1])
        what = f"unknown key {key!r} in [{dotted(path[:-1])}]"
        return self.problem(path, did_you_mean(key, known), what=what)

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical content of all sections.

        Comments, the order of keys, the spelling of typed strings, the split into files, the
        folder and the store's home leave it alone.
        """
        return self.section_hash(*self.sections)

    def section_hash(self, *sections: Section[Any]) -> str:
        """SHA-256 over the canonical content of some sections, for the keys of steps."""
        content = {section.name: self._plain(section) for section in sections}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _plain(self, section: Section[Any]) -> Any:
        plain = plain_value(self.find(section))
        if not section.many and plain is not None:
            for field in section.unhashed:
                plain.pop(field, None)
        return plain


def plain_value(value: Any) -> Any:
    """Return a definition as JSON-able values, each typed string in its canonical form."""
    return msgspec.to_builtins(value, enc_hook=_canonical, str_keys=True)


def _canonical(value: Any) -> str:
    if isinstance(value, TypedString):
        return value.canonical
    raise NotImplementedError(f"no plain form of {type(value).__name__}")


def _check(project: Project) -> Iterable[Problem]:
    section = project.get(PROJECT)
    if not section.name.strip():
        yield project.problem(("project", "name"), "write a short name", section.name)
    if not is_currency(section.currency):
        hint = 'write an ISO 4217 code such as "EUR"'
        yield project.problem(("project", "currency"), hint, section.currency)
    try:
        ZoneInfo(section.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(section.timezone, available_timezones())
        if not hint.startswith("did you mean"):
            hint = 'write an IANA zone such as "Europe/Berlin"'
        yield project.problem(("project", "timezone"), hint, section.timezone)


PROJECT = one("project", ProjectSection, _check, unhashed=("include",))

__all__ = ["PROJECT", "DefinitionError", "Project", "ProjectSection", "plain_value"]
