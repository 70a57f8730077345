"""The bot may be stopped at any time: what was written meanwhile is handled once, in order; nothing is said twice."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from bot.lab.clients import Message
from tests.flows.ward import DRAFT, QUESTION, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Fifteen messages: answers, commands, and one that changes an answer again.
TYPED = (
    "no",
    "ref 0815, 1958, F",
    "agrees, seen",
    QUESTION,
    "treatment, routine",
    "body site left forearm",
    "duration 3 months",
    "size 4",
    "size 5",
    "size 6",
    "evolution growing",
    "photo consent yes",
    "phototype II",
    "!form",
    "!submit anyway",
)


async def test_what_is_typed_while_the_bot_is_down_is_handled_once_and_in_order(ward: Ward) -> None:
    """Fifteen messages wait for the bot; each is answered once, in the order in which it was typed."""
    requester = await ward.phone("requester")
    case = await ward.opens(requester, "dermatology")
    await ward.lab.stop_bot()
    try:
        sent = [await requester.types(text, case.room) for text in TYPED]
    finally:
        ward.clock.jump(timedelta(minutes=11))
        await ward.lab.start_bot()
    submitted = await requester.hears("submitted", case.room)
    assert submitted.data["turns"] == len(TYPED), "`!new` counts, `!form` does not"

    said = [m for m in requester.said_by_bot(case.room) if m.kind in ("answer_recorded", "form_status", "late")]
    replies = [m.content["m.relates_to"]["m.in_reply_to"]["event_id"] for m in said]
    assert sorted(replies, key=sent.index) == replies, "everything in order"
    once = Counter(event for m, event in zip(said, replies, strict=True) if m.kind != "late")
    assert once == dict.fromkeys(sent[:-1], 1), "each once, nothing lost"
    late = [event for m, event in zip(said, replies, strict=True) if m.kind == "late"]
    assert late == sent[-2:], "the two commands are executed with their age said"
    form = next(m for m in said if m.kind == "form_status")
    assert "6" in form.body, "the newest size counts"
    assert "left forearm" in form.body


async def test_a_case_goes_on_after_a_restart_and_nothing_is_said_twice(ward: Ward) -> None:
    """A new bot on the same folder: sessions, rooms, keys and deadlines are there; nothing is repeated."""
    requester, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("expert", lines={"dermatology": "dermatologist"})
    )
    case = await ward.asks(requester)
    await ward.takes(expert, case)
    await ward.lab.stop_bot()
    before = [m.event_id for p in (requester, expert) for room in (p.direct, case.room) for m in p.said_by_bot(room)]
    await ward.lab.start_bot()

    await expert.types("!ask Since when?", case.room)
    await requester.hears("asked", case.room)
    await ward.lab.stop_bot()
    await ward.lab.start_bot()
    await requester.types("!answer Since Easter.", case.room)
    await requester.hears("answered", case.room, n=1)
    await requester.types("!done", case.room)
    await expert.hears("answered", case.room, done=True)
    pdf = await ward.answers(expert, requester, case, DRAFT)
    assert pdf.startswith(b"%PDF")

    for phone in (requester, expert):
        for room in (phone.direct, case.room):
            said = [m for m in phone.said_by_bot(room) if m.event_id not in before]
            twice = [text for text, count in Counter(_said(m) for m in said).items() if count > 1]
            assert twice == []
            assert all(m.shield == "none" for m in said)


def _said(message: Message) -> tuple[str | None, str, str]:
    """Return what makes a message the same as another: its kind, its words, and what it answers."""
    relation = message.content.get("m.relates_to") or {}
    return message.kind, message.body, str(relation.get("m.in_reply_to"))
