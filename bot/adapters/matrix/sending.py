"""Sending to a room: who may read, who holds the key, and the event itself.

Replaces nio's `room_send` and `share_group_session`, which share with every device that they remember, count a failed
share as shared, wait for ever after one hung key claim, skip each device that has the bot's device id, keep using a
session that a leaver holds, and send in clear when there is no crypto store.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nio.crypto import OutboundGroupSession

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.devices import Directory, KnownDevice, KnownPerson
from bot.adapters.matrix.http import HomeserverApi, path
from bot.adapters.matrix.key_sharing import Address, KeySharing, address
from bot.adapters.matrix.room_facts import Encryption, RoomFacts
from bot.adapters.matrix.rooms import transaction_id
from bot.adapters.matrix.settings import Timeouts
from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import EventId, RoomId, UserId
from bot.services.ports import Audience, Clock, Counters, Sent, Unreached, WithoutKey

TXN = "org.consilium.txn"
PRESENT = frozenset({"join", "invite"})
MOST_SESSIONS = 1_000
"""Rooms whose sending session stays in memory."""

SETTLING = 4
"""How often readers are looked up again because someone came or left while keys were being shared."""


@dataclass(slots=True, kw_only=True)
class Outbound:
    """One Megolm session for sending, and what every device was given of it."""

    session: OutboundGroupSession
    made_at: datetime
    audience: Audience
    given: dict[Address, tuple[KnownDevice, str]] = field(default_factory=dict)
    """Devices that hold the session, with the session key they got."""

    owed: dict[Address, tuple[KnownDevice, str]] = field(default_factory=dict)
    """Devices that should have got it, with the key at the first message that they cannot read."""

    told: set[Address] = field(default_factory=set)
    """Devices that were told they get no key."""

    try_again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who may read what is about to be sent, and who may not, and why."""

    people: frozenset[UserId]
    allowed: Mapping[Address, KnownDevice]
    refused: Mapping[Address, tuple[KnownDevice, WithoutKey]]
    unreached: tuple[Unreached, ...]
    as_of: int
    """The count of device changes of these people before they were looked up."""


def readers(people: Mapping[UserId, KnownPerson], audience: Audience, *, as_of: int = 0) -> Readers:
    """Sort every device of *people* (who are in the room) by *audience*."""
    allowed: dict[Address, KnownDevice] = {}
    refused: dict[Address, tuple[KnownDevice, WithoutKey]] = {}
    unreached: list[Unreached] = []
    for user_id, person in people.items():
        reason = left_out(person, audience)
        if reason is not None:
            unreached.append(Unreached(user_id=user_id, device_id=None, reason=reason))
            refused |= {address(device): (device, reason) for device in person.devices.values()}
            continue
        for device in person.devices.values():
            if device.cross_signed or audience.unsigned:
                allowed[address(device)] = device
            else:
                refused[address(device)] = (device, WithoutKey.UNSIGNED_DEVICE)
                unreached.append(
                    Unreached(user_id=user_id, device_id=device.device_id, reason=WithoutKey.UNSIGNED_DEVICE)
                )
    return Readers(people=frozenset(people), allowed=allowed, refused=refused, unreached=tuple(unreached), as_of=as_of)


def left_out(person: KnownPerson, audience: Audience) -> WithoutKey | None:
    """Say why a whole person gets no key, or None if each device is looked at."""
    if person.user_id not in audience.pinned:
        return WithoutKey.NOT_IN_AUDIENCE
    pinned = audience.pinned[person.user_id]
    if pinned is not None and person.master_key != pinned:
        return WithoutKey.CHANGED_IDENTITY
    if person.master_key is None and not audience.unsigned:
        return WithoutKey.NO_IDENTITY
    return None


class Sender:
    """Encrypts and sends; one room after another within a room, rooms beside each other."""

    def __init__(
        self,
        api: HomeserverApi,
        crypto: Crypto,
        directory: Directory,
        facts: RoomFacts,
        sharing: KeySharing,
        *,
        user_id: UserId,
        counters: Counters,
        clock: Clock,
        timeouts: Timeouts,
    ) -> None:
        self._api = api
        self._crypto = crypto
        self._directory = directory
        self._facts = facts
        self._user_id = user_id
        self._counters = counters
        self._clock = clock
        self._timeouts = timeouts
        self._sharing = sharing
        self._locks: dict[RoomId, asyncio.Lock] = {}
        self._outbound: OrderedDict[RoomId, Outbound] = OrderedDict()

    async def send(
        self, room_id: RoomId, content: Mapping[str, Any], *, txn: str, audience: Audience, event_type: str
    ) -> Sent:
        """Encrypt *content* for *audience* and send it.

        Raises:
            Permanent: "not_encrypted", "forbidden", "too_large"; nothing was sent.
            ExternalError: try again with the same *txn*.
        """
        async with self._lock(room_id):
            encryption = await self._facts.encryption(room_id)
            outbound, failed, found = await self._prepared(room_id, audience, encryption)
            sealed = await self._crypto.do(
                lambda machine: machine.encrypt_event(outbound.session, room_id, event_type, {**content, TXN: txn})
            )
            # Relations stand in clear, as the specification wants it, and inside, where nobody can change them.
            if "m.relates_to" in content:
                sealed["m.relates_to"] = content["m.relates_to"]
            answer = await self._api.put(
                path("rooms", room_id, "send", "m.room.encrypted", transaction_id(txn)), sealed
            )
            return Sent(event_id=EventId(str(answer["event_id"])), unreached=(*found.unreached, *failed))

    async def _prepared(
        self, room_id: RoomId, audience: Audience, encryption: Encryption
    ) -> tuple[Outbound, tuple[Unreached, ...], Readers]:
        """Return a session that every reader holds and nobody else, read again while people come and go."""
        for _ in range(SETTLING):
            before = self._facts.changes(room_id)
            found = await self._readers(room_id, audience)
            outbound = await self._current(room_id, found, encryption, audience)
            failed = await self._share(room_id, outbound, found)
            if self._facts.changes(room_id) == before and self._directory.changes(found.people) == found.as_of:
                return outbound, failed, found
        raise ExternalError("room_is_changing", retry_after=1.0)

    async def _readers(self, room_id: RoomId, audience: Audience) -> Readers:
        members = await self._facts.members(room_id)
        if members.get(self._user_id) != "join":
            raise Permanent("forbidden")
        present = [user for user, membership in members.items() if membership in PRESENT and user != self._user_id]
        # The server tells of changed devices only of people in a joined room: whoever is merely invited is asked anew.
        # While syncs fail it tells of nobody.
        current = self._facts.is_current()
        anew = [user for user in present if members[user] == "invite" or not current]
        as_of = self._directory.changes(present)
        return readers(await self._directory.people(present, anew=anew), audience, as_of=as_of)

    async def _current(self, room_id: RoomId, found: Readers, encryption: Encryption, audience: Audience) -> Outbound:
        """Return the room's session, a new one if somebody who holds it may no longer read, or if it is used up."""
        outbound = self._outbound.get(room_id)
        now = self._clock.now()
        if (
            outbound is None
            or any(found.allowed.get(who) != device for who, (device, _) in outbound.given.items())
            or outbound.session.message_count >= encryption.messages
            or outbound.session.expired
            or not timedelta(0) <= now - outbound.made_at < timedelta(seconds=encryption.seconds)
        ):
            session = await self._crypto.do(lambda machine: machine.new_outbound(room_id))
            outbound = Outbound(session=session, made_at=now, audience=audience)
            self._outbound[room_id] = outbound
            self._make_room()
        self._outbound.move_to_end(room_id)
        outbound.audience = audience
        return outbound

    def _make_room(self) -> None:
        """Drop the sessions that were not used for longest: a new one costs one key share."""
        idle = [room_id for room_id, outbound in self._outbound.items() if not outbound.owed]
        for room_id in idle[: max(len(self._outbound) - MOST_SESSIONS, 0)]:
            del self._outbound[room_id]

    async def _share(self, room_id: RoomId, outbound: Outbound, found: Readers) -> tuple[Unreached, ...]:
        """Give the session to every reader who has not got it; remember who could not get it, from which message on."""
        outbound.owed = {who: entry for who, entry in outbound.owed.items() if found.allowed.get(who) == entry[0]}
        new = [who for who in found.allowed if who not in outbound.given and who not in outbound.owed]
        if new:
            key_now = await self._crypto.do(lambda _: str(outbound.session.session_key))
            outbound.owed |= {who: (found.allowed[who], key_now) for who in new}
        told = {who: entry for who, entry in found.refused.items() if who not in outbound.told}
        result = await self._sharing.share(room_id, outbound.session.id, outbound.owed, refused=told)
        outbound.told |= set(told)
        for who in result.given:
            outbound.given[who] = outbound.owed.pop(who)
        outbound.try_again_at = (
            self._clock.now() + timedelta(seconds=self._timeouts.share_again) if outbound.owed else None
        )
        return tuple(
            Unreached(user_id=user_id, device_id=device_id, reason=result.failed[(user_id, device_id)])
            for user_id, device_id in outbound.owed
        )

    async def settle(self) -> None:
        """Try again to give keys to devices that could not get them; called now and then, never raises for one room."""
        now = self._clock.now()
        for room_id, outbound in list(self._outbound.items()):
            if outbound.try_again_at is None or outbound.try_again_at > now:
                continue
            async with self._lock(room_id):
                if self._outbound.get(room_id) is not outbound:
                    continue
                try:
                    found = await self._readers(room_id, outbound.audience)
                    await self._share(room_id, outbound, found)
                except ExternalError:
                    outbound.try_again_at = now + timedelta(seconds=self._timeouts.share_again)
                    self._counters.count("matrix_share_failed")

    def settle_in(self) -> float | None:
        """Return in how many seconds `settle` has something to do, None if nothing is owed."""
        due = [outbound.try_again_at for outbound in self._outbound.values() if outbound.try_again_at is not None]
        return max((min(due) - self._clock.now()).total_seconds(), 0.05) if due else None

    def share_again_with(self, curve25519: str) -> None:
        """Owe every session anew to a device that started a new Olm session: it may have lost what it was given."""
        for outbound in self._outbound.values():
            lost = [who for who, (device, _) in outbound.given.items() if device.curve25519 == curve25519]
            for who in lost:
                outbound.owed[who] = outbound.given.pop(who)
                outbound.try_again_at = self._clock.now()

    async def forget(self, room_id: RoomId) -> None:
        """Drop every session of the room."""
        async with self._lock(room_id):
            self._outbound.pop(room_id, None)
            await self._crypto.do(lambda machine: machine.forget_room(room_id))
            self._facts.changed(room_id)

    def _lock(self, room_id: RoomId) -> asyncio.Lock:
        return self._locks.setdefault(room_id, asyncio.Lock())
