"""Everything that is sent to the bot reaches the services once, in order, bound to the device that sent it."""

import asyncio
from collections.abc import Mapping

import pytest

from bot.adapters.matrix.arrivals import OUTSIDE
from bot.domain.ids import RoomId, UserId
from bot.services.ports import ArrivalKind
from tests.matrix.handmade import HandmadeClient
from tests.matrix.inbox import PowerCut
from tests.matrix.world import Bot, World, everyone, is_member

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def acquainted(world: World, bot: Bot) -> tuple[HandmadeClient, str]:
    """Return a handmade device that has met the bot, and a room of theirs with its session shared."""
    client = HandmadeClient(world.homeserver, await world.account("handmade"))
    await client.upload_keys()
    await client.meet(bot.user_id)
    room = await client.open_room(bot.user_id)
    await bot.engine.join((await bot.inbox.wait_kind(ArrivalKind.INVITE, room)).room_id)
    await client.share(room)
    return client, room


async def test_a_message_comes_with_the_device_that_sent_it(world: World) -> None:
    """A message of a client that excludes insecure devices carries its device and its owner's identity."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)

    await doctor.send(room, "!opinion help")

    arrival = await bot.inbox.wait_for("!opinion help")
    assert arrival.origin is not None
    assert arrival.origin.cross_signed
    assert arrival.origin.device_id == doctor.device_id
    assert arrival.origin.master_key == await doctor.identity()


async def test_what_was_said_between_invitation_and_join_is_read(world: World) -> None:
    """People type before the bot has joined; the keys came with the invitation."""
    bot = await world.bot()
    doctor = await world.person()
    room = await doctor.create_dm(bot.user_id)
    await doctor.send(room, "typed at once")

    await bot.engine.join((await bot.inbox.wait_kind(ArrivalKind.INVITE, room)).room_id)

    await bot.inbox.wait_for("typed at once")


async def test_twenty_five_messages_sent_while_the_bot_was_off_come_once_and_in_order(world: World) -> None:
    """A gap is filled, whatever the homeserver's timeline limit; nio delivers ten."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    await bot.stop()
    wanted = [f"message {number}" for number in range(25)]
    for body in wanted:
        await client.send_event(room, client.message(room, body))

    await bot.start()

    await bot.inbox.wait_for("message 24")
    assert bot.inbox.bodies(room) == wanted


async def test_a_gap_longer_than_the_timeline_limit_is_filled_from_the_history(world: World) -> None:
    """More events than one sync answer holds are paged, oldest first."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    await bot.stop()
    wanted = [f"message {number}" for number in range(110)]
    for body in wanted:
        await client.send_event(room, client.message(room, body))

    await bot.start()

    await bot.inbox.wait_for("message 109")
    assert bot.inbox.bodies(room) == wanted


async def test_more_room_keys_than_one_sync_holds_are_drained_before_messages_are_judged(world: World) -> None:
    """Synapse hands out 100 to-device messages a sync: nothing is undecryptable only because its key comes later."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    await bot.stop()
    await asyncio.gather(*(client.send_to_device("m.dummy", {}) for _ in range(120)))
    client.renew_session()
    await client.share(room)
    await client.send_event(room, client.message(room, "behind many keys"))

    await bot.start()

    await bot.inbox.wait_for("behind many keys")
    assert not bot.inbox.of_kind(ArrivalKind.UNDECRYPTABLE)


async def test_a_power_cut_between_receiving_and_storing_loses_nothing(world: World) -> None:
    """The token is stored with its events: what was received and not stored comes again."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    await client.send_event(room, client.message(room, "before"))
    await bot.inbox.wait_for("before")
    bot.inbox.cut_power = True
    await client.send_event(room, client.message(room, "during"))
    assert bot.loop is not None
    with pytest.raises(PowerCut):
        await bot.loop
    bot.inbox.cut_power = False

    await bot.restart()

    await bot.inbox.wait_for("during")
    assert bot.inbox.bodies(room) == ["before", "during"]


async def test_a_lost_token_repeats_no_message(world: World) -> None:
    """An initial sync brings the last events again: they have the same ids."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    await client.send_event(room, client.message(room, "once"))
    await bot.inbox.wait_for("once")
    await bot.stop()
    bot.inbox.token = None
    await client.send_event(room, client.message(room, "later"))

    await bot.start()

    await bot.inbox.wait_for("later")
    assert bot.inbox.bodies(room) == ["once", "later"]


async def test_the_same_ciphertext_under_a_new_event_id_has_the_same_fingerprint(world: World) -> None:
    """A homeserver that replays a message cannot make it a new command."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    sealed = client.message(room, "take")
    await client.send_event(room, sealed)
    await client.send_event(room, sealed)

    await client.send_event(room, client.message(room, "end"))

    await bot.inbox.wait_for("end")
    assert bot.inbox.bodies(room) == ["take", "end"]


async def test_the_same_ciphertext_written_differently_has_the_same_fingerprint(world: World) -> None:
    """Base64 can be padded or not: it is the same message."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    # The first of a few lengths whose base64 wants padding.
    several = (client.message(room, "take", filler="x" * length) for length in range(0, 64, 8))
    sealed = next(content for content in several if len(content["ciphertext"]) % 4)
    padding = "=" * (-len(sealed["ciphertext"]) % 4)
    await client.send_event(room, sealed)
    await client.send_event(room, sealed | {"ciphertext": sealed["ciphertext"] + padding})

    await client.send_event(room, client.message(room, "end"))

    await bot.inbox.wait_for("end")
    assert bot.inbox.bodies(room) == ["take", "end"]


async def test_a_message_whose_key_comes_later_waits_for_it(world: World) -> None:
    """It is handed over as undecryptable, and again when the key is there."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    client.renew_session()
    await client.send_event(room, client.message(room, "keyless"))
    await bot.inbox.wait_kind(ArrivalKind.UNDECRYPTABLE, room)

    await client.share_from_start(room)

    arrival = await bot.inbox.wait_for("keyless")
    assert arrival.origin is not None


async def test_a_key_that_came_before_a_crash_opens_what_waits(world: World) -> None:
    """The key is stored before the crash, the waiting event after it: a start tries everything that waits."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    client.renew_session()
    await client.send_event(room, client.message(room, "keyless"))
    waiting = await bot.inbox.wait_kind(ArrivalKind.UNDECRYPTABLE, room)
    await client.share_from_start(room)
    await bot.inbox.wait_for("keyless")
    await bot.inbox.decrypted(waiting)

    await bot.restart()

    await bot.inbox.wait_for("keyless")


async def test_a_senders_name_on_a_colleagues_message_proves_nothing(world: World) -> None:
    """An event of one account with the session of another has no device and is not cross-signed."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)
    mallory = HandmadeClient(world.homeserver, await world.account("mallory"))
    await mallory.upload_keys()
    await doctor.call("POST", f"/rooms/{room}/invite", {"user_id": mallory.user_id})
    await mallory.accept(room)

    await mallory.send_event(room, doctor.message(room, "sign 123456"))

    arrival = await bot.inbox.wait_for("sign 123456")
    assert arrival.sender == mallory.user_id
    assert arrival.origin is not None
    assert (arrival.origin.device_id, arrival.origin.cross_signed) == ("", False)
    assert bot.tally.total("matrix_forged_sender") == 1


async def test_a_colleague_cannot_put_a_session_under_his_own_name(world: World) -> None:
    """A member who passes on somebody's session changes nothing about whose messages it opens."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)
    mallory = HandmadeClient(world.homeserver, await world.account("mallory"))
    await mallory.upload_keys()
    await mallory.meet(bot.user_id)
    await mallory.send_olm(mallory.olm_payload("m.room_key", doctor.room_key(room)))

    await doctor.send_event(room, doctor.message(room, "mine"))
    await bot.inbox.wait_for("mine")
    await bot.restart()
    await doctor.send_event(room, doctor.message(room, "mine after a restart"))

    arrival = await bot.inbox.wait_for("mine after a restart")
    assert arrival.origin is not None
    assert (arrival.origin.device_id, arrival.origin.curve25519) == (doctor.device_id, doctor.curve25519)


async def test_events_without_the_deprecated_sender_key_are_read(world: World) -> None:
    """`sender_key` and `device_id` are no longer required in an encrypted event, and never believed."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    sealed = client.message(room, "short form")
    del sealed["sender_key"], sealed["device_id"]

    await client.send_event(room, sealed)

    arrival = await bot.inbox.wait_for("short form")
    assert arrival.origin is not None
    assert arrival.origin.device_id == client.device_id


async def test_an_edit_is_known_as_one(world: World) -> None:
    """An edit made by Element's core has relation and new content inside the encrypted part."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    first = await doctor.send(room, "LVEF 35")
    await doctor.send(room, "LVEF 55", edit_of=first)

    arrival = await bot.inbox.wait_until(lambda a: a.edits == first)

    assert arrival.edit_is_inside


async def test_a_relation_that_only_the_clear_part_has_is_marked(world: World) -> None:
    """The homeserver can make a message an edit: it is one, but not from inside."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    first = await client.send_event(room, client.message(room, "first"))
    relation = {"rel_type": "m.replace", "event_id": first}

    await client.send_event(room, client.message(room, "forged edit") | {"m.relates_to": relation})

    arrival = await bot.inbox.wait_for("forged edit")
    assert (arrival.edits, arrival.edit_is_inside) == (first, False)
    assert arrival.content[OUTSIDE] == ["m.relates_to"]


async def test_clear_messages_reactions_and_redactions_have_no_origin(world: World) -> None:
    """What was not encrypted is handed over as such."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    event = await doctor.send(room, "to be redacted")
    await bot.inbox.wait_for("to be redacted")
    await doctor.send_plain(room, "in clear")
    relation = {"rel_type": "m.annotation", "event_id": event, "key": "2"}
    await doctor.send_plain_raw(room, "m.reaction", {"m.relates_to": relation})

    await doctor.redact(room, event)

    redaction = await bot.inbox.wait_kind(ArrivalKind.REDACTION, room)
    clear = await bot.inbox.wait_for("in clear")
    assert redaction.content["redacts"] == event
    assert clear.origin is None
    assert bot.inbox.of_kind(ArrivalKind.REACTION, room)[0].origin is None


async def test_members_who_came_and_went_while_the_bot_was_off_are_told(world: World) -> None:
    """Changes of members in a gap become arrivals too."""
    bot = await world.bot()
    doctor, expert = await world.person(auto_accept=True), await world.person(auto_accept=True)
    room = await bot.case_room(doctor, expert)
    await bot.stop()

    await expert.leave(room)
    await bot.start()

    await bot.inbox.wait_until(lambda a: is_member(a, room, expert.user_id, "leave"))


async def test_being_removed_from_a_room_is_told(world: World) -> None:
    """When somebody removes the bot it learns by whom."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)

    await doctor.call("POST", f"/rooms/{room}/ban", {"user_id": bot.user_id})

    left = await bot.inbox.wait_kind(ArrivalKind.LEFT, room)
    assert left.content == {"by": doctor.user_id, "membership": "ban"}


async def test_being_removed_while_the_bot_was_off_hinders_no_start(world: World) -> None:
    """The room is told as left, everything else goes on."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)
    other, second = await acquainted(world, bot)
    await bot.stop()
    await doctor.call("POST", f"/rooms/{room}/kick", {"user_id": bot.user_id})
    await other.send_event(second, other.message(second, "elsewhere"))

    await bot.start()

    await bot.inbox.wait_for("elsewhere")
    left = await bot.inbox.wait_kind(ArrivalKind.LEFT, room)
    assert left.content == {"by": doctor.user_id, "membership": "leave"}


async def test_a_member_whose_leave_event_is_strange_has_left_all_the_same(world: World) -> None:
    """Nothing in a membership event but its one word counts, so nothing can hide it."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)
    deep: object = 1
    for _ in range(90):
        deep = [deep]
    content = {"membership": "leave", "deep": deep}
    expert = HandmadeClient(world.homeserver, await world.account("expert"))
    await doctor.call("POST", f"/rooms/{room}/invite", {"user_id": expert.user_id})
    await expert.accept(room)

    await expert.call("PUT", f"/rooms/{room}/state/m.room.member/{expert.user_id}", content)

    await bot.inbox.wait_until(lambda a: is_member(a, RoomId(room), expert.user_id, "leave"))


async def test_an_upgraded_room_names_the_one_that_replaces_it(world: World) -> None:
    """The tombstone is handed over; whether its sender may is looked up where it matters."""
    bot = await world.bot()
    doctor, room = await acquainted(world, bot)

    upgraded = await doctor.call("POST", f"/rooms/{room}/upgrade", {"new_version": "11"})

    tombstone = await bot.inbox.wait_kind(ArrivalKind.TOMBSTONE, room)
    assert tombstone.content == {"replacement_room": upgraded["replacement_room"]}


async def test_an_invitation_says_whether_the_room_is_encrypted_and_direct(world: World) -> None:
    """The bot accepts only encrypted one-to-one rooms: it must know before."""
    bot = await world.bot()
    doctor = await world.person()
    direct = await doctor.create_dm(bot.user_id)
    plain = await doctor.create_room(bot.user_id, encrypted=False)

    first = await bot.inbox.wait_kind(ArrivalKind.INVITE, direct)
    second = await bot.inbox.wait_kind(ArrivalKind.INVITE, plain)

    assert first.content == {"encrypted": True, "direct": True}
    assert second.content == {"encrypted": False, "direct": False}


async def test_a_second_invitation_to_the_same_room_is_a_new_one(world: World) -> None:
    """Declined and invited again: the bot is asked again."""
    bot = await world.bot()
    doctor = await world.person()
    room = await doctor.create_dm(bot.user_id)
    first = await bot.inbox.wait_kind(ArrivalKind.INVITE, room)
    await bot.engine.leave(first.room_id)
    await doctor.wait_member(room, bot.user_id, "leave")

    await doctor.invite(room, bot.user_id)

    await bot.inbox.wait_until(
        lambda a: a.kind is ArrivalKind.INVITE and a.room_id == room and a.event_id != first.event_id
    )


async def test_the_bots_own_messages_do_not_come_back(world: World) -> None:
    """What the bot sends is no news to it."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    await bot.say(room, "own words", everyone(doctor))

    await doctor.send(room, "their words")

    await bot.inbox.wait_for("their words")
    assert bot.inbox.bodies(room) == ["their words"]


async def test_poll_answers_name_their_poll(world: World) -> None:
    """A tap in Element arrives as the answer to the bot's poll."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    answers = [{"id": "a1", "org.matrix.msc1767.text": "yes"}, {"id": "a2", "org.matrix.msc1767.text": "no"}]
    start: Mapping[str, object] = {
        "org.matrix.msc1767.text": "Emergency?",
        "org.matrix.msc3381.poll.start": {
            "kind": "org.matrix.msc3381.poll.disclosed",
            "max_selections": 1,
            "question": {"org.matrix.msc1767.text": "Emergency?"},
            "answers": answers,
        },
    }
    sent = await bot.engine.send(
        room, start, txn="poll", audience=everyone(doctor), event_type="org.matrix.msc3381.poll.start"
    )
    poll = await doctor.wait_event(sent.event_id)

    await doctor.tap(poll, "no")

    answer = await bot.inbox.wait_kind(ArrivalKind.POLL_RESPONSE, room)
    assert answer.content["m.relates_to"]["event_id"] == sent.event_id
    assert answer.content["org.matrix.msc3381.poll.response"]["answers"] == ["a2"]
    assert answer.origin is not None


async def test_why_a_key_was_withheld_is_kept_with_the_waiting_event(world: World) -> None:
    """A client that gives no key says why; the waiting event carries the code."""
    bot = await world.bot()
    client, room = await acquainted(world, bot)
    client.renew_session()
    withheld = {"algorithm": "m.megolm.v1.aes-sha2", "room_id": room, "session_id": client.group.session_id}
    await client.send_to_device("m.room_key.withheld", withheld | {"code": "m.unverified"})

    await client.send_event(room, client.message(room, "keyless"))

    waiting = await bot.inbox.wait_kind(ArrivalKind.UNDECRYPTABLE, room)
    assert waiting.content["org.consilium.withheld"] == "m.unverified"


async def test_a_wish_to_verify_the_bot_is_declined_at_once(world: World) -> None:
    """Nobody waits before a screen that hangs, and no emoji are confirmed that nobody compared."""
    bot = await world.bot()
    client, _ = await acquainted(world, bot)
    request = {"from_device": client.device_id, "transaction_id": "t1", "methods": ["m.sas.v1"], "timestamp": 1}

    await client.send_to_device("m.key.verification.request", request)

    declined = (await client.wait_to_device(1, "m.key.verification.cancel"))[0]["content"]
    assert (declined["transaction_id"], declined["code"]) == ("t1", "m.user")


async def test_a_new_device_of_a_known_person_is_recognised(world: World) -> None:
    """An expert who signs in on another phone is bound to it at his first message."""
    bot = await world.bot()
    doctor = await world.person(fresh=True)
    room = await bot.direct_with(doctor)
    await doctor.send(room, "from the first phone")
    await bot.inbox.wait_for("from the first phone")
    second = await doctor.new_device()

    await second.send(room, "from the second phone")

    arrival = await bot.inbox.wait_for("from the second phone")
    assert arrival.origin is not None
    assert (arrival.origin.device_id, arrival.origin.cross_signed) == (second.device_id, True)
    assert arrival.sender == UserId(doctor.user_id)
