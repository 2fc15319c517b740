"""A PostgreSQL connection that sends several statements at once and reads their results at once: one
round trip, whatever their number.

Built on libpq's pipeline mode as psycopg exposes it (`AsyncConnection.pgconn`). psycopg's own
pipeline flushes to the socket after every statement, which doubles the CPU of a small batch (0.35
against 0.17 ms per call at four callers).
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
from time import monotonic
from typing import TypeVar

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from usage.ledger.statements import ROLLBACK, SESSION_OPTIONS

CONNECT_TIMEOUT_S = 2
EXCHANGE_TIMEOUT_S = 1.4  # for a server that does not even say no
MAX_AGE_S = 300.0  # a session's catalogue caches grow with every tenant it has served
MOST_PREPARED = 500  # so do its plans; nine for each tenant
NO_SUCH_ROLE = "22023"
Statement = tuple[str, Sequence[bytes | None]]
T = TypeVar("T")
_SERVER_AWAY = ("08", "57", "58", "53")  # connections, shut down, disk, resources
_FINE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Wire:
    """One connection. Statements are prepared when first used. Not for two users at once."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection
        self._libpq: PGconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, bytes] = {}
        self._prepared = 0
        self.opened_at = monotonic()
        self.last_user: object = None
        self._libpq.nonblocking = 1
        self._libpq.enter_pipeline_mode()

    @property
    def is_usable(self) -> bool:
        return self._libpq.status == ConnStatus.OK

    @property
    def is_worn(self) -> bool:
        return monotonic() - self.opened_at > MAX_AGE_S or self._prepared > MOST_PREPARED

    async def exchange(self, statements: Sequence[Statement]) -> list[PGresult]:
        """Send the statements, wait for all results. Raises the first one's psycopg.Error; those
        after it were skipped by the server.
        """
        libpq, fresh = self._libpq, {}
        for position, (sql, params) in enumerate(statements):
            name = self._names.get(sql)
            if name is None:
                self._prepared += 1
                name = self._names[sql] = b"s%d" % self._prepared
                libpq.send_prepare(name, sql.encode())
                fresh[position] = sql
            libpq.send_query_prepared(name, params)
        libpq.pipeline_sync()
        try:
            results = await self._collect()
        except BaseException:  # cancelled or cut off in the middle: nobody can tell what is still to come
            self.close()
            raise
        for result in results:
            if result.status not in _FINE:
                for sql in fresh.values():
                    del self._names[sql]  # the server may have skipped it
                raise error_from_result(result)
        return self._without_prepares(results, fresh, len(statements)) if fresh else results

    @staticmethod
    def _without_prepares(results: list[PGresult], fresh: Container[int], count: int) -> list[PGresult]:
        found, wanted = iter(results), []
        for position in range(count):
            if position in fresh:
                next(found)
            wanted.append(next(found))
        return wanted

    async def _collect(self) -> list[PGresult]:
        libpq = self._libpq
        results: list[PGresult] = []
        # the socket is full: read as well, since the server may be waiting for us to do so
        while libpq.flush():
            await self._wait(for_writing=True)
            libpq.consume_input()
        while True:
            while libpq.is_busy():
                await self._wait()
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:  # the end of one statement's results
                if libpq.status != ConnStatus.OK:
                    raise psycopg.OperationalError("the connection is lost")
            elif result.status == ExecStatus.PIPELINE_SYNC:
                return results
            else:
                results.append(result)

    async def _wait(self, *, for_writing: bool = False) -> None:
        """Until the socket can be read (or written). It is watched only meanwhile: libpq closes it when the
        connection breaks.
        """
        loop, descriptor, ready = self._loop, self._libpq.socket, self._loop.create_future()
        loop.add_reader(descriptor, _resolve, ready)
        if for_writing:
            loop.add_writer(descriptor, _resolve, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
            if for_writing:
                loop.remove_writer(descriptor)

    def close(self) -> None:
        self._libpq.finish()


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Wires:
    """At most `size` connections, made when needed. A user gets the one it had last, if that is free: there
    its statements are prepared.
    """

    def __init__(self, dsn: str, size: int) -> None:
        self._dsn = dsn
        self._free: list[Wire] = []
        self._slots = asyncio.Semaphore(size)

    async def use(self, user: object, work: Callable[[Wire], Awaitable[T]]) -> T:
        """Do something on a connection, in bounded time."""
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            wire = await self.take(user)
            try:
                return await work(wire)
            except BaseException as exc:
                if wire.is_usable and is_clean(exc):
                    await wire.exchange([(ROLLBACK, ())])
                else:
                    wire.close()
                raise
            finally:
                self.give_back(wire)

    async def take(self, user: object) -> Wire:
        """A usable connection; waits while all are in use. Raises psycopg.OperationalError if the database
        does not answer.
        """
        await self._slots.acquire()
        try:
            while self._free:
                wire = self._free.pop(
                    next((at for at, one in enumerate(self._free) if one.last_user is user), -1)
                )
                if wire.is_usable and not wire.is_worn:
                    break
                wire.close()
            else:
                wire = await self._connect()
        except BaseException:
            self._slots.release()
            raise
        wire.last_user = user
        return wire

    def give_back(self, wire: Wire) -> None:
        if wire.is_usable:
            self._free.append(wire)
        self._slots.release()

    async def _connect(self) -> Wire:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            options=SESSION_OPTIONS,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="atrium-ledger",
        )
        return Wire(connection)

    def close(self) -> None:
        """Close what is free. What is in use is closed by its user."""
        while self._free:
            self._free.pop().close()


def is_clean(exc: BaseException) -> bool:
    """Whether the server rolled back and stays as it was: a lock or a statement took too long, or an
    operation's data is to blame.
    """
    state = getattr(exc, "sqlstate", None) or ""
    return state in ("55P03", "57014") or (state[:2] in ("22", "23") and state != NO_SUCH_ROLE)


def is_trouble(exc: BaseException) -> bool:
    """Whether locks, rights, tables, the server or the way to it are to blame, rather than the data of an
    operation.
    """
    if isinstance(exc, psycopg.Error):
        state = exc.sqlstate or ""
        return state[:2] not in ("22", "23") or state == NO_SUCH_ROLE
    return isinstance(exc, OSError | TimeoutError)


def is_answer(exc: BaseException) -> bool:
    """Whether the server is there and said no to a statement, or an operation's data is to blame."""
    if isinstance(exc, psycopg.Error):
        return exc.sqlstate is not None and exc.sqlstate[:2] not in _SERVER_AWAY
    return not is_trouble(exc)
