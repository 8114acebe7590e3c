"""Runs the application with Granian until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from liftwerk.errors import EnvironmentFault
from liftwerk.server.app import guard
from liftwerk.server.collector import OpenDoor
from liftwerk.server.guard import LOOPBACK_NAMES, check_token, host_name, is_loopback
from liftwerk.server.reading import Reader
from liftwerk.server.source import ReportSource

TOKEN_VARIABLE = "LIFTWERK_TOKEN"
POLL_SECONDS = 0.02
GRACE_SECONDS = 5.0


def serve(
    open_source: Callable[[], ReportSource],
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    names: Iterable[str] = (),
    announce: Callable[[str], None] | None = None,
    opened: OpenDoor | None = None,
) -> None:
    """Serve the pages until SIGTERM or SIGINT; requests under way are answered first.

    Parameters
    ----------
    open_source : callable
        Opens a `ReportSource`; what it raises is raised here, before anything listens.
    host : str
        Where to listen. Anything but loopback asks for ``LIFTWERK_TOKEN``.
    port : int
        The port; 0 takes a free one.
    names : iterable of str
        Names by which a proxy on this machine may call a server on loopback, beside its own.
    announce : callable, optional
        Called with the address once the server answers; by default it is printed.
    opened : OpenDoor, optional
        Collects events too; closed at the end.

    Raises
    ------
    ProjectError
        If a token is needed and missing or short.
    EnvironmentFault
        If the port cannot be had.
    """
    token = check_token(host, os.environ.get(TOKEN_VARIABLE))
    port = take_port(host, port)
    tell = announce
    if tell is None:
        tell = _print
    hosts = None
    if is_loopback(host):
        hosts = LOOPBACK_NAMES | {host_name(name) for name in names}
    readers = Reader(open_source), Reader(open_source)
    uvloop.run(_serve(readers, host, port, token, hosts, tell, opened))


def _print(address: str) -> None:
    print(address, flush=True)


def take_port(host: str, port: int) -> int:
    """Make sure that a port is free, or find one.

    Granian shares ports between processes (``SO_REUSEPORT``), so a second server on the same port
    would silently take half of the requests: a socket that does not share finds that out.

    Raises
    ------
    EnvironmentFault
        If the port is taken, or the address is not this machine's.

    Examples
    --------
    >>> take_port("127.0.0.1", 0) > 0
    True
    """
    family = socket.AF_INET
    if ":" in host:
        family = socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            what = f"cannot listen ({(error.strerror or str(error)).lower()})"
            raise EnvironmentFault(what, f"{host}:{port}", "another --port, or 0") from error
        return int(probe.getsockname()[1])


def address_of(host: str, port: int) -> str:
    """Write the address that a browser on this machine opens.

    Examples
    --------
    >>> address_of("127.0.0.1", 8080), address_of("::1", 80), address_of("0.0.0.0", 80)
    ('http://127.0.0.1:8080/', 'http://[::1]:80/', 'http://127.0.0.1:80/')
    """
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    if ":" in reachable:
        reachable = f"[{reachable}]"
    return f"http://{reachable}:{port}/"


async def _serve(
    readers: tuple[Reader, Reader],
    host: str,
    port: int,
    token: str | None,
    hosts: frozenset[str] | None,
    tell: Callable[[str], None],
    opened: OpenDoor | None,
) -> None:
    logging.getLogger("_granian").setLevel(logging.ERROR)
    await readers[0].open()
    server = Server(
        guard(*readers, token=token, hosts=hosts, opened=opened),
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    serving = asyncio.create_task(server.serve())
    telling = asyncio.create_task(_tell_when_ready(host, port, tell))
    await serving
    telling.cancel()


async def _tell_when_ready(host: str, port: int, tell: Callable[[str], None]) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(_connectable(host), port)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
            continue
        writer.close()
        _settle()
        tell(address_of(host, port))
        return


def _settle() -> None:
    """Let the garbage collector pass over what was made at the start, which stays to the end.

    Else it goes through all of it again every so many requests, and holds them up for 90 ms.
    """
    gc.collect()
    gc.freeze()


def wait_until_open(host: str, port: int) -> None:
    """Wait until something listens."""
    while True:
        try:
            socket.create_connection((_connectable(host), port), timeout=1.0).close()
        except OSError:
            time.sleep(POLL_SECONDS)
            continue
        return


def _connectable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
