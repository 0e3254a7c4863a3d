"""Engines and transactions. An event told in a transaction is broadcast once the transaction is committed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import CursorResult, Executable, Insert, Table, event
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db.statements import Bound, Outcome, Parameters, Send, in_one_trip, one_by_one
from events.bus import Deleted, Happened, Message
from events.types import RequestEvent

POOL_SIZE = 16
POOL_TIMEOUT_SECONDS = 10
HELD_SECONDS = 15.0
"""A connection is held for no longer: a server whose machine is gone neither answers nor says so, for hours."""
IDLE_SECONDS = 0.25
"""A connection that was used so lately is not tried first: no database is down and up again within that."""
LOCKED_SECONDS = 10
"""Nobody waits for a lock for longer: less than HELD_SECONDS, so that it is the database that says so."""
SESSION = (
    # The driver escapes bytes by backslashes, whatever the server's mode says of them.
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', "
    # A process that is stopped, or whose machine is gone, amid a transaction keeps its locks until the server gives it
    # up: after hours, if it is not told otherwise. MySQL knows no limit for transactions alone, so there it is one for
    # every connection that is idle. Each server reads its own comment only.
    f"innodb_lock_wait_timeout = {LOCKED_SECONDS}, "
    "/*!80000 wait_timeout = 30 */ /*M!100300 idle_transaction_timeout = 5 */"
)

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
"""What is raised where the database does not answer."""


class _SQLiteConnection(sqlite3.Connection):
    """Lets go of the write lock when it is closed.

    Who is cancelled amid a transaction may leave a statement that is not read to its end, and SQLite keeps a closed
    connection with its locks for as long as there is one: until Python collects it.
    """

    def close(self) -> None:
        try:
            # Who was cancelled twice closes it twice.
            with contextlib.suppress(sqlite3.ProgrammingError):
                self.rollback()
        finally:
            super().close()


class Transaction:
    """A connection within a transaction, and what is to be broadcast when it is committed.

    What is written (`write`) goes with the next statement whose answer somebody waits for, or with what else is written
    before the commit, in one round trip.
    """

    def __init__(self, connection: AsyncConnection, send: Send) -> None:
        self._connection = connection
        self.told: list[RequestEvent] = []
        self.deleted: list[str] = []
        self._send = send
        self._unsent: list[_Write] = []

    def write(self, statement: Bound, rows: int | None = None, otherwise: Exception | None = None) -> None:
        """Have a statement executed in its turn. Unless it then finds so many `rows`, `otherwise` is raised."""
        self._unsent.append(_Write(statement, rows, otherwise))

    async def read(self, statement: Bound) -> Sequence[Any]:
        """The rows of a query, after all that was written before it."""
        return (await self._flush(statement))[-1].rows

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Execute what is made for this one time, by way of SQLAlchemy."""
        await self.flush()
        return await self._connection.execute(statement, parameters)

    async def upsert(self, table: Table, changed: str, *rows: Parameters) -> None:
        """Insert rows, or set their column `changed` where their keys are there. Either way they are locked."""
        values: Insert
        if self._connection.dialect.name == "sqlite":
            lite = sqlite.insert(table)
            values = lite.on_conflict_do_update(table.primary_key, set_={changed: lite.excluded[changed]})
        else:
            my = mysql.insert(table)
            values = my.on_duplicate_key_update({changed: my.inserted[changed]})
        await self.execute(values, rows)

    async def scalar(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""
        return (await self.execute(statement)).scalar()

    async def scalars(self, statement: Executable) -> list[Any]:
        """The first column of all rows."""
        return list((await self.execute(statement)).scalars())

    async def flush(self) -> None:
        if self._unsent:
            await self._flush()

    async def _flush(self, *last: Bound) -> list[Outcome]:
        writes, self._unsent = self._unsent, []
        outcomes = await self._send(self._connection, *(write.statement for write in writes), *last)
        for write, outcome in zip(writes, outcomes, strict=False):
            if write.rows not in (None, outcome.rowcount):
                raise write.otherwise or AssertionError(f"{outcome.rowcount} rows, not {write.rows}")
        return outcomes


@dataclass(frozen=True, slots=True)
class _Write:
    statement: Bound
    rows: int | None
    otherwise: Exception | None


class Database:
    """The way to the rows. `publish` gets what happened, after each commit; it must not wait."""

    def __init__(self, url: str, publish: Callable[[Message], None]) -> None:
        self._publish = publish
        self._is_sqlite = url.startswith("sqlite")
        self.path: Path | None = None
        """Of SQLite's file."""
        if self._is_sqlite:
            self.path = _made_path(url)
            self._writing = _engine(url, isolation_level=None)
            event.listen(self._writing.sync_engine, "begin", _begin_immediate)
            # SQLite has one writer; waiting here is calmer than its busy handler.
            self._turn: contextlib.AbstractAsyncContextManager[Any] = asyncio.Lock()
            self._send: Send = one_by_one
        else:
            self._writing = _engine(url, isolation_level="READ COMMITTED")
            self._turn = contextlib.nullcontext()
            self._send = in_one_trip
        self._reading = _engine(url, isolation_level="AUTOCOMMIT")

    @property
    def engine(self) -> AsyncEngine:
        """For migrations."""
        return self._writing

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._turn, _connected(self._writing) as connection:
            transaction = Transaction(connection, self._send)
            async with connection.begin():
                yield transaction
                await transaction.flush()
        if transaction.told:
            self._publish(Happened(tuple(transaction.told)))
        for request_id in transaction.deleted:
            self._publish(Deleted(request_id))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement stands for itself."""
        async with _connected(self._reading) as connection:
            yield connection

    async def read(self, statement: Bound) -> Sequence[Any]:
        """The rows of a query that stands for itself."""
        async with self.reading() as connection:
            return (await self._send(connection, statement))[0].rows

    async def aclose(self) -> None:
        await self._reading.dispose()
        await self._writing.dispose()


def is_unavailable(error: BaseException) -> bool:
    """Whether an error says that the database is away, rather than that a statement is wrong."""
    return isinstance(error, UNAVAILABLE) or (isinstance(error, DBAPIError) and error.connection_invalidated)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    held = asyncio.timeout(HELD_SECONDS)
    try:
        async with held, engine.connect() as connection:
            # Before Python 3.12 `wait_for`, by which the driver connects and the pool waits, may swallow a cancellation
            # (python/cpython#86296): a task that goes round for ever would then never end.
            if task.cancelling() > before:
                raise asyncio.CancelledError
            yield connection
    except TimeoutError as error:
        if not held.expired():
            raise
        raise TimeoutError(f"the database did not answer within {HELD_SECONDS:g} seconds") from error


def _engine(url: str, isolation_level: Any) -> AsyncEngine:
    if url.startswith("sqlite"):
        engine = create_async_engine(
            url,
            isolation_level=isolation_level,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            connect_args={"factory": _SQLiteConnection},
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    engine = create_async_engine(
        url,
        isolation_level=isolation_level,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_recycle=1800,
        # Those that are idle stay so, until the server closes them.
        pool_use_lifo=True,
        # Every transaction here ends by itself: another rollback would be one more round trip each.
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        connect_args={"connect_timeout": 5, "charset": "utf8mb4", "init_command": SESSION},
    )
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _ping_if_idle)
    return engine


def _note_use(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """SQLAlchemy's own ping is one more round trip for every transaction; a connection in steady use needs none."""
    if time.monotonic() - record.info.get("used_at", 0.0) > IDLE_SECONDS:
        try:
            connection.ping(reconnect=False)
        except Exception as error:
            raise DisconnectionError from error


def _made_path(url: str) -> Path | None:
    name = make_url(url).database
    if not name:
        return None
    # Where its folder cannot be, the first connection says so.
    with contextlib.suppress(OSError):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    return Path(name)


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # The driver is not to begin transactions by itself: it would begin them deferred, and writers would collide.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on", f"busy_timeout={LOCKED_SECONDS}000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
