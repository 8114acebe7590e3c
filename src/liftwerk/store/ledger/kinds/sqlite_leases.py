"""Leases in SQLite: one holder at a time, known by a fencing token that only grows.

A row is never removed, so a token is never given twice. A holder that died on this machine is
recognised by its pid and its start time; one on another machine only by its lease running out.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from liftwerk.errors import HomeInUse
from liftwerk.store.instants import to_microseconds
from liftwerk.store.sqlite import Connection

SCHEMA = """create table if not exists leases (
    name text primary key, token integer not null, holder text, machine text, pid integer,
    started text, expires integer
) strict"""

_FREE = "holder = null, machine = null, pid = null, started = null, expires = null"


def acquire(
    connection: Connection, name: str, holder: str, now: datetime, ttl_seconds: float
) -> int:
    """Take the lease, or raise `HomeInUse`; returns the new token."""
    sql = "select token, holder, machine, pid, started, expires from leases where name = ?"
    last = 0
    for token, other, machine, pid, started, expires in connection.execute(sql, (name,)).fetchall():
        last = token
        held = other is not None and expires > to_microseconds(now)
        if held and not _died(machine, pid, started):
            hint = f"process {pid} ({other}) holds it; wait or stop it"
            raise HomeInUse("lease in use", name, hint)
    mine = (socket.gethostname(), os.getpid(), _start_time(os.getpid()))
    row = (name, last + 1, holder, *mine, _until(now, ttl_seconds))
    connection.execute("insert or replace into leases values (?, ?, ?, ?, ?, ?, ?)", row)
    return last + 1


def renew(connection: Connection, name: str, token: int, now: datetime, ttl_seconds: float) -> None:
    """Hold on for longer, or raise `HomeInUse`."""
    check_token(connection, name, token)
    sql = "update leases set expires = ? where name = ?"
    connection.execute(sql, (_until(now, ttl_seconds), name))


def release(connection: Connection, name: str, token: int) -> None:
    """Let go, if the lease is still ours."""
    connection.execute(f"update leases set {_FREE} where name = ? and token = ?", (name, token))


def check_token(connection: Connection, name: str, token: int) -> None:
    """Raise `HomeInUse` unless the token is the one given out last, and still held."""
    sql = "select token, holder from leases where name = ?"
    rows = connection.execute(sql, (name,)).fetchall()
    for latest, holder in rows:
        if latest == token and holder is not None:
            return
        if latest == token:
            raise HomeInUse("lease was released", name, "take it again before writing")
    raise HomeInUse("lease was lost", name, "another process took it over; run again")


def _until(now: datetime, ttl_seconds: float) -> int:
    return to_microseconds(now + timedelta(seconds=ttl_seconds))


def _died(machine: str, pid: int, started: str) -> bool:
    if machine != socket.gethostname():
        return False
    return _start_time(pid) != started


def _start_time(pid: int) -> str:
    """Return when a process started, in ticks since boot; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError:
        return ""
    # The name in parentheses may hold anything, even a parenthesis: count behind the last one.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return ""  # it has ended, and waits for its parent to notice
    return fields[19]
