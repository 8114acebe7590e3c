"""A body that drips is cut off: nobody holds a place in the process for as long as they like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from litestar import Litestar, Request, post

from liftwerk.server.answers import EXCEPTION_HANDLERS
from liftwerk.server.in_time import InTime


@post("/v1/events")
async def length(request: Request[Any, Any, Any]) -> int:
    return len(await request.body())


APP = Litestar([length], exception_handlers={**EXCEPTION_HANDLERS}, logging_config=None)


async def ask(messages: list[dict[str, Any]], seconds: float) -> tuple[int, bytes]:
    """Send some parts of a body, and then nothing more, with the connection held open."""
    parts = iter(messages)
    said: list[Any] = []

    async def receive() -> Any:
        part = next(parts, None)
        if part is None:
            await asyncio.Event().wait()
        return part

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"", "root_path": "",
        "headers": [], "scheme": "http", "client": None, "server": None,
    }  # fmt: skip
    await InTime(APP, seconds)(scope, receive, send)
    return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])


PART = {"type": "http.request", "body": b"12", "more_body": True}
END = {"type": "http.request", "body": b"3", "more_body": False}


@pytest.mark.parametrize(
    ("messages", "seconds", "status", "words"),
    [
        ([PART, PART, END], 60, 201, b"5"),
        ([PART], 0.02, 408, b"the body did not come within 0.02 s"),
        ([], 0.02, 408, b"the body did not come within 0.02 s"),
        ([PART, {"type": "http.disconnect"}], 60, 400, b"the body broke off"),
    ],
)
def test_a_body_comes_whole_and_in_time(
    messages: list[dict[str, Any]], seconds: float, status: int, words: bytes
) -> None:
    answered, body = asyncio.run(ask(messages, seconds))
    assert answered == status
    assert words in body
