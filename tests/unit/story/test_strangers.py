"""Whoever is not known, not encrypted or not verified gets one helpful answer, and nothing else works for him."""

from dataclasses import replace

import pytest

from bot.domain.ids import DeviceId, EventId
from bot.domain.steps import State
from bot.services.ports import ArrivalKind
from tests.unit.story.cases import about, audited, body, data, opened, refusal, taken
from tests.world import Physician, World

PUBLIC = {"help", "register", "language"}


async def test_an_outsider_who_writes_is_told_how_to_begin(world: World) -> None:
    """One helpful answer in the hospital's language."""
    eve = await world.stranger("eve")
    await eve.says("Bonjour, j'ai une question sur un patient")

    assert refusal(eve) == "not_registered"
    assert "inscrire" in body(eve.last())


async def test_no_command_but_the_public_ones_works_for_an_outsider(world: World) -> None:
    """Every other verb answers that he is not known; nobody is stored as a physician."""
    eve = await world.stranger("eve")
    told = {}
    for command in world.core.commands.all:
        world.clock.advance(seconds=3)
        await eve.says(f"!{command.verb} C-2026-0001 1 x y z" if command.args else f"!{command.verb}")
        told[command.verb] = data(eve.last()).get("code")

    assert {verb for verb, code in told.items() if code != "not_registered"} <= PUBLIC


async def test_a_file_from_an_outsider_is_answered_as_his_words_are(world: World) -> None:
    """He was never turned down: he is not known."""
    eve = await world.stranger("eve")
    await eve.drops(b"ECG tracing", eve.direct)

    assert refusal(eve) == "not_registered"


async def test_words_that_were_not_encrypted_do_nothing(world: World) -> None:
    """A command in clear is answered with why, and is not carried out."""
    story = await opened(world)
    await world.rooms.say(story.requester.user_id, story.room, "!cancel", clear=True)
    await world.settle()

    assert (await story.case()).state is State.COLLECTING
    assert [data(e)["code"] for e in about(story.requester, "first_contact")] == ["not_encrypted"]
    assert len(await audited(world, "not_believed")) == 1


async def test_a_command_from_an_unsigned_device_does_nothing_and_says_where_to_tap(world: World) -> None:
    """In four languages, readable on that device (DESIGN 3)."""
    story = await opened(world)
    world.rooms.add_device(story.requester.user_id, "NEW", cross_signed=False)
    await story.asks("!cancel", device_id="NEW")

    [told] = about(story.requester, "first_contact")
    assert (await story.case()).state is State.COLLECTING
    assert [word in body(told) for word in ("Settings", "Paramètres", "Instellingen", "Einstellungen")] == [True] * 4
    assert "NEW" in {device for _, device in told.readers}


async def test_a_person_without_any_identity_is_told_how_to_make_one(world: World) -> None:
    """Somebody who never set up recovery cannot register yet."""
    user = world.rooms.add_person("@fay:test", cross_signed=False)
    room = await world.rooms.invite_bot(user)
    await world.settle()
    fay = Physician(world=world, user_id=user, direct=room)
    await fay.says("!register 1-23456-25-477 Fay Claes")

    assert data(fay.last())["code"] == "device_not_signed"
    assert user in {reader for reader, _ in fay.last().readers}


async def test_an_outsiders_words_in_a_case_room_are_no_answers(world: World) -> None:
    """Whoever is in the room by mistake changes nothing."""
    story, eve = await taken(world), await world.stranger("eve")
    before = await story.case()
    await eve.says("FEVG 35", story.room)
    await eve.says("!cancel", story.room)
    await eve.drops(b"ECG other", story.room)

    assert await story.case() == before


async def test_an_enrolled_physician_who_is_not_in_the_case_changes_nothing(world: World) -> None:
    """Being known is not being in the case."""
    story, eve = await taken(world), await world.physician("eve", number=9)
    before = await story.case()
    await eve.says("!draft no", story.room)
    await eve.says(f"!draft {story.id} no")
    await eve.says(f"!export {story.id}")
    await eve.drops(b"ECG other", story.room)

    assert await story.case() == before
    assert refusal(eve) == "no_such_case"


@pytest.mark.parametrize("encrypted, direct", [(False, True), (True, False), (False, False)])
async def test_only_encrypted_one_to_one_chats_are_joined(world: World, encrypted: bool, direct: bool) -> None:
    """Any other invitation is declined, and the person gets one chat that fits."""
    user = world.rooms.add_person("@fay:test")
    room = await world.rooms.invite_bot(user, encrypted=encrypted, direct=direct)
    await world.settle()

    members = {r.room_id: r.members for r in world.rooms.rooms()}
    assert members[room][world.rooms.user_id] == "leave"
    told = world.rooms.sent(await world.direct_room(user))
    assert [data(event)["code"] for event in told] == ["room_not_encrypted"]


async def test_an_invitation_from_another_homeserver_is_declined_in_silence(world: World) -> None:
    """Only allowed homeservers (DESIGN 3)."""
    user = world.rooms.add_person("@fay:elsewhere.example")
    await world.rooms.invite_bot(user)
    await world.settle()

    assert [r.members[world.rooms.user_id] for r in world.rooms.rooms()] == ["leave"]
    assert world.tally.total("invitations_refused") == 1


async def test_a_replayed_command_is_done_once(world: World) -> None:
    """The same ciphertext under a new event id is dropped."""
    story = await opened(world)
    content = {"msgtype": "m.text", "body": "no"}
    first = world.rooms.arrival(
        story.room, story.requester.user_id, ArrivalKind.MESSAGE, content, device_id=DeviceId("PHONE")
    )
    await world.rooms.arrive(first)
    await world.rooms.arrive(replace(first, event_id=EventId("$again")))
    await world.settle()

    assert (await story.case()).turns == 2


@pytest.mark.parametrize("kind", [ArrivalKind.REACTION, ArrivalKind.OTHER, ArrivalKind.TOMBSTONE])
async def test_a_reaction_is_never_an_answer(world: World, kind: ArrivalKind) -> None:
    """Reactions are in clear: they mean nothing to the bot."""
    story = await opened(world)
    before = await story.case()
    relation = {"rel_type": "m.annotation", "event_id": story.last("question").event_id, "key": "1"}
    content = {"m.relates_to": relation, "replacement_room": "!x:test"}
    await world.rooms.arrive(world.rooms.arrival(story.room, story.requester.user_id, kind, content))
    await world.settle()

    assert await story.case() == before


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"msgtype": "m.text"},
        {"msgtype": "m.text", "body": None},
        {"msgtype": "m.text", "body": 7},
        {"msgtype": "m.text", "body": ["!cancel"]},
        {"msgtype": 7, "body": 7, "m.relates_to": 3},
        {"msgtype": "m.file", "file": {"url": 1}},
        {"msgtype": "m.file", "file": {"url": "x", "key": "k", "iv": "i", "hashes": []}},
        {"msgtype": "m.notice", "body": "!cancel"},
        {"msgtype": "m.emote", "body": ""},
        {"body": "\x00\x00"},
        {"m.relates_to": {"rel_type": "m.replace"}, "m.new_content": "x"},
    ],
    ids=range(12),
)
async def test_content_of_any_shape_is_contained(world: World, content: dict[str, object]) -> None:
    """Nothing raises out of the handling of an event, and the case is as it was."""
    story = await opened(world)
    before = await story.case()
    arrival = world.rooms.arrival(
        story.room, story.requester.user_id, ArrivalKind.MESSAGE, content, device_id=DeviceId("PHONE")
    )
    await world.rooms.arrive(arrival)
    await world.settle()
    after = await story.case()

    assert world.log.lines == []
    assert (after.state, after.answers, after.documents) == (before.state, before.answers, before.documents)
