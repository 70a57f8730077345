"""No patient data in clear, ever: room names, mails, logs, metrics, audit, file ids, and what makes a phone sound."""

import re

import pytest

from bot.domain.prompts import PromptId
from tests.unit.story.cases import FILES, Story, answer_all, audit, body, erase, opened
from tests.world import World

PLANTED = "ZZPLANT"
QUESTION = f"{PLANTED}-question: ablation or not?"


@pytest.fixture
async def told(world: World) -> Story:
    """A case through every verb that takes words, each with a planted word, and erased in the end."""
    bob = await world.physician("bob", number=2, lines={"rhythmology": "rhythmologist"})
    carl = await world.physician("carl", number=3, lines={"rhythmology": "rhythmologist"})
    story = await opened(world)
    story.experts = [bob, carl]
    for file in FILES[:2]:
        await story.requester.drops(file + PLANTED.encode(), story.room, name=f"{PLANTED} Jeanne.dcm")
    await answer_all(story, {PromptId.PATIENT: f"ref {PLANTED}4711, 1958, F", PromptId.QUESTION: QUESTION})
    await story.asks(f"{PLANTED} said to myself")
    await story.asks("!submit anyway")
    await carl.says(f"!decline {story.id} {PLANTED}")
    await story.takes(0)
    await story.answers(0, f"!ask {PLANTED} thyroid?")
    await story.asks(f"!answer {PLANTED} normal")
    await story.asks("!done")
    await story.answers(0, f"!bring {carl.user_id} {PLANTED}")
    await story.enters(carl)
    await story.answers(1, f"!draft ablation: {PLANTED}\nReasons: {PLANTED}\nRecommendation: {PLANTED}")
    await story.answers(0, f"!dissent {PLANTED}")
    await story.answers(0, f"!nonsense {PLANTED}")
    await story.signs(0)
    await story.signs(1)
    await story.asks(f"!followup {PLANTED} and then?")
    await story.answers(1, f"!answer {PLANTED} again")
    await story.requester.says(f"!acknowledge {story.id}")
    await story.requester.says(f"{PLANTED} thank you")
    return story


def found(words: tuple[str, ...], text: str) -> list[str]:
    """Return the words that stand in a text; short ones only where they stand alone: a random id may hold them."""
    return [
        word for word in words if re.search(rf"(?<![0-9A-Za-z]){word}(?![0-9A-Za-z])" if len(word) < 5 else word, text)
    ]


def clear(world: World) -> str:
    """Return everything that the homeserver, the mail server, the log and the metrics see in clear."""
    rooms = [(room.room_id, room.name, room.nonce, room.members) for room in world.rooms.rooms()]
    sent = [
        (event.event_type, event.txn, event.content.get("m.relates_to"))
        for room in world.rooms.rooms()
        for event in world.rooms.sent(room.room_id)
    ]
    return str([rooms, sent, world.mail.letters, world.log.lines, world.tally._counts])


async def test_the_words_were_really_said(world: World, told: Story) -> None:
    """The plant is in what people read: the test would see it elsewhere too."""
    assert PLANTED in str(world.rooms.bodies(told.room))
    assert PLANTED in str(await told.case()) or PLANTED in body(told.last("dossier"))
    assert (await told.case()).delivered != ()
    assert len(world.mail.letters) == 1
    assert found(("4711", PLANTED, "1958"), f"born 1958, {PLANTED}, (4711)") == ["4711", PLANTED, "1958"]


async def test_nothing_that_is_seen_in_clear_has_a_clinical_word(world: World, told: Story) -> None:
    """Neither what was typed, nor what the case is about."""
    seen = clear(world)

    assert told.id in seen
    assert found((PLANTED, "4711", "blation", "hythm", "1958", "Jeanne", "ecg"), seen) == []


async def test_the_audit_has_no_clinical_word(world: World, told: Story) -> None:
    """Codes, numbers and ids only."""
    rows = str(await audit(world))

    assert len(rows) > 1000
    assert found((PLANTED, "4711", "1958", "Jeanne"), rows) == []


async def test_no_file_id_says_what_the_file_is(world: World, told: Story) -> None:
    """A name of the sender's never becomes a name on disk."""
    names = str([name for _, name in world.vault.files])

    assert len(world.vault.files) > 3
    assert [word for word in (PLANTED, "Jeanne") if word in names] == []


async def test_what_makes_a_phone_sound_has_no_clinical_word(world: World, told: Story) -> None:
    """A lock screen shows rings: number and time, never what it is about."""
    rings = [
        body(event)
        for room in world.rooms.rooms()
        for event in world.rooms.sent(room.room_id)
        if event.content.get("msgtype") == "m.text"
    ]

    assert len(rings) > 5
    assert [ring for ring in rings if any(word in ring for word in (PLANTED, "hythm", "4711", "blation"))] == []


async def test_every_message_has_words(world: World, told: Story) -> None:
    """No message of the bot is empty."""
    events = [event for room in world.rooms.rooms() for event in world.rooms.sent(room.room_id)]

    assert len(events) > 60
    assert [event.content for event in events if not body(event).strip()] == []


async def test_every_message_proposes_three_next_steps_at_most(world: World, told: Story) -> None:
    """As lines to copy (DESIGN 3)."""
    events = [event for room in world.rooms.rooms() for event in world.rooms.sent(room.room_id)]

    assert max(body(event).count("\n→ ") for event in events) == 3


async def test_every_message_carries_the_outbox_id_inside_its_content(world: World, told: Story) -> None:
    """So that a repeat after a day is found (DESIGN 6)."""
    events = [event for room in world.rooms.rooms() for event in world.rooms.sent(room.room_id)]

    assert [event for event in events if event.content.get("org.consilium.txn") != event.txn] == []


async def test_after_the_erasure_no_word_is_left_in_any_table(world: World, told: Story) -> None:
    """The plant is nowhere in what the store still holds of people, audit and values."""
    for days in (11.1, 2, 0):
        await world.later(days=days)
    await erase(world, days=1.1)
    async with world.store.unit() as unit:
        left = [await unit.people(), await unit.audit_rows(), await unit.value(f"certificate:{told.id}")]

    assert world.vault.keys == {}
    assert found((PLANTED, "4711"), str(left)) == []


@pytest.mark.parametrize("method", ["download", "send"])
async def test_a_surprise_is_logged_without_its_words(world: World, method: str) -> None:
    """An exception's text may hold what somebody wrote: type and place are logged, the words are not."""
    story = await opened(world)
    world.rooms.fail(method, RuntimeError(PLANTED), times=2)  # type: ignore[arg-type]  # a bug is no ExternalError
    await story.drops(b"ECG tracing")

    assert len(world.log.lines) >= 1
    assert PLANTED not in str(world.log.lines)


async def test_an_internal_error_is_answered_with_its_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a verb: the person gets a number that stands in the log, and nothing is half done."""
    anne = await world.physician("anne", number=1)

    async def broken(case_id: str) -> None:
        raise RuntimeError(PLANTED)

    monkeypatch.setattr(world.vault, "create_key", broken)
    await anne.says("!new rhythmology")

    number = anne.last().content["org.consilium"]["number"]
    assert number in body(anne.last())
    assert number in str(world.log.lines)
    assert PLANTED not in str(world.log.lines) + body(anne.last())
    assert [room.name for room in world.rooms.rooms() if room.name] == []
