"""How the database is opened, upgraded and written by one at a time."""

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.store.database import Database, Transaction, moment, stamp
from bot.adapters.store.schema import UPGRADES
from bot.domain.errors import ExternalError, StartRefused
from tests.unit.store.samples import NOW

KEY = bytes(range(32))
ADD = "INSERT INTO small_values (key, value) VALUES (?, 'x')"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open, empty database."""
    made = Database(tmp_path / "store.db", KEY)
    await made.open()
    yield made
    await made.close()


async def keys(database: Database) -> list[str]:
    """Return the keys of the small values."""
    return [row[0] for row in await database.rows("SELECT key FROM small_values ORDER BY key")]


async def test_another_key_is_refused_in_one_line_and_nothing_is_said_elsewhere(
    tmp_path: Path, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library would write its own lines to stderr."""
    other = Database(tmp_path / "store.db", os.urandom(32))
    with pytest.raises(StartRefused) as refused:
        await other.open()
    assert refused.value.code == "wrong_database_key"
    assert "\n" not in str(refused.value)
    assert KEY.hex() not in str(refused.value)
    assert capfd.readouterr().err == ""


async def test_a_damaged_file_is_refused(tmp_path: Path, database: Database) -> None:
    """Every page carries a checksum under the key."""
    await database.close()
    path = tmp_path / "store.db"
    spoilt = bytearray(path.read_bytes())
    spoilt[100] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(StartRefused) as refused:
        await Database(path, KEY).open()
    assert refused.value.code == "wrong_database_key"


async def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """One line for the operator."""
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StartRefused) as refused:
        await Database(tmp_path / "store.db", KEY).open()
    assert refused.value.code == "database_failed"


def test_a_key_of_another_length_is_a_mistake(tmp_path: Path) -> None:
    """SQLCipher would take a shorter text for a passphrase."""
    with pytest.raises(ValueError, match="32"):
        Database(tmp_path / "store.db", b"short")


async def test_only_the_owner_may_read_the_files(tmp_path: Path, database: Database) -> None:
    """The log and its index too."""
    async with database.transaction() as transaction:
        await transaction.rows(ADD, "a")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


async def test_the_settings_that_keep_the_promises_are_on(database: Database) -> None:
    """Foreign keys, overwriting, full synchronisation, the log."""
    found = {name: (await database.rows(f"PRAGMA {name}"))[0][0] for name in
             ("foreign_keys", "secure_delete", "synchronous", "journal_mode", "busy_timeout")}  # fmt: skip
    assert found == {
        "foreign_keys": 1, "secure_delete": 1, "synchronous": 2, "journal_mode": "wal", "busy_timeout": 10_000
    }  # fmt: skip


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An older program must not write into what it does not know."""
    newer = Database(tmp_path / "store.db", KEY, upgrades=(*UPGRADES, ("CREATE TABLE later (a TEXT) STRICT",)))
    await newer.open()
    await newer.close()
    with pytest.raises(StartRefused, match=re.escape(f"schema {len(UPGRADES) + 1}")) as refused:
        await Database(tmp_path / "store.db", KEY).open()
    assert refused.value.code == "database_newer"


async def test_an_older_schema_is_upgraded_and_keeps_its_rows(tmp_path: Path, database: Database) -> None:
    """Only what is missing is done, in order."""
    async with database.transaction() as transaction:
        await transaction.rows(ADD, "kept")
    await database.close()
    steps = (("CREATE TABLE later (a TEXT) STRICT",), ("INSERT INTO later (a) SELECT key FROM small_values",))
    for _ in range(2):
        newer = Database(tmp_path / "store.db", KEY, upgrades=(*UPGRADES, *steps))
        await newer.open()
        assert await newer.rows("SELECT a FROM later") == [("kept",)]
        await newer.close()


async def test_a_failed_upgrade_leaves_the_old_schema(tmp_path: Path, database: Database) -> None:
    """Whole or not at all."""
    await database.close()
    broken = Database(tmp_path / "store.db", KEY, upgrades=(*UPGRADES, ("CREATE TABLE later (a TEXT)", "nonsense")))
    with pytest.raises(StartRefused):
        await broken.open()
    await database.open()
    assert await database.rows("SELECT name FROM sqlite_master WHERE name = 'later'") == []
    assert await database.rows("PRAGMA user_version") == [(len(UPGRADES),)]


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    """Everything or nothing."""

    async def fail() -> None:
        async with database.transaction() as transaction:
            await transaction.rows(ADD, "a")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await keys(database) == []


async def test_a_cancelled_transaction_leaves_nothing_and_lets_the_next_in(database: Database) -> None:
    """Cancelled between two statements; the task ends as cancelled."""
    reached = asyncio.Event()

    async def writer() -> None:
        async with database.transaction() as transaction:
            await transaction.rows(ADD, "a")
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(writer())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await keys(database) == []


@pytest.mark.parametrize("turns", range(1, 12))
async def test_cancelling_at_any_moment_keeps_whole_steps(database: Database, turns: int) -> None:
    """Wherever the cancellation falls, also in the commit: both rows or none, and the database goes on working."""

    async def writer() -> None:
        async with database.transaction() as transaction:
            await transaction.rows(ADD, "a")
            async with transaction.savepoint():
                await transaction.rows(ADD, "b")

    task = asyncio.create_task(writer())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await keys(database) in ([], ["a", "b"])
    async with database.transaction() as transaction:
        await transaction.rows(ADD, "c")
    assert "c" in await keys(database)


async def test_writers_wait_for_each_other(database: Database) -> None:
    """Read, then write what was read plus one: no step is lost."""

    async def add() -> None:
        async with database.transaction() as transaction:
            [(count,)] = await transaction.rows("SELECT count(*) FROM small_values")
            await asyncio.sleep(0)
            await transaction.rows(ADD, f"{count:03}")

    await asyncio.gather(*(add() for _ in range(30)))
    assert await keys(database) == [f"{n:03}" for n in range(30)]


async def test_a_savepoint_is_undone_alone(database: Database) -> None:
    """What was written before and after it stays; they stand in each other."""

    async def fail(transaction: Transaction) -> None:
        async with transaction.savepoint():
            await transaction.rows(ADD, "c")
            raise KeyError

    async def repeat(transaction: Transaction) -> None:
        async with transaction.savepoint():
            await transaction.rows(ADD, "d")
            await transaction.rows(ADD, "a")

    async with database.transaction() as transaction:
        await transaction.rows(ADD, "a")
        async with transaction.savepoint():
            await transaction.rows(ADD, "b")
            with pytest.raises(KeyError):
                await fail(transaction)
        with pytest.raises(ExternalError):
            await repeat(transaction)
        await transaction.rows(ADD, "e")
    assert await keys(database) == ["a", "b", "e"]


async def test_after_sqlite_gave_the_transaction_up_nothing_more_is_written(database: Database) -> None:
    """What a full disk does: SQLite rolls back by itself, and each later statement would stand alone."""

    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.rows(ADD, "a")
            await transaction.rows("ROLLBACK")
            await transaction.rows(ADD, "b")

    with pytest.raises(ExternalError) as refused:
        await write()
    assert refused.value.code == "transaction_lost"
    assert await keys(database) == []


async def test_a_unit_inside_a_unit_is_a_mistake_that_is_told(database: Database) -> None:
    """The task would wait for itself for ever."""
    async with database.transaction():
        with pytest.raises(RuntimeError, match="itself"):
            async with database.transaction():
                pass
        with pytest.raises(RuntimeError, match="itself"):
            await database.rows("SELECT 1")


async def test_a_transaction_takes_nothing_after_its_end(database: Database) -> None:
    """Whoever kept it would write into somebody else's."""
    async with database.transaction() as transaction:
        pass
    with pytest.raises(RuntimeError, match="ended"):
        await transaction.rows(ADD, "a")


async def test_a_closed_database_says_so(database: Database) -> None:
    """And closing twice is no error."""
    await database.close()
    await database.close()
    with pytest.raises(RuntimeError, match="not open"):
        await database.rows("SELECT 1")


async def test_an_erasing_transaction_empties_the_log(tmp_path: Path, database: Database) -> None:
    """Old pages would stay in it until it is written over."""
    async with database.transaction() as transaction:
        await transaction.rows(ADD, "a")
    assert (tmp_path / "store.db-wal").stat().st_size > 0
    async with database.transaction() as transaction:
        await transaction.rows("DELETE FROM small_values")
        transaction.erases = True
    assert (tmp_path / "store.db-wal").stat().st_size == 0


def test_times_are_whole_microseconds() -> None:
    """Nothing is rounded, and a time without a zone is a mistake."""
    at = NOW.replace(microsecond=123_457)
    assert moment(stamp(at)) == at
    with pytest.raises(ValueError, match="zone"):
        stamp(at.replace(tzinfo=None))
