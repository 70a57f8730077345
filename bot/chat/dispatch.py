"""From an arrival to one step: guards, who speaks, and one transaction that also marks it as handled."""

import secrets
import traceback
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from bot.chat.membership import Membership, contact
from bot.chat.speech import Speech
from bot.domain.audit import AuditEvent
from bot.domain.effects import CaseRoom, Direct, Place, Purpose, Say
from bot.domain.errors import ExternalError, Refusal
from bot.domain.ids import DeviceId, EventId
from bot.domain.language import Language
from bot.domain.notice import Notice, Who
from bot.domain.people import Person, Standing
from bot.services.codes import RefusalWithTrace
from bot.services.intake import Intake
from bot.services.ports import (
    Arrival,
    ArrivalKind,
    Clock,
    Counters,
    EncryptedFile,
    EventEntry,
    Log,
    Store,
    Unit,
)
from bot.services.turn import Turn

UNREADABLE = timedelta(seconds=60)


class Dispatch:
    """Handles arrivals one after another, each in one transaction that also marks it as handled."""

    def __init__(
        self,
        *,
        store: Store,
        membership: Membership,
        speech: Speech,
        intake: Intake,
        clock: Clock,
        counters: Counters,
        log: Log,
        default_language: Language,
    ) -> None:
        self._store = store
        self._membership = membership
        self._speech = speech
        self._intake = intake
        self._clock = clock
        self._counters = counters
        self._log = log
        self._default_language = default_language

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
                await self._membership.invited(unit, arrival)
            case ArrivalKind.MESSAGE | ArrivalKind.POLL_RESPONSE:
                await self._spoken(unit, arrival)
            case ArrivalKind.REDACTION:
                await self._redacted(unit, arrival)
            case ArrivalKind.MEMBER:
                await self._membership.member(unit, arrival)
            case ArrivalKind.LEFT:
                await self._membership.left(unit, arrival)
            case _:
                await self._note_event(unit, arrival)

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
        await self._intake.withdraw(turn, case, document)

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
                await self._speech.heard(turn, arrival, arrival.origin, entry)
        except RefusalWithTrace as refusal:
            await refusal.trace(unit)
            await self._speech.refuse(turn, entry.case_id, refusal)
        except Refusal as refusal:
            await self._speech.refuse(turn, entry.case_id, refusal)

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
        await unit.plan(Say(place=Direct(user_id=arrival.sender), notice=replace(contact(code), answers=None)))


_NO_DEVICE = DeviceId("")
