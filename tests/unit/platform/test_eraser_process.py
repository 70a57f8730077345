"""How the eraser's process behaves when the homeserver or the process itself fails, on a homeserver of a few lines."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from bot.adapters.eraser import LONGEST_PAUSE, SEEN_WITHIN, EraserDesk, Orders
from bot.adapters.eraser_process import EraserProcess
from bot.domain.errors import ExternalError
from bot.domain.ids import CaseId, RoomId
from bot.services.ports import Erased
from tests.fakes.clock import FixedClock

CASE = CaseId("C-2026-0007")
ROOM = RoomId("!abc")
MEDIUM = "mxc://hospital.localhost/m1"
BOT = "@consilium:hospital.localhost"
PATIENCE = 30.0


class SmallSynapse:
    """The admin calls that the eraser makes, with faults on demand."""

    def __init__(self) -> None:
        self.rooms = {ROOM: BOT}
        self.media = {"m1"}
        self.deletions: dict[str, list[str]] = {}
        self.calls: list[str] = []
        self.lying_purges = 0
        """How many purges report success and leave the room."""
        self.failing_purges = 0
        """How many purges drop the room, then fail before its state is gone."""
        self.stuck_media = 0
        """How many deletions of a medium do nothing."""
        self.answers: list[int] = []
        """Statuses to answer before anything works."""
        self.after_call: Callable[[int], None] = lambda number: None
        self.left_behind = False

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[self._faults])
        app.router.add_get("/_synapse/admin/v1/users/{user}/admin", self._is_admin)
        app.router.add_get("/_synapse/admin/v1/rooms/{room}", self._room)
        app.router.add_get("/_synapse/admin/v2/rooms/{room}/delete_status", self._status)
        app.router.add_delete("/_synapse/admin/v2/rooms/{room}", self._delete_room)
        app.router.add_delete("/_synapse/admin/v1/media/{server}/{medium}", self._delete_medium)
        app.router.add_get("/_matrix/client/v1/media/download/{server}/{medium}", self._download)
        return app

    @web.middleware
    async def _faults(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer admin-token"
        if self.answers:
            return web.json_response({"errcode": "M_UNKNOWN"}, status=self.answers.pop(0))
        self.calls.append(f"{request.method} {request.path}")
        response = await handler(request)
        self.after_call(len(self.calls))
        return response

    async def _is_admin(self, _: web.Request) -> web.Response:
        return web.json_response({"admin": False})

    async def _room(self, request: web.Request) -> web.Response:
        room = RoomId(request.match_info["room"])
        if room not in self.rooms:
            return not_found()
        return web.json_response({"room_id": room, "creator": self.rooms[room]})

    async def _status(self, request: web.Request) -> web.Response:
        states = self.deletions.get(request.match_info["room"], [])
        if not states:
            return not_found()
        return web.json_response({"results": [{"status": state} for state in states]})

    async def _delete_room(self, request: web.Request) -> web.Response:
        room = RoomId(request.match_info["room"])
        assert await request.json() == {"block": False, "purge": True, "force_purge": True}
        states = self.deletions.setdefault(room, [])
        if self.lying_purges:
            self.lying_purges -= 1
            states.append("complete")
        elif self.failing_purges:
            self.failing_purges -= 1
            self.rooms.pop(room, None)
            self.left_behind = True
            states.append("failed")
        else:
            self.rooms.pop(room, None)
            self.left_behind = False
            states.append("complete")
        return web.json_response({"delete_id": "d"})

    async def _delete_medium(self, request: web.Request) -> web.Response:
        medium = request.match_info["medium"]
        if medium not in self.media:
            return not_found()
        if self.stuck_media:
            self.stuck_media -= 1
        else:
            self.media.discard(medium)
        return web.json_response({"deleted_media": [], "total": 0})

    async def _download(self, request: web.Request) -> web.Response:
        return web.Response(body=b"x") if request.match_info["medium"] in self.media else not_found()


def not_found() -> web.Response:
    """Answer as Synapse does."""
    return web.json_response({"errcode": "M_NOT_FOUND", "error": "Not found"}, status=404)


@contextlib.asynccontextmanager
async def listening(synapse: SmallSynapse) -> AsyncIterator[str]:
    """Run the homeserver and yield its address."""
    runner = web.AppRunner(synapse.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def rounds(folder: Path, url: str, clock: FixedClock, until: Callable[[Orders], bool]) -> None:
    """Run the process with a clock that leaps over every pause, until something holds."""
    stop = asyncio.Event()
    process = EraserProcess(
        folder=folder, homeserver_url=url, admin_token="admin-token", bot_user_id=BOT, clock=clock, poll_seconds=0.01
    )
    task = asyncio.ensure_future(process.run(stop))
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(until, Orders(folder)):
                clock.advance(minutes=11)
                await asyncio.wait([task], timeout=0.01)
    finally:
        stop.set()
        await task


def settled(orders: Orders) -> bool:
    """Say whether nothing of the case is open."""
    return all(target.state in (Erased.GONE, Erased.REFUSED) for target in orders.of(CASE))


def failed(orders: Orders) -> bool:
    """Say whether something of the case failed."""
    return any(target.state is Erased.FAILED for target in orders.of(CASE))


def all_failed(orders: Orders) -> bool:
    """Say whether everything of the case failed."""
    return all(target.state is Erased.FAILED for target in orders.of(CASE))


async def ordered(folder: Path, clock: FixedClock) -> EraserDesk:
    """Order the room and the medium of the case."""
    desk = EraserDesk(folder, clock=clock)
    await desk.order(CASE, rooms=[ROOM], media=[MEDIUM])
    return desk


@pytest.mark.parametrize("fault", ["lying_purges", "failing_purges", "stuck_media", "answers"])
async def test_a_deletion_that_failed_is_seen_and_tried_again(tmp_path: Path, fault: str) -> None:
    """Reported success is not believed; a half purge is taken up; errors of the server are waited out."""
    synapse, clock = SmallSynapse(), FixedClock()
    setattr(synapse, fault, [500, 502, 429, 500, 503] if fault == "answers" else 3)
    desk = await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        await rounds(tmp_path, url, clock, settled)

    status = await desk.status(CASE)
    assert {*status.rooms.values(), *status.media.values()} == {Erased.GONE}
    assert (synapse.rooms, synapse.media, synapse.left_behind) == ({}, set(), False)


async def test_a_failure_shows_until_it_is_mended(tmp_path: Path) -> None:
    """The bot can alarm somebody while the process keeps trying."""
    synapse, clock = SmallSynapse(), FixedClock()
    synapse.lying_purges = 1_000_000
    desk = await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        await rounds(tmp_path, url, clock, failed)
        status = await desk.status(CASE)
        synapse.lying_purges = 0
        await rounds(tmp_path, url, clock, settled)

    assert status.rooms == {ROOM: Erased.FAILED}
    assert synapse.rooms == {}


async def test_a_homeserver_that_is_down_is_waited_for(tmp_path: Path) -> None:
    """Nothing is lost while the homeserver restarts."""
    clock = FixedClock()
    await ordered(tmp_path, clock)
    async with listening(SmallSynapse()) as url:
        pass

    await rounds(tmp_path, url, clock, all_failed)

    assert [target.code for target in Orders(tmp_path).of(CASE)] == ["unreachable", "unreachable"]


async def test_pauses_between_tries_grow_to_ten_minutes(tmp_path: Path) -> None:
    """A homeserver in trouble is not hammered."""
    process = EraserProcess(
        folder=tmp_path, homeserver_url="http://127.0.0.1:9", admin_token="t", bot_user_id=BOT, clock=FixedClock()
    )
    await ordered(tmp_path, FixedClock())
    (target, _) = Orders(tmp_path).of(CASE)
    pauses = []

    for _ in range(12):
        target = process._failed(target, "unreachable")
        pauses.append(target.due - FixedClock().now().timestamp())

    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()


async def test_media_are_erased_before_rooms(tmp_path: Path) -> None:
    """A medium's only trace is in its case; the room's purge would take other traces along."""
    synapse, clock = SmallSynapse(), FixedClock()
    await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        await rounds(tmp_path, url, clock, settled)

    deletions = [call for call in synapse.calls if call.startswith("DELETE")]
    assert deletions[0] == "DELETE /_synapse/admin/v1/media/hospital.localhost/m1"
    assert deletions[-1] == "DELETE /_synapse/admin/v2/rooms/!abc"


async def test_only_what_the_order_names_is_deleted(tmp_path: Path) -> None:
    """No call is made for anything else."""
    synapse, clock = SmallSynapse(), FixedClock()
    synapse.rooms[RoomId("!other")] = BOT
    synapse.media.add("m2")
    await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        await rounds(tmp_path, url, clock, settled)

    assert not [call for call in synapse.calls if re.search(r"other|m2", call)]


async def test_a_clock_that_was_put_back_does_not_stop_the_work(tmp_path: Path) -> None:
    """A due time in the far future can only be wrong."""
    synapse, clock = SmallSynapse(), FixedClock()
    synapse.lying_purges = 1
    desk = await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        await rounds(tmp_path, url, clock, failed)
        clock.advance(timedelta(days=-365))
        await rounds(tmp_path, url, clock, settled)

    assert (await desk.status(CASE)).rooms == {ROOM: Erased.GONE}


@pytest.mark.parametrize("step", range(1, 9))
async def test_the_process_may_be_killed_at_any_step(tmp_path: Path, step: int) -> None:
    """kill -9 after each answer of the homeserver: the next process finishes."""
    synapse, clock = SmallSynapse(), FixedClock()
    desk = await ordered(tmp_path, clock)

    async with listening(synapse) as url:
        process = await a_process(tmp_path, url)
        synapse.after_call = lambda number: process.kill() if number == step else None
        killed = await asyncio.wait_for(process.wait(), PATIENCE)
        synapse.after_call = lambda number: None
        await rounds(tmp_path, url, clock, settled)

    status = await desk.status(CASE)
    assert killed == -signal.SIGKILL
    assert {*status.rooms.values(), *status.media.values()} == {Erased.GONE}
    assert (synapse.rooms, synapse.media) == ({}, set())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """systemd stops it with SIGTERM, a person with Ctrl-C: exit code 0, nothing on stdout."""
    synapse, called = SmallSynapse(), asyncio.Event()
    synapse.after_call = lambda number: called.set()

    async with listening(synapse) as url:
        process = await a_process(tmp_path, url)
        await asyncio.wait_for(called.wait(), PATIENCE)
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert (process.returncode, out) == (0, b"")


async def test_the_token_is_in_no_argument_and_no_environment(tmp_path: Path) -> None:
    """Other accounts on the host can read a process's arguments."""
    synapse, called = SmallSynapse(), asyncio.Event()
    synapse.after_call = lambda number: called.set()

    async with listening(synapse) as url:
        process = await a_process(tmp_path, url)
        await asyncio.wait_for(called.wait(), PATIENCE)
        seen = await asyncio.to_thread(visible, process.pid)
        process.terminate()
        await process.communicate()

    assert b"bot.adapters" in seen
    assert b"admin-token" not in seen


def visible(pid: int) -> bytes:
    """Return a process's arguments and environment."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def a_process(folder: Path, url: str) -> asyncio.subprocess.Process:
    """Start the eraser's process as the program does; the token comes from a file."""
    program = """
import asyncio, sys
from pathlib import Path
from bot.adapters.eraser_process import EraserProcess, serve_eraser
from bot.adapters.logs import configure_logs
from bot.secret_files import read_secret
folder, url, token, bot = sys.argv[1:]
configure_logs()
process = EraserProcess(
    folder=Path(folder), homeserver_url=url, admin_token=read_secret(Path(token)), bot_user_id=bot, poll_seconds=0.01
)
asyncio.run(serve_eraser(process))
"""
    token = folder.with_name(folder.name + ".token")
    await asyncio.to_thread(write_private, token, "admin-token\n")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), url, str(token), BOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def write_private(path: Path, text: str) -> None:
    """Write a secret's file."""
    path.touch(mode=0o600)
    path.write_text(text)


async def test_a_process_that_was_not_seen_for_two_minutes_is_absent(tmp_path: Path) -> None:
    """The certificate must not promise what nobody will do."""
    clock = FixedClock()
    desk = await ordered(tmp_path, clock)
    Orders(tmp_path).beat(clock.now().timestamp())

    seen = [(await desk.status(CASE)).alive]
    clock.advance(SEEN_WITHIN)
    seen.append((await desk.status(CASE)).alive)
    clock.advance(seconds=1)
    seen.append((await desk.status(CASE)).alive)

    assert seen == [True, True, False]


async def test_a_forgotten_case_leaves_nothing_in_the_shared_file(tmp_path: Path) -> None:
    """After the certificate not even the ids stay."""
    clock = FixedClock()
    desk = await ordered(tmp_path, clock)
    before = await asyncio.to_thread((tmp_path / "erasures.db").read_bytes)

    await desk.forget(CASE)

    after = await asyncio.to_thread((tmp_path / "erasures.db").read_bytes)
    assert b"!abc" in before
    assert b"!abc" not in after
    assert b"C-2026-0007" not in after


@pytest.mark.parametrize("folder_mode, file_mode", [(0o700, 0o600), (0o2770, 0o660)])
async def test_the_shared_file_is_as_open_as_its_folder(tmp_path: Path, folder_mode: int, file_mode: int) -> None:
    """Two accounts may share the folder through a group; nobody else gets in."""
    folder = tmp_path / "shared"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(folder.chmod, folder_mode)

    await ordered(folder, FixedClock())

    stat = await asyncio.to_thread((folder / "erasures.db").stat)
    assert stat.st_mode & 0o777 == file_mode


async def test_a_broken_shared_file_is_an_outside_failure(tmp_path: Path) -> None:
    """The outbox tries the order again."""
    await asyncio.to_thread((tmp_path / "erasures.db").write_bytes, b"no database" * 1000)

    with pytest.raises(ExternalError, match="erasures_failed"):
        await ordered(tmp_path, FixedClock())


async def test_the_shared_file_holds_ids_only(tmp_path: Path) -> None:
    """Whoever may read it learns of cases that they existed, no more."""
    await ordered(tmp_path, FixedClock())

    with contextlib.closing(sqlite3.connect(tmp_path / "erasures.db")) as db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(targets)")]

    assert columns == ["case_id", "kind", "name", "state", "code", "tries", "due", "ours", "asked"]
    assert os.listdir(tmp_path) == ["erasures.db"]  # noqa: PTH208  # a name, not a path
