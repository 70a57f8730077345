"""A process that writes into a store until it is killed: `writer.py PATH WHAT`, the key in hex on stdin.

`open` only opens; `half` stops inside a unit and says "half"; a number writes so many steps, and says each when it is
written.
"""

import asyncio
import sys
from pathlib import Path

from bot.adapters.clock import SystemClock
from bot.adapters.store import SqlStore
from bot.domain.audit import AuditEvent
from bot.services.ports import Store, Unit
from tests.fakes.vault import MemoryVault
from tests.unit.store.samples import ANN, to


async def write_step(unit: Unit) -> int:
    """Count one up, in a value, an effect and an audit row."""
    n = int(await unit.value("count") or 0) + 1
    await unit.save_value("count", str(n))
    await unit.plan(to(ANN, str(n)))
    await unit.audit(AuditEvent(kind="step", by=None, facts={"n": n}))
    return n


async def write_half(store: Store) -> None:
    """Write a step, and stop before its end."""
    async with store.unit() as unit:
        await write_step(unit)
        say("half")
        await asyncio.Event().wait()


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(path: Path, what: str, key: bytes) -> None:
    """Do *what*."""
    store = SqlStore(path, key, MemoryVault(), SystemClock())
    await store.open()
    if what == "half":
        await write_half(store)
    for _ in range(0 if what == "open" else int(what)):
        async with store.unit() as unit:
            n = await write_step(unit)
        say(str(n))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.stdin.readline())))
