"""What goes out: rooms that are opened, invitations, notices with their files, polls that end, mails."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.domain.audit import AuditEvent
from bot.domain.case import Case
from bot.domain.effects import (
    CaseRoom,
    Direct,
    EndPoll,
    Invite,
    JoinRoom,
    LeaveRoom,
    Mail,
    Place,
    Purpose,
    Remove,
    Say,
    ThisRoom,
)
from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import CaseId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.notice import Attachment, Notice, Who
from bot.domain.routing import admins
from bot.services.ports import (
    Audience,
    Clock,
    EncryptedFile,
    EventEntry,
    Mailer,
    NewRoom,
    OpenPoll,
    Planned,
    Renderer,
    RoomEntry,
    Rooms,
    Sent,
    Store,
    Unit,
    Vault,
    WithoutKey,
)


class NotThere(ExternalError):
    """The person has not accepted the invitation to his direct chat."""


class Sending:
    """Carries out the effects that reach people."""

    def __init__(
        self,
        *,
        store: Store,
        rooms: Rooms,
        vault: Vault,
        mailer: Mailer | None,
        renderer: Renderer,
        clock: Clock,
        default_language: Language,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._vault = vault
        self._mailer = mailer
        self._renderer = renderer
        self._clock = clock
        self._default_language = default_language

    async def room(self, place: Place) -> RoomId:
        """Return the room of a place; a direct chat that does not exist is opened."""
        if isinstance(place, ThisRoom):
            return place.room_id
        async with self._store.unit() as unit:
            found = await unit.room_of(place)
        if found is not None:
            return found
        return await self.open_room(place)

    async def open_room(self, place: CaseRoom | Direct) -> RoomId:
        """Make the room of a place if there is none, and return it."""
        async with self._store.unit() as unit:
            found = await unit.room_of(place)
            known = await unit.value(f"direct_count:{place.user_id}") if isinstance(place, Direct) else None
        if found is not None:
            return found
        if isinstance(place, CaseRoom):
            room_id = await self._rooms.create(NewRoom(nonce=place.lane, name=str(place.case_id)))
            entry = RoomEntry(room_id=room_id, purpose=Purpose(place.purpose), case_id=place.case_id, user_id=None)
        else:
            # A chat that the person left is not found again by its nonce: the count makes a new one.
            nonce = f"{place.lane}:{known or 0}"
            room_id = await self._rooms.create(NewRoom(nonce=nonce, name="Consilium", direct_with=place.user_id))
            await self._rooms.invite(room_id, place.user_id)
            entry = RoomEntry(room_id=room_id, purpose=Purpose.DIRECT, case_id=None, user_id=place.user_id)
        async with self._store.unit() as unit:
            await unit.record_room(entry)
            if isinstance(place, Direct):
                await unit.save_value(f"invited:{room_id}", "yes")
        return room_id

    async def invite(self, effect: Invite) -> None:
        """Invite somebody who is in the case; raise Permanent for anybody else."""
        room_id = await self.room(effect.place)
        async with self._store.unit() as unit:
            person = await unit.person(effect.user_id)
            case = await unit.case(effect.place.case_id)
        if (
            person is None
            or not person.may_act
            or case is None
            or effect.user_id not in (case.requester, *case.expert_ids)
        ):
            raise Permanent("not_a_member")
        if not await self._rooms.exists(effect.user_id):
            raise Permanent("no_such_user")
        await self._rooms.invite(room_id, effect.user_id)

    async def join(self, effect: JoinRoom) -> None:
        """Accept an invitation to a direct chat, and enter it as the person's."""
        await self._rooms.join(effect.place.room_id)
        async with self._store.unit() as unit:
            await unit.record_room(
                RoomEntry(room_id=effect.place.room_id, purpose=Purpose.DIRECT, case_id=None, user_id=effect.user_id)
            )

    async def leave(self, effect: LeaveRoom) -> None:
        """Decline an invitation, or leave."""
        room_id = await self.room(effect.place)
        await self._rooms.leave(room_id)

    # -- saying --------------------------------------------------------------------------------------------------------

    async def say(self, planned: Planned, effect: Say) -> None:
        """Render a notice for its readers, send it with its file, and write down what was sent."""
        room_id = await self.room(effect.place)
        await self._wait_for_reader(effect.place, room_id)
        audience, languages, names = await self._readers(effect.place, room_id, effect.notice)
        parts = self._renderer.contents(effect.notice, languages, names)
        mxc = ""
        if effect.notice.attachment is not None:
            carried = await self._attachment(effect.notice.case_id, effect.notice.attachment)
            mxc = carried["file"]["url"] if effect.notice.case_id is None else ""
            parts[-1] |= carried
        event_type = self._renderer.event_type(effect.notice)
        for n, content in enumerate(parts):
            # The transaction ids of the parts are fixed too: a repeat after a crash sends none of them twice.
            txn = planned.id if n == 0 else f"{planned.id}-{n}"
            sent = await self._rooms.send(room_id, content, txn=txn, audience=audience, event_type=event_type)
            async with self._store.unit() as unit:
                await self._note_sent(unit, effect, room_id, sent, mxc)
                if n == len(parts) - 1:
                    await unit.finish(planned)

    async def _wait_for_reader(self, place: Place, room_id: RoomId) -> None:
        """In a direct chat that the bot opened, say nothing before the person is there.

        A client that first hears of the bot by a message shows that message as from an insecure device, and never looks
        again; one that has joined asks for the bot's identity before it reads. The invitation itself rings.
        """
        if not isinstance(place, Direct):
            return
        async with self._store.unit() as unit:
            opened = await unit.value(f"invited:{room_id}")
        if not opened:
            return
        membership = (await self._rooms.members(room_id)).get(place.user_id)
        if membership == "invite":
            raise NotThere("not_joined_yet")
        async with self._store.unit() as unit:
            await unit.save_value(f"invited:{room_id}", "")

    async def _note_sent(self, unit: Unit, effect: Say, room_id: RoomId, sent: Sent, mxc: str) -> None:
        notice = effect.notice
        if notice.case_id is not None:
            await unit.record_event(notice.case_id, EventEntry(event_id=sent.event_id, room_id=room_id, own=True))
        if notice.poll is not None:
            await unit.record_poll(
                OpenPoll(event_id=sent.event_id, room_id=room_id, case_id=notice.case_id, poll=notice.poll)
            )
        if notice.kind == "secret_sent" and isinstance(effect.place, Direct):
            # Where the second factor stands, so that it can be taken back.
            key = f"secret:{effect.place.user_id}"
            before = await unit.value(key) or ""
            await unit.save_value(key, f"{before}{room_id} {sent.event_id} {mxc}\n")
            credential = await unit.credential(effect.place.user_id)
            if credential is not None:
                await unit.save_credential(replace(credential, shown_at=self._clock.now()))
        if notice.kind == "drafted" and notice.case_id is not None:
            # From now on a signature can be meant for this version.
            await unit.save_value(f"shown:{notice.case_id}:draft", str(notice.data.get("version")))
        if notice.case_id is not None and notice.kind.startswith("document") and "n" in notice.data:
            key = f"shown:{notice.case_id}:document:{notice.data['n']}"
            await unit.save_value(key, f"{await unit.value(key) or ''}{room_id} {sent.event_id}\n")
        if isinstance(effect.place, CaseRoom) and notice.kind != "device_without_key":
            await self._report_unreached(unit, effect.place, sent)

    async def _report_unreached(self, unit: Unit, place: CaseRoom, sent: Sent) -> None:
        """Say once per person and reason, in the room, whose device cannot read."""
        for unreached in sent.unreached:
            if unreached.reason is WithoutKey.NOT_IN_AUDIENCE:
                continue
            key = f"unreached:{place.case_id}:{unreached.user_id}:{unreached.device_id}:{unreached.reason}"
            if await unit.value(key) is not None:
                continue
            await unit.save_value(key, "said")
            person = await unit.person(unreached.user_id)
            if person is None:
                continue
            changed = unreached.reason in (WithoutKey.CHANGED_IDENTITY, WithoutKey.NO_IDENTITY)
            text = "member_left_out" if changed else "device_without_key"
            notice = Notice(
                text=text,
                values={"who": Who(unreached.user_id)},
                kind=text,
                data={"user": unreached.user_id, "device": unreached.device_id, "reason": unreached.reason.value},
                case_id=place.case_id,
            )
            await unit.plan(Say(place=place, notice=notice))
            if changed:
                await unit.plan(Remove(place=place, user_id=unreached.user_id))
                await self._tell_left_out(unit, unreached.user_id)
            await unit.audit(
                AuditEvent(
                    kind=text,
                    by=None,
                    case_id=place.case_id,
                    facts={"user": unreached.user_id, "reason": unreached.reason.value},
                )
            )

    async def _tell_left_out(self, unit: Unit, user_id: UserId) -> None:
        """Tell the person how to come back, and the admins that it happened."""
        own = Notice(text="refusal.identity_changed", kind="error", data={"code": "identity_changed"}, rings=True)
        await unit.plan(Say(place=Direct(user_id=user_id), notice=replace(own, next=(("recover", "123456"),))))
        for admin in admins(await unit.people()):
            told = Notice(
                text="admin_left_out", values={"who": Who(user_id)}, kind="admin_left_out", data={"user": user_id}
            )
            await unit.plan(Say(place=Direct(user_id=admin), notice=told))

    async def _readers(
        self, place: Place, room_id: RoomId, notice: Notice
    ) -> tuple[Audience, Sequence[Language], Mapping[UserId, str]]:
        """Return who may have the keys of what is said in a place, in which languages, and everybody's name."""
        async with self._store.unit() as unit:
            people = {p.user_id: p for p in await unit.people()}
            entry = await unit.room(room_id)
            case_id = place.case_id if isinstance(place, CaseRoom) else entry.case_id if entry else None
            case: Case | None = await unit.case(case_id) if case_id else None
        names = {user: p.name for user, p in people.items()}
        if case is not None:
            readers = [u for u in (case.requester, *case.expert_ids) if u in people and people[u].may_act]
            languages = list(dict.fromkeys(people[u].language for u in readers)) or [case.language]
            return Audience(pinned={u: people[u].master_key for u in readers}), languages[:3], names
        if notice.case_id is not None:
            person = people.get(place.user_id) if isinstance(place, Direct) else None
            if person is None or not person.may_act:
                raise Permanent("not_enrolled")
        if isinstance(place, Direct):
            user = place.user_id
        elif entry is not None and entry.user_id is not None:
            user = entry.user_id
        else:
            members = await self._rooms.members(room_id)
            user = next((u for u in members if u != self._rooms.user_id), self._rooms.user_id)
        person = people.get(user)
        pinned = person.master_key if person else None
        # What a stranger or an unsigned device gets is a help text; everything else is for pinned or signed devices.
        audience = Audience(pinned={user: pinned}, unsigned=notice.kind in ("help", "first_contact"))
        if notice.kind in ("help", "first_contact", "recover_waits", "error", "rejected"):
            audience = replace(audience, pinned={user: None})
        return audience, [person.language if person else self._default_language], names

    async def _attachment(self, case_id: CaseId | None, attachment: Attachment) -> dict[str, Any]:
        """Return the part of an event that carries a file; a file that was uploaded before is not uploaded again."""
        if attachment.inline is not None:
            data = base64.b64decode(attachment.inline)
            file, size = await self._rooms.upload(_once(data), len(data)), len(data)
        elif case_id is not None:
            file, size = await self._uploaded(case_id, attachment.file_id)
        else:
            raise Permanent("attachment_without_case")
        info: dict[str, Any] = {"mimetype": attachment.mime, "size": size}
        sizes = {"w": attachment.width, "h": attachment.height, "duration": attachment.duration_ms}
        info |= {key: value for key, value in sizes.items() if value is not None}
        if attachment.thumbnail is not None and case_id is not None:
            small, small_size = await self._uploaded(case_id, attachment.thumbnail)
            info["thumbnail_file"] = _encrypted_file(small)
            info["thumbnail_info"] = {"mimetype": "image/png", "size": small_size}
        kinds = {"image": "m.image", "video": "m.video"}
        return {
            "msgtype": kinds.get(attachment.mime.partition("/")[0], "m.file"),
            "filename": attachment.name,
            "file": _encrypted_file(file),
            "info": info,
        }

    async def _uploaded(self, case_id: CaseId, file_id: str) -> tuple[EncryptedFile, int]:
        async with self._store.unit() as unit:
            known = await unit.medium(case_id, file_id)
        if known is not None:
            return known, known.size
        size = 0
        async for chunk in self._vault.read(case_id, file_id):
            size += len(chunk)
        file = await self._rooms.upload(_all(self._vault.read(case_id, file_id)), size)
        async with self._store.unit() as unit:
            await unit.record_medium(case_id, file_id, file)
        return file, size

    async def end_polls(self, planned: Planned, effect: EndPoll) -> None:
        """Close the polls of a place that ask for a field."""
        room_id = await self.room(effect.place)
        async with self._store.unit() as unit:
            polls = await unit.open_polls(room_id, effect.field)
        for poll in polls:
            audience, _, _ = await self._readers(effect.place, room_id, Notice(text="", case_id=poll.case_id))
            content = {
                "m.relates_to": {"rel_type": "m.reference", "event_id": poll.event_id},
                "org.matrix.msc3381.poll.end": {},
                "org.matrix.msc1767.text": "✓",
            }
            sent = await self._rooms.send(
                room_id,
                content,
                txn=f"{planned.id}-{poll.event_id[-12:]}",
                audience=audience,
                event_type="org.matrix.msc3381.poll.end",
            )
            async with self._store.unit() as unit:
                if poll.case_id is not None:
                    await unit.record_event(poll.case_id, EventEntry(event_id=sent.event_id, room_id=room_id, own=True))
                await unit.end_poll(poll.event_id)

    # -- mail ----------------------------------------------------------------------------------------------------------

    async def mail(self, planned: Planned, effect: Mail) -> None:
        """Send the notice without content, if the person has an address and the hospital a mail server."""
        async with self._store.unit() as unit:
            person = await unit.person(effect.user_id)
        if self._mailer is None or person is None or person.email is None:
            return
        subject, text = self._renderer.mail(effect.text, effect.values, person.language)
        await self._mailer.send(person.email, subject, text, message_id=planned.id)


def _encrypted_file(file: EncryptedFile) -> dict[str, Any]:
    """Return the `file` object of the Matrix specification (client-server, "Sending encrypted attachments")."""
    return {
        "v": "v2",
        "url": file.url,
        "key": {"kty": "oct", "key_ops": ["encrypt", "decrypt"], "alg": "A256CTR", "k": file.key, "ext": True},
        "iv": file.iv,
        "hashes": {"sha256": file.sha256},
    }


async def _all(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
