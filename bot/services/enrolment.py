"""Enrolment: register, approve, hand over the second factor, confirm, pin, test ring; and the way back (`recover`)."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.audit import AuditEvent
from bot.domain.effects import CaseRoom, Direct, EndPoll, EraseMedium, Invite, Redact
from bot.domain.errors import Refusal
from bot.domain.ids import EventId, RoomId, UserId
from bot.domain.inami import InamiProblem, InamiRefused, eleven_digits, formatted, parse_inami
from bot.domain.language import Language
from bot.domain.notice import At, Attachment, Notice, Option, Poll, Value, Who, Word
from bot.domain.people import SECRET_IN_CHAT, Credential, Person, Role, Standing
from bot.domain.permissions import check_role
from bot.domain.routing import admins
from bot.services.codes import Codes
from bot.services.dossier import post_dossier
from bot.services.ports import OneTimeCodes, Origin, Pending, Unit
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn

MOST_NAME = 80


def fingerprint(master_key: str | None) -> str:
    """Return a master key as people compare it: groups of four characters."""
    return " ".join(re.findall(".{1,4}", master_key)) if master_key else "-"


class Enrolment:
    """Who becomes a physician of this server, and how he comes back with a new phone."""

    def __init__(
        self,
        *,
        cases: Cases,
        routing: Routing,
        codes: Codes,
        one_time_codes: OneTimeCodes,
        secret_in_chat: bool,
        issuer: str,
    ) -> None:
        self._cases = cases
        self._routing = routing
        self._codes = codes
        self._otp = one_time_codes
        self._secret_in_chat = secret_in_chat
        self._issuer = issuer

    # -- register and approve ------------------------------------------------------------------------------------------

    async def register(self, turn: Turn, origin: Origin, number: str, name: str) -> None:
        """Ask to be enrolled as a physician.

        Raises:
            Refusal: no physician's number, no name, or already registered.
        """
        known = turn.by if turn.by.inami or turn.by.roles else None
        if known is not None and known.standing in (Standing.ENROLLED, Standing.SUSPENDED):
            raise Refusal(f"standing_{known.standing}")
        name = " ".join(name.split())
        if not 3 <= len(name) <= MOST_NAME or any(c.isdigit() for c in name):
            raise Refusal("name_wrong", most=MOST_NAME)
        claim = None
        try:
            digits = parse_inami(number).digits
        except InamiRefused as refused:
            if refused.problem is not InamiProblem.BAD_CHECK_DIGITS:
                raise
            # A number of the newer series may fail by no fault of its owner (domain: modulo 89): an admin decides.
            digits, claim = eleven_digits(number), "check_digits"
        others = [p for p in await turn.unit.holders(digits[:8]) if p.user_id != turn.by.user_id]
        live = [p for p in others if p.standing is not Standing.REJECTED]
        if live:
            await self._refuse_duplicate(turn, digits, live)
            return
        if known is not None and known.standing is Standing.APPROVED and known.inami and known.inami[:8] == digits[:8]:
            await turn.reply(Notice(text="approved_already", kind="approved", next=(("confirm", "123456"),)))
            await self._hand_over_secret(turn, known)
            return
        person = replace(
            turn.by,
            name=name,
            inami=digits,
            standing=Standing.REGISTERED,
            offered_key=origin.master_key,
            claim=claim,
            roles=frozenset({Role.PHYSICIAN}),
        )
        await turn.unit.save_person(person)
        await turn.audit("registered", claim=claim or "")
        text = "registered_doubt" if claim else "registered"
        await turn.reply(
            Notice(text=text, values={"number": formatted(digits)}, kind="registered", data={"claim": claim})
        )
        await self._tell_admins(
            turn.unit,
            "admin_registered",
            {
                "who": person.user_id,
                "name": person.name,
                "number": formatted(digits),
                "fingerprint": fingerprint(origin.master_key),
                "claim": Word(f"claim_{claim}") if claim else None,
            },
            data={"user": person.user_id, "claim": claim},
            next_steps=(("admin approve", person.user_id, "…"), ("admin reject", person.user_id, "…")),
        )

    async def _refuse_duplicate(self, turn: Turn, digits: str, holders: list[Person]) -> None:
        await turn.audit("duplicate_number")
        await turn.reply(
            Notice(
                text="duplicate_number",
                values={"number": formatted(digits)},
                kind="error",
                data={"code": "duplicate_number"},
            )
        )
        values: Mapping[str, Value] = {"who": turn.by.user_id, "number": formatted(digits)}
        for holder in holders:
            await self._cases.to_person(
                turn.unit, holder.user_id, Notice(text="duplicate_told", values=values, kind="duplicate")
            )
        await self._tell_admins(turn.unit, "admin_duplicate", values, data={"user": turn.by.user_id})

    async def approve(self, turn: Turn, user_id: UserId, how: str) -> None:
        """Approve a registration, a recovery or the end of a suspension; *how* says how the identity was checked.

        The identity whose fingerprint the admin compared is the one that is pinned, whatever the server shows later.
        """
        check_role(turn.by, Role.ADMIN)
        person = await self._waiting(turn.unit, user_id)
        if person.standing is Standing.SUSPENDED:
            await self._restore(turn, person, how)
        elif person.standing is Standing.ENROLLED:
            await self._approve_recovery(turn, person, how)
        else:
            approved = replace(
                person,
                standing=Standing.APPROVED,
                claim=None,
                master_key=person.offered_key,
                offered_key=None,
                checked_how=how,
            )
            await turn.unit.save_person(approved)
            await turn.audit("approved", user=user_id, words=len(how), fingerprint=fingerprint(approved.master_key))
            await turn.reply(_about("approved_by_you", user_id, "approved"))
            notice = Notice(text="approved", kind="approved", rings=True, next=(("confirm", "123456"),))
            await self._cases.to_person(turn.unit, user_id, notice)
            await self._hand_over_secret(turn, approved)

    async def reject(self, turn: Turn, user_id: UserId, why: str) -> None:
        """Turn a registration down; a recovery that is turned down leaves the person as he was."""
        check_role(turn.by, Role.ADMIN)
        person = await self._waiting(turn.unit, user_id)
        if person.standing is Standing.ENROLLED:
            after = replace(person, offered_key=None, claim=None)
        else:
            after = replace(person, standing=Standing.REJECTED, offered_key=None, master_key=None, claim=None)
        await turn.unit.save_person(after)
        await turn.audit("rejected", user=user_id, words=len(why))
        await turn.reply(_about("rejected_by_you", user_id, "rejected"))
        await self._cases.to_person(turn.unit, user_id, Notice(text="rejected", kind="rejected"))

    async def _waiting(self, unit: Unit, user_id: UserId) -> Person:
        person = await unit.person(user_id)
        if person is None or not (
            person.standing in (Standing.REGISTERED, Standing.SUSPENDED)
            or (person.standing is Standing.ENROLLED and person.offered_key is not None)
        ):
            raise Refusal("nobody_waits", user=user_id)
        return person

    async def _restore(self, turn: Turn, person: Person, how: str) -> None:
        await turn.unit.save_person(replace(person, standing=Standing.ENROLLED, checked_how=how))
        await turn.audit("restored", user=person.user_id, words=len(how))
        await turn.reply(_about("approved_by_you", person.user_id, "approved"))

    async def _hand_over_secret(self, turn: Turn, person: Person) -> None:
        """Give the second factor in the chat where the configuration says so; otherwise at the enrolment desk."""
        if not self._secret_in_chat:
            await self._cases.to_person(turn.unit, person.user_id, Notice(text="secret_at_desk", kind="secret_at_desk"))
            return
        secret = self._otp.new_secret()
        await turn.unit.save_credential(Credential(user_id=person.user_id, secret=secret))
        await turn.audit("secret_sent", user=person.user_id)
        uri = self._otp.uri(secret, account=person.user_id, issuer=self._issuer)
        minutes = int(SECRET_IN_CHAT / timedelta(minutes=1))
        notice = Notice(
            text="secret",
            values={"key": " ".join(re.findall(".{1,4}", secret)), "uri": uri, "minutes": minutes},
            kind="secret_sent",
            data={"totp_secret": secret},
            next=(("confirm", "123456"),),
        )
        picture = base64.b64encode(self._otp.qr_png(secret, account=person.user_id, issuer=self._issuer)).decode()
        scan = Notice(
            text="secret_picture",
            kind="secret_sent",
            data={"picture": True},
            attachment=Attachment(file_id="", name="QR.png", mime="image/png", inline=picture),
        )
        await self._cases.to_person(turn.unit, person.user_id, scan)
        await self._cases.to_person(turn.unit, person.user_id, notice)

    # -- confirm -------------------------------------------------------------------------------------------------------

    async def confirm(self, turn: Turn, origin: Origin, code: str) -> None:
        """Prove the second factor; pins the identity and ends the enrolment with a test ring."""
        person = turn.by
        if person.standing is not Standing.APPROVED:
            raise Refusal(f"standing_{person.standing}")
        await self._codes.check(turn.unit, person, code, turn.now)
        enrolled = replace(person, standing=Standing.ENROLLED, master_key=person.master_key or origin.master_key)
        await turn.unit.save_person(enrolled)
        await take_back_secret(turn.unit, person.user_id)
        await turn.audit("enrolled", fingerprint=fingerprint(enrolled.master_key))
        await turn.reply(
            Notice(text="enrolled", values={"fingerprint": fingerprint(origin.master_key)}, kind="enrolled")
        )
        await self.test_ring(turn, enrolled)
        await self._bring_back(turn, enrolled)

    async def test_ring(self, turn: Turn, person: Person) -> None:
        """Make the phone sound once, and ask whether it did."""
        await self._cases.to_person(
            turn.unit, person.user_id, Notice(text="test_ring", kind="ring", data={"about": "test"}, rings=True)
        )
        options = tuple(
            Option(answer_id=f"{turn.event_id[1:9]}{code}", value=code, label=Word(f"ring_{code}"))
            for code in ("heard", "silent")
        )
        poll = Poll(asked=person.user_id, field="ring_heard", options=options)
        await self._cases.to_person(turn.unit, person.user_id, Notice(text="ring_question", kind="question", poll=poll))
        await turn.unit.save_pending(person.user_id, Pending(kind="ring_heard", at=turn.now))

    async def ring_answered(self, turn: Turn, heard: bool) -> None:
        """Record whether the test ring was heard, and say what to set in Element if not."""
        await turn.unit.save_person(replace(turn.by, heard_ring=heard))
        await turn.unit.save_pending(turn.by.user_id, None)
        await turn.unit.plan(EndPoll(place=turn.place, field="ring_heard"))
        await turn.audit("ring_heard" if heard else "ring_silent")
        text = "ring_was_heard" if heard else "ring_was_silent"
        await turn.reply(Notice(text=text, kind="ring_answered", next=(("unlock", "123456"), ("help",))))

    # -- sessions ------------------------------------------------------------------------------------------------------

    async def unlock(self, turn: Turn, code: str) -> None:
        """Open a session for this device."""
        until = await self._codes.unlock(turn.unit, turn.by, turn.device, code, turn.now)
        await turn.reply(
            Notice(
                text="unlocked", values={"until": At(until)}, kind="unlocked", next=(("new",), ("inbox",), ("help",))
            )
        )

    async def lock(self, turn: Turn) -> None:
        """End every session of the person."""
        await turn.unit.end_sessions(turn.by.user_id)
        await turn.audit("locked")
        await turn.reply(Notice(text="locked", kind="locked"))

    # -- the way back --------------------------------------------------------------------------------------------------

    async def recover(self, turn: Turn, origin: Origin, code: str | None) -> None:
        """Come back with a new identity: a fresh code from the new device, then an admin compares its fingerprint."""
        person = turn.by
        if person.standing is not Standing.ENROLLED:
            raise Refusal(f"standing_{person.standing}")
        if origin.master_key == person.master_key:
            raise Refusal("recover_not_needed")
        if code is not None:
            await self._codes.check(turn.unit, person, code, turn.now)
        # Until an admin compared the fingerprint nothing changes: a server could have made this identity.
        claim = None if code is not None else "code_lost"
        await turn.unit.save_person(replace(person, offered_key=origin.master_key, claim=claim))
        await turn.audit("recover_asked", code=0 if code is None else 1)
        shown = fingerprint(origin.master_key)
        await turn.reply(Notice(text="recover_waits", values={"fingerprint": shown}, kind="recover_waits"))
        values: Mapping[str, Value] = {
            "who": person.user_id,
            "name": person.name,
            "fingerprint": shown,
            "claim": Word(f"claim_{claim}") if claim else None,
        }
        steps = (("admin approve", person.user_id, "…"), ("admin reject", person.user_id, "…"))
        await self._tell_admins(turn.unit, "admin_recover", values, data={"user": person.user_id}, next_steps=steps)

    async def _approve_recovery(self, turn: Turn, person: Person, how: str) -> None:
        """Move the pin after an admin compared the new fingerprint; a second admin where the code is lost too."""
        if person.claim == "code_lost":
            await turn.unit.save_person(replace(person, claim=f"code_lost:{turn.by.user_id}"))
            await turn.audit("recovery_first", user=person.user_id, words=len(how))
            await turn.reply(_about("second_admin_needed", person.user_id, "second_admin"))
            return
        if person.claim == f"code_lost:{turn.by.user_id}":
            raise Refusal("second_admin_other")
        lost_code = bool(person.claim and person.claim.startswith("code_lost:"))
        back = replace(
            person,
            master_key=person.offered_key,
            offered_key=None,
            claim=None,
            checked_how=how,
            standing=Standing.APPROVED if lost_code else Standing.ENROLLED,
        )
        await turn.unit.save_person(back)
        await turn.unit.end_sessions(person.user_id)
        await turn.audit("recovered", user=person.user_id, words=len(how), fingerprint=fingerprint(back.master_key))
        await turn.reply(_about("recovered_by_you", person.user_id, "recovered"))
        if lost_code:
            # A new second factor first; the cases come when it is confirmed.
            notice = Notice(text="approved", kind="approved", rings=True, next=(("confirm", "123456"),))
            await self._cases.to_person(turn.unit, person.user_id, notice)
            await self._hand_over_secret(turn, back)
            return
        await self._cases.to_person(turn.unit, person.user_id, Notice(text="recovered", kind="recovered", rings=True))
        await self._bring_back(turn, back)

    async def _bring_back(self, turn: Turn, person: Person) -> None:
        """Invite a person into the rooms of his open cases again, and post the dossier there for him."""
        for case in await self._cases.known_to(turn.unit, person):
            if person.user_id not in (case.requester, *case.expert_ids):
                continue
            await turn.unit.forget_values(f"unreached:{case.id}:{person.user_id}:")
            await turn.unit.plan(Invite(place=CaseRoom(case_id=case.id), user_id=person.user_id))
            if case.submitted_at is not None:
                await post_dossier(turn.unit, case, self._cases.line(case), for_whom=person.user_id)

    async def suspend(self, turn: Turn, user_id: UserId, reason: str) -> None:
        """Take a person out at once: sessions, rooms, signing."""
        check_role(turn.by, Role.ADMIN)
        person = await turn.unit.person(user_id)
        if person is None or user_id == turn.by.user_id:
            raise Refusal("nobody_waits", user=user_id)
        await turn.unit.save_person(replace(person, standing=Standing.SUSPENDED))
        await turn.unit.end_sessions(user_id)
        await turn.audit("suspended", user=user_id, words=len(reason))
        await self._routing.put_out(turn.unit, user_id, turn.now)
        await turn.reply(
            Notice(text="suspended_by_you", values={"who": Who(user_id)}, kind="suspended", data={"user": user_id})
        )

    # -- everybody -----------------------------------------------------------------------------------------------------

    async def speak(self, turn: Turn, language: Language) -> None:
        """Change the language in which the bot speaks to a person."""
        await turn.unit.save_person(replace(turn.by, language=language))
        await turn.reply(
            Notice(text="language_set", kind="language", values={"language": Word(f"language_{language}")})
        )

    async def set_email(self, turn: Turn, address: str) -> None:
        """Change where the notices without content go; `-` takes the address away."""
        wanted = address.strip()
        if wanted != "-" and not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{3,190}", wanted):
            raise Refusal("email_wrong")
        await turn.unit.save_person(replace(turn.by, email=None if wanted == "-" else wanted))
        await turn.audit("email_changed")
        await turn.reply(Notice(text="email_set", values={"address": wanted}, kind="email"))

    async def _tell_admins(
        self,
        unit: Unit,
        text: str,
        values: Mapping[str, Value],
        *,
        data: Mapping[str, str | None],
        next_steps: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        for admin in admins(await unit.people()):
            notice = Notice(text=text, values=values, kind=text, data=data, next=next_steps, rings=True)
            await self._cases.to_person(unit, admin, notice)


def _about(text: str, user_id: UserId, kind: str) -> Notice:
    return Notice(text=text, values={"who": Who(user_id)}, kind=kind, data={"user": user_id})


async def take_back_shown_secrets(unit: Unit, now: datetime) -> None:
    """Redact second factors that stood in a chat for ten minutes (the sweep calls this)."""
    for person in await unit.people():
        credential = await unit.credential(person.user_id)
        if credential and credential.shown_at and credential.shown_at + SECRET_IN_CHAT <= now:
            await unit.save_credential(replace(credential, shown_at=None))
            await take_back_secret(unit, person.user_id)
            await unit.audit(AuditEvent(kind="secret_taken_back", by=None, facts={"user": person.user_id}))


async def take_back_secret(unit: Unit, user_id: UserId) -> None:
    """Redact the messages that showed a second factor, and delete its picture; the outbox wrote down where."""
    for where in (await unit.value(f"secret:{user_id}") or "").splitlines():
        room_id, event_id, mxc = where.split(" ")
        await unit.plan(Redact(place=Direct(user_id=user_id), room_id=RoomId(room_id), event_id=EventId(event_id)))
        if mxc:
            await unit.plan(EraseMedium(user_id=user_id, mxc=mxc))
    await unit.save_value(f"secret:{user_id}", "")
