"""The ledger: every room, event and medium of a case, direct chats included, and the polls that are open."""

from collections.abc import Sequence

from bot.adapters.store.database import Row
from bot.adapters.store.records import FILE, pack_poll, unpack_poll
from bot.adapters.store.tables import Tables, seal, unseal
from bot.domain.effects import CaseRoom, Direct, Place, Purpose
from bot.domain.ids import CaseId, EventId, RoomId, UserId
from bot.services.ports import EncryptedFile, EventEntry, OpenPoll, RoomEntry


class LedgerTables(Tables):
    """The part of a unit that knows where everything is."""

    async def room(self, room_id: RoomId) -> RoomEntry | None:
        row = await self._transaction.row(
            "SELECT room_id, purpose, case_id, user_id FROM rooms WHERE room_id = ?", room_id
        )
        return None if row is None else _room(row)

    async def room_of(self, place: Place) -> RoomId | None:
        if isinstance(place, CaseRoom):
            row = await self._transaction.row(
                "SELECT room_id FROM rooms WHERE case_id = ? AND purpose = ? ORDER BY seq DESC LIMIT 1",
                place.case_id,
                place.purpose,
            )
        elif isinstance(place, Direct):
            row = await self._transaction.row(
                "SELECT room_id FROM rooms WHERE user_id = ? AND purpose = 'direct'", place.user_id
            )
        else:
            return place.room_id
        return None if row is None else RoomId(row[0])

    async def record_room(self, entry: RoomEntry) -> None:
        if entry.purpose is Purpose.DIRECT:
            await self._transaction.rows(
                "DELETE FROM rooms WHERE user_id = ? AND purpose = 'direct' AND room_id != ?",
                entry.user_id,
                entry.room_id,
            )
        await self._transaction.rows(
            "INSERT INTO rooms (room_id, purpose, case_id, user_id) VALUES (?, ?, ?, ?) ON CONFLICT (room_id) DO UPDATE"
            " SET purpose = excluded.purpose, case_id = excluded.case_id, user_id = excluded.user_id",
            entry.room_id,
            entry.purpose,
            entry.case_id,
            entry.user_id,
        )

    async def forget_room(self, room_id: RoomId) -> None:
        await self._transaction.rows("DELETE FROM rooms WHERE room_id = ?", room_id)

    async def rooms(self, case_id: CaseId) -> Sequence[RoomEntry]:
        rows = await self._transaction.rows(
            "SELECT room_id, purpose, case_id, user_id FROM rooms WHERE case_id = ? ORDER BY seq", case_id
        )
        return [_room(row) for row in rows]

    async def all_rooms(self) -> Sequence[RoomEntry]:
        rows = await self._transaction.rows("SELECT room_id, purpose, case_id, user_id FROM rooms ORDER BY seq")
        return [_room(row) for row in rows]

    async def record_event(self, case_id: CaseId, entry: EventEntry) -> None:
        await self._transaction.rows(
            "INSERT INTO events (event_id, case_id, room_id, own) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            entry.event_id,
            case_id,
            entry.room_id,
            int(entry.own),
        )

    async def events(self, case_id: CaseId) -> Sequence[EventEntry]:
        rows = await self._transaction.rows(
            "SELECT event_id, room_id, own FROM events WHERE case_id = ? ORDER BY seq", case_id
        )
        return [EventEntry(event_id=EventId(row[0]), room_id=RoomId(row[1]), own=bool(row[2])) for row in rows]

    async def case_of_event(self, event_id: EventId) -> CaseId | None:
        row = await self._transaction.row(
            "SELECT case_id FROM events WHERE event_id = ? ORDER BY seq LIMIT 1", event_id
        )
        return None if row is None else CaseId(row[0])

    async def record_medium(self, case_id: CaseId, file_id: str | None, file: EncryptedFile) -> None:
        body = seal(self._vault, case_id, FILE.pack(file), context=f"medium:{file.url}")
        await self._transaction.rows(
            "INSERT INTO media (case_id, url, file_id, body) VALUES (?, ?, ?, ?) ON CONFLICT (case_id, url) DO UPDATE"
            " SET file_id = coalesce(excluded.file_id, file_id), body = excluded.body",
            case_id,
            file.url,
            file_id,
            body,
        )

    async def medium(self, case_id: CaseId, file_id: str) -> EncryptedFile | None:
        row = await self._transaction.row(
            "SELECT url, body FROM media WHERE case_id = ? AND file_id = ? ORDER BY seq DESC LIMIT 1", case_id, file_id
        )
        if row is None:
            return None
        return FILE.unpack(self._vault.open(case_id, row[1], context=f"medium:{row[0]}"))

    async def forget_media(self, case_id: CaseId) -> None:
        await self._transaction.rows("DELETE FROM media WHERE case_id = ?", case_id)

    async def media(self, case_id: CaseId) -> Sequence[str]:
        rows = await self._transaction.rows("SELECT url FROM media WHERE case_id = ? ORDER BY seq", case_id)
        return [row[0] for row in rows]

    async def record_poll(self, poll: OpenPoll) -> None:
        await self._transaction.rows(
            "INSERT OR REPLACE INTO polls (event_id, room_id, case_id, field, body) VALUES (?, ?, ?, ?, ?)",
            poll.event_id,
            poll.room_id,
            poll.case_id,
            poll.poll.field,
            seal(self._vault, poll.case_id, pack_poll(poll.poll), context=f"poll:{poll.event_id}"),
        )

    async def poll(self, event_id: EventId) -> OpenPoll | None:
        rows = await self._transaction.rows(
            "SELECT event_id, room_id, case_id, body FROM polls WHERE event_id = ?", event_id
        )
        return next(iter(self._polls(rows)), None)

    async def open_polls(self, room_id: RoomId, asked_field: str) -> Sequence[OpenPoll]:
        rows = await self._transaction.rows(
            "SELECT event_id, room_id, case_id, body FROM polls WHERE room_id = ? AND field = ? ORDER BY seq",
            room_id,
            asked_field,
        )
        return self._polls(rows)

    async def end_poll(self, event_id: EventId) -> None:
        await self._transaction.rows("DELETE FROM polls WHERE event_id = ?", event_id)

    def _polls(self, rows: Sequence[Row]) -> list[OpenPoll]:
        """Return the polls that can still be read; those of a case whose key is gone ask nobody any more."""
        readable: list[OpenPoll] = []
        for event_id, room_id, case_id, body in rows:
            clear = unseal(self._vault, case_id, body, context=f"poll:{event_id}")
            if clear is not None:
                readable.append(OpenPoll(event_id=event_id, room_id=room_id, case_id=case_id, poll=unpack_poll(clear)))
        return readable


def _room(row: Row) -> RoomEntry:
    room_id, purpose, case_id, user_id = row
    return RoomEntry(
        room_id=RoomId(room_id),
        purpose=Purpose(purpose),
        case_id=None if case_id is None else CaseId(case_id),
        user_id=None if user_id is None else UserId(user_id),
    )
