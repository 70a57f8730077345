"""Everything that one client has seen so far, and the waiting for more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bot.lab.message import Message, ToDevice, label, read

LAST = 8


class NotSeen(AssertionError):
    """What was waited for did not come; the text says what, and what was seen last (ids, types and kinds only)."""


class Seen:
    """One client's memory: a log of what it saw in the order it saw it, and each event in its latest form."""

    def __init__(self, name: str, user_id: str) -> None:
        """Start with nothing; *name* is for the texts of `NotSeen`."""
        self.log: list[Message] = []
        self.latest: dict[str, Message] = {}
        self.to_device: list[ToDevice] = []
        self._name = name
        self._user_id = user_id
        self._taken: set[int] = set()
        self._rooms: dict[str, list[str]] = {}
        self._membership: dict[str, dict[str, str]] = {}
        self._invited_by: dict[str, str] = {}
        self._crash: Exception | None = None
        self._heard = 0
        self._pulse = asyncio.Event()

    def hear(self, told: Mapping[str, Any]) -> None:
        """Take in one event that Node pushed."""
        match told["event"]:
            case "message":
                self._see(read(told), first=told["backfill"])
            case "member":
                room, user, membership = told["room"], told["user"], told["membership"]
                self._membership.setdefault(room, {})[user] = membership
                if user == self._user_id and membership == "invite":
                    self._invited_by[room] = told["by"] or ""
            case "to_device":
                content, encrypted = told["content"], told["encrypted"]
                self.to_device.append(
                    ToDevice(sender=told["sender"], type=told["type"], content=content, encrypted=encrypted)
                )
        self._wake()

    def crash(self, error: Exception) -> None:
        """Let every waiter fail: there will be no more events."""
        self._crash = error
        self._wake()

    def events(self, room: str) -> list[Message]:
        """Return the room's events in the order of its timeline, each in its latest form."""
        return [self.latest[event_id] for event_id in self._rooms.get(room, [])]

    def membership(self, room: str, user_id: str) -> str | None:
        """Return the last membership seen, None if none was."""
        return self._membership.get(room, {}).get(user_id)

    def invites(self) -> dict[str, str]:
        """Return the rooms of open invitations, each with who invited."""
        return {room: by for room, by in self._invited_by.items() if self.membership(room, self._user_id) == "invite"}

    def take(self, room: str | None, predicate: Callable[[Message], bool], since: int) -> Message | None:
        """Return the first entry of the log from *since* that fits and was not taken before, None if there is none."""
        for position in range(since, len(self.log)):
            message = self.log[position]
            if position not in self._taken and room in (None, message.room_id) and predicate(message):
                self._taken.add(position)
                return message
        return None

    @asynccontextmanager
    async def watch(self, seconds: float, what: str, room: str | None) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Yield a function that waits until something was heard since it returned last (at first: since here).

        Raises:
            NotSeen: time was over before the block was left.
        """
        known = self._heard

        async def changed() -> None:
            nonlocal known
            while known == self._heard:
                if self._crash is not None:
                    raise self._crash
                await self._pulse.wait()
            known = self._heard

        try:
            async with asyncio.timeout(seconds):
                yield changed
        except TimeoutError:
            last = [message for message in self.log if room in (None, message.room_id)][-LAST:]
            told = "; ".join(label(message) for message in last) or "nothing"
            where = f" in {room}" if room else ""
            raise NotSeen(f"{self._name} waited {seconds:g} s for {what}{where}; last seen: {told}") from None

    def _see(self, message: Message, *, first: bool) -> None:
        if message.event_id not in self.latest:
            order = self._rooms.setdefault(message.room_id, [])
            order.insert(0 if first else len(order), message.event_id)
        self.latest[message.event_id] = message
        self.log.append(message)

    def _wake(self) -> None:
        self._heard += 1
        self._pulse.set()
        self._pulse = asyncio.Event()
