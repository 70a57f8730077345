"""Carries out stored effects: in order within a lane, again after a failure, each once."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, assert_never

from bot.domain.audit import AuditEvent
from bot.domain.effects import (
    Destroy,
    DropFiles,
    Effect,
    EndPoll,
    EraseMedium,
    Freeze,
    Invite,
    JoinRoom,
    LeaveRoom,
    Mail,
    OpenRoom,
    OrderErasure,
    Redact,
    Remove,
    Say,
    Seal,
    TakeIn,
)
from bot.domain.errors import ExternalError, Permanent, Refusal
from bot.services.ports import (
    Clock,
    Counters,
    Log,
    Planned,
    Rooms,
    Store,
)
from bot.services.sending import NotThere, Sending

MOST_TRIES_OF_A_SURPRISE = 5
LONGEST_WAIT = timedelta(minutes=5)
MOST_AT_ONCE = 8
MOST_SLOW = 2
_SLOW = ("documents:", "report:")
"""Lanes that may take minutes get places of their own: a ring never waits for a study."""

NEVER_GIVEN_UP = (OpenRoom, Freeze, Seal, OrderErasure, Destroy)


class Outbox:
    """The one worker that lets anything leave the process."""

    def __init__(
        self,
        *,
        store: Store,
        rooms: Rooms,
        sending: Sending,
        clock: Clock,
        counters: Counters,
        log: Log,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._sending = sending
        self._clock = clock
        self._counters = counters
        self._log = log
        self._work: dict[type[object], Callable[[Any], Awaitable[None]]] = {}
        self._instead: dict[type[object], Callable[[Any], Awaitable[None]]] = {}
        self._woken = asyncio.Event()
        self._busy: set[str] = set()

    def handles(self, kind: type[Effect], work: Callable[[Any], Awaitable[None]]) -> None:
        """Let *work* carry out effects of one kind: those that are not about sending."""
        self._work[kind] = work

    def gives_up(self, kind: type[Effect], instead: Callable[[Any], Awaitable[None]]) -> None:
        """Let *instead* be done when an effect of one kind is given up, so that its case does not hang."""
        self._instead[kind] = instead

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._woken.set()

    # -- the loop ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry out what is ready, for ever; lanes do not wait for each other."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                for planned in await self._store.ready_effects(self._clock.now()):
                    if self._has_room_for(planned.lane):
                        self._busy.add(planned.lane)
                        group.create_task(self._lane(planned))
                try:
                    await asyncio.wait_for(self._woken.wait(), timeout=1)
                except TimeoutError:
                    continue

    def _has_room_for(self, lane: str) -> bool:
        if lane in self._busy:
            return False
        slow = [busy for busy in self._busy if busy.startswith(_SLOW)]
        if lane.startswith(_SLOW):
            return len(slow) < MOST_SLOW
        return len(self._busy) - len(slow) < MOST_AT_ONCE

    async def drain(self) -> None:
        """Carry out what is ready until nothing is (for tests and for the end of a run)."""
        while ready := await self._store.ready_effects(self._clock.now()):
            for planned in ready:
                await self._once(planned)

    async def _lane(self, planned: Planned) -> None:
        try:
            await self._once(planned)
        except ExternalError as error:
            # The database itself did not take it: the effect stays where it is and comes again.
            self._log.error("outbox_not_written", reference=planned.id, code=error.code)
            await asyncio.sleep(1)
        finally:
            self._busy.discard(planned.lane)
            self.wake()

    async def _once(self, planned: Planned) -> None:
        kind = type(planned.effect).__name__.lower()
        try:
            await self._carry_out(planned)
        except Permanent as error:
            await self._give_up_or_wait(planned, error.code)
        except NotThere:
            async with self._store.unit() as unit:
                until = self._clock.now() + min(timedelta(seconds=2 ** min(planned.attempts, 12)), timedelta(hours=1))
                await unit.postpone(planned, until, waits_for_person=True)
        except ExternalError as error:
            await self._later(planned, error.retry_after)
            self._counters.count("effects_failed", kind=kind, code=error.code)
        except Refusal as error:
            # The case is gone or went on: what was planned for it has no meaning any more.
            await self._give_up(planned, error.code)
        except Exception as error:  # noqa: BLE001  # A bug in one effect must not stop the others.
            self._log.error(
                "effect_failed", kind=kind, reference=planned.id, error=type(error).__name__, places=_where(error)
            )
            self._counters.count("effects_failed", kind=kind, code="internal")
            if planned.attempts + 1 >= MOST_TRIES_OF_A_SURPRISE:
                await self._give_up_or_wait(planned, "internal")
            else:
                await self._later(planned, None)

    async def _give_up_or_wait(self, planned: Planned, code: str) -> None:
        """Give an effect up, unless its case would hang without it: that one is tried for ever, and counted."""
        if isinstance(planned.effect, NEVER_GIVEN_UP):
            self._log.error("effect_stuck", kind=type(planned.effect).__name__.lower(), reference=planned.id, code=code)
            await self._later(planned, None)
            return
        await self._give_up(planned, code)
        instead = self._instead.get(type(planned.effect))
        if instead is not None:
            await instead(planned.effect)

    async def _later(self, planned: Planned, retry_after: float | None) -> None:
        wait = (
            timedelta(seconds=retry_after)
            if retry_after is not None
            else timedelta(seconds=2 ** min(planned.attempts, 8))
        )
        async with self._store.unit() as unit:
            await unit.postpone(planned, self._clock.now() + min(wait, LONGEST_WAIT))

    async def _give_up(self, planned: Planned, code: str) -> None:
        kind = type(planned.effect).__name__.lower()
        self._log.warning("effect_given_up", kind=kind, reference=planned.id, code=code)
        self._counters.count("effects_given_up", kind=kind, code=code)
        async with self._store.unit() as unit:
            await unit.audit(
                AuditEvent(kind="effect_given_up", by=None, case_id=planned.case_id, facts={"what": kind, "code": code})
            )
            await unit.finish(planned)

    # -- one effect ----------------------------------------------------------------------------------------------------

    async def _carry_out(self, planned: Planned) -> None:
        effect = planned.effect
        match effect:
            case OpenRoom():
                await self._sending.open_room(effect.place)
            case Invite():
                await self._sending.invite(effect)
            case Remove():
                await self._rooms.remove(await self._sending.room(effect.place), effect.user_id)
            case JoinRoom():
                await self._sending.join(effect)
            case LeaveRoom():
                await self._sending.leave(effect)
            case Say():
                await self._sending.say(planned, effect)
                return
            case EndPoll():
                await self._sending.end_polls(planned, effect)
            case Redact():
                await self._rooms.redact(effect.room_id, effect.event_id, txn=planned.id)
            case Mail():
                await self._sending.mail(planned, effect)
            case TakeIn() | DropFiles() | Freeze() | Seal() | OrderErasure() | EraseMedium() | Destroy():
                await self._work[type(effect)](effect)
            case _:
                assert_never(effect)
        async with self._store.unit() as unit:
            await unit.finish(planned)


def _where(error: BaseException) -> str:
    """Return file and line of the innermost frame: an exception's text may hold what nobody may read in a log."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
