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

SERVED = ("inbox", "online")
"""What a server may keep in the home's place."""


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
    online : str or None
        URL of a server's database that keeps the online values instead; without a password.
    online_env : str or None
        The environment variable that holds this URL, also one with a password.
    keep_inbox : duration or None
        How long events stay in the inbox once they rest in tables; by default they go at once.
    """

    home: str = DEFAULT_HOME
    inbox: str | None = None
    inbox_env: str | None = None
    online: str | None = None
    online_env: str | None = None
    keep_inbox: Duration | None = None


def _check(project: Project) -> Iterable[Problem]:
    store = project.get(STORE)
    if store.home.strip() in ("", ".", "./"):
        hint = f'name a folder of its own, such as "{DEFAULT_HOME}"'
        yield project.problem(("store", "home"), hint, store.home)
    for promise in SERVED:
        yield from _check_server(project, promise)


def _check_server(project: Project, promise: str) -> Iterable[Problem]:
    # The URL itself is never shown: it may hold a password all the same.
    url, variable = _said(project, promise)
    path = ("store", promise)
    if url is not None and variable is not None:
        hint = f"keep one of {promise} and {promise}_env"
        yield project.problem(path, hint, what=f"store.{promise} has two URLs")
    if url is not None and url.partition("://")[0] not in SERVERS:
        hint = 'write one such as "postgresql://collector@db.shop.example/shop"'
        yield project.problem(path, hint, what=f"store.{promise} is not the URL of a server")
    elif url is not None and holds_secret(url):
        name = f"LIFTWERK_{promise.upper()}_URL"
        hint = f'write {promise}_env = "{name}", the variable with the whole URL'
        yield project.problem(path, hint, what=f"store.{promise} holds a password")


STORE = one(
    "store",
    StoreSection,
    _check,
    unhashed=("home", "inbox", "inbox_env", "online", "online_env", "keep_inbox"),
)


def server_urls(project: Project) -> dict[str, str]:
    """Return the URLs of the servers that keep something in the home's place.

    Parameters
    ----------
    project : Project

    Returns
    -------
    dict of str to str
        By what each keeps, ``"inbox"`` or ``"online"``.

    Raises
    ------
    StoreFault
        If an environment variable that should hold one is not set.
    """
    urls = {}
    for promise in SERVED:
        url, variable = _said(project, promise)
        if variable is not None:
            url = os.environ.get(variable)
            if not url:
                hint = f"export {variable}=postgresql://…"
                raise StoreFault(f"{variable} is not set", f"[store] {promise}_env", hint)
        if url is not None:
            urls[promise] = url
    return urls


def _said(project: Project, promise: str) -> tuple[str | None, str | None]:
    store = project.get(STORE)
    return {
        "inbox": (store.inbox, store.inbox_env),
        "online": (store.online, store.online_env),
    }[promise]
