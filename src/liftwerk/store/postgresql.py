"""One PostgreSQL database as the stores use it: durable at every commit, safe for threads.

What `liftwerk.store.sqlite.Database` is for a file, `Server` is for a server: a store says its
tables once, works through lent connections, and whatever goes wrong with the machine comes out as
one line that names no password and no value.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

from liftwerk.errors import StoreFault
from liftwerk.store.urls import without_secrets

try:
    import psycopg
    from psycopg import conninfo, pq
except ImportError as error:  # also where psycopg is there and libpq is not
    what, hint = "psycopg is missing", "pip install 'liftwerk[postgresql]'"
    raise StoreFault(what, "a store on PostgreSQL", hint) from error

Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[str], Connection]

SCHEMA_NAME = "liftwerk"
"""Tables stand in a schema of their own: the database may be shared with other software."""

_DEFAULTS = {
    "application_name": "liftwerk",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # A machine that vanished must not keep a caller waiting for hours, which is TCP's own way.
    "tcp_user_timeout": "30000",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # With several hosts in the URL: the one that can be written to, also after a failover.
    "target_session_attrs": "read-write",
}

_SESSION = """select
    current_setting('fsync'),
    current_setting('server_encoding'),
    -- remote_apply promises more than on, and stays
    set_config('synchronous_commit', case current_setting('synchronous_commit')
        when 'remote_apply' then 'remote_apply' else 'on' end, false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('lock_timeout', '30s', false),
    -- a writer that hangs or vanished inside a transaction lets go of its locks
    set_config('idle_in_transaction_session_timeout', '20s', false),
    set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)"""

_AMCHECK = """select proname, quote_ident(nspname) from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
    where proname in ('verify_heapam', 'bt_index_check')
        and has_function_privilege(pg_proc.oid, 'execute')
    group by 1, 2"""

_OPEN = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)
_LOST = "the connection broke before the answer came"
_FAULTS = {
    "08": (_LOST, "try again"),
    "25006": ("cannot be written", "give the URL of the primary, not of a standby"),
    "25P03": ("a transaction hung for over 20 s and was undone", "try again"),
    "40": ("undone in favour of another", "try again"),
    "42501": ("this role may not do that", "grant it the schema liftwerk and what is in it"),
    "53100": ("the server's disk is full", "free some space and try again; nothing was stored"),
    "53200": ("the server is out of memory", "try again with fewer rows at once"),
    "53300": ("the server has no connection left", "raise max_connections, or run fewer workers"),
    "55P03": ("locked for over 30 s", "wait for the other session or stop it"),
    "57014": ("stopped by the server", "raise the role's statement_timeout, then try again"),
    "57P": (_LOST, "try again"),
    "58": ("the server's disk reports an error", "check the disk, then `liftwerk doctor`"),
    "XX001": ("damaged database", "restore the server's database from a backup"),
    "XX002": ("damaged database", "restore the server's database from a backup"),
}
"""SQLSTATE, or how it begins -> what it means here, and what to do."""

_REFUSALS = (
    ("password authentication failed", "the server refuses the role or its password"),
    ("no password supplied", "the server asks for a password"),
    ("no pg_hba.conf entry", "the server lets nobody in from here (pg_hba.conf)"),
    ("does not exist", "the server has no such role or database"),
    ("could not translate host name", "no machine is known under the host's name"),
    ("failed to resolve host", "no machine is known under the host's name"),
    ("Connection refused", "nothing answers at the host and port"),
    ("No such file", "nothing answers at the socket"),
    ("timeout expired", "no answer within the connection's time"),
    ("too many clients", "the server has no connection left"),
    ("session is read-only", "the server is a standby and cannot be written"),
    ("certificate", "the server's certificate is not trusted"),
)
"""Words of libpq -> ours: its own may hold parts of the URL, and so of a password."""


def connect_postgresql(url: str) -> Connection:
    """Open a connection on which transactions are begun by us alone.

    Parameters
    ----------
    url : str
        ``postgresql://…``; what it says itself goes before our defaults.
    """
    return psycopg.connect(autocommit=True, **{**_DEFAULTS, **conninfo.conninfo_to_dict(url)})  # type: ignore[arg-type]


class Server:
    """One database on a server; connections are lent, and mended when they broke.

    At most as many connections are open as calls were ever under way at once.

    Parameters
    ----------
    url : str
        ``postgresql://[user[:password]@][host[:port]][/database][?…]``, as libpq reads it.
    schema : sequence of str
        Statements that make the tables; run once, by whoever comes first.
    table : str
        The last of these tables: where it stands, all do.
    connect : callable, optional
        Makes a connection from a URL.

    Raises
    ------
    StoreFault
        If the server can't be reached, lets the role not do what is needed, or doesn't force what
        it commits to the disk.
    """

    def __init__(
        self,
        url: str,
        schema: Sequence[LiteralString],
        table: str,
        connect: Connect = connect_postgresql,
    ) -> None:
        self.where = without_secrets(url)
        self._url = url
        self._connect = connect
        # By process: a connection must not cross a fork, and a child must not close its parent's.
        self._idle: dict[int, list[Connection]] = {}
        try:
            self._make(schema, table)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin, yield the connection, commit; anything raised rolls everything back.

        Raises
        ------
        StoreFault
            Also when the connection broke while committing: then nobody here can know whether
            the server did. Whatever stores do can be done twice.
        """
        when_lost = "it may or may not be stored: send it again, twice does no harm"
        with self._one_line(when_lost), self._lent() as connection:
            connection.execute("begin isolation level read committed")
            yield connection
            connection.execute("commit")

    @contextmanager
    def snapshot(self, table: LiteralString) -> Iterator[Connection]:
        """Yield a connection for reading: all its statements see the tables as of one moment.

        The tables are locked first, as every reader locks them: where `rewrite` came between
        the moment and the first look, they would seem empty.
        """
        with self._one_line("try again"), self._lent() as connection:
            connection.execute(
                "begin isolation level repeatable read read only;"
                f" lock table {table} in access share mode"
            )
            yield connection
            connection.execute("commit")

    def rows(self, sql: LiteralString, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement by itself and return its rows."""
        with self._one_line("try again"), self._lent() as connection:
            return connection.execute(sql, parameters, binary=True).fetchall()

    def rewrite(self, table: str) -> None:
        """Move what is left into a new file; whoever reads or writes the table waits for it.

        A deleted row stays in its page until something else is written there. ``VACUUM FULL`` would
        carry along what any old transaction might still see; ``TRUNCATE`` leaves nothing behind.
        Identities are untouched: none is given twice.
        """
        with self.transaction() as connection:
            connection.execute(f"lock table {table} in access exclusive mode")
            connection.execute(f"create temp table kept on commit drop as table {table}")
            connection.execute(f"truncate {table}")
            connection.execute(f"insert into {table} overriding system value table kept")

    def damage(self, table: str) -> list[str]:
        """Read a table's ``body`` through; check rows and indexes by ``amcheck`` if the role may.

        What a page held before can only be known by the server's own checksums (on by default
        since PostgreSQL 18): reading is what makes it compare them.
        """
        found: list[str] = []
        try:
            # The digest makes the server fetch and unpack every body, wherever it lies.
            self.rows(f"select count(*), count(sha256(body)) from {table}")
            for check, schema in self.rows(_AMCHECK):
                if check == "verify_heapam":
                    sql = (
                        f"select msg from {schema}.verify_heapam(%s, check_toast => true) limit 10"
                    )
                    found += [message for (message,) in self.rows(sql, (table,))]
                else:
                    sql = (
                        f"select {schema}.bt_index_check(indexrelid, true)"
                        " from pg_index where indrelid = %s::regclass"
                    )
                    self.rows(sql, (table,))
        except StoreFault as error:
            found.append(error.what)
        return [f"{self.where}: {table}: {line}" for line in found]

    def close(self) -> None:
        """Close the connections that nobody has borrowed."""
        for connection in self._idle.pop(os.getpid(), []):
            connection.close()

    def _make(self, schema: Sequence[LiteralString], table: str) -> None:
        # Asked first: a role that may only use the tables can't repeat "create if not exists".
        if self.rows("select to_regclass(%s)", (table,)) != [(None,)]:
            return
        with self.transaction() as connection:
            # Two that create the same table at once would both fail.
            connection.execute("select pg_advisory_xact_lock(hashtext('liftwerk schema'))")
            for statement in schema:
                connection.execute(statement)

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        connection = self._taken()
        try:
            yield connection
        except BaseException:
            if connection.info.transaction_status in _OPEN:
                with suppress(psycopg.Error):
                    connection.execute("rollback")
            raise
        finally:
            if connection.info.transaction_status == pq.TransactionStatus.IDLE:
                self._idle.setdefault(os.getpid(), []).append(connection)
            else:
                connection.close()  # broken, or interrupted: the server undoes it

    def _taken(self) -> Connection:
        idle = self._idle.setdefault(os.getpid(), [])
        # Not "while idle": another thread may take the last one in between.
        with suppress(IndexError):
            while True:
                connection = idle.pop()
                if _is_silent(connection):
                    return connection
                connection.close()
        return self._opened()

    def _opened(self) -> Connection:
        try:
            connection = self._connect(self._url)
        except psycopg.ProgrammingError:
            # Not even as a cause: libpq quotes the part of the URL that it can't read.
            hint = "write postgresql://USER@HOST/DATABASE"
            raise StoreFault("not a URL of PostgreSQL", self.where, hint) from None
        except psycopg.Error as error:
            what = "the server cannot be reached"
            said = str(error)
            for words, ours in _REFUSALS:
                if words in said:
                    what = ours
                    break
            hint = "check the URL and the server; its log says more"
            raise StoreFault(what, self.where, hint) from None
        try:
            [(fsync, encoding, commit, *_)] = connection.execute(_SESSION).fetchall()
            self._demand(fsync, encoding, commit)
        except BaseException:
            connection.close()
            raise
        return connection

    def _demand(self, fsync: str, encoding: str, commit: str) -> None:
        """Refuse a server that would lose what it has acknowledged, or spell it otherwise."""
        if fsync != "on":
            hint = "set fsync = on: an acknowledged event must survive a power cut"
            raise StoreFault(f"the server runs with fsync = {fsync}", self.where, hint)
        if commit not in ("on", "remote_apply"):
            hint = "allow the role to set synchronous_commit"
            raise StoreFault(f"synchronous_commit stays {commit}", self.where, hint)
        if encoding != "UTF8":
            hint = "create the database with encoding UTF8"
            raise StoreFault(f"the database is in {encoding}", self.where, hint)

    @contextmanager
    def _one_line(self, when_lost: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            known = _meaning(error)
            if known is None:
                raise  # a mistake of ours, not of the machine
            what, hint = known
            if what == _LOST:
                hint = when_lost
            raise StoreFault(what, self.where, hint) from error


def _is_silent(connection: Connection) -> bool:
    """Say whether a connection that nobody uses can still be used, without asking the server.

    The server speaks unasked only when it ends or changes a session: then a new one is better.
    """
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _meaning(error: psycopg.Error) -> tuple[str, str] | None:
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.OperationalError):
            return _LOST, ""
        return None
    for length in (5, 3, 2):
        if state[:length] in _FAULTS:
            return _FAULTS[state[:length]]
    return None
