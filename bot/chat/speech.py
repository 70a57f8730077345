"""What people write, tap and drop: commands, answers, edits and files, each to the one service it is for."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.chat.command import Command, Commands, Need, Words, only_a_code, read_words, suggestions
from bot.chat.reading import body, poll_answers, survey_answer, without_quote, yes_or_no
from bot.chat.refusals import refusal_notice
from bot.domain.case import Case
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, EventId, UserId
from bot.domain.language import without_hidden_marks
from bot.domain.niss import find_niss
from bot.domain.notice import At, Notice
from bot.domain.people import Standing
from bot.domain.permissions import check_enrolled
from bot.domain.steps import State
from bot.services.codes import RefusalWithTrace
from bot.services.documents import file_source
from bot.services.enrolment import Enrolment
from bot.services.handover import Handover
from bot.services.intake import Intake
from bot.services.opinions import Opinions
from bot.services.ports import (
    Arrival,
    ArrivalKind,
    Counters,
    Origin,
    Pending,
    RoomEntry,
    Unit,
)
from bot.services.turn import Turn

FILE_TYPES = frozenset({"m.file", "m.image", "m.video", "m.audio"})
LATE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
LONGEST_TEXT = 40_000
LONGEST_ARGUMENT = 20_000
PATIENCE = timedelta(minutes=10)
"""How long the bot's open question in a direct chat stays open."""

BARE_IN_DIRECT_CHAT = frozenset(
    {"help", "register", "confirm", "unlock", "lock", "recover", "language", "lines", "list", "inbox", "new"}
    | {"take", "join", "show"}
)
BARE_IN_FORM = frozenset({"help", "form", "skip", "back", "submit", "submit anyway"})
RESUMED = frozenset({"take", "join", "new", "resend", "export", "show"})
"""Verbs that go on after six digits or a missing word: none that takes back or gives away, none with clinical words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """The services that plain words, taps and files go to."""

    intake: Intake
    enrolment: Enrolment
    opinions: Opinions
    handover: Handover


class Speech:
    """Understands what somebody who is believed has said."""

    def __init__(self, *, commands: Commands, verbs: Verbs, counters: Counters, commands_per_minute: int) -> None:
        self._commands = commands
        self._verbs = verbs
        self._counters = counters
        self._commands_per_minute = commands_per_minute
        self._recent: dict[UserId, deque[datetime]] = {}

    async def heard(self, turn: Turn, arrival: Arrival, origin: Origin, entry: RoomEntry) -> None:
        """Act on what somebody wrote, tapped, dropped or edited; raises Refusal if it cannot be."""
        case = await turn.unit.case(entry.case_id) if entry.case_id else None
        changed = turn.by.master_key is not None and turn.by.master_key != origin.master_key
        if arrival.edits is not None:
            if case is not None and arrival.edit_is_inside and not changed:
                await self._edited(turn, arrival, case, arrival.edits)
            return
        if arrival.kind is ArrivalKind.POLL_RESPONSE:
            if not changed:
                await self._tapped(turn, arrival, case)
            return
        if arrival.content.get("msgtype") in FILE_TYPES:
            await self._file(turn, arrival, case, changed=changed)
            return
        text = body(arrival)
        if text.strip() and arrival.content.get("msgtype") == "m.text":
            await self._text(turn, arrival, origin, case, text, changed=changed)

    async def _edited(self, turn: Turn, arrival: Arrival, case: Case, original: EventId) -> None:
        """An edit counts as an answer while the form is asked; afterwards it is said that it does not."""
        new = arrival.content.get("m.new_content")
        words = new.get("body") if isinstance(new, Mapping) else None
        if not isinstance(words, str) or turn.by.user_id != case.requester or not case.answers.from_event(original):
            return
        await self._need(turn, Need.ANY_SESSION)
        if case.state is not State.COLLECTING:
            raise Refusal("edited_too_late", case=case.id)
        await self._verbs.intake.edited(turn, case, original, words)

    async def _file(self, turn: Turn, arrival: Arrival, case: Case | None, *, changed: bool) -> None:
        if changed:
            raise Refusal("identity_changed")
        await self._need(turn, Need.ENROLLED)
        if case is None:
            raise Refusal("file_in_direct_chat")
        await self._need(turn, Need.ANY_SESSION)
        source, size, mime = file_source(dict(arrival.content))
        await self._verbs.intake.document(turn, case, {**source, "size": size}, size, mime)

    async def _tapped(self, turn: Turn, arrival: Arrival, case: Case | None) -> None:
        relation = arrival.content.get("m.relates_to")
        target = relation.get("event_id") if isinstance(relation, Mapping) else None
        poll = await turn.unit.poll(EventId(target)) if isinstance(target, str) else None
        if poll is None or poll.poll.asked != turn.by.user_id or poll.room_id != arrival.room_id:
            return
        chosen = poll_answers(arrival.content)
        option = next((o for o in poll.poll.options if chosen and o.answer_id == chosen[0]), None)
        if option is None:
            return
        await self._choice(turn, case, poll.case_id, poll.poll.field, option.value)

    async def _choice(self, turn: Turn, case: Case | None, case_id: CaseId | None, field: str, value: str) -> None:
        if field == "ring_heard":
            await self._verbs.enrolment.ring_answered(turn, value == "heard")
            return
        check_enrolled(turn.by)
        about = case or (await turn.unit.case(case_id) if case_id else None)
        if about is None:
            return
        if field == "filed":
            await self._verbs.handover.filed(turn, about, value)
        elif field.startswith("survey_"):
            await self._verbs.handover.survey_answered(turn, about, field, value)
        else:
            await self._need(turn, Need.ANY_SESSION)
            await self._verbs.intake.tap(turn, about, field, value)

    async def _text(
        self, turn: Turn, arrival: Arrival, origin: Origin, case: Case | None, text: str, *, changed: bool
    ) -> None:
        if len(text) > LONGEST_TEXT:
            raise Refusal("too_long", most=LONGEST_TEXT, length=len(text))
        marked, words = self._commands.split(text)
        found = self._commands.find(words)
        if found is not None and (marked or self._may_be_bare(turn, case, found[0], found[1])):
            await self._run(turn, arrival, found[0], found[1], origin, case, changed=changed)
            return
        if marked:
            raise Refusal("no_such_verb", nearest=suggestions(self._commands.nearest(words)))
        if changed:
            raise Refusal("identity_changed")
        if case is None:
            await self._plain_direct(turn, arrival, origin, text)
        else:
            await self._plain_case(turn, arrival, case, text)

    def _may_be_bare(self, turn: Turn, case: Case | None, command: Command, rest: str) -> bool:
        """Say whether a verb without its mark is meant as one: harmless ones in a direct chat, the form's own."""
        if case is None:
            return command.verb in BARE_IN_DIRECT_CHAT
        if turn.by.user_id != case.requester or rest.strip():
            return False
        if case.state is State.WAITING:
            return command.verb == "done"
        return case.state is State.COLLECTING and command.verb in BARE_IN_FORM

    async def _plain_direct(self, turn: Turn, arrival: Arrival, origin: Origin, text: str) -> None:
        """In the direct chat: six digits, or the answer to the bot's open question; else what can be done."""
        pending = await turn.unit.pending(turn.by.user_id)
        if pending is not None and turn.now - pending.at > PATIENCE:
            pending = None
        code = only_a_code(text)
        if code is not None and turn.by.standing in (Standing.ENROLLED, Standing.APPROVED):
            verb = "confirm" if turn.by.standing is Standing.APPROVED else "unlock"
            await self._run(turn, arrival, self._named(verb), code, origin, None, changed=False)
            if pending is not None and pending.kind == "unlock":
                await turn.unit.save_pending(turn.by.user_id, None)
                await self._again(turn, arrival, origin, pending.line)
            return
        if pending is not None and pending.kind == "ring_heard":
            heard = yes_or_no(text)
            if heard is not None:
                await self._verbs.enrolment.ring_answered(turn, heard)
                return
        if pending is not None and pending.kind == "filed":
            filed, about = yes_or_no(text), await turn.unit.case(CaseId(pending.line))
            if filed is not None and about is not None:
                await self._verbs.handover.filed(turn, about, "yes" if filed else "no")
                return
        if pending is not None and pending.kind == "survey":
            number, _, about_what = pending.line.partition(" ")
            said, surveyed = survey_answer(text), await turn.unit.case(CaseId(number))
            if said is not None and surveyed is not None:
                await self._verbs.handover.survey_answered(turn, surveyed, about_what, said)
                return
        if pending is not None and pending.kind == "argument":
            await turn.unit.save_pending(turn.by.user_id, None)
            await self._again(turn, arrival, origin, f"{pending.line} {text}")
            return
        if turn.by.standing is Standing.REJECTED:
            raise Refusal("not_registered")
        raise Refusal("not_understood_direct", nearest=suggestions(self._commands.nearest(text)))

    async def _again(self, turn: Turn, arrival: Arrival, origin: Origin, line: str) -> None:
        """Go on with a command that had waited; if it is refused now, what came before it stands."""
        found = self._commands.find(line)
        if found is None:
            return
        try:
            async with turn.unit.savepoint():
                await self._run(turn, arrival, found[0], found[1], origin, None, changed=False)
        except Refusal as refusal:
            await self.refuse(turn, None, refusal)

    def _named(self, verb: str) -> Command:
        return next(c for c in self._commands.all if c.verb == verb)

    async def _plain_case(self, turn: Turn, arrival: Arrival, case: Case, text: str) -> None:
        """In a case room: an answer if the requester is asked something; everything else is conversation."""
        if turn.by.user_id != case.requester:
            return
        if case.state is State.COLLECTING:
            await self._need(turn, Need.ANY_SESSION)
            await self._verbs.intake.answered(turn, case, text)
        elif case.state is State.WAITING and arrival.replies_to is not None:
            await self._need(turn, Need.ANY_SESSION)
            if find_niss(text):
                raise Refusal("niss_in_text")
            await self._verbs.opinions.answer(turn, case, without_hidden_marks(without_quote(text)))

    async def _run(
        self,
        turn: Turn,
        arrival: Arrival,
        command: Command,
        rest: str,
        origin: Origin,
        case: Case | None,
        *,
        changed: bool,
    ) -> None:
        if changed and command.verb not in ("help", "recover", "language"):
            raise Refusal("identity_changed")
        try:
            await self._need(turn, command.need)
        except Refusal as refusal:
            if refusal.code == "session_needed" and case is None and command.verb in RESUMED:
                line = f"{command.verb} {rest}".strip()
                raise _waiting(turn, refusal, Pending(kind="unlock", line=line, at=turn.now)) from refusal
            raise
        room_case = case.id if case else None
        # Marks that turn the direction of text unseen could make 35 read as 53 in an opinion.
        rest = without_hidden_marks(rest)
        try:
            words = read_words(command, rest, room_case=room_case, origin=origin, year=turn.now.year)
        except Refusal as refusal:
            if refusal.code == "argument_missing" and case is None and command.verb in RESUMED:
                line = f"{command.verb} {rest}".strip()
                raise _waiting(turn, refusal, Pending(kind="argument", line=line, at=turn.now)) from refusal
            raise
        if any(find_niss(value) for value in words.values.values()):
            raise Refusal("niss_in_text")
        longest = max((len(value) for value in words.values.values()), default=0)
        if longest > LONGEST_ARGUMENT:
            raise Refusal("too_long", most=LONGEST_ARGUMENT, length=longest)
        if case is not None and words.case_id is not None and words.case_id != case.id:
            raise Refusal("other_case_here", case=case.id)
        if turn.now - arrival.sent_at > LATE:
            late = Notice(
                text="late_command",
                values={"at": At(arrival.sent_at)},
                kind="late",
                data={"at": arrival.sent_at.isoformat()},
            )
            await turn.reply(replace(late, case_id=case.id if case else None))
        await self._command(turn, command, words)

    def _check_pace(self, turn: Turn) -> None:
        """Raise Refusal("slow_down") for more commands a minute than the hospital allows."""
        recent = self._recent.setdefault(turn.by.user_id, deque())
        while recent and turn.now - recent[0] > MINUTE:
            recent.popleft()
        if len(recent) >= self._commands_per_minute:
            raise Refusal("slow_down")
        recent.append(turn.now)

    async def _command(self, turn: Turn, command: Command, words: Words) -> None:
        self._check_pace(turn)
        self._counters.count("commands", verb=command.verb.replace(" ", "_"))
        await command.run(turn, words)

    async def _need(self, turn: Turn, need: Need) -> None:
        """Raise the Refusal that says what is missing before a command may run."""
        person = turn.by
        if need is Need.NOTHING:
            return
        if need is Need.PINNED:
            if person.standing is Standing.REJECTED:
                raise Refusal("not_registered")
            return
        if person.standing is Standing.REJECTED:
            raise Refusal("not_registered")
        check_enrolled(person)
        if need is Need.SESSION and await turn.unit.session(person.user_id, turn.device, turn.now) is None:
            raise Refusal("session_needed")
        if need is Need.ANY_SESSION and not await turn.unit.has_session(person.user_id, turn.now):
            raise Refusal("session_needed")

    async def refuse(self, turn: Turn, case_id: CaseId | None, refusal: Refusal) -> None:
        """Say why not, and what can be done instead, where the words were written."""
        self._counters.count("refusals", code=refusal.code)
        await turn.audit("refused", case_id, code=refusal.code)
        await turn.reply(refusal_notice(refusal, case_id))


def _waiting(turn: Turn, refusal: Refusal, pending: Pending) -> RefusalWithTrace:
    """Return *refusal*, remembering what was asked so that the next message can complete it."""

    async def trace(unit: Unit) -> None:
        await unit.save_pending(turn.by.user_id, pending)

    return RefusalWithTrace(refusal.code, trace, **refusal.values)
