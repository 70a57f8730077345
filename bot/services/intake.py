"""Taking a question in: `new`, the prompts and their answers, documents, `submit`."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, tzinfo

from bot.domain.answers import Outcome, Understood, render_value, tapped, understand
from bot.domain.case import Case, Document, DocumentState
from bot.domain.effects import CaseRoom, DropFiles, EndPoll, Invite, OpenRoom, Redact, Remove, TakeIn
from bot.domain.errors import Refusal
from bot.domain.forms import FieldType, How
from bot.domain.ids import EventId, RoomId
from bot.domain.language import Language
from bot.domain.lines import Line
from bot.domain.notice import Bullets, Clinical, Label, LineName, Notice, Option, Phrase, Poll, Rows, Value, Who
from bot.domain.permissions import actors, check_may_read, check_step
from bot.domain.problems import ProblemCode
from bot.domain.prompts import NEVER_SKIPPED, Prompt, PromptId, after_reply, after_skip, next_prompt, plan, status
from bot.domain.steps import State, Step
from bot.services.dossier import files_of, missing_labels, slots_filled
from bot.services.ports import Unit
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn

MOST_DOCUMENTS = 60


class Intake:
    """Leads a requester from `new` to `submitted`."""

    def __init__(self, *, cases: Cases, routing: Routing, timezone: tzinfo, emergency_phone: str) -> None:
        self._cases = cases
        self._routing = routing
        self._timezone = timezone
        self._emergency_phone = emergency_phone

    # -- opening -------------------------------------------------------------------------------------------------------

    async def new(self, turn: Turn, line: Line) -> None:
        """Open a case and its room; the first thing asked is whether it is an emergency."""
        if not turn.by.is_physician:
            raise Refusal("physicians_only")
        case_id = await turn.unit.new_case_id(turn.now.year)
        await self._cases.vault.create_key(case_id)  # The key first: a case without a key can never be read.
        case = Case(
            id=case_id,
            line=line.id,
            state=State.COLLECTING,
            requester=turn.by.user_id,
            language=turn.by.language,
            opened_at=turn.now,
            touched_at=turn.now,
            turns=1,
        )
        await turn.audit("case_opened", case_id, line=line.id)
        place = CaseRoom(case_id=case_id)
        await self._cases.plan(turn.unit, OpenRoom(place=place), Invite(place=place, user_id=turn.by.user_id))
        phone = line.emergency_telephone or self._emergency_phone
        welcome = Notice(
            text="case_opened",
            values={"case": case_id, "line": LineName(line.id), "phone": phone},
            kind="case_opened",
            data={"line": line.id},
        )
        await self._cases.to_room(turn.unit, case, welcome)
        await self._cases.save(turn.unit, await self.ask_next(turn.unit, case, turn.now))
        await turn.reply(
            Notice(
                text="case_opened_direct",
                values={"case": case_id},
                kind="case_opened",
                data={"about": case_id},
                case_id=case_id,
            )
        )

    # -- asking --------------------------------------------------------------------------------------------------------

    def _next(self, case: Case, now: datetime) -> Prompt | None:
        form = self._cases.line(case).form
        return next_prompt(form, case.answers, slots_filled(case), case.passed, today=self._local(now).date())

    async def ask_next(self, unit: Unit, case: Case, now: datetime) -> Case:
        """Ask what is missing next, or say that all is there; return the case with the open prompt, not saved."""
        prompt = self._next(case, now)
        if prompt is None:
            await self._cases.to_room(unit, case, self._nothing_more(case, now))
            return replace(case, asked=None)
        await self._cases.to_room(unit, case, self._prompt_notice(case, prompt))
        return replace(case, asked=prompt.id.value)

    def _nothing_more(self, case: Case, now: datetime) -> Notice:
        """Say that all was asked, and what is missing all the same because it was skipped."""
        line = self._cases.line(case)
        left = status(line.form, case.answers, slots_filled(case), today=self._local(now).date())
        data = {"missing": list(left.missing_required), "recommended": list(left.missing_recommended)}
        if left.may_submit:
            return Notice(text="form_complete", kind="form_status", data=data, next=(("submit",), ("form",)))
        return Notice(
            text="form_left",
            values={"missing": _bullets(line, left.missing_required)},
            kind="form_status",
            data=data,
            next=(("submit anyway",), ("form",)),
        )

    def _prompt_notice(self, case: Case, prompt: Prompt) -> Notice:
        form = self._cases.line(case).form
        whole = plan(form)
        index = next((i for i, one in enumerate(whole, 1) if one.id is prompt.id), len(whole))
        data: dict[str, object] = {
            "field": prompt.id.value,
            "fields": list(prompt.fields),
            "type": "poll" if prompt.as_poll else "text",
            "index": index,
            "of": len(whole),
        }
        values: dict[str, Value] = {"title": _labels(prompt.labels), "index": index, "of": len(whole)}
        if prompt.as_poll:
            options = tuple(
                Option(answer_id=secrets.token_hex(4), value=o.code, label=_labels(o.labels)) for o in prompt.options
            )
            # Machines read codes; what travels with a tap is the random id alone.
            data["options"] = [{"id": o.answer_id, "value": o.value} for o in options]
            poll = Poll(asked=case.requester, field=prompt.id.value, options=options)
            return Notice(text="prompt_poll", values=values, kind="question", data=data, poll=poll, next=_steps(prompt))
        values["fields"] = Bullets(tuple(self._field_value(case, one) for one in prompt.fields))
        text = (
            "prompt_fields"
            if len(prompt.fields) > 1 or prompt.labels != form[prompt.fields[0]].labels
            else "prompt_text"
        )
        return Notice(text=text, values=values, kind="question", data=data, next=_steps(prompt))

    def _field_value(self, case: Case, field_id: str) -> Value:
        one = self._cases.line(case).form[field_id]
        texts: dict[str, str] = {}
        for language in Language:
            label = one.label(language)
            if one.options and one.type in (FieldType.ENUM, FieldType.MULTI):
                label += " — " + " / ".join(o.label(language) for o in one.options)
            elif one.unit and one.unit not in label:
                label += f" ({one.unit})"
            texts[language.value] = label
        return Label(texts)

    # -- answering -----------------------------------------------------------------------------------------------------

    def _local(self, now: datetime) -> datetime:
        return now.astimezone(self._timezone)

    async def answered(self, turn: Turn, case: Case, text: str) -> None:
        """Take a message of the requester as answers; say what was understood, and what was not."""
        check_step(turn.by, case, Step.ANSWER)
        prompt = self._next(case, turn.now)
        form = self._cases.line(case).form
        understood = understand(form, text, language=turn.by.language, expected=prompt, now=self._local(turn.now))
        await self._take(turn, case, prompt, understood, How.TYPED)

    async def tap(self, turn: Turn, case: Case, field: str, code: str) -> None:
        """Take a tap on a poll; a tap on a poll that is settled changes nothing."""
        check_step(turn.by, case, Step.ANSWER)
        prompt = self._next(case, turn.now)
        if prompt is None or prompt.id.value != field or not prompt.as_poll:
            return
        await self._take(
            turn, case, prompt, tapped(self._cases.line(case).form, prompt, code, now=self._local(turn.now)), How.TAP
        )

    async def edited(self, turn: Turn, case: Case, original: EventId, text: str) -> None:
        """An edit inside the encrypted content changes the answers that the original gave, and is repeated aloud."""
        check_step(turn.by, case, Step.ANSWER)
        fields = case.answers.from_event(original)
        form = self._cases.line(case).form
        prompt = next((p for p in plan(form) if set(p.fields) & set(fields)), None)
        if not fields or prompt is None:
            return
        again = replace(prompt, fields=fields)
        understood = understand(form, text, language=turn.by.language, expected=again, now=self._local(turn.now))
        changed = {k: v for k, v in understood.values.items() if k in fields and case.answers.value(k) != v}
        if not changed:
            if any(p.code is not ProblemCode.MARKS_REMOVED for p in understood.problems):
                await self._say_problems(turn, case, understood)
            return
        answers = case.answers.with_values(changed, source=original, how=How.TYPED)
        after = replace(case, answers=answers, touched_at=turn.now)
        await turn.audit("answer_edited", case.id, fields=",".join(changed))
        rows = Rows(tuple((_labels(form[k].labels), self._change(case, after, k)) for k in changed))
        await self._cases.to_room(
            turn.unit,
            after,
            Notice(
                text="answer_changed",
                values={"rows": rows},
                kind="answer_recorded",
                data={"field": list(changed), "changed": True},
            ),
        )
        await self._cases.save(turn.unit, after)

    def _change(self, before: Case, after: Case, field_id: str) -> Value:
        return Phrase("change", {"before": self._shown(before, field_id), "after": self._shown(after, field_id)})

    async def _take(self, turn: Turn, case: Case, prompt: Prompt | None, understood: Understood, how: How) -> None:
        case = replace(case, turns=case.turns + 1, touched_at=turn.now)
        if understood.outcome is Outcome.EMERGENCY:
            await self._emergency(turn, case)
            return
        if understood.outcome is Outcome.DOES_NOT_AGREE:
            await self._does_not_agree(turn, case)
            return
        form = self._cases.line(case).form
        answers = case.answers.with_values(understood.values, source=turn.event_id, how=how)
        after = replace(case, answers=answers)
        if prompt is not None and understood.values:
            after = replace(after, passed=tuple(sorted(after_reply(prompt, case.passed))))
        if understood.values:
            await turn.audit("answer_recorded", case.id, fields=",".join(understood.values))
            rows = Rows(tuple((_labels(form[k].labels), self._shown(after, k)) for k in understood.values))
            data = {"field": list(understood.values)}
            # A tap shows itself; what was typed is repeated as it was understood.
            if how is How.TYPED:
                await turn.reply(
                    Notice(text="understood", values={"rows": rows}, kind="answer_recorded", data=data, case_id=case.id)
                )
        serious = tuple(p for p in understood.problems if p.code is not ProblemCode.MARKS_REMOVED)
        if understood.problems:
            await self._say_problems(turn, after, understood)
        if how is How.TAP and prompt is not None:
            await turn.unit.plan(EndPoll(place=CaseRoom(case_id=case.id), field=prompt.id.value))
        unchanged = self._next(after, turn.now)
        if understood.values or not serious:
            if case.asked and prompt and prompt.as_poll and how is How.TYPED and understood.values:
                await turn.unit.plan(EndPoll(place=CaseRoom(case_id=case.id), field=prompt.id.value))
            if unchanged is None or unchanged != prompt:
                after = await self.ask_next(turn.unit, after, turn.now)
        await self._cases.save(turn.unit, after)

    def _shown(self, case: Case, field_id: str) -> Value:
        one = self._cases.line(case).form[field_id]
        value = case.answers.value(field_id)
        if value is None:
            return "–"
        return Label({language.value: render_value(one, value, language) for language in Language})

    async def _say_problems(self, turn: Turn, case: Case, understood: Understood) -> None:
        form = self._cases.line(case).form
        lines: list[Value] = []
        for problem in understood.problems:
            one = form.get(problem.field) if problem.field else None
            label: Value = _labels(one.labels) if one else ""
            params: dict[str, Value] = dict(problem.params)
            if one is not None and one.options:
                params["options"] = Label(
                    {lang.value: " / ".join(o.label(lang) for o in one.options) for lang in Language}
                )
            lines.append(Phrase(f"problem_{problem.code}", {"field": label, **params}))
        codes = [p.code.value for p in understood.problems]
        notice = Notice(
            text="problems",
            values={"problems": Bullets(tuple(lines)), "rest": Clinical(understood.rest[:300])},
            kind="answer_refused",
            data={"codes": codes},
            case_id=case.id,
            next=(("skip",), ("back",), ("form",)),
        )
        await turn.reply(notice)

    # -- the two answers that end a request ----------------------------------------------------------------------------

    async def _emergency(self, turn: Turn, case: Case) -> None:
        line = self._cases.line(case)
        phone = line.emergency_telephone or self._emergency_phone
        await turn.reply(
            Notice(
                text="emergency",
                values={"phone": phone},
                kind="emergency",
                data={"phone": phone},
                case_id=case.id,
                rings=True,
            )
        )
        await self._end(turn, case, "emergency")

    async def _does_not_agree(self, turn: Turn, case: Case) -> None:
        await turn.reply(
            Notice(text="does_not_agree", kind="cancelled", data={"reason": "does_not_agree"}, case_id=case.id)
        )
        await self._end(turn, case, "does_not_agree")

    async def _end(self, turn: Turn, case: Case, why: str) -> None:
        moved = await self._cases.move(turn, case, Step.CANCEL, why=why)
        ended = replace(moved, cancelled_by=why, ended_at=turn.now, asked=None)
        await self._cases.save(turn.unit, ended)

    # -- moving in the form --------------------------------------------------------------------------------------------

    async def skip(self, turn: Turn, case: Case) -> None:
        """Leave the open prompt out; what a case never goes without stays asked."""
        check_step(turn.by, case, Step.ANSWER)
        self._check_collecting(case)
        prompt = self._next(case, turn.now)
        if prompt is None:
            raise Refusal("nothing_to_skip")
        skipped = tuple(sorted(after_skip(prompt, case.passed)))
        after = replace(case, passed=skipped, turns=case.turns + 1, touched_at=turn.now)
        following = self._next(after, turn.now)
        if following is not None and following.id is prompt.id:
            raise Refusal("never_skipped")
        if prompt.as_poll:
            await turn.unit.plan(EndPoll(place=CaseRoom(case_id=case.id), field=prompt.id.value))
        await self._cases.save(turn.unit, await self.ask_next(turn.unit, after, turn.now))

    async def back(self, turn: Turn, case: Case) -> None:
        """Take the newest answers back and ask for them again."""
        check_step(turn.by, case, Step.ANSWER)
        self._check_collecting(case)
        last = next(reversed(list(case.answers.values())), None)
        if last is None:
            raise Refusal("nothing_to_take_back")
        fields = case.answers.from_event(last.source)
        answers = case.answers
        for field_id in fields:
            answers = answers.without(field_id)
        form = self._cases.line(case).form
        await turn.reply(
            Notice(
                text="taken_back",
                values={"fields": Bullets(tuple(_labels(form[f].labels) for f in fields if form.get(f)))},
                kind="answer_recorded",
                data={"field": list(fields), "taken_back": True},
                case_id=case.id,
            )
        )
        after = replace(case, answers=answers, turns=case.turns + 1, touched_at=turn.now, passed=())
        if case.asked:
            await turn.unit.plan(EndPoll(place=CaseRoom(case_id=case.id), field=case.asked))
        await self._cases.save(turn.unit, await self.ask_next(turn.unit, after, turn.now))

    async def form(self, turn: Turn, case: Case) -> None:
        """Show what is answered and what is missing, to whoever may read the case."""
        check_may_read(turn.by, case)
        line = self._cases.line(case)
        now = status(line.form, case.answers, slots_filled(case), today=self._local(turn.now).date())
        rows = Rows(
            tuple(
                (_labels(one.labels), self._shown(case, one.id)) for one in line.form.fields if one.id in case.answers
            )
        )
        await turn.reply(
            Notice(
                text="form",
                values={
                    "case": case.id,
                    "rows": rows,
                    "missing": Bullets(tuple(_labels(line.form[f].labels) for f in now.missing_required)),
                    "recommended": Bullets(tuple(_labels(line.form[f].labels) for f in now.missing_recommended)),
                    "documents": len(case.shown),
                },
                kind="form_status",
                data={"missing": list(now.missing_required), "recommended": list(now.missing_recommended)},
                case_id=case.id,
                next=(("submit",),),
            )
        )

    def _check_collecting(self, case: Case) -> None:
        if case.state is not State.COLLECTING:
            raise Refusal("not_collecting", case=case.id)

    # -- submitting ----------------------------------------------------------------------------------------------------

    async def submit(self, turn: Turn, case: Case, *, anyway: bool) -> None:
        """Hand the question to the line.

        Raises:
            Refusal: `form_incomplete` with what is missing, `form_never_without` where `submit anyway` does not help,
                `documents_arriving` while a file is still being taken in.
        """
        check_step(turn.by, case, Step.SUBMIT)
        line = self._cases.line(case)
        now = status(line.form, case.answers, slots_filled(case), today=self._local(turn.now).date())
        if not now.may_submit_anyway:
            raise Refusal(
                "form_never_without",
                fields=_bullets(line, now.missing_never_skipped),
                codes=list(now.missing_never_skipped),
            )
        if not anyway and any(d.state is DocumentState.RECEIVING for d in case.documents):
            raise Refusal("documents_arriving")
        if not now.may_submit and not anyway:
            raise Refusal(
                "form_incomplete", fields=_bullets(line, now.missing_required), codes=list(now.missing_required)
            )
        counted = replace(case, turns=case.turns + 1, touched_at=turn.now, incomplete=not now.may_submit, asked=None)
        if case.asked:
            await turn.unit.plan(EndPoll(place=CaseRoom(case_id=case.id), field=case.asked))
        moved = await self._cases.move(
            turn, counted, Step.SUBMIT, turns=counted.turns, incomplete=int(counted.incomplete)
        )
        notice = Notice(
            text="submitted_incomplete" if moved.incomplete else "submitted",
            values={
                "case": case.id,
                "line": LineName(case.line),
                "missing": missing_labels(moved, line),
                "turns": moved.turns,
            },
            kind="submitted",
            data={"turns": moved.turns, "incomplete": moved.incomplete},
        )
        await self._cases.to_room(turn.unit, moved, notice, answers=turn.event_id)
        await self._cases.save(turn.unit, await self._routing.start(turn.unit, moved, turn.now))

    async def cancel(self, turn: Turn, case: Case) -> None:
        """Withdraw the question; experts are told and leave."""
        moved = await self._cases.move(turn, case, Step.CANCEL, why="requester")
        notice = Notice(
            text="cancelled",
            values={"case": case.id, "who": Who(turn.by.user_id)},
            kind="cancelled",
            data={"by": turn.by.user_id},
        )
        await self._cases.to_room(turn.unit, case, notice, answers=turn.event_id)
        for user in dict.fromkeys((*case.expert_ids, *(case.rung if case.state is State.SUBMITTED else ()))):
            told = Notice(text="cancelled_told", values={"case": case.id}, kind="cancelled", data={"about": case.id})
            await self._cases.to_person(turn.unit, user, told, case=case)
        for user in case.expert_ids:
            await turn.unit.plan(Remove(place=CaseRoom(case_id=case.id), user_id=user))
        await self._cases.save(
            turn.unit, replace(moved, ended_at=turn.now, cancelled_by="requester", asked=None, due_at=None)
        )

    # -- documents -----------------------------------------------------------------------------------------------------

    async def document(self, turn: Turn, case: Case, source: Mapping[str, str | int], size: int, mime: str) -> None:
        """Take note of a file that was dropped into the case; it is fetched and made readable at once.

        Raises:
            Refusal: too many, or too large for the line (with the limit), or from somebody outside the case.
        """
        mine = actors(turn.by, case)
        if not mine:
            raise Refusal("not_your_case", case=case.id)
        if case.state in (State.CLOSED, State.CANCELLED, State.DECLINED, State.EXPIRING, State.ERASED):
            raise Refusal("document_too_late", case=case.id)
        line = self._cases.line(case)
        most = min(line.max_document_mb, self._cases.rules.most_document_mb)
        if size > most * 1_000_000:
            raise Refusal("document_too_large", limit=most)
        if len(case.documents) >= MOST_DOCUMENTS:
            raise Refusal("too_many_documents", most=MOST_DOCUMENTS)
        document = Document(
            n=len(case.documents) + 1,
            event_id=turn.event_id,
            sent_by=turn.by.user_id,
            received_at=turn.now,
            state=DocumentState.RECEIVING,
            source=source,
            size=size,
            mime=mime,
        )
        await turn.audit("document_received", case.id, n=document.n)
        await self._cases.save(turn.unit, replace(case.with_document(document), touched_at=turn.now))
        await turn.unit.plan(TakeIn(case_id=case.id, n=document.n))

    async def withdraw(self, turn: Turn, case: Case, document: Document) -> None:
        """Take a document out before submission; afterwards it is only recorded that somebody wanted to."""
        if turn.by.user_id != document.sent_by:
            raise Refusal("document_not_yours", n=document.n)
        await turn.audit("document_withdrawn", case.id, n=document.n, state=case.state.value)
        if case.state is not State.COLLECTING:
            await turn.reply(
                Notice(
                    text="document_stays",
                    values={"n": document.n},
                    kind="document_stays",
                    data={"n": document.n},
                    case_id=case.id,
                )
            )
            return
        gone = replace(document, state=DocumentState.WITHDRAWN, slot=None, pictures=(), facts={})
        for shown in (await turn.unit.value(f"shown:{case.id}:document:{document.n}") or "").splitlines():
            room_id, event_id = shown.split(" ")
            redact = Redact(
                place=CaseRoom(case_id=case.id), case_id=case.id, room_id=RoomId(room_id), event_id=EventId(event_id)
            )
            await turn.unit.plan(redact)
        await turn.unit.plan(
            Redact(place=CaseRoom(case_id=case.id), case_id=case.id, room_id=turn.room_id, event_id=document.event_id)
        )
        await turn.unit.plan(DropFiles(case_id=case.id, file_ids=files_of(document)))
        await self._cases.save(turn.unit, replace(case.with_document(gone), touched_at=turn.now))
        await turn.reply(
            Notice(
                text="document_withdrawn",
                values={"n": document.n},
                kind="document_withdrawn",
                data={"n": document.n},
                case_id=case.id,
            )
        )


def _steps(prompt: Prompt) -> tuple[tuple[str, ...], ...]:
    """Return what can really be done with a prompt: not everything can be skipped, submitting comes at the end."""
    skip = () if set(prompt.fields) <= NEVER_SKIPPED else (("skip",),)
    return (*skip, ("submit",)) if prompt.id is PromptId.CLOSING else skip


def _labels(labels: Mapping[Language, str]) -> Label:
    return Label({language.value: text for language, text in labels.items()})


def _bullets(line: Line, fields: tuple[str, ...]) -> Bullets:
    return Bullets(tuple(_labels(line.form[f].labels) for f in fields))
