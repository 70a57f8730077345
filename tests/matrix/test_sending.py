"""What the bot sends is read by exactly those it is for, and whoever cannot read it is named."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import RoomId, UserId
from bot.lab.clients import Person
from bot.services.ports import Audience, NewRoom, Unreached, WithoutKey
from tests.matrix.handmade import HandmadeClient
from tests.matrix.proxy import Proxy
from tests.matrix.world import World, everyone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def unreadable(person: Person, event_id: str) -> str | None:
    """Wait for an event and return why the client cannot read it."""
    return (await person.wait_event(event_id, readable=False)).decryption_failure


async def test_a_client_that_excludes_insecure_devices_reads_the_bot_without_a_shield(world: World) -> None:
    """The bot is cross-signed: Element shows no warning, and nobody has to verify it."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)

    sent = await bot.say(room, "hello", everyone(doctor))

    message = await doctor.wait_event(sent.event_id)
    assert (message.body, message.shield) == ("hello", "none")
    assert sent.unreached == ()


async def test_every_event_carries_its_outbox_id_inside(world: World) -> None:
    """The homeserver forgets transaction ids after a day; the bot finds its own events by this."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)

    sent = await bot.say(room, "hello", everyone(doctor), txn="outbox-7")

    assert (await doctor.wait_event(sent.event_id)).content["org.consilium.txn"] == "outbox-7"


async def test_a_repeat_with_the_same_transaction_is_the_same_event(world: World) -> None:
    """The outbox repeats what it got no answer to; people see it once."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)

    first = await bot.say(room, "hello", everyone(doctor), txn="outbox-8")
    second = await bot.say(room, "hello", everyone(doctor), txn="outbox-8")

    assert first.event_id == second.event_id


async def test_an_event_is_found_again_by_its_outbox_id(world: World) -> None:
    """After more than a day the homeserver would take a repeat for a new event: the bot looks first."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    before = datetime.now(UTC) - timedelta(minutes=1)
    sent = await bot.say(room, "hello", everyone(doctor), txn="outbox-9")
    await bot.restart()

    assert await bot.engine.find_sent(room, "outbox-9", since=before) == sent.event_id
    assert await bot.engine.find_sent(room, "outbox-10", since=before) is None


async def test_the_last_one_invited_reads_the_first_message(world: World) -> None:
    """Sent at once after the invitations: nobody is missed because a sync has not come yet."""
    bot = await world.bot()
    people = [await world.person(auto_accept=True) for _ in range(3)]
    await bot.meet(*people)
    room = await bot.engine.create(NewRoom(nonce="dossier-1", name="C-2026-0001"))
    for person in people:
        await bot.engine.invite(room, UserId(person.user_id))

    sent = await bot.say(room, "dossier", everyone(*people))

    assert sent.unreached == ()
    bodies = [(await person.wait_event(sent.event_id)).body for person in people]
    assert bodies == ["dossier"] * 3


async def test_a_late_expert_reads_what_comes_and_not_what_was(world: World) -> None:
    """He gets the keys from his invitation on; the earlier conversation stays closed."""
    bot = await world.bot()
    doctor, late = await world.person(), await world.person()
    await bot.meet(late)
    room = await bot.case_room(doctor)
    await bot.say(room, "before", everyone(doctor, late))
    await bot.engine.invite(room, UserId(late.user_id))
    sent = await bot.say(room, "after", everyone(doctor, late))

    await late.wait_invite(bot.user_id)
    await late.accept(room)

    assert (await late.wait_event(sent.event_id)).body == "after"
    assert "before" not in [message.body for message in late.messages(room)]


async def test_an_unsigned_device_gets_nothing_and_is_named(world: World) -> None:
    """A device that its owner did not sign could be anybody's: it gets no key and is told so."""
    bot = await world.bot()
    doctor = await world.person(fresh=True)
    room = await bot.direct_with(doctor)
    unsigned = await doctor.new_device(cross_sign=False)

    sent = await bot.say(room, "secret", everyone(doctor))

    assert sent.unreached == (
        Unreached(user_id=UserId(doctor.user_id), device_id=unsigned.device_id, reason=WithoutKey.UNSIGNED_DEVICE),  # type: ignore[arg-type]  # the lab speaks in plain strings
    )
    assert await unreadable(unsigned, sent.event_id) == "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE"
    assert (await doctor.wait_event(sent.event_id)).body == "secret"


async def test_a_help_text_reaches_a_person_without_identity(world: World) -> None:
    """With `unsigned` a first contact can be answered; without it nothing is readable for him."""
    bot = await world.bot()
    newcomer = await world.person(cross_sign=False)
    room = await bot.direct_with(newcomer)
    user = UserId(newcomer.user_id)

    closed = await bot.say(room, "case", everyone(newcomer))
    open_to_him = await bot.say(room, "help", Audience(pinned={user: None}, unsigned=True))

    assert closed.unreached == (Unreached(user_id=user, device_id=None, reason=WithoutKey.NO_IDENTITY),)
    assert open_to_him.unreached == ()
    assert (await newcomer.wait_event(open_to_him.event_id)).body == "help"
    assert await unreadable(newcomer, closed.event_id) is not None


async def test_what_an_unsigned_device_could_read_ends_with_the_help_text(world: World) -> None:
    """The session that an unsigned device holds is not used for what only signed ones may read."""
    bot = await world.bot()
    newcomer = await world.person(cross_sign=False)
    room = await bot.direct_with(newcomer)
    opened = await bot.say(room, "help", Audience(pinned={UserId(newcomer.user_id): None}, unsigned=True))
    await newcomer.wait_event(opened.event_id)

    sent = await bot.say(room, "case", everyone(newcomer))

    assert await unreadable(newcomer, sent.event_id) is not None


async def test_a_changed_master_key_gets_nothing(world: World) -> None:
    """Whoever resets his identity is left out until the pin moves."""
    bot = await world.bot()
    doctor = await world.person(fresh=True)
    room = await bot.direct_with(doctor)
    pinned = Audience(pinned={UserId(doctor.user_id): await doctor.identity()})
    before = await bot.say(room, "before", pinned)
    await doctor.wait_event(before.event_id)
    await doctor.reset_identity()

    sent = await bot.say(room, "after", pinned)

    reasons = [(entry.device_id, entry.reason) for entry in sent.unreached]
    assert reasons == [(None, WithoutKey.CHANGED_IDENTITY)]
    assert await unreadable(doctor, sent.event_id) is not None


async def test_a_moved_pin_opens_the_room_again(world: World) -> None:
    """After `recover` the new identity reads what is sent from then on."""
    bot = await world.bot()
    doctor = await world.person(fresh=True)
    room = await bot.direct_with(doctor)
    await bot.say(room, "before", everyone(doctor))
    master = await doctor.reset_identity()

    sent = await bot.say(room, "after", Audience(pinned={UserId(doctor.user_id): master}))

    assert (await doctor.wait_event(sent.event_id)).body == "after"


async def test_a_member_outside_the_audience_gets_nothing(world: World) -> None:
    """Being in the room is not enough: somebody may have let him in."""
    bot = await world.bot()
    doctor, other = await world.person(), await world.person()
    room = await bot.case_room(doctor, other)

    sent = await bot.say(room, "for one", everyone(doctor))

    assert [(entry.user_id, entry.reason) for entry in sent.unreached] == [(other.user_id, WithoutKey.NOT_IN_AUDIENCE)]
    assert await unreadable(other, sent.event_id) is not None


async def test_a_leaver_cannot_read_what_comes_after_even_with_the_ciphertext(world: World) -> None:
    """The session that he holds is never used again."""
    bot = await world.bot()
    doctor, leaver = await world.person(), await world.person()
    room = await bot.case_room(doctor, leaver)
    first = await bot.say(room, "for both", everyone(doctor, leaver))
    await leaver.wait_event(first.event_id)
    await bot.engine.remove(room, UserId(leaver.user_id))

    sent = await bot.say(room, "for one", everyone(doctor, leaver))

    await doctor.wait_event(sent.event_id)
    assert await session_of(world, doctor, room, sent.event_id) != await session_of(world, doctor, room, first.event_id)


async def test_a_leaver_during_the_key_share_ends_the_session(world: World) -> None:
    """Removed while keys are on their way: the message goes out in a session that he never had."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor, leaver = await world.person(), await world.person()
        room = await bot.case_room(doctor, leaver)
        held = proxy.hang("PUT .*/sendToDevice/m.room.encrypted/")
        sending = asyncio.create_task(bot.say(room, "for one", everyone(doctor, leaver)))
        await held.held.wait()
        await bot.engine.remove(room, UserId(leaver.user_id))
        held.free.set()

        sent = await sending

        await doctor.wait_event(sent.event_id)
        keys = await leaver.export_keys()
        assert await session_of(world, doctor, room, sent.event_id) not in keys


async def test_a_new_device_reads_the_next_message(world: World) -> None:
    """Devices that changed are asked for before each send."""
    bot = await world.bot()
    doctor = await world.person(fresh=True)
    room = await bot.direct_with(doctor)
    await bot.say(room, "first", everyone(doctor))
    second = await doctor.new_device()
    await bot.engine.identity(UserId(doctor.user_id))

    sent = await bot.say(room, "second", everyone(doctor))

    assert (await second.wait_event(sent.event_id)).body == "second"


async def test_a_device_with_the_bots_device_id_is_served(world: World) -> None:
    """nio takes any device of that name for its own and gives it nothing."""
    bot = await world.bot()
    account = await world.account()
    twin = await world.homeserver.login(account, device_id=bot.account.device_id)
    doctor = await world.clients.login(twin)
    room = await bot.direct_with(doctor)

    sent = await bot.say(room, "hello", everyone(doctor))

    assert (await doctor.wait_event(sent.event_id)).body == "hello"


async def test_a_device_without_one_time_keys_is_named(world: World) -> None:
    """A device that cannot be given the key is reported, not passed over."""
    bot = await world.bot()
    empty = HandmadeClient(world.homeserver, await world.account())
    await empty.upload_keys(one_time_keys=0)
    room = RoomId(await empty.open_room(bot.user_id))
    await bot.inbox.wait_until(lambda a: a.room_id == room)
    await bot.engine.join(room)

    sent = await bot.say(room, "hello", Audience(pinned={UserId(empty.user_id): None}, unsigned=True))

    assert [(u.device_id, u.reason) for u in sent.unreached] == [(empty.device_id, WithoutKey.NO_ONE_TIME_KEY)]


async def test_a_hung_key_claim_blocks_no_room(world: World) -> None:
    """The message goes out, the device is named, and it gets the key of that very message later."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor = await world.person(fresh=True)
        room = await bot.direct_with(doctor)
        await bot.engine.drop_sessions(room)
        fresh = await doctor.new_device()
        await bot.engine.identity(UserId(doctor.user_id))
        fault = proxy.hang("POST .*/keys/claim", times=1000)

        sent = await bot.say(room, "not blocked", everyone(doctor))

        assert WithoutKey.SHARE_FAILED in [entry.reason for entry in sent.unreached]
        fault.times = 0
        assert (await fresh.wait_event(sent.event_id)).body == "not blocked"


async def test_a_failed_key_share_is_tried_again(world: World) -> None:
    """One refused /sendToDevice costs nothing: it is sent again before the message."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor = await world.person()
        room = await bot.direct_with(doctor)
        proxy.answer("PUT .*/sendToDevice/", 500)

        sent = await bot.say(room, "hello", everyone(doctor))

        assert sent.unreached == ()
        assert (await doctor.wait_event(sent.event_id)).body == "hello"


async def test_a_key_share_that_fails_for_good_is_reported_and_made_up_for(world: World) -> None:
    """The message is out; whoever could not get its key is named and gets it when the homeserver works again."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor = await world.person()
        room = await bot.direct_with(doctor)
        fault = proxy.answer("PUT .*/sendToDevice/", 500, times=1000)

        sent = await bot.say(room, "hello", everyone(doctor))

        assert [entry.reason for entry in sent.unreached] == [WithoutKey.SHARE_FAILED]
        fault.times = 0
        assert (await doctor.wait_event(sent.event_id)).body == "hello"


async def test_a_limited_send_says_how_long_to_wait(world: World) -> None:
    """429 goes to the caller with the seconds of `Retry-After`: the outbox waits, the engine does not."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor = await world.person()
        room = await bot.direct_with(doctor)
        proxy.answer("PUT .*/send/m.room.encrypted/", 429, headers={"Retry-After": "17"})

        with pytest.raises(ExternalError, match="limited") as limited:
            await bot.say(room, "hello", everyone(doctor))

        assert limited.value.retry_after == 17


async def test_nothing_is_sent_into_a_room_without_encryption(world: World) -> None:
    """Never in clear: the room's state decides, not a belief."""
    bot = await world.bot()
    doctor = await world.person()
    room = RoomId(await doctor.create_room(bot.user_id, encrypted=False))
    await bot.inbox.wait_until(lambda a: a.room_id == room)
    await bot.engine.join(room)

    with pytest.raises(Permanent, match="not_encrypted"):
        await bot.say(room, "hello", everyone(doctor))

    assert not [event for event in doctor.messages(room) if event.sender == bot.user_id]


async def test_a_session_serves_at_most_a_hundred_messages(world: World) -> None:
    """A room may ask for fewer: then its number counts."""
    bot = await world.bot()
    client = HandmadeClient(world.homeserver, await world.account())
    await client.upload_keys()
    room = RoomId(await client.open_room(bot.user_id))
    await bot.inbox.wait_until(lambda a: a.room_id == room)
    settings = {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 2}
    await client.call("PUT", f"/rooms/{quote(room)}/state/m.room.encryption/", settings)
    await bot.engine.join(room)

    events = [(await bot.say(room, "x", everyone(client.user_id))).event_id for _ in range(3)]

    sessions = [
        (await client.call("GET", f"/rooms/{quote(room)}/event/{event}"))["content"]["session_id"] for event in events
    ]
    assert sessions[0] == sessions[1] != sessions[2]


async def test_after_a_restart_rooms_are_known_at_once(world: World) -> None:
    """Nothing waits for a sync: the first thing after a start can be a send."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.case_room(doctor)
    await bot.restart()

    sent = await bot.say(room, "back", everyone(doctor))

    assert (await doctor.wait_event(sent.event_id)).body == "back"


async def test_a_broken_olm_session_is_mended_and_its_keys_given_again(world: World) -> None:
    """A device that starts anew gets the sessions again that it may have lost."""
    bot = await world.bot()
    client = HandmadeClient(world.homeserver, await world.account())
    await client.upload_keys()
    room = RoomId(await client.open_room(bot.user_id))
    await bot.inbox.wait_until(lambda a: a.room_id == room)
    await bot.engine.join(room)
    await bot.say(room, "hello", Audience(pinned={UserId(client.user_id): None}, unsigned=True))
    before = len(await client.to_device())
    await client.meet(bot.user_id)

    await client.send_olm(client.olm_payload("m.dummy", {}))

    assert before == 1
    assert len(await client.wait_to_device(2)) == 2


async def test_dropped_sessions_are_gone_from_memory_and_disk(world: World) -> None:
    """What was read in a room cannot be read again from the bot's store after its case is erased."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    sent = await bot.say(room, "hello", everyone(doctor))
    session = await session_of(world, doctor, room, sent.event_id)
    assert session.encode() in (bot.folder / "keys.db").read_bytes()

    await bot.engine.drop_sessions(room)

    assert session.encode() not in (bot.folder / "keys.db").read_bytes()


async def session_of(world: World, person: Person, room: RoomId, event_id: str) -> str:
    """Return the Megolm session id of an event, as the homeserver has it."""
    path = f"/_matrix/client/v3/rooms/{quote(room)}/event/{quote(event_id)}"
    event = await world.homeserver.call("GET", path, token=person.account)
    return str(event["content"]["session_id"])
