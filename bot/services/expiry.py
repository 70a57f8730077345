"""The end of a case: warned, redacted, deleted on the homeserver, its key destroyed; a certificate remains.

Each stage is a value in the case, so that a crash between two of them goes on with the second:
marked → redacted → (grace) → emptied → ordered → gone → (kept, for an opinion that nobody acknowledged) → erased.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.audit import AuditEvent
from bot.domain.case import Case
from bot.domain.effects import (
    CaseRoom,
    Destroy,
    DropFiles,
    EraseMedium,
    LeaveRoom,
    OrderErasure,
    Purpose,
    Redact,
    Remove,
    ThisRoom,
)
from bot.domain.forms import Answers
from bot.domain.ids import CaseId, RoomId
from bot.domain.notice import At, Notice
from bot.domain.steps import Actor, Step
from bot.services.dossier import files_of
from bot.services.ports import Clock, Erased, Eraser, Rooms, Store, Unit, Vault
from bot.services.turn import Cases

AGAIN = timedelta(seconds=5)
LAST_WORDS = timedelta(days=1)
ERASER_PATIENCE = timedelta(days=2)


class Expiry:
    """Erases cases whose time is over, in steps that survive a crash."""

    def __init__(self, *, cases: Cases, store: Store, vault: Vault, rooms: Rooms, eraser: Eraser, clock: Clock) -> None:
        self._cases = cases
        self._store = store
        self._vault = vault
        self._rooms = rooms
        self._eraser = eraser
        self._clock = clock

    async def warn(self, unit: Unit, case: Case, ends: datetime) -> None:
        """Say in good time what goes, when, and what to do first."""
        notice = Notice(
            text="expiry_warning",
            values={"case": case.id, "ends": At(ends)},
            kind="expiry_warning",
            data={"at": ends.isoformat(), "about": case.id},
            next=(("export", case.id), ("extend", case.id)),
            rings=True,
        )
        await self._cases.to_room(unit, case, replace(notice, rings=False))
        await self._cases.to_person(unit, case.requester, notice, case=case)

    async def start(self, unit: Unit, case: Case, now: datetime) -> Case:
        """Retention is over: mark the case; return it, not saved. Nobody is erased who was never warned."""
        if case.submitted_at is not None and not case.warned:
            until = now + min(self._cases.rules.warnings)
            await self.warn(unit, case, until)
            return replace(case, warned=True, warned_until=until, said=tuple(k for k in case.said if k[:6] != "expire"))
        moved = case.step(Step.EXPIRE, frozenset({Actor.BOT}))
        await unit.audit(AuditEvent(kind="expire", by=None, case_id=case.id, facts={"from": case.state.value}))
        return replace(moved, expiring_at=now, erasure="marked")

    async def advance(self, case_id: CaseId, now: datetime) -> None:
        """Do the next stage, if the one before is done."""
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, case_id)
            # Whatever the case still had to say goes out first; a stage never overtakes the one before.
            if not await unit.idle(case_id):
                patience = LAST_WORDS + (self._cases.rules.grace if case.erasure == "redacted" else timedelta(0))
                if now - (case.expiring_at or now) < patience:
                    await unit.save_case(case, next_due_at=now + AGAIN)
                    return
                # Somebody never opened his direct chat, or a server did not answer: the certificate says so.
                await unit.save_value(f"unreached:{case_id}:messages", "left")
            match case.erasure:
                case "marked":
                    await self._redact(unit, case)
                    return
                case "redacted":
                    await self._empty(unit, case)
                    return
                case "emptied":
                    await unit.plan(OrderErasure(case_id=case.id))
                    await self._cases.save(unit, replace(case, erasure="ordered", expiring_at=now))
                    return
                case "kept":
                    # The PDF's time is over too: what was posted of it since goes the same way as the rest.
                    await self._redact_rest(unit, case)
                    await unit.plan(OrderErasure(case_id=case.id))
                    await self._cases.save(unit, replace(case, erasure="ordered", expiring_at=now))
                    return
                case "gone":
                    await unit.plan(Destroy(case_id=case_id))
                    await unit.save_case(case, next_due_at=None)
                    return
        await self._look_at_eraser(case_id, now)

    async def _redact(self, unit: Unit, case: Case) -> None:
        """Redact everything of the ledger, in the case's rooms and in direct chats."""
        done = await self._redact_rest(unit, case)
        await self._cases.save(unit, replace(case, erasure="redacted", redacted=done, expiring_at=self._clock.now()))

    async def _redact_rest(self, unit: Unit, case: Case) -> int:
        """Redact what came since the last time; return how many events there are in all."""
        own_rooms = {entry.room_id for entry in await unit.rooms(case.id)}
        events = await unit.events(case.id)
        for event in events[case.redacted :]:
            # What people typed in their direct chats can be redacted where they gave the bot that right; else it stays.
            place = CaseRoom(case_id=case.id) if event.room_id in own_rooms else ThisRoom(room_id=event.room_id)
            await unit.plan(Redact(place=place, case_id=case.id, room_id=event.room_id, event_id=event.event_id))
        return len(events)

    async def note_unredacted(self, effect: Redact) -> None:
        """A message could not be redacted: the certificate says so."""
        if effect.case_id is not None:
            async with self._store.unit() as unit:
                await unit.save_value(f"unreached:{effect.case_id}:messages", "left")

    async def _empty(self, unit: Unit, case: Case) -> None:
        """Send everybody out of the case's rooms; the bot leaves last. What was written meanwhile is redacted too."""
        done = await self._redact_rest(unit, case)
        for entry in await unit.rooms(case.id):
            place = CaseRoom(case_id=case.id, purpose=Purpose(entry.purpose))
            for user in dict.fromkeys((case.requester, *case.expert_ids, *case.former)):
                await unit.plan(Remove(place=place, user_id=user))
            await unit.plan(LeaveRoom(place=place))
        await self._cases.save(unit, replace(case, erasure="emptied", redacted=done, expiring_at=self._clock.now()))

    async def order(self, effect: OrderErasure) -> None:
        """Carry out the effect: name rooms and media of the case to the eraser."""
        async with self._store.unit() as unit:
            rooms = [entry.room_id for entry in await unit.rooms(effect.case_id)]
            media = await unit.media(effect.case_id)
        await self._eraser.order(effect.case_id, rooms=rooms, media=list(media))

    async def erase_medium(self, effect: EraseMedium) -> None:
        """Carry out the effect: name one medium that belongs to no case to the eraser."""
        order = CaseId(f"medium-{effect.mxc.rpartition('/')[2]}")
        await self._eraser.order(order, rooms=[], media=[effect.mxc])

    async def _look_at_eraser(self, case_id: CaseId, now: datetime) -> None:
        status = await self._eraser.status(case_id)
        waiting = [s for s in (*status.rooms.values(), *status.media.values()) if s in (Erased.PENDING, Erased.FAILED)]
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, case_id)
            if case.erasure != "ordered":
                return
            overdue = case.expiring_at is not None and now - case.expiring_at > ERASER_PATIENCE
            if waiting and not overdue:
                await unit.save_case(case, next_due_at=now + AGAIN)
                return
            if waiting:
                await unit.audit(
                    AuditEvent(kind="erasure_incomplete", by=None, case_id=case_id, facts={"left": len(waiting)})
                )
            kept = (
                case.acknowledged_at is None
                and case.delivered_at is not None
                and now < case.delivered_at + self._cases.rules.pdf_of_unacknowledged
            )
            # An opinion that nobody acknowledged: rooms are gone, the sealed PDF alone stays in the vault for a while.
            # The eraser remembers every medium that it was ever told of for the case.
            case = replace(case, erasure="kept" if kept else "gone", erased_media=len(status.media))
            await self._cases.save(unit, case)
            if kept:
                # An export uploads the PDF anew: the old uploads are gone.
                await unit.forget_media(case_id)
                await self._keep_pdf_alone(unit, case)
                notice = Notice(
                    text="kept_report",
                    values={"case": case.id},
                    kind="kept",
                    data={"about": case.id},
                    next=(("export", case.id),),
                    rings=True,
                )
                await self._cases.to_person(unit, case.requester, notice, case=case)

    async def _keep_pdf_alone(self, unit: Unit, case: Case) -> None:
        """Let go of everything in the vault and in the case but the newest sealed PDF."""
        files = [file_id for document in case.documents for file_id in files_of(document)]
        files += [report.file_id for report in case.delivered[:-1]]
        await unit.plan(DropFiles(case_id=case.id, file_ids=tuple(files)))
        bare = replace(
            case,
            erased_files=len(files),
            answers=Answers(),
            carried=(),
            documents=(),
            questions=(),
            declined=(),
            draft=None,
            dissents=(),
            followup=None,
            hold_reasons=(),
            delivered=case.delivered[-1:],
        )
        await self._cases.save(unit, bare)

    async def destroy(self, effect: Destroy) -> None:
        """Carry out the effect: sessions, key, files, rows; then the certificate. A repeat finishes what is left."""
        status = await self._eraser.status(effect.case_id)
        async with self._store.unit() as unit:
            prepared = await unit.value(f"certificate:{effect.case_id}")
            if prepared is None:
                case = await self._cases.get(unit, effect.case_id)
                prepared = json.dumps(
                    await self._certificate(unit, case, status.rooms, status.media, alive=status.alive)
                )
                await unit.save_value(f"certificate:{effect.case_id}", prepared)
        certificate = json.loads(prepared)
        for room_id in certificate["room_ids"]:
            await self._rooms.drop_sessions(room_id)
        files = await self._vault.delete_files(effect.case_id)
        await self._vault.erase_key(effect.case_id)
        async with self._store.unit() as unit:
            certificate["files"] = max(files, certificate["files"])
            certificate["key_destroyed_at"] = certificate["key_destroyed_at"] or self._clock.now().isoformat()
            requester = certificate.pop("requester", None)
            rooms = certificate.pop("room_ids")
            await unit.forget_case(effect.case_id)
            facts: Mapping[str, str | int] = {k: certificate[k] for k in ("events", "media", "files", "rooms")}
            await unit.audit(AuditEvent(kind="erased", by=None, case_id=effect.case_id, facts=facts))
            await unit.save_value(f"certificate:{effect.case_id}", json.dumps({**certificate, "room_ids": []}))
            for room_id in rooms:
                await unit.forget_room(room_id)
            await unit.forget_values(f"unreached:{effect.case_id}:")
            await unit.forget_values(f"shown:{effect.case_id}:")
            if requester:
                notice = Notice(
                    text="erased",
                    values={"case": effect.case_id, "events": certificate["events"], "media": certificate["media"]},
                    kind="erased",
                    data={"about": effect.case_id, "certificate": certificate},
                )
                await self._cases.to_person(unit, requester, notice)
        await self._eraser.forget(effect.case_id)

    async def _certificate(
        self,
        unit: Unit,
        case: Case,
        rooms: Mapping[RoomId, Erased],
        media: Mapping[str, Erased],
        *,
        alive: bool,
    ) -> dict[str, object]:
        """Return what the certificate says; no patient data, only counts, times and codes."""
        line = self._cases.line(case)
        ledger_rooms = await unit.rooms(case.id)
        not_reached = ["phones", "key_backups", "server_backups"]
        if not alive:
            not_reached.append("no_eraser")
        if any(s is not Erased.GONE for s in rooms.values()):
            not_reached.append("rooms_left")
        if any(s is not Erased.GONE for s in media.values()):
            not_reached.append("media_left")
        if await unit.value(f"unreached:{case.id}:messages") is not None:
            not_reached.append("messages_left")
        not_reached.append("direct_chats")
        return {
            "case": case.id,
            "erased_at": self._clock.now().isoformat(),
            "key_destroyed_at": None,
            "rule": _rule(case),
            "retention_hours": int(line.retention.after_delivery / timedelta(hours=1)),
            "events": len(await unit.events(case.id)),
            "media": max(case.erased_media, len(await unit.media(case.id))),
            "files": sum(1 + len(d.pictures) + (d.clean_id is not None) for d in case.documents if d.file_id)
            + len(case.delivered)
            + case.erased_files,
            "rooms": len(ledger_rooms),
            "room_ids": [entry.room_id for entry in ledger_rooms],
            "not_reached": not_reached,
            "requester": case.requester,
            "language": case.language.value,
        }


def _rule(case: Case) -> str:
    """Return the code of the rule under which a case was erased."""
    if case.delivered_at is not None and case.acknowledged_at is None:
        return "kept_90_days"
    return case.cancelled_by or str(case.came_from)
