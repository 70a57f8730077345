"""The sweep: whatever is due becomes words and steps, one case and one transaction at a time."""

from dataclasses import replace
from datetime import datetime

from bot.domain.audit import AuditEvent
from bot.domain.case import Case
from bot.domain.deadlines import Due, dues, retention_ends
from bot.domain.ids import CaseId, UserId
from bot.domain.notice import At, Notice
from bot.domain.routing import missing_experts
from bot.domain.steps import Actor, State, Step
from bot.services.enrolment import take_back_shown_secrets
from bot.services.expiry import AGAIN, Expiry
from bot.services.ports import Clock, Log, Store, Unit
from bot.services.routing import Routing
from bot.services.turn import Cases

BATCH = 100


class Reminders:
    """Looks at every case whose time has come. A missed tick loses nothing, a repeated one repeats nothing."""

    def __init__(self, *, cases: Cases, store: Store, routing: Routing, expiry: Expiry, clock: Clock, log: Log) -> None:
        self._log = log
        self._cases = cases
        self._store = store
        self._routing = routing
        self._expiry = expiry
        self._clock = clock

    async def sweep(self) -> int:
        """Handle what is due now; return how many cases were looked at."""
        now = self._clock.now()
        async with self._store.unit() as unit:
            await take_back_shown_secrets(unit, now)
            waiting = await unit.due_cases(now, BATCH)
        for case_id in waiting:
            try:
                await self._look_at(case_id, now)
            except Exception as error:  # noqa: BLE001  # one case must not keep the others from their time
                self._log.error("sweep_of_case_failed", case=case_id, error=type(error).__name__)
        return len(waiting)

    async def _look_at(self, case_id: CaseId, now: datetime) -> None:
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, case_id)
            erasing = case.state is State.EXPIRING
            if not erasing:
                while True:
                    line = self._cases.line(case)
                    due = next((d for d in dues(case, line, self._cases.rules) if d.at <= now), None)
                    if due is None or case.state is State.EXPIRING:
                        break
                    case = await self._act(unit, replace(case, said=(*case.said, due.key)), due, now)
                await self._cases.save(unit, case)
        if erasing:
            await self._erase(case, now)

    async def _erase(self, case: Case, now: datetime) -> None:
        due = next((d for d in dues(case, self._cases.line(case), self._cases.rules) if d.kind == "erasure"), None)
        if due is not None and due.at <= now:
            await self._expiry.advance(case.id, now)
            return
        async with self._store.unit() as unit:
            await unit.save_case(case, next_due_at=due.at if due else now + AGAIN)

    async def _act(self, unit: Unit, case: Case, due: Due, now: datetime) -> Case:
        """Do what is due; return the case, not saved."""
        match due.kind:
            case "lapse":
                return await self._lapse(unit, case, now)
            case "escalation":
                await unit.audit(AuditEvent(kind="escalated", by=None, case_id=case.id))
                return await self._routing.escalate(unit, case, now)
            case "close":
                return await self._close(unit, case, now)
            case "expire":
                return await self._expiry.start(unit, case, now)
            case "expiry_warning":
                ends = retention_ends(case, self._cases.line(case), self._cases.rules)
                if ends is not None and ends > now:
                    await self._expiry.warn(unit, case, ends)
                    return replace(case, warned=True)
            case _:
                await self._remind(unit, case, due.kind)
        return case

    async def _lapse(self, unit: Unit, case: Case, now: datetime) -> Case:
        lapsed = case.step(Step.LAPSE, frozenset({Actor.BOT}))
        await unit.audit(AuditEvent(kind="lapse", by=None, case_id=case.id))
        await self._say(unit, case, case.requester, "lapsed", ("new",))
        return replace(lapsed, ended_at=now, cancelled_by="silence", asked=None)

    async def _close(self, unit: Unit, case: Case, now: datetime) -> Case:
        closed = replace(case.step(Step.CLOSE, frozenset({Actor.BOT})), ended_at=now)
        await unit.audit(AuditEvent(kind="close", by=None, case_id=case.id))
        await self._routing.tell_coordinators(unit, closed, "not_acknowledged")
        await self._say(
            unit, case, case.requester, "reminder_acknowledge", ("acknowledge", case.id), ("export", case.id)
        )
        return closed

    async def _remind(self, unit: Unit, case: Case, kind: str) -> None:
        number = case.id
        match kind:
            case "collecting_reminder":
                await self._say(unit, case, case.requester, "reminder_collecting", ("form", number), ("cancel", number))
            case "question_reminder":
                await self._say(
                    unit, case, case.requester, "reminder_question", ("answer", number, "…"), ("done", number)
                )
            case "answer_incomplete":
                for user in case.expert_ids:
                    await self._say(unit, case, user, "reminder_incomplete", ("draft", number, "…"))
            case "deadline_reminder":
                verb = "sign" if case.state is State.SIGNING else "draft" if case.experts else "take"
                waiting = case.rung if missing_experts(self._cases.line(case), case) else case.expert_ids
                for user in case.unsigned or waiting or case.rung:
                    await self._say(unit, case, user, "reminder_deadline", (verb, number))
            case "followup_reminder":
                for user in case.expert_ids:
                    await self._say(unit, case, user, "reminder_followup")

    async def _say(self, unit: Unit, case: Case, user: UserId, text: str, *steps: tuple[str, ...]) -> None:
        notice = Notice(
            text=text,
            values={"case": case.id, "due": At(case.due_at) if case.due_at else None},
            kind="reminder",
            data={"about": case.id, "reason": text},
            next=steps,
            rings=True,
        )
        await self._cases.to_person(unit, user, notice, case=case)
