"""The tracking plan as types, for the code that sends events."""

from __future__ import annotations

from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.kinds import python, typescript
from liftwerk.events.plan import plan_of

KINDS = {"python": python.written, "typescript": typescript.written}
"""Language -> what writes it."""


def event_types(project: Project, language: str, delivery: tuple[str, ...] = ()) -> str:
    """Write the types of every event that may be sent, in every declared version.

    Parameters
    ----------
    project : Project
    language : str
        One of `KINDS`.
    delivery : tuple of str
        The fields that destinations declare for delivery alone.

    Returns
    -------
    str
        A file.

    Raises
    ------
    UnknownName
        If there are no types for the language.
    """
    if language not in KINDS:
        hint = did_you_mean(language, KINDS)
        raise UnknownName(f"no types for {language!r}", "schema types", hint)
    return KINDS[language](plan_of(project, delivery))
