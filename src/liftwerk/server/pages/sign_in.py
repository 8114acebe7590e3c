"""Signing in with the token, where the server is not on loopback."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect

from liftwerk.server.guard import COOKIE, same, session_of
from liftwerk.server.render import page


@get("/sign-in", include_in_schema=False, sync_to_thread=False)
def sign_in_page(next: FromQuery[str] = "/") -> Response[str]:  # noqa: A002 - the name in the address
    """Ask for the token."""
    return page("sign_in.html", here="/sign-in", next=inside(next), wrong=False)


@post("/sign-in", include_in_schema=False, sync_to_thread=False, status_code=200)
def sign_in(
    request: Request[Any, Any, Any],
    data: URLEncodedBody[dict[str, str]],
) -> Response[Any]:
    """Compare the token in constant time; a right one is kept as a session cookie."""
    token = request.app.state.token
    target = inside(data.get("next", "/"))
    if token is None:
        return Redirect(target, status_code=303)
    if not same(data.get("token", "").strip(), token):
        return page("sign_in.html", status_code=403, here="/sign-in", next=target, wrong=True)
    cookie = Cookie(
        key=COOKIE,
        value=session_of(token),
        httponly=True,
        samesite="strict",
        path="/",
        secure=request.url.scheme == "https",
    )
    return Redirect(target, status_code=303, cookies=[cookie])


def inside(address: str) -> str:
    """Keep only addresses on this server.

    Examples
    --------
    >>> inside("/decisions?kind=live"), inside("//evil.example"), inside("https://evil.example")
    ('/decisions?kind=live', '/', '/')
    """
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not address.startswith("/") or "\\" in address:
        return "/"
    return address
