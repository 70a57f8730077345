"""A whole hospital on loopback: homeserver, bot, eraser and mail catcher, for the lab, the demo and the tests."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pyotp
import yaml

from bot import host
from bot.adapters.clock import SystemClock
from bot.adapters.logs import configure_logs
from bot.adapters.one_time_codes import AuthenticatorCodes
from bot.adapters.vault_keys import new_master_key_file
from bot.config import Config, load_config
from bot.domain.effects import Direct, OpenRoom, Say
from bot.domain.errors import ConfigError, Refusal
from bot.domain.ids import CaseId, LineId, UserId
from bot.domain.language import Language
from bot.domain.notice import Notice
from bot.domain.people import Credential, Person, Role, Standing
from bot.domain.roster import read_roster
from bot.lab.homeserver import Account, Homeserver, RequestRefused
from bot.lab.smtp import MailCatcher
from bot.services.ports import Clock
from bot.wiring import Bot, opened_records
from specialties import load

BOT = "consilium"
READY_SECONDS = 60.0
LINES = ("rhythmology", "valve_heart_team", "cardiac_amyloidosis", "dermatology")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPerson:
    """Somebody of the lab; the numbers are made up, the check digits fit."""

    user: str
    """The local part of the Matrix id."""

    name: str
    inami: str | None
    email: str
    language: str = "fr"
    roles: tuple[str, ...] = ("physician",)
    lines: Mapping[str, str] = field(default_factory=dict)
    password: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(12))
    totp_secret: str = field(repr=False, default_factory=lambda: AuthenticatorCodes().new_secret())


def made_up_people() -> tuple[LabPerson, ...]:
    """Return an admin, a requester, and experts for every line."""
    return (
        LabPerson(user="admin", name="Camille Admin", inami=None, email="admin@hospital.localhost", roles=("admin",)),
        LabPerson(user="dupont", name="Dr Anne Dupont", inami="19999915003", email="dupont@hospital.localhost"),
        LabPerson(
            user="lambert",
            name="Dr Luc Lambert",
            inami="12345625730",
            email="lambert@hospital.localhost",
            lines={"rhythmology": "rhythmologist", "valve_heart_team": "interventional"},
        ),
        LabPerson(
            user="peeters",
            name="Dr Els Peeters",
            inami="12345676730",
            email="peeters@hospital.localhost",
            language="en",
            lines={
                "rhythmology": "rhythmologist",
                "valve_heart_team": "surgeon",
                "cardiac_amyloidosis": "heart_failure",
            },
        ),
        LabPerson(
            user="claes",
            name="Dr Jan Claes",
            inami="19999973003",
            email="claes@hospital.localhost",
            language="nl",
            lines={"dermatology": "dermatologist", "cardiac_amyloidosis": "echo"},
        ),
    )


class MovableClock:
    """The real time plus a span that can be made longer: two weeks pass in a moment."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return SystemClock().now() + self._ahead

    def jump(self, span: timedelta) -> None:
        """Let *span* pass."""
        self._ahead += span


class Lab:
    """The running hospital: `async with Lab.start(folder) as lab:`."""

    def __init__(
        self, folder: Path, homeserver: Homeserver, mail: MailCatcher, people: Sequence[LabPerson], clock: Clock
    ) -> None:
        """Use `Lab.start`."""
        self.folder = folder
        self.homeserver = homeserver
        self.mail = mail
        self.people = tuple(people)
        self.clock = clock
        self.config_path = folder / "config.yaml"
        self.accounts: dict[str, Account] = {}
        """Accounts that this start registered, with the token that came with the registration."""

        self.bot: Bot | None = None
        self._running: asyncio.Task[None] | None = None
        self._eraser: asyncio.subprocess.Process | None = None

    @property
    def bot_id(self) -> UserId:
        """Return the bot's Matrix id."""
        return self.user_id(BOT)

    @property
    def config(self) -> Config:
        """Return the configuration that the lab wrote."""
        return load_config(self.config_path)

    def user_id(self, local: str) -> UserId:
        """Return a person's Matrix id."""
        return UserId(f"@{local}:{self.homeserver.server_name}")

    def person(self, local: str) -> LabPerson:
        """Return a person of the lab by the local part of the id."""
        return next(p for p in self.people if p.user == local)

    def code(self, local: str) -> str:
        """Return the six digits that a person's app shows now."""
        return str(pyotp.TOTP(self.person(local).totp_secret).at(self.clock.now()))

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        people: Sequence[LabPerson] | None = None,
        port: int | None = None,
        relaxed_limits: bool = True,
        clock: Clock | None = None,
        room_version: str = "12",
        settings: Mapping[str, Any] | None = None,
        with_bot: bool = True,
        with_eraser: bool = True,
    ) -> AsyncIterator[Self]:
        """Start everything under *folder*; a second start on the same folder finds the same people and cases.

        *settings* are laid over the bot's configuration, section by section.
        """
        folder, known = await asyncio.to_thread(_known, folder, people)
        async with (
            Homeserver.start(
                folder / "homeserver", port=port, relaxed_limits=relaxed_limits, default_room_version=room_version
            ) as homeserver,
            MailCatcher.start(folder / "mail") as mail,
        ):
            lab = cls(folder, homeserver, mail, known, clock or SystemClock())
            await lab._set_up(settings or {})
            try:
                if with_eraser:
                    await lab.start_eraser()
                if with_bot:
                    await lab.start_bot()
                yield lab
            finally:
                await lab.stop_bot()
                await lab.stop_eraser()

    # -- setting up ----------------------------------------------------------------------------------------------------

    async def _set_up(self, settings: Mapping[str, Any]) -> None:
        await self._accounts()
        await asyncio.to_thread(self._write_config, settings)
        await self._approve_everybody()

    async def _accounts(self) -> None:
        """Register the accounts that are not there yet; keep the tokens of bot and eraser in files of their own."""
        kept = self.folder / "secrets"
        kept.mkdir(exist_ok=True, mode=0o700)
        if not (kept / "bot.token").exists():
            account = await self.homeserver.register(BOT, displayname="Consilium")
            _write_secret(kept / "bot.device", account.device_id)
            _write_secret(kept / "bot.token", account.access_token)
            # What the documentation tells an administrator of a homeserver to do once for the bot.
            where = f"/_synapse/admin/v1/users/{self.bot_id}/override_ratelimit"
            await self.homeserver.admin_request("POST", where, {"messages_per_second": 0, "burst_count": 0})
        if not (kept / "eraser.token").exists():
            account = await self.homeserver.register(f"eraser-{secrets.token_hex(3)}", admin=True)
            _write_secret(kept / "eraser.token", account.access_token)
        if not (kept / "master.key").exists():
            new_master_key_file(kept / "master.key")

    def _write_config(self, settings: Mapping[str, Any]) -> None:
        config: dict[str, Any] = {
            "homeserver": {
                "url": self.homeserver.url,
                "user_id": str(self.bot_id),
                "sign_in": {
                    "token_file": "secrets/bot.token",
                    "device_id": (self.folder / "secrets" / "bot.device").read_text().strip(),
                },
            },
            "data_dir": "bot",
            "master_key_file": "secrets/master.key",
            "hospital": {"name": "Hôpital de l'Essai", "emergency_phone": "+32 4 000 00 00"},
            "languages": {"default": "fr"},
            "lines": {"enabled": list(LINES)},
            "mail": {
                "host": self.mail.host,
                "port": self.mail.port,
                "security": "none",
                "sender": "consilium@hospital.localhost",
            },
            "http": {"host": "127.0.0.1", "port": _free_port()},
            "enrolment": {"secret": "chat"},
            "eraser": {"folder": "eraser", "admin_token_file": "secrets/eraser.token"},
        }
        for section, values in settings.items():
            config[section] = {**config.get(section, {}), **values}
        self.config_path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")

    async def _approve_everybody(self) -> None:
        """Enrol the people of the lab; their identity is pinned at their first encrypted command."""
        accounts = self.folder / "accounts.json"
        registered: dict[str, str] = json.loads(accounts.read_text()) if accounts.exists() else {}
        for person in self.people:
            if person.user not in registered:
                account = await self.homeserver.register(person.user, person.password, displayname=person.name)
                self.accounts[person.user] = account
                registered[person.user] = "registered"
                accounts.write_text(json.dumps(registered))
        async with opened_records(self.config, self.clock) as records, records.store.unit() as unit:
            for person in self.people:
                user_id = self.user_id(person.user)
                if await unit.person(user_id) is None:
                    await unit.save_person(self._enrolled(person))
                    await unit.save_credential(Credential(user_id=user_id, secret=person.totp_secret))

    def _enrolled(self, person: LabPerson) -> Person:
        return Person(
            user_id=self.user_id(person.user),
            name=person.name,
            language=Language(person.language),
            standing=Standing.ENROLLED,
            inami=person.inami,
            email=person.email,
            roles=frozenset(Role(role) for role in person.roles),
            lines={LineId(line): function for line, function in person.lines.items()},
            pin_on_first_use=True,
            heard_ring=True,
        )

    async def add_account(self, person: LabPerson) -> None:
        """Register somebody on the homeserver whom the bot does not know yet."""
        self.accounts[person.user] = await self.homeserver.register(
            person.user, person.password, displayname=person.name
        )
        self.people = (*self.people, person)

    def learn_secret(self, local: str, secret: str) -> None:
        """Put the second factor that a person got in the chat into his app."""
        self.people = tuple(replace(p, totp_secret=secret) if p.user == local else p for p in self.people)

    async def account(self, local: str) -> Account:
        """Return a signed-in account of a person: the registration's, or a new device."""
        if local not in self.accounts:
            known = Account(
                user_id=self.user_id(local), password=self.person(local).password, access_token="", device_id=""
            )
            self.accounts[local] = await self.homeserver.login(known)
        return self.accounts[local]

    # -- starting and stopping -----------------------------------------------------------------------------------------

    async def start_bot(self, *, sweep_every: timedelta = timedelta(seconds=1)) -> None:
        """Start the bot in this process, and wait until it is ready."""
        self.bot = Bot(self.config, clock=self.clock, sweep_every=sweep_every)
        self._running = asyncio.create_task(self.bot.run())
        ready = asyncio.create_task(self.bot.ready.wait())
        await asyncio.wait({self._running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=READY_SECONDS)
        ready.cancel()
        if self._running.done():
            await self._running
        if not self.bot.ready.is_set():
            raise TimeoutError("the bot did not become ready")

    async def stop_bot(self) -> None:
        """Stop the bot; a second call does nothing."""
        bot, running, self.bot, self._running = self.bot, self._running, None, None
        if bot is not None and running is not None:
            bot.stop()
            await running

    async def start_eraser(self) -> None:
        """Start the eraser as a process of its own, as in a hospital."""
        log = await asyncio.to_thread((self.folder / "eraser.log").open, "ab")
        self._eraser = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "eraser", "-c", str(self.config_path),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=_environment(),
            process_group=0,
        )  # fmt: skip
        log.close()

    async def stop_eraser(self) -> None:
        """Stop the eraser; a second call does nothing."""
        process, self._eraser = self._eraser, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def open_direct_chat(self, local: str) -> str:
        """Let the bot open its direct chat with a person, and return the room."""
        place = Direct(user_id=self.user_id(local))
        async with opened_records(self.config, self.clock) as records:
            async with records.store.unit() as unit:
                room = await unit.room_of(place)
                if room is None:
                    await unit.plan(OpenRoom(place=place))
                    await unit.plan(Say(place=place, notice=Notice(text="greeting_known", kind="help")))
            while room is None:
                await asyncio.sleep(0.2)
                async with records.store.unit() as unit:
                    room = await unit.room_of(place)
        return room

    # -- looking behind the scenes -------------------------------------------------------------------------------------

    async def authority(self) -> bytes:
        """Return the hospital's signing authority as PEM."""
        return await host.roots(self.config)

    async def media_of(self, case: str) -> list[str]:
        """Return the addresses of everything that was uploaded for a case."""
        async with opened_records(self.config, self.clock) as records, records.store.unit() as unit:
            return list(await unit.media(CaseId(case)))

    async def erasure_stage(self, case: str) -> str | None:
        """Return how far the erasure of a case is; None before it began, `erased` at its end."""
        async with opened_records(self.config, self.clock) as records, records.store.unit() as unit:
            try:
                found = await unit.case(CaseId(case))
            except Refusal:
                return "erased"
            return found.erasure if found else None

    async def certificate_pdf(self, case: str) -> bytes:
        """Return the certificate of an erased case as a sealed PDF."""
        return await host.certificate(self.config, case)

    async def medium_is_there(self, mxc: str) -> bool:
        """Say whether the homeserver still serves a medium."""
        server, _, medium = mxc.removeprefix("mxc://").partition("/")
        try:
            await self.homeserver.admin_request("GET", f"/_synapse/admin/v1/media/{server}/{medium}")
        except RequestRefused as refused:
            return refused.status != 404
        return True

    async def room_is_there(self, room: str) -> bool:
        """Say whether the homeserver still knows a room."""
        try:
            await self.homeserver.admin_request("GET", f"/_synapse/admin/v1/rooms/{quote(room, safe='')}")
        except RequestRefused as refused:
            return refused.status != 404
        return True


def _known(folder: Path, people: Sequence[LabPerson] | None) -> tuple[Path, tuple[LabPerson, ...]]:
    """Make the folder; return it and the people of a lab that was started before, or those given, or made-up ones."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = folder / "people.json"
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        return folder, tuple(LabPerson(**{**p, "roles": tuple(p["roles"])}) for p in found)
    chosen = tuple(people) if people is not None else made_up_people()
    _write_secret(kept, json.dumps([asdict(p) for p in chosen], ensure_ascii=False))
    return folder, chosen


def people_of(table: Path, server_name: str) -> tuple[LabPerson, ...]:
    """Return the people of a table as `consilium physicians import` takes it; an admin is added if it has none.

    Raises:
        ConfigError: the table has mistakes, or names people of another server.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{table}: cannot be read as UTF-8 text ({type(error).__name__})") from None
    people = read_roster(text, lines=[line.id for line in load()], known={}, default=Language.FR)
    strangers = [p.user_id for p in people if p.user_id.partition(":")[2] != server_name]
    if strangers:
        raise ConfigError(f"{table}: the lab's server is {server_name}; not there: {', '.join(strangers)}")
    found = [
        LabPerson(
            user=p.user_id[1:].partition(":")[0],
            name=p.name,
            inami=p.inami,
            email=p.email or f"{p.user_id[1:].partition(':')[0]}@{server_name}",
            language=p.language.value,
            roles=tuple(sorted(p.roles)),
            lines={str(line): function for line, function in p.lines.items()},
        )
        for p in people
    ]
    if not any("admin" in p.roles for p in found):
        found.insert(0, made_up_people()[0])
    return tuple(found)


async def lab(folder: Path, *, port: int | None, table: Path | None) -> bool:
    """`consilium lab`: start, print one JSON line when ready, stay until SIGINT or SIGTERM."""
    configure_logs()
    people = people_of(table, "hospital.localhost") if table is not None else None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Lab.start(folder, people=people, port=port) as running:
        admin = next(p for p in running.people if "admin" in p.roles)
        ready = {
            "homeserver": running.homeserver.url,
            "server_name": running.homeserver.server_name,
            "bot": running.bot_id,
            "bot_fingerprint": running.bot.fingerprint if running.bot else "",
            "admin": _shown(running, admin),
            "admin_room": await running.open_direct_chat(admin.user),
            "registration_shared_secret": running.homeserver.registration_shared_secret,
            "smtp": {"host": running.mail.host, "port": running.mail.port, "maildir": str(running.mail.maildir)},
            "config": str(running.config_path),
            "doctors": [
                {
                    **_shown(running, p),
                    "inami": p.inami,
                    "name": p.name,
                    "email": p.email,
                    "roles": list(p.roles),
                    "lines": dict(p.lines),
                    "language": p.language,
                }
                for p in running.people
                if p is not admin
            ],
        }
        sys.stdout.write(json.dumps(ready, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        await stop.wait()
    return True


def _shown(running: Lab, person: LabPerson) -> dict[str, str]:
    return {"user": running.user_id(person.user), "password": person.password, "totp_secret": person.totp_secret}


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """Return the environment of a child: what it needs to run, and nothing that could be a secret."""
    wanted = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONWARNINGS")
    return {name: os.environ[name] for name in wanted if name in os.environ}
