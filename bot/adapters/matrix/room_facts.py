"""What the homeserver says of a room right now: who is in it, and whether it is encrypted.

nio believes its copy of the state: after a restart it knows no room, directly after createRoom it misses the last one
invited, a member removed while keys are shared keeps them. Here every fact is read from the server, and kept only until
a sync, or an act of our own, says that it may have changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.adapters.matrix.devices import MEGOLM
from bot.adapters.matrix.http import HomeserverApi, Refused, path
from bot.domain.errors import Permanent
from bot.domain.ids import RoomId, UserId

LATEST_ROTATION = 100
LATEST_AGE_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """The room's settings for Megolm sessions."""

    messages: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Facts:
    members: Mapping[UserId, str] | None = None
    encryption: Encryption | None = None


class RoomFacts:
    """Members and encryption of rooms; `is_current` says whether syncs arrive, so that what is kept can be trusted."""

    def __init__(self, api: HomeserverApi, is_current: Callable[[], bool]) -> None:
        self._api = api
        self.is_current = is_current
        self._facts: dict[RoomId, _Facts] = {}
        self._changes: dict[RoomId, int] = {}

    def changes(self, room_id: RoomId) -> int:
        """Return a number that grows whenever the room may have changed."""
        return self._changes.get(room_id, 0)

    def changed(self, room_id: RoomId) -> None:
        """Forget what is known of the room."""
        self._changes[room_id] = self._changes.get(room_id, 0) + 1
        self._facts.pop(room_id, None)

    async def members(self, room_id: RoomId, *, anew: bool = False) -> Mapping[UserId, str]:
        """Return the membership of everyone who ever had one.

        Raises:
            ExternalError: the homeserver did not answer; Permanent if the bot may not see the room.
        """
        known = self._facts.get(room_id)
        if not anew and known is not None and known.members is not None and self.is_current():
            return known.members
        before = self.changes(room_id)
        answer = await self._api.get(path("rooms", room_id, "members"))
        members = {
            UserId(event["state_key"]): str(event["content"].get("membership", "leave"))
            for event in answer.get("chunk", [])
            if event.get("type") == "m.room.member"
        }
        if self.changes(room_id) == before:
            self._facts.setdefault(room_id, _Facts()).members = members
        return members

    async def encryption(self, room_id: RoomId) -> Encryption:
        """Return the room's encryption settings.

        Raises:
            Permanent: "not_encrypted", or "forbidden" if the bot is not in the room.
        """
        known = self._facts.get(room_id)
        if known is not None and known.encryption is not None and self.is_current():
            return known.encryption
        before = self.changes(room_id)
        try:
            content = await self._api.get(path("rooms", room_id, "state", "m.room.encryption", ""))
        except Refused as error:
            raise Permanent("not_encrypted" if error.status == 404 else error.code) from None
        if content.get("algorithm") != MEGOLM:
            raise Permanent("not_encrypted")
        encryption = Encryption(
            messages=int(_within(content.get("rotation_period_msgs"), LATEST_ROTATION)),
            seconds=_within(content.get("rotation_period_ms"), LATEST_AGE_SECONDS * 1000) / 1000,
        )
        if self.changes(room_id) == before:
            self._facts.setdefault(room_id, _Facts()).encryption = encryption
        return encryption


def _within(value: object, most: float) -> float:
    """Return the room's value if it is stricter than ours."""
    return float(value) if isinstance(value, int | float) and 0 < value < most else most
