"""After the seal: delivery, acknowledgement, one follow-up, correction, survey, more time, and the PDF again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from bot.domain.audit import AuditEvent
from bot.domain.case import Case, Exchange, Report
from bot.domain.deadlines import EXTENSION, MOST_EXTENSIONS, answer_by, retention_ends
from bot.domain.effects import Direct, DropFiles, EndPoll, Mail, Say
from bot.domain.errors import Refusal
from bot.domain.language import Language
from bot.domain.notice import At, Attachment, Clinical, Label, Notice, Option, Poll, Who, Word
from bot.domain.permissions import check_may_read
from bot.domain.steps import Actor, Step
from bot.services.dossier import patient_line
from bot.services.ports import Pending, Unit
from bot.services.routing import urgency
from bot.services.turn import Cases, Turn

SURVEY = ("useful", "in_time", "followed")


class Handover:
    """Gives the opinion to whoever asked, and sees that it arrived."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    # -- delivery ------------------------------------------------------------------------------------------------------

    async def deliver(self, unit: Unit, case: Case, report: Report) -> None:
        """The sealed PDF exists: post it to case room and requester, ring, and send the mail without content."""
        moved = case.step(Step.DELIVER, frozenset({Actor.BOT}))
        corrected = bool(case.delivered)
        done = replace(
            moved,
            delivered=(*case.delivered, report),
            delivered_at=report.at,
            acknowledged_at=None,
            ended_at=None,
            frozen=None,
            said=(),
            due_at=None,
        )
        await self._cases.save(unit, done)
        if case.frozen is not None:
            await unit.plan(DropFiles(case_id=case.id, file_ids=(case.frozen.file_id,)))
        await unit.audit(
            AuditEvent(
                kind="delivered",
                by=None,
                case_id=case.id,
                facts={"sha256": report.sha256, "version": report.version, "corrected": int(corrected)},
            )
        )
        notice = self._report_notice(done, report, "corrected" if corrected else "delivered")
        await self._cases.to_room(unit, done, notice)
        await self._cases.to_person(unit, case.requester, notice, case=done)
        ring = Notice(
            text="ring_delivered",
            values={"case": case.id},
            kind="ring",
            data={"about": case.id},
            next=(("acknowledge", case.id),),
            rings=True,
        )
        await self._cases.to_person(unit, case.requester, ring, case=done)
        await unit.plan(Mail(user_id=case.requester, text="mail_delivered", values={"case": case.id}))

    def _report_notice(self, case: Case, report: Report, text: str) -> Notice:
        return Notice(
            text=text,
            values={"case": case.id, "code": report.code, "version": report.version},
            kind="corrected" if text == "corrected" else "delivered",
            data={"sha256": report.sha256, "version": report.version},
            attachment=Attachment(file_id=report.file_id, name=f"{case.id} opinion.pdf", mime="application/pdf"),
            next=(("acknowledge", case.id),) if text != "exported" else (),
        )

    async def export(self, turn: Turn, case: Case) -> None:
        """Post the newest sealed PDF to the person who asks, in his direct chat."""
        check_may_read(turn.by, case)
        if not case.delivered:
            raise Refusal("no_report_yet", case=case.id)
        await turn.audit("exported", case.id, sha256=case.delivered[-1].sha256)
        notice = self._report_notice(case, case.delivered[-1], "exported")
        await turn.unit.plan(Say(place=Direct(user_id=turn.by.user_id), notice=replace(notice, case_id=case.id)))

    # -- acknowledgement -----------------------------------------------------------------------------------------------

    async def acknowledge(self, turn: Turn, case: Case) -> None:
        """The requester has it: repeat the patient line, ask whether it was filed with this patient, close the case."""
        if case.acknowledged_at is not None:
            raise Refusal("acknowledged_already", case=case.id)
        moved = await self._cases.move(turn, case, Step.ACKNOWLEDGE)
        done = replace(moved, acknowledged_at=turn.now, ended_at=turn.now, said=())
        await self._cases.save(turn.unit, done)
        line = self._cases.line(case)
        ends = retention_ends(done, line, self._cases.rules)
        await turn.reply(
            Notice(
                text="acknowledged",
                values={
                    "case": case.id,
                    "patient": Label({language.value: patient_line(case, line, language) for language in Language}),
                    "ends": At(ends) if ends else None,
                },
                kind="acknowledged",
                case_id=case.id,
                next=(("followup", case.id, "…"), ("survey", case.id), ("export", case.id)),
            )
        )
        await self._ask(turn, done, "filed", ("yes", "no"))
        await turn.unit.save_pending(turn.by.user_id, Pending(kind="filed", line=case.id, at=turn.now))

    async def _ask(self, turn: Turn, case: Case, about: str, codes: tuple[str, ...]) -> None:
        options = tuple(
            Option(answer_id=f"{turn.event_id[1:9]}{i}", value=code, label=Word(f"{about}_{code}"))
            for i, code in enumerate(codes)
        )
        notice = Notice(
            text=f"ask_{about}", values={"case": case.id}, kind="question", data={"field": about}, case_id=case.id
        )
        poll = Poll(asked=turn.by.user_id, field=about, options=options)
        await turn.unit.plan(Say(place=turn.place, notice=replace(notice, poll=poll)))

    async def filed(self, turn: Turn, case: Case, value: str) -> None:
        """Record whether the opinion was filed with the right patient."""
        await turn.audit("filed" if value == "yes" else "not_filed", case.id)
        await turn.unit.plan(EndPoll(place=turn.place, field="filed"))
        await turn.unit.save_pending(turn.by.user_id, None)
        await turn.reply(
            Notice(text=f"filed_{value}_thanks", kind="acknowledged", data={"filed": value == "yes"}, case_id=case.id)
        )

    # -- follow-up and correction --------------------------------------------------------------------------------------

    async def followup(self, turn: Turn, case: Case, text: str) -> None:
        """One more question to those who answered, with the line's clock.

        Raises:
            Refusal: `followup_used` after the first one.
        """
        if case.followup is not None:
            raise Refusal("followup_used")
        moved = await self._cases.move(turn, case, Step.FOLLOWUP)
        due = answer_by(self._cases.line(case), urgency(case), turn.now)
        asked = replace(moved, followup=Exchange(asked_at=turn.now, text=text.strip()), followup_due_at=due)
        await self._cases.save(turn.unit, asked)
        notice = Notice(
            text="followup",
            values={"question": Clinical(text.strip()), "due": At(due)},
            kind="followup",
            next=(("answer", "…"),),
        )
        await self._cases.to_room(turn.unit, asked, notice, answers=turn.event_id)
        for expert in case.expert_ids:
            ring = Notice(
                text="ring_followup", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
            )
            await self._cases.to_person(turn.unit, expert, ring, case=case)

    async def reply(self, turn: Turn, case: Case, text: str) -> None:
        """An expert answers the follow-up."""
        if case.followup is None:
            raise Refusal("no_open_question")
        moved = await self._cases.move(turn, case, Step.REPLY)
        replies = (*case.followup.replies, (turn.by.user_id, text.strip()))
        await self._cases.save(turn.unit, replace(moved, followup=replace(case.followup, replies=replies)))
        notice = Notice(
            text="followup_answer",
            values={"who": Who(turn.by.user_id), "answer": Clinical(text.strip())},
            kind="followup",
            data={"answered": True},
        )
        await self._cases.to_room(turn.unit, moved, notice, answers=turn.event_id)
        ring = Notice(
            text="ring_followup_answered", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
        )
        await self._cases.to_person(turn.unit, case.requester, ring, case=case)

    async def correct(self, turn: Turn, case: Case, reason: str) -> None:
        """Open a delivered opinion again: what is signed next supersedes it, and says so."""
        moved = await self._cases.move(turn, case, Step.CORRECT)
        due = answer_by(self._cases.line(case), urgency(case), turn.now)
        opened = replace(
            moved,
            agreed=(),
            signatories=(),
            signatures=(),
            ended_at=None,
            said=(),
            clock_from=turn.now,
            due_at=due,
            warned=False,
        )
        await self._cases.save(turn.unit, opened)
        notice = Notice(
            text="correcting",
            values={"who": Who(turn.by.user_id), "reason": Clinical(reason)},
            kind="correcting",
            next=(("draft", "…"),),
        )
        await self._cases.to_room(turn.unit, opened, notice, answers=turn.event_id)
        ring = Notice(
            text="ring_correcting", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
        )
        await self._cases.to_person(turn.unit, case.requester, ring, case=case)

    # -- survey and time -----------------------------------------------------------------------------------------------

    async def survey(self, turn: Turn, case: Case) -> None:
        """Ask three short questions, one tap each."""
        moved = await self._cases.move(turn, case, Step.SURVEY)
        await self._cases.save(turn.unit, replace(moved, survey={}))
        await self._ask_survey(turn, moved, 0)

    async def _ask_survey(self, turn: Turn, case: Case, n: int) -> None:
        about = f"survey_{SURVEY[n]}"
        await self._ask(turn, case, about, ("yes", "partly", "no"))
        await turn.unit.save_pending(turn.by.user_id, Pending(kind="survey", line=f"{case.id} {about}", at=turn.now))

    async def survey_answered(self, turn: Turn, case: Case, about: str, value: str) -> None:
        """Record one answer of the survey, and ask the next question."""
        names = [f"survey_{one}" for one in SURVEY]
        if case.survey is None or about in case.survey or about not in names:
            return
        answers: Mapping[str, str] = {**case.survey, about: value}
        await self._cases.save(turn.unit, replace(case, survey=answers))
        await turn.unit.plan(EndPoll(place=turn.place, field=about))
        n = names.index(about) + 1
        if n < len(names):
            await self._ask_survey(turn, case, n)
            return
        await turn.unit.save_pending(turn.by.user_id, None)
        await turn.audit("surveyed", case.id, **answers)
        notice = Notice(text="survey_thanks", kind="survey", data={"answers": dict(answers)}, case_id=case.id)
        await turn.reply(notice)

    async def extend(self, turn: Turn, case: Case) -> None:
        """Keep the case a week longer, twice at most."""
        if case.extended >= MOST_EXTENSIONS:
            raise Refusal("extended_enough", most=MOST_EXTENSIONS)
        moved = await self._cases.move(turn, case, Step.EXTEND)
        longer = replace(
            moved,
            extended=case.extended + 1,
            warned=False,
            said=tuple(k for k in case.said if not k.startswith("expir")),
        )
        await self._cases.save(turn.unit, longer)
        ends = retention_ends(longer, self._cases.line(case), self._cases.rules)
        days = EXTENSION // timedelta(days=1)
        await turn.reply(
            Notice(
                text="extended",
                values={"case": case.id, "days": days, "ends": At(ends) if ends else None},
                kind="extended",
                data={"ends": ends.isoformat() if ends else None},
                case_id=case.id,
            )
        )
