"""``[store]``: where the project's state rests."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import DEFAULT_HOME, Project
from liftwerk.definitions.section import one


class StoreSection(Struct, frozen=True):
    """``[store]``.

    Attributes
    ----------
    home : str
        The folder that holds everything the project keeps, relative to the project's folder.
    """

    home: str = DEFAULT_HOME


def _check(project: Project) -> Iterable[Problem]:
    home = project.get(STORE).home
    if home.strip() in ("", ".", "./"):
        hint = f'name a folder of its own, such as "{DEFAULT_HOME}"'
        yield project.problem(("store", "home"), hint, home)


STORE = one("store", StoreSection, _check, unhashed=("home",))
