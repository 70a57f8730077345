"""What every verb works with: who speaks, from where, in which open transaction."""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.audit import AuditEvent
from bot.domain.case import Case
from bot.domain.deadlines import WAITING_OR_WORKING as WORKING
from bot.domain.deadlines import Rules, next_due_at
from bot.domain.effects import CaseRoom, Direct, Effect, Place, Say
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, DeviceId, EventId, RoomId, UserId
from bot.domain.lines import Catalogue, Line
from bot.domain.notice import Bullets, Notice
from bot.domain.people import Person
from bot.domain.permissions import actors, check_step, may_know, steps_for
from bot.domain.steps import State, Step
from bot.services.ports import EventEntry, Unit, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One person's command, answer or tap, inside the transaction that will hold everything it causes."""

    unit: Unit
    now: datetime
    by: Person
    device: DeviceId
    event_id: EventId
    place: Place
    room_id: RoomId

    async def reply(self, notice: Notice) -> None:
        """Answer where the words were written."""
        await self.unit.plan(
            Say(place=self.place, notice=replace(notice, answers=self.event_id)), answers=self.event_id
        )

    async def audit(self, kind: str, case_id: CaseId | None = None, **facts: str | int) -> None:
        """Write who did what into the audit."""
        await self.unit.audit(AuditEvent(kind=kind, by=self.by.user_id, case_id=case_id, facts=facts))


class Cases:
    """What every verb needs of cases: to find one, to move it by the table, to save it with its next due time."""

    def __init__(self, *, catalogue: Catalogue, vault: Vault, rules: Rules) -> None:
        self.catalogue = catalogue
        self.vault = vault
        self.rules = rules

    def line(self, case: Case) -> Line:
        """Return the line of the case."""
        return self.catalogue[case.line]

    async def get(self, unit: Unit, case_id: CaseId) -> Case:
        """Return the case.

        Raises:
            Refusal: `no_such_case`, or `case_erased`.
        """
        case = await unit.case(case_id)
        if case is None:
            raise Refusal("no_such_case", case=case_id)
        return case

    async def about(self, turn: Turn, case_id: CaseId | None, step: Step | None = None) -> Case:
        """Return the case a command is about: the one named, or the only one of the person's where *step* is possible.

        Raises:
            Refusal: `no_such_case` also for cases that are not his to know of, `which_case` if several fit.
        """
        if case_id is not None:
            case = await self.get(turn.unit, case_id)
            if not may_know(turn.by, case):
                raise Refusal("no_such_case", case=case_id)
            return await self._noted(turn, case)
        known = await self.known_to(turn.unit, turn.by)
        fitting = [case for case in known if step is None or step in steps_for(turn.by, case)]
        if len(fitting) == 1:
            return await self._noted(turn, fitting[0])
        raise Refusal("which_case" if fitting else "no_case_fits", cases=Bullets(tuple(c.id for c in fitting[:20])))

    async def _noted(self, turn: Turn, case: Case) -> Case:
        """Enter what was typed about the case into its ledger, also in a direct chat, so that its expiry reaches it."""
        entry = EventEntry(event_id=turn.event_id, room_id=turn.room_id, own=False)
        await turn.unit.record_event(case.id, entry)
        return case

    async def known_to(self, unit: Unit, person: Person) -> list[Case]:
        """Return the live cases that a person may know of, by number: his own, those he is in, those of his lines."""
        found = [
            *await unit.cases(states=LIVE, requester=person.user_id),
            *await unit.cases(states=LIVE, expert=person.user_id),
        ]
        for line in person.lines:
            found += await unit.cases(states=WORKING, line=line)
        by_number = {case.id: case for case in found if may_know(person, case)}
        return [by_number[number] for number in sorted(by_number)]

    async def save(self, unit: Unit, case: Case) -> None:
        """Write the case, and when it must be looked at again."""
        await unit.save_case(case, next_due_at=next_due_at(case, self.line(case), self.rules))

    async def move(self, turn: Turn, case: Case, step: Step, **facts: str | int) -> Case:
        """Return the case after *step* by the person who speaks, with the audit row written; it is not saved yet.

        Raises:
            Refusal: the table has no such cell for him.
        """
        check_step(turn.by, case, step)
        moved = case.step(step, actors(turn.by, case))
        await turn.audit(step.value, case.id, state=moved.state.value, **facts)
        return moved

    async def to_room(self, unit: Unit, case: Case, notice: Notice, *, answers: EventId | None = None) -> None:
        """Post into the case room."""
        await unit.plan(Say(place=CaseRoom(case_id=case.id), notice=replace(notice, case_id=case.id)), answers=answers)

    async def to_person(self, unit: Unit, user_id: UserId, notice: Notice, *, case: Case | None = None) -> None:
        """Post into a person's direct chat."""
        about = replace(notice, case_id=case.id) if case else notice
        await unit.plan(Say(place=Direct(user_id=user_id), notice=about))

    async def plan(self, unit: Unit, *effects: Effect) -> None:
        """Put effects into the outbox, in this order."""
        for effect in effects:
            await unit.plan(effect)


LIVE = tuple(s for s in State if s not in (State.EXPIRING, State.ERASED))
"""The states in which a case can still be talked about."""
