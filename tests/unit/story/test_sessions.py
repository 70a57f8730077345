"""One-time codes and sessions: a code counts once, five wrong ones lock, a session belongs to one device."""

import pytest

from bot.domain.people import Role
from tests.unit.story.cases import about, admin, audited, body, filled, person_of, refusal, submitted
from tests.world import Physician, World


async def guesses(who: Physician, times: int) -> list[str]:
    """Let somebody type wrong codes and return what he was told."""
    codes = []
    for _ in range(times):
        await who.says("!unlock 000000")
        codes.append(refusal(who))
    return codes


async def test_a_session_lasts_twelve_hours(world: World) -> None:
    """At 11 h 59 it is open, at 12 h it is over."""
    anne = await world.physician("anne", number=1)
    await world.later(hours=11, minutes=59)
    await anne.says("!new rhythmology")
    assert anne.kinds()[-1] == "case_opened"

    await world.later(minutes=1)
    await anne.says("!new rhythmology")
    assert refusal(anne) == "session_needed"


async def test_a_session_belongs_to_the_device_that_typed_the_code(world: World) -> None:
    """The tablet has none because the phone has one."""
    anne = await world.physician("anne", number=1)
    world.rooms.add_device(anne.user_id, "TABLET")
    await anne.says("!new rhythmology", device_id="TABLET")

    assert refusal(anne) == "session_needed"


async def test_files_and_answers_may_come_from_any_signed_device_of_a_person_with_a_session(world: World) -> None:
    """Plain answers and files need a session of the person, not of the device (DESIGN 2.2)."""
    story = await filled(world)
    world.rooms.add_device(story.requester.user_id, "TABLET")
    await story.asks("!back", device_id="TABLET")
    assert "taken_back" in str(story.last("answer_recorded").content)

    await world.rooms.drop_file(
        story.requester.user_id, story.room, b"IMG photo", name="a.jpg", mimetype="image/jpeg", device_id="TABLET"
    )
    await world.settle()
    assert len((await story.case()).shown) == 3


async def test_a_command_that_waited_for_a_code_goes_on_with_the_six_digits(world: World) -> None:
    """`take` without a session asks for the code; the digits alone unlock and take (DESIGN 2.4)."""
    story = await submitted(world)
    bob = story.experts[0]
    await bob.says("!lock")
    await bob.says(f"!take {story.id}")
    assert refusal(bob) == "session_needed"

    await bob.says(await bob.code())
    assert bob.kinds()[-2:] == ["unlocked", "taken"]
    assert (await story.case()).expert_ids == (bob.user_id,)


async def test_nobody_is_invited_before_his_session_is_open(world: World) -> None:
    """Without a session a ring is all he gets: he is not in the room."""
    story = await submitted(world)
    bob = story.experts[0]
    await bob.says("!lock")
    await bob.says(f"!take {story.id}")

    assert bob.user_id not in story.members()


async def test_lock_ends_every_session_of_the_person(world: World) -> None:
    """A lost phone is locked out from the other one."""
    anne = await world.physician("anne", number=1)
    world.rooms.add_device(anne.user_id, "TABLET")
    await anne.says(f"!unlock {await anne.code()}", device_id="TABLET")
    await anne.says("!lock")
    await anne.says("!new rhythmology", device_id="TABLET")

    assert refusal(anne) == "session_needed"


async def test_a_code_works_once(world: World) -> None:
    """The same digits a second time are refused, also from another device."""
    anne = await world.physician("anne", number=1, session=False)
    code = await anne.code()
    await anne.says(f"!unlock {code}")
    await anne.says(f"!unlock {code}")

    assert refusal(anne) == "code_used"


async def test_a_code_just_used_is_no_wrong_guess(world: World) -> None:
    """It answers "wait for the next one" and does not count (DESIGN 2.6)."""
    anne = await world.physician("anne", number=1, session=False)
    code = await anne.code()
    await anne.says(f"!unlock {code}")
    await anne.says(f"!unlock {code}")
    await anne.says(f"!unlock {code}")

    assert await guesses(anne, 4) == ["code_wrong"] * 4


async def test_five_wrong_codes_lock_for_fifteen_minutes_and_tell_the_admins(world: World) -> None:
    """The fifth locks; the right code does not help before the time is over."""
    boss, anne = await admin(world), await world.physician("anne", number=1)
    assert await guesses(anne, 5) == ["code_wrong"] * 4 + ["code_locked"]
    assert len(about(boss, "admin_locked", user=anne.user_id)) == 1

    await world.later(minutes=14)
    await anne.unlocks()
    assert refusal(anne) == "code_locked"

    await world.later(minutes=1)
    await anne.unlocks()
    assert anne.kinds()[-1] == "unlocked"


async def test_a_lock_ends_the_open_sessions(world: World) -> None:
    """Whoever guesses five times may not go on with an old session."""
    anne = await world.physician("anne", number=1)
    await guesses(anne, 5)
    await anne.says("!new rhythmology")

    assert refusal(anne) == "session_needed"


async def test_wrong_codes_are_counted_over_all_verbs_that_take_one(world: World) -> None:
    """Guesses at `sign` and at `unlock` are guesses at the same secret."""
    anne = await world.physician("anne", number=1, session=False)
    await guesses(anne, 4)
    await anne.says("000000")

    assert refusal(anne) == "code_locked"


async def test_a_right_code_forgets_the_wrong_ones(world: World) -> None:
    """Four typing errors a month must not add up."""
    anne = await world.physician("anne", number=1, session=False)
    await guesses(anne, 4)
    await anne.unlocks()

    assert await guesses(anne, 4) == ["code_wrong"] * 4


async def test_the_guesses_left_are_said(world: World) -> None:
    """The refusal says how many tries are left."""
    anne = await world.physician("anne", number=1)
    await guesses(anne, 2)

    assert "3 tries" in body(anne.last())


async def test_every_wrong_code_stands_in_the_audit(world: World) -> None:
    """The audit has each guess, with its number and without the digits."""
    anne = await world.physician("anne", number=1)
    await guesses(anne, 2)

    assert [row.event.facts for row in await audited(world, "code_wrong")] == [{"guess": 1}, {"guess": 2}]


@pytest.mark.parametrize("written", ["{0} {1}", "{0}\u00a0{1}", "{0}\u202f{1}", " {0}{1} "])
async def test_six_digits_may_be_written_as_the_app_shows_them(world: World, written: str) -> None:
    """Apps show `123 456`; copied with any blank they are the same code."""
    anne = await world.physician("anne", number=1, session=False)
    code = await anne.code()
    await anne.says(written.format(code[:3], code[3:]))

    assert anne.kinds()[-1] == "unlocked"


@pytest.mark.parametrize("verb", ["list", "inbox", "lines", "help", "email a@b.example"])
async def test_what_shows_nothing_clinical_needs_no_session(world: World, verb: str) -> None:
    """Looking at numbers and states works without a code."""
    anne = await world.physician("anne", number=1, session=False)
    await anne.says(f"!{verb}")

    assert anne.kinds()[-1] not in ("error", "code_refused")


@pytest.mark.parametrize("verb", ["new rhythmology", "take C-2026-0001", "draft C-2026-0001 x", "export C-2026-0001"])
async def test_what_is_clinical_needs_a_session(world: World, verb: str) -> None:
    """Without a session the answer is how to open one."""
    anne = await world.physician("anne", number=1, session=False)
    await anne.says(f"!{verb}")

    assert refusal(anne) == "session_needed"
    assert "!unlock" in body(anne.last())


async def test_staff_ask_no_questions(world: World) -> None:
    """Only physicians open cases."""
    clerk = await world.physician("clerk", roles=(Role.COORDINATOR,), lines={"rhythmology": "expert"})
    await clerk.says("!new rhythmology")

    assert refusal(clerk) == "physicians_only"
    assert not (await person_of(world, clerk.user_id)).is_physician
