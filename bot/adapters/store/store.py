"""The database as the services see it: units, what came in, what is to go out, the audit."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path

from bot.adapters.store.database import Database, moment, stamp
from bot.adapters.store.queue_tables import (
    PLANNED,
    READ_AUDIT,
    READ_VALUE,
    audit_row,
    planned,
    replace_waiting,
    take_in,
    waiting,
    write_value,
)
from bot.adapters.store.unit import SqlUnit
from bot.domain.audit import AuditRow
from bot.domain.ids import EventId
from bot.services.ports import Arrival, Clock, Planned, Unit, Vault

_SYNC_TOKEN = "sync token"  # noqa: S105  # the name of a value

_AT_ONCE = 100
"""How many effects are read at a time: many more than are carried out at once."""

_READY = f"""
    SELECT {PLANNED} FROM outbox
    WHERE seq IN (SELECT min(seq) FROM outbox GROUP BY lane) AND next_at <= ?
    ORDER BY seq LIMIT {_AT_ONCE}
"""  # noqa: S608  # constants
_WAITING = "SELECT event_id, case_id, body FROM inbox WHERE body IS NOT NULL AND state = 'waiting'"


class SqlStore:
    """Fills the port `Store` with one SQLCipher file.

    Inside a `unit()` block use the unit alone: the store's own methods wait until it is closed.
    """

    def __init__(self, path: Path, key: bytes, vault: Vault, clock: Clock) -> None:
        """Take the path of the file and its raw 32-byte key; nothing is opened yet."""
        self._database = Database(path, key)
        self._vault = vault
        self._clock = clock

    async def open(self) -> None:
        """Open or make the database.

        Raises:
            StartRefused: `wrong_database_key`, `database_newer`, `database_failed`.
        """
        await self._database.open()

    async def close(self) -> None:
        """Close the database; closing twice is no error."""
        await self._database.close()

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        return self._unit()

    async def sync_token(self) -> str | None:
        rows = await self._database.rows(READ_VALUE, _SYNC_TOKEN)
        return str(rows[0][0]) if rows else None

    async def take(self, token: str, arrivals: Sequence[Arrival]) -> None:
        async with self._database.transaction() as transaction:
            await take_in(transaction, self._vault, arrivals, arrived_at=self._clock.now())
            await write_value(transaction, _SYNC_TOKEN, token)

    async def undecryptable(self) -> Sequence[Arrival]:
        return waiting(self._vault, await self._database.rows(f"{_WAITING} ORDER BY seq"))

    async def decrypted(self, arrival: Arrival) -> None:
        async with self._database.transaction() as transaction:
            await replace_waiting(transaction, self._vault, arrival)

    async def next_arrivals(self, limit: int) -> Sequence[EventId]:
        rows = await self._database.rows(
            "SELECT event_id FROM inbox WHERE body IS NOT NULL AND state = 'new' ORDER BY seq LIMIT ?", limit
        )
        return [EventId(row[0]) for row in rows]

    async def ready_effects(self, now: datetime) -> Sequence[Planned]:
        while True:
            rows = await self._database.rows(_READY, stamp(now))
            effects = [planned(self._vault, row) for row in rows]
            lost = [row[0] for row, effect in zip(rows, effects, strict=True) if effect is None]
            if not lost:
                return [effect for effect in effects if effect is not None]
            # Of cases whose key was destroyed a moment ago: they must not hold up what stands behind them.
            async with self._database.transaction() as transaction:
                await transaction.many("DELETE FROM outbox WHERE id = ?", [(effect_id,) for effect_id in lost])

    async def oldest_effect(self) -> datetime | None:
        rows = await self._database.rows("SELECT planned_at FROM outbox WHERE NOT waits ORDER BY seq LIMIT 1")
        return moment(rows[0][0]) if rows else None

    async def audit_rows(self) -> Sequence[AuditRow]:
        return [audit_row(row) for row in await self._database.rows(READ_AUDIT)]

    async def waiting_arrivals(self, before: datetime) -> Sequence[Arrival]:
        rows = await self._database.rows(f"{_WAITING} AND NOT asked AND arrived_at < ? ORDER BY seq", stamp(before))
        return waiting(self._vault, rows)

    async def mark_asked(self, event_id: EventId) -> None:
        async with self._database.transaction() as transaction:
            await transaction.rows("UPDATE inbox SET asked = 1 WHERE event_id = ?", event_id)

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[SqlUnit]:
        async with self._database.transaction() as transaction:
            yield SqlUnit(transaction, vault=self._vault, clock=self._clock)
