"""Choosing a store by its URL: the scheme names the kind, the rest says where it is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liftwerk.errors import UnknownName, did_you_mean

SERVERS = ("postgresql",)
"""Schemes of servers: their kinds are given the whole URL, the others a path."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::\d+)?")
_HIDDEN = "…"


def is_server(url: str) -> bool:
    """Say whether a store is asked over a connection.

    Examples
    --------
    >>> is_server("postgresql://db.shop.example/inbox"), is_server("sqlite:/var/inbox.sqlite")
    (True, False)
    """
    return url.partition(":")[0] in SERVERS


def open_url(promise: str, kinds: Mapping[str, str], url: str) -> Any:
    """Open the store that a URL names.

    Parameters
    ----------
    promise : str
        What the store is for, for the message.
    kinds : mapping of str to str
        Scheme -> ``"module:Class"``; the module is imported only now.
    url : str
        Such as ``"sqlite:/var/shop/inbox.sqlite"`` or ``"postgresql://db.shop.example/inbox"``.

    Returns
    -------
    object
        An instance of the kind's class, opened at the URL's path, or at the URL of a server.

    Raises
    ------
    UnknownName
        If no kind has the scheme.
    """
    scheme, _, path = url.partition(":")
    if _SCHEME.fullmatch(scheme) is None:
        raise UnknownName(
            f"the URL of the {promise} has no scheme", _HIDDEN, did_you_mean("", kinds)
        )
    if scheme not in kinds:
        what = f"no kind of {promise} is called {scheme!r}"
        raise UnknownName(what, without_secrets(url), did_you_mean(scheme, kinds))
    module, _, name = kinds[scheme].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if scheme in SERVERS:
        return kind(url)
    return kind(Path(path))


def without_secrets(url: str) -> str:
    """Return a URL as it may be shown: host and path, no role, no password, no options.

    Where a password may have been torn apart, because it holds a character that had to be
    escaped, nothing but the scheme is shown.

    Examples
    --------
    >>> without_secrets("postgresql://ada:secret@db.shop.example:5432/inbox?sslmode=require")
    'postgresql://db.shop.example:5432/inbox'
    >>> without_secrets("postgresql://ada:se/cret@db.shop.example/inbox")
    'postgresql://…'
    >>> without_secrets("sqlite:/var/shop/inbox.sqlite")
    'sqlite:/var/shop/inbox.sqlite'
    """
    scheme = url.partition(":")[0]
    hidden = f"{scheme}://{_HIDDEN}"
    if "://" not in url:
        if "@" in url:
            return hidden
        return url
    rest = url.partition("://")[2]
    authority, path = _split(rest)
    userinfo, _, hosts = authority.rpartition("@")
    torn = "@" in userinfo or "@" in rest.removeprefix(authority)
    if torn or any(_HOST.fullmatch(host) is None for host in hosts.split(",")):
        return hidden
    return f"{scheme}://{hosts}{path}"


def holds_secret(url: str) -> bool:
    """Say whether a URL has a password in it, or could have.

    Examples
    --------
    >>> holds_secret("postgresql://ada@db.shop.example/shop?sslmode=require")
    False
    >>> holds_secret("postgresql://ada:secret@db.shop.example/shop")
    True
    >>> holds_secret("postgresql://db.shop.example/shop?user=ada&password=secret")
    True
    """
    authority, _ = _split(url.partition("://")[2])
    userinfo = authority.rpartition("@")[0]
    return ":" in userinfo or "password=" in url or without_secrets(url).endswith(_HIDDEN)


def _split(rest: str) -> tuple[str, str]:
    """Part what follows the scheme into host and path; options are left out."""
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.partition("/")
    return authority, f"{slash}{path}"
