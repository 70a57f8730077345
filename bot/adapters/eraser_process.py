"""The eraser's own process: it alone holds the homeserver's admin token, and only deletes what an order names.

Every step may be repeated, so the process may die anywhere: it looks at the homeserver, does the next thing, and writes
down what it saw. "Gone" is never believed on the word of a deletion, only when the homeserver answers 404.
"""

import asyncio
import contextlib
import re
import resource
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog

from bot.adapters.clock import SystemClock
from bot.adapters.eraser import LONGEST_PAUSE, Kind, Orders, Target
from bot.domain.errors import ExternalError, StartRefused
from bot.services.ports import Clock, Erased

POLL_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 2.0
_REQUEST_SECONDS = 30.0
_AT_ONCE = 100
_BUSY = frozenset({"scheduled", "active", "shutting_down", "purging"})
_MEDIUM = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,230})/([A-Za-z0-9_-]{1,255})")
_ROOM = re.compile(r"![^\s/]{1,254}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the homeserver said: `body` is empty if it was no JSON object."""

    status: int
    body: Mapping[str, Any]

    @property
    def code(self) -> str:
        return str(self.body.get("errcode", ""))


class UnansweredError(Exception):
    """The homeserver did not answer, or not as it should; `code` says how, `pause` how long it asked to wait."""

    def __init__(self, code: str, *, pause: float = 0.0) -> None:
        super().__init__(code)
        self.code = code
        self.pause = pause


class AdminInterface:
    """The few calls of the homeserver's admin interface that the eraser makes."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def is_admin(self, user_id: str) -> bool:
        """Say whether an account is a server admin."""
        answer = await self._call("GET", f"/_synapse/admin/v1/users/{quote(user_id, safe='')}/admin")
        return answer.status == 200 and answer.body.get("admin") is True

    async def creator(self, room: str) -> str | None:
        """Return who made a room, or None if the homeserver answers 404."""
        answer = await self._call("GET", f"/_synapse/admin/v1/rooms/{quote(room, safe='')}")
        return None if answer.status == 404 else str(answer.body.get("creator", ""))

    async def deletions(self, room: str) -> list[str]:
        """Return the states of the deletions of a room that the homeserver remembers (a day or a week, by version)."""
        answer = await self._call("GET", f"/_synapse/admin/v2/rooms/{quote(room, safe='')}/delete_status")
        results = answer.body.get("results", []) if answer.status == 200 else []
        return [str(result.get("status", "")) for result in results]

    async def delete_room(self, room: str) -> None:
        """Start the deletion of a room.

        `block` stays false: it would keep the room's id in a table of its own for ever. `force_purge` does not stop for
        somebody who has not left.
        """
        body = {"block": False, "purge": True, "force_purge": True}
        await self._call("DELETE", f"/_synapse/admin/v2/rooms/{quote(room, safe='')}", body)

    async def delete_medium(self, server: str, medium: str) -> bool:
        """Delete a medium of this server; True if it was not there (any more)."""
        path = f"/_synapse/admin/v1/media/{quote(server, safe='')}/{quote(medium, safe='')}"
        answer = await self._call("DELETE", path)
        return answer.status == 404 and answer.code == "M_NOT_FOUND"

    async def can_be_downloaded(self, server: str, medium: str) -> bool:
        """Say whether a medium is still handed out."""
        path = f"/_matrix/client/v1/media/download/{quote(server, safe='')}/{quote(medium, safe='')}"
        async with self._request("GET", path) as response:
            return response.status != 404

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        async with self._request(method, path, body) as response:
            try:
                said = await response.json(content_type=None)
            except ValueError:
                said = None
        return Answer(status=response.status, body=said if isinstance(said, dict) else {})

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._http.request(method, self._url + path, json=body, headers=self._headers) as response:
                match response.status:
                    case 401 | 403:
                        raise UnansweredError("token_refused")
                    case 429:
                        raise UnansweredError("rate_limited", pause=_seconds(response.headers.get("Retry-After")))
                    case status if status not in (200, 404):
                        raise UnansweredError(f"http_{status}")
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise UnansweredError("unreachable") from None


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 0.0


class EraserProcess:
    """Works off the orders, one target after the other, until it is told to stop."""

    def __init__(
        self,
        *,
        folder: Path,
        homeserver_url: str,
        admin_token: str,
        bot_user_id: str,
        clock: Clock | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._orders = Orders(folder)
        self._url = homeserver_url
        self._token = admin_token
        self._bot = bot_user_id
        self._server = bot_user_id.partition(":")[2]
        self._clock = clock or SystemClock()
        self._poll = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; whatever is under way then is taken up at the next start.

        Raises:
            StartRefused: `eraser_token_refused`, or `bot_is_admin`.
        """
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as http:
            working = asyncio.ensure_future(self._work(AdminInterface(http, self._url, self._token)))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    async def _work(self, admin: AdminInterface) -> None:
        checked = False
        while True:
            try:
                checked = checked or await self._checked(admin)
                await self._round(admin)
            except ExternalError as error:
                log.warning("eraser_round_failed", error=error)
            await asyncio.sleep(self._poll)

    async def _checked(self, admin: AdminInterface) -> bool:
        """Look once whether the token is an admin's and the bot's account is none."""
        try:
            bot_is_admin = await admin.is_admin(self._bot)
        except UnansweredError as error:
            if error.code == "token_refused":
                raise StartRefused(
                    "eraser_token_refused", "the homeserver does not take the eraser's token as an admin's"
                ) from None
            return False
        if bot_is_admin:
            raise StartRefused("bot_is_admin", "the bot's account is a server admin; take that right away from it")
        return True

    async def _round(self, admin: AdminInterface) -> None:
        await self._beat()
        for target in await asyncio.to_thread(self._orders.due, self._now(), most=_AT_ONCE):
            after = await self._tried(admin, target)
            await asyncio.to_thread(self._orders.save, after)
            if after.state is not target.state:
                log.info("erasure", case=target.case_id, kind=target.kind, state=after.state, code=after.code)
            await self._beat()

    async def _tried(self, admin: AdminInterface, target: Target) -> Target:
        """Do the next thing for one target and return how far it is then."""
        try:
            match target.kind:
                case Kind.ROOM:
                    return await self._room(admin, target)
                case Kind.MEDIUM:
                    return await self._medium(admin, target)
        except UnansweredError as error:
            return self._failed(target, error.code, pause=error.pause)

    async def _room(self, admin: AdminInterface, target: Target) -> Target:
        if not _ROOM.fullmatch(target.name):
            return _refused(target, "bad_name")
        creator = await admin.creator(target.name)
        if creator is not None and creator != self._bot:
            return _refused(target, "not_ours")
        ours = target.ours or creator is not None
        deletions = await admin.deletions(target.name)
        if _BUSY.intersection(deletions):
            return replace(target, ours=ours, asked=True, due=self._now() + self._poll)
        # A purge first drops the room, then its state: one that failed between the two left the rest behind.
        if creator is None and ("complete" in deletions or not deletions):
            return replace(target, state=Erased.GONE, code=None)
        if target.asked:
            return self._failed(replace(target, ours=ours, asked=False), "purge_failed")
        if not ours:
            return self._failed(target, "purge_unfinished")
        # Written first: after a crash the deletion is looked for, and a second one is harmless.
        asked = replace(target, ours=True, asked=True, due=self._now() + self._poll)
        await asyncio.to_thread(self._orders.save, asked)
        await admin.delete_room(target.name)
        return asked

    async def _medium(self, admin: AdminInterface, target: Target) -> Target:
        found = _MEDIUM.fullmatch(target.name)
        if found is None:
            return _refused(target, "bad_name")
        server, medium = found.groups()
        if server != self._server:
            return _refused(target, "not_ours")
        # The first call deletes, the second must find nothing: a file that the disk kept would still be listed.
        absent = await admin.delete_medium(server, medium) or await admin.delete_medium(server, medium)
        if not absent or await admin.can_be_downloaded(server, medium):
            return self._failed(target, "medium_still_there")
        return replace(target, state=Erased.GONE, code=None)

    def _failed(self, target: Target, code: str, *, pause: float = 0.0) -> Target:
        """Note a failed try; the pause doubles up to ten minutes."""
        longest = LONGEST_PAUSE.total_seconds()
        wait = min(longest, max(pause, _FIRST_PAUSE_SECONDS * 2.0 ** min(target.tries, 20)))
        return replace(target, state=Erased.FAILED, code=code, tries=target.tries + 1, due=self._now() + wait)

    async def _beat(self) -> None:
        await asyncio.to_thread(self._orders.beat, self._now())

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _refused(target: Target, code: str) -> Target:
    return replace(target, state=Erased.REFUSED, code=code)


async def serve_eraser(process: EraserProcess) -> None:
    """Run the eraser until SIGTERM or SIGINT; no core dump of this process is ever written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("eraser_started")
    await process.run(stop)
    log.info("eraser_stopped")
