"""The way back with a new phone: nothing counts from a changed identity until an admin compared it."""

import pytest

from bot.domain.ids import UserId
from bot.domain.people import Standing
from tests.unit.story.cases import RHYTHMOLOGY, Story, about, admin, body, data, opened, person_of, refusal, taken
from tests.world import Physician, World


async def with_new_identity(world: World) -> tuple[Physician, Physician]:
    """Return an admin and a physician who has reset his identity."""
    boss, anne = await admin(world), await world.physician("anne", number=1)
    world.rooms.replace_identity(anne.user_id)
    return boss, anne


async def pinned(world: World, user_id: UserId) -> str | None:
    """Return the master key that is pinned for a person."""
    return (await person_of(world, user_id)).master_key


@pytest.mark.parametrize("words", ["!new rhythmology", "!list", "!unlock 123456", "123456", "bonjour"])
async def test_words_of_a_changed_identity_are_refused(world: World, words: str) -> None:
    """Whoever took over the account gets nothing but the way back."""
    _, anne = await with_new_identity(world)
    await anne.says(words)

    assert refusal(anne) == "identity_changed"


async def test_a_changed_identity_can_ask_for_help_and_for_the_way_back_only(world: World) -> None:
    """`help` works and tells nothing that is not public."""
    _, anne = await with_new_identity(world)
    await anne.says("!help")

    assert anne.kinds()[-1] == "help"


async def test_a_changed_identity_taps_no_poll(world: World) -> None:
    """A tap counts from the pinned identity only."""
    story = await opened(world)
    world.rooms.replace_identity(story.requester.user_id)
    await story.taps("not_emergency")

    assert len((await story.case()).answers) == 0


async def test_recover_with_a_code_needs_one_admin(world: World) -> None:
    """A fresh code from the new device, an admin who compares the new fingerprint, and the pin moves."""
    boss, anne = await with_new_identity(world)
    await anne.says(f"!recover {await anne.code()}")
    assert "anot her- mast er-k ey" in body(about(boss, "admin_recover")[-1])
    assert await pinned(world, anne.user_id) == "master-of-@anne:test"

    await boss.says(f"!admin approve {anne.user_id} compared by voice")
    assert await pinned(world, anne.user_id) == "another-master-key"
    assert (await person_of(world, anne.user_id)).standing is Standing.ENROLLED


async def test_recover_ends_the_sessions(world: World) -> None:
    """Whoever recovers begins with a new code."""
    boss, anne = await with_new_identity(world)
    await anne.says(f"!recover {await anne.code()}")
    await boss.says(f"!admin approve {anne.user_id} compared by voice")
    await anne.says("!new rhythmology")

    assert refusal(anne) == "session_needed"


async def test_recover_with_a_wrong_code_changes_nothing(world: World) -> None:
    """A guess is a guess here too."""
    boss, anne = await with_new_identity(world)
    await anne.says("!recover 000000")

    assert refusal(anne) == "code_wrong"
    assert about(boss, "admin_recover") == []


async def test_recover_without_a_code_needs_a_second_admin(world: World) -> None:
    """If the code is lost too, two admins compare; the same one twice does not count."""
    boss, anne = await with_new_identity(world)
    other = await admin(world, "otto")
    await anne.says("!recover")
    await boss.says(f"!admin approve {anne.user_id} compared")
    await boss.says(f"!admin approve {anne.user_id} compared again")
    assert refusal(boss) == "second_admin_other"
    assert await pinned(world, anne.user_id) == "master-of-@anne:test"

    await other.says(f"!admin approve {anne.user_id} compared too")
    assert await pinned(world, anne.user_id) == "another-master-key"


async def test_whoever_lost_the_code_gets_a_new_second_factor(world: World) -> None:
    """After both admins the old secret is worthless and the way in is open: a new one is handed over."""
    boss, anne = await with_new_identity(world)
    other = await admin(world, "otto")
    async with world.store.unit() as unit:
        old = await unit.credential(anne.user_id)
    await anne.says("!recover")
    await boss.says(f"!admin approve {anne.user_id} compared")
    await other.says(f"!admin approve {anne.user_id} compared too")

    async with world.store.unit() as unit:
        new = await unit.credential(anne.user_id)
    assert "secret_sent" in anne.kinds()
    assert old is not None
    assert new is None or new.secret != old.secret


async def test_a_refused_recovery_leaves_the_old_identity_in_place(world: World) -> None:
    """An admin who hears a stranger turns the recovery down; the physician goes on with the pinned identity."""
    boss, anne = await with_new_identity(world)
    await anne.says(f"!recover {await anne.code()}")
    await boss.says(f"!admin reject {anne.user_id} another voice")
    world.rooms.replace_identity(anne.user_id, "master-of-@anne:test")
    await anne.unlocks()

    assert anne.kinds()[-1] == "unlocked", body(anne.last())


async def test_whoever_is_known_needs_no_recovery(world: World) -> None:
    """With the pinned identity `recover` says that nothing is to be done."""
    anne = await world.physician("anne", number=1)
    await anne.says(f"!recover {await anne.code()}")

    assert refusal(anne) == "recover_not_needed"


async def test_a_stranger_cannot_recover(world: World) -> None:
    """Whoever never enrolled registers."""
    stranger = await world.stranger("eve")
    await stranger.says("!recover 123456")

    assert refusal(stranger) == "not_registered"


# -- in the cases ------------------------------------------------------------------------------------------------------


async def left_out(world: World) -> tuple[Physician, Story, Physician]:
    """Return an admin, a case, and its expert who was left out because his identity changed."""
    boss, story = await admin(world), await taken(world)
    bob = story.experts[0]
    world.rooms.replace_identity(bob.user_id)
    await story.asks("How is the dose?")
    await story.asks("!form")
    return boss, story, bob


async def test_whoever_changed_his_identity_is_left_out_and_told_of(world: World) -> None:
    """No key, out of the room, the room is told; the case goes on for the others (DESIGN 6)."""
    _, story, bob = await left_out(world)

    assert story.members()[bob.user_id] == "leave"
    assert data(story.last("member_left_out"))["user"] == bob.user_id
    assert all(user != bob.user_id for user, _ in story.last("member_left_out").readers)


async def test_the_person_left_out_and_the_admins_are_told_in_their_direct_chats(world: World) -> None:
    """Then the room is told, the person in his direct chat, the admins in theirs (DESIGN 6)."""
    boss, _, bob = await left_out(world)

    assert len(about(boss, "admin_left_out", user=bob.user_id)) == 1
    assert len(about(bob, "error", code="identity_changed")) == 1


async def test_after_recovery_the_expert_is_in_the_room_again_and_reads_the_dossier(world: World) -> None:
    """The pin moves and open cases are sent again: he is invited back and can read them (DESIGN 6)."""
    boss, story, bob = await left_out(world)
    await bob.says(f"!recover {await bob.code()}")
    await boss.says(f"!admin approve {bob.user_id} compared by voice")

    assert story.members()[bob.user_id] in ("invite", "join")
    assert bob.user_id in {user for user, _ in story.last("dossier").readers}


async def test_after_recovery_the_requester_is_in_the_room_again(world: World) -> None:
    """Open cases come back for whoever asked, too."""
    boss, story = await admin(world), await taken(world)
    anne = story.requester
    world.rooms.replace_identity(anne.user_id)
    await story.answers(0, f"!draft {RHYTHMOLOGY}")
    assert story.members()[anne.user_id] == "leave"

    await anne.says(f"!recover {await anne.code()}")
    await boss.says(f"!admin approve {anne.user_id} compared by voice")
    assert story.members()[anne.user_id] in ("invite", "join")
