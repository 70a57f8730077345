"""Every command with a missing, wrong, too long or foreign-language argument: a clear answer in French, no change."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from types import SimpleNamespace
from typing import cast

import pytest

import commands
from bot.chat.command import ArgKind, Command
from bot.chat.texts import texts
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.people import Role
from tests.fakes.rooms import SentEvent
from tests.unit.story.cases import Story, body, data, delivered, drafted, opened, taken
from tests.world import Physician, World

LONG = "x" * 45_000
HUGE = "x" * 21_000


def _commands() -> Mapping[str, Command]:
    """Return all commands by verb; they are read here, not run, so nothing stands behind them."""
    nothing = dict.fromkeys(commands.Services.__dataclass_fields__)
    services = SimpleNamespace(**{**nothing, "cases": SimpleNamespace(catalogue=None)})
    return {command.verb: command for command in commands.build(cast("commands.Services", services))}


COMMANDS = _commands()
WITH_ARGUMENTS = [verb for verb, command in COMMANDS.items() if any(a.required for a in command.args)]
WITH_TEXT = [verb for verb, command in COMMANDS.items() if any(a.kind is ArgKind.REST for a in command.args)]
ARGUMENTS: Mapping[str, str] = {
    "number": "1-23456-25-477",
    "colleague": "@carl:test",
    "expert": "@carl:test",
    "person": "@bob:test",
    "line": "dermatology",
    "n": "1",
    "code": "123456",
    "days": "3",
    "language": "fr",
    "address": "a@b.example",
}


async def french(world: World) -> Physician:
    """Return a French physician who has every role, so that nothing is refused for want of one."""
    return await world.physician(
        "zoe",
        number=50,
        language=Language.FR,
        roles=tuple(Role),
        lines={"rhythmology": "cardiologist"},
    )


async def state_of(world: World) -> object:
    """Return what a command could change: cases, people and who is in which room."""
    async with world.store.unit() as unit:
        cases = list(await unit.cases())
        people = list(await unit.people())
    rooms = {room.room_id: dict(room.members) for room in world.rooms.rooms()}
    return cases, people, rooms


def in_french(event: SentEvent) -> bool:
    """Tell whether a refusal is said with the French sentence of its code."""
    rows = texts(Language.FR)[f"refusal.{data(event)['code']}"].replace("**", "").replace("`", "").split("\n")
    return any(all(part.strip() in body(event) for part in re.split(r"\{\w+\}", row)) for row in rows)


@pytest.mark.parametrize("verb", WITH_ARGUMENTS)
async def test_a_missing_argument_is_asked_for_in_french(world: World, verb: str) -> None:
    """In the direct chat: what is missing is named, nothing changes."""
    zoe = await french(world)
    before = await state_of(world)
    await zoe.says(f"!{verb}")

    assert data(zoe.last())["kind"] in ("error", "code_refused"), body(zoe.last())
    assert in_french(zoe.last()), body(zoe.last())
    assert await state_of(world) == before


@pytest.mark.parametrize("verb", [verb for verb in COMMANDS if verb not in ("help", "lines", "list", "inbox", "open")])
async def test_a_wrong_argument_is_answered_in_french_and_changes_nothing(world: World, verb: str) -> None:
    """Nonsense after every verb, in a foreign language and with signs of all kinds."""
    zoe = await french(world)
    before = await state_of(world)
    await zoe.says(f"!{verb} Grüße' \"→ 0x41 <b>☃</b> ; DROP TABLE --all")

    assert await state_of(world) == before or verb in ("register",), body(zoe.last())
    assert data(zoe.last())["kind"] in ("error", "code_refused"), body(zoe.last())
    assert in_french(zoe.last()), body(zoe.last())


async def test_an_argument_that_is_far_too_long_is_answered_in_french(world: World) -> None:
    """45,000 characters after every verb: refused with the limit, nothing is cut silently."""
    zoe = await french(world)
    before = await state_of(world)
    told = [await _answer_to(zoe, f"!{verb} {LONG}") for verb in COMMANDS]

    assert {data(event)["code"] for event in told} == {"too_long"}
    assert [event for event in told if not in_french(event)] == []
    assert await state_of(world) == before


async def _answer_to(who: Physician, words: str) -> SentEvent:
    who.world.clock.advance(seconds=3)
    await who.says(words)
    return who.last()


@pytest.mark.parametrize("verb", ["draft", "ask", "dissent", "answer"])
async def test_a_text_of_more_than_twenty_thousand_characters_is_refused_whole(world: World, verb: str) -> None:
    """Nothing is cut silently: with the limit, and the case is as it was."""
    story = await _begun(world, verb)
    who = story.requester if verb in ("answer", "followup") else story.experts[0]
    words = " ".join(ARGUMENTS[a.name] for a in COMMANDS[verb].args if a.kind is ArgKind.WORD and a.required)
    before = await story.case()
    await who.says(f"!{verb} {words} {HUGE}", story.room)

    assert story.code() == "too_long"
    assert await story.case() == before


async def _begun(world: World, verb: str) -> Story:
    if verb in ("followup", "correct"):
        return await delivered(world)
    story = await (drafted if verb == "dissent" else taken)(world)
    if verb == "answer":
        await story.answers(0, "!ask Thyroid?")
    return story


async def test_a_form_answered_with_twenty_thousand_characters_is_refused_whole(world: World) -> None:
    """The limit is said; nothing is cut."""
    story = await opened(world)
    for answer in ("no", "ref 4711, 1958, F", "agrees, seen"):
        await story.asks(answer)
    await story.asks("é" * 20_001)

    assert "question" not in (await story.case()).answers
    assert "too_long" in str(story.last().content)


@pytest.mark.parametrize("text", ["\u200b", "   ", "\u00a0", "\n\n", "\u202e"])
async def test_an_empty_answer_changes_nothing(world: World, text: str) -> None:
    """Blanks and hidden marks are no answer."""
    story = await opened(world)
    before = (await story.case()).answers
    await story.asks(text)

    assert (await story.case()).answers == before


@pytest.mark.parametrize(
    "verb", ["ask", "draft", "dissent", "answer", "followup", "correct", "release", "decline", "bring", "refer"]
)
async def test_a_national_number_in_any_text_is_never_stored(world: World, verb: str) -> None:
    """Its checksum finds it where it slipped in, in every verb that takes text (DESIGN 4)."""
    story = await _begun(world, verb)
    who = story.requester if verb in ("answer", "followup") else story.experts[0]
    words = " ".join(ARGUMENTS[a.name] for a in COMMANDS[verb].args if a.kind is ArgKind.WORD and a.required)
    await who.says(f"!{verb} {words} Mme 58.03.02-002.13 est connue", story.room)

    said = "".join(body(event) for event in world.rooms.sent(story.room))
    assert "58.03.02-002.13" not in said
    assert "58.03.02-002.13" not in str(asdict(await story.case()))


@pytest.mark.parametrize(
    "word, verb",
    [("taek", "take"), ("prendr", "take"), ("unterschreibn", "sign"), ("voorstl", None), ("formulaire!", "form")],
)
async def test_a_wrong_verb_gets_the_nearest_right_ones(world: World, word: str, verb: str | None) -> None:
    """In the reader's language."""
    zoe = await french(world)
    await zoe.says(f"!{word}")
    french_name = {"take": "!prendre", "sign": "!signer", "form": "!formulaire", None: ""}[verb]

    assert french_name in body(zoe.last())


@pytest.mark.parametrize("words", ["!", "!!", "!opinion", "!avis ", "! ", "！", "!\u00a0"])
async def test_a_mark_alone_is_answered(world: World, words: str) -> None:
    """No verb: a clear answer, no error of ours."""
    zoe = await french(world)
    await zoe.says(words)

    assert data(zoe.last())["kind"] in ("error", "help")
    assert world.log.lines == []


@pytest.mark.parametrize("number", ["C-2026-9999", "C-2025-0001", "C-99999999", "9999", "C-2026-0001-x", "0"])
async def test_a_case_number_that_does_not_exist_is_answered(world: World, number: str) -> None:
    """The same words as for a case of somebody else."""
    zoe = await french(world)
    await zoe.says(f"!show {number}")

    assert data(zoe.last())["code"] in ("no_such_case", "no_case_fits", "argument_wrong", "words_left_over")


async def test_a_command_for_another_case_in_a_case_room_is_refused(world: World) -> None:
    """In the room of one case nobody acts on another by mistake."""
    story = await taken(world)
    await story.experts[0].says("!ask C-2026-0002 Thyroid?", story.room)

    assert story.code() == "other_case_here"


async def test_words_after_a_command_that_takes_none_do_not_run_it(world: World) -> None:
    """Whoever writes "cancel, or rather not" does not cancel."""
    story = await opened(world)
    await story.asks("!cancel or rather not")

    assert story.code() == "words_left_over"
    assert (await story.case()).ended_at is None


async def test_every_refusal_has_a_sentence_in_french() -> None:
    """Whatever is refused is said in the user's language."""
    french_texts, english = texts(Language.FR), texts(Language.EN)

    codes = [key for key in english if key.startswith("refusal.")]
    assert len(codes) > 50
    assert [key for key in codes if key not in french_texts or french_texts[key] == english[key]] == []


async def test_too_many_commands_a_minute_are_slowed_down(world: World) -> None:
    """The limit is said, and after a minute everything works again."""
    zoe = await french(world)
    for _ in range(31):
        await zoe.says("!list")
    assert data(zoe.last())["code"] == "slow_down"

    world.clock.advance(seconds=61)
    await zoe.says("!list")
    assert data(zoe.last())["kind"] == "list"


@pytest.mark.parametrize("wanted", ["fr", "français", "NL", "Deutsch", "english", "allemand"])
async def test_the_language_is_set_by_its_code_or_its_name(world: World, wanted: str) -> None:
    """In any of the four languages."""
    zoe = await french(world)
    await zoe.says(f"!language {wanted}")

    assert data(zoe.last())["kind"] == "language", body(zoe.last())


@pytest.mark.parametrize(
    "address", ["nobody", "a@b", "a b@c.example", "a@b.example,c@d.example", "<a@b.example>", "é@b.example"]
)
async def test_a_wrong_address_is_refused(world: World, address: str) -> None:
    """One address, written plainly; what there was stays."""
    zoe = await french(world)
    await zoe.says(f"!courriel {address}")

    async with world.store.unit() as unit:
        person = await unit.person(UserId("@zoe:test"))
    assert person is not None
    assert person.email == "zoe@hospital.example"
