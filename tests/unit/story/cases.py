"""Cases brought as far as a test needs them, by the words that physicians would type."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.adapters.store import SqlStore
from bot.domain.audit import AuditRow
from bot.domain.case import Case
from bot.domain.ids import EventId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.people import Person, Role
from bot.domain.prompts import PromptId
from bot.services.ports import Erased
from tests.fakes.rooms import SentEvent
from tests.unit.forms.asking import a_value
from tests.world import Physician, World

FIRST = "C-2026-0001"
RHYTHMOLOGY, VALVE = "rhythmology", "valve_heart_team"
FILES = (
    *(b"PDF letter", b"ECG tracing", b"SR echo", b"LOO echo", b"NM scan", b"CT chest", b"XA angio"),
    *(b"SR geriatric", b"SR lungs"),
)
PHOTOS = (b"IMG overview", b"IMG macro", b"IMG dermoscopy")
DRAFT = "ablation: veins first\nReasons: symptoms\nRecommendation: within 8 weeks\nWho does what: we call the patient"


@dataclass(slots=True)
class Story:
    """One case, its requester and the experts of its line."""

    world: World
    requester: Physician
    room: RoomId
    id: str = FIRST
    experts: list[Physician] = field(default_factory=list)

    async def case(self) -> Case:
        """Return the case as it stands."""
        return await self.world.case(self.id)

    async def asks(self, text: str, **more: Any) -> EventId:
        """The requester writes in the case room."""
        return await self.requester.says(text, self.room, **more)

    async def answers(self, expert: int, text: str) -> EventId:
        """An expert writes in the case room."""
        return await self.experts[expert].says(text, self.room)

    async def drops(self, data: bytes) -> EventId:
        """The requester drops a file into the case room."""
        return await self.requester.drops(data, self.room)

    async def taps(self, value: str) -> None:
        """The requester taps an answer of the newest poll in the case room."""
        await self.requester.taps(value, self.room)

    async def signs(self, expert: int) -> None:
        """An expert signs with a fresh code."""
        await self.answers(expert, f"!sign {await self.experts[expert].code()}")

    async def takes(self, expert: int, verb: str = "take") -> None:
        """An expert takes the case (or joins it) in his direct chat and accepts the invitation."""
        who = self.experts[expert]
        await who.says(f"!{verb} {self.id}")
        await self.enters(who)

    async def enters(self, who: Physician) -> None:
        """Somebody accepts his invitation to the case room."""
        await self.world.rooms.join_as(who.user_id, self.room)
        await self.world.settle()

    def kinds(self) -> list[str]:
        """Return the kinds of everything the bot said in the case room."""
        return self.requester.kinds(self.room)

    def last(self, kind: str | None = None) -> SentEvent:
        """Return the newest message in the case room, of a kind if one is named."""
        return self.requester.last(self.room, kind)

    def code(self) -> str:
        """Return the code of the newest refusal in the case room."""
        return refusal(self.requester, self.room)

    def members(self) -> dict[UserId, str]:
        """Return who is in the case room, and how."""
        return next(dict(room.members) for room in self.world.rooms.rooms() if room.room_id == self.room)


def data(event: SentEvent) -> dict[str, Any]:
    """Return what machines read of a message; the end of a poll has nothing."""
    found: dict[str, Any] = event.content.get("org.consilium", {})
    return found


def body(event: SentEvent) -> str:
    """Return what people read of a message or of a poll."""
    return str(event.content["body" if "body" in event.content else "org.matrix.msc1767.text"])


def refusal(person: Physician, room: RoomId | None = None) -> str:
    """Return the code of the bot's newest message to a person, which must be a refusal."""
    newest = data(person.last(room))
    assert newest["kind"] in ("error", "code_refused", "answer_refused"), newest
    return str(newest.get("code") or ",".join(newest["codes"]))


def about(person: Physician, kind: str, **facts: object) -> list[SentEvent]:
    """Return the bot's messages of a kind in a person's direct chat whose facts are these."""
    sent = [e for e in person.world.rooms.sent(person.direct) if data(e).get("kind") == kind]
    return [e for e in sent if all(data(e).get(name) == value for name, value in facts.items())]


async def person_of(world: World, user_id: UserId) -> Person:
    """Return a person as the database holds him."""
    async with world.store.unit() as unit:
        found = await unit.person(user_id)
    assert found is not None
    return found


async def audit(world: World) -> Sequence[AuditRow]:
    """Return the audit chain."""
    async with world.store.unit() as unit:
        return await unit.audit_rows()


async def audited(world: World, kind: str) -> list[AuditRow]:
    """Return the rows of the audit chain of a kind."""
    return [row for row in await audit(world) if row.event.kind == kind]


async def admin(world: World, name: str = "ada", *, language: Language = Language.EN) -> Physician:
    """Return an admin with a session."""
    return await world.physician(name, roles=(Role.ADMIN,), language=language)


async def opened(world: World, *, line: str = RHYTHMOLOGY, language: Language = Language.EN) -> Story:
    """Dr Anne has opened a case and is in its room."""
    requester = await world.physician("anne", number=1, language=language)
    await requester.says(f"!new {line}")
    story = Story(world=world, requester=requester, room=await world.room(FIRST))
    await story.enters(requester)
    return story


async def filled(world: World, *, line: str = RHYTHMOLOGY, question: str = "Ablation or not?") -> Story:
    """Everything that is asked is answered and every file is there."""
    story = await opened(world, line=line)
    for file in PHOTOS if line == "dermatology" else FILES[:2]:
        await story.drops(file)
    await answer_all(story, {PromptId.QUESTION: question})
    return story


async def answer_all(story: Story, own: dict[PromptId, str] | None = None, *, born: int = 1958) -> None:
    """Answer every prompt of the bot with one message or one tap until nothing is asked any more."""
    texts = {PromptId.PATIENT: f"ref 4711, {born}, F"} | (own or {})
    for _ in range(12):
        case = await story.case()
        if case.asked is None:
            return
        asked = data(story.last("question"))
        prompt = PromptId(asked["field"])
        if asked["type"] == "poll":
            await story.taps(asked["options"][0]["value"])
        elif prompt is PromptId.DOCUMENTS:
            await story.asks("!skip")
        else:
            await story.asks(texts.get(prompt) or await _values(story, asked["fields"]))


async def _values(story: Story, fields: Sequence[str]) -> str:
    case = await story.case()
    form = story.world.lines[case.line].form
    typed = [form[one] for one in fields if not form[one].is_slot]
    if len(typed) == 1 and len(fields) == 1:
        return _past(a_value(typed[0], case.language))
    rows = [f"{one.label(case.language)}: {_past(a_value(one, case.language))}" for one in typed]
    return "\n".join(rows) or "!skip"


def _past(value: str) -> str:
    """The worlds of the stories begin in March."""
    return value.replace("25/11/2026", "01/03/2026")


async def submitted(
    world: World, *, line: str = RHYTHMOLOGY, experts: Sequence[str] = ("bob", "carl"), question: str = "Ablation?"
) -> Story:
    """The question is with its line, and the experts of the line were rung."""
    people = [await world.physician(name, number=2 + i, lines={line: "cardiologist"}) for i, name in enumerate(experts)]
    story = await filled(world, line=line, question=question)
    story.experts = people
    await story.asks("!submit anyway")
    assert (await story.case()).submitted_at is not None, body(story.last())
    return story


async def taken(world: World, *, experts: Sequence[str] = ("bob", "carl"), question: str = "Ablation?") -> Story:
    """Dr Bob has taken the case and is in its room."""
    story = await submitted(world, experts=experts, question=question)
    await story.takes(0)
    return story


async def taken_by_two(world: World) -> Story:
    """Dr Bob has taken the case and has brought Dr Carl in."""
    story = await taken(world)
    await story.answers(0, f"!bring {story.experts[1].user_id} for a second look")
    await story.enters(story.experts[1])
    return story


async def drafted(world: World, text: str = DRAFT) -> Story:
    """Dr Bob has written a draft."""
    story = await taken(world)
    await story.answers(0, f"!draft {text}")
    return story


async def drafted_by_two(world: World) -> Story:
    """Two experts are in the case and there is a draft."""
    story = await taken_by_two(world)
    await story.answers(0, f"!draft {DRAFT}")
    return story


async def delivered(world: World) -> Story:
    """Dr Bob has signed; the opinion is delivered."""
    story = await drafted(world)
    await story.signs(0)
    assert (await story.case()).delivered_at is not None, body(story.last())
    return story


async def acknowledged(world: World) -> Story:
    """Dr Anne has said that the opinion arrived."""
    story = await delivered(world)
    await story.requester.says(f"!acknowledge {story.id}")
    return story


async def erase(world: World, *, days: float) -> None:
    """Let days pass, and then give the eraser the time that it needs."""
    await world.later(days=days)
    await finish_erasure(world)


async def finish_erasure(world: World) -> None:
    """Let the stages of an erasure follow each other, within an hour and after the grace of a day."""
    for hours in (0.1, 25, 0.1, 0.1, 0.1, 0.1):
        await world.later(hours=hours)
        the_eraser_works(world)


def the_eraser_works(world: World) -> None:
    """The eraser deletes what it was asked to delete, and the homeserver has it no more."""
    world.eraser.work()
    for media in world.eraser.media.values():
        for url in (url for url, state in media.items() if state is Erased.GONE):
            world.rooms.media.pop(url, None)


@contextlib.asynccontextmanager
async def restarted(world: World, folder: Path) -> AsyncIterator[World]:
    """The bot is stopped and started again on the same database; homeserver, vault and clock go on."""
    await world.store.close()
    store = SqlStore(folder / "consilium.db", b"k" * 32, world.vault, world.clock)
    await store.open()
    world.rooms._arrivals = store
    try:
        yield World(store, world.vault, world.rooms, world.clock)
    finally:
        await store.close()
