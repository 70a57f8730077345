"""A proxy between the bot and the homeserver that breaks chosen requests."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web

UNTOUCHED = {"host", "transfer-encoding", "content-length", "connection", "content-encoding"}


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next *times* requests whose `METHOD path` matches *pattern*."""

    pattern: re.Pattern[str]
    times: int
    status: int | None = None
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    lose_answer: bool = False
    cut_answer: bool = False
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a hanging request arrived."""

    free: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let hanging requests go on to the homeserver."""


class Proxy:
    """Forwards to *target*: `async with Proxy.start(hs.url) as proxy:`."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._faults: list[Fault] = []
        self.requests: list[str] = []
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def start(cls, target: str) -> AsyncIterator[Self]:
        """Listen on a free port of loopback until the end."""
        proxy = cls(target)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            app = web.Application(client_max_size=1 << 30)

            async def handle(request: web.Request) -> web.StreamResponse:
                return await proxy._handle(session, request)

            app.router.add_route("*", "/{tail:.*}", handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            proxy.url = f"http://127.0.0.1:{port}"
            try:
                yield proxy
            finally:
                for fault in proxy._faults:
                    fault.free.set()
                await runner.cleanup()

    def answer(
        self, pattern: str, status: int, *, times: int = 1, body: bytes = b"{}", headers: dict[str, str] | None = None
    ) -> Fault:
        """Answer with *status* instead of asking the homeserver."""
        return self._add(
            Fault(pattern=re.compile(pattern), times=times, status=status, body=body, headers=headers or {})
        )

    def hang(self, pattern: str, *, times: int = 1) -> Fault:
        """Hold requests back until `free` is set."""
        return self._add(Fault(pattern=re.compile(pattern), times=times, hang=True))

    def lose_answer(self, pattern: str, *, times: int = 1) -> Fault:
        """Let the homeserver act, and close the connection instead of answering."""
        return self._add(Fault(pattern=re.compile(pattern), times=times, lose_answer=True))

    def cut_answer(self, pattern: str, *, times: int = 1) -> Fault:
        """Let the homeserver act, and close the connection in the middle of its answer."""
        return self._add(Fault(pattern=re.compile(pattern), times=times, cut_answer=True))

    def count(self, pattern: str) -> int:
        """Return how many requests matched *pattern* so far."""
        return sum(1 for line in self.requests if re.search(pattern, line))

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def _fault(self, line: str) -> Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.pattern.search(line):
                fault.times -= 1
                return fault
        return None

    async def _handle(self, session: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        line = f"{request.method} {request.path}"
        self.requests.append(line)
        fault = self._fault(line)
        if fault is not None and fault.status is not None:
            return web.Response(
                status=fault.status, body=fault.body, headers=fault.headers, content_type="application/json"
            )
        if fault is not None and fault.hang:
            fault.held.set()
            await fault.free.wait()
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in UNTOUCHED}
        async with session.request(
            request.method, self._target + request.raw_path, data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in UNTOUCHED}
            if fault is not None and fault.cut_answer:
                cut = web.StreamResponse(status=answer.status, headers=kept | {"Content-Length": str(len(content))})
                await cut.prepare(request)
                await cut.write(content[: len(content) // 2])
                assert request.transport is not None
                request.transport.close()
                return cut
            if fault is not None and fault.lose_answer:
                assert request.transport is not None
                request.transport.close()
            return web.Response(status=answer.status, body=content, headers=kept)
