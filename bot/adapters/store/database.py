"""The connection to the encrypted database: opened with its key, brought up to date, written by one task at a time."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
from sqlcipher3 import dbapi2 as sqlcipher

from bot.adapters.store.schema import UPGRADES, Upgrade
from bot.domain.errors import ExternalError, Permanent, StartRefused

T = TypeVar("T")
Row = tuple[Any, ...]

KEY_BYTES = 32
BUSY_SECONDS = 10.0
"""How long to wait for another process (an admin's command line) to finish its transaction."""

_STATEMENTS_KEPT = 256

_PRAGMAS = (
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten
    "synchronous = FULL",  # a commit is on the disk when it returns
    "temp_store = MEMORY",
    "journal_mode = WAL",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(at: datetime) -> int:
    """Return a time as whole microseconds since 1970; ValueError if it has no zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return (at - _EPOCH) // _MICROSECOND


def moment(stamped: int) -> datetime:
    """Return the time (UTC) that `stamp` was given."""
    return _EPOCH + stamped * _MICROSECOND


class Transaction:
    """An open transaction; what it wrote stays only if it comes to its end."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._savepoints = 0
        self._open = True
        self.erases = False
        """Set this when something must be gone from the disk, the log included, once the transaction is written."""

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """Run one statement and return its rows."""
        self._check()
        return await _execute(self._connection, sql, values)

    async def row(self, sql: str, *values: object) -> Row | None:
        """Run one statement and return its first row, if there is one."""
        rows = await self.rows(sql, *values)
        return rows[0] if rows else None

    async def many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Run one statement for each of *values*."""
        self._check()
        try:
            async with self._connection.executemany(sql, values):
                pass
        except sqlcipher.Error as error:
            raise failure(error) from error

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Open an inner part that is undone alone if it raises; they may stand in each other."""
        self._savepoints += 1
        name = f"part_{self._savepoints}"
        await self.rows(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            await to_end(self._undo(name))
            raise
        await self.rows(f"RELEASE {name}")

    def end(self) -> None:
        """Take no more statements."""
        self._open = False

    async def _undo(self, name: str) -> None:
        if self._connection.in_transaction:  # else there is nothing left of any part
            await self.rows(f"ROLLBACK TO {name}")
            await self.rows(f"RELEASE {name}")

    def _check(self) -> None:
        if not self._open:
            raise RuntimeError("this unit has ended")
        # A full disk, for one, makes SQLite give up the whole transaction by itself. What came after would be written
        # statement by statement.
        if not self._connection.in_transaction:
            raise ExternalError("transaction_lost")


class Database:
    """One connection under one lock. Other processes may have their own: SQLite keeps the writers apart."""

    def __init__(self, path: Path, key: bytes, *, upgrades: Sequence[Upgrade] = UPGRADES) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("the key of the database has 32 bytes")
        self._path = path
        self._key = key
        self._upgrades = upgrades
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._opened: aiosqlite.Connection | None = None
        self._log_must_go = False

    async def open(self) -> None:
        """Open the file, or make it with mode 0600, and do the upgrades that are missing.

        Raises:
            StartRefused: `wrong_database_key`, `database_newer`, `database_failed`.
        """
        # Not in aiosqlite's own thread: it does not wait for that thread when the opening fails.
        ready = await to_end(asyncio.to_thread(self._connect))
        connection = aiosqlite.Connection(lambda: ready, iter_chunk_size=64)
        # A program that fails before it closes the database must end, not wait for the thread for ever.
        connection._thread.daemon = True  # noqa: SLF001  # aiosqlite has no other way to say it
        self._opened = await connection
        try:
            await self._upgrade()
        except BaseException as error:
            await self.close()
            if isinstance(error, ExternalError):
                raise StartRefused("database_failed", f"{self._path}: cannot be opened ({error.code})") from error
            raise

    async def close(self) -> None:
        """Close the connection; the last one of all processes empties the log."""
        if self._opened is not None:
            connection, self._opened = self._opened, None
            await to_end(connection.close())

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction for writing; it is committed at the end, or undone if the block raises or is cancelled.

        Raises:
            ExternalError: `database_busy`, `disk_full`, `database_failed`; Permanent `database_damaged`.
        """
        async with self._alone() as connection:
            transaction = Transaction(connection)
            try:
                await _execute(connection, "BEGIN IMMEDIATE")
                yield transaction
                transaction.end()
                await to_end(_execute(connection, "COMMIT"))
            except BaseException:
                transaction.end()
                await to_end(_roll_back(connection))
                raise
            self._log_must_go |= transaction.erases
            if self._log_must_go:
                await to_end(self._empty_log(connection))

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """Read with one statement, outside a transaction."""
        async with self._alone() as connection:
            return await _execute(connection, sql, values)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[aiosqlite.Connection]:
        task = asyncio.current_task()
        if task is not None and task is self._owner:
            raise RuntimeError("this task has a unit open: it would wait for itself")
        async with self._lock:
            if self._opened is None:
                raise RuntimeError("the database is not open")
            self._owner = task
            try:
                yield self._opened
            finally:
                self._owner = None

    def _connect(self) -> sqlite3.Connection:
        """Open the file with its key."""
        connection: sqlite3.Connection | None = None
        try:
            _make_file(self._path)
            connection = sqlcipher.connect(
                str(self._path),
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS_KEPT,
            )
            self._prepare(connection)
        except (sqlcipher.Error, OSError) as error:
            if connection is not None:
                connection.close()
            if _code(error) == sqlite3.SQLITE_NOTADB:
                text = f"{self._path}: this is not its key, or the file is damaged"
                raise StartRefused("wrong_database_key", text) from None
            reason = error.strerror if isinstance(error, OSError) else failure(error).code
            raise StartRefused("database_failed", f"{self._path}: cannot be opened ({reason})") from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr beside the program's log
        connection.execute(f"PRAGMA key = \"x'{self._key.hex()}'\"")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchone()

    async def _upgrade(self) -> None:
        if self._version(await self.rows("PRAGMA user_version")) == len(self._upgrades):
            return
        async with self.transaction() as transaction:
            # Asked again: another process may have done it meanwhile.
            for upgrade in self._upgrades[self._version(await transaction.rows("PRAGMA user_version")) :]:
                for statement in upgrade:
                    await transaction.rows(statement)
            await transaction.rows(f"PRAGMA user_version = {len(self._upgrades)}")

    def _version(self, rows: list[Row]) -> int:
        version, known = int(rows[0][0]), len(self._upgrades)
        if version > known:
            raise StartRefused(
                "database_newer",
                f"{self._path}: written by a newer version (schema {version}, known here: {known}); install that one",
            )
        return version

    async def _empty_log(self, connection: aiosqlite.Connection) -> None:
        """Write the log into the file and cut it to nothing, so that no old page stays in it."""
        try:
            busy, _, _ = (await _execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)"))[0]
        except ExternalError:
            busy = 1
        self._log_must_go = bool(busy)  # another process reads in it: again after the next transaction


async def to_end(work: Awaitable[T]) -> T:
    """Wait for *work* even while being cancelled, then be cancelled: it cannot be stopped half way."""
    running = asyncio.ensure_future(work)
    interrupted: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        if not running.cancelled():
            running.exception()  # seen: the caller is leaving
        raise interrupted
    return running.result()


def failure(error: Exception) -> ExternalError:
    """Return what the rest of the program knows for an error of the database."""
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return ExternalError("database_busy")
    if code == sqlite3.SQLITE_FULL:
        return ExternalError("disk_full")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Permanent("database_damaged")
    return ExternalError("database_failed")


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # without the extension


async def _execute(connection: aiosqlite.Connection, sql: str, values: Sequence[object] = ()) -> list[Row]:
    try:
        return cast(list[Row], await connection.execute_fetchall(sql, values))
    except sqlcipher.Error as error:
        raise failure(error) from error


async def _roll_back(connection: aiosqlite.Connection) -> None:
    try:
        await connection.rollback()  # does nothing if there is no transaction (any more)
    except sqlcipher.Error as error:
        raise failure(error) from error


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
