"""A homeserver in memory: implements `Rooms`, and has levers for what people do in their own apps."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import DeviceId, EventId, RoomId, UserId
from bot.services.ports import (
    Arrival,
    ArrivalKind,
    Arrivals,
    Audience,
    Device,
    EncryptedFile,
    Identity,
    NewRoom,
    Origin,
    Sent,
    Unreached,
    WithoutKey,
)

PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """One event that the bot sent, and the devices that could read it."""

    event_id: EventId
    room_id: RoomId
    event_type: str
    content: Mapping[str, Any]
    txn: str
    readers: frozenset[tuple[UserId, DeviceId]]


@dataclass(slots=True, kw_only=True)
class FakeRoom:
    """A room as the homeserver holds it."""

    room_id: RoomId
    nonce: str | None
    name: str
    encrypted: bool = True
    members: dict[UserId, str] = field(default_factory=dict)


class FakeRooms:
    """An in-memory `Rooms`; what people do reaches the bot through the `Arrivals` it was given."""

    def __init__(
        self, *, arrivals: Arrivals | None = None, user_id: str = "@consilium:test", limit: int = 2**30
    ) -> None:
        self._user_id = UserId(user_id)
        self._server = user_id.partition(":")[2]
        self._arrivals = arrivals
        self._limit = limit
        self._count = 0
        self._people: dict[UserId, Identity] = {}
        self._rooms: dict[RoomId, FakeRoom] = {}
        self._sent: dict[RoomId, list[SentEvent]] = {}
        self._by_txn: dict[str, EventId] = {}
        self._failures: list[tuple[str, ExternalError]] = []
        self.media: dict[str, bytes] = {}
        self.redacted: set[EventId] = set()
        self.dropped_sessions: list[RoomId] = []
        self.now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    # -- Rooms -----------------------------------------------------------------------------------------------------

    @property
    def user_id(self) -> UserId:
        return self._user_id

    @property
    def master_key(self) -> str:
        return "bot-master-key"

    async def create(self, room: NewRoom) -> RoomId:
        self._stumble("create")
        for known in self._rooms.values():
            if known.nonce == room.nonce and known.members.get(self._user_id) == "join":
                return known.room_id
        made = self._make(nonce=room.nonce, name=room.name)
        made.members[self._user_id] = "join"
        if room.direct_with is not None:
            made.members[room.direct_with] = "invite"
        return made.room_id

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        self._stumble("invite")
        room = self._joined(room_id)
        if room.members.get(user_id) not in {"join", "invite"}:
            room.members[user_id] = "invite"

    async def remove(self, room_id: RoomId, user_id: UserId) -> None:
        self._stumble("remove")
        room = self._joined(room_id)
        if room.members.get(user_id) in {"join", "invite"}:
            room.members[user_id] = "leave"

    async def join(self, room_id: RoomId) -> None:
        self._stumble("join")
        room = self._room(room_id)
        if room.members.get(self._user_id) not in {"invite", "join"}:
            raise Permanent("forbidden")
        room.members[self._user_id] = "join"

    async def leave(self, room_id: RoomId) -> None:
        self._stumble("leave")
        room = self._rooms.get(room_id)
        if room is not None:
            room.members[self._user_id] = "leave"

    async def members(self, room_id: RoomId) -> Mapping[UserId, str]:
        self._stumble("members")
        return dict(self._joined(room_id).members)

    async def exists(self, user_id: UserId) -> bool:
        self._stumble("exists")
        return user_id in self._people or user_id == self._user_id

    async def identity(self, user_id: UserId) -> Identity:
        self._stumble("identity")
        return self._people.get(user_id, Identity(user_id=user_id, master_key=None, devices=()))

    async def send(
        self,
        room_id: RoomId,
        content: Mapping[str, Any],
        *,
        txn: str,
        audience: Audience,
        event_type: str = "m.room.message",
    ) -> Sent:
        self._stumble("send")
        room = self._joined(room_id)
        if not room.encrypted:
            raise Permanent("not_encrypted")
        readers, unreached = self._sort(room, audience)
        if txn not in self._by_txn:
            self._by_txn[txn] = self._new_event_id()
            self._sent.setdefault(room_id, []).append(
                SentEvent(
                    event_id=self._by_txn[txn],
                    room_id=room_id,
                    event_type=event_type,
                    content={**content, "org.consilium.txn": txn},
                    txn=txn,
                    readers=readers,
                )
            )
        return Sent(event_id=self._by_txn[txn], unreached=unreached)

    async def redact(self, room_id: RoomId, event_id: EventId, *, txn: str) -> None:
        self._stumble("redact")
        self._joined(room_id)
        self.redacted.add(event_id)

    async def upload(self, chunks: AsyncIterator[bytes], size: int) -> EncryptedFile:
        self._stumble("upload")
        clear = b"".join([chunk async for chunk in chunks])
        if len(clear) != size:
            raise Permanent("wrong_size")
        if size > self._limit:
            raise Permanent("too_large")
        return self._keep(clear)

    async def download(self, file: EncryptedFile) -> AsyncIterator[bytes]:
        self._stumble("download")
        clear = self.media.get(file.url)
        if clear is None:
            raise Permanent("not_found")
        for start in range(0, len(clear), PIECE):
            yield clear[start : start + PIECE]
        if self._digest(clear) != file.sha256:
            raise Permanent("bad_hash")

    async def upload_limit(self) -> int:
        return self._limit

    async def drop_sessions(self, room_id: RoomId) -> None:
        self._stumble("drop_sessions")
        self.dropped_sessions.append(room_id)

    # -- Levers: people and their devices --------------------------------------------------------------------------

    def add_person(self, user_id: str, *, cross_signed: bool = True, devices: Sequence[str] = ("PHONE",)) -> UserId:
        """Register a person with *devices*; without *cross_signed* there is no identity at all."""
        user = UserId(user_id)
        self._people[user] = Identity(
            user_id=user,
            master_key=f"master-of-{user_id}" if cross_signed else None,
            devices=tuple(_device(user, device_id, cross_signed=cross_signed) for device_id in devices),
        )
        return user

    def add_device(self, user_id: UserId, device_id: str, *, cross_signed: bool = True) -> None:
        """Sign in on one more device."""
        person = self._people[user_id]
        device = _device(user_id, device_id, cross_signed=cross_signed and person.master_key is not None)
        self._people[user_id] = replace(person, devices=(*person.devices, device))

    def replace_identity(self, user_id: UserId, master_key: str = "another-master-key") -> None:
        """Reset the person's cross-signing identity, as Element's settings can."""
        self._people[user_id] = replace(self._people[user_id], master_key=master_key)

    # -- Levers: what people do ------------------------------------------------------------------------------------

    async def arrive(self, *arrivals: Arrival) -> None:
        """Bring events to the bot in one batch, as one sync would."""
        if self._arrivals is None:
            raise AssertionError("this FakeRooms was made without Arrivals")
        self._count += 1
        await self._arrivals.take(f"token-{self._count}", arrivals)

    async def invite_bot(self, by: UserId, *, encrypted: bool = True, direct: bool = True) -> RoomId:
        """*by* opens a room with the bot, for example a direct chat."""
        room = self._make(nonce=None, name="", encrypted=encrypted)
        room.members.update({by: "join", self._user_id: "invite"})
        await self.arrive(
            self.arrival(room.room_id, by, ArrivalKind.INVITE, {"encrypted": encrypted, "direct": direct})
        )
        return room.room_id

    async def join_as(self, user_id: UserId, room_id: RoomId) -> None:
        """The person accepts an invitation."""
        await self._become(user_id, room_id, "join")

    async def leave_as(self, user_id: UserId, room_id: RoomId) -> None:
        """The person leaves or declines."""
        await self._become(user_id, room_id, "leave")

    async def say(
        self, user_id: UserId, room_id: RoomId, body: str, *, device_id: str = "PHONE", clear: bool = False, **more: Any
    ) -> EventId:
        """The person writes a text; *more* is merged into the content."""
        content = {"msgtype": "m.text", "body": body, **more}
        arrival = self.arrival(
            room_id, user_id, ArrivalKind.MESSAGE, content, device_id=None if clear else DeviceId(device_id)
        )
        await self.arrive(arrival)
        return arrival.event_id

    async def drop_file(
        self,
        user_id: UserId,
        room_id: RoomId,
        clear: bytes,
        *,
        name: str,
        mimetype: str,
        msgtype: str = "m.file",
        device_id: str = "PHONE",
    ) -> EventId:
        """The person sends an encrypted attachment."""
        kept = self._keep(clear)
        content = {
            "msgtype": msgtype,
            "body": name,
            "filename": name,
            "info": {"mimetype": mimetype, "size": len(clear)},
            "file": {
                "v": "v2",
                "url": kept.url,
                "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "k": kept.key, "key_ops": ["encrypt", "decrypt"]},
                "iv": kept.iv,
                "hashes": {"sha256": kept.sha256},
            },
        }
        arrival = self.arrival(room_id, user_id, ArrivalKind.MESSAGE, content, device_id=DeviceId(device_id))
        await self.arrive(arrival)
        return arrival.event_id

    async def tap(
        self, user_id: UserId, room_id: RoomId, poll: EventId, answers: Sequence[str], *, device_id: str = "PHONE"
    ) -> EventId:
        """The person answers a poll."""
        content = {
            "m.relates_to": {"rel_type": "m.reference", "event_id": poll},
            "org.matrix.msc3381.poll.response": {"answers": list(answers)},
        }
        arrival = self.arrival(room_id, user_id, ArrivalKind.POLL_RESPONSE, content, device_id=DeviceId(device_id))
        await self.arrive(arrival)
        return arrival.event_id

    def arrival(
        self,
        room_id: RoomId,
        sender: UserId,
        kind: ArrivalKind,
        content: Mapping[str, Any],
        *,
        device_id: DeviceId | None = None,
    ) -> Arrival:
        """Build one event of *sender*; with *device_id* it was encrypted by that device."""
        event_id = self._new_event_id()
        relation = content.get("m.relates_to")
        related: Mapping[str, Any] = relation if isinstance(relation, dict) else {}
        edits = related.get("event_id") if related.get("rel_type") == "m.replace" else None
        reply = related.get("m.in_reply_to")
        return Arrival(
            event_id=event_id,
            room_id=room_id,
            sender=sender,
            sent_at=self.now,
            kind=kind,
            content=content,
            origin=None if device_id is None else self._origin(sender, device_id),
            fingerprint=None if device_id is None else hashlib.sha256(event_id.encode()).hexdigest(),
            edits=edits,
            edit_is_inside=edits is not None and "m.new_content" in content,
            replies_to=reply.get("event_id") if isinstance(reply, dict) else None,
        )

    def invited_to_direct_chats(self) -> list[tuple[UserId, RoomId]]:
        """Return who is invited to a direct chat that the bot opened, and where."""
        return [
            (user, room.room_id)
            for room in self._rooms.values()
            if room.nonce is not None and room.nonce.startswith("direct:")
            for user, membership in room.members.items()
            if membership == "invite"
        ]

    # -- Levers: faults, and what to look at -----------------------------------------------------------------------

    def fail(self, method: str, error: ExternalError, *, times: int = 1) -> None:
        """Let the next *times* calls of *method* raise *error*."""
        self._failures.extend([(method, error)] * times)

    def recover(self) -> None:
        """Let every call work again."""
        self._failures.clear()

    def sent(self, room_id: RoomId) -> list[SentEvent]:
        """Return what the bot sent to the room, oldest first."""
        return list(self._sent.get(room_id, []))

    def bodies(self, room_id: RoomId) -> list[str]:
        """Return the plain bodies of what the bot sent to the room, oldest first."""
        return [str(event.content["body"]) for event in self.sent(room_id) if "body" in event.content]

    def read_by(self, user_id: UserId, room_id: RoomId) -> list[str]:
        """Return the bodies that at least one device of the person could read."""
        return [
            str(event.content["body"])
            for event in self.sent(room_id)
            if "body" in event.content and any(reader == user_id for reader, _ in event.readers)
        ]

    def rooms(self) -> list[FakeRoom]:
        """Return every room there is."""
        return list(self._rooms.values())

    # -- Inside ----------------------------------------------------------------------------------------------------

    async def _become(self, user_id: UserId, room_id: RoomId, membership: str) -> None:
        self._rooms[room_id].members[user_id] = membership
        content = {"user": user_id, "membership": membership}
        await self.arrive(self.arrival(room_id, user_id, ArrivalKind.MEMBER, content))

    def _origin(self, user_id: UserId, device_id: DeviceId) -> Origin:
        person = self._people.get(user_id, Identity(user_id=user_id, master_key=None, devices=()))
        found = next((device for device in person.devices if device.device_id == device_id), None)
        return Origin(
            device_id=device_id,
            ed25519=f"ed25519-{user_id}-{device_id}",
            curve25519=f"curve25519-{user_id}-{device_id}",
            cross_signed=found is not None and found.cross_signed,
            master_key=person.master_key,
        )

    def _sort(
        self, room: FakeRoom, audience: Audience
    ) -> tuple[frozenset[tuple[UserId, DeviceId]], tuple[Unreached, ...]]:
        readers: set[tuple[UserId, DeviceId]] = set()
        unreached: list[Unreached] = []
        for user, membership in room.members.items():
            if user == self._user_id or membership not in {"join", "invite"}:
                continue
            person = self._people.get(user, Identity(user_id=user, master_key=None, devices=()))
            reason = _left_out(person, audience)
            if reason is not None:
                unreached.append(Unreached(user_id=user, device_id=None, reason=reason))
                continue
            for device in person.devices:
                if device.cross_signed or audience.unsigned:
                    readers.add((user, device.device_id))
                else:
                    unreached.append(
                        Unreached(user_id=user, device_id=device.device_id, reason=WithoutKey.UNSIGNED_DEVICE)
                    )
        return frozenset(readers), tuple(unreached)

    def _stumble(self, method: str) -> None:
        for index, (name, error) in enumerate(self._failures):
            if name == method:
                del self._failures[index]
                raise error

    def _make(self, *, nonce: str | None, name: str, encrypted: bool = True) -> FakeRoom:
        self._count += 1
        room_id = RoomId(f"!room{self._count}:{self._server}")
        self._rooms[room_id] = FakeRoom(room_id=room_id, nonce=nonce, name=name, encrypted=encrypted)
        return self._rooms[room_id]

    def _room(self, room_id: RoomId) -> FakeRoom:
        if room_id not in self._rooms:
            raise Permanent("not_found")
        return self._rooms[room_id]

    def _joined(self, room_id: RoomId) -> FakeRoom:
        room = self._rooms.get(room_id)
        if room is None or room.members.get(self._user_id) != "join":
            raise Permanent("forbidden")
        return room

    def _keep(self, clear: bytes) -> EncryptedFile:
        self._count += 1
        url = f"mxc://{self._server}/medium{self._count}"
        self.media[url] = clear
        return EncryptedFile(
            url=url, key="k" * 43, iv="AAAAAAAAAAAAAAAAAAAAAA", sha256=self._digest(clear), size=len(clear)
        )

    @staticmethod
    def _digest(clear: bytes) -> str:
        return hashlib.sha256(clear).hexdigest()

    def _new_event_id(self) -> EventId:
        self._count += 1
        return EventId(f"$event{self._count}")


def _device(user_id: str, device_id: str, *, cross_signed: bool) -> Device:
    return Device(device_id=DeviceId(device_id), ed25519=f"ed25519-{user_id}-{device_id}", cross_signed=cross_signed)


def _left_out(person: Identity, audience: Audience) -> WithoutKey | None:
    """Say why the whole person gets no key, or None if single devices decide."""
    if person.user_id not in audience.pinned:
        return WithoutKey.NOT_IN_AUDIENCE
    pinned = audience.pinned[person.user_id]
    if pinned is not None and person.master_key != pinned:
        return WithoutKey.CHANGED_IDENTITY
    if person.master_key is None and not audience.unsigned:
        return WithoutKey.NO_IDENTITY
    return None
