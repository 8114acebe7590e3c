"""``[store]``: where the project's state rests."""

from __future__ import annotations

import os
from collections.abc import Iterable

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import DEFAULT_HOME, Project
from liftwerk.definitions.section import one
from liftwerk.definitions.typed import Duration
from liftwerk.errors import StoreFault
from liftwerk.store.urls import SERVERS, holds_secret


class StoreSection(Struct, frozen=True):
    """``[store]``.

    Attributes
    ----------
    home : str
        The folder that holds everything the project keeps, relative to the project's folder.
    inbox : str or None
        URL of a server's database that keeps the inbox instead, such as
        ``postgresql://collector@db.shop.example/shop``; without a password.
    inbox_env : str or None
        The environment variable that holds this URL, also one with a password.
    keep_inbox : duration or None
        How long events stay in the inbox once they rest in tables; by default they go at once.
    """

    home: str = DEFAULT_HOME
    inbox: str | None = None
    inbox_env: str | None = None
    keep_inbox: Duration | None = None


def _check(project: Project) -> Iterable[Problem]:
    store = project.get(STORE)
    if store.home.strip() in ("", ".", "./"):
        hint = f'name a folder of its own, such as "{DEFAULT_HOME}"'
        yield project.problem(("store", "home"), hint, store.home)
    # The URL itself is never shown: it may hold a password all the same.
    path = ("store", "inbox")
    if store.inbox is not None and store.inbox_env is not None:
        hint = "keep one of inbox and inbox_env"
        yield project.problem(path, hint, what="the inbox has two URLs")
    if store.inbox is not None and store.inbox.partition("://")[0] not in SERVERS:
        hint = 'write one such as "postgresql://collector@db.shop.example/shop"'
        yield project.problem(path, hint, what="store.inbox is not the URL of a server")
    elif store.inbox is not None and holds_secret(store.inbox):
        hint = 'write inbox_env = "LIFTWERK_INBOX_URL", the variable with the whole URL'
        yield project.problem(path, hint, what="store.inbox holds a password")


STORE = one("store", StoreSection, _check, unhashed=("home", "inbox", "inbox_env", "keep_inbox"))


def inbox_url(project: Project) -> str | None:
    """Return the URL of the server that keeps the inbox; None when the home does.

    Parameters
    ----------
    project : Project

    Raises
    ------
    StoreFault
        If the environment variable that should hold it is not set.
    """
    store = project.get(STORE)
    if store.inbox_env is None:
        return store.inbox
    url = os.environ.get(store.inbox_env, "")
    if not url:
        hint = f"export {store.inbox_env}=postgresql://…"
        raise StoreFault(f"{store.inbox_env} is not set", "[store] inbox_env", hint)
    return url
