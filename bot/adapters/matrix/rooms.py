"""Making rooms and bringing people in and out."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.devices import MEGOLM
from bot.adapters.matrix.http import HomeserverApi, Refused, path
from bot.adapters.matrix.room_facts import RoomFacts
from bot.adapters.matrix.settings import Timeouts
from bot.domain.errors import Permanent
from bot.domain.ids import EventId, RoomId, UserId
from bot.services.ports import NewRoom

NONCE = "org.consilium.nonce"
ONLY_THE_BOT = 100
CREATORS_STAND_APART = 12
"""From this room version on the creator has all power and must not stand in the power levels."""
AT_ONCE = 8
"""Create events read in parallel while a nonce is looked for."""


class RoomKeeper:
    """Creates, invites, removes, leaves; every answer that does not matter is no error."""

    def __init__(
        self,
        api: HomeserverApi,
        crypto: Crypto,
        facts: RoomFacts,
        *,
        user_id: UserId,
        room_version: str | None,
        timeouts: Timeouts,
    ) -> None:
        self._api = api
        self._crypto = crypto
        self._facts = facts
        self._user_id = user_id
        self._room_version = room_version
        self._timeouts = timeouts
        self._nonces: dict[RoomId, str] | None = None
        self._creating: dict[str, asyncio.Lock] = {}

    async def create(self, room: NewRoom) -> RoomId:
        """Make a room, or find it by its nonce.

        createRoom cannot be repeated safely (a slow answer and nio's own repeats made three rooms of one call), so it
        is tried once a call, and each call looks for the nonce first.
        """
        lock = self._creating.setdefault(room.nonce, asyncio.Lock())
        async with lock:
            room_id = await self._with_nonce(room.nonce)
            if room_id is None:
                body = new_room_body(room, user_id=self._user_id, version=await self._version())
                answer = await self._api.post(path("createRoom"), body, seconds=self._timeouts.create_room)
                room_id = RoomId(str(answer["room_id"]))
                await self._remember(room_id, room.nonce)
        self._creating.pop(room.nonce, None)
        return room_id

    async def _version(self) -> str:
        """Return the room version to ask for: the configured one, else the homeserver's default."""
        if self._room_version is None:
            answer = await self._api.get(path("capabilities"))
            versions = answer.get("capabilities", {}).get("m.room_versions", {})
            self._room_version = str(versions.get("default", "10"))
        return self._room_version

    async def _with_nonce(self, nonce: str) -> RoomId | None:
        if self._nonces is None:
            saved = await self._crypto.do(lambda machine: machine.store.creations())
            self._nonces = {RoomId(room_id): kept for room_id, kept in saved.items()}
        joined = [RoomId(str(room_id)) for room_id in (await self._api.get(path("joined_rooms")))["joined_rooms"]]
        unread = [room_id for room_id in joined if room_id not in self._nonces]
        for start in range(0, len(unread), AT_ONCE):
            await asyncio.gather(*(self._read_nonce(room_id) for room_id in unread[start : start + AT_ONCE]))
        return next((room_id for room_id in joined if self._nonces.get(room_id) == nonce), None)

    async def _read_nonce(self, room_id: RoomId) -> None:
        """Read the create event; a room that somebody else made does not count, whatever nonce it carries."""
        try:
            event = await self._api.get(
                path("rooms", room_id, "state", "m.room.create", ""), params={"format": "event"}
            )
        except Refused:
            return
        nonce = event.get("content", {}).get(NONCE) if event.get("sender") == self._user_id else None
        await self._remember(room_id, nonce if isinstance(nonce, str) else "")

    async def _remember(self, room_id: RoomId, nonce: str) -> None:
        if self._nonces is not None:
            self._nonces[room_id] = nonce
        await self._crypto.do(lambda machine: machine.store.save_creation(room_id, nonce))

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite; being in the room or invited is no error."""
        try:
            await self._api.post(path("rooms", room_id, "invite"), {"user_id": user_id})
        except Refused as error:
            if error.errcode == "M_INVITE_BLOCKED":
                raise Permanent("invite_blocked") from None
            if error.status != 403 or await self._membership(room_id, user_id) not in {"join", "invite"}:
                raise
        finally:
            self._facts.changed(room_id)

    async def remove(self, room_id: RoomId, user_id: UserId) -> None:
        """Kick, without a reason: reasons are clear text."""
        try:
            await self._api.post(path("rooms", room_id, "kick"), {"user_id": user_id})
        except Refused:
            if await self._membership(room_id, user_id) in {"join", "invite"}:
                raise
        finally:
            self._facts.changed(room_id)

    async def join(self, room_id: RoomId) -> None:
        """Accept an invitation."""
        await self._api.post(path("rooms", room_id, "join"), {}, seconds=self._timeouts.create_room)
        self._facts.changed(room_id)

    async def leave(self, room_id: RoomId) -> None:
        """Leave or decline, then forget; a room that is gone is left."""
        for act in ("leave", "forget"):
            try:
                await self._api.post(path("rooms", room_id, act), {})
            except Refused as error:
                if error.status not in {400, 403, 404}:
                    raise
        self._facts.changed(room_id)

    async def exists(self, user_id: UserId) -> bool:
        """Ask for the profile: Synapse answers 404 for an id that nobody has."""
        try:
            await self._api.get(path("profile", user_id))
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    async def redact(self, room_id: RoomId, event_id: EventId, *, txn: str) -> None:
        """Redact, without a reason; an event that is gone is redacted."""
        try:
            await self._api.put(path("rooms", room_id, "redact", event_id, transaction_id(txn)), {})
        except Refused as error:
            if error.status != 404:
                raise

    async def _membership(self, room_id: RoomId, user_id: UserId) -> str | None:
        try:
            return (await self._facts.members(room_id, anew=True)).get(user_id)
        except Permanent:
            return None


def transaction_id(txn: str) -> str:
    """Return *txn* in a form that a path can hold, whatever it is made of."""
    return txn if txn.isascii() and txn.isalnum() else hashlib.sha256(txn.encode()).hexdigest()


def new_room_body(room: NewRoom, *, user_id: UserId, version: str) -> dict[str, Any]:
    """Return the body for createRoom: private, encrypted from its first event, governed by the bot alone.

    `history_visibility` is `invited`: with `shared` any inviter's client would hand out the history. The preset is
    never `trusted_private_chat`: from version 12 on it makes every invited person a creator.
    """
    users: Mapping[str, int] = {} if _creators_stand_apart(version) else {user_id: ONLY_THE_BOT}
    body: dict[str, Any] = {
        "preset": "private_chat",
        "visibility": "private",
        "room_version": version,
        "name": room.name,
        "creation_content": {NONCE: room.nonce},
        "initial_state": [
            {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}},
            {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "invited"}},
            {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "forbidden"}},
        ],
        "power_level_content_override": {
            "users": users,
            "users_default": 0,
            "events": {},
            "events_default": 0,
            "state_default": ONLY_THE_BOT,
            "invite": ONLY_THE_BOT,
            "kick": ONLY_THE_BOT,
            "ban": ONLY_THE_BOT,
            "redact": ONLY_THE_BOT,
            "notifications": {"room": ONLY_THE_BOT},
        },
    }
    if room.direct_with is not None:
        body |= {"is_direct": True, "invite": [room.direct_with]}
    return body


def _creators_stand_apart(version: str) -> bool:
    """Return whether the version is one of those without the creator in the power levels; unknown ones are newer."""
    return not version.isdigit() or int(version) >= CREATORS_STAND_APART
