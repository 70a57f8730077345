"""What every eraser promises; the real one with its own process against a real homeserver."""

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest
import pytest_asyncio

from bot.adapters.clock import SystemClock
from bot.adapters.eraser import EraserDesk
from bot.adapters.eraser_process import EraserProcess
from bot.domain.errors import StartRefused
from bot.domain.ids import CaseId, RoomId
from bot.lab.homeserver import Account, Homeserver, RequestRefused
from bot.services.ports import Erased, Eraser
from tests.fakes.eraser import FakeEraser

CASE = CaseId("C-2026-0007")
OTHER = CaseId("C-2026-0008")
PATIENCE = 45.0
"""Seconds until a step that never comes fails the test."""


class World(Protocol):
    """An eraser, and a homeserver to erase on."""

    eraser: Eraser

    async def room(self) -> RoomId: ...

    async def foreign_room(self) -> RoomId: ...

    async def medium(self) -> str: ...

    async def settle(self, case_id: CaseId) -> None: ...


class FakeWorld:
    """Everything in memory."""

    def __init__(self) -> None:
        self.fake = FakeEraser()
        self.eraser: Eraser = self.fake
        self._made = 0

    async def room(self) -> RoomId:
        self._made += 1
        return RoomId(f"!room{self._made}")

    async def foreign_room(self) -> RoomId:
        room = await self.room()
        self.fake.foreign.add(room)
        return room

    async def medium(self) -> str:
        self._made += 1
        return f"mxc://hospital.localhost/m{self._made}"

    async def settle(self, case_id: CaseId) -> None:
        self.fake.work()


class RealWorld:
    """A Synapse, the bot's account, a physician's, and the admin whose token only the process gets."""

    def __init__(self, server: Homeserver, bot: Account, physician: Account, admin: Account, folder: Path) -> None:
        self.server = server
        self.bot = bot
        self.physician = physician
        self.admin = admin
        self.folder = folder
        self.eraser: Eraser = EraserDesk(folder, clock=SystemClock())

    async def room(self, *, messages: int = 3) -> RoomId:
        """Make a room of the bot with the physician in it."""
        body = {"invite": [self.physician.user_id], "preset": "private_chat"}
        made = await self.server.call("POST", "/_matrix/client/v3/createRoom", body=body, token=self.bot)
        room = str(made["room_id"])
        await self.server.call("POST", f"/_matrix/client/v3/join/{room}", body={}, token=self.physician)
        for number in range(messages):
            path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}"
            await self.server.call("PUT", path, body={"msgtype": "m.text", "body": "x"}, token=self.bot)
        return RoomId(room)

    async def foreign_room(self) -> RoomId:
        """Make a room of the physician with the bot invited."""
        body = {"invite": [self.bot.user_id], "preset": "private_chat"}
        made = await self.server.call("POST", "/_matrix/client/v3/createRoom", body=body, token=self.physician)
        return RoomId(str(made["room_id"]))

    async def medium(self, owner: Account | None = None) -> str:
        """Upload something as the bot, or as another person."""
        headers = {
            "Authorization": f"Bearer {(owner or self.bot).access_token}",
            "Content-Type": "application/octet-stream",
        }
        url = self.server.url + "/_matrix/media/v3/upload"
        async with aiohttp.ClientSession() as http, http.post(url, data=os.urandom(5000), headers=headers) as answer:
            return str((await answer.json())["content_uri"])

    async def status_of(self, path: str, account: Account) -> int:
        """Return the HTTP status of a GET."""
        headers = {"Authorization": f"Bearer {account.access_token}"}
        async with aiohttp.ClientSession() as http, http.get(self.server.url + path, headers=headers) as answer:
            return answer.status

    async def download(self, mxc: str) -> int:
        """Return the HTTP status of a download by the physician."""
        return await self.status_of(f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}", self.physician)

    async def room_status(self, room: RoomId) -> int:
        """Return the HTTP status of the admin interface for a room."""
        return await self.status_of(f"/_synapse/admin/v1/rooms/{room}", self.admin)

    def process(self) -> EraserProcess:
        """Build the eraser's process."""
        return EraserProcess(
            folder=self.folder,
            homeserver_url=self.server.url,
            admin_token=self.admin.access_token,
            bot_user_id=self.bot.user_id,
            poll_seconds=0.05,
        )

    async def deletions(self, room: RoomId) -> list[str]:
        """Return the states of the deletions of a room."""
        path = f"/_synapse/admin/v2/rooms/{room}/delete_status"
        try:
            answer = await self.server.call("GET", path, token=self.admin)
        except RequestRefused:
            return []
        return [str(result["status"]) for result in answer["results"]]

    async def settle(self, case_id: CaseId) -> None:
        """Run the process until nothing of the case is open."""
        async with running(self.process()):
            await self.settled(case_id)

    async def settled(self, case_id: CaseId) -> None:
        """Wait until nothing of the case is open."""
        async with asyncio.timeout(PATIENCE):
            while await self.is_open(case_id):
                await asyncio.sleep(0.05)

    async def is_open(self, case_id: CaseId) -> bool:
        """Say whether something of the case is not settled."""
        status = await self.eraser.status(case_id)
        return bool({Erased.PENDING, Erased.FAILED}.intersection([*status.rooms.values(), *status.media.values()]))


@contextlib.asynccontextmanager
async def running(process: EraserProcess) -> AsyncIterator[None]:
    """Run the eraser's process, and stop it as SIGTERM does."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(process.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Homeserver]:
    """One homeserver for the tests that leave it standing."""
    async with Homeserver.start(tmp_path_factory.mktemp("synapse"), relaxed_limits=True) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def real(synapse: Homeserver, tmp_path: Path) -> RealWorld:
    """The real eraser with accounts of its own."""
    return await a_world(synapse, tmp_path / "eraser")


async def a_world(server: Homeserver, folder: Path) -> RealWorld:
    """Register the accounts of one test."""
    unique = os.urandom(4).hex()
    bot = await server.register(f"consilium-{unique}")
    physician = await server.register(f"physician-{unique}")
    admin = await server.register(f"eraser-{unique}", admin=True)
    return RealWorld(server, bot, physician, admin, folder)


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest) -> World:
    """Each kind of eraser; the homeserver only starts for the real one."""
    if request.param == "fake":
        return FakeWorld()
    real: RealWorld = request.getfixturevalue("real")
    return real


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_order_is_pending_until_somebody_works(world: World) -> None:
    """Without a process nothing is lost and nothing is claimed."""
    room, medium = await world.room(), await world.medium()

    await world.eraser.order(CASE, rooms=[room], media=[medium])

    status = await world.eraser.status(CASE)
    assert status.rooms == {room: Erased.PENDING}
    assert status.media == {medium: Erased.PENDING}


async def test_a_case_without_an_order_has_no_status(world: World) -> None:
    """Asking is allowed before ordering."""
    status = await world.eraser.status(CASE)

    assert (dict(status.rooms), dict(status.media)) == ({}, {})


async def test_rooms_and_media_of_an_order_are_gone(world: World) -> None:
    """The point of it all."""
    room, medium = await world.room(), await world.medium()
    await world.eraser.order(CASE, rooms=[room], media=[medium])

    await world.settle(CASE)

    status = await world.eraser.status(CASE)
    assert status.rooms == {room: Erased.GONE}
    assert status.media == {medium: Erased.GONE}


async def test_a_repeated_order_changes_nothing(world: World) -> None:
    """After a crash the bot orders again; what is new is added."""
    room, late = await world.room(), await world.medium()
    await world.eraser.order(CASE, rooms=[room], media=[])
    await world.settle(CASE)

    await world.eraser.order(CASE, rooms=[room], media=[late])

    status = await world.eraser.status(CASE)
    assert status.rooms == {room: Erased.GONE}
    assert status.media == {late: Erased.PENDING}


async def test_a_room_of_somebody_else_is_refused(world: World) -> None:
    """Only rooms that the bot made are the bot's to erase; the rest of the order goes on."""
    room, foreign = await world.room(), await world.foreign_room()
    await world.eraser.order(CASE, rooms=[foreign, room], media=[])

    await world.settle(CASE)

    status = await world.eraser.status(CASE)
    assert status.rooms == {foreign: Erased.REFUSED, room: Erased.GONE}


async def test_cases_do_not_mix(world: World) -> None:
    """Each status speaks of one case."""
    mine, other = await world.room(), await world.room()
    await world.eraser.order(CASE, rooms=[mine], media=[])
    await world.eraser.order(OTHER, rooms=[other], media=[])

    assert list((await world.eraser.status(CASE)).rooms) == [mine]
    assert list((await world.eraser.status(OTHER)).rooms) == [other]


async def test_the_homeserver_answers_404_for_what_is_gone(real: RealWorld) -> None:
    """Gone means: nobody gets it any more, the members and an admin included."""
    room, medium = await real.room(), await real.medium()
    before = await real.room_status(room), await real.download(medium)
    await real.eraser.order(CASE, rooms=[room], media=[medium])

    await real.settle(CASE)

    assert before == (200, 200)
    assert (await real.room_status(room), await real.download(medium)) == (404, 404)


async def test_another_person_s_upload_of_the_same_hour_is_still_there(real: RealWorld) -> None:
    """Media are erased by name, never by their owner or their time."""
    ordered, own, foreign = await real.medium(), await real.medium(), await real.medium(real.physician)
    await real.eraser.order(CASE, rooms=[], media=[ordered])

    await real.settle(CASE)

    assert [await real.download(mxc) for mxc in (ordered, own, foreign)] == [404, 200, 200]


async def test_a_requester_s_upload_is_erased_when_it_is_named(real: RealWorld) -> None:
    """The documents of a case were uploaded by its people."""
    medium = await real.medium(real.physician)
    await real.eraser.order(CASE, rooms=[], media=[medium])

    await real.settle(CASE)

    assert await real.download(medium) == 404


async def test_a_foreign_room_stays_as_it_was(real: RealWorld) -> None:
    """Refused is not touched."""
    foreign = await real.foreign_room()
    await real.eraser.order(CASE, rooms=[foreign], media=[])

    await real.settle(CASE)

    path = f"/_matrix/client/v3/rooms/{foreign}/joined_members"
    assert await real.status_of(path, real.physician) == 200


@pytest.mark.parametrize(
    "name", ["mxc://elsewhere.example/abc", "mxc://hospital.localhost/../../etc", "http://x/y", "mxc://a/b/c", ""]
)
async def test_a_medium_that_is_not_this_server_s_is_refused(real: RealWorld, name: str) -> None:
    """Nothing in a name can reach another path of the admin interface."""
    await real.eraser.order(CASE, rooms=[], media=[name])

    await real.settle(CASE)

    assert (await real.eraser.status(CASE)).media == {name: Erased.REFUSED}


async def test_a_room_that_is_gone_already_counts_as_gone(real: RealWorld) -> None:
    """An admin was faster: 404 is 404."""
    room = RoomId("!neverwas:hospital.localhost")
    await real.eraser.order(CASE, rooms=[room], media=["mxc://hospital.localhost/neverwas"])

    await real.settle(CASE)

    status = await real.eraser.status(CASE)
    assert {*status.rooms.values(), *status.media.values()} == {Erased.GONE}


async def test_the_desk_sees_whether_a_process_is_there(real: RealWorld) -> None:
    """The certificate says what stayed when nobody erases."""
    before = (await real.eraser.status(CASE)).alive
    await real.eraser.order(CASE, rooms=[], media=[await real.medium()])

    await real.settle(CASE)

    assert before is False
    assert (await real.eraser.status(CASE)).alive is True


async def test_a_token_that_is_no_admin_s_stops_the_process(real: RealWorld) -> None:
    """One line for the operator instead of an endless row of failures."""
    process = EraserProcess(
        folder=real.folder,
        homeserver_url=real.server.url,
        admin_token=real.physician.access_token,
        bot_user_id=real.bot.user_id,
    )

    with pytest.raises(StartRefused) as refusal:
        await process.run(asyncio.Event())

    assert refusal.value.code == "eraser_token_refused"


async def test_a_bot_that_is_a_server_admin_stops_the_process(real: RealWorld) -> None:
    """The two rights never meet in one account."""
    process = EraserProcess(
        folder=real.folder,
        homeserver_url=real.server.url,
        admin_token=real.admin.access_token,
        bot_user_id=real.admin.user_id,
    )

    with pytest.raises(StartRefused) as refusal:
        await process.run(asyncio.Event())

    assert refusal.value.code == "bot_is_admin"


async def test_synapse_killed_during_a_purge_finishes_it_later(tmp_path: Path) -> None:
    """The process outlives its homeserver and believes only what it sees afterwards."""
    folder = tmp_path / "synapse"
    stop = asyncio.Event()
    async with Homeserver.start(folder, relaxed_limits=True) as server:
        port = server.port
        world = await a_world(server, tmp_path / "eraser")
        room, medium = await world.room(messages=60), await world.medium()
        await crowd(world, room, 12)
        await world.eraser.order(CASE, rooms=[room], media=[medium])
        erasing = asyncio.ensure_future(world.process().run(stop))
        async with asyncio.timeout(PATIENCE):
            while not await world.deletions(room):
                await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGKILL)

    await asyncio.to_thread(let_two_minutes_pass, folder / "homeserver.db")
    async with Homeserver.start(folder, relaxed_limits=True, port=port) as again:
        world.server = again
        halfway = await world.deletions(room), await world.room_status(room)
        # A second case makes Synapse take up what it left; alone it would do so within a minute.
        await world.eraser.order(OTHER, rooms=[await world.room()], media=[])
        await world.settled(CASE)
        await world.settled(OTHER)
        stop.set()
        await erasing
        status = await world.eraser.status(CASE)
        seen = await world.room_status(room), await world.download(medium)

    assert halfway == (["active"], 200)
    assert (dict(status.rooms), dict(status.media)) == ({room: Erased.GONE}, {medium: Erased.GONE})
    assert seen == (404, 404)


def let_two_minutes_pass(database: Path) -> None:
    """Remove the locks of the killed Synapse, as it does itself when nobody renewed them for two minutes."""
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("DELETE FROM worker_read_write_locks")
        db.execute("DELETE FROM worker_locks")


async def crowd(world: RealWorld, room: RoomId, count: int) -> None:
    """Let more people join, so that emptying the room takes a while."""
    for _ in range(count):
        person = await world.server.register(f"guest-{os.urandom(4).hex()}")
        body = {"user_id": person.user_id}
        await world.server.call("POST", f"/_matrix/client/v3/rooms/{room}/invite", body=body, token=world.bot)
        await world.server.call("POST", f"/_matrix/client/v3/join/{room}", body={}, token=person)
