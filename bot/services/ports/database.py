"""The database: one transaction a step."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bot.domain.audit import AuditEvent, AuditRow
from bot.domain.case import Case
from bot.domain.effects import Effect, Place, Purpose
from bot.domain.ids import CaseId, DeviceId, EventId, LineId, RoomId, UserId
from bot.domain.notice import Poll
from bot.domain.people import Credential, Person, Session
from bot.domain.steps import State
from bot.services.ports.matrix import Arrival, Arrivals, EncryptedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The bot's open question to a person in his direct chat: what an answer, or six digits, would go on with."""

    kind: str
    """`unlock` (then `line` is run), `argument` (the answer completes `line`), `ring_heard`, …"""

    line: str = field(repr=False, default="")
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPoll:
    """A poll that was posted: where, for whom, what its answers mean."""

    event_id: EventId
    room_id: RoomId
    case_id: CaseId | None
    poll: Poll


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntry:
    """A room of the ledger."""

    room_id: RoomId
    purpose: Purpose
    case_id: CaseId | None
    user_id: UserId | None
    """For direct chats, the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """An event of the ledger: it belongs to a case and was seen in a room. `own` is true for the bot's own."""

    event_id: EventId
    room_id: RoomId
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An effect in the outbox. `id` is the transaction id of what it sends, fixed before the first try."""

    id: str
    lane: str
    effect: Effect = field(repr=False)
    case_id: CaseId | None
    planned_at: datetime
    attempts: int
    answers: EventId | None


class Unit(Protocol):
    """One open transaction: everything a step writes, or nothing."""

    # cases: the whole case is sealed under its key; a few columns are in clear for looking up
    async def new_case_id(self, year: int) -> CaseId:
        """Return the next free number, `C-2026-0007`; a number is never given twice."""

    async def case(self, case_id: CaseId) -> Case | None:
        """Return the case, or None if there is none with this number; erased ones raise Refusal("case_erased")."""

    async def save_case(self, case: Case, *, next_due_at: datetime | None) -> None:
        """Write the case (new or changed) and when the sweep must look at it again."""

    async def cases(
        self,
        *,
        states: Sequence[State] | None = None,
        line: LineId | None = None,
        requester: UserId | None = None,
        expert: UserId | None = None,
    ) -> Sequence[Case]:
        """Return the cases (not erased) that fit every condition given, oldest first."""

    async def due_cases(self, now: datetime, limit: int) -> Sequence[CaseId]:
        """Return cases whose `next_due_at` has come, the most overdue first."""

    async def forget_case(self, case_id: CaseId) -> None:
        """Delete every row of the case but its number and that it was erased: ledger, outbox, inbox, polls."""

    # people
    async def person(self, user_id: UserId) -> Person | None:
        """Return the person, or None."""

    async def people(self) -> Sequence[Person]:
        """Return everybody, by Matrix id."""

    async def holders(self, inami_key: str) -> Sequence[Person]:
        """Return the persons whose INAMI number begins with these 8 digits."""

    async def save_person(self, person: Person) -> None:
        """Write a person."""

    async def credential(self, user_id: UserId) -> Credential | None:
        """Return the person's second factor, or None."""

    async def save_credential(self, credential: Credential) -> None:
        """Write a second factor."""

    async def session(self, user_id: UserId, device_id: DeviceId, now: datetime) -> Session | None:
        """Return the open session of a device."""

    async def has_session(self, user_id: UserId, now: datetime) -> bool:
        """Say whether any device of the person has an open session."""

    async def save_session(self, session: Session) -> None:
        """Open or prolong a session."""

    async def end_sessions(self, user_id: UserId) -> None:
        """End every session of the person."""

    async def pending(self, user_id: UserId) -> Pending | None:
        """Return the bot's open question to the person."""

    async def save_pending(self, user_id: UserId, pending: Pending | None) -> None:
        """Write or remove the bot's open question."""

    # ledger
    async def room(self, room_id: RoomId) -> RoomEntry | None:
        """Return what a room is for, or None if it is not ours."""

    async def room_of(self, place: Place) -> RoomId | None:
        """Return the room of a place, or None while it does not exist."""

    async def record_room(self, entry: RoomEntry) -> None:
        """Enter a room; a new direct chat takes the place of the person's old one."""

    async def forget_room(self, room_id: RoomId) -> None:
        """Take a room out (the bot left, or it was purged)."""

    async def rooms(self, case_id: CaseId) -> Sequence[RoomEntry]:
        """Return the rooms of a case."""

    async def all_rooms(self) -> Sequence[RoomEntry]:
        """Return every room of the ledger."""

    async def record_event(self, case_id: CaseId, entry: EventEntry) -> None:
        """Enter an event of a case, direct chats included; a repeat changes nothing."""

    async def events(self, case_id: CaseId) -> Sequence[EventEntry]:
        """Return the events of a case."""

    async def case_of_event(self, event_id: EventId) -> CaseId | None:
        """Return the case that an event belongs to."""

    async def record_medium(self, case_id: CaseId, file_id: str | None, file: EncryptedFile) -> None:
        """Enter a medium of a case; with *file_id* it stands for that stored file and can be posted again."""

    async def medium(self, case_id: CaseId, file_id: str) -> EncryptedFile | None:
        """Return the upload of a stored file, or None."""

    async def forget_media(self, case_id: CaseId) -> None:
        """Take the media of the case out of the ledger: the homeserver has them no more."""

    async def media(self, case_id: CaseId) -> Sequence[str]:
        """Return the addresses (mxc) of every medium of the case."""

    # polls
    async def record_poll(self, poll: OpenPoll) -> None:
        """Enter a poll that was posted."""

    async def poll(self, event_id: EventId) -> OpenPoll | None:
        """Return an open poll by its start event."""

    async def open_polls(self, room_id: RoomId, asked_field: str) -> Sequence[OpenPoll]:
        """Return the open polls of a room that ask for a field."""

    async def end_poll(self, event_id: EventId) -> None:
        """Take a poll out: it is settled."""

    # what a step leaves behind
    async def plan(self, effect: Effect, *, answers: EventId | None = None) -> None:
        """Put an effect into the outbox, after those of the same lane."""

    async def audit(self, event: AuditEvent) -> None:
        """Append to the audit chain."""

    async def audit_rows(self) -> Sequence[AuditRow]:
        """Return the audit chain."""

    async def finish(self, planned: Planned) -> None:
        """Take an effect out of the outbox: it is done."""

    async def postpone(self, planned: Planned, until: datetime, *, waits_for_person: bool = False) -> None:
        """Count a try that failed and set the next one; the lane waits. Waiting for a person is no fault of ours."""

    async def hurry(self, lane: str, at: datetime) -> None:
        """Let a lane that waits go on at *at*, if that is sooner."""

    async def idle(self, case_id: CaseId) -> bool:
        """Say whether no effect of the case is left in the outbox."""

    # inbox
    async def claim(self, event_id: EventId) -> Arrival | None:
        """Return an arrival that was not handled yet, with its content, or None."""

    async def handled(self, event_id: EventId) -> None:
        """Mark an arrival as handled and delete its content."""

    # small values
    async def value(self, key: str) -> str | None:
        """Return a small value of the program's own."""

    async def save_value(self, key: str, value: str) -> None:
        """Write a small value."""

    async def forget_values(self, prefix: str) -> None:
        """Delete every small value whose key begins with *prefix*."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Open an inner part that is undone alone if it raises."""


class Store(Arrivals, Protocol):
    """The database. Writers wait for each other; a unit is written whole or not at all, also across a crash."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Open a transaction; it is committed at the end, or undone if the block raises."""

    async def next_arrivals(self, limit: int) -> Sequence[EventId]:
        """Return arrivals that were not handled yet (and are not waiting for a key), in the order they came."""

    async def ready_effects(self, now: datetime) -> Sequence[Planned]:
        """Return the first effect of every lane whose time has come, the oldest first, at most 100."""

    async def oldest_effect(self) -> datetime | None:
        """Return when the oldest effect in the outbox was planned, those that wait for a person apart."""

    async def audit_rows(self) -> Sequence[AuditRow]:
        """Return the audit chain."""

    async def waiting_arrivals(self, before: datetime) -> Sequence[Arrival]:
        """Return undecryptable events that came before *before* and whose sender was not asked yet."""

    async def mark_asked(self, event_id: EventId) -> None:
        """Remember that the sender of an undecryptable event was asked to send again."""
