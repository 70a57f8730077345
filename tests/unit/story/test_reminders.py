"""The sweep: reminders and escalation, each said once, also over restarts and missed ticks."""

from pathlib import Path

from bot.domain.people import Role
from tests.unit.story.cases import (
    DRAFT,
    about,
    admin,
    data,
    delivered,
    drafted_by_two,
    restarted,
    submitted,
    taken,
)
from tests.world import Physician, World


def reminded(who: Physician) -> int:
    """Return how often somebody was reminded of a deadline."""
    return len(about(who, "reminder", reason="reminder_deadline"))


async def test_experts_are_reminded_at_half_and_at_four_fifths_of_the_time(world: World) -> None:
    """72 h for routine: at 36 h and at 57.6 h (DESIGN 2.4)."""
    story = await submitted(world)
    counts = []
    for hours in (35, 2, 20, 2):
        await world.later(hours=hours)
        counts.append(reminded(story.experts[0]))

    assert counts == [0, 1, 1, 2]


async def test_once_a_case_is_taken_only_its_expert_is_reminded(world: World) -> None:
    """The others have nothing to do with it."""
    story = await taken(world)
    await world.later(hours=37)

    assert [reminded(expert) for expert in story.experts] == [1, 0]


async def test_while_signatures_are_missing_only_those_who_owe_one_are_reminded(world: World) -> None:
    """Whoever has signed is left in peace."""
    story = await drafted_by_two(world)
    await story.signs(0)
    await world.later(hours=37)

    assert [reminded(expert) for expert in story.experts] == [0, 1]


async def test_after_the_deadline_the_coordinators_are_told_once(world: World) -> None:
    """Then the coordinator (and the second line, where the line has one)."""
    cora = await world.physician("cora", roles=(Role.COORDINATOR,), lines={"rhythmology": "expert"})
    await submitted(world)
    await world.later(hours=73)
    await world.later(hours=1)

    assert len(about(cora, "escalated", reason="deadline_passed")) == 1


async def test_a_line_without_coordinators_tells_the_admins(world: World) -> None:
    """Somebody always hears of it."""
    boss = await admin(world)
    await submitted(world)
    await world.later(hours=73)

    assert len(about(boss, "escalated", reason="deadline_passed")) == 1


async def test_a_missed_tick_loses_nothing(world: World) -> None:
    """The bot was down for three days: everything that was due comes with the first sweep."""
    boss, story = await admin(world), await submitted(world)
    await world.later(hours=73)

    assert reminded(story.experts[0]) >= 1
    assert len(about(boss, "escalated")) == 1


async def test_a_restart_repeats_nothing_that_was_said(world: World, tmp_path: Path) -> None:
    """Three restarts and as many sweeps at the same hour: one reminder (DESIGN 5)."""
    story = await submitted(world)
    await world.later(hours=37)
    async with restarted(world, tmp_path) as second:
        await second.later(seconds=5)
    async with restarted(second, tmp_path) as third:
        await third.later(seconds=5)
    async with restarted(third, tmp_path) as fourth:
        await fourth.later(seconds=5)

    assert reminded(story.experts[0]) == 1


async def test_a_restart_between_the_step_and_its_words_says_them_once(world: World, tmp_path: Path) -> None:
    """What a step planned is in the database: it is said after the restart, once."""
    story = await submitted(world)
    bob = story.experts[0]
    await world.rooms.say(bob.user_id, bob.direct, f"!take {story.id}")
    await world.core.dispatch.work_off()
    async with restarted(world, tmp_path) as second:
        await second.settle()
        await second.settle()
    async with restarted(second, tmp_path) as third:
        await third.settle()

    assert story.kinds().count("dossier") == 1
    assert len(about(bob, "taken")) == 1
    assert story.members()[bob.user_id] == "invite"


async def test_a_case_goes_on_after_a_restart_at_every_stage(world: World, tmp_path: Path) -> None:
    """Taken before, drafted after the first, signed after the second restart."""
    story = await taken(world)
    async with restarted(world, tmp_path) as second:
        story.world = story.experts[0].world = second
        await story.answers(0, f"!draft {DRAFT}")
    async with restarted(second, tmp_path) as third:
        story.world = story.experts[0].world = third
        await story.signs(0)
        assert (await story.case()).delivered_at is not None


async def test_words_that_were_written_while_the_bot_was_down_are_done_with_their_age_said(world: World) -> None:
    """Commands sent while the bot was down are executed, in order, with their age said (DESIGN 6)."""
    story = await submitted(world)
    bob = story.experts[0]
    await world.rooms.say(bob.user_id, bob.direct, f"!take {story.id}")
    world.clock.advance(hours=1)
    await world.settle()

    assert bob.kinds()[-2:] == ["late", "taken"]


async def test_after_delivery_no_deadline_is_reminded_of(world: World) -> None:
    """The opinion is there."""
    story = await delivered(world)
    await world.later(days=3)

    assert reminded(story.experts[0]) == 0


async def test_every_reminder_rings_and_names_the_case(world: World) -> None:
    """A reminder makes the phone sound and carries number and next step, nothing else."""
    story = await submitted(world)
    await world.later(hours=37)

    [reminder] = about(story.experts[0], "reminder")
    assert reminder.content["msgtype"] == "m.text"
    assert data(reminder)["case"] == story.id
