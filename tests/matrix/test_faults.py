"""A small case through a homeserver that fails once at every call: nothing is lost, repeated or sent in clear."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from bot.adapters.matrix import Timeouts
from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import UserId
from bot.services.ports import ArrivalKind, NewRoom
from tests.matrix.proxy import Proxy
from tests.matrix.world import World, everyone

pytestmark = pytest.mark.asyncio(loop_scope="session")

T = TypeVar("T")

IMPATIENT = Timeouts(
    request=0.7, create_room=1.2, long_poll=0.5, first_sync=1, key_claim=0.5, share=0.5, media_idle=0.7,
    backoff_first=0.05, backoff_most=0.2, share_again=0.2,
)  # fmt: skip

CALLS = [
    "GET .*/joined_rooms",
    "GET .*/capabilities",
    "POST .*/createRoom",
    "POST .*/invite",
    "GET .*/members",
    "GET .*/state/m.room.encryption",
    "POST .*/keys/query",
    "POST .*/keys/claim",
    "PUT .*/sendToDevice/m.room.encrypted",
    "PUT .*/send/m.room.encrypted",
    "POST .*/media/v3/upload",
    "GET .*/media/download",
    "PUT .*/redact",
    "GET .*/sync",
]

FAULTS: dict[str, Callable[[Proxy, str], object]] = {
    "an error": lambda proxy, call: proxy.answer(call, 502, body=b"<html>bad gateway"),
    "a limit": lambda proxy, call: proxy.answer(call, 429, body=b'{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":50}'),
    "a cut answer": lambda proxy, call: proxy.cut_answer(call),
    "a lost answer": lambda proxy, call: proxy.lose_answer(call),
    "silence": lambda proxy, call: proxy.hang(call),
}


async def tried(call: Callable[[], Awaitable[T]]) -> T:
    """Try again as the outbox does; what is permanent is not tried again."""
    for _ in range(20):
        try:
            return await call()
        except Permanent:
            raise
        except ExternalError:
            await asyncio.sleep(0.05)
    raise AssertionError("never succeeded")


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Yield *data* at once."""
    yield data


async def everything(file_of: AsyncIterator[bytes]) -> bytes:
    """Read a stream to its end."""
    return b"".join([piece async for piece in file_of])


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_case_survives_each_fault_once_at_every_call(
    world: World, fault: Callable[[Proxy, str], object]
) -> None:
    """Room, invitation, message, file, answer, redaction: each happens once, whatever the homeserver does."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url, timeouts=IMPATIENT)
        doctor = await world.person(auto_accept=True)
        direct = await bot.direct_with(doctor)
        for call in CALLS:
            fault(proxy, call)
        engine, user = bot.engine, UserId(doctor.user_id)

        room = await tried(lambda: engine.create(NewRoom(nonce="case-1", name="C-2026-0001")))
        await tried(lambda: engine.invite(room, user))
        await doctor.wait_member(room, user)
        sent = await tried(lambda: bot.say(room, "question", everyone(doctor), txn="outbox-1"))
        file = await tried(lambda: engine.upload(pieces(b"tracing"), 7))
        got = await tried(lambda: everything(engine.download(file)))
        await doctor.send(room, "answer")
        await bot.inbox.wait_for("answer")
        await tried(lambda: engine.redact(room, sent.event_id, txn="redaction-1"))

        seen = await doctor.wait_for(room, lambda message: message.redacted)
        joined = await world.homeserver.call("GET", "/_matrix/client/v3/joined_rooms", token=bot.account)
        events = [message for message in doctor.messages(room) if message.sender == bot.user_id and message.encrypted]
        assert got == b"tracing"
        assert seen.event_id == sent.event_id
        assert [event.event_id for event in events] == [sent.event_id]
        assert set(joined["joined_rooms"]) == {direct, room}
        assert bot.inbox.bodies(room) == ["answer"]
        assert not bot.inbox.of_kind(ArrivalKind.UNDECRYPTABLE)


async def test_the_homeserver_holds_no_word_of_what_was_said(world: World) -> None:
    """Everything that it stored is searched for planted words, of the bot and of the physician, in text and file."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    planted = ["kardiomyopathie-von-uns", "kardiomyopathie-von-ihm", "kardiomyopathie-im-bild", "kardiomyopathie-name"]
    await bot.say(room, planted[0], everyone(doctor))
    await doctor.send(room, planted[1])
    await bot.engine.upload(pieces(planted[2].encode()), len(planted[2]))
    await doctor.send_file(room, planted[2].encode(), f"{planted[3]}.txt", "text/plain")
    await bot.inbox.wait_until(lambda a: a.content.get("msgtype") == "m.file")

    stored = await asyncio.to_thread(everything_stored, world)

    assert room.encode() in stored
    assert [word for word in planted if word.encode() in stored] == []


def everything_stored(world: World) -> bytes:
    """Return every byte of the homeserver's folder, and every row of its database."""
    folder = world.homeserver.folder
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    with sqlite3.connect(f"file:{folder / 'homeserver.db'}?mode=ro", uri=True) as database:
        rows = "\n".join(json.dumps(row, default=repr) for row in database.execute("SELECT * FROM event_json"))
    return b"\n".join(files) + rows.encode()
