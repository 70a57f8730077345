"""Questions with the clock standing still, drafts, agreement and dissent, signatures on one frozen version."""

import hashlib
from datetime import timedelta

import pytest

from bot.domain.errors import Permanent
from bot.domain.language import Language
from bot.domain.steps import State
from tests.unit.story.cases import (
    DRAFT,
    Story,
    about,
    answer_all,
    body,
    data,
    delivered,
    drafted,
    drafted_by_two,
    opened,
    taken,
    taken_by_two,
)
from tests.world import World

NEW_PARTS = "Reasons: flutter as well"


async def sealed(story: Story) -> str:
    """Return the newest sealed PDF as the plain report maker wrote it: JSON and one line a signature."""
    case = await story.case()
    return story.world.vault.files[(case.id, case.delivered[-1].file_id)].decode("unicode_escape")


# -- ask, answer, done -------------------------------------------------------------------------------------------------


async def test_a_question_goes_to_the_requester_with_a_ring_without_content(world: World) -> None:
    """The words stand in the case room, the ring in the direct chat."""
    story = await taken(world)
    await story.answers(0, "!ask What is the thyroid function?")

    assert (await story.case()).state is State.WAITING
    assert "thyroid" in body(story.last("asked"))
    assert "thyroid" not in body(about(story.requester, "ring")[-1])


@pytest.mark.parametrize("way", ["verb", "reply"])
async def test_an_answer_counts_after_the_verb_or_as_a_reply(world: World, way: str) -> None:
    """While the case waits plain words count only as a reply to the question (DESIGN 3)."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": story.last("asked").event_id}}}
    await story.asks("!answer TSH normal" if way == "verb" else "TSH normal", **(reply if way == "reply" else {}))

    assert (await story.case()).questions[0].answers == ("TSH normal",)


async def test_plain_words_while_the_case_waits_are_conversation(world: World) -> None:
    """Two colleagues may talk without the bot taking notes."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    before = await story.case()
    await story.asks("I will call the laboratory")

    assert await story.case() == before


async def test_an_experts_reply_to_a_question_is_no_answer(world: World) -> None:
    """Only the requester answers."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": story.last("asked").event_id}}}
    await story.experts[0].says("It was normal last year", story.room, **reply)

    assert (await story.case()).questions[0].answers == ()


async def test_the_clock_stands_still_while_the_requester_is_asked(world: World) -> None:
    """`done` lets it go on, later by what it stood."""
    story = await taken(world)
    due = (await story.case()).due_at
    assert due is not None
    await story.answers(0, "!ask Thyroid?")
    await world.later(hours=30)
    await story.requester.unlocks()
    await story.asks("!answer TSH normal")
    await story.asks("!done")

    case = await story.case()
    stood = case.questions[0].done_at
    assert stood is not None
    assert case.state is State.ACCEPTED
    assert case.due_at == due + (stood - case.questions[0].at)


async def test_after_done_the_case_is_where_it_came_from(world: World) -> None:
    """A question about a draft comes back to the draft."""
    story = await drafted(world)
    await story.answers(0, "!ask Thyroid?")
    await story.asks("!answer TSH normal")
    await story.asks("!done")

    assert (await story.case()).state is State.DRAFTED
    assert len(about(story.experts[0], "ring", case=story.id)) == 2


async def test_done_without_an_answer_gives_the_question_back_unanswered(world: World) -> None:
    """The requester may have nothing to add."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    await story.asks("!done")

    assert (await story.case()).state is State.ACCEPTED


async def test_several_messages_answer_one_question(world: World) -> None:
    """All of them stand in the dossier of a later reader, in order."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    await story.asks("!answer TSH normal")
    await story.asks("!answer T4 normal too")
    await story.asks("!done")
    await story.answers(0, f"!bring {story.experts[1].user_id} please")

    assert "TSH normal\nT4 normal too" in body(story.last("dossier_answer"))


async def test_a_silent_requester_is_reminded_and_then_the_experts_may_answer(world: World) -> None:
    """24 h, 72 h, and after 7 days the experts are told that they may answer on incomplete documents."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    await world.later(hours=25)
    await world.later(hours=48)
    assert len(about(story.requester, "reminder", reason="reminder_question")) == 2

    await world.later(days=4, hours=1)
    assert len(about(story.experts[0], "reminder", reason="reminder_incomplete")) == 1
    await story.experts[0].unlocks()
    await story.answers(0, f"!draft {DRAFT}")
    assert (await story.case()).state is State.DRAFTED


async def test_no_deadline_reminder_comes_while_the_clock_stands_still(world: World) -> None:
    """The experts are not to blame."""
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    await world.later(days=5)

    assert about(story.experts[0], "reminder", reason="reminder_deadline") == []


# -- draft -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, decision",
    [
        ("ablation: veins first", "ablation"),
        ("Ablatie: eerst de venen", "ablation"),
        ("DAI : prévention secondaire", "icd"),
        ("Verlaufskontrolle: in drei Monaten", "follow_up"),
        ("no action: reassure", "no_action"),
        ("Étude électrophysiologique (EEP)", "eps"),
    ],
)
async def test_a_decision_is_understood_in_any_language(world: World, text: str, decision: str) -> None:
    """The decision stands in the first line (issue 7)."""
    story = await drafted(world, text)
    draft = (await story.case()).draft

    assert draft is not None
    assert draft.decision == decision


async def test_a_decision_in_free_words_is_taken_as_it_is(world: World) -> None:
    """What the line does not know is the expert's own decision."""
    story = await drafted(world, "Wait for the MRI before anything else")
    draft = (await story.case()).draft

    assert draft is not None
    assert (draft.decision, draft.decision_text) == (None, "Wait for the MRI before anything else")


@pytest.mark.parametrize(
    "language, text",
    [
        (Language.FR, "ablation: d'abord\nMotifs : gêne\nConduite à tenir : RF\nQui fait quoi : nous"),
        (Language.NL, "ablatie: eerst\nRedenen: last\nAanbeveling: RF\nWie doet wat: wij"),
        (Language.DE, "Ablation: zuerst\nBegründung: Beschwerden\nEmpfehlung: RF\nWer macht was: wir"),
        (Language.EN, "ablation: first\nReasons: symptoms\nRecommendation: RF\nWho does what: us"),
    ],
)
async def test_the_parts_are_named_in_the_writers_language(world: World, language: Language, text: str) -> None:
    """Reasons, recommendation, who does what; nothing is asked back when all are there."""
    story = await drafted(world, text)
    draft = (await story.case()).draft

    assert draft is not None
    assert all((draft.reasons, draft.recommendation == "RF", draft.who_does_what, draft.decision == "ablation"))
    assert "draft_missing" not in story.kinds()


async def test_a_draft_is_headed_as_not_signed(world: World) -> None:
    """DRAFT, NOT SIGNED, do not act on it (DESIGN 2.5)."""
    story = await drafted(world)

    assert body(story.last("drafted")).startswith("DRAFT 1, NOT SIGNED, do not act on it")


async def test_missing_parts_are_asked_for_once(world: World) -> None:
    """The second time nothing is asked."""
    story = await drafted(world, "ablation: veins first")
    assert data(story.last("draft_missing"))["missing"] == [
        "part_reasons",
        "part_recommendation",
        "part_who_does_what",
    ]

    await story.answers(0, f"!draft {NEW_PARTS}")
    assert story.kinds().count("draft_missing") == 1


async def test_parts_alone_complete_the_last_version(world: World) -> None:
    """Decision and the other parts stay; the version goes up."""
    story = await drafted(world)
    await story.answers(0, f"!draft {NEW_PARTS}")
    draft = (await story.case()).draft

    assert draft is not None
    assert (draft.version, draft.decision, draft.reasons) == (2, "ablation", "flutter as well")
    assert draft.recommendation == "within 8 weeks"


async def test_a_new_decision_begins_a_new_opinion(world: World) -> None:
    """Old reasons are not carried over to another decision."""
    story = await drafted(world)
    await story.answers(0, "!draft drug: flecainide")
    draft = (await story.case()).draft

    assert draft is not None
    assert (draft.decision, draft.reasons) == ("drug", "")


async def test_parts_without_any_decision_are_no_draft(world: World) -> None:
    """The decisions of the line are named."""
    story = await taken(world)
    await story.answers(0, f"!draft {NEW_PARTS}")

    assert story.code() == "draft_without_decision"
    assert "Ablation" in body(story.last())


async def test_a_text_with_a_colon_that_is_no_heading_stays_whole(world: World) -> None:
    """Only the names of the parts are headings."""
    story = await drafted(world, "ablation: veins\nReasons: note: twice a day: 5 mg\nNB: no heading")
    draft = (await story.case()).draft

    assert draft is not None
    assert draft.reasons == "note: twice a day: 5 mg\nNB: no heading"


async def test_a_new_draft_voids_agreements_and_tells_whoever_agreed(world: World) -> None:
    """Version 2 is nobody's yet."""
    story = await drafted_by_two(world)
    await story.answers(1, "!agree")
    assert (await story.case()).agreed == (story.experts[1].user_id,)

    await story.answers(0, f"!draft {NEW_PARTS}")
    assert (await story.case()).agreed == ()
    assert data(about(story.experts[1], "drafted")[-1])["case"] == story.id


async def test_a_draft_after_the_first_signature_voids_it_and_tells_whoever_signed(world: World) -> None:
    """And the case is drafted again (issue: bad input)."""
    story = await drafted_by_two(world)
    await story.signs(0)
    assert (await story.case()).state is State.SIGNING

    await story.answers(1, f"!draft {NEW_PARTS}")
    case = await story.case()
    assert (case.state, case.signatures, case.frozen) == (State.DRAFTED, (), None)
    assert len(about(story.experts[0], "drafted")) == 1


async def test_dissent_stands_in_the_signed_opinion(world: World) -> None:
    """In the dissenter's own words, under his name."""
    story = await drafted_by_two(world)
    await story.answers(1, "!dissent I would try a drug first")
    await story.signs(0)
    await story.signs(1)

    assert "I would try a drug first" in await sealed(story)


async def test_agreement_after_dissent_takes_the_dissent_back(world: World) -> None:
    """One opinion a person."""
    story = await drafted_by_two(world)
    await story.answers(1, "!dissent no")
    await story.answers(1, "!agree")

    case = await story.case()
    assert (case.dissents, case.agreed) == ((), (story.experts[1].user_id,))


@pytest.mark.parametrize("verb", ["agree", "dissent no", "sign 123456", "draft x", "ask x"])
async def test_the_requester_does_not_answer_his_own_question(world: World, verb: str) -> None:
    """What belongs to the experts is refused with what he can do."""
    story = await drafted(world)
    before = await story.case()
    await story.asks(f"!{verb}")

    assert story.code() == "step_not_yours"
    assert await story.case() == before


# -- sign --------------------------------------------------------------------------------------------------------------


async def test_the_only_expert_signs_and_the_opinion_is_delivered(world: World) -> None:
    """Frozen, signed, sealed, posted."""
    story = await delivered(world)
    case = await story.case()

    assert case.state is State.DELIVERED
    assert (await sealed(story)).count("\nsigned 1") == 1
    assert (await sealed(story)).count("\nsealed 2026-03-02") == 1


async def test_the_first_signature_freezes_and_shows_a_code(world: World) -> None:
    """The signatories see the PDF with a short code of its hash; it says that it is not sealed."""
    story = await drafted_by_two(world)
    await story.signs(0)

    frozen = story.last("frozen")
    case = await story.case()
    assert case.frozen is not None
    assert data(frozen)["code"] == case.frozen.code
    assert case.frozen.code in "".join(world.rooms.bodies(story.room)[-2:])
    assert "NOT SEALED" in frozen.content["filename"]


async def test_the_other_signatories_are_rung(world: World) -> None:
    """Whoever must still sign hears of it."""
    story = await drafted_by_two(world)
    before = len(about(story.experts[1], "ring"))
    await story.signs(0)

    assert len(about(story.experts[1], "ring")) == before + 1


async def test_several_sign_the_same_frozen_version(world: World) -> None:
    """Both names stand on it; the last one ends it."""
    story = await drafted_by_two(world)
    await story.signs(0)
    await story.signs(1)

    assert (await story.case()).state is State.DELIVERED
    assert (await sealed(story)).count("\nsigned ") == 2


async def test_nobody_signs_twice(world: World) -> None:
    """A second `sign` is told, and his code is not used up for nothing."""
    story = await drafted_by_two(world)
    await story.signs(0)
    await story.signs(0)

    assert story.code() == "signed_already"


async def test_signing_needs_a_fresh_code_each_time(world: World) -> None:
    """The code that opened the session does not sign."""
    story = await drafted(world)
    code = await story.experts[0].code()
    await story.experts[0].says(f"!unlock {code}")
    await story.answers(0, f"!sign {code}")

    assert story.code() == "code_used"
    assert (await story.case()).state is State.DRAFTED


async def test_a_wrong_code_signs_nothing(world: World) -> None:
    """It is counted as a guess."""
    story = await drafted(world)
    await story.answers(0, "!sign 000000")

    assert story.code() == "code_wrong"
    assert (await story.case()).signatures == ()


async def test_signing_needs_a_session_on_the_device_that_signs(world: World) -> None:
    """Another device of the same person does not sign."""
    story = await drafted(world)
    bob = story.experts[0]
    world.rooms.add_device(bob.user_id, "TABLET")
    await bob.says(f"!sign {await bob.code()}", story.room, device_id="TABLET")

    assert story.code() == "session_needed"
    assert (await story.case()).signatures == ()


async def test_signing_without_a_draft_is_refused(world: World) -> None:
    """There is nothing to sign."""
    story = await taken(world)
    await story.signs(0)

    assert story.code() == "step_refused"


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f"])
async def test_the_code_may_be_typed_as_the_app_shows_it(world: World, blank: str) -> None:
    """`sign 123 456` is the same as `sign 123456`."""
    story = await drafted(world)
    code = await story.experts[0].code()
    await story.answers(0, f"!sign {code[:3]}{blank}{code[3:]}")

    assert (await story.case()).state is State.DELIVERED, body(story.last())


async def test_a_signature_from_an_edit_does_not_count(world: World) -> None:
    """Commands, votes and signatures never come from an edit (DESIGN 3)."""
    story = await drafted(world)
    bob = story.experts[0]
    first = await story.answers(0, "looks fine")
    words = f"!sign {await bob.code()}"
    edit = {"rel_type": "m.replace", "event_id": first}
    await bob.says(words, story.room, **{"m.relates_to": edit, "m.new_content": {"body": words}})

    assert (await story.case()).signatures == ()


async def test_a_replayed_signature_does_not_count_twice(world: World) -> None:
    """The same ciphertext under a new event id is not new."""
    story = await drafted_by_two(world)
    bob = story.experts[0]
    words = f"!sign {await bob.code()}"
    await bob.says(words, story.room)
    await story.answers(1, f"!draft {NEW_PARTS}")
    await bob.says(words, story.room)

    assert (await story.case()).signatures == ()


# -- what the opinion says ---------------------------------------------------------------------------------------------


async def test_the_opinion_names_people_question_documents_and_decision(world: World) -> None:
    """Requester, experts, functions, INAMI numbers, question as asked, documents with their SHA-256 (issue 7)."""
    story = await delivered(world)
    report = await sealed(story)
    case = await story.case()

    hashes = [d.sha256 for d in case.shown]
    parts = ["Dr Anne", "Dr Bob", "cardiologist", "Ablation?", "veins first", "symptoms", "within 8 weeks", "4711"]
    assert [part for part in [*parts, *hashes] if str(part) not in report] == []
    assert len(hashes) == 2


async def test_technical_incidents_stand_in_the_opinion(world: World) -> None:
    """A document that did not arrive intact is named."""
    story = await taken(world)
    world.rooms.fail("download", Permanent("bad_hash"))
    await story.drops(b"LOO third")
    await story.answers(0, f"!draft {DRAFT}")
    await story.signs(0)

    assert "did not arrive intact" in await sealed(story)


async def test_what_is_missing_stands_in_the_opinion(world: World) -> None:
    """A required document that never came is listed."""
    bob = await world.physician("bob", number=2, lines={"rhythmology": "rhythmologist"})
    story = await opened(world)
    story.experts = [bob]
    await answer_all(story)
    await story.asks("!submit anyway")
    await story.takes(0)
    await story.answers(0, f"!draft {DRAFT}")
    await story.signs(0)

    assert '"missing_documents": ["12-lead ECG' in await sealed(story)


async def test_the_opinion_is_posted_as_the_file_whose_hash_is_announced(world: World) -> None:
    """The SHA-256 in `delivered` is that of the file that was posted."""
    story = await delivered(world)
    posted = story.last("delivered")
    file = world.rooms.media[posted.content["file"]["url"]]

    assert hashlib.sha256(file).hexdigest() == data(posted)["sha256"]


async def test_the_time_that_a_question_took_does_not_move_a_reminder_that_was_given(world: World) -> None:
    """The reminder at 50 % is said once for this clock, also if the clock stood still afterwards."""
    story = await taken(world)
    await world.later(hours=37)
    assert len(about(story.experts[0], "reminder", reason="reminder_deadline")) == 1
    await story.experts[0].unlocks()
    await story.requester.unlocks()
    await story.answers(0, "!ask Thyroid?")
    await world.later(hours=10)
    await story.asks("!done")
    await world.later(minutes=5)

    assert len(about(story.experts[0], "reminder", reason="reminder_deadline")) == 1
    assert (await story.case()).due_at is not None
    assert timedelta(0) < (await story.case()).due_at - world.clock.now()  # type: ignore[operator]  # asserted above


async def test_two_experts_of_a_taken_case_both_have_to_sign(world: World) -> None:
    """Whoever was brought in answers too."""
    story = await taken_by_two(world)
    await story.answers(1, f"!draft {DRAFT}")
    await story.signs(1)

    assert (await story.case()).unsigned == (story.experts[0].user_id,)
