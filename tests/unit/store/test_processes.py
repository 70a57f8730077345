"""Two processes in one database, and a process that is killed."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.store import SqlStore
from bot.domain.audit import AuditRow, first_break
from tests.fakes.vault import MemoryVault
from tests.unit.store.samples import NOW
from tests.unit.store.writer import write_step

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))


async def start(path: Path, what: str) -> Process:
    """Start a writer; it gets its key on stdin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("writer.py")),
        str(path),
        what,
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    process.stdin.write(f"{KEY.hex()}\n".encode())
    process.stdin.close()
    return process


async def line(process: Process) -> str:
    """Return what the writer says next."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def kill(process: Process) -> None:
    """Kill it as the system would: without a chance to tidy up."""
    process.kill()
    await process.communicate()


async def opened(path: Path) -> SqlStore:
    """Return the store, opened in this process."""
    store = SqlStore(path, KEY, MemoryVault(), SystemClock())
    await store.open()
    return store


async def steps_in(store: SqlStore) -> tuple[int, Sequence[AuditRow]]:
    """Return how many steps were counted, and the audit chain; both must tell the same."""
    async with store.unit() as unit:
        counted = int(await unit.value("count") or 0)
    rows = await store.audit_rows()
    assert [row.event.facts["n"] for row in rows] == list(range(1, counted + 1))
    assert first_break(rows) is None
    return counted, rows


async def test_a_process_killed_inside_a_unit_leaves_nothing_of_it(tmp_path: Path) -> None:
    """Between two statements; the next process opens the database at once."""
    process = await start(tmp_path / "store.db", "half")
    assert await line(process) == "half"
    await kill(process)
    store = await opened(tmp_path / "store.db")
    assert await steps_in(store) == (0, [])
    assert await store.ready_effects(NOW) == []
    await store.close()


@pytest.mark.parametrize("said", [1, 7, 40])
async def test_a_process_killed_at_any_moment_loses_nothing_it_had_written(tmp_path: Path, said: int) -> None:
    """What it told is there, and every step is whole: value, effect and audit row."""
    process = await start(tmp_path / "store.db", "1000000")
    for n in range(1, said + 1):
        assert await line(process) == str(n)
    await kill(process)
    store = await opened(tmp_path / "store.db")
    counted, _ = await steps_in(store)
    assert counted >= said
    effects = 0
    while ready := await store.ready_effects(SystemClock().now()):
        async with store.unit() as unit:
            await unit.finish(ready[0])
        effects += 1
    assert effects == counted
    await store.close()


async def test_two_processes_write_side_by_side(tmp_path: Path) -> None:
    """The bot and an admin's command line: no step is lost, the chain has one end."""
    store = await opened(tmp_path / "store.db")
    process = await start(tmp_path / "store.db", "40")
    assert await line(process) == "1"
    for _ in range(40):
        async with store.unit() as unit:
            await write_step(unit)
    await process.communicate()
    assert process.returncode == 0
    counted, _ = await steps_in(store)
    assert counted == 80
    await store.close()


async def test_processes_that_make_the_database_at_the_same_time_both_get_it(tmp_path: Path) -> None:
    """Whoever comes second finds the tables made."""
    processes = await asyncio.gather(*(start(tmp_path / "store.db", "1") for _ in range(3)))
    said = [(await process.communicate())[0].decode().strip() for process in processes]
    assert sorted(said) == ["1", "2", "3"]
