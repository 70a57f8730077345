"""What people write arrives verbatim: 200 French sentences as the text of every verb that takes text."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from bot.domain.case import Case
from bot.domain.language import Language, without_hidden_marks
from tests.unit.story.cases import (
    Story,
    admin,
    body,
    delivered,
    drafted,
    drafted_by_two,
    filled,
    opened,
    person_of,
    submitted,
    taken,
)
from tests.unit.story.french import ALL, BEGINNING_WITH_A_NUMBER, SENTENCES
from tests.world import World

Arrived = Callable[[Case], object]


def test_there_are_two_hundred_different_sentences() -> None:
    """The issue wants 200, with apostrophes, no-break spaces and typographic quotes."""
    assert len(set(ALL)) == len(ALL) > 200
    assert sum("\u2019" in s for s in ALL) > 50
    assert sum("\u00a0" in s for s in ALL) > 50
    assert sum("\u202f" in s for s in ALL) > 50
    assert sum("\u201c" in s for s in ALL) > 50


async def _arrived(story: Story, expert: bool, verb: str, sentences: Sequence[str], read: Arrived) -> list[str]:
    """Write each sentence after the verb; return those that did not arrive verbatim."""
    lost = []
    who = story.experts[0] if expert else story.requester
    for sentence in sentences:
        story.world.clock.advance(seconds=3)  # the bot takes thirty commands a minute
        await who.says(f"!{verb} {sentence}", story.room)
        if read(await story.case()) != sentence:
            lost.append(sentence)
    return lost


def _draft(case: Case) -> object:
    return case.draft.reasons if case.draft else None


def _question(case: Case) -> object:
    return case.questions[-1].text if case.questions else None


def _answer(case: Case) -> object:
    return case.questions[-1].answers[-1] if case.questions[-1].answers else None


def _reply(case: Case) -> object:
    return case.followup.replies[-1][1] if case.followup and case.followup.replies else None


async def _asked(world: World) -> Story:
    story = await taken(world)
    await story.answers(0, "!ask Thyroid?")
    return story


async def _followed_up(world: World) -> Story:
    story = await delivered(world)
    await story.asks("!followup And then?")
    return story


VERBS: Sequence[tuple[str, Callable[[World], Awaitable[Story]], bool, str, Arrived]] = (
    ("draft", taken, True, "projet oui\nMotifs :", _draft),
    ("answer", _asked, False, "répondre", _answer),
    ("dissent", drafted, True, "désaccord", lambda case: case.dissents[-1].text if case.dissents else None),
    ("followup answer", _followed_up, True, "réponse", _reply),
)


@pytest.mark.parametrize("begun, expert, verb, read", [v[1:] for v in VERBS], ids=[v[0] for v in VERBS])
async def test_every_sentence_arrives_verbatim_in_the_case(
    world: World, begun: Callable[[World], Awaitable[Story]], expert: bool, verb: str, read: Arrived
) -> None:
    """No quote is eaten, no blank replaced, no line end lost."""
    story = await begun(world)

    assert await _arrived(story, expert, verb, SENTENCES, read) == []


async def test_every_question_of_an_expert_arrives_verbatim(world: World) -> None:
    """`ask` and `done` in turn."""
    story = await taken(world)
    lost = []
    for sentence in SENTENCES:
        lost += await _arrived(story, True, "ask", [sentence], _question)
        await story.asks("!done")

    assert lost == []


async def test_every_sentence_is_an_answer_to_the_question_of_the_form(world: World) -> None:
    """The question as asked stands in the opinion: verbatim."""
    story = await opened(world)
    for answer in ("no", "ref 4711, 1958, F", "agrees, seen"):
        await story.asks(answer)
    lost = []
    for sentence in SENTENCES[::3]:
        world.clock.advance(seconds=3)
        await story.asks(sentence)
        lost += [] if (await story.case()).answers.value("question") == sentence else [sentence]
        await story.asks("!back")

    assert lost == []


@pytest.mark.parametrize("verb", ["ask", "dissent", "answer", "release", "correct", "followup"])
@pytest.mark.parametrize("sentence", BEGINNING_WITH_A_NUMBER)
async def test_a_text_that_begins_with_a_number_is_not_taken_for_a_case(world: World, verb: str, sentence: str) -> None:
    """In the room of a case the text is the text, whatever it begins with."""
    begun: dict[str, Callable[[World], Awaitable[Story]]] = {
        "ask": taken,
        "dissent": drafted_by_two,
        "answer": _asked,
        "release": taken,
        "correct": delivered,
        "followup": delivered,
    }
    story = await begun[verb](world)
    who = story.requester if verb in ("answer", "followup") else story.experts[0]
    await who.says(f"!{verb} {sentence}", story.room)

    assert "other_case_here" not in str(story.last().content), body(story.last())
    assert "argument_missing" not in str(story.last().content)
    shown = [body(event) for event in world.rooms.sent(story.room)[-3:]]
    kept = [text for question in (await story.case()).questions for text in question.answers]
    assert sentence in "".join(shown + kept)


@pytest.mark.parametrize("verb", ["release", "bring", "refer", "correct", "followup"])
async def test_every_reason_is_shown_verbatim(world: World, verb: str) -> None:
    """A reason is read in the case room as it was written."""
    sentence = SENTENCES[7]
    begun = await (delivered if verb in ("correct", "followup") else taken)(world)
    words = {"bring": f"bring {begun.experts[1].user_id}", "refer": "refer dermatology"}.get(verb, verb)
    who = begun.requester if verb == "followup" else begun.experts[0]
    await who.says(f"!{words} {sentence}", begun.room)

    assert sentence in "".join(body(event) for event in world.rooms.sent(begun.room)[-8:])


async def test_a_reason_of_all_who_decline_is_shown_verbatim(world: World) -> None:
    """The requester reads the reasons as they were written."""
    story = await submitted(world, experts=("bob",))
    await story.experts[0].says(f"!décliner {story.id} {SENTENCES[20]}")

    assert SENTENCES[20] in body(story.last("declined"))


async def test_how_an_admin_checked_an_identity_is_kept_verbatim(world: World) -> None:
    """With the person; the audit has no free words."""
    boss, newcomer = await admin(world), await world.stranger("nina")
    await newcomer.says("!register 1-23456-25-477 Nina Claes")
    await boss.says(f"!admin approve {newcomer.user_id} {SENTENCES[4]}")

    assert (await person_of(world, newcomer.user_id)).checked_how == SENTENCES[4]


async def test_the_reason_of_a_hold_is_kept_verbatim(world: World) -> None:
    """With the case, under its key."""
    boss = await admin(world)
    story = await taken(world)
    await boss.says(f"!hold {story.id} {SENTENCES[4]}")

    assert SENTENCES[4] in (await story.case()).hold_reasons[0]


@pytest.mark.parametrize(
    "name", ["Dr Élise d'Hondt", "Pr Anne\u2011Marie L\u2019Épée", "Dr Ömer Şahin", "Dr O\u2019Brien"]
)
async def test_a_name_is_kept_as_it_was_written(world: World, name: str) -> None:
    """Apostrophes and accents of names are the physician's own."""
    elise = await world.stranger("elise")
    await elise.says(f"!inscrire 1-23456-25-477 {name}")

    assert (await person_of(world, elise.user_id)).name == name


@pytest.mark.parametrize(
    "typed",
    [
        "!projet : ablation",
        "!projet\u00a0: ablation",
        "!projet: ablation",
        "!PROJET\u00a0ablation",
        "! projet ablation",
    ],
)
async def test_a_verb_may_be_followed_by_a_colon_as_french_writes_it(world: World, typed: str) -> None:
    """`projet : ablation` names the decision ablation."""
    story = await taken(world)
    await story.answers(0, typed)
    draft = (await story.case()).draft

    assert draft is not None
    assert draft.decision == "ablation"


@pytest.mark.parametrize(
    "typed",
    [
        "!avis prendre C-2026-0001",
        "!AVIS\u00a0PRENDRE\u00a0C-2026-0001",
        "!advies neem 1",
        "!rat übernehmen 1",
        "!rat ubernehmen 1",
        "!opinion take 1",
        "! take 1",
        "！take 1",
        "!take\u202f1",
        "\u00a0!take 1",
    ],
)
async def test_prefix_and_verb_ignore_case_accents_and_no_break_spaces(world: World, typed: str) -> None:
    """Four prefixes, four languages (DESIGN 3)."""
    story = await submitted(world)
    await story.experts[0].says(typed)

    assert (await story.case()).expert_ids == (story.experts[0].user_id,)


async def test_hidden_direction_marks_in_an_answer_are_taken_out(world: World) -> None:
    """HTML and right-to-left marks as an answer: kept as text, without the marks that make 55 read as 35."""
    story = await opened(world)
    for answer in ("no", "ref 4711, 1958, F", "agrees, seen"):
        await story.asks(answer)
    words = "<script>alert(1)</script> FEVG \u202e53\u202c % ?"
    await story.asks(words)

    assert (await story.case()).answers.value("question") == without_hidden_marks(words)
    assert without_hidden_marks(words) in body(story.last("answer_recorded"))
    assert not [e for e in world.rooms.sent(story.room) if "<script>" in str(e.content.get("formatted_body"))]


@pytest.mark.parametrize("verb", ["ask", "draft ablation:", "dissent", "answer"])
async def test_hidden_direction_marks_reach_no_opinion(world: World, verb: str) -> None:
    """Marks that change the direction of text without being seen are dangerous in a dose, whoever writes them."""
    begun: dict[str, Callable[[World], Awaitable[Story]]] = {"dissent": drafted, "answer": _asked}
    story = await begun.get(verb, taken)(world)
    who = story.requester if verb == "answer" else story.experts[0]
    await who.says(f"!{verb} FEVG \u202e53\u202c %", story.room)

    case = await story.case()
    texts = [text for question in case.questions for text in (question.text, *question.answers)]
    texts += [dissent.text for dissent in case.dissents] + [case.draft.decision_text if case.draft else ""]
    assert "FEVG 53 %" in texts
    assert "\u202e" not in "".join(texts)


async def test_the_readers_of_two_languages_both_read_theirs(world: World) -> None:
    """In a room of two languages every message has both (DESIGN 3)."""
    bob = await world.physician("bob", number=2, lines={"rhythmology": "rhythmologist"}, language=Language.FR)
    story = await filled(world)
    story.experts = [bob]
    await story.asks("!submit")
    await story.takes(0)

    assert "Asked by" in body(story.last("dossier"))
    assert "Demand" in body(story.last("dossier"))
