"""From a submitted case to experts in its room: ring, take, join, release, decline, bring, assign, refer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.domain.audit import AuditEvent
from bot.domain.case import Assigned, Case
from bot.domain.deadlines import answer_by
from bot.domain.effects import CaseRoom, Invite, Remove
from bot.domain.errors import Refusal
from bot.domain.ids import UserId
from bot.domain.lines import Line
from bot.domain.notice import At, Bullets, Clinical, LineName, Notice, Rows, Who, Word
from bot.domain.people import Person
from bot.domain.permissions import check_step, steps_for
from bot.domain.prompts import URGENCY
from bot.domain.routing import available, choose, coordinators, decides_together, missing_experts
from bot.domain.steps import Actor, State, Step
from bot.services.codes import RefusalWithTrace
from bot.services.dossier import carried_answers, post_dossier
from bot.services.ports import Unit
from bot.services.turn import LIVE, Cases, Turn


def urgency(case: Case) -> str:
    """Return the urgency that the requester chose; routine if he was not asked."""
    return str(case.answers.value(URGENCY) or "routine")


class Routing:
    """Brings the right experts in."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    # -- ringing -------------------------------------------------------------------------------------------------------

    async def start(self, unit: Unit, case: Case, now: datetime) -> Case:
        """Start the clock of a submitted case and ring the experts of its line; return the case, not saved."""
        line = self._cases.line(case)
        started = replace(
            case,
            submitted_at=case.submitted_at or now,
            clock_from=now,
            due_at=answer_by(line, urgency(case), now),
            said=(),
            stopped_at=None,
        )
        choice = choose(line, await unit.people(), started, now)
        await unit.audit(
            AuditEvent(
                kind="routed",
                by=None,
                case_id=case.id,
                facts={"mode": choice.mode, "reason": choice.reason, "rung": len(choice.ring)},
            )
        )
        await self._cases.to_room(
            unit,
            case,
            Notice(
                text="routed" if choice.ring else "routed_nobody",
                values={"line": LineName(case.line), "count": len(choice.ring), "due": At(started.due_at or now)},
                kind="routed",
                data={"mode": choice.mode, "reason": choice.reason, "count": len(choice.ring)},
            ),
        )
        if not choice.ring:
            await self.tell_coordinators(unit, started, "nobody_available")
        return await self._ring(unit, started, line, choice.ring)

    async def _ring(self, unit: Unit, case: Case, line: Line, users: Sequence[UserId]) -> Case:
        new = tuple(u for u in users if u not in case.rung)
        verb = "join" if decides_together(line) else "take"
        for user in users:
            await self._cases.to_person(unit, user, self._ring_notice(case, verb), case=case)
        return replace(case, rung=(*case.rung, *new))

    def _ring_notice(self, case: Case, verb: str) -> Notice:
        return Notice(
            text="ring_case",
            values={
                "case": case.id,
                "due": At(case.due_at) if case.due_at else None,
                "urgency": Word(f"urgency_{urgency(case)}"),
            },
            kind="ring",
            data={"about": case.id},
            next=((verb, case.id), ("decline", case.id, "…")),
            rings=True,
        )

    async def tell_coordinators(self, unit: Unit, case: Case, why: str) -> None:
        """Tell the coordinators of the line (or the admins) that a case needs them; no clinical word."""
        for user in coordinators(self._cases.line(case), await unit.people()):
            await self._cases.to_person(
                unit,
                user,
                Notice(
                    text="coordinator_needed",
                    values={
                        "case": case.id,
                        "why": Word(f"why_{why}"),
                        "due": At(case.due_at) if case.due_at else None,
                    },
                    kind="escalated",
                    data={"about": case.id, "reason": why},
                    next=(("assign", case.id, "…"),),
                    rings=True,
                ),
                case=case,
            )

    async def escalate(self, unit: Unit, case: Case, now: datetime) -> Case:
        """The deadline passed: tell the coordinators and ring the second line as well; return the case, not saved."""
        await self.tell_coordinators(unit, case, "deadline_passed")
        line = self._cases.line(case)
        second = self._cases.catalogue.get(line.second_line) if line.second_line else None
        notice = Notice(
            text="escalated",
            values={"line": LineName(second.id) if second else None},
            kind="escalated",
            data={"second_line": bool(second)},
        )
        await self._cases.to_room(unit, case, notice)
        if second is None or case.state is not State.SUBMITTED:
            return case
        people = available(second, await unit.people(), case, now)
        return await self._ring(unit, case, line, [p.user_id for p in people])

    # -- coming in -----------------------------------------------------------------------------------------------------

    async def take(self, turn: Turn, case: Case) -> None:
        """Take a case (lines that decide together: join it).

        Raises:
            Refusal: `already_taken` with the faster one's name, `already_in`, or what the table says.
        """
        line = self._cases.line(case)
        if turn.by.user_id in case.expert_ids:
            # He may have left the room by mistake: the invitation comes again.
            await turn.unit.plan(Invite(place=CaseRoom(case_id=case.id), user_id=turn.by.user_id))
            await turn.reply(
                Notice(text="invited_again", values={"case": case.id}, kind="taken", data={"about": case.id})
            )
            return
        if case.state is State.SUBMITTED:
            step = Step.JOIN if decides_together(line) else Step.TAKE
        elif decides_together(line):
            step = Step.JOIN
        else:
            faster = case.experts[0] if case.experts else None
            if faster is not None and case.state not in (State.DECLINED, State.CANCELLED):
                await turn.audit("too_late", case.id)
                raise Refusal("already_taken", case=case.id, who=Who(faster.user_id), at=At(faster.since))
            step = Step.TAKE
        check_step(turn.by, case, step)
        how = "joined" if step is Step.JOIN else "taken"
        moved = case.step(step, frozenset({Actor.EXPERT}))
        await turn.audit(step.value, case.id, state=moved.state.value)
        came = await self._bring_in(turn, moved, turn.by, how)
        await self._cases.save(turn.unit, came)
        await turn.reply(
            Notice(
                text="taken_by_you",
                values={"case": case.id, "due": At(case.due_at) if case.due_at else None},
                kind="taken",
                data={"about": case.id},
                case_id=case.id,
            )
        )
        if how == "taken":
            await self._tell_the_slower(turn, came)

    async def _tell_the_slower(self, turn: Turn, case: Case) -> None:
        for user in case.rung:
            if user != turn.by.user_id:
                notice = Notice(
                    text="taken_by_other",
                    values={"case": case.id, "who": Who(turn.by.user_id)},
                    kind="taken",
                    data={"about": case.id},
                )
                await self._cases.to_person(turn.unit, user, notice, case=case)

    async def _bring_in(self, turn: Turn, case: Case, person: Person, how: str, reason: str = "") -> Case:
        """Invite an expert and post the dossier: the whole, also to one who comes late."""
        line = self._cases.line(case)
        first = not case.experts
        function = person.lines.get(case.line) or "expert"
        assigned = Assigned(user_id=person.user_id, since=turn.now, how=how, function=function)
        came = replace(case, experts=(*case.experts, assigned))
        place = CaseRoom(case_id=case.id)
        await turn.unit.plan(Invite(place=place, user_id=person.user_id))
        await turn.unit.audit(
            AuditEvent(kind="given_to_read", by=turn.by.user_id, case_id=case.id, facts={"user": person.user_id})
        )
        notice = Notice(
            text=f"expert_{how}",
            values={
                "who": Who(person.user_id),
                "function": Word(f"function_{function}"),
                "by": Who(turn.by.user_id),
                "reason": Clinical(reason),
            },
            kind="taken" if how in ("taken", "joined") else "brought",
            data={"by": person.user_id, "how": how},
        )
        await self._cases.to_room(turn.unit, came, notice)
        await post_dossier(turn.unit, came, line, for_whom=None if first else person.user_id)
        return came

    async def bring(self, turn: Turn, case: Case, user_id: UserId, reason: str) -> None:
        """Bring a colleague in, with a reason that he and the others read."""
        check_step(turn.by, case, Step.BRING)
        person = await turn.unit.person(user_id)
        if person is None or not person.may_act or not person.is_physician:
            raise Refusal("not_a_physician_here", user=user_id)
        if user_id in case.expert_ids or user_id == case.requester:
            raise Refusal("already_in", case=case.id)
        await self._need_session(turn.unit, person, turn.now)
        moved = await self._cases.move(turn, case, Step.BRING, user=user_id)
        came = await self._bring_in(turn, moved, person, "brought", reason)
        await self._cases.save(turn.unit, came)
        ring = Notice(
            text="ring_brought",
            values={"case": case.id, "who": Who(turn.by.user_id)},
            kind="ring",
            data={"about": case.id},
            rings=True,
        )
        await self._cases.to_person(turn.unit, user_id, ring, case=case)

    async def _need_session(self, unit: Unit, person: Person, now: datetime) -> None:
        """Nobody is invited without an open session: ring him instead."""
        if await unit.has_session(person.user_id, now):
            return
        notice = Notice(
            text="ring_unlock", kind="ring", data={"about": "unlock"}, next=(("unlock", "123456"),), rings=True
        )

        async def trace(inner: Unit) -> None:
            await self._cases.to_person(inner, person.user_id, notice)

        raise RefusalWithTrace("no_session_there", trace, who=Who(person.user_id))

    async def assign(self, turn: Turn, case: Case, user_id: UserId) -> None:
        """A coordinator gives the case to an expert of the line."""
        check_step(turn.by, case, Step.ASSIGN)
        person = await turn.unit.person(user_id)
        if person is None or not person.answers_for(case.line) or user_id == case.requester:
            raise Refusal("not_an_expert_here", user=user_id)
        await self._need_session(turn.unit, person, turn.now)
        moved = await self._cases.move(turn, case, Step.ASSIGN, user=user_id)
        came = await self._bring_in(turn, moved, person, "assigned")
        await self._cases.save(turn.unit, came)
        await turn.reply(
            Notice(
                text="assigned_by_you",
                values={"case": case.id, "who": Who(user_id)},
                kind="taken",
                data={"about": case.id},
            )
        )
        ring = Notice(text="ring_assigned", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True)
        await self._cases.to_person(turn.unit, user_id, ring, case=case)

    # -- going out -----------------------------------------------------------------------------------------------------

    async def release(self, turn: Turn, case: Case, user_id: UserId | None, reason: str) -> None:
        """Give a case back, or (a coordinator) take an expert out who does not answer; others who are left go on."""
        check_step(turn.by, case, Step.RELEASE)
        own = turn.by.user_id in case.expert_ids
        leaver = turn.by.user_id if user_id is None and own else user_id
        if leaver is None or leaver not in case.expert_ids or (leaver != turn.by.user_id and own):
            raise Refusal("release_whom", experts=Bullets(tuple(Who(u) for u in case.expert_ids)))
        await turn.audit("release", case.id, user=leaver, left=len(case.experts) - 1)
        notice = Notice(text="released_by_you", values={"case": case.id}, kind="released", data={"about": case.id})
        await turn.reply(replace(notice, case_id=case.id))
        told = Notice(
            text="released",
            values={"who": Who(leaver), "reason": Clinical(reason)},
            kind="released",
            data={"by": leaver},
        )
        await self._cases.save(turn.unit, await self._without(turn.unit, case, leaver, told, turn.now))

    async def _without(self, unit: Unit, case: Case, leaver: UserId, told: Notice, now: datetime) -> Case:
        """Take an expert out of a case; return it, not saved. Signatures for a version with his name are void."""
        await unit.plan(Remove(place=CaseRoom(case_id=case.id), user_id=leaver))
        after = replace(
            case,
            experts=tuple(e for e in case.experts if e.user_id != leaver),
            former=(*case.former, leaver),
            agreed=tuple(u for u in case.agreed if u != leaver),
        )
        await self._cases.to_room(unit, after, told)
        if case.state is State.SIGNING:
            after = replace(
                after, state=State.DRAFTED, came_from=case.state, signatories=(), signatures=(), frozen=None
            )
            await self._cases.to_room(unit, after, Notice(text="signatures_void", kind="signatures_void"))
        line = self._cases.line(after)
        if not after.experts:
            after = replace(after, state=State.SUBMITTED, came_from=case.state, stopped_at=None, draft=None)
        if missing_experts(line, after) or not after.experts:
            people = await unit.people()
            ring = [
                p.user_id for p in available(line, people, after, now) if p.user_id not in (leaver, *after.expert_ids)
            ]
            after = await self._ring(unit, after, line, ring)
            if not ring:
                await self.tell_coordinators(unit, after, "nobody_available")
        return after

    async def put_out(self, unit: Unit, user_id: UserId, now: datetime) -> None:
        """Take a suspended person out of every case; the coordinators are told of his own questions."""
        for case in await unit.cases(states=LIVE, expert=user_id):
            told = Notice(
                text="member_left_out",
                values={"who": Who(user_id)},
                kind="member_left_out",
                data={"user": user_id, "reason": "suspended"},
            )
            if case.state in (State.ACCEPTED, State.DRAFTED, State.WAITING, State.SIGNING):
                await self._cases.save(unit, await self._without(unit, case, user_id, told, now))
            else:
                await unit.plan(Remove(place=CaseRoom(case_id=case.id), user_id=user_id))
        for case in await unit.cases(states=LIVE, requester=user_id):
            await unit.plan(Remove(place=CaseRoom(case_id=case.id), user_id=user_id))
            await self.tell_coordinators(unit, case, "requester_suspended")

    async def decline(self, turn: Turn, case: Case, reason: str) -> None:
        """Say no to a ring; when nobody is left, the requester is told with the reasons."""
        moved = await self._cases.move(turn, case, Step.DECLINE)
        after = replace(
            moved, declined=(*(d for d in case.declined if d[0] != turn.by.user_id), (turn.by.user_id, reason))
        )
        await turn.reply(
            Notice(
                text="declined_by_you",
                values={"case": case.id},
                kind="declined",
                data={"about": case.id},
                case_id=case.id,
            )
        )
        left = available(self._cases.line(case), await turn.unit.people(), after, turn.now)
        if not left:
            after = replace(after.step(Step.EXHAUST, frozenset({Actor.BOT})), ended_at=turn.now)
            await turn.unit.audit(AuditEvent(kind="exhaust", by=None, case_id=case.id))
            reasons = Rows(tuple((Who(user), Clinical(why)) for user, why in after.declined))
            notice = Notice(
                text="declined_by_all",
                values={"reasons": reasons},
                kind="declined",
                data={"by_all": True},
                next=(("new",),),
            )
            await self._cases.to_room(turn.unit, after, notice)
            ring = Notice(
                text="ring_declined", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
            )
            await self._cases.to_person(turn.unit, case.requester, ring, case=case)
        await self._cases.save(turn.unit, after)

    async def refer(self, turn: Turn, case: Case, line: Line, reason: str) -> None:
        """Send the case to another line: same number, new clock, the old experts leave."""
        if line.id == case.line:
            raise Refusal("same_line")
        moved = await self._cases.move(turn, case, Step.REFER, line=line.id)
        for user in case.expert_ids:
            await turn.unit.plan(Remove(place=CaseRoom(case_id=case.id), user_id=user))
        after = replace(
            moved,
            line=line.id,
            experts=(),
            former=(*case.former, *case.expert_ids),
            rung=(),
            declined=(),
            draft=None,
            due_at=None,
            carried=(*case.carried, *carried_answers(case, self._cases.line(case), line)),
            agreed=(),
            dissents=(),
        )
        notice = Notice(
            text="referred",
            values={"line": LineName(line.id), "reason": Clinical(reason)},
            kind="referred",
            data={"line": line.id},
        )
        await self._cases.to_room(turn.unit, after, notice)
        if turn.by.user_id in case.expert_ids:
            own = Notice(text="referred_by_you", values={"case": case.id}, kind="referred", data={"about": case.id})
            await self._cases.to_person(turn.unit, turn.by.user_id, own, case=case)
        await self._cases.save(turn.unit, await self.start(turn.unit, after, turn.now))

    # -- looking -------------------------------------------------------------------------------------------------------

    async def inbox(self, turn: Turn) -> None:
        """Show an expert what waits for him: cases of his lines and cases he is in."""
        open_states = (State.SUBMITTED, State.ACCEPTED, State.DRAFTED, State.WAITING, State.SIGNING)
        rows = []
        for case in await self._cases.known_to(turn.unit, turn.by):
            if case.state not in open_states:
                continue
            mine = turn.by.user_id in case.expert_ids
            if mine or {Step.TAKE, Step.JOIN} & set(steps_for(turn.by, case)):
                rows.append((case.id, Bullets((Word(f"state_{case.state}"), At(case.due_at or turn.now)))))
        text = "inbox" if rows else "inbox_empty"
        await turn.reply(
            Notice(text=text, values={"cases": Rows(tuple(rows))}, kind="inbox", data={"cases": [r[0] for r in rows]})
        )
