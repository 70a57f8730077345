"""The end of a case: warned twice, redacted, deleted, its key destroyed; a certificate remains."""

import json
import re

import pytest

from bot.domain.case import Case
from bot.domain.errors import ExternalError, Refusal
from bot.domain.ids import CaseId, UserId
from bot.domain.steps import State
from tests.unit.story.cases import (
    FIRST,
    Story,
    about,
    acknowledged,
    admin,
    audited,
    body,
    data,
    delivered,
    erase,
    finish_erasure,
    opened,
    refusal,
    submitted,
    the_eraser_works,
)
from tests.world import Physician, World


async def still_there(world: World, case_id: str = FIRST) -> Case | None:
    """Return a case, or None once it is erased."""
    try:
        return await world.case(case_id)
    except Refusal as refused:
        if refused.code != "case_erased":
            raise
        return None


async def certificate(world: World, case_id: str = FIRST) -> dict[str, object]:
    """Return the certificate that the bot keeps of an erasure."""
    async with world.store.unit() as unit:
        kept = await unit.value(f"certificate:{case_id}")
    assert kept is not None
    found: dict[str, object] = json.loads(kept)
    return found


async def warned_until_the_end(world: World) -> Story:
    """An acknowledged case whose warnings were given in time."""
    story = await acknowledged(world)
    await world.later(days=11, hours=1)
    await world.later(days=2)
    return story


async def erased(world: World) -> Story:
    """An acknowledged case whose time is over and that is erased."""
    story = await warned_until_the_end(world)
    await erase(world, days=1)
    return story


# -- warnings ----------------------------------------------------------------------------------------------------------


async def test_the_requester_is_warned_three_days_and_one_day_before(world: World) -> None:
    """In words that say what goes and what to do first (DESIGN 2.8)."""
    story = await acknowledged(world)
    counts = []
    for hours in (10.9 * 24, 0.2 * 24, 1.8 * 24, 0.3 * 24):
        await world.later(hours=hours)
        counts.append(len(about(story.requester, "expiry_warning")))

    assert counts == [0, 1, 1, 2]
    assert "patient's record" in body(about(story.requester, "expiry_warning")[-1])
    assert (await world.case(FIRST)).state is State.CLOSED


async def test_nothing_is_erased_before_its_time(world: World) -> None:
    """Fourteen days after the acknowledgement, not a minute earlier."""
    await warned_until_the_end(world)
    await world.later(hours=22)

    assert (await world.case(FIRST)).state is State.CLOSED


async def test_extend_moves_the_end_and_the_warnings(world: World) -> None:
    """A week later; then the warnings come again."""
    story = await warned_until_the_end(world)
    await story.requester.unlocks()
    await story.requester.says(f"!extend {story.id}")
    await world.later(days=1)
    assert (await world.case(FIRST)).state is State.CLOSED

    await world.later(days=4)
    await world.later(days=2)
    assert len(about(story.requester, "expiry_warning")) == 4


# -- erasure -----------------------------------------------------------------------------------------------------------


async def test_nothing_of_the_case_remains_where_the_bot_can_reach(world: World) -> None:
    """Key, files, rows, room and media are gone (DESIGN 2.8)."""
    story = await erased(world)

    assert await still_there(world) is None
    assert world.vault.keys == {}
    assert world.vault.files == {}
    assert story.room in world.rooms.dropped_sessions
    async with world.store.unit() as unit:
        assert await unit.room(story.room) is None
        assert list(await unit.events(CaseId(FIRST))) == []


async def test_every_message_of_the_bot_about_the_case_is_redacted(world: World) -> None:
    """In the case room and in the direct chats; what remains says that it was erased."""
    story = await erased(world)

    everything = [
        event
        for room in (story.room, story.requester.direct, *(expert.direct for expert in story.experts))
        for event in world.rooms.sent(room)
        if event.content.get("org.consilium", {}).get("case") == FIRST and event.event_id not in world.rooms.redacted
    ]
    assert [data(event)["kind"] for event in everything if data(event)["kind"] != "erased"] == []


async def test_everybody_is_out_of_the_room_and_the_bot_leaves_last(world: World) -> None:
    """Nobody keeps a room that the server may not delete."""
    story = await erased(world)

    assert set(story.members().values()) == {"leave"}


async def test_every_medium_of_the_case_was_handed_to_the_eraser(world: World) -> None:
    """Uploads of the bot and of the people."""
    await erased(world)

    assert world.rooms.media == {}


async def test_a_certificate_remains_without_patient_data(world: World) -> None:
    """Counts, times, the rule; kept by the bot and told to the requester."""
    story = await warned_until_the_end(world)
    uploaded = len(world.rooms.media)
    await erase(world, days=1)
    kept = await certificate(world)

    assert kept["rule"] == "closed"
    assert [kept[name] for name in ("rooms", "media")] == [1, uploaded]
    assert uploaded > 0
    assert int(str(kept["events"])) > 20
    assert not re.search(r"\b4711\b", json.dumps(kept))  # alone: a hash may hold these digits
    assert data(about(story.requester, "erased")[-1])["certificate"]["case"] == FIRST


async def test_the_audit_keeps_that_it_was_erased(world: World) -> None:
    """The chain is whole and has no clinical word."""
    await erased(world)

    assert len(await audited(world, "erased")) == 1


async def test_after_the_erasure_the_number_is_known_as_erased(world: World) -> None:
    """A number is never given twice and whoever asks is told."""
    story = await erased(world)
    await story.requester.unlocks()
    await story.requester.says(f"!show {FIRST}")
    assert refusal(story.requester) == "case_erased"

    await story.requester.says("!new rhythmology")
    assert data(story.requester.last())["case"] == "C-2026-0002"


async def test_without_an_eraser_the_certificate_says_what_stayed(world: World) -> None:
    """Everything else works without it (DESIGN 5)."""
    world.eraser.alive = False
    await warned_until_the_end(world)
    await erase(world, days=1)
    await world.later(days=3)
    await world.later(hours=1)

    assert await still_there(world) is None
    assert "no_eraser" in str((await certificate(world))["not_reached"])
    assert world.vault.keys == {}


async def test_a_medium_that_the_server_does_not_delete_is_named(world: World) -> None:
    """After two days of trying the certificate says so, and the key is destroyed all the same."""
    world.eraser.stuck.update(f"mxc://test/medium{n}" for n in range(200))
    await warned_until_the_end(world)
    await erase(world, days=1)
    await world.later(days=3)
    await world.later(hours=1)

    assert await still_there(world) is None
    assert "media_left" in str((await certificate(world))["not_reached"])


async def test_an_erasure_fails_no_effect(world: World) -> None:
    """No stage stumbles: the log has no error and no surprise."""
    await erased(world)

    assert [line for line in world.log.lines if "failed" in line[0] or "given_up" in line[0]] == []


@pytest.mark.parametrize("stage", range(1, 7))
async def test_an_erasure_that_was_interrupted_goes_on(world: World, stage: int) -> None:
    """The server does not answer at some moment of it: the stage is done later, and the end is the same."""
    await warned_until_the_end(world)
    await world.later(days=1)
    method = ("redact", "redact", "remove", "leave", "drop_sessions", "remove")[stage - 1]
    world.rooms.fail(method, ExternalError("unreachable"), times=stage)
    await finish_erasure(world)
    await finish_erasure(world)

    assert await still_there(world) is None
    assert world.vault.keys == {}


# -- what ends at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["emergency", "refuses"])
async def test_an_emergency_and_a_refusal_are_erased_the_same_day(world: World, ending: str) -> None:
    """What you wrote here is erased today: that is what the requester was told (DESIGN 2.3)."""
    story = await opened(world)
    if ending == "refuses":
        for answer in ("no", "ref 4711, 1958, F"):
            await story.asks(answer)
    await story.taps(ending)
    for _ in range(8):
        await world.later(hours=1)
        the_eraser_works(world)

    assert await still_there(world) is None
    assert (await certificate(world))["rule"] == ("emergency" if ending == "emergency" else "does_not_agree")


async def test_a_cancelled_case_is_erased_after_four_days(world: World) -> None:
    """Warned, then erased."""
    story = await submitted(world)
    await story.asks("!cancel")
    await world.later(days=1, hours=1)
    await world.later(days=2)
    assert len(about(story.requester, "expiry_warning")) == 2

    await erase(world, days=1)
    assert await still_there(world) is None


async def test_a_declined_case_is_erased_too(world: World) -> None:
    """Nobody could take it: it does not stay for ever."""
    story = await submitted(world, experts=("bob",))
    await story.experts[0].says(f"!decline {story.id} no time")
    for days in (1.1, 2, 1):
        await world.later(days=days)
    await finish_erasure(world)

    assert await still_there(world) is None


async def test_a_form_that_lapsed_is_erased(world: World) -> None:
    """Seven days of silence, four days more, then nothing is left."""
    await opened(world)
    await world.later(days=7, hours=1)
    await erase(world, days=4)

    assert await still_there(world) is None


# -- not acknowledged --------------------------------------------------------------------------------------------------


async def kept(world: World) -> Story:
    """A delivered case that nobody acknowledged; its rooms are erased."""
    story = await delivered(world)
    for days in (7.1, 3.9, 2.1):
        await world.later(days=days)
    for days in (9, 2, 2):
        await world.later(days=days)
        await finish_erasure(world)
    return story


async def test_an_opinion_that_nobody_acknowledged_is_kept_alone_after_its_rooms(world: World) -> None:
    """At 14 days the rooms are erased, the sealed PDF alone stays in the vault and is offered (DESIGN 4)."""
    story = await kept(world)

    case = await world.case(FIRST)
    assert case.erasure == "kept"
    assert set(story.members().values()) == {"leave"}
    assert len(about(story.requester, "kept")) == 1


async def test_only_the_sealed_pdf_is_kept(world: World) -> None:
    """The dossier's files are gone; the sealed PDF alone stays in the vault (DESIGN 4)."""
    await kept(world)

    (kept_file,) = [name for _, name in world.vault.files]
    assert kept_file.startswith("opinion-1-sealed-")


async def test_a_kept_opinion_can_be_exported_though_its_media_are_deleted(world: World) -> None:
    """What is posted is a file that is there."""
    story = await kept(world)
    await story.requester.unlocks()
    await story.requester.says(f"!export {FIRST}")

    assert story.requester.last().content["filename"] == "C-2026-0001 opinion.pdf"
    assert story.requester.last().content["file"]["url"] in world.rooms.media


async def test_a_kept_opinion_is_erased_after_ninety_days_and_said_in_the_audit(world: World) -> None:
    """Then erased, with its export too (DESIGN 4)."""
    story = await kept(world)
    await story.requester.unlocks()
    await story.requester.says(f"!export {FIRST}")
    exported = story.requester.last()
    await world.later(days=80)
    await finish_erasure(world)
    await world.later(hours=1)

    assert await still_there(world) is None
    assert len(await audited(world, "erased")) == 1
    assert exported.event_id in world.rooms.redacted
    assert world.rooms.media == {}


# -- hold --------------------------------------------------------------------------------------------------------------


async def held(world: World) -> Story:
    """An acknowledged case that two admins hold."""
    boss, other = await admin(world), await admin(world, "otto")
    story = await acknowledged(world)
    await boss.says(f"!hold {FIRST} complaint")
    await other.says(f"!hold {FIRST} complaint, checked")
    return story


async def test_a_hold_takes_two_admins(world: World) -> None:
    """One alone holds nothing; the same one twice is no second."""
    boss = await admin(world)
    await acknowledged(world)
    await boss.says(f"!hold {FIRST} complaint")
    assert (await world.case(FIRST)).held is False
    await boss.says(f"!hold {FIRST} complaint")
    assert refusal(boss) == "second_admin_other"


async def test_a_held_case_does_not_expire(world: World) -> None:
    """Neither warned nor erased."""
    story = await held(world)
    await world.later(days=60)

    assert (await world.case(FIRST)).state is State.CLOSED
    assert about(story.requester, "expiry_warning") == []


async def test_a_case_that_is_released_by_two_admins_is_warned_of_before_it_goes(world: World) -> None:
    """Its time was over long ago: nobody is surprised all the same (warned twice, DESIGN 4)."""
    story = await held(world)
    await world.later(days=60)
    for name in ("ada", "otto"):
        user = UserId(f"@{name}:test")
        boss = Physician(world=world, user_id=user, direct=await world.direct_room(user))
        await boss.unlocks()
        await boss.says(f"!unhold {FIRST} settled")
    await world.later(minutes=1)

    assert (await world.case(FIRST)).state is State.CLOSED
    assert len(about(story.requester, "expiry_warning")) >= 1


async def test_a_hold_needs_a_reason(world: World) -> None:
    """With reason (DESIGN 4); it is asked for."""
    boss = await admin(world)
    await acknowledged(world)
    await boss.says(f"!hold {FIRST}")

    assert refusal(boss) == "argument_missing"


async def test_an_expert_holds_nothing(world: World) -> None:
    """Only admins."""
    story = await acknowledged(world)
    await story.experts[0].says(f"!hold {FIRST} please")

    assert refusal(story.experts[0]) == "role_missing"


# -- what the certificate may say --------------------------------------------------------------------------------------


async def test_the_certificate_of_a_kept_opinion_counts_every_medium_and_names_its_rule(world: World) -> None:
    """What went with the rooms counts as well as what was exported later; the rule is the ninety days."""
    story = await kept(world)
    before = len(world.eraser.media[CaseId(FIRST)])
    await story.requester.unlocks()
    await story.requester.says(f"!export {FIRST}")
    await world.later(days=80)
    await finish_erasure(world)
    await world.later(hours=1)

    found = await certificate(world)
    assert before > 1
    assert (found["media"], found["rule"]) == (before + 1, "kept_90_days")


async def test_a_message_that_is_not_redacted_yet_holds_the_erasure_back(world: World) -> None:
    """A homeserver that does not answer during the grace loses no redaction: the next stage waits for them."""
    await warned_until_the_end(world)
    world.rooms.fail("redact", ExternalError("unreachable"), times=10_000)
    await world.later(days=1)
    await world.later(hours=0.1)
    await world.later(hours=25)
    held = await still_there(world)
    world.rooms.recover()
    await finish_erasure(world)
    await finish_erasure(world)

    assert held is not None
    assert held.erasure == "redacted"
    assert await still_there(world) is None
    assert "messages_left" not in json.dumps(await certificate(world))


async def test_messages_that_could_never_be_redacted_stand_in_the_certificate(world: World) -> None:
    """After a day of patience more the case is erased all the same, and the certificate says what was left."""
    await warned_until_the_end(world)
    world.rooms.fail("redact", ExternalError("unreachable"), times=100_000)
    await world.later(days=1)
    for _ in range(4):
        await finish_erasure(world)

    assert await still_there(world) is None
    assert "messages_left" in json.dumps(await certificate(world))
