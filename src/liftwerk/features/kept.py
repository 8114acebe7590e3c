"""Where and how a view's values are kept: what writes them and what reads them agree on it here."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import DefinitionError
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.read import refused_name
from liftwerk.features.as_of import with_inputs
from liftwerk.features.tiles import View, compile_view
from liftwerk.features.used import view_version
from liftwerk.features.views import FEATURE_VIEWS, FeatureView
from liftwerk.store.online import Progress

MEMBERS = "members"
"""The space of who is who: leaf -> all leaves of its customer, where that are several."""

STALE = "stale"
"""The space of keys whose rows are to be made anew, whatever comes."""

FILLING = "filling"
"""The space that says how far a fill has come, while it is under way."""

UNFILLED = -1
"""Where a space stands while it is being filled: before 0, up to which an empty log is known."""

LEAF = 16
"""Bytes of a leaf key."""


class KeptView(Struct, frozen=True):
    """A declared view, and how it is kept.

    Attributes
    ----------
    name : str
    declared : FeatureView
    space : str
        Where its rows are.
    view : View
        How they are made and read.
    events : tuple of str
        What they are made of.
    """

    name: str
    declared: FeatureView
    space: str
    view: View
    events: tuple[str, ...]

    @property
    def entity(self) -> str:
        """Whom or what its rows are about."""
        return self.declared.entity

    @property
    def scanned(self) -> tuple[str, ...]:
        """What rows are made of: the events, and their rows that may not be read."""
        return (*self.events, *map(refused_name, self.events))

    @property
    def members(self) -> str:
        """The space of who is who."""
        return f"{self.space}/{MEMBERS}"

    @property
    def stale(self) -> str:
        """The space of keys whose rows are to be made anew."""
        return f"{self.space}/{STALE}"

    @property
    def filling(self) -> str:
        """The space that says how far a fill has come."""
        return f"{self.space}/{FILLING}"

    @property
    def spaces(self) -> tuple[str, ...]:
        """All that is kept of it."""
        return self.space, self.members, self.stale, self.filling


@lru_cache(maxsize=16)
def kept_view(project: Project, name: str) -> KeptView:
    """Compile a declared view, once for who fills it and who serves it.

    Of an older version, ``VIEW@VERSION``, the project is `liftwerk.features.older.as_used`.

    Raises
    ------
    UnknownName
        If no such view is declared.
    """
    declared = project.lookup(FEATURE_VIEWS, name)
    events = known_events(project)
    features = with_inputs(project, declared.features)
    view = compile_view(features, events, project.currency, project.get(ENTITIES))
    if not view.plans:
        what = f"feature_views.{name} has nothing to keep: none of its features is made of events"
        raise DefinitionError(what, f"feature_views.{name}", "add one")
    read = dict.fromkeys(plan.source.event for plan in view.plans)
    space = f"{name.partition('@')[0]}@{view_version(project, name)}"
    return KeptView(name, declared, space, view, tuple(read))


def is_filled(progress: Progress | None) -> bool:
    """Say whether a space holds all that it should up to its offset."""
    return progress is not None and progress.offset != UNFILLED


def leaves_of(group: bytes) -> list[bytes]:
    """Part a group into its leaf keys."""
    return [group[at : at + LEAF] for at in range(0, len(group), LEAF)]
