"""A real Synapse on loopback, kept in one folder, for the demo, the lab and the tests."""

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from bot.lab import synapse_settings
from bot.lab.synapse_settings import HomeserverFailed

__all__ = ["Account", "Homeserver", "HomeserverFailed", "RequestRefused", "find_synapse_python"]

SYNAPSE_PYTHON_VARIABLE = "CONSILIUM_SYNAPSE_PYTHON"
PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
HTTP_SECONDS = 60.0
POLL_SECONDS = 0.05
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 8
PORT_TAKEN = "Failed to listen on TCP port"

# Asks the kernel to kill this process with its parent, then becomes Synapse: an abandoned run leaves nothing.
BOUND_TO_PARENT = """
import ctypes, os, runpy, signal, sys
parent = int(sys.argv.pop(1))
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit("parent is gone")
sys.argv[0] = "synapse.app.homeserver"
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
"""


class RequestRefused(HomeserverFailed):
    """The homeserver answered with an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"homeserver answered {status} {code}")
        self.status = status
        self.code = code


class _PortTaken(Exception):
    """Another process listens on the port that was picked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account on a lab homeserver with one signed-in device."""

    user_id: str
    password: str = field(repr=False)
    access_token: str = field(repr=False)
    device_id: str


def find_synapse_python() -> Path:
    """Return the interpreter that has Synapse: `$CONSILIUM_SYNAPSE_PYTHON`, else `.venv-synapse/` of this project.

    Raises:
        HomeserverFailed: there is no such interpreter.
    """
    named = os.environ.get(SYNAPSE_PYTHON_VARIABLE)
    path = Path(named) if named else PROJECT / ".venv-synapse" / "bin" / "python"
    if not path.exists():
        raise HomeserverFailed(f"no Synapse at {path}: run `make setup`, or set {SYNAPSE_PYTHON_VARIABLE}")
    return path


class Homeserver:
    """A running Synapse: `async with Homeserver.start(folder) as hs:`."""

    def __init__(self, folder: Path, server_name: str, secret: str) -> None:
        """Use `Homeserver.start`."""
        self.folder = folder
        self.server_name = server_name
        self.registration_shared_secret = secret
        self.port = 0
        self._admin: Account | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS))

    @property
    def url(self) -> str:
        """Return the base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise HomeserverFailed("Synapse is not running")
        return self._process

    @property
    def pid(self) -> int:
        """Return the id of the Synapse process."""
        return self._running.pid

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        server_name: str = "hospital.localhost",
        port: int | None = None,
        relaxed_limits: bool = False,
        max_upload: str = "1G",
        default_room_version: str = "12",
        synapse_python: Path | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> AsyncIterator[Self]:
        """Start Synapse with its state under *folder*, yield when it is healthy, stop it at the end.

        A second start on the same folder finds the same accounts, rooms and media, and the same port if it is free.
        Without *port* a free one is picked, and another when a neighbour was faster. *relaxed_limits* lifts Synapse's
        rate limits; without it they are Synapse's own. *settings* are laid over the configuration (top-level keys).

        Raises:
            HomeserverFailed: Synapse is missing or ended while it started (with its last log line).
        """
        interpreter = synapse_python or find_synapse_python()
        folder = await asyncio.to_thread(_made, folder)
        kept = await asyncio.to_thread(synapse_settings.kept, folder, server_name)
        server = cls(folder, server_name, kept["registration_shared_secret"])
        overlay = {
            "max_upload_size": max_upload,
            "default_room_version": default_room_version,
            **(synapse_settings.RELAXED_LIMITS if relaxed_limits else {}),
            **(settings or {}),
        }
        try:
            await server._start_on_a_free_port(interpreter, kept, overlay, port)
            yield server
        finally:
            await server._http.close()
            await server.stop()

    async def register(
        self, localpart: str, password: str | None = None, *, admin: bool = False, displayname: str | None = None
    ) -> Account:
        """Create an account with the shared secret and return it with the token of its first device.

        Raises:
            RequestRefused: the name is taken (`M_USER_IN_USE`) or not allowed.
        """
        password = password or secrets.token_urlsafe(18)
        nonce = (await self.call("GET", "/_synapse/admin/v1/register"))["nonce"]
        signed = "\0".join((nonce, localpart, password, "admin" if admin else "notadmin"))
        mac = hmac.new(self.registration_shared_secret.encode(), signed.encode(), hashlib.sha1).hexdigest()
        body: dict[str, object] = {
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": admin,
            "mac": mac,
            "device_id": _a_device_id(),
        }
        if displayname is not None:
            body["displayname"] = displayname
        answer = await self.call("POST", "/_synapse/admin/v1/register", body=body)
        return Account(
            user_id=answer["user_id"],
            password=password,
            access_token=answer["access_token"],
            device_id=answer["device_id"],
        )

    async def login(self, account: Account, *, device_id: str | None = None) -> Account:
        """Sign in with the account's password and return it with the token of a new device (or of *device_id*)."""
        answer = await self.call(
            "POST",
            "/_matrix/client/v3/login",
            body={
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": account.user_id},
                "password": account.password,
                "device_id": device_id or _a_device_id(),
            },
        )
        return Account(
            user_id=answer["user_id"],
            password=account.password,
            access_token=answer["access_token"],
            device_id=answer["device_id"],
        )

    async def call(
        self, method: str, path: str, *, body: object | None = None, token: str | Account | None = None
    ) -> dict[str, Any]:
        """Make one HTTP request and return its JSON answer; *path* starts with a slash, queries included.

        Raises:
            RequestRefused: the answer is no 2xx.
        """
        bearer = token.access_token if isinstance(token, Account) else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self._http.request(method, self.url + path, json=body, headers=headers) as response:
            text = await response.text()
            try:
                answer: dict[str, Any] = json.loads(text) if text else {}
            except ValueError:
                answer = {}
            if response.status // 100 != 2:
                raise RequestRefused(response.status, str(answer.get("errcode", "no code")))
            return answer

    async def admin_request(self, method: str, path: str, body: object | None = None) -> dict[str, Any]:
        """Make one request as a server admin (`/_synapse/admin/…`), whose account is made on first use."""
        if self._admin is None:
            self._admin = await self.register(f"lab-admin-{secrets.token_hex(4)}", admin=True)
        return await self.call(method, path, body=body, token=self._admin)

    async def stop(self) -> None:
        """End Synapse with SIGTERM, with SIGKILL if it does not go; a second call does nothing."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start_on_a_free_port(
        self, interpreter: Path, kept: Mapping[str, str], overlay: Mapping[str, object], port: int | None
    ) -> None:
        """Try the wanted port, or the last one and then free ones, until Synapse is healthy."""
        last = self.folder / "port"
        tries = [port] if port else [*_last_port(last), *([None] * PORT_ATTEMPTS)]
        for candidate in tries:
            self.port = candidate or _a_free_port()
            instance = secrets.token_hex(16)
            await asyncio.to_thread(synapse_settings.write, self.folder, kept, self.port, instance, overlay)
            try:
                await self._launch(interpreter, instance)
            except _PortTaken:
                continue
            await asyncio.to_thread(last.write_text, str(self.port))
            return
        raise HomeserverFailed(f"port {self.port} on 127.0.0.1 is taken")

    async def _launch(self, interpreter: Path, instance: str) -> None:
        output = self.folder / "synapse.out"
        with output.open("wb") as sink:
            self._process = await asyncio.create_subprocess_exec(
                str(interpreter), "-c", BOUND_TO_PARENT, str(os.getpid()), "-c", str(self.folder / "homeserver.yaml"),
                stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=self.folder, env=_environment(),
                process_group=0,  # Ctrl-C is for us: we end the parts in their order
            )  # fmt: skip
        ended = asyncio.ensure_future(self._process.wait())
        healthy = asyncio.ensure_future(self._becomes_healthy(instance))
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.wait([ended, healthy], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self.stop()
            raise HomeserverFailed(f"Synapse was not healthy within {START_SECONDS:.0f} s") from None
        except BaseException:
            await self.stop()
            raise
        finally:
            ended.cancel()
            healthy.cancel()
        if self._process.returncode is not None:
            code, self._process = self._process.returncode, None
            said = await asyncio.to_thread(_last_words, self.folder)
            if PORT_TAKEN in said:
                raise _PortTaken
            raise HomeserverFailed(f"Synapse ended with {code} while starting: {said}")

    async def _becomes_healthy(self, instance: str) -> None:
        while True:
            if await self._is_healthy(instance):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _is_healthy(self, instance: str) -> bool:
        """Return whether this very process answers: a neighbour on the same port is healthy too, with another name."""
        try:
            async with self._http.get(self.url + "/health") as health:
                if health.status != 200:
                    return False
            async with self._http.get(self.url + "/.well-known/matrix/client") as known:
                answer = await known.json(content_type=None)
                return isinstance(answer, dict) and answer.get(synapse_settings.INSTANCE) == instance
        except (aiohttp.ClientError, OSError, ValueError):  # TimeoutError is an OSError
            return False


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _environment() -> dict[str, str]:
    """Return an environment without Python settings of the caller, which are for another interpreter."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "COV_"))}


def _last_words(folder: Path) -> str:
    """Return the last line that Synapse wrote, from its output or its log."""
    for name in ("synapse.out", "synapse.log"):
        path = folder / name
        lines = path.read_text(errors="replace").split("\n") if path.exists() else []
        said = [line.strip() for line in lines if line.strip(" *\t")]
        if said:
            return said[-1][:300]
    return "it said nothing"


def _last_port(path: Path) -> list[int]:
    """Return the port of the last start if nobody has it now."""
    try:
        port = int(path.read_text())
    except (OSError, ValueError):
        return []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return []
    return [port]


def _a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _a_device_id() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(10))
