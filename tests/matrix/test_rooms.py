"""Rooms are made once, governed by the bot alone, and read from the homeserver."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import RoomId, UserId
from bot.lab.homeserver import RequestRefused
from bot.services.ports import EncryptedFile, NewRoom
from tests.matrix.handmade import HandmadeClient
from tests.matrix.proxy import Proxy
from tests.matrix.world import World, everyone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    """Yield *data* in pieces."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_lost_answer_makes_no_second_room(world: World) -> None:
    """createRoom that acted and whose answer never came: the next try finds the room by its nonce."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        proxy.lose_answer("POST .*/createRoom")
        with pytest.raises(ExternalError, match="unreachable"):
            await bot.engine.create(NewRoom(nonce="case-17", name="C-2026-0017"))

        room = await bot.engine.create(NewRoom(nonce="case-17", name="C-2026-0017"))

        joined = await world.homeserver.call("GET", "/_matrix/client/v3/joined_rooms", token=bot.account)
        assert joined["joined_rooms"] == [room]
        assert proxy.count("POST .*/createRoom") == 1


async def test_a_nonce_is_found_after_a_restart_without_reading_every_room_again(world: World) -> None:
    """What was read of create events is kept in the bot's folder."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        room = await bot.engine.create(NewRoom(nonce="case-18", name="C-2026-0018"))
        await bot.restart()
        before = proxy.count("GET .*m.room.create")

        assert await bot.engine.create(NewRoom(nonce="case-18", name="C-2026-0018")) == room
        assert proxy.count("GET .*m.room.create") == before


async def test_a_stranger_cannot_pass_off_his_room_as_the_bots(world: World) -> None:
    """A nonce counts only in a room that the bot itself made."""
    bot = await world.bot()
    mallory = HandmadeClient(world.homeserver, await world.account("mallory"))
    body = {"creation_content": {"org.consilium.nonce": "case-19"}, "invite": [bot.user_id]}
    his = RoomId((await mallory.call("POST", "/createRoom", body))["room_id"])
    await bot.inbox.wait_until(lambda a: a.room_id == his)
    await bot.engine.join(his)

    assert await bot.engine.create(NewRoom(nonce="case-19", name="C-2026-0019")) != his


async def test_two_creations_at_the_same_time_make_one_room(world: World) -> None:
    """One outbox may try again while the first try still runs."""
    bot = await world.bot()
    wanted = NewRoom(nonce="case-20", name="C-2026-0020")

    first, second = await asyncio.gather(bot.engine.create(wanted), bot.engine.create(wanted))

    assert first == second


@pytest.mark.parametrize("version", ["11", "12"])
async def test_only_the_bot_may_invite_remove_and_rename(world: World, version: str) -> None:
    """In both room versions a member can do nothing but talk."""
    bot = await world.bot(room_version=version)
    doctor = await world.person()
    room = await bot.case_room(doctor)
    other = UserId((await world.account()).user_id)
    here = f"/_matrix/client/v3/rooms/{quote(room)}"
    opened = {"join_rule": "public"}

    attempts = [
        world.homeserver.call("POST", f"{here}/invite", body={"user_id": other}, token=doctor.account),
        world.homeserver.call("POST", f"{here}/kick", body={"user_id": bot.user_id}, token=doctor.account),
        world.homeserver.call("PUT", f"{here}/state/m.room.name/", body={"name": "x"}, token=doctor.account),
        world.homeserver.call("PUT", f"{here}/state/m.room.power_levels/", body={}, token=doctor.account),
        world.homeserver.call("PUT", f"{here}/state/m.room.history_visibility/", body={}, token=doctor.account),
        world.homeserver.call("PUT", f"{here}/state/m.room.join_rules/", body=opened, token=doctor.account),
    ]
    results = await asyncio.gather(*attempts, return_exceptions=True)

    assert [result.status for result in results if isinstance(result, RequestRefused)] == [403] * 6


@pytest.mark.parametrize("version", ["11", "12"])
async def test_a_room_works_in_both_versions(world: World, version: str) -> None:
    """Invite, send, read, remove: the creator's power stands in the levels up to 11 and outside of them from 12 on."""
    bot = await world.bot(room_version=version)
    doctor = await world.person()
    room = await bot.case_room(doctor)
    sent = await bot.say(room, "hello", everyone(doctor))
    await doctor.wait_event(sent.event_id)

    await bot.engine.remove(room, UserId(doctor.user_id))

    create = await world.homeserver.call(
        "GET", f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.create/", token=bot.account
    )
    assert create["room_version"] == version
    assert (await bot.engine.members(room))[UserId(doctor.user_id)] == "leave"


async def test_nobody_sees_what_was_before_his_invitation(world: World) -> None:
    """History is visible from the invitation on, guests are not let in."""
    bot = await world.bot()
    room = await bot.engine.create(NewRoom(nonce="case-21", name="C-2026-0021"))
    here = f"/_matrix/client/v3/rooms/{quote(room)}/state"

    visibility = await world.homeserver.call("GET", f"{here}/m.room.history_visibility/", token=bot.account)
    guests = await world.homeserver.call("GET", f"{here}/m.room.guest_access/", token=bot.account)

    assert (visibility, guests) == ({"history_visibility": "invited"}, {"guest_access": "forbidden"})


async def test_a_direct_room_is_marked_as_one(world: World) -> None:
    """Element shows it among the people."""
    bot = await world.bot()
    doctor = HandmadeClient(world.homeserver, await world.account())

    room = await bot.engine.create(NewRoom(nonce="direct-1", name="Consilium", direct_with=UserId(doctor.user_id)))

    state = (await doctor.call("GET", "/sync?timeout=0"))["rooms"]["invite"][room]["invite_state"]["events"]
    (own,) = (event for event in state if event.get("state_key") == doctor.user_id)
    assert own["content"]["is_direct"] is True


async def test_a_limited_invitation_says_how_long_to_wait(world: World) -> None:
    """Synapse lets one person be invited five times at once: the outbox waits and tries again."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        room = await bot.engine.create(NewRoom(nonce="case-22", name="C-2026-0022"))
        proxy.answer("POST .*/invite", 429, body=b'{"retry_after_ms": 4000}')

        with pytest.raises(ExternalError, match="limited") as limited:
            await bot.engine.invite(room, UserId((await world.account()).user_id))

        assert limited.value.retry_after == 4


async def test_an_upload_has_no_name_and_no_type(world: World) -> None:
    """The homeserver learns nothing but the size."""
    bot = await world.bot()
    data = bytes(range(256)) * 2000
    file = await bot.engine.upload(pieces(data), len(data))

    media_id = file.url.rsplit("/", 1)[1]
    where = f"/_synapse/admin/v1/media/{quote(bot.user_id.partition(':')[2])}/{media_id}"
    shown = (await world.homeserver.admin_request("GET", where))["media_info"]

    assert (shown["media_type"], shown["upload_name"]) == ("application/octet-stream", None)
    assert shown["media_length"] == len(data)


async def test_a_file_goes_both_ways_between_the_bot_and_a_client(world: World) -> None:
    """What Element's core encrypts the bot reads, and the other way round."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    data = bytes(range(256)) * 3000
    await doctor.send_file(room, data, "ecg.png", "image/png")
    arrived = (await bot.inbox.wait_until(lambda a: a.content.get("msgtype") == "m.file")).content["file"]
    theirs = EncryptedFile(
        url=arrived["url"],
        key=arrived["key"]["k"],
        iv=arrived["iv"],
        sha256=arrived["hashes"]["sha256"],
        size=len(data),
    )

    got = b"".join([piece async for piece in bot.engine.download(theirs)])
    ours = await bot.engine.upload(pieces(got), len(got))
    key = {"kty": "oct", "key_ops": ["encrypt", "decrypt"], "alg": "A256CTR", "k": ours.key, "ext": True}
    file = {"v": "v2", "url": ours.url, "key": key, "iv": ours.iv, "hashes": {"sha256": ours.sha256}}
    sent = await bot.engine.send(
        room, {"msgtype": "m.file", "body": "x", "file": file}, txn="file", audience=everyone(doctor)
    )

    assert got == data
    assert await doctor.download((await doctor.wait_event(sent.event_id)).content) == data


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "https://elsewhere/x"},
        {"url": "mxc://server/../../x"},
        {"key": "short"},
        {"iv": "é"},
        {"sha256": "AAAA"},
    ],
    ids=["no mxc", "a path", "a short key", "no base64", "a short hash"],
)
async def test_a_file_with_a_strange_address_or_key_is_refused(world: World, changed: dict[str, str]) -> None:
    """Addresses and keys come from people: nothing of them reaches a path or a cipher unchecked."""
    bot = await world.bot()
    good = {"url": "mxc://server/x", "key": "A" * 43, "iv": "A" * 22, "sha256": "A" * 43}
    file = EncryptedFile(size=1, **(good | changed))

    with pytest.raises(Permanent, match="bad_file"):
        _ = [piece async for piece in bot.engine.download(file)]
