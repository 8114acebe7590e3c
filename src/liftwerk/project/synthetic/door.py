"""A client of the collector: sends, waits where it is asked to, and gives the answer back."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from liftwerk import __version__
from liftwerk.clock import Clock
from liftwerk.errors import EnvironmentFault, ProjectError

SECONDS = 20.0
"""How long one answer may take."""

KEY_SECONDS = 10.0
"""How long a collector may need to hear of a key that was just made."""

BUSY = (429, 503)

Pause = Callable[[float], None]


class Answer(NamedTuple):
    """What the collector said."""

    status: int
    said: dict[str, Any]


class Door:
    """One source's way to a collector.

    Parameters
    ----------
    url : str
        The collector's address.
    key : str
        The source's write key.
    clock : Clock
    pause : callable
        Waits so many seconds.
    timeout : float
        Seconds after which it no longer waits for a collector that is busy.
    is_new : bool
        Whether the key was made a moment ago.
    """

    def __init__(
        self, url: str, key: str, clock: Clock, pause: Pause, timeout: float, *, is_new: bool
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            hint = "write the collector's address, such as http://127.0.0.1:8080"
            raise ProjectError(f"no address: {url!r}", "--url", hint)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._key = key
        self._clock = clock
        self._pause = pause
        self._timeout = timeout
        self._grace = KEY_SECONDS * is_new

    def post(self, path: str, document: Any) -> Answer:
        """Send a document; a collector that is busy is asked again.

        Raises
        ------
        EnvironmentFault
            If nobody answers.
        """
        began = self._clock.now()
        while True:
            answer, retry_after = self._once(path, msgspec.json.encode(document))
            passed = (self._clock.now() - began).total_seconds()
            is_unheard = answer.status == 401 and passed < self._grace
            is_busy = answer.status in BUSY and passed + retry_after < self._timeout
            if not is_unheard and not is_busy:
                return answer
            self._pause(retry_after)

    def _once(self, path: str, body: bytes) -> tuple[Answer, float]:
        connection = self._connect()
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "user-agent": f"liftwerk/{__version__}",
        }
        try:
            connection.request("POST", self._path + path, body, headers)
            response = connection.getresponse()
            text = response.read()
            retry_after = float(response.headers.get("retry-after", "0.5"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            where = f"{self._host}:{self._port or ''}".rstrip(":")
            what = f"no collector answers ({type(error).__name__})"
            hint = "start `liftwerk serve`, or name it in --url"
            raise EnvironmentFault(what, where, hint) from error
        finally:
            connection.close()
        return Answer(response.status, _said(text)), retry_after

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=SECONDS, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)


def _said(text: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if not isinstance(said, dict):
        return {}
    return said
