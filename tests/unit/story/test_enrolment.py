"""Enrolment: a number is typed, an admin looks, a second factor is handed over, confirmed and pinned."""

import pytest

from bot.domain.language import Language
from bot.domain.people import Person, Role, Standing
from tests.unit.story.cases import about, admin, audited, body, data, person_of, refusal
from tests.world import Physician, World

NAME = "Dr Élise d'Hondt"


def number(first: int, *, modulus: int = 97) -> str:
    """Return a physician's number whose check digits follow one of the two rules."""
    check = modulus - first % modulus
    return f"{str(first)[0]}-{str(first)[1:]}-{check:02d}-477"


async def registered(world: World) -> tuple[Physician, Physician]:
    """Return an admin and a physician who waits for him."""
    boss, elise = await admin(world), await world.stranger("elise")
    await elise.says(f"!register {number(123456)} {NAME}")
    return boss, elise


async def approved(world: World) -> tuple[Physician, Physician]:
    """Return an admin and a physician whom he approved."""
    boss, elise = await registered(world)
    await boss.says(f"!admin approve {elise.user_id} called the hospital's switchboard")
    return boss, elise


# -- register ----------------------------------------------------------------------------------------------------------


async def test_whoever_opens_a_chat_is_told_how_to_begin_and_that_112_is_for_emergencies(world: World) -> None:
    """First contact gets one helpful answer; nothing is stored about a stranger."""
    stranger = await world.stranger("elise")

    assert "register" in body(stranger.last()) or "inscrire" in body(stranger.last())
    assert "112" in body(stranger.last())


async def test_an_admin_sees_name_number_id_and_fingerprint_of_whoever_registers(world: World) -> None:
    """The admin's approval shows name, number, id and fingerprint (DESIGN 2.1)."""
    boss, elise = await registered(world)

    shown = body(about(boss, "admin_registered")[-1])
    assert NAME in shown
    assert number(123456) in shown
    assert elise.user_id in shown
    assert "mast er-o f-@e lise :tes t" in shown
    assert (await person_of(world, elise.user_id)).standing is Standing.REGISTERED


@pytest.mark.parametrize(
    "typed, code",
    [
        ("1-23456-63-47", "inami_wrong_length"),
        ("1-2345a-63-477", "inami_not_a_number"),
        ("4-23456-63-477", "inami_not_physician"),
        ("douze", "inami_not_a_number"),
    ],
    ids=["one digit short", "a letter in it", "a nurse's number", "a word"],
)
async def test_a_number_that_cannot_be_a_physicians_is_refused_at_once(world: World, typed: str, code: str) -> None:
    """Typing errors and other professions are refused with the reason, and nobody is registered."""
    boss, elise = await admin(world), await world.stranger("elise")
    await elise.says(f"!register {typed} {NAME}")

    assert refusal(elise) == code
    assert about(boss, "admin_registered") == []


async def test_a_nurse_is_told_whose_number_it_is(world: World) -> None:
    """The first digit tells the profession; the refusal names it."""
    nurse = await world.stranger("nina")
    await nurse.says("!language fr")
    await nurse.says("!inscrire 4-23456-63-477 Nina Claes")

    assert "infirmi" in body(nurse.last())


@pytest.mark.parametrize("name", ["", "X", "Dr 3lise", "e" * 81])
async def test_a_name_is_needed_and_holds_no_digits(world: World, name: str) -> None:
    """A name has 3 to 80 characters and no digits; without one it is asked for."""
    elise = await world.stranger("elise")
    await elise.says(f"!register {number(123456)} {name}")

    assert refusal(elise) in ("argument_missing", "name_wrong")


@pytest.mark.parametrize("modulus", [97, 89])
async def test_both_rules_of_check_digits_are_known(world: World, modulus: int) -> None:
    """Older numbers follow modulo 97, the newer series modulo 89; neither makes an admin doubt."""
    boss, elise = await admin(world), await world.stranger("elise")
    await elise.says(f"!register {number(123456, modulus=modulus)} {NAME}")

    assert data(about(boss, "admin_registered")[-1])["claim"] is None


async def test_a_number_whose_check_digits_fail_can_be_approved_with_a_reason(world: World) -> None:
    """A number that fails the check digits alone is put before an admin, marked, and can be approved."""
    boss, elise = await admin(world), await world.stranger("elise")
    await elise.says(f"!register 1-23456-11-477 {NAME}")
    assert data(about(boss, "admin_registered")[-1])["claim"] == "check_digits"
    assert "check digits" in body(about(boss, "admin_registered")[-1])

    await boss.says(f"!admin approve {elise.user_id} looked up at the institute")
    assert (await person_of(world, elise.user_id)).standing is Standing.APPROVED


async def test_a_typing_error_in_the_check_digits_can_be_typed_again(world: World) -> None:
    """The doubt says: look again, if it is wrong write `register` once more; so that works."""
    boss, elise = await admin(world), await world.stranger("elise")
    await elise.says(f"!register 1-23456-11-477 {NAME}")
    await elise.says(f"!register {number(123456)} {NAME}")

    assert data(elise.last())["kind"] == "registered", body(elise.last())
    assert data(about(boss, "admin_registered")[-1])["claim"] is None


async def test_the_same_first_eight_digits_on_a_second_id_are_refused_and_told_to_all(world: World) -> None:
    """Other last digits do not make another physician: owner, admins and the newcomer are told (DESIGN 2.1)."""
    boss, owner = await admin(world), await world.physician("owner", number=1)
    thief = await world.stranger("thief")
    held = (await person_of(world, owner.user_id)).inami
    assert held is not None
    await thief.says(f"!register {held[:8]}003 Dr Other")

    assert refusal(thief) == "duplicate_number"
    assert [len(about(owner, "duplicate")), len(about(boss, "admin_duplicate"))] == [1, 1]
    assert thief.user_id in body(about(owner, "duplicate")[0])
    assert len(await audited(world, "duplicate_number")) == 1


async def pre_approved(world: World) -> Physician:
    """Return somebody whose number was bound to his id beforehand, as an import does."""
    elise = await world.stranger("elise")
    async with world.store.unit() as unit:
        await unit.save_person(
            Person(
                user_id=elise.user_id,
                name=NAME,
                inami=number(123456).replace("-", ""),
                language=Language.FR,
                standing=Standing.APPROVED,
                roles=frozenset({Role.PHYSICIAN}),
            )
        )
    return elise


async def test_a_pre_approved_physician_needs_no_admin(world: World) -> None:
    """A pre-approval binds a number to one exact Matrix id: that id gets the second factor at once."""
    boss, elise = await admin(world), await pre_approved(world)
    await elise.says(f"!register {number(123456)} {NAME}")

    assert [kind for kind in elise.kinds()[1:] if kind != "caption"] == ["approved", "secret_sent", "secret_sent"]
    assert about(boss, "admin_registered") == []


async def test_a_pre_approved_number_is_of_no_use_to_another_id(world: World) -> None:
    """Whoever else types a number that was approved beforehand is refused."""
    await pre_approved(world)
    thief = await world.stranger("thief")
    await thief.says(f"!register {number(123456)} Dr Other")

    assert refusal(thief) == "duplicate_number"


# -- approve, reject, suspend ------------------------------------------------------------------------------------------


async def test_an_approval_needs_a_reason_and_keeps_it(world: World) -> None:
    """The admin says how identity was checked; without a word nothing is approved. The audit has no free words."""
    boss, elise = await registered(world)
    await boss.says(f"!admin approve {elise.user_id}")
    assert (await person_of(world, elise.user_id)).standing is Standing.REGISTERED

    await boss.says(f"!admin approve {elise.user_id} known for ten years")
    assert (await person_of(world, elise.user_id)).checked_how == "known for ten years"
    assert "ten years" not in str(await audited(world, "approved"))


async def test_only_admins_approve(world: World) -> None:
    """A physician with a session is told which role it needs."""
    _, elise = await registered(world)
    friend = await world.physician("friend", number=2)
    await friend.says(f"!admin approve {elise.user_id} my friend")

    assert refusal(friend) == "role_missing"
    assert (await person_of(world, elise.user_id)).standing is Standing.REGISTERED


async def test_an_admin_without_a_session_on_this_device_approves_nobody(world: World) -> None:
    """Admin acts need a session on the device that types them (DESIGN 2.2)."""
    _, elise = await registered(world)
    other = await world.physician("otto", roles=(Role.ADMIN,), session=False)
    await other.says(f"!admin approve {elise.user_id} known")

    assert refusal(other) == "session_needed"
    assert (await person_of(world, elise.user_id)).standing is Standing.REGISTERED


async def test_whoever_was_turned_down_may_register_again(world: World) -> None:
    """A rejection is told to the person; it blocks neither the person nor the number for ever."""
    boss, elise = await registered(world)
    await boss.says(f"!admin reject {elise.user_id} could not be reached")
    assert elise.kinds()[-1] == "rejected"

    await elise.says(f"!register {number(123456)} {NAME}")
    assert elise.kinds()[-1] == "registered"


async def test_an_admin_cannot_approve_whoever_does_not_wait(world: World) -> None:
    """A wrong or unknown id gets a clear answer."""
    boss = await admin(world)
    await boss.says("!admin approve @nobody:test known")

    assert refusal(boss) == "nobody_waits"


async def test_a_suspended_physician_loses_sessions_and_rights_at_once(world: World) -> None:
    """Suspension ends sessions; every verb answers that he is suspended."""
    boss, elise = await admin(world), await world.physician("elise", number=3)
    await boss.says(f"!admin suspend {elise.user_id} licence under review")
    await elise.says("!list")

    assert refusal(elise) == "standing_suspended"
    async with world.store.unit() as unit:
        assert not await unit.has_session(elise.user_id, world.clock.now())


async def test_an_admin_cannot_suspend_himself(world: World) -> None:
    """The last admin must not lock himself out by a typing error."""
    boss = await admin(world)
    await boss.says(f"!admin suspend {boss.user_id} oops")

    assert refusal(boss) == "nobody_waits"


# -- the second factor and `confirm` -----------------------------------------------------------------------------------


async def test_the_second_factor_comes_as_link_and_as_key_to_copy(world: World) -> None:
    """A phone cannot scan its own screen: link and key stand in the message."""
    _, elise = await approved(world)

    shown = elise.last(kind="secret_sent")
    assert "otpauth://totp/" in body(shown)
    assert " ".join(data(shown)["totp_secret"][i : i + 4] for i in range(0, 8, 4)) in body(shown)


async def test_the_second_factor_goes_to_cross_signed_devices_only(world: World) -> None:
    """A device that its owner has not signed does not get the key of the message that shows the secret."""
    boss, elise = await registered(world)
    world.rooms.add_device(elise.user_id, "STOLEN", cross_signed=False)
    await boss.says(f"!admin approve {elise.user_id} known")

    assert {device for _, device in elise.last(kind="secret_sent").readers} == {"PHONE"}


async def test_confirm_pins_the_identity_and_ends_with_a_test_ring(world: World) -> None:
    """The master key is pinned at `confirm`; then the phone rings once and the physician is asked."""
    _, elise = await approved(world)
    await elise.says(f"!confirm {await elise.code()}")

    person = await person_of(world, elise.user_id)
    assert (person.standing, person.master_key) == (Standing.ENROLLED, "master-of-@elise:test")
    assert elise.kinds()[-3:] == ["enrolled", "ring", "question"]


async def test_six_digits_alone_confirm(world: World) -> None:
    """In the direct chat the digits are enough."""
    _, elise = await approved(world)
    await elise.says(await elise.code())

    assert (await person_of(world, elise.user_id)).standing is Standing.ENROLLED


async def test_confirm_takes_the_shown_secret_back(world: World) -> None:
    """The messages that showed the secret, as picture and as key, are redacted at `confirm`; the medium goes too."""
    _, elise = await approved(world)
    shown = {event.event_id for event in about(elise, "secret_sent")}
    await elise.says(f"!confirm {await elise.code()}")

    assert len(shown) == 2
    assert shown <= world.rooms.redacted
    assert [url for media in world.eraser.media.values() for url in media] == list(world.rooms.media)


async def test_the_shown_secret_is_taken_back_after_ten_minutes(world: World) -> None:
    """Nine minutes are not ten; it is taken back once."""
    _, elise = await approved(world)
    shown = {event.event_id for event in about(elise, "secret_sent")}
    await world.later(minutes=9)
    assert not shown & world.rooms.redacted

    await world.later(minutes=1)
    await world.later(minutes=1)
    assert shown <= world.rooms.redacted
    assert len(await audited(world, "secret_taken_back")) == 1


async def test_a_wrong_code_confirms_nothing(world: World) -> None:
    """The guesses are counted before enrolment too."""
    _, elise = await approved(world)
    await elise.says("!confirm 000000")

    assert refusal(elise) == "code_wrong"
    assert (await person_of(world, elise.user_id)).standing is Standing.APPROVED


@pytest.mark.parametrize("answer, heard", [("oui", True), ("non", False)])
async def test_the_test_ring_can_be_answered_by_text(world: World, answer: str, heard: bool) -> None:
    """Every poll can be answered by text."""
    _, elise = await approved(world)
    await elise.says(f"!confirm {await elise.code()}")
    await elise.says(answer)

    assert elise.kinds()[-1] == "ring_answered"
    assert (await person_of(world, elise.user_id)).heard_ring is heard


@pytest.mark.parametrize("tap, heard", [("heard", True), ("silent", False)])
async def test_the_test_ring_can_be_answered_by_a_tap(world: World, tap: str, heard: bool) -> None:
    """Enrolment ends when the physician says whether he heard it."""
    _, elise = await approved(world)
    await elise.says(f"!confirm {await elise.code()}")
    await elise.taps(tap)

    assert (await person_of(world, elise.user_id)).heard_ring is heard


async def test_the_test_ring_sounds_and_carries_no_content(world: World) -> None:
    """Only rings are `m.text`; what is no ring is a notice, which phones do not announce."""
    _, elise = await approved(world)
    await elise.says(f"!confirm {await elise.code()}")

    assert elise.last(kind="ring").content["msgtype"] == "m.text"
    assert elise.last(kind="enrolled").content["msgtype"] == "m.notice"


async def test_a_second_confirm_says_that_one_is_enrolled(world: World) -> None:
    """What is done is not done twice."""
    _, elise = await approved(world)
    await elise.says(f"!confirm {await elise.code()}")
    await elise.says(f"!confirm {await elise.code()}")

    assert refusal(elise) == "standing_enrolled"
