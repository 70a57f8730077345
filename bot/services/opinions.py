"""The opinion: questions back to the requester, draft, agreement and dissent, signatures on one frozen version."""

from dataclasses import replace

from bot.domain.case import Case, Dissent, Draft, Question, Report, Signature
from bot.domain.deadlines import WAITING_LIMIT
from bot.domain.effects import Freeze, Seal
from bot.domain.errors import Refusal
from bot.domain.lines import Line
from bot.domain.notice import At, Attachment, Bullets, Clinical, Label, Notice, Who, Word
from bot.domain.opinion import PARTS, read_draft
from bot.domain.permissions import check_step
from bot.domain.routing import missing_experts
from bot.domain.steps import Actor, State, Step
from bot.services.codes import Codes
from bot.services.dossier import draft_notice
from bot.services.ports import Unit
from bot.services.turn import Cases, Turn

LONGEST = 20_000


class Opinions:
    """How experts come to an opinion and put their names to it."""

    def __init__(self, cases: Cases, codes: Codes) -> None:
        self._cases = cases
        self._codes = codes

    # -- questions -----------------------------------------------------------------------------------------------------

    async def ask(self, turn: Turn, case: Case, text: str) -> None:
        """Ask the requester something; the clock stops until he is done."""
        moved = await self._cases.move(turn, case, Step.ASK, n=len(case.questions) + 1)
        question = Question(
            n=len(case.questions) + 1, by=turn.by.user_id, at=turn.now, text=_bounded(text), event_id=turn.event_id
        )
        await self._cases.save(turn.unit, replace(moved, questions=(*case.questions, question), stopped_at=turn.now))
        notice = Notice(
            text="question_to_requester",
            values={"n": question.n, "who": Who(turn.by.user_id), "question": Clinical(question.text)},
            kind="asked",
            data={"n": question.n, "by": turn.by.user_id},
            next=(("answer", "…"), ("done",)),
        )
        await self._cases.to_room(turn.unit, case, notice, answers=turn.event_id)
        ring = Notice(
            text="ring_question_asked", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
        )
        await self._cases.to_person(turn.unit, case.requester, ring, case=case)

    async def answer(self, turn: Turn, case: Case, text: str) -> None:
        """Add the requester's words to the open question."""
        question = case.open_question
        check_step(turn.by, case, Step.ANSWER)
        if question is None:
            raise Refusal("no_open_question")
        answered = replace(question, answers=(*question.answers, _bounded(text)))
        await self._cases.save(turn.unit, _with_question(case, answered))
        await turn.audit("answered", case.id, n=question.n)
        await turn.reply(
            Notice(
                text="answer_added",
                values={"n": question.n},
                kind="answered",
                data={"n": question.n},
                next=(("done",),),
                case_id=case.id,
            )
        )

    async def done(self, turn: Turn, case: Case) -> None:
        """The requester has answered: the clock goes on, later by what it stood still."""
        question = case.open_question
        moved = await self._cases.move(turn, case, Step.DONE)
        if question is not None:
            moved = _with_question(moved, replace(question, done_at=turn.now))
        await self._cases.save(turn.unit, restarted(moved, turn))
        notice = Notice(text="question_done", values={"who": Who(case.requester)}, kind="answered", data={"done": True})
        await self._cases.to_room(turn.unit, moved, notice, answers=turn.event_id)
        for expert in case.expert_ids:
            ring = Notice(
                text="ring_answered", values={"case": case.id}, kind="ring", data={"about": case.id}, rings=True
            )
            await self._cases.to_person(turn.unit, expert, ring, case=case)

    # -- draft ---------------------------------------------------------------------------------------------------------

    async def draft(self, turn: Turn, case: Case, text: str) -> None:
        """Write a version of the opinion: the decision first, named parts below; parts alone complete the last version.

        Earlier agreements and signatures are void, and those who gave them are told.
        """
        check_step(turn.by, case, Step.DRAFT)
        line = self._cases.line(case)
        short = missing_experts(line, case)
        if short:
            raise Refusal("experts_missing", count=short)
        asked = case.open_question
        if case.state is State.WAITING and asked is not None and turn.now < asked.at + WAITING_LIMIT:
            raise Refusal("waiting_for_answer", until=At(asked.at + WAITING_LIMIT))
        written = read_draft(line, _bounded(text))
        last = case.draft
        if written.decision is None and not written.decision_text and last is None:
            raise Refusal("draft_without_decision", decisions=_decisions(line))
        parts_only = last is not None and written.decision is None and not written.decision_text
        before = (
            {"reasons": last.reasons, "recommendation": last.recommendation, "who_does_what": last.who_does_what}
            if last
            else {}
        )
        parts = {part: written.parts.get(part) or (before.get(part, "") if parts_only else "") for part in PARTS}
        draft = Draft(
            version=case.versions + 1,
            by=turn.by.user_id,
            at=turn.now,
            decision=last.decision if parts_only and last else written.decision,
            decision_text=last.decision_text if parts_only and last else written.decision_text,
            **parts,
        )
        moved = await self._cases.move(turn, case, Step.DRAFT, version=draft.version)
        question = moved.open_question
        if case.state is State.WAITING:
            moved = restarted(moved, turn)
            moved = _with_question(moved, replace(question, done_at=turn.now)) if question else moved
        drafted = replace(
            moved,
            draft=draft,
            versions=draft.version,
            agreed=(),
            dissents=(),
            signatories=(),
            signatures=(),
            frozen=None,
        )
        await self._cases.save(turn.unit, drafted)
        await self._cases.to_room(turn.unit, drafted, draft_notice(drafted, line), answers=turn.event_id)
        await self._say_void(turn, case, draft)
        missing = tuple(Word(f"part_{part}") for part in PARTS if not parts[part])
        if missing and not (last and parts_only):
            notice = Notice(
                text="draft_missing",
                values={"parts": Bullets(missing)},
                kind="draft_missing",
                data={"missing": [w.code for w in missing]},
            )
            await self._cases.to_room(turn.unit, drafted, notice, answers=turn.event_id)

    async def _say_void(self, turn: Turn, case: Case, draft: Draft) -> None:
        told = {s.by for s in case.signatures} | set(case.agreed)
        for user in sorted(told - {turn.by.user_id}):
            notice = Notice(
                text="draft_voided",
                values={"case": case.id, "version": draft.version},
                kind="drafted",
                data={"about": case.id},
                rings=True,
            )
            await self._cases.to_person(turn.unit, user, notice, case=case)

    async def agree(self, turn: Turn, case: Case) -> None:
        """Say that the draft is right as it stands."""
        moved = await self._cases.move(turn, case, Step.AGREE)
        agreed = replace(
            moved,
            agreed=(*(u for u in case.agreed if u != turn.by.user_id), turn.by.user_id),
            dissents=tuple(d for d in case.dissents if d.by != turn.by.user_id),
        )
        await self._cases.save(turn.unit, agreed)
        version = case.draft.version if case.draft else 0
        notice = Notice(
            text="agreed",
            values={"who": Who(turn.by.user_id), "version": version},
            kind="agreed",
            data={"by": turn.by.user_id},
        )
        await self._cases.to_room(turn.unit, agreed, notice, answers=turn.event_id)

    async def dissent(self, turn: Turn, case: Case, text: str) -> None:
        """Say that one does not agree, and why; it stands in the opinion."""
        moved = await self._cases.move(turn, case, Step.DISSENT)
        dissents = (
            *(d for d in case.dissents if d.by != turn.by.user_id),
            Dissent(by=turn.by.user_id, text=_bounded(text)),
        )
        after = replace(moved, dissents=dissents, agreed=tuple(u for u in case.agreed if u != turn.by.user_id))
        await self._cases.save(turn.unit, after)
        notice = Notice(
            text="dissented",
            values={"who": Who(turn.by.user_id), "reason": Clinical(text)},
            kind="dissented",
            data={"by": turn.by.user_id},
        )
        await self._cases.to_room(turn.unit, after, notice, answers=turn.event_id)

    # -- signatures ----------------------------------------------------------------------------------------------------

    async def sign(self, turn: Turn, case: Case, code: str) -> None:
        """Sign the version that stands, with a fresh code; the first signature freezes text and PDF.

        Raises:
            Refusal: the table, a code that does not count, `signed_already`, `not_signatory`.
        """
        check_step(turn.by, case, Step.SIGN)
        assert case.draft is not None  # The table lets nobody sign before a draft.
        if case.state is State.SIGNING and turn.by.user_id not in case.signatories:
            raise Refusal("not_signatory")
        if any(s.by == turn.by.user_id for s in case.signatures):
            raise Refusal("signed_already")
        if case.delivered and case.draft.version <= case.delivered[-1].version:
            raise Refusal("draft_needed")
        short = missing_experts(self._cases.line(case), case)
        if short:
            raise Refusal("experts_missing", count=short)
        # A signature is for what was read: a version that has not been shown yet cannot be meant.
        if await turn.unit.value(f"shown:{case.id}:draft") != str(case.draft.version):
            raise Refusal("draft_changed", version=case.draft.version)
        await self._codes.check(turn.unit, turn.by, code, turn.now)
        first = case.state is not State.SIGNING
        moved = await self._cases.move(turn, case, Step.SIGN, version=case.draft.version)
        if first:
            moved = replace(moved, signatories=case.expert_ids)
            await turn.unit.plan(Freeze(case_id=case.id, version=case.draft.version))
        signature = Signature(by=turn.by.user_id, device_id=turn.device, at=turn.now)
        signed = replace(moved, signatures=(*moved.signatures, signature))
        left = signed.unsigned
        notice = Notice(
            text="signature_recorded",
            values={
                "who": Who(turn.by.user_id),
                "version": case.draft.version,
                "left": Bullets(tuple(Who(u) for u in left)),
                "count": len(left),
            },
            kind="sign_recorded",
            data={"by": turn.by.user_id, "version": case.draft.version, "left": len(left)},
        )
        await self._cases.to_room(turn.unit, signed, notice, answers=turn.event_id)
        if not left:
            signed = replace(signed.step(Step.COMPLETE, frozenset({Actor.BOT})), signed_at=turn.now)
            await turn.unit.plan(Seal(case_id=case.id, version=case.draft.version))
        elif first:
            for user in left:
                ring = Notice(
                    text="ring_sign",
                    values={"case": case.id},
                    kind="ring",
                    data={"about": case.id},
                    next=(("sign", "123456"),),
                    rings=True,
                )
                await self._cases.to_person(turn.unit, user, ring, case=case)
        await self._cases.save(turn.unit, signed)

    async def frozen(self, unit: Unit, case: Case, report: Report) -> None:
        """The PDF of the version that is being signed exists: show it with the short code of its hash."""
        after = replace(case, frozen=report)
        await self._cases.save(unit, after)
        notice = Notice(
            text="frozen",
            values={
                "version": report.version,
                "code": report.code,
                "left": Bullets(tuple(Who(u) for u in after.unsigned)),
                "count": len(after.unsigned),
            },
            kind="frozen",
            data={"sha256": report.sha256, "code": report.code, "version": report.version},
            attachment=Attachment(
                file_id=report.file_id, name=f"{case.id} NOT SEALED v{report.version}.pdf", mime="application/pdf"
            ),
        )
        if after.unsigned:
            await self._cases.to_room(unit, after, notice)


def restarted(case: Case, turn: Turn) -> Case:
    """Return the case with its clock going again: everything due later by the time it stood still."""
    if case.stopped_at is None or case.due_at is None:
        return replace(case, stopped_at=None)
    stood = turn.now - case.stopped_at
    start = case.clock_from + stood if case.clock_from is not None else None
    return replace(case, stopped_at=None, due_at=case.due_at + stood, clock_from=start)


def _decisions(line: Line) -> Bullets:
    return Bullets(tuple(Label({k.value: v for k, v in one.labels.items()}) for one in line.decisions))


def _with_question(case: Case, question: Question) -> Case:
    return replace(case, questions=tuple(question if q.n == question.n else q for q in case.questions))


def _bounded(text: str) -> str:
    """Return *text* without surrounding blanks.

    Raises:
        Refusal: `too_long`, with the limit; nothing is cut silently. `text_missing` if nothing is left.
    """
    stripped = text.strip()
    if not stripped:
        raise Refusal("text_missing")
    if len(stripped) > LONGEST:
        raise Refusal("too_long", most=LONGEST, length=len(stripped))
    return stripped
