"""From an arrival to one step: guards, who speaks, command or answer, and a clear reply to every refusal."""

import secrets
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.chat.command import Command, Commands, Need, Words, only_a_code, read_words, suggestions
from bot.domain.audit import AuditEvent
from bot.domain.case import Case
from bot.domain.effects import CaseRoom, Direct, JoinRoom, LeaveRoom, Place, Purpose, Remove, Say, ThisRoom
from bot.domain.errors import ExternalError, Refusal
from bot.domain.ids import CaseId, DeviceId, EventId, UserId
from bot.domain.language import Language, folded, without_hidden_marks
from bot.domain.niss import find_niss
from bot.domain.notice import At, Bullets, Notice, Rows, Value, Who, Word
from bot.domain.people import Person, Standing
from bot.domain.permissions import check_enrolled
from bot.domain.steps import State, Step
from bot.services.codes import Codes, RefusalWithTrace
from bot.services.documents import file_source
from bot.services.enrolment import Enrolment
from bot.services.handover import Handover
from bot.services.intake import Intake
from bot.services.opinions import Opinions
from bot.services.ports import (
    Arrival,
    ArrivalKind,
    Clock,
    Counters,
    EncryptedFile,
    EventEntry,
    Log,
    Origin,
    Pending,
    RoomEntry,
    Store,
    Unit,
)
from bot.services.turn import Cases, Turn

FILE_TYPES = frozenset({"m.file", "m.image", "m.video", "m.audio"})
LATE = timedelta(minutes=10)
UNREADABLE = timedelta(seconds=60)
A_MOMENT = timedelta(seconds=1)
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
    codes: Codes


class Dispatch:
    """Handles arrivals one after another, each in one transaction that also marks it as handled."""

    def __init__(
        self,
        *,
        store: Store,
        cases: Cases,
        commands: Commands,
        verbs: Verbs,
        clock: Clock,
        counters: Counters,
        log: Log,
        bot: UserId,
        allowed_homeservers: Sequence[str],
        default_language: Language,
        commands_per_minute: int,
    ) -> None:
        self._store = store
        self._cases = cases
        self._commands = commands
        self._verbs = verbs
        self._clock = clock
        self._counters = counters
        self._log = log
        self._bot = bot
        self._allowed = frozenset(allowed_homeservers)
        self._default_language = default_language
        self._commands_per_minute = commands_per_minute
        self._recent: dict[UserId, deque[datetime]] = {}

    async def work_off(self) -> int:
        """Handle every arrival that waits, in the order they came; return how many there were."""
        done = 0
        while waiting := await self._store.next_arrivals(50):
            for event_id in waiting:
                await self.handle(event_id)
                done += 1
        return done

    async def handle(self, event_id: EventId) -> None:
        """Handle one arrival; whatever goes wrong, it is handled once and the person gets an answer."""
        try:
            async with self._store.unit() as unit:
                arrival = await unit.claim(event_id)
                if arrival is None:
                    return
                await self._guarded(unit, arrival)
                await unit.handled(event_id)
        except ExternalError:
            raise  # The database did not take it: it is not handled, and comes again.
        except Exception as error:  # noqa: BLE001  # The boundary: a bug is logged with a number, and the number is shown.
            await self._surprise(event_id, error)

    async def _surprise(self, event_id: EventId, error: Exception) -> None:
        number = secrets.token_hex(3).upper()
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
        self._log.error("handling_failed", reference=number, error=type(error).__name__, places=where)
        self._counters.count("handling_failed")
        async with self._store.unit() as unit:
            arrival = await unit.claim(event_id)
            if arrival is None:
                return
            place = await self._place(unit, arrival)
            if place is not None:
                notice = Notice(
                    text="internal_error",
                    values={"number": number},
                    kind="error",
                    data={"code": "internal", "number": number},
                )
                await unit.plan(Say(place=place, notice=replace(notice, answers=arrival.event_id)))
            await unit.audit(AuditEvent(kind="handling_failed", by=arrival.sender, facts={"number": number}))
            await unit.handled(event_id)

    async def _place(self, unit: Unit, arrival: Arrival) -> Place | None:
        entry = await unit.room(arrival.room_id)
        if entry is None:
            return None
        if entry.case_id is not None:
            return CaseRoom(case_id=entry.case_id, purpose=Purpose(entry.purpose))
        return Direct(user_id=entry.user_id) if entry.user_id == arrival.sender else None

    async def ask_for_unreadable(self) -> None:
        """Ask the senders of events whose key did not come to send them again, each once."""
        for arrival in await self._store.waiting_arrivals(self._clock.now() - UNREADABLE):
            async with self._store.unit() as unit:
                place = await self._place(unit, arrival)
                if place is not None and await unit.person(arrival.sender) is not None:
                    notice = Notice(text="unreadable", values={"who": Who(arrival.sender)}, kind="unreadable")
                    await unit.plan(Say(place=place, notice=replace(notice, answers=arrival.event_id)))
            await self._store.mark_asked(arrival.event_id)

    # -- what kind of arrival ------------------------------------------------------------------------------------------

    async def _guarded(self, unit: Unit, arrival: Arrival) -> None:
        match arrival.kind:
            case ArrivalKind.INVITE:
                await self._invited(unit, arrival)
            case ArrivalKind.MESSAGE | ArrivalKind.POLL_RESPONSE:
                await self._spoken(unit, arrival)
            case ArrivalKind.REDACTION:
                await self._redacted(unit, arrival)
            case ArrivalKind.MEMBER:
                await self._member(unit, arrival)
            case ArrivalKind.LEFT:
                await self._left(unit, arrival)
            case _:
                await self._note_event(unit, arrival)

    async def _invited(self, unit: Unit, arrival: Arrival) -> None:
        """Accept encrypted one-to-one chats from allowed homeservers; anybody else gets one helpful answer."""
        place = ThisRoom(room_id=arrival.room_id)
        server = arrival.sender.partition(":")[2]
        if server not in self._allowed:
            self._counters.count("invitations_refused")
            await unit.plan(LeaveRoom(place=place))
            return
        if arrival.content.get("encrypted") and arrival.content.get("direct", True):
            await unit.plan(JoinRoom(place=place, user_id=arrival.sender))
            known = await unit.person(arrival.sender)
            await unit.plan(Say(place=place, notice=_greeting(known)))
            return
        await unit.plan(LeaveRoom(place=place))
        if await unit.value(f"greeted:{arrival.sender}") is None:
            await unit.save_value(f"greeted:{arrival.sender}", "unencrypted")
            await unit.plan(Say(place=Direct(user_id=arrival.sender), notice=_contact("room_not_encrypted")))

    async def _left(self, unit: Unit, arrival: Arrival) -> None:
        """The bot is out of a room: a direct chat is forgotten, a case's room stays in the ledger to its end."""
        entry = await unit.room(arrival.room_id)
        if entry is None:
            return
        if entry.case_id is None:
            await unit.forget_room(arrival.room_id)
        elif arrival.content.get("by") != self._bot:
            self._counters.count("thrown_out")
            await unit.audit(AuditEvent(kind="thrown_out", by=arrival.sender, case_id=entry.case_id))

    async def _member(self, unit: Unit, arrival: Arrival) -> None:
        """Somebody came or went: whoever does not belong into a case is removed, and everybody is told."""
        entry = await unit.room(arrival.room_id)
        user, membership = UserId(str(arrival.content.get("user"))), arrival.content.get("membership")
        if entry is None or user == self._bot:
            return
        if entry.user_id is not None and user == entry.user_id and membership == "join":
            await unit.hurry(Direct(user_id=user).lane, self._clock.now() + A_MOMENT)
        if entry.user_id is not None and user == entry.user_id and membership in ("leave", "ban"):
            await unit.forget_room(arrival.room_id)
            count = int(await unit.value(f"direct_count:{user}") or 0)
            await unit.save_value(f"direct_count:{user}", str(count + 1))
            return
        if entry.case_id is None:
            if membership in ("join", "invite") and user != entry.user_id and entry.user_id is not None:
                await self._third_person(unit, entry)
            return
        case = await unit.case(entry.case_id)
        if case is None:
            return
        belongs = user == case.requester or user in case.expert_ids
        if membership in ("join", "invite") and not belongs:
            self._counters.count("unexpected_members")
            place = CaseRoom(case_id=case.id, purpose=Purpose(entry.purpose))
            await unit.plan(Remove(place=place, user_id=user))
            notice = Notice(
                text="member_left_out",
                values={"who": Who(user)},
                kind="member_left_out",
                data={"user": user, "reason": "unexpected"},
            )
            await self._cases.to_room(unit, case, notice)
            await unit.audit(AuditEvent(kind="unexpected_member", by=user, case_id=case.id))
        elif membership == "leave" and belongs and arrival.sender == user:
            await unit.audit(AuditEvent(kind="left_room", by=user, case_id=case.id))
            await self._cases.to_room(
                unit, case, Notice(text="left_room", values={"who": Who(user)}, kind="left_room", data={"user": user})
            )

    async def _third_person(self, unit: Unit, entry: RoomEntry) -> None:
        """A direct chat has two members: with a third one the bot leaves it, and writes in a new one."""
        if entry.user_id is None:
            return
        await unit.forget_room(entry.room_id)
        count = int(await unit.value(f"direct_count:{entry.user_id}") or 0)
        await unit.save_value(f"direct_count:{entry.user_id}", str(count + 1))
        await unit.plan(LeaveRoom(place=ThisRoom(room_id=entry.room_id)))
        await unit.audit(AuditEvent(kind="third_person", by=entry.user_id))
        await unit.plan(Say(place=Direct(user_id=entry.user_id), notice=Notice(text="third_person", kind="help")))

    async def _redacted(self, unit: Unit, arrival: Arrival) -> None:
        entry = await unit.room(arrival.room_id)
        target = arrival.content.get("redacts")
        if entry is None or entry.case_id is None or not isinstance(target, str):
            return
        case, person = await unit.case(entry.case_id), await unit.person(arrival.sender)
        if case is None or person is None:
            return
        document = next((d for d in case.documents if d.event_id == target), None)
        if document is None or document.sent_by != arrival.sender:
            return
        turn = self._turn(unit, arrival, person, CaseRoom(case_id=case.id))
        await self._verbs.intake.withdraw(turn, case, document)

    async def _note_event(self, unit: Unit, arrival: Arrival) -> None:
        """Enter what people write in a case's room into its ledger, so that expiry can redact it."""
        entry = await unit.room(arrival.room_id)
        if entry is None or entry.case_id is None:
            return
        await unit.record_event(
            entry.case_id, EventEntry(event_id=arrival.event_id, room_id=arrival.room_id, own=False)
        )
        # Also of files that are refused, and the small picture that a phone sends beside a large one.
        info = arrival.content.get("info")
        for file in (arrival.content.get("file"), info.get("thumbnail_file") if isinstance(info, Mapping) else None):
            url = file.get("url") if isinstance(file, Mapping) else None
            if isinstance(url, str) and url.startswith("mxc://"):
                await unit.record_medium(entry.case_id, None, EncryptedFile(url=url, key="", iv="", sha256="", size=0))

    # -- words, taps and files -----------------------------------------------------------------------------------------

    async def _spoken(self, unit: Unit, arrival: Arrival) -> None:
        entry = await unit.room(arrival.room_id)
        place = await self._place(unit, arrival)
        if entry is None or place is None or arrival.content.get("msgtype") == "m.notice":
            return
        await self._note_event(unit, arrival)
        person = await unit.person(arrival.sender) or Person(
            user_id=arrival.sender, name=arrival.sender, language=self._default_language, standing=Standing.REJECTED
        )
        if arrival.origin is None:
            await self._say_contact(unit, arrival, "not_encrypted")
            return
        if not arrival.origin.cross_signed:
            await self._say_contact(unit, arrival, "device_not_signed")
            return
        if person.pin_on_first_use and person.master_key is None:
            person = replace(person, master_key=arrival.origin.master_key)
            await unit.save_person(person)
            await unit.audit(AuditEvent(kind="pinned", by=person.user_id))
        turn = self._turn(unit, arrival, person, place)
        try:
            async with unit.savepoint():
                await self._in_room(turn, arrival, arrival.origin, entry)
        except RefusalWithTrace as refusal:
            await refusal.trace(unit)
            await self._refuse(turn, entry.case_id, refusal)
        except Refusal as refusal:
            await self._refuse(turn, entry.case_id, refusal)

    def _turn(self, unit: Unit, arrival: Arrival, person: Person, place: Place) -> Turn:
        device = arrival.origin.device_id if arrival.origin else None
        return Turn(
            unit=unit,
            now=self._clock.now(),
            by=person,
            device=device or _NO_DEVICE,
            event_id=arrival.event_id,
            place=place,
            room_id=arrival.room_id,
        )

    async def _say_contact(self, unit: Unit, arrival: Arrival, code: str) -> None:
        """The one helpful answer to whoever cannot be believed yet; once an hour at most for the same reason."""
        hour = self._clock.now().isoformat()[:13]
        key = f"contact:{arrival.sender}:{code}"
        if await unit.value(key) == hour:
            return
        await unit.save_value(key, hour)
        await unit.audit(AuditEvent(kind="not_believed", by=arrival.sender, facts={"why": code}))
        await unit.plan(Say(place=Direct(user_id=arrival.sender), notice=replace(_contact(code), answers=None)))

    async def _in_room(self, turn: Turn, arrival: Arrival, origin: Origin, entry: RoomEntry) -> None:
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
        text = _body(arrival)
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
        chosen = _answers(arrival.content)
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
            heard = _yes_or_no(text)
            if heard is not None:
                await self._verbs.enrolment.ring_answered(turn, heard)
                return
        if pending is not None and pending.kind == "filed":
            filed, about = _yes_or_no(text), await turn.unit.case(CaseId(pending.line))
            if filed is not None and about is not None:
                await self._verbs.handover.filed(turn, about, "yes" if filed else "no")
                return
        if pending is not None and pending.kind == "survey":
            number, _, about_what = pending.line.partition(" ")
            said, surveyed = _survey_answer(text), await turn.unit.case(CaseId(number))
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
            await self._refuse(turn, None, refusal)

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
            await self._verbs.opinions.answer(turn, case, without_hidden_marks(_without_quote(text)))

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

    # -- refusals ------------------------------------------------------------------------------------------------------

    async def _refuse(self, turn: Turn, case_id: CaseId | None, refusal: Refusal) -> None:
        """Say why not, and what can be done instead, where the words were written."""
        self._counters.count("refusals", code=refusal.code)
        await turn.audit("refused", case_id, code=refusal.code)
        values: dict[str, Value] = {}
        for key, value in refusal.values.items():
            values[key] = _shown(key, value)
        plain = {k: v for k, v in refusal.values.items() if isinstance(v, str | int) or v is None}
        codes = refusal.values.get("codes")
        notice = Notice(
            text=f"refusal.{refusal.code}",
            values=values,
            kind="code_refused" if refusal.code.startswith("code_") else "error",
            data={"code": refusal.code, **plain, **({"fields": codes} if isinstance(codes, list) else {})},
            case_id=case_id,
            next=_next_after(refusal),
        )
        await turn.reply(notice)


_NO_DEVICE = DeviceId("")


def _waiting(turn: Turn, refusal: Refusal, pending: Pending) -> RefusalWithTrace:
    """Return *refusal*, remembering what was asked so that the next message can complete it."""

    async def trace(unit: Unit) -> None:
        await unit.save_pending(turn.by.user_id, pending)

    return RefusalWithTrace(refusal.code, trace, **refusal.values)


def _shown(key: str, value: object) -> Value:
    if isinstance(value, At | Who | Bullets | Rows | Word):
        return value
    if isinstance(value, State):
        return Word(f"state_{value}")
    if key == "possible" and isinstance(value, tuple):
        return Bullets(tuple(Word(f"step_{step}") for step in value if step is not Step.ANSWER))
    if isinstance(value, Step):
        return Word(f"step_{value}")
    if key == "argument":
        return Word(f"argument_{value}")
    if key in ("profession", "role") and value is not None:
        return Word(f"{key}_{value}")
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _next_after(refusal: Refusal) -> tuple[tuple[str, ...], ...]:
    match refusal.code:
        case "session_needed" | "code_wrong" | "code_used":
            return (("unlock", "123456"),)
        case "not_registered":
            return (("register", "1-23456-78-901", "…"), ("help",))
        case "standing_approved":
            return (("confirm", "123456"),)
        case "identity_changed":
            return (("recover", "123456"),)
        case "form_incomplete":
            return (("form",), ("submit anyway",))
        case "form_never_without":
            return (("form",),)
        case "no_such_verb" | "not_understood_direct":
            return (("help",),)
    return ()


def _greeting(person: Person | None) -> Notice:
    if person is not None and person.standing is Standing.ENROLLED:
        return Notice(text="greeting_known", kind="help", next=(("unlock", "123456"), ("new",), ("help",)))
    return Notice(
        text="greeting", kind="help", data={"first": True}, next=(("register", "1-23456-78-901", "…"), ("help",))
    )


def _contact(code: str) -> Notice:
    return Notice(text=f"contact_{code}", kind="first_contact", data={"code": code})


def _body(arrival: Arrival) -> str:
    """Return what was written, without the lines that some clients quote before it."""
    body = arrival.content.get("body")
    return _without_quote(body) if isinstance(body, str) else ""


def _without_quote(text: str) -> str:
    """Return a reply without the lines that some clients quote before it ("> …")."""
    lines = text.split("\n")
    if not lines[0].startswith("> <@"):
        return text
    while lines and lines[0].startswith(">"):
        lines.pop(0)
    return "\n".join(lines).lstrip("\n")


def _answers(content: Mapping[str, Any]) -> list[str]:
    """Return the answer ids of a poll response (MSC3381, both names)."""
    for key in ("org.matrix.msc3381.poll.response", "m.poll.response"):
        response = content.get(key)
        if isinstance(response, Mapping) and isinstance(response.get("answers"), list):
            return [a for a in response["answers"] if isinstance(a, str)]
    selections = content.get("m.selections")
    return [a for a in selections if isinstance(a, str)] if isinstance(selections, list) else []


def _survey_answer(text: str) -> str | None:
    word = folded(text).strip(" .!")
    if word in (
        "partly",
        "just",
        "en partie",
        "de justesse",
        "deels",
        "gedeeltelijk",
        "nipt",
        "teilweise",
        "knapp",
        "2",
    ):
        return "partly"
    if word == "3":
        return "no"
    answer = _yes_or_no(text)
    return None if answer is None else "yes" if answer else "no"


def _yes_or_no(text: str) -> bool | None:
    word = folded(text).strip(" .!")
    if word in ("oui", "ja", "yes", "o", "j", "y", "1"):
        return True
    return (
        False
        if word in ("non", "nee", "neen", "nein", "no", "n", "2", "not yet", "pas encore", "nog niet", "noch nicht")
        else None
    )
