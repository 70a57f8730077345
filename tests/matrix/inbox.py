"""An `Arrivals` in memory, with levers to lose power between receiving and storing."""

import asyncio
from collections.abc import Callable, Sequence

from bot.domain.ids import EventId, RoomId
from bot.services.ports import Arrival, ArrivalKind

WAIT_SECONDS = 30.0

Fits = Callable[[Arrival], bool]


class PowerCut(BaseException):
    """Ends the process in the middle; no handler catches it."""


class Inbox:
    """Keeps token and arrivals together; ids and fingerprints that it knows are dropped."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.arrivals: list[Arrival] = []
        self.batches: list[int] = []
        self.cut_power = False
        self._ids: set[EventId] = set()
        self._fingerprints: set[str] = set()
        self._changed = asyncio.Condition()

    async def sync_token(self) -> str | None:
        return self.token

    async def take(self, token: str, arrivals: Sequence[Arrival]) -> None:
        if self.cut_power and arrivals:
            raise PowerCut
        async with self._changed:
            self.batches.append(len(arrivals))
            for arrival in arrivals:
                if arrival.event_id in self._ids or arrival.fingerprint in self._fingerprints:
                    continue
                self._ids.add(arrival.event_id)
                if arrival.fingerprint is not None:
                    self._fingerprints.add(arrival.fingerprint)
                self.arrivals.append(arrival)
            self.token = token
            self._changed.notify_all()

    async def undecryptable(self) -> Sequence[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.kind is ArrivalKind.UNDECRYPTABLE]

    async def decrypted(self, arrival: Arrival) -> None:
        async with self._changed:
            self.arrivals = [arrival if known.event_id == arrival.event_id else known for known in self.arrivals]
            self._changed.notify_all()

    # -- What a test looks at --------------------------------------------------------------------------------------

    def of_kind(self, kind: ArrivalKind, room_id: RoomId | str | None = None) -> list[Arrival]:
        """Return the arrivals of one kind, of one room or of all, oldest first."""
        return [a for a in self.arrivals if a.kind is kind and room_id in (None, a.room_id)]

    def bodies(self, room_id: RoomId | str | None = None) -> list[str]:
        """Return the plain bodies of the messages, oldest first."""
        return [str(a.content.get("body")) for a in self.of_kind(ArrivalKind.MESSAGE, room_id)]

    async def wait_for(self, body: str) -> Arrival:
        """Wait for a message with this body."""
        return await self.wait_until(lambda a: a.kind is ArrivalKind.MESSAGE and a.content.get("body") == body)

    async def wait_kind(self, kind: ArrivalKind, room_id: RoomId | str | None = None) -> Arrival:
        """Wait for an arrival of this kind."""
        return await self.wait_until(lambda a: a.kind is kind and room_id in (None, a.room_id))

    async def wait_until(self, fits: Fits) -> Arrival:
        """Wait for the first arrival that *fits*."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: any(fits(arrival) for arrival in self.arrivals))
            return next(arrival for arrival in self.arrivals if fits(arrival))
