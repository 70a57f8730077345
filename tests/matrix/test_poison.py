"""What nobody should send: each reproduced as ending nio's sync loop, here each contained and counted."""

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from bot.services.ports import ArrivalKind
from tests.matrix.handmade import OLM, HandmadeClient
from tests.matrix.world import Bot, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEEP = b'{"a":' * 2000 + b"1" + b"}" * 2000
A_KEY = "A" * 43


async def handmade(world: World, bot: Bot) -> HandmadeClient:
    """Return a fresh device that has met the bot."""
    client = HandmadeClient(world.homeserver, await world.account("handmade"))
    await client.upload_keys()
    await client.meet(bot.user_id)
    return client


async def a_room(client: HandmadeClient, bot: Bot) -> str:
    """Return a room of *client* that the bot has joined."""
    room = await client.open_room(bot.user_id)
    await bot.engine.join((await bot.inbox.wait_kind(ArrivalKind.INVITE, room)).room_id)
    return room


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A bot, a member of a room with it, and a stranger, for all rows of the tables."""

    bot: Bot
    doctor: HandmadeClient
    stranger: HandmadeClient
    room: str

    def contained(self) -> int:
        """Return how much was contained so far."""
        return self.bot.tally.total("matrix_contained")

    async def still_hears(self) -> None:
        """Let the doctor say something new, in a new session, and wait for it."""
        self.doctor.renew_session()
        await self.doctor.share(self.room)
        body = secrets.token_hex(8)
        await self.doctor.send_event(self.room, self.doctor.message(self.room, body))
        await self.bot.inbox.wait_for(body)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(shared_world: World) -> AsyncIterator[Company]:
    bot = await shared_world.bot(shared=True)
    doctor, stranger = await handmade(shared_world, bot), await handmade(shared_world, bot)
    room = await a_room(doctor, bot)
    await doctor.share(room)
    yield Company(bot=bot, doctor=doctor, stranger=stranger, room=room)
    await bot.stop()


Poison = Callable[[HandmadeClient], Awaitable[None]]

TO_DEVICE: dict[str, Poison] = {
    "garbage as first Olm message": lambda c: c.send_olm_message({"type": 0, "body": "AAAA"}),
    "garbage as later Olm message": lambda c: c.send_olm_message({"type": 1, "body": "AAAA"}),
    "no base64": lambda c: c.send_olm_message({"type": 0, "body": "é!"}),
    "a number for a body": lambda c: c.send_olm_message({"type": 0, "body": 7}),
    "an unknown Olm type": lambda c: c.send_olm_message({"type": 9, "body": "AAAA"}),
    "a list for a message": lambda c: c.send_olm_message([]),
    "no ciphertext for the bot": lambda c: c.send_to_device(
        "m.room.encrypted", {"algorithm": OLM, "sender_key": c.curve25519, "ciphertext": {}}
    ),
    "a list for ciphertexts": lambda c: c.send_to_device(
        "m.room.encrypted", {"algorithm": OLM, "sender_key": A_KEY, "ciphertext": []}
    ),
    "a number for a sender key": lambda c: c.send_to_device("m.room.encrypted", {"algorithm": OLM, "sender_key": 1}),
    "another algorithm": lambda c: c.send_to_device("m.room.encrypted", {"algorithm": "m.olm.v9"}),
    "Olm text that is not UTF-8": lambda c: c.send_olm(b"\xff\xfe"),
    "Olm text that is a list": lambda c: c.send_olm(b"[]"),
    "Olm text that is 2000 levels deep": lambda c: c.send_olm(DEEP),
    "an integer of 5000 digits": lambda c: c.send_olm(b'{"a":' + b"9" * 5000 + b"}"),
    "another sender inside": lambda c: c.send_olm(c.olm_payload("m.dummy", {}, sender="@else:hospital.localhost")),
    "another recipient inside": lambda c: c.send_olm(c.olm_payload("m.dummy", {}, recipient=c.user_id)),
    "another recipient key inside": lambda c: c.send_olm(
        c.olm_payload("m.dummy", {}, recipient_keys={"ed25519": A_KEY})
    ),
    "keys that are no object": lambda c: c.send_olm(c.olm_payload("m.dummy", {}, keys=[])),
    "a type that is no text": lambda c: c.send_olm(c.olm_payload("m.dummy", {}, type=5)),
    "a room key without a key": lambda c: c.send_olm(c.olm_payload("m.room_key", {})),
    "a room key with a broken key": lambda c: c.send_olm(
        c.olm_payload("m.room_key", c.room_key("!r:hospital.localhost", session_key="AgAA"))
    ),
    "a room key with another id": lambda c: c.send_olm(
        c.olm_payload("m.room_key", c.room_key("!r:hospital.localhost", session_id=A_KEY))
    ),
    "a room key for a number": lambda c: c.send_olm(c.olm_payload("m.room_key", c.room_key("x") | {"room_id": 3})),
    "a room key of another algorithm": lambda c: c.send_olm(
        c.olm_payload("m.room_key", c.room_key("!r:hospital.localhost", algorithm="m.megolm.v9"))
    ),
}


@pytest.mark.parametrize("poison", TO_DEVICE.values(), ids=TO_DEVICE.keys())
async def test_a_poisoned_to_device_message_stops_nothing(company: Company, poison: Poison) -> None:
    """A stranger's to-device message is contained and counted; what comes behind it is handled."""
    before = company.contained()

    await poison(company.stranger)

    await company.still_hears()
    assert company.contained() == before + 1


ROOM: dict[str, Callable[[HandmadeClient, str], object]] = {
    "Megolm text that is not UTF-8": lambda c, room: c.megolm(b"\xff\xfe"),
    "Megolm text that is a list": lambda c, room: c.megolm(b"[]"),
    "Megolm text that is a number": lambda c, room: c.megolm(b"5"),
    "an integer of 5000 digits": lambda c, room: c.megolm(b'{"a":' + b"9" * 5000 + b"}"),
    "JSON of 2000 levels": lambda c, room: c.megolm(DEEP),
    "NaN": lambda c, room: c.megolm(
        json.dumps({"room_id": room, "type": "m.room.message", "content": {"x": float("nan")}}).encode()
    ),
    "another room inside": lambda c, room: c.message("!other:hospital.localhost", "x"),
    "no room inside": lambda c, room: c.megolm(b'{"type":"m.room.message","content":{}}'),
    "content that is a list": lambda c, room: c.megolm(
        json.dumps({"room_id": room, "type": "m.room.message", "content": []}).encode()
    ),
    "a type that is no text": lambda c, room: c.megolm(
        json.dumps({"room_id": room, "type": {}, "content": {}}).encode()
    ),
    "garbage for a ciphertext": lambda c, room: c.megolm(b"x", ciphertext="AAAA"),
    "a number for a ciphertext": lambda c, room: c.megolm(b"x", ciphertext=4),
    "a list for a session id": lambda c, room: c.megolm(b"x", session_id=[]),
    "another algorithm": lambda c, room: c.megolm(b"x", algorithm="m.megolm.v9"),
    "nothing but an algorithm": lambda c, room: {"algorithm": "m.megolm.v1.aes-sha2"},
}


@pytest.mark.parametrize("poison", ROOM.values(), ids=ROOM.keys())
async def test_a_poisoned_room_event_stops_nothing(
    company: Company, poison: Callable[[HandmadeClient, str], object]
) -> None:
    """A member's event is contained and counted; what comes behind it is handled."""
    before = company.contained()

    await company.doctor.send_event(company.room, poison(company.doctor, company.room))

    await company.still_hears()
    assert company.contained() == before + 1


async def test_poison_in_one_batch_with_a_message_and_its_key_takes_neither_away(world: World) -> None:
    """The batch in which a stranger's poison stands brings everything else that is in it."""
    bot = await world.bot()
    stranger, doctor = await handmade(world, bot), await handmade(world, bot)
    room = await a_room(doctor, bot)
    await bot.stop()
    for poison in TO_DEVICE.values():
        await poison(stranger)
    await doctor.share(room)
    for content in ROOM.values():
        await doctor.send_event(room, content(doctor, room))
    await doctor.send_event(room, doctor.message(room, "after the poison"))

    await bot.start()

    await bot.inbox.wait_for("after the poison")
    assert bot.tally.total("matrix_contained") == len(TO_DEVICE) + len(ROOM)


async def test_a_first_message_for_a_key_that_is_gone_is_contained(world: World) -> None:
    """A pre-key message replayed, or for a one-time key of a lost store, raises nothing."""
    bot = await world.bot()
    stranger, doctor = await handmade(world, bot), await handmade(world, bot)
    room = await a_room(doctor, bot)
    stranger.meet_by_a_key_that_nobody_has()
    await stranger.send_olm(stranger.olm_payload("m.dummy", {}))
    await doctor.share(room)

    await doctor.send_event(room, doctor.message(room, "after the poison"))

    await bot.inbox.wait_for("after the poison")
    assert bot.tally.total("matrix_contained") == 1


async def test_lone_surrogates_do_not_reach_a_database(world: World) -> None:
    """JSON may carry half a character, which no database takes: it is replaced."""
    bot = await world.bot()
    doctor = await handmade(world, bot)
    room = await a_room(doctor, bot)
    await doctor.share(room)
    payload = f'{{"room_id":"{room}","type":"m.room.message","content":{{"msgtype":"m.text","body":"\\ud800x"}}}}'

    await doctor.send_event(room, doctor.megolm(payload.encode()))

    await bot.inbox.wait_for("?x")


async def test_json_nested_to_the_homeservers_limit_stops_nothing(world: World) -> None:
    """The deepest JSON that the homeserver takes is parsed here, and dropped before it reaches anything recursive."""
    bot = await world.bot()
    stranger, doctor = await handmade(world, bot), await handmade(world, bot)
    room = await a_room(doctor, bot)
    await bot.stop()
    for depth in range(860, 950, 10):
        await stranger.send_to_device_text("m.dummy", '{"a":' + "[" * depth + "]" * depth + "}")
    await doctor.share(room)
    await doctor.send_event(room, {"msgtype": "m.text", "body": "deep", "deep": nested(100)}, "m.room.message")
    await doctor.send_event(room, doctor.message(room, "after the poison"))

    await bot.start()

    await bot.inbox.wait_for("after the poison")
    assert bot.tally.total("matrix_contained", what="json_depth") == 1


def nested(levels: int) -> object:
    """Return a list in a list in a list."""
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value
