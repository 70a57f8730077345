"""From submission to experts in the room: rings, `take`, `join`, `release`, `decline`, `bring`, `refer`, `assign`."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.ids import LineId
from bot.domain.lines import Catalogue
from bot.domain.people import Role
from bot.domain.steps import State
from tests.unit.story.cases import (
    RHYTHMOLOGY,
    VALVE,
    Story,
    about,
    admin,
    audited,
    body,
    data,
    drafted,
    drafted_by_two,
    filled,
    refusal,
    submitted,
    taken,
    taken_by_two,
)
from tests.world import Physician, World, a_world, shipped_lines


async def coordinator(world: World, line: str = RHYTHMOLOGY) -> Physician:
    """Return a coordinator of a line who is no physician."""
    return await world.physician("cora", roles=(Role.COORDINATOR,), lines={line: "expert"})


# -- rings -------------------------------------------------------------------------------------------------------------


async def test_every_expert_of_the_line_is_rung_once_in_his_direct_chat(world: World) -> None:
    """And nobody is in the room yet."""
    story = await submitted(world)

    assert [len(about(expert, "ring", case=story.id)) for expert in story.experts] == [1, 1]
    assert set(story.members()) == {world.rooms.user_id, story.requester.user_id}


async def test_a_ring_sounds_and_says_nothing_clinical(world: World) -> None:
    """Number, urgency and time, no line, no question."""
    story = await submitted(world, question="Jeanne has a thrombus in the auricle")

    ring = about(story.experts[0], "ring")[-1]
    assert ring.content["msgtype"] == "m.text"
    assert "Rhythm" not in body(ring)
    assert "auricle" not in body(ring)


async def test_other_lines_are_not_rung(world: World) -> None:
    """An expert of another line hears nothing."""
    other = await world.physician("dora", number=9, lines={"dermatology": "dermatologist"})
    await submitted(world)

    assert about(other, "ring") == []


async def test_the_requester_is_not_rung_for_his_own_case(world: World) -> None:
    """An expert of the line who asks does not answer himself."""
    story = await filled(world)
    await story.requester.says("!list")
    async with world.store.unit() as unit:
        person = await unit.person(story.requester.user_id)
        assert person is not None
        await unit.save_person(replace(person, lines={LineId(RHYTHMOLOGY): "rhythmologist"}))
    await story.asks("!submit")
    await story.requester.says(f"!take {story.id}")

    assert about(story.requester, "ring") == []
    assert refusal(story.requester) in ("step_not_yours", "step_refused")


async def test_an_expert_who_is_away_is_not_rung_until_he_is_back(world: World) -> None:
    """`away 3`, then `away 0`."""
    bob = await world.physician("bob", number=2, lines={RHYTHMOLOGY: "rhythmologist"})
    carl = await world.physician("carl", number=3, lines={RHYTHMOLOGY: "rhythmologist"})
    await bob.says("!away 3")
    story = await filled(world)
    await story.asks("!submit")

    assert [len(about(one, "ring")) for one in (bob, carl)] == [0, 1]


async def test_if_nobody_can_be_rung_the_coordinators_are_told(world: World) -> None:
    """The requester reads it too."""
    cora = await coordinator(world)
    story = await submitted(world, experts=())

    assert about(cora, "escalated", reason="nobody_available") != []
    assert data(story.last("routed"))["reason"] == "nobody_available"


# -- take --------------------------------------------------------------------------------------------------------------


async def test_take_invites_the_expert_and_posts_the_whole_dossier(world: World) -> None:
    """Invitation, then the dossier: question, patient line, answers, every document."""
    story = await taken(world, question="Ablation or cryo?")

    assert story.members()[story.experts[0].user_id] == "join"
    read = world.rooms.read_by(story.experts[0].user_id, story.room)
    assert any("Ablation or cryo?" in text and "4711, 1958, Female" in text for text in read)
    assert data(story.last("dossier"))["documents"] == 2
    after = world.rooms.sent(story.room)[world.rooms.sent(story.room).index(story.last("dossier")) :]
    assert {data(event)["n"] for event in after if "n" in data(event)} == {1, 2}
    assert any("file" in event.content for event in after)


async def test_an_expert_does_not_read_what_was_said_before(world: World) -> None:
    """The requester's own conversation with the bot stays his."""
    story = await taken(world)

    read = world.rooms.read_by(story.experts[0].user_id, story.room)
    assert [text for text in read if "Noted" in text] == []


async def test_that_somebody_was_given_to_read_stands_in_the_audit(world: World) -> None:
    """Every time someone is given the means to read."""
    story = await taken(world)

    assert [row.event.facts["user"] for row in await audited(world, "given_to_read")] == [story.experts[0].user_id]


async def test_of_two_who_take_in_the_same_second_one_gets_it_and_the_other_is_told_who(world: World) -> None:
    """The loser of a tie is told who was faster and is not left in the room (issue 5)."""
    story = await submitted(world)
    bob, carl = story.experts
    await world.rooms.say(bob.user_id, bob.direct, f"!take {story.id}")
    await world.rooms.say(carl.user_id, carl.direct, f"!take {story.id}")
    await world.settle()

    assert (await story.case()).expert_ids == (bob.user_id,)
    assert refusal(carl) == "already_taken"
    assert "Dr Bob" in body(carl.last())
    assert carl.user_id not in story.members()


async def test_who_was_rung_in_vain_is_told_who_took_it(world: World) -> None:
    """He need not look any more."""
    story = await taken(world)

    assert "Dr Bob" in body(about(story.experts[1], "taken")[-1])


async def test_taking_twice_brings_the_invitation_again(world: World) -> None:
    """Whoever left the room by mistake comes back; the case is as it was."""
    story = await taken(world)
    await world.rooms.leave_as(story.experts[0].user_id, story.room)
    await world.settle()
    before = await story.case()
    await story.experts[0].says(f"!take {story.id}")

    assert story.members()[story.experts[0].user_id] == "invite"
    assert await story.case() == before


@pytest.mark.parametrize("number", ["C-2026-0001", "c-2026-1", "2026-0001", "1", "C-1"])
async def test_a_case_number_may_be_typed_short(world: World, number: str) -> None:
    """Case and zeros do not matter."""
    story = await submitted(world)
    await story.experts[0].says(f"!take {number}")

    assert (await story.case()).expert_ids == (story.experts[0].user_id,)


async def test_take_without_a_number_takes_the_only_case_that_waits(world: World) -> None:
    """In the direct chat the number is needed only if several fit."""
    story = await submitted(world)
    await story.experts[0].says("take")

    assert (await story.case()).expert_ids == (story.experts[0].user_id,)


async def test_take_without_a_number_asks_which_of_several(world: World) -> None:
    """The candidates are named."""
    story = await submitted(world)
    await story.requester.says("!new rhythmology")
    second = Story(world=world, requester=story.requester, room=await world.room("C-2026-0002"), id="C-2026-0002")
    await second.enters(second.requester)
    for answer in ("no", "ref 4712, 1958, M", "agrees, seen", "Pacemaker?", "!submit anyway"):
        await second.asks(answer)
    await story.experts[0].says("take")

    assert refusal(story.experts[0]) == "which_case"
    assert "C-2026-0001" in body(story.experts[0].last())
    assert "C-2026-0002" in body(story.experts[0].last())


async def test_a_case_of_another_line_does_not_exist_for_an_expert(world: World) -> None:
    """The refusal does not tell whether there is such a case."""
    await submitted(world)
    other = await world.physician("dora", number=9, lines={"dermatology": "dermatologist"})
    await other.says("!take C-2026-0001")
    known = body(other.last())
    await other.says("!take C-2026-0999")

    assert refusal(other) == "no_such_case"
    assert known.replace("0001", "0999") == body(other.last())


# -- groups ------------------------------------------------------------------------------------------------------------


async def test_in_a_line_that_decides_together_whoever_joins_is_in(world: World) -> None:
    """`join` (and `take`) bring both in; the second gets the dossier too."""
    story = await submitted(world, line=VALVE)
    await story.takes(0, "join")
    await story.takes(1, "join")

    assert (await story.case()).expert_ids == tuple(expert.user_id for expert in story.experts)
    assert data(story.last("dossier"))["for"] == story.experts[1].user_id


async def test_a_group_drafts_only_when_enough_have_joined(world: World) -> None:
    """The valve line wants two."""
    story = await submitted(world, line=VALVE)
    await story.takes(0, "join")
    await story.answers(0, "!draft TAVI")
    assert story.code() == "experts_missing"

    await story.takes(1, "join")
    await story.answers(0, "!draft TAVI")
    assert (await story.case()).state is State.DRAFTED


async def test_an_expert_who_joins_an_hour_later_gets_the_same_media_and_the_others_no_ring(world: World) -> None:
    """The dossier again under one heading; no file is uploaded twice (DESIGN 2.5)."""
    story = await submitted(world, line=VALVE)
    await story.takes(0, "join")
    uploaded, rung = len(world.rooms.media), len(about(story.experts[0], "ring"))
    await world.later(hours=1)
    await story.takes(1, "join")

    assert "Dr Carl" in body(story.last("dossier"))
    assert len(world.rooms.media) == uploaded
    assert len(about(story.experts[0], "ring")) == rung


async def test_an_expert_on_another_device_reads_the_dossier_too(world: World) -> None:
    """Every cross-signed device of an expert gets the keys."""
    story = await submitted(world)
    world.rooms.add_device(story.experts[0].user_id, "TABLET")
    await story.takes(0)

    devices = {device for user, device in story.last("dossier").readers if user == story.experts[0].user_id}
    assert devices == {"PHONE", "TABLET"}


# -- release, decline --------------------------------------------------------------------------------------------------


async def test_release_gives_the_case_back_and_rings_the_others(world: World) -> None:
    """The leaver is out of the room; the reason stands there."""
    story = await taken(world)
    await story.answers(0, "!release on leave from tomorrow")

    case = await story.case()
    assert (case.state, case.expert_ids) == (State.SUBMITTED, ())
    assert story.members()[story.experts[0].user_id] == "leave"
    assert "on leave from tomorrow" in body(story.last("released"))
    assert len(about(story.experts[1], "ring")) == 2


async def test_after_a_release_another_expert_takes_it(world: World) -> None:
    """And reads the whole dossier."""
    story = await taken(world)
    await story.answers(0, "!release on leave")
    await story.takes(1)

    assert (await story.case()).expert_ids == (story.experts[1].user_id,)
    assert story.experts[1].user_id in {user for user, _ in story.last("dossier").readers}


async def test_if_one_of_two_experts_releases_the_other_goes_on(world: World) -> None:
    """The state stays."""
    story = await taken_by_two(world)
    await story.answers(0, "!release on leave")

    case = await story.case()
    assert (case.state, case.expert_ids) == (State.ACCEPTED, (story.experts[1].user_id,))


async def test_decline_by_one_leaves_the_case_to_the_others(world: World) -> None:
    """The requester is not bothered."""
    story = await submitted(world)
    await story.experts[0].says(f"!decline {story.id} no time")

    assert (await story.case()).state is State.SUBMITTED
    assert about(story.requester, "ring") == []


async def test_decline_by_all_tells_the_requester_with_the_reasons(world: World) -> None:
    """When none is left the case is declined; the reasons stand in its room, a ring in the direct chat."""
    story = await submitted(world)
    await story.experts[0].says(f"!decline {story.id} no time")
    await story.experts[1].says(f"!decline {story.id} a friend of the patient")

    assert (await story.case()).state is State.DECLINED
    assert "no time" in body(story.last("declined"))
    assert "a friend of the patient" in body(story.last("declined"))
    assert len(about(story.requester, "ring")) == 1


async def test_a_declined_case_is_over_for_everybody(world: World) -> None:
    """A late `take` is told that it is declined."""
    story = await submitted(world, experts=("bob",))
    await story.experts[0].says(f"!decline {story.id} no time")
    await story.experts[0].says(f"!take {story.id}")

    assert refusal(story.experts[0]) == "step_refused"


# -- bring, assign, refer ----------------------------------------------------------------------------------------------


async def test_bring_carries_a_reason_and_the_colleague_reads_the_dossier(world: World) -> None:
    """He is invited, rung without content, and gets the dossier under his name (DESIGN 2.5)."""
    story = await taken_by_two(world)
    carl = story.experts[1]

    assert "for a second look" in body(story.last("brought"))
    assert data(story.last("dossier"))["for"] == carl.user_id
    assert "second look" not in body(about(carl, "ring")[-1])


async def test_a_colleague_without_a_session_is_rung_and_not_invited(world: World) -> None:
    """Nobody is invited without an open session: ring him instead (DESIGN 2.4)."""
    story = await taken(world)
    carl = story.experts[1]
    await carl.says("!lock")
    await story.answers(0, f"!bring {carl.user_id} please")

    assert story.code() == "no_session_there"
    assert "open a session" in body(about(carl, "ring")[-1])
    assert carl.user_id not in story.members()


@pytest.mark.parametrize("who", ["@nobody:test", "@anne:test", "@bob:test", "@cora:test", "bob", "<b>x</b>"])
async def test_only_an_enrolled_physician_who_is_not_in_the_case_can_be_brought(world: World, who: str) -> None:
    """A stranger, the requester, oneself, staff, or a word: a clear answer and nobody new."""
    story = await taken(world)
    await coordinator(world)
    before = (await story.case()).expert_ids
    await story.answers(0, f"!bring {who} please")

    assert story.code() in ("not_a_physician_here", "already_in")
    assert (await story.case()).expert_ids == before


async def test_bring_without_a_reason_asks_for_it(world: World) -> None:
    """`bring` carries a reason."""
    story = await taken(world)
    await story.answers(0, f"!bring {story.experts[1].user_id}")

    assert story.code() == "argument_missing"


async def test_a_coordinator_assigns_a_case_and_stays_outside(world: World) -> None:
    """He sees no clinical text: number and state only."""
    story = await submitted(world)
    cora = await coordinator(world)
    await cora.says(f"!assign {story.id} {story.experts[1].user_id}")

    assert (await story.case()).expert_ids == (story.experts[1].user_id,)
    assert cora.user_id not in story.members()
    assert len(about(story.experts[1], "ring")) == 2


async def test_an_expert_assigns_nothing(world: World) -> None:
    """Only coordinator and chair do."""
    story = await submitted(world)
    await story.experts[0].says(f"!assign {story.id} {story.experts[1].user_id}")

    assert refusal(story.experts[0]) == "step_not_yours"


async def test_a_case_is_assigned_to_an_expert_of_the_line_only(world: World) -> None:
    """The requester and people of other lines are refused."""
    story = await submitted(world)
    cora = await coordinator(world)
    await cora.says(f"!assign {story.id} {story.requester.user_id}")

    assert refusal(cora) == "not_an_expert_here"


async def test_refer_sends_the_case_to_another_line_with_a_new_clock(world: World) -> None:
    """Same number, new line, the old experts leave, the new ones are rung (DESIGN 4)."""
    story = await taken(world)
    dora = await world.physician("dora", number=9, lines={"dermatology": "dermatologist"})
    await world.later(hours=10)
    await story.answers(0, "!refer dermatology this is a skin question")

    case = await story.case()
    assert (case.state, case.line, case.expert_ids) == (State.SUBMITTED, "dermatology", ())
    assert case.clock_from == world.clock.now()
    assert story.members()[story.experts[0].user_id] == "leave"
    assert len(about(dora, "ring")) == 1


async def test_a_referred_case_keeps_every_answer_in_its_dossier(world: World) -> None:
    """The experts of the new line read what was answered for the old one too: the whole dossier (issue 5)."""
    story = await taken(world)
    dora = await world.physician("dora", number=9, lines={"dermatology": "dermatologist"})
    await story.answers(0, "!refer dermatology this is a skin question")
    await dora.says(f"!take {story.id}")

    read = body(story.last("dossier"))
    assert "Atrial fibrillation" in read
    assert "LVEF" in read


async def test_refer_to_the_same_line_is_refused(world: World) -> None:
    """There is nothing to do."""
    story = await taken(world)
    await story.answers(0, "!refer rhythmology no reason")

    assert story.code() == "same_line"


async def test_refer_to_a_line_that_does_not_exist_names_the_lines(world: World) -> None:
    """A wrong word gets the nearest right ones."""
    story = await taken(world)
    await story.answers(0, "!refer neurology a seizure")

    assert story.code() == "no_such_line"
    assert (await story.case()).line == RHYTHMOLOGY


async def test_cancel_tells_the_experts_and_keeps_nobody_waiting(world: World) -> None:
    """The requester withdraws; whoever was rung or is in is told."""
    story = await taken_by_two(world)
    await story.requester.says(f"!cancel {story.id}")

    assert (await story.case()).state is State.CANCELLED
    assert [len(about(expert, "cancelled")) for expert in story.experts] == [1, 1]


async def test_cancel_of_a_submitted_case_tells_whoever_was_rung(world: World) -> None:
    """They need not look any more."""
    story = await submitted(world)
    await story.asks("!cancel")

    assert [len(about(expert, "cancelled")) for expert in story.experts] == [1, 1]


# -- suspended experts -------------------------------------------------------------------------------------------------


async def test_if_the_only_expert_is_suspended_the_others_of_the_line_are_rung(world: World) -> None:
    """The case goes back to its line, and the line hears of it."""
    boss, story = await admin(world), await taken(world)
    await boss.says(f"!admin suspend {story.experts[0].user_id} licence")

    assert (await story.case()).state is State.SUBMITTED
    assert story.members()[story.experts[0].user_id] == "leave"
    assert len(about(story.experts[1], "ring")) == 2


async def test_if_a_signatory_is_suspended_the_others_can_still_end_the_case(world: World) -> None:
    """One has signed, the other is suspended: the case must not stay in `signing` for ever."""
    boss, story = await admin(world), await drafted_by_two(world)
    await story.signs(0)
    await boss.says(f"!admin suspend {story.experts[1].user_id} licence")

    case = await story.case()
    assert case.state is not State.SIGNING or case.unsigned != ()


async def test_a_suspended_expert_who_took_a_drafted_case_leaves_it_to_be_taken_again(world: World) -> None:
    """Another expert takes it and can draft and sign."""
    boss, story = await admin(world), await drafted(world)
    await boss.says(f"!admin suspend {story.experts[0].user_id} licence")
    await story.takes(1)
    await story.answers(1, "!draft drug: flecainide")
    await story.signs(1)

    assert (await story.case()).state is State.DELIVERED


# -- members -----------------------------------------------------------------------------------------------------------


async def test_a_member_who_does_not_belong_is_removed_and_announced(world: World) -> None:
    """Element may encrypt to a newcomer what people write: everybody is told at once (DESIGN 6)."""
    story = await taken(world)
    world.rooms.add_person("@eve:test")
    await world.rooms.join_as(world.rooms.add_person("@eve:test"), story.room)
    await world.settle()

    assert story.members()["@eve:test"] == "leave"  # type: ignore[index]  # an id
    assert data(story.last("member_left_out"))["user"] == "@eve:test"


async def test_a_member_who_does_not_belong_gets_no_key(world: World) -> None:
    """Nothing that is said while he is there can be read by him."""
    story = await taken(world)
    eve = world.rooms.add_person("@eve:test")
    next(room for room in world.rooms.rooms() if room.room_id == story.room).members[eve] = "join"
    await story.answers(0, "!ask Which dose?")

    assert world.rooms.read_by(eve, story.room) == []


async def test_whoever_leaves_the_room_is_announced(world: World) -> None:
    """The others know that he does not read any more."""
    story = await taken_by_two(world)
    await world.rooms.leave_as(story.experts[1].user_id, story.room)
    await world.settle()

    assert data(story.last("left_room"))["user"] == story.experts[1].user_id


async def test_an_unsigned_device_of_a_member_is_announced_and_gets_no_key(world: World) -> None:
    """Its owner must verify it; the case goes on (DESIGN 6)."""
    story = await taken(world)
    world.rooms.add_device(story.experts[0].user_id, "LAPTOP", cross_signed=False)
    await story.answers(0, "!ask Which dose?")

    assert data(story.last("device_without_key"))["device"] == "LAPTOP"
    assert "LAPTOP" not in {device for _, device in story.last("asked").readers}


# -- the second line ---------------------------------------------------------------------------------------------------


async def test_after_the_deadline_the_second_line_is_rung_and_may_take(tmp_path: Path) -> None:
    """Reminders at 50 and 80 %, then the coordinator and the second line (DESIGN 2.4)."""
    lines = Catalogue(
        lines=tuple(
            replace(line, second_line=LineId("dermatology")) if line.id == RHYTHMOLOGY else line
            for line in shipped_lines()
        )
    )
    async with a_world(tmp_path, lines) as world:
        dora = await world.physician("dora", number=9, lines={"dermatology": "dermatologist"})
        story = await submitted(world)
        await world.later(hours=73)
        assert len(about(dora, "ring")) == 1

        await dora.unlocks()
        await dora.says(f"!take {story.id}")
        assert (await story.case()).expert_ids == (dora.user_id,), body(dora.last())
