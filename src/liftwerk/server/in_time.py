"""A body has to come whole, and in time: pure ASGI, before the application.

A client that sends a byte now and then would otherwise hold one of the few requests that a process
works on, for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from liftwerk.errors import InputError, TooSlow
from liftwerk.server.guard import App, Message, Receive, Send

BODY_SECONDS = 20.0
"""How long a request's body may take."""


class InTime:
    """An ASGI application before another.

    Parameters
    ----------
    app : ASGI application
    seconds : float
        How long a body may take.
    """

    def __init__(self, app: App, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let the application read, and fail in its hands when the body does not come."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        until = asyncio.get_running_loop().time() + self._seconds
        whole = False

        async def receive_in_time() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                what = f"the body did not come within {self._seconds:g} s"
                raise TooSlow(what, "the request's body", "send less at once") from None
            if message["type"] == "http.disconnect":
                raise InputError("the body broke off", "the request's body", "send it whole")
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
