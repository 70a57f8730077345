"""Delivery, acknowledgement, one follow-up, correction, survey, more time, the PDF again."""

import hashlib

import pytest

from bot.domain.steps import State
from tests.unit.story.cases import Story, about, acknowledged, audited, body, data, delivered, drafted, refusal
from tests.unit.story.test_routing import coordinator
from tests.world import World


async def replies(story: Story, text: str) -> None:
    """The expert answers a further question in the case room."""
    await story.answers(0, text)


# -- delivery ----------------------------------------------------------------------------------------------------------


async def test_the_opinion_comes_to_case_room_and_direct_chat_with_one_ring(world: World) -> None:
    """Posted twice, rung once (DESIGN 2.7)."""
    story = await delivered(world)

    assert (
        story.last("delivered").content["file"]["url"] == about(story.requester, "delivered")[-1].content["file"]["url"]
    )
    assert about(story.requester, "delivered")[-1].content["msgtype"] != "m.text"
    assert len([e for e in about(story.requester, "ring") if "opinion" in body(e)]) == 1


async def test_the_mail_has_a_number_and_no_content(world: World) -> None:
    """An e-mail without content: the case number at most."""
    story = await delivered(world)

    [letter] = world.mail.to("anne@hospital.example")
    assert story.id in letter.subject
    assert [
        word for word in ("Rhythm", "blation", "4711", "veins", "Bob") if word in letter.subject + letter.text
    ] == []


async def test_whoever_has_no_address_gets_no_mail_and_the_opinion_all_the_same(world: World) -> None:
    """`email -` takes the address away."""
    story = await drafted(world)
    await story.requester.says("!email -")
    await story.signs(0)

    assert world.mail.letters == []
    assert (await story.case()).state is State.DELIVERED


async def test_a_mail_server_that_is_down_holds_nothing_up(world: World) -> None:
    """The mail goes later; delivery does not wait for it."""
    world.mail.down = True
    story = await delivered(world)
    assert story.kinds()[-1] == "delivered"

    world.mail.down = False
    await world.later(minutes=1)
    assert len(world.mail.letters) == 1


# -- acknowledge -------------------------------------------------------------------------------------------------------


async def test_acknowledge_repeats_the_patient_and_asks_where_it_was_filed(world: World) -> None:
    """Reference, birth year and sex; then: filed with this patient? (DESIGN 2.7)"""
    story = await acknowledged(world)

    assert "4711, 1958, Female" in body(about(story.requester, "acknowledged")[-1])
    assert data(story.requester.last())["field"] == "filed"
    assert (await story.case()).state is State.CLOSED


@pytest.mark.parametrize("tap, kind", [("yes", "filed"), ("no", "not_filed")])
async def test_the_answer_stands_in_the_audit(world: World, tap: str, kind: str) -> None:
    """Filed with this patient, or not."""
    story = await acknowledged(world)
    await story.requester.taps(tap)

    assert len(await audited(world, kind)) == 1


@pytest.mark.parametrize("word, kind", [("yes", "filed"), ("not yet", "not_filed"), ("oui", "filed")])
async def test_the_question_about_filing_can_be_answered_by_text(world: World, word: str, kind: str) -> None:
    """Every poll can be answered by text (DESIGN 3)."""
    story = await acknowledged(world)
    await story.requester.says(word)

    assert len(await audited(world, kind)) == 1, body(story.requester.last())


async def test_an_expert_does_not_acknowledge(world: World) -> None:
    """Only the requester can say that it arrived."""
    story = await delivered(world)
    await story.experts[0].says(f"!acknowledge {story.id}")

    assert refusal(story.experts[0]) == "step_not_yours"


async def test_after_seven_days_the_case_is_closed_and_the_coordinators_told(world: World) -> None:
    """Not acknowledged within 7 days (DESIGN 4)."""
    cora = await coordinator(world)
    story = await delivered(world)
    await world.later(days=7, hours=1)

    assert (await story.case()).state is State.CLOSED
    assert len(about(cora, "escalated", reason="not_acknowledged")) == 1
    assert len(about(story.requester, "reminder", reason="reminder_acknowledge")) == 1


async def test_what_the_reminder_proposes_works(world: World) -> None:
    """The reminder of the seventh day says `acknowledge`: a late acknowledgement is taken."""
    story = await delivered(world)
    await world.later(days=7, hours=1)
    assert f"!acknowledge {story.id}" in body(about(story.requester, "reminder")[-1])
    await story.requester.unlocks()
    await story.requester.says(f"!acknowledge {story.id}")

    assert (await story.case()).acknowledged_at is not None, body(story.requester.last())


# -- follow-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [delivered, acknowledged])
async def test_one_further_question_goes_to_those_who_answered(world: World, before: object) -> None:
    """Once, with the line's clock, before and after the acknowledgement."""
    story = await before(world)  # type: ignore[operator]  # one of two builders
    await story.requester.says(f"!followup {story.id} And if it recurs?")

    case = await story.case()
    assert case.followup is not None
    assert case.followup.text == "And if it recurs?"
    assert case.followup_due_at is not None
    assert "recurs" not in body(about(story.experts[0], "ring")[-1])


async def test_the_expert_answers_and_the_requester_is_rung(world: World) -> None:
    """The answer stands in the case room."""
    story = await delivered(world)
    await story.asks("!followup And if it recurs?")
    await replies(story, "!answer Then once more")

    case = await story.case()
    assert case.followup is not None
    assert case.followup.replies == ((story.experts[0].user_id, "Then once more"),)
    assert "Then once more" in body(story.last("followup"))


async def test_there_is_one_follow_up_only(world: World) -> None:
    """The second one is told to be a new case."""
    story = await delivered(world)
    await story.asks("!followup And if it recurs?")
    await story.asks("!followup And then?")

    assert story.code() == "followup_used"


async def test_an_unanswered_follow_up_is_reminded_of_at_its_deadline(world: World) -> None:
    """The line's clock runs for it too; once it is answered nobody is reminded."""
    story = await acknowledged(world)
    await story.requester.says(f"!followup {story.id} And if it recurs?")
    await world.later(hours=73)

    assert len(about(story.experts[0], "reminder", reason="reminder_followup")) == 1


async def test_an_answer_without_a_question_is_refused(world: World) -> None:
    """Nothing is open."""
    story = await delivered(world)
    await replies(story, "!answer Then once more")

    assert story.code() == "no_open_question"


# -- correction --------------------------------------------------------------------------------------------------------


async def corrected(world: World) -> Story:
    """A delivered opinion was corrected and signed again."""
    story = await delivered(world)
    await story.answers(0, "!correct a wrong dose")
    await story.answers(0, "!draft drug: flecainide 100 mg\nReasons: dose\nRecommendation: x\nWho does what: y")
    await story.signs(0)
    return story


async def test_a_correction_warns_and_says_so_on_both(world: World) -> None:
    """The requester is rung at once: do not rely on the old one; the new one says what it replaces."""
    story = await corrected(world)
    case = await story.case()

    assert [len(case.delivered), case.state] == [2, State.DELIVERED]
    assert "Do not rely" in str([body(e) for e in about(story.requester, "ring")])
    assert story.kinds()[-1] == "corrected"
    pdf = world.vault.files[(case.id, case.delivered[1].file_id)].decode()
    assert f'"supersedes": "{case.delivered[0].sha256}"' in pdf


async def test_a_correction_must_be_acknowledged_again(world: World) -> None:
    """The new opinion is another document to be filed."""
    story = await corrected(world)
    assert (await story.case()).acknowledged_at is None

    await story.requester.says(f"!acknowledge {story.id}")
    assert (await story.case()).state is State.CLOSED


async def test_a_correction_cannot_be_signed_without_a_new_draft(world: World) -> None:
    """The old words signed again would correct nothing."""
    story = await delivered(world)
    await story.answers(0, "!correct I signed too early")
    await story.signs(0)

    assert story.code() == "draft_needed"


async def test_a_correction_posts_what_it_announces(world: World) -> None:
    """What is posted as corrected has the SHA-256 that is announced with it, and is another file."""
    story = await corrected(world)

    posted = story.last("corrected")
    file = world.rooms.media[posted.content["file"]["url"]]
    assert hashlib.sha256(file).hexdigest() == data(posted)["sha256"]
    assert data(posted)["sha256"] != (await story.case()).delivered[0].sha256


async def test_only_a_signatory_corrects(world: World) -> None:
    """Not the requester."""
    story = await delivered(world)
    await story.asks("!correct I do not like it")

    assert story.code() == "step_not_yours"


# -- survey, export, extend --------------------------------------------------------------------------------------------


async def test_the_survey_is_three_taps(world: World) -> None:
    """A 30-second survey, one question after the other, by tap or by word; the answers stand in the audit."""
    story = await acknowledged(world)
    await story.requester.says(f"!survey {story.id}")
    await story.requester.taps("yes")
    await story.requester.says("partly")
    await story.requester.taps("no")

    assert [row.event.facts for row in await audited(world, "surveyed")] == [
        {"survey_useful": "yes", "survey_in_time": "partly", "survey_followed": "no"}
    ]
    assert story.requester.kinds()[-1] == "survey"


async def test_export_posts_the_signed_pdf_again(world: World) -> None:
    """To whoever may read it, in his direct chat; it stands in the audit."""
    story = await acknowledged(world)
    await story.requester.says(f"!export {story.id}")

    assert story.requester.last().content["filename"] == "C-2026-0001 opinion.pdf"
    assert len(await audited(world, "exported")) == 1


async def test_export_before_the_opinion_says_so(world: World) -> None:
    """There is nothing yet."""
    story = await drafted(world)
    await story.requester.says(f"!export {story.id}")

    assert refusal(story.requester) == "no_report_yet"


async def test_extend_gives_a_week_twice_at_most(world: World) -> None:
    """The third is refused."""
    story = await acknowledged(world)
    for _ in range(2):
        await story.requester.says(f"!extend {story.id}")
        assert story.requester.kinds()[-1] == "extended"
    await story.requester.says(f"!extend {story.id}")

    assert refusal(story.requester) == "extended_enough"


async def test_extend_before_the_end_says_what_it_will_be(world: World) -> None:
    """An extended case that is not closed yet promises no date that it cannot know."""
    story = await delivered(world)
    await story.requester.says(f"!extend {story.id}")

    assert story.requester.kinds()[-1] == "extended"
    assert story.id in body(story.requester.last())
