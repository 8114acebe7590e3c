"""Values that are at hand are told at once: pure ASGI, before the application.

Who decides asks for values a thousand times a second, and reading them takes less time than the
framework, or the way to another thread and back. So what is asked rightly, of a view that waits for
nobody, is answered here. All else is passed on to the application's route, which declares the
address, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from liftwerk.errors import LiftwerkError
from liftwerk.features.served import Served
from liftwerk.server.api import FEATURES
from liftwerk.server.erasures import quoted_in
from liftwerk.server.guard import App, Receive, Send
from liftwerk.server.reading import Reader

_encode = msgspec.json.Encoder().encode


class AtHand:
    """An ASGI application before another.

    Parameters
    ----------
    app : ASGI application
    values : Reader
        Of kept values.
    """

    def __init__(self, app: App, values: Reader) -> None:
        self._app = app
        self._values = values

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Tell the values, or let the application answer."""
        served = None
        is_read = scope["type"] == "http" and scope["method"] == "GET"
        if is_read and scope["path"].startswith(FEATURES):
            served = self._served(scope)
        if served is None:
            await self._app(scope, receive, send)
            return
        body = _encode(served)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _served(self, scope: Any) -> Served | None:
        source = self._values.source
        entity, _, key = scope["path"].removeprefix(FEATURES).partition("/")
        view, given = _asked(scope["query_string"])
        if source is None or not key.strip("/") or not view:
            return None
        try:
            quoted = quoted_in(scope["raw_path"], f"{FEATURES}{entity}/")
            return source.features_at_hand(view, entity, quoted, given)
        except LiftwerkError:
            return None


@lru_cache(1024)  # many ask for the same view
def _asked(query: bytes) -> tuple[str, Mapping[str, str]]:
    """Read which view is meant, and what comes with the request."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    return given.pop("view", ""), given
