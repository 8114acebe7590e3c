"""Who ever gave or withdrew a consent for a purpose: of nobody else it matters whose a leaf is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import duckdb

from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.features.kept import UNFILLED

CONSENT = "consent_changed"


class Consented:
    """The leaves that changes of consent for one purpose name; read once, then only what is new.

    Parameters
    ----------
    project : Project
    purpose : str
    """

    def __init__(self, project: Project, purpose: str) -> None:
        columns = ", ".join(quoted(LEAF + name) for name in project.get(IDENTIFIERS))
        asked = text(purpose)
        self._sql = (
            f'SELECT "offset", {columns} FROM {CONSENT}'
            f" WHERE list_contains(withdrawn, {asked}) OR list_contains(granted, {asked})"
        )
        self._offset = UNFILLED
        self._leaves: set[bytes] = set()

    def news(
        self,
        changes: Callable[[int], AbstractContextManager[duckdb.DuckDBPyConnection] | None],
        since: int,
        offset: int,
    ) -> set[bytes]:
        """Read on, and return whom changes behind an offset name.

        Parameters
        ----------
        changes : callable
            Opens what may be read of the changes behind an offset; None where there is none.
        since : int
            The offset.
        offset : int
            The last that is known now.
        """
        found: set[bytes] = set()
        opened = changes(min(since, self._offset))
        if opened is not None:
            with opened as connection:
                for at, *leaves in connection.sql(self._sql).fetchall():
                    named = {leaf for leaf in leaves if leaf is not None}
                    self._leaves |= named
                    if at > since:
                        found |= named
        self._offset = offset
        return found

    def among(self, leaves: Iterable[bytes]) -> bool:
        """Say whether a change names one of some leaves."""
        return not self._leaves.isdisjoint(leaves)
