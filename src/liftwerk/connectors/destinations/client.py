"""One kept connection to one address: a request out, an answer back, or why there is none."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from liftwerk import __version__
from liftwerk.connectors.destinations.exchange import Answer, Request, Response

ANSWER_LIMIT = 65_536
"""Bytes of an answer that are read; a vendor has no reason to say more."""


class Client:
    """Sends requests to one address over one connection; belongs to one thread.

    Parameters
    ----------
    url : str
        The address; a request's path stands behind it.
    timeout : float
        Seconds to wait for connecting, and for each part of an answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._query = parts.query
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def send(
        self, request: Request, judge: Callable[[Response, datetime], Answer], now: datetime
    ) -> Answer:
        """Send one request and read the answer.

        Parameters
        ----------
        request : Request
        judge : callable
            Says what a response means.
        now : datetime

        Returns
        -------
        Answer
            ``again`` when no answer came; its reason holds neither address nor secret.
        """
        kept = self._connection is not None
        try:
            return judge(self._exchange(request), now)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if not kept:
                return Answer("again", _words(error))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer("again", _words(error))
        # The other side had let go of the connection that we kept: this says nothing of the event.
        try:
            return judge(self._exchange(request), now)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer("again", _words(error))

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: Request) -> Response:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"liftwerk/{__version__}",
            **request.headers,
        }
        connection.request("POST", self._target(request.path), request.body, headers)
        answer = connection.getresponse()
        body = answer.read(ANSWER_LIMIT)
        if not answer.isclosed() or answer.will_close:
            self.close()  # a rest that nobody reads would be taken for the next answer
        lower = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, lower, body)

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _target(self, path: str) -> str:
        target = f"{self._path}{path}" or "/"
        if self._query:
            joint = "&" if "?" in target else "?"
            target = f"{target}{joint}{self._query}"
        return target


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection ({error.reason or 'TLS'})"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection ({error.strerror})"
    return f"no answer ({type(error).__name__})"
