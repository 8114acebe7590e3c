"""What a browser asks before a page of another origin sends: pure ASGI, before the application.

Only the collector's addresses are open to other origins, so this stands here and not in the
framework's setting, which would open the pages as well.
"""

from __future__ import annotations

from typing import Any

from liftwerk.server.guard import COLLECT_PATHS, App, Receive, Send

ALLOWED_HEADERS = (
    b"authorization, content-type, content-encoding, x-write-key, x-api-key, if-none-match"
)


class Preflight:
    """An ASGI application before another.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a browser's question; whether this page may send is said when it does."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            await self._app(scope, receive, send)
            return
        origin = next((value for key, value in scope["headers"] if key.lower() == b"origin"), None)
        if origin is None or not scope["path"].startswith(COLLECT_PATHS):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"origin"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
