"""Makes a file readable: each file is decoded in a child process of its own, which is killed if it does not behave."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from bot.adapters.documents.limits import Limits
from bot.adapters.documents.reply import MOST_BYTES, BrokenReplyError, unpacked
from bot.domain.documents import Examined, RefusalCode, Refused

_ROOT = Path(__file__).resolve().parents[3]
_PROGRAMME = "import sys; sys.path.insert(0, sys.argv.pop()); from bot.adapters.documents.worker import main; main()"
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""All that a child sees of the parent's surroundings: what keeps its address space small, and no secret."""

_LINE_BYTES = 4096


class DocumentReader:
    """Looks into files, a few at a time; `close` ends what still runs."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._free = asyncio.Semaphore(self._limits.at_once)
        self._children: dict[asyncio.subprocess.Process, int] = {}

    async def examine(self, fd: int, *, size: int, identity: Literal["strip", "keep"], case_salt: bytes) -> Examined:
        """Return what the file behind descriptor *fd* is and shows; *size* in bytes. *fd* stays open and unmoved.

        *case_salt* makes pseudonyms and the shift of dates the same within a case. The caller closes `clean.fd`.

        Raises:
            Refused: with the code that says why nothing came of it.
        """
        if size == 0:
            raise Refused(RefusalCode.EMPTY)
        if size > self._limits.file:
            raise Refused(RefusalCode.TOO_LARGE)
        order = json.dumps({"identity": identity, "salt": case_salt.hex()}).encode()
        async with self._free:
            source = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
            pictures = os.memfd_create("pictures", os.MFD_CLOEXEC)
            clean = os.memfd_create("clean", os.MFD_CLOEXEC)
            found: Examined | None = None
            try:
                reply = await self._ask(order, [source, pictures, clean])
                found = unpacked(reply, pictures=pictures, clean=clean, limits=self._limits)
                return found
            except BrokenReplyError:
                raise Refused(RefusalCode.CRASHED) from None
            finally:
                os.close(source)
                os.close(pictures)
                if found is None or found.clean is None:
                    os.close(clean)

    async def isolation(self) -> tuple[str, ...]:
        """Return which walls stand around a child on this machine, for the operator."""
        ours, child = await self._start()
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                return tuple(str(layer) for layer in json.loads(await _line(ours))["layers"])
        except (TimeoutError, ValueError, KeyError):
            return ()
        finally:
            ours.close()
            await self._end(child)

    async def close(self) -> None:
        """End all children."""
        for child in list(self._children):
            await self._end(child)

    async def _ask(self, order: bytes, descriptors: list[int]) -> bytes:
        """Give the order to a new child and return its reply.

        Raises:
            Refused: TIME_LIMIT, MEMORY_LIMIT or CRASHED, by the way in which the child ended.
        """
        ours, child = await self._start()
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                await _line(ours)
                with suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(ours, [order], descriptors)
                reply = await _rest(ours)
                if not reply:
                    raise Refused(_reason(await child.wait()))
                return reply
        except TimeoutError:
            raise Refused(RefusalCode.TIME_LIMIT) from None
        finally:
            ours.close()
            await self._end(child)

    async def _start(self) -> tuple[socket.socket, asyncio.subprocess.Process]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-c",
                _PROGRAMME,
                json.dumps(asdict(self._limits)),
                str(_ROOT),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._children[child] = os.pidfd_open(child.pid)
        return ours, child

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        """Kill the child unless it has ended, and wait for it; by its descriptor, which never names another process."""
        handle = self._children.pop(child, None)
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        await child.wait()


def _reason(status: int) -> RefusalCode:
    """Say why a child ended without a word: the kernel's clock, the kernel's memory, or its own fault."""
    return {-signal.SIGXCPU: RefusalCode.TIME_LIMIT, -signal.SIGKILL: RefusalCode.MEMORY_LIMIT}.get(
        status, RefusalCode.CRASHED
    )


async def _line(ours: socket.socket) -> bytes:
    """Return the child's first line, in which it says that it is ready; empty if it ended before."""
    loop = asyncio.get_running_loop()
    line = b""
    while not line.endswith(b"\n") and len(line) < _LINE_BYTES:
        piece = await loop.sock_recv(ours, _LINE_BYTES)
        if not piece:
            break
        line += piece
    return line


async def _rest(ours: socket.socket) -> bytes:
    """Return all that the child says until it hangs up; more than any child says counts as nothing."""
    loop = asyncio.get_running_loop()
    pieces: list[bytes] = []
    total = 0
    while total <= MOST_BYTES:
        try:
            piece = await loop.sock_recv(ours, 65_536)
        except ConnectionResetError:
            break
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        total += len(piece)
    return b""
