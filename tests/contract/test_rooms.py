"""What every `Rooms` does: the Matrix engine against a real homeserver and real clients, and the one in memory."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

import pytest
import pytest_asyncio

from bot.domain.errors import Permanent
from bot.domain.ids import RoomId, UserId
from bot.lab.clients import Person
from bot.services.ports import Arrival, ArrivalKind, Audience, NewRoom, Rooms, WithoutKey
from tests.fakes.rooms import FakeRooms
from tests.matrix.inbox import Inbox
from tests.matrix.world import Bot, World, a_world, everyone

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Someone(Protocol):
    """A person with a phone."""

    @property
    def user_id(self) -> UserId: ...
    async def join(self, room_id: RoomId) -> None: ...
    async def leave(self, room_id: RoomId) -> None: ...
    async def say(self, room_id: RoomId, body: str) -> None: ...
    async def reads(self, room_id: RoomId, body: str) -> bool: ...
    async def invite_bot(self) -> RoomId: ...
    async def reset_identity(self) -> None: ...


class Scene(Protocol):
    """A bot's `Rooms`, and the people around it."""

    rooms: Rooms
    inbox: Inbox

    async def someone(self, *, cross_signed: bool = True, fresh: bool = False) -> Someone: ...


class RealSomeone:
    """A matrix-js-sdk client that excludes insecure devices."""

    def __init__(self, person: Person, bot: Bot) -> None:
        self._person = person
        self._bot = bot

    @property
    def user_id(self) -> UserId:
        return UserId(self._person.user_id)

    async def join(self, room_id: RoomId) -> None:
        await self._bot.meet(self._person)
        await self._person.wait_member(room_id, self.user_id, "invite")
        await self._person.accept(room_id)

    async def leave(self, room_id: RoomId) -> None:
        await self._person.leave(room_id)

    async def say(self, room_id: RoomId, body: str) -> None:
        await self._person.send(room_id, body)

    async def reads(self, room_id: RoomId, body: str) -> bool:
        event = next(event_id for event_id, sent in reversed(SENT) if sent == body)
        message = await self._person.wait_event(event, readable=False)
        return message.body == body or await self._reads_late(event, body)

    async def _reads_late(self, event: str, body: str) -> bool:
        """The key may come just after the event; a key that is withheld is told, so there is nothing to wait for."""
        message = self._person.message(event)
        if message is not None and message.decryption_failure == "MEGOLM_UNKNOWN_INBOUND_SESSION_ID":
            await self._person.wait_event(event, timeout=5)
        message = self._person.message(event)
        return message is not None and message.body == body

    async def invite_bot(self) -> RoomId:
        return RoomId(await self._person.create_dm(self._bot.user_id, fresh=True))

    async def reset_identity(self) -> None:
        await self._person.reset_identity()


SENT: list[tuple[str, str]] = []
"""Event ids and bodies of what the scene sent, for the clients to look for."""


class RealScene:
    """The engine on a real homeserver."""

    def __init__(self, world: World, bot: Bot) -> None:
        self._world = world
        self._bot = bot
        self.rooms: Rooms = bot.engine
        self.inbox = bot.inbox

    async def someone(self, *, cross_signed: bool = True, fresh: bool = False) -> Someone:
        person = await self._world.person(cross_sign=cross_signed, fresh=fresh)
        async with asyncio.timeout(20):
            # A client without identity is signed in before its device's keys are uploaded.
            while not (await self.rooms.identity(UserId(person.user_id))).devices:
                await asyncio.sleep(0.05)
        return RealSomeone(person, self._bot)


class FakeSomeone:
    """A person of the fake."""

    def __init__(self, rooms: FakeRooms, user_id: UserId) -> None:
        self._rooms = rooms
        self.user_id = user_id

    async def join(self, room_id: RoomId) -> None:
        await self._rooms.join_as(self.user_id, room_id)

    async def leave(self, room_id: RoomId) -> None:
        await self._rooms.leave_as(self.user_id, room_id)

    async def say(self, room_id: RoomId, body: str) -> None:
        await self._rooms.say(self.user_id, room_id, body)

    async def reads(self, room_id: RoomId, body: str) -> bool:
        return body in self._rooms.read_by(self.user_id, room_id)

    async def invite_bot(self) -> RoomId:
        return await self._rooms.invite_bot(self.user_id)

    async def reset_identity(self) -> None:
        self._rooms.replace_identity(self.user_id)


class FakeScene:
    """The homeserver in memory."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._fake = FakeRooms(arrivals=self.inbox)
        self.rooms: Rooms = self._fake

    async def someone(self, *, cross_signed: bool = True, fresh: bool = False) -> Someone:
        user_id = self._fake.add_person(f"@{secrets.token_hex(4)}:test", cross_signed=cross_signed)
        return FakeSomeone(self._fake, user_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("contract")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module", params=["engine", "fake"])
async def scene(request: pytest.FixtureRequest, real_world: World) -> AsyncIterator[Scene]:
    if request.param == "fake":
        yield FakeScene()
    else:
        yield RealScene(real_world, await real_world.bot())
        await real_world.stop_bots()


async def say(scene: Scene, room: RoomId, body: str, audience: Audience) -> Sequence[tuple[UserId, WithoutKey]]:
    """Send a text; return who cannot read it, and why."""
    content = {"msgtype": "m.text", "body": body}
    sent = await scene.rooms.send(room, content, txn=secrets.token_hex(8), audience=audience)
    SENT.append((sent.event_id, body))
    return [(entry.user_id, entry.reason) for entry in sent.unreached]


async def a_case(scene: Scene, *people: Someone) -> RoomId:
    """Make a room in which *people* are."""
    room = await scene.rooms.create(NewRoom(nonce=secrets.token_hex(8), name="C-2026-0001"))
    for person in people:
        await scene.rooms.invite(room, person.user_id)
        await person.join(room)
    return room


async def test_a_room_is_found_again_by_its_nonce(scene: Scene) -> None:
    """A repeated creation makes no second room."""
    wanted = NewRoom(nonce=secrets.token_hex(8), name="C-2026-0001")

    assert await scene.rooms.create(wanted) == await scene.rooms.create(wanted)


async def test_another_nonce_is_another_room(scene: Scene) -> None:
    """Two cases never share a room."""
    first = NewRoom(nonce=secrets.token_hex(8), name="C-2026-0001")
    second = replace(first, nonce=secrets.token_hex(8))

    assert await scene.rooms.create(first) != await scene.rooms.create(second)


async def test_a_direct_room_invites_its_person(scene: Scene) -> None:
    """The person of a direct room need not be invited again."""
    doctor = await scene.someone()
    wanted = NewRoom(nonce=secrets.token_hex(8), name="Consilium", direct_with=doctor.user_id)

    room = await scene.rooms.create(wanted)

    assert (await scene.rooms.members(room))[doctor.user_id] == "invite"


async def test_inviting_twice_is_no_error(scene: Scene) -> None:
    """Neither for one who is invited nor for one who is in the room."""
    doctor = await scene.someone()
    room = await scene.rooms.create(NewRoom(nonce=secrets.token_hex(8), name="C-2026-0001"))
    await scene.rooms.invite(room, doctor.user_id)
    await scene.rooms.invite(room, doctor.user_id)
    await doctor.join(room)

    await scene.rooms.invite(room, doctor.user_id)

    assert (await scene.rooms.members(room))[doctor.user_id] == "join"


async def test_members_are_told_by_their_membership(scene: Scene) -> None:
    """The bot itself is one of them."""
    invited, joined, removed = [await scene.someone() for _ in range(3)]
    room = await a_case(scene, joined, removed)
    await scene.rooms.invite(room, invited.user_id)
    await scene.rooms.remove(room, removed.user_id)

    members = await scene.rooms.members(room)

    assert members == {
        scene.rooms.user_id: "join",
        invited.user_id: "invite",
        joined.user_id: "join",
        removed.user_id: "leave",
    }


async def test_removing_one_who_is_not_there_is_no_error(scene: Scene) -> None:
    """The outbox may repeat it."""
    doctor = await scene.someone()
    room = await a_case(scene)

    await scene.rooms.remove(room, doctor.user_id)

    assert (await scene.rooms.members(room)).get(doctor.user_id) in {None, "leave"}


async def test_an_invitation_can_be_withdrawn(scene: Scene) -> None:
    """Whoever has not accepted can be taken back."""
    doctor = await scene.someone()
    room = await a_case(scene)
    await scene.rooms.invite(room, doctor.user_id)

    await scene.rooms.remove(room, doctor.user_id)

    assert (await scene.rooms.members(room))[doctor.user_id] == "leave"


async def test_people_who_do_not_exist_are_known_as_such(scene: Scene) -> None:
    """A typing error in a roster would let in whoever registers that name later."""
    doctor = await scene.someone()

    assert await scene.rooms.exists(doctor.user_id)
    assert not await scene.rooms.exists(
        UserId(f"{doctor.user_id.partition(':')[0]}x:{doctor.user_id.partition(':')[2]}")
    )


async def test_an_identity_is_told_with_its_devices(scene: Scene) -> None:
    """A person with Element has a master key and one device that it vouches for."""
    doctor = await scene.someone()

    identity = await scene.rooms.identity(doctor.user_id)

    assert identity.master_key is not None
    assert [device.cross_signed for device in identity.devices] == [True]


async def test_a_person_without_identity_has_no_master_key(scene: Scene) -> None:
    """Devices alone prove nothing."""
    newcomer = await scene.someone(cross_signed=False)

    identity = await scene.rooms.identity(newcomer.user_id)

    assert identity.master_key is None
    assert [device.cross_signed for device in identity.devices] == [False]


async def test_what_is_sent_is_read_by_its_audience(scene: Scene) -> None:
    """Everyone it is for, and nobody is reported."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)

    unreached = await say(scene, room, "for you", everyone(doctor.user_id))

    assert unreached == []
    assert await doctor.reads(room, "for you")


async def test_a_repeated_send_is_one_event(scene: Scene) -> None:
    """The transaction makes a repeat harmless."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    content = {"msgtype": "m.text", "body": "once"}
    audience = everyone(doctor.user_id)

    first = await scene.rooms.send(room, content, txn="once", audience=audience)
    second = await scene.rooms.send(room, content, txn="once", audience=audience)

    assert first.event_id == second.event_id


async def test_a_member_outside_the_audience_reads_nothing(scene: Scene) -> None:
    """He is named instead."""
    doctor, other = await scene.someone(), await scene.someone()
    room = await a_case(scene, doctor, other)

    unreached = await say(scene, room, "not for all", everyone(doctor.user_id))

    assert unreached == [(other.user_id, WithoutKey.NOT_IN_AUDIENCE)]
    assert not await other.reads(room, "not for all")


async def test_a_pinned_identity_reads_and_a_changed_one_does_not(scene: Scene) -> None:
    """Whoever resets his identity is left out until the pin moves."""
    doctor = await scene.someone(fresh=True)
    room = await a_case(scene, doctor)
    pinned = Audience(pinned={doctor.user_id: (await scene.rooms.identity(doctor.user_id)).master_key})
    first = await say(scene, room, "before the reset", pinned)
    await doctor.reset_identity()

    second = await say(scene, room, "after the reset", pinned)

    assert (first, second) == ([], [(doctor.user_id, WithoutKey.CHANGED_IDENTITY)])
    assert not await doctor.reads(room, "after the reset")


async def test_a_person_without_identity_reads_help_only(scene: Scene) -> None:
    """First contact gets an answer, and nothing else."""
    newcomer = await scene.someone(cross_signed=False)
    room = await a_case(scene, newcomer)

    closed = await say(scene, room, "a case", everyone(newcomer.user_id))
    opened = await say(scene, room, "how to", Audience(pinned={newcomer.user_id: None}, unsigned=True))

    assert (closed, opened) == ([(newcomer.user_id, WithoutKey.NO_IDENTITY)], [])
    assert await newcomer.reads(room, "how to")
    assert not await newcomer.reads(room, "a case")


async def test_a_room_that_the_bot_left_takes_nothing(scene: Scene) -> None:
    """Trying again would not help."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    await scene.rooms.leave(room)

    with pytest.raises(Permanent, match="forbidden"):
        await say(scene, room, "too late", everyone(doctor.user_id))


async def test_leaving_twice_is_no_error(scene: Scene) -> None:
    """The outbox may repeat it."""
    room = await a_case(scene)
    await scene.rooms.leave(room)

    await scene.rooms.leave(room)


async def test_redacting_twice_is_no_error(scene: Scene) -> None:
    """An event that is gone is redacted."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    sent = await scene.rooms.send(
        room, {"msgtype": "m.text", "body": "secret"}, txn="secret", audience=everyone(doctor.user_id)
    )
    await scene.rooms.redact(room, sent.event_id, txn="r1")

    await scene.rooms.redact(room, sent.event_id, txn="r2")


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Yield *data* in uneven pieces."""
    for start in range(0, len(data), 70_001):
        yield data[start : start + 70_001]


async def test_an_upload_is_downloaded_byte_for_byte(scene: Scene) -> None:
    """Whatever its size is."""
    data = secrets.token_bytes(1_000_000)

    file = await scene.rooms.upload(pieces(data), len(data))
    got = b"".join([piece async for piece in scene.rooms.download(file)])

    assert (got, file.size) == (data, len(data))


async def test_an_empty_upload_is_possible(scene: Scene) -> None:
    """0 bytes are a file too."""
    file = await scene.rooms.upload(pieces(b""), 0)

    assert [piece async for piece in scene.rooms.download(file)] == []


async def test_a_wrong_hash_is_noticed_after_the_last_byte(scene: Scene) -> None:
    """Nothing of the file may be used before."""
    file = await scene.rooms.upload(pieces(b"12345"), 5)
    forged = replace(file, sha256=base64.b64encode(hashlib.sha256(b"other").digest()).decode().rstrip("="))

    with pytest.raises(Permanent, match="bad_hash"):
        _ = [piece async for piece in scene.rooms.download(forged)]


@pytest.mark.parametrize("said", [4, 6], ids=["longer than said", "shorter than said"])
async def test_an_upload_of_another_size_than_said_is_refused(scene: Scene, said: int) -> None:
    """A cut or grown source is not taken for the file."""
    with pytest.raises(Permanent, match="wrong_size"):
        await scene.rooms.upload(pieces(b"12345"), said)


async def test_a_medium_that_is_gone_is_no_outside_failure(scene: Scene) -> None:
    """Trying again would not help."""
    file = await scene.rooms.upload(pieces(b"12345"), 5)

    with pytest.raises(Permanent, match="not_found"):
        _ = [piece async for piece in scene.rooms.download(replace(file, url=f"{file.url}x"))]


async def test_the_upload_limit_is_told_in_bytes(scene: Scene) -> None:
    """The homeserver's, not a guess."""
    assert await scene.rooms.upload_limit() == 2**30


async def test_what_people_say_arrives_with_their_device(scene: Scene) -> None:
    """A message of a cross-signed device carries its owner's master key."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    await doctor.say(room, "!opinion take")

    arrival = await scene.inbox.wait_for("!opinion take")

    assert (arrival.sender, arrival.room_id) == (doctor.user_id, room)
    assert arrival.origin is not None
    assert arrival.origin.cross_signed
    assert arrival.origin.master_key == (await scene.rooms.identity(doctor.user_id)).master_key


async def test_an_invitation_arrives_and_can_be_accepted(scene: Scene) -> None:
    """The bot joins nothing by itself."""
    doctor = await scene.someone()
    room = await doctor.invite_bot()
    arrival = await scene.inbox.wait_kind(ArrivalKind.INVITE, room)

    await scene.rooms.join(room)

    assert (arrival.sender, dict(arrival.content)) == (doctor.user_id, {"encrypted": True, "direct": True})
    assert (await scene.rooms.members(room))[scene.rooms.user_id] == "join"


async def test_coming_and_going_arrives(scene: Scene) -> None:
    """Each change of a member is told, with who and what."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    await doctor.leave(room)

    await scene.inbox.wait_until(lambda a: says(a, room, doctor.user_id, "leave"))
    assert any(says(a, room, doctor.user_id, "join") for a in scene.inbox.arrivals)


async def test_dropping_sessions_of_a_room_hinders_nothing_new(scene: Scene) -> None:
    """What comes after an erasure is a new session."""
    doctor = await scene.someone()
    room = await a_case(scene, doctor)
    await say(scene, room, "before the drop", everyone(doctor.user_id))

    await scene.rooms.drop_sessions(room)

    assert await say(scene, room, "after the drop", everyone(doctor.user_id)) == []
    assert await doctor.reads(room, "after the drop")


def says(arrival: Arrival, room: RoomId, user: UserId, membership: str) -> bool:
    """Return whether the arrival tells this of the person."""
    wanted = {"user": user, "membership": membership}
    return arrival.kind is ArrivalKind.MEMBER and arrival.room_id == room and dict(arrival.content) == wanted
