"""A project written in Python instead of TOML: the same structs, the same checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liftwerk.definitions.load import build
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import Section


class Definitions:
    """Collects definitions and builds a project from them.

    Parameters
    ----------
    sections : sequence of Section
        Every section that may be declared.
    root : path-like
        The folder that relative paths start from.

    Examples
    --------
    >>> from liftwerk.definitions import PROJECT
    >>> draft = Definitions([PROJECT]).add("project", name="shop", currency="EUR")
    >>> draft.build().name
    'shop'
    """

    def __init__(self, sections: Sequence[Section[Any]], root: Path | str = ".") -> None:
        self._sections = sections
        self._root = root
        self._values: dict[str, dict[str, Any]] = {}

    def add(self, section: str, name: str | None = None, /, **values: Any) -> Definitions:
        """Declare one table; a later one of the same name takes the earlier one's place.

        Parameters
        ----------
        section : str
            The section, as in the file.
        name : str or None
            The definition's name; None for a section that is a single table.
        **values
            Its keys; one that Python keeps for itself takes an underscore, ``from_``. What is
            None is left out.

        Returns
        -------
        Definitions
            Itself, so that calls can be chained.
        """
        table = {key.removesuffix("_"): item for key, item in values.items() if item is not None}
        if name is None:
            self._values[section] = table
        else:
            self._values.setdefault(section, {})[name] = table
        return self

    def build(self) -> Project:
        """Check everything and return the project.

        Raises
        ------
        DefinitionError
            The first problem, if there is any.
        """
        return build(self._values, self._sections, self._root)
