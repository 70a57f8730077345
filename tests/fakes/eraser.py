"""An eraser in memory that works when the test says so."""

from collections.abc import Sequence

from bot.domain.ids import CaseId, RoomId
from bot.services.ports import Erased, ErasureStatus


class FakeEraser:
    """Keeps the orders; `work()` plays the eraser process, `alive` its heartbeat."""

    def __init__(self, *, alive: bool = True) -> None:
        self.alive = alive
        self.rooms: dict[CaseId, dict[RoomId, Erased]] = {}
        self.media: dict[CaseId, dict[str, Erased]] = {}
        self.foreign: set[str] = set()
        """Rooms and media that the process refuses."""
        self.stuck: set[str] = set()
        """Rooms and media that fail whenever they are tried."""

    async def order(self, case_id: CaseId, *, rooms: Sequence[RoomId], media: Sequence[str]) -> None:
        for room in rooms:
            self.rooms.setdefault(case_id, {}).setdefault(room, Erased.PENDING)
        for medium in media:
            self.media.setdefault(case_id, {}).setdefault(medium, Erased.PENDING)

    async def forget(self, case_id: CaseId) -> None:
        self.rooms.pop(case_id, None)
        self.media.pop(case_id, None)

    async def status(self, case_id: CaseId) -> ErasureStatus:
        return ErasureStatus(
            rooms=dict(self.rooms.get(case_id, {})), media=dict(self.media.get(case_id, {})), alive=self.alive
        )

    def work(self) -> None:
        """Try everything that is not settled, once; needs `alive`."""
        if not self.alive:
            return
        for rooms in self.rooms.values():
            rooms.update({room: self._tried(room, state) for room, state in rooms.items()})
        for media in self.media.values():
            media.update({medium: self._tried(medium, state) for medium, state in media.items()})

    def _tried(self, name: str, state: Erased) -> Erased:
        if state in (Erased.GONE, Erased.REFUSED):
            return state
        if name in self.foreign:
            return Erased.REFUSED
        return Erased.FAILED if name in self.stuck else Erased.GONE
