"""People, their second factors, their sessions, and what the bot asked them."""

from collections.abc import Sequence
from datetime import datetime

from bot.adapters.store.database import moment, stamp
from bot.adapters.store.records import CREDENTIAL, PENDING, PERSON
from bot.adapters.store.tables import Tables
from bot.domain.ids import DeviceId, UserId
from bot.domain.people import Credential, Person, Session
from bot.services.ports import Pending

INAMI_KEY_DIGITS = 8
"""The digits that name the person: the last three tell only his qualification."""


class PeopleTables(Tables):
    """The part of a unit that knows people."""

    async def person(self, user_id: UserId) -> Person | None:
        row = await self._transaction.row("SELECT body FROM people WHERE user_id = ?", user_id)
        return None if row is None else PERSON.unpack(row[0])

    async def people(self) -> Sequence[Person]:
        rows = await self._transaction.rows("SELECT body FROM people ORDER BY user_id")
        return [PERSON.unpack(row[0]) for row in rows]

    async def holders(self, inami_key: str) -> Sequence[Person]:
        rows = await self._transaction.rows("SELECT body FROM people WHERE inami_key = ? ORDER BY user_id", inami_key)
        return [PERSON.unpack(row[0]) for row in rows]

    async def save_person(self, person: Person) -> None:
        await self._transaction.rows(
            "INSERT OR REPLACE INTO people (user_id, inami_key, body) VALUES (?, ?, ?)",
            person.user_id,
            None if person.inami is None else person.inami[:INAMI_KEY_DIGITS],
            PERSON.pack(person),
        )

    async def credential(self, user_id: UserId) -> Credential | None:
        row = await self._transaction.row("SELECT body FROM credentials WHERE user_id = ?", user_id)
        return None if row is None else CREDENTIAL.unpack(row[0])

    async def save_credential(self, credential: Credential) -> None:
        await self._transaction.rows(
            "INSERT OR REPLACE INTO credentials (user_id, body) VALUES (?, ?)",
            credential.user_id,
            CREDENTIAL.pack(credential),
        )

    async def session(self, user_id: UserId, device_id: DeviceId, now: datetime) -> Session | None:
        row = await self._transaction.row(
            "SELECT until FROM sessions WHERE user_id = ? AND device_id = ? AND until > ?",
            user_id,
            device_id,
            stamp(now),
        )
        return None if row is None else Session(user_id=user_id, device_id=device_id, until=moment(row[0]))

    async def has_session(self, user_id: UserId, now: datetime) -> bool:
        return bool(
            await self._transaction.rows(
                "SELECT 1 FROM sessions WHERE user_id = ? AND until > ? LIMIT 1", user_id, stamp(now)
            )
        )

    async def save_session(self, session: Session) -> None:
        await self._transaction.rows(
            "DELETE FROM sessions WHERE user_id = ? AND until <= ?", session.user_id, stamp(self._clock.now())
        )
        await self._transaction.rows(
            "INSERT OR REPLACE INTO sessions (user_id, device_id, until) VALUES (?, ?, ?)",
            session.user_id,
            session.device_id,
            stamp(session.until),
        )

    async def end_sessions(self, user_id: UserId) -> None:
        await self._transaction.rows("DELETE FROM sessions WHERE user_id = ?", user_id)

    async def pending(self, user_id: UserId) -> Pending | None:
        row = await self._transaction.row("SELECT body FROM pending WHERE user_id = ?", user_id)
        return None if row is None else PENDING.unpack(row[0])

    async def save_pending(self, user_id: UserId, pending: Pending | None) -> None:
        if pending is None:
            await self._transaction.rows("DELETE FROM pending WHERE user_id = ?", user_id)
            return
        await self._transaction.rows(
            "INSERT OR REPLACE INTO pending (user_id, body) VALUES (?, ?)", user_id, PENDING.pack(pending)
        )
