"""The second factor: a code counts once, five wrong ones lock, and a session belongs to one device."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from bot.domain.audit import AuditEvent
from bot.domain.effects import Direct, Say
from bot.domain.errors import Refusal
from bot.domain.ids import DeviceId
from bot.domain.notice import At, Notice, Who
from bot.domain.people import LOCK, SESSION, WRONG_CODES_BEFORE_LOCK, Credential, Person, Session
from bot.domain.routing import admins
from bot.services.ports import OneTimeCodes, Unit


class RefusalWithTrace(Refusal):
    """A refusal that leaves something behind, though the step itself is undone: a counted guess, an alarm."""

    def __init__(self, code: str, trace: Callable[[Unit], Awaitable[None]], **values: object) -> None:
        super().__init__(code, **values)
        self.trace = trace


class Codes:
    """Checks one-time codes and keeps sessions."""

    def __init__(self, codes: OneTimeCodes) -> None:
        self._codes = codes

    async def check(self, unit: Unit, person: Person, code: str, now: datetime) -> None:
        """Use up *code*.

        Raises:
            Refusal: `code_locked` while locked, `code_used` for one that was just used (no wrong guess),
                `code_wrong` with the guesses left; the fifth wrong one locks for 15 minutes and tells the admins.
        """
        credential = await unit.credential(person.user_id)
        if credential is None:
            raise Refusal("no_second_factor")
        if credential.locked_until is not None and credential.locked_until > now:
            raise Refusal("code_locked", until=At(credential.locked_until))
        step = self._codes.matching_step(credential.secret, code, now)
        if step is None:
            raise self._wrong(person, credential, now)
        if step <= credential.last_step:
            raise Refusal("code_used")
        await unit.save_credential(replace(credential, last_step=step, wrong=0, locked_until=None))

    def _wrong(self, person: Person, credential: Credential, now: datetime) -> Refusal:
        wrong = credential.wrong + 1
        left = WRONG_CODES_BEFORE_LOCK - wrong
        locked_until = now + LOCK if left <= 0 else None

        async def trace(unit: Unit) -> None:
            await unit.save_credential(
                replace(credential, wrong=0 if locked_until else wrong, locked_until=locked_until)
            )
            await unit.audit(AuditEvent(kind="code_wrong", by=person.user_id, facts={"guess": wrong}))
            if locked_until:
                await unit.end_sessions(person.user_id)
                for admin in admins(await unit.people()):
                    notice = Notice(
                        text="admin_locked",
                        values={"who": Who(person.user_id), "until": At(locked_until)},
                        kind="admin_locked",
                        data={"user": person.user_id},
                        rings=True,
                    )
                    await unit.plan(Say(place=Direct(user_id=admin), notice=notice))

        if locked_until:
            return RefusalWithTrace("code_locked", trace, until=At(locked_until))
        return RefusalWithTrace("code_wrong", trace, left=left)

    async def unlock(self, unit: Unit, person: Person, device: DeviceId, code: str, now: datetime) -> datetime:
        """Open a session of 12 hours for the device that typed the code; return its end."""
        await self.check(unit, person, code, now)
        until = now + SESSION
        await unit.save_session(Session(user_id=person.user_id, device_id=device, until=until))
        await unit.audit(AuditEvent(kind="unlocked", by=person.user_id))
        return until
