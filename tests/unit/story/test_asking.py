"""From `new` to `submitted`: the line, the prompts, taps and words, edits, `skip`, `back`, `form`, `submit`."""

from datetime import timedelta

import pytest

from bot.domain.language import Language
from bot.domain.prompts import PromptId
from bot.domain.steps import State
from tests.fakes.rooms import SentEvent
from tests.unit.story.cases import (
    FILES,
    FIRST,
    PHOTOS,
    Story,
    about,
    answer_all,
    audited,
    body,
    data,
    filled,
    opened,
    refusal,
)
from tests.world import World

LINES = ("rhythmology", "valve_heart_team", "cardiac_amyloidosis", "dermatology")


# -- new ---------------------------------------------------------------------------------------------------------------


async def test_new_opens_an_encrypted_room_of_its_own_and_asks_for_an_emergency_first(world: World) -> None:
    """The first message says: no emergency service, 112, the telephone; the first question is the emergency."""
    story = await opened(world)

    first, question = world.rooms.sent(story.room)[:2]
    assert "112" in body(first)
    assert "+32 4 000 00 00" in body(first)
    assert data(question)["field"] == PromptId.EMERGENCY
    assert set(story.members()) == {world.rooms.user_id, story.requester.user_id}


async def test_every_case_has_a_number_and_a_room_of_its_own(world: World) -> None:
    """Numbers go on and are the same for every line."""
    story = await opened(world)
    await story.requester.says("!new dermatology")

    assert await world.room("C-2026-0002") != story.room


@pytest.mark.parametrize("words", ["rythmologie", "RHYTHM", "rythmo", "électrophysiologie", "ritmologie"])
async def test_a_line_is_found_by_its_names_in_any_language(world: World, words: str) -> None:
    """Case, accents and language do not matter, and a beginning is enough."""
    anne = await world.physician("anne", number=1)
    await anne.says(f"!new {words}")

    assert (await world.case(FIRST)).line == "rhythmology"


async def test_a_wrong_line_gets_the_nearest_right_ones(world: World) -> None:
    """A wrong word gets the nearest right ones, and nothing is opened."""
    anne = await world.physician("anne", number=1)
    await anne.says("!new rytmologi")

    assert refusal(anne) == "no_such_line"
    assert "Rhythmology" in body(anne.last())
    assert "Valve" not in body(anne.last())


async def test_an_ambiguous_line_is_asked_again(world: World) -> None:
    """A beginning of two lines (Hartkleppen, Haut) opens neither, and both are named."""
    anne = await world.physician("anne", number=1)
    await anne.says("!new ha")

    assert refusal(anne) == "no_such_line"
    assert "Valve Heart Team, Dermatology" in body(anne.last()) or "Dermatology, Valve" in body(anne.last())
    assert FIRST not in [room.name for room in world.rooms.rooms()]


async def test_a_line_that_is_missing_is_asked_for_and_the_answer_completes_the_command(world: World) -> None:
    """A missing argument is asked for; the next message is it."""
    anne = await world.physician("anne", number=1)
    await anne.says("!new")
    assert refusal(anne) == "argument_missing"

    await anne.says("rhythmology")
    assert anne.kinds()[-1] == "case_opened"


# -- twelve messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
async def test_twelve_messages_are_enough_for_every_line(world: World, line: str) -> None:
    """At most 12 own messages or taps from `new` to `submitted`, files apart, with nothing missing (DESIGN 2.3)."""
    story = await opened(world, line=line)
    await _drop_all(story, PHOTOS if line == "dermatology" else FILES)
    await answer_all(story, born=1931)
    await story.asks("!submit")

    assert (await story.case()).state is State.SUBMITTED, body(story.last())
    assert data(story.last("submitted"))["turns"] <= 12
    assert "answer_refused" not in story.kinds()


async def _drop_all(story: Story, files: tuple[bytes, ...]) -> None:
    for file in files:
        await story.drops(file)


@pytest.mark.parametrize(
    "language, rows",
    [
        (Language.FR, ["non", "réf. 4711, 1958, F", "d'accord, vu", "Faut-il une ablation ?", "traitement, routine"]),
        (Language.NL, ["nee", "ref 4711, 1958, V", "akkoord, gezien", "Is ablatie nodig?", "behandeling, routine"]),
        (Language.DE, ["nein", "Ref. 4711, 1958, W", "einverstanden, gesehen", "Ablation?", "Behandlung, Routine"]),
        (Language.EN, ["no", "ref 4711, 1958, F", "agrees, seen", "Is ablation needed?", "treatment, routine"]),
    ],
)
async def test_every_poll_can_be_answered_by_text_in_every_language(
    world: World, language: Language, rows: list[str]
) -> None:
    """Five messages answer emergency, patient, declarations, question, expectation, without one tap."""
    story = await opened(world, language=language)
    await _say_all(story, rows)

    assert data(story.last("question"))["field"] == PromptId.KEY
    assert "answer_refused" not in story.kinds()


async def _say_all(story: Story, rows: list[str]) -> None:
    for row in rows:
        await story.asks(row)


@pytest.mark.parametrize("language, word", [(Language.FR, "d'accord"), (Language.NL, "akkoord")])
async def test_agreed_as_an_answer_to_the_declarations_is_not_the_verb_agree(
    world: World, language: Language, word: str
) -> None:
    """While the form is filled a plain word of the requester is an answer: it may be asked back, never refused."""
    story = await opened(world, language=language)
    await _say_all(story, ["non" if language is Language.FR else "nee", "ref 4711, 1958, F", word])

    assert data(story.last())["kind"] in ("answer_recorded", "answer_refused", "question"), body(story.last())


async def test_one_message_may_answer_many_things_and_the_bot_shows_what_it_understood(world: World) -> None:
    """A message such as "FEVG 35, NYHA III" fills two fields; each is repeated."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F", "agrees, seen", "Ablation?", "treatment, routine", "AF"])
    await story.asks("FEVG 35, syncope no, EHRA 2b")

    assert set(data(story.last("answer_recorded"))["field"]) == {"lvef", "syncope", "ehra_score"}
    assert "35" in body(story.last("answer_recorded"))


async def test_a_letter_answers_the_clinical_story(world: World) -> None:
    """An attached letter satisfies history, medication and current state (DESIGN 2.3)."""
    story = await opened(world)
    await story.asks("!form")
    assert {"history", "medication", "current_state"} <= set(data(story.last("form_status"))["missing"])

    await story.drops(b"PDF letter")
    await story.asks("!form")
    assert not {"history", "medication", "current_state"} & set(data(story.last("form_status"))["missing"])


async def test_a_message_that_is_not_understood_is_answered_and_asked_again(world: World) -> None:
    """Nothing is stored, the bot says which part it did not take."""
    story = await opened(world)
    await story.asks("no")
    await story.asks("Jeanne Martin")

    assert data(story.last())["kind"] == "answer_refused"
    assert "patient_ref" not in (await story.case()).answers


async def test_a_national_number_is_never_kept(world: World) -> None:
    """Its checksum finds it; nothing of the message is kept and the requester is told."""
    story = await opened(world)
    await story.asks("no")
    await story.asks("ref 58.03.02-002.13, 1958, F")

    assert data(story.last())["codes"] == ["niss_found"]
    assert "58.03.02" not in body(story.last())
    assert "patient_ref" not in (await story.case()).answers


# -- polls -------------------------------------------------------------------------------------------------------------


def poll_of(world: World, story: Story) -> SentEvent:
    """Return the newest poll of the case room."""
    return next(e for e in reversed(world.rooms.sent(story.room)) if e.event_type.endswith("poll.start"))


async def test_a_poll_gives_nothing_away_in_clear(world: World) -> None:
    """Answer ids are random, so the relation that travels in clear says nothing."""
    story = await opened(world)
    ids = [answer["id"] for answer in data(poll_of(world, story))["poll"]]

    assert all(len(one) >= 8 for one in ids)
    assert not {"emergency", "not_emergency"} & set(ids)


async def test_a_settled_poll_is_ended_and_takes_no_second_tap(world: World) -> None:
    """The bot ends the poll; a late tap on it changes nothing."""
    story = await opened(world)
    poll = poll_of(world, story)
    emergency = next(a["id"] for a in data(poll)["poll"] if a["value"] == "emergency")
    await story.taps("not_emergency")
    await world.rooms.tap(story.requester.user_id, story.room, poll.event_id, [emergency])
    await world.settle()

    assert (await story.case()).state is State.COLLECTING
    assert any(e.event_type.endswith("poll.end") for e in world.rooms.sent(story.room))


async def test_a_poll_answered_by_text_is_ended_too(world: World) -> None:
    """A tap and a text are the same answer."""
    story = await opened(world)
    await story.asks("no")

    assert any(e.event_type.endswith("poll.end") for e in world.rooms.sent(story.room))


@pytest.mark.parametrize("answers", [[], ["nothing-like-it"], ["not_emergency"], [""]])
async def test_a_forged_poll_answer_changes_nothing(world: World, answers: list[str]) -> None:
    """Only the random ids of this poll count."""
    story = await opened(world)
    before = await story.case()
    await world.rooms.tap(story.requester.user_id, story.room, poll_of(world, story).event_id, answers)
    await world.settle()

    assert await story.case() == before


async def test_only_the_person_asked_may_tap(world: World) -> None:
    """Somebody else's tap changes nothing, though he is enrolled."""
    story, other = await opened(world), await world.physician("bob", number=2)
    poll = poll_of(world, story)
    before = await story.case()
    await world.rooms.tap(other.user_id, story.room, poll.event_id, [data(poll)["poll"][0]["id"]])
    await world.settle()

    assert await story.case() == before


async def test_a_tap_in_another_room_changes_nothing(world: World) -> None:
    """The poll of the case room cannot be answered from the direct chat."""
    story = await opened(world)
    poll = poll_of(world, story)
    before = await story.case()
    await world.rooms.tap(story.requester.user_id, story.requester.direct, poll.event_id, [data(poll)["poll"][0]["id"]])
    await world.settle()

    assert await story.case() == before


async def test_a_tap_from_an_unsigned_device_changes_nothing(world: World) -> None:
    """A vote counts only from a cross-signed device."""
    story = await opened(world)
    world.rooms.add_device(story.requester.user_id, "STOLEN", cross_signed=False)
    poll = poll_of(world, story)
    before = await story.case()
    await world.rooms.tap(
        story.requester.user_id, story.room, poll.event_id, [data(poll)["poll"][0]["id"]], device_id="STOLEN"
    )
    await world.settle()

    assert await story.case() == before


# -- edits and redactions ----------------------------------------------------------------------------------------------


async def with_lvef(world: World) -> tuple[Story, str]:
    """Return a case in which "FEVG 35" was answered, and the event that said so."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F", "agrees, seen", "Ablation?", "treatment, routine", "AF"])
    return story, await story.asks("FEVG 35")


def edit(target: str, text: str, *, inside: bool = True) -> dict[str, object]:
    """Return the content that an app adds to a message that edits another one."""
    new = {"m.new_content": {"msgtype": "m.text", "body": text}} if inside else {}
    return {"m.relates_to": {"rel_type": "m.replace", "event_id": target}, **new}


async def test_an_edit_inside_the_encrypted_content_changes_an_answer_and_is_repeated(world: World) -> None:
    """The bot says "35 → 55"."""
    story, target = await with_lvef(world)
    await story.asks("* FEVG 55", **edit(target, "FEVG 55"))

    assert str((await story.case()).answers.value("lvef")) == "55"
    assert "35 % → 55 %" in body(story.last())


async def test_an_edit_that_stands_outside_the_encrypted_content_changes_nothing(world: World) -> None:
    """A relation in clear can be forged by a server."""
    story, target = await with_lvef(world)
    before = await story.case()
    await story.asks("* FEVG 55", **edit(target, "FEVG 55", inside=False))

    assert await story.case() == before


async def test_an_edit_by_somebody_else_changes_nothing(world: World) -> None:
    """An edit counts from the sender of the answer only."""
    story, target = await with_lvef(world)
    other = await world.physician("bob", number=2)
    before = await story.case()
    await other.says("* FEVG 55", story.room, **edit(target, "FEVG 55"))

    assert await story.case() == before


async def test_an_edit_after_submission_changes_nothing(world: World) -> None:
    """What experts were given stays as it was."""
    story, target = await with_lvef(world)
    await answer_all(story)
    await story.asks("!submit anyway")
    before = await story.case()
    await story.asks("* FEVG 55", **edit(target, "FEVG 55"))

    assert (await story.case()).answers == before.answers


async def test_an_edit_that_is_not_understood_is_answered(world: World) -> None:
    """A value out of range must not look as if it had been taken."""
    story, target = await with_lvef(world)
    said = len(story.kinds())
    await story.asks("* FEVG 350", **edit(target, "FEVG 350"))

    assert str((await story.case()).answers.value("lvef")) == "35"
    assert len(story.kinds()) > said


async def test_an_edit_without_a_session_changes_nothing(world: World) -> None:
    """An edit is an answer: it needs a session of the person."""
    story, target = await with_lvef(world)
    await story.requester.says("!lock")
    await story.asks("* FEVG 55", **edit(target, "FEVG 55"))

    assert str((await story.case()).answers.value("lvef")) == "35"


async def test_an_edited_command_does_nothing(world: World) -> None:
    """Commands never come from an edit."""
    story, target = await with_lvef(world)
    await story.asks("* !cancel", **edit(target, "!cancel"))

    assert (await story.case()).state is State.COLLECTING


# -- moving in the form ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [[], ["no"], ["no", "ref 4711, 1958, F"]])
async def test_what_a_case_never_goes_without_cannot_be_skipped(world: World, answered: list[str]) -> None:
    """Not-an-emergency, the patient line and the declarations stay asked."""
    story = await opened(world)
    await _say_all(story, answered)
    await story.asks("!skip")

    assert story.code() == "never_skipped"


async def test_skip_goes_to_the_next_prompt(world: World) -> None:
    """Everything else may be left out."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F", "agrees, seen", "Ablation?"])
    await story.asks("!skip")

    assert data(story.last("question"))["field"] == PromptId.KEY


async def test_a_skipped_document_that_is_required_is_not_everything(world: World) -> None:
    """When nothing is asked any more the bot says what is missing, and never that all is there."""
    story = await opened(world)
    await answer_all(story)
    await story.asks("!form")

    assert data(story.last("form_status"))["missing"] == ["ecg_12"]
    ready = next(e for e in world.rooms.sent(story.room) if data(e).get("kind") == "form_status")
    assert data(ready)["missing"] == ["ecg_12"], body(ready)


async def test_back_takes_the_newest_answers_back_and_asks_again(world: World) -> None:
    """The whole message is taken back, and said which fields."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F"])
    await story.asks("!back")

    assert data(story.last("question"))["field"] == PromptId.PATIENT
    assert "patient_birth_year" not in (await story.case()).answers


async def test_back_before_any_answer_says_so(world: World) -> None:
    """Nothing to take back is a clear answer."""
    story = await opened(world)
    await story.asks("!back")

    assert story.code() == "nothing_to_take_back"


async def test_form_shows_what_is_answered_and_what_is_missing(world: World) -> None:
    """`form` at any time, also in the middle."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F"])
    await story.asks("form")

    assert "4711" in body(story.last("form_status"))
    assert "question" in data(story.last("form_status"))["missing"]


# -- submit ------------------------------------------------------------------------------------------------------------


async def test_submit_at_once_names_what_a_case_never_goes_without(world: World) -> None:
    """`submit` works at any time and names what is missing."""
    story = await opened(world)
    await story.asks("!submit")

    assert story.code() == "form_never_without"
    assert set(data(story.last())["fields"]) >= {"question", "not_emergency_ack", "patient_ref", "patient_birth_year"}


async def test_submit_anyway_never_goes_without_the_patient_line_and_the_question(world: World) -> None:
    """It never skips question, not-an-emergency, consent and patient line (DESIGN 2.3)."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F"])
    await story.asks("!submit anyway")

    assert story.code() == "form_never_without"
    assert (await story.case()).state is State.COLLECTING


async def test_submit_names_what_is_missing_and_submit_anyway_goes_on(world: World) -> None:
    """The dossier says that it is incomplete."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F", "agrees, seen", "Ablation?"])
    await story.asks("!submit")
    assert story.code() == "form_incomplete"

    await story.asks("!submit anyway")
    assert data(story.last("submitted"))["incomplete"] is True
    assert "LVEF" in body(story.last("submitted"))


async def test_a_complete_form_is_submitted(world: World) -> None:
    """Then the line's clock begins."""
    story = await filled(world)
    await story.asks("!submit")

    case = await story.case()
    assert (case.state, case.incomplete) == (State.SUBMITTED, False)
    assert case.due_at == world.clock.now() + timedelta(hours=72)


async def test_a_submitted_case_takes_no_more_answers(world: World) -> None:
    """Afterwards the requester's words are conversation."""
    story = await filled(world)
    await story.asks("!submit")
    before = (await story.case()).answers
    await story.asks("FEVG 55")

    assert (await story.case()).answers == before


async def test_an_emergency_opens_nothing(world: World) -> None:
    """112 and the line's telephone are said; no expert is rung (DESIGN 2.3)."""
    bob = await world.physician("bob", number=2, lines={"rhythmology": "rhythmologist"})
    story = await opened(world)
    await story.taps("emergency")

    assert "112" in body(story.last("emergency"))
    assert "+32 4 000 00 00" in body(story.last("emergency"))
    assert (await story.case()).state is State.CANCELLED
    assert about(bob, "ring") == []


async def test_a_patient_who_does_not_agree_ends_the_request(world: World) -> None:
    """Nothing is passed on."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F"])
    await story.taps("refuses")

    case = await story.case()
    assert (case.state, case.cancelled_by) == (State.CANCELLED, "does_not_agree")


async def test_consent_that_was_not_possible_needs_a_reason(world: World) -> None:
    """The answer "not possible: reason" is one of the answers, and the reason is asked."""
    story = await opened(world)
    await _say_all(story, ["no", "ref 4711, 1958, F"])
    await story.taps("not_possible")

    assert data(story.last("question"))["field"] == PromptId.CONSENT_REASON


async def test_cancel_ends_a_case_that_is_being_asked(world: World) -> None:
    """The requester may change his mind at any time."""
    story = await opened(world)
    await story.asks("!cancel")

    assert (await story.case()).state is State.CANCELLED


# -- silence -----------------------------------------------------------------------------------------------------------


async def test_a_silent_form_is_reminded_of_after_three_days_and_lapses_after_seven(world: World) -> None:
    """Reminded once, then withdrawn by the bot."""
    story = await opened(world)
    await world.later(days=3)
    await world.later(hours=1)
    assert len(about(story.requester, "reminder", reason="reminder_collecting")) == 1

    await world.later(days=4)
    assert (await story.case()).state is State.CANCELLED
    assert len(about(story.requester, "reminder", reason="lapsed")) == 1
    assert len(await audited(world, "lapse")) == 1


async def test_an_answer_begins_the_seven_days_again(world: World) -> None:
    """Silence counts from the last sign of life."""
    story = await opened(world)
    await world.later(days=6)
    await story.requester.unlocks()
    await story.taps("not_emergency")
    await world.later(days=6)

    assert (await story.case()).state is State.COLLECTING
