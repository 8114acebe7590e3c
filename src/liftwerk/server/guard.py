"""Stands before the application: which host was meant, who asks, and what browsers may do with it.

Pure ASGI, so that it holds for every answer, also for addresses that nothing answers.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from liftwerk.errors import ProjectError
from liftwerk.server.problems import problem_body

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

COOKIE = "liftwerk_session"
MINIMUM_TOKEN = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
COLLECT_PATHS = (
    "/v1/events",
    "/v1/track",
    "/v1/identify",
    "/v1/page",
    "/v1/screen",
    "/v1/group",
    "/v1/alias",
    "/v1/batch",
    "/v1/consent",
    "/ofrep/",
    "/t.js",
)
"""Where events come in: their sources' keys open these, not the token."""
OPEN_PATHS = ("/static/", "/health/", "/sign-in", *COLLECT_PATHS)
PROGRAM_PATHS = ("/v1", "/schema", "/health/", "/metrics", "/ofrep/", "/t.js")

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}


_RULES = (*HEADERS.items(), (b"cache-control", b"no-store"))


def is_loopback(host: str) -> bool:
    """Say whether an address to bind to can be reached from this machine only.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(host: str, token: str | None) -> str | None:
    """Refuse to bind beyond loopback without a token that is hard to guess.

    Returns
    -------
    str or None
        The token, if one is asked for.

    Raises
    ------
    ProjectError
        If the token is missing or short.

    Examples
    --------
    >>> check_token("127.0.0.1", None) is None
    True
    """
    hint = "set it to at least 16 random characters, for instance: openssl rand -hex 32"
    if not token:
        if not is_loopback(host):
            raise ProjectError(f"listening on {host} needs a token", "LIFTWERK_TOKEN", hint)
        return None
    if len(token) < MINIMUM_TOKEN:
        raise ProjectError("the token is too short", "LIFTWERK_TOKEN", hint)
    return token


def session_of(token: str) -> str:
    """Derive the value of a signed-in browser's cookie; a new token ends all sessions."""
    return hmac.new(token.encode(), b"liftwerk session", hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def host_name(header: str) -> str:
    """Take the port off a Host header.

    Examples
    --------
    >>> host_name("localhost:8080"), host_name("[::1]:8080"), host_name("a.example")
    ('localhost', '::1', 'a.example')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


class Guard:
    """An ASGI application before the application.

    Parameters
    ----------
    app : ASGI application
    token : str or None
        Asked of everybody, if given.
    hosts : iterable of str or None
        Names by which the server may be called; None for any. On loopback this keeps a page of
        another origin from reaching it under a name that resolves to 127.0.0.1.
    """

    def __init__(
        self, app: App, *, token: str | None = None, hosts: Iterable[str] | None = LOOPBACK_NAMES
    ) -> None:
        self._app = app
        self._token = token
        self._hosts: frozenset[str] | None = None
        if hosts is not None:
            self._hosts = frozenset(hosts)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer; the browser's rules go with every answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_rules(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_rules(message.get("headers", []))
            await send(message)

        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if not self._is_ours(headers.get(b"host", "")):
            await _refuse(scope, send_with_rules, 421, "this server is not called by that name")
            return
        if not self._may_pass(scope["path"], headers):
            if scope["path"].startswith(PROGRAM_PATHS):
                await _refuse(scope, send_with_rules, 401, "send the token as a bearer token")
                return
            await _to_sign_in(scope, send_with_rules)
            return
        await self._app(scope, receive, send_with_rules)

    def _is_ours(self, host: str) -> bool:
        if self._hosts is None:
            return True
        return host_name(host) in self._hosts

    def _may_pass(self, path: str, headers: dict[bytes, str]) -> bool:
        if self._token is None:
            return True
        if path.startswith(OPEN_PATHS):
            return True
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), self._token):
            return True
        return same(_cookie(headers.get(b"cookie", "")), session_of(self._token))


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    if morsel is None:
        return ""
    return morsel.value


def _with_rules(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = [(bytes(key), bytes(value)) for key, value in headers]
    named = {key.lower() for key, _ in given}
    return given + [rule for rule in _RULES if rule[0] not in named]


async def _refuse(scope: Any, send: Send, status: int, detail: str) -> None:
    body = problem_body(status, detail, scope["path"])
    headers = [(b"content-type", b"application/problem+json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="liftwerk"'))
    await _answer(send, status, headers, body)


async def _to_sign_in(scope: Any, send: Send) -> None:
    wanted = scope["path"]
    query = scope.get("query_string", b"").decode("latin-1")
    if query:
        wanted = f"{wanted}?{query}"
    location = f"/sign-in?next={quote(wanted, safe='/')}"
    await _answer(send, 303, [(b"location", location.encode())], b"")


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
