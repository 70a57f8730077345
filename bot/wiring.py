"""Builds everything, starts and stops it in order: the one place that knows all parts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bot.adapters.clock import SystemClock
from bot.adapters.documents import DocumentReader
from bot.adapters.eraser import EraserDesk
from bot.adapters.health import HealthServer
from bot.adapters.mail import SmtpMailer
from bot.adapters.matrix import MatrixEngine, Password, Token
from bot.adapters.metrics import Metrics
from bot.adapters.one_time_codes import AuthenticatorCodes
from bot.adapters.report.maker import HospitalReports
from bot.adapters.scheduler import Scheduler
from bot.adapters.secrets import FileSecrets
from bot.adapters.store import SqlStore
from bot.adapters.vault import FileVault
from bot.adapters.vault_keys import database_key, load_master_key
from bot.config import Config, read_secret
from bot.core import Core, House, Outside, build_core
from bot.domain.deadlines import Rules
from bot.domain.errors import ConfigError, ExternalError, StartRefused
from bot.domain.ids import DeviceId, UserId
from bot.domain.language import Language
from bot.domain.lines import Catalogue
from bot.services.ports import Arrival, Clock, Store
from specialties import load

SWEEP_EVERY = timedelta(seconds=5)


def catalogue(config: Config) -> Catalogue:
    """Return the lines that the configuration opens.

    Raises:
        ConfigError: an enabled line that no file describes.
    """
    known = load(config.lines.folder)
    missing = [name for name in config.lines.enabled if known.get(name) is None]
    if missing:
        raise ConfigError("\n".join(f"lines.enabled: there is no line {name}" for name in missing))
    return Catalogue(lines=tuple(line for line in known if line.id in config.lines.enabled))


def house_of(config: Config) -> House:
    """Return what the configuration says about the hospital."""
    return House(
        hospital=config.hospital.name,
        emergency_phone=config.hospital.emergency_phone,
        allowed_homeservers=config.homeserver.allowed_homeservers,
        default_language=Language(config.languages.default),
        rules=Rules(
            grace=config.expiry.grace,
            warnings=config.expiry.warnings,
            unacknowledged=config.expiry.unacknowledged.tell_coordinator,
            rooms_of_unacknowledged=config.expiry.unacknowledged.erase_rooms,
            pdf_of_unacknowledged=config.expiry.unacknowledged.erase_opinion,
            most_document_mb=config.limits.max_document_mb,
        ),
        commands_per_minute=config.limits.commands_per_minute,
        secret_in_chat=config.enrolment.secret == "chat",  # noqa: S105  # the place where it is handed out
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The bot's folder, opened: keys, secrets, database."""

    vault: FileVault
    secrets: FileSecrets
    store: SqlStore


@contextlib.asynccontextmanager
async def opened_records(config: Config, clock: Clock | None = None) -> AsyncIterator[Records]:
    """Open the bot's folder; the running bot and an admin's command may have it open at the same time.

    Raises:
        ConfigError, StartRefused: a missing, wrong or world-readable key; one line.
    """
    master = load_master_key(config.master_key_file)
    folder = config.data_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    vault = FileVault(folder / "vault", master)
    store = SqlStore(folder / "consilium.db", database_key(master), vault, clock or SystemClock())
    await store.open()
    try:
        yield Records(vault=vault, secrets=FileSecrets(folder / "secrets", master), store=store)
    finally:
        await store.close()
        vault.close()


class Bot:
    """The running bot: start it, let it run, stop it."""

    def __init__(self, config: Config, *, clock: Clock | None = None, sweep_every: timedelta = SWEEP_EVERY) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._sweep_every = sweep_every
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.fingerprint = ""
        self.core: Core | None = None

    def stop(self) -> None:
        """Ask the bot to end; what is under way is finished or taken up at the next start."""
        self._stop.set()

    async def run(self) -> None:
        """Start, work until `stop`, and close everything in order.

        Raises:
            ConfigError, StartRefused: one line for the operator.
        """
        metrics = Metrics()
        lines = catalogue(self._config)
        async with opened_records(self._config, self._clock) as records:
            await _check_open_lines(records.store, lines)
            arrived = asyncio.Event()
            engine = MatrixEngine(
                homeserver_url=self._config.homeserver.url,
                user_id=UserId(self._config.homeserver.user_id),
                folder=self._config.data_dir / "matrix",
                secrets=records.secrets,
                arrivals=_Waking(records.store, arrived),
                counters=metrics,
                clock=self._clock,
                sign_in=_sign_in(self._config),
                room_version=self._config.homeserver.room_version,
            )
            await engine.start()
            reader = DocumentReader()
            try:
                await self._work(records, engine, reader, metrics, lines, arrived)
            finally:
                await engine.stop()
                await reader.close()

    async def _work(
        self,
        records: Records,
        engine: MatrixEngine,
        reader: DocumentReader,
        metrics: Metrics,
        lines: Catalogue,
        arrived: asyncio.Event,
    ) -> None:
        config = self._config
        folder = config.eraser.folder if config.eraser else config.data_dir / "eraser"
        core = build_core(
            lines,
            house_of(config),
            Outside(
                store=records.store,
                vault=records.vault,
                rooms=engine,
                reader=reader,
                maker=HospitalReports(secrets=records.secrets, clock=self._clock, hospital=config.hospital.name),
                mailer=_mailer(config, self._clock),
                # The eraser's sign of life comes from another process: it is judged by the real time.
                eraser=EraserDesk(folder, clock=SystemClock()),
                one_time_codes=AuthenticatorCodes(),
                clock=self._clock,
                counters=metrics,
                log=structlog.get_logger("bot"),
            ),
        )
        self.core = core
        self.fingerprint = engine.master_key

        async def sweep() -> None:
            await core.reminders.sweep()
            await core.dispatch.ask_for_unreadable()
            core.outbox.wake()

        health = HealthServer(
            clock=self._clock,
            metrics=metrics,
            last_sync=lambda: engine.last_sync_at,
            oldest_outbox=records.store.oldest_effect,
        )
        scheduler = Scheduler(sweep, every=self._sweep_every, counters=metrics)
        await health.start(config.http.host, config.http.port)
        scheduler.start()
        self.ready.set()
        try:
            await _until(self._stop, engine.run(), _work_off(core, arrived), core.outbox.run())
        finally:
            await scheduler.stop()
            await health.stop()


async def _check_open_lines(store: Store, lines: Catalogue) -> None:
    """Refuse to start without the line of an open case: nobody could answer it, and nothing could end it."""
    async with store.unit() as unit:
        missing = {case.line for case in await unit.cases()} - {line.id for line in lines}
    if missing:
        raise StartRefused(
            "line_missing",
            f"lines.enabled: cases are open in {', '.join(sorted(missing))}; enable it until they are over",
        )


async def _work_off(core: Core, arrived: asyncio.Event) -> None:
    """Handle what came in, as soon as it came."""
    while True:
        arrived.clear()
        try:
            if await core.dispatch.work_off():
                core.outbox.wake()
        except ExternalError:
            # The database was busy, or its disk is full: what waits stays in it.
            await asyncio.sleep(1)
            continue
        await arrived.wait()


async def _until(stop: asyncio.Event, *work: Coroutine[None, None, None]) -> None:
    """Run *work* until *stop* is set, or until one part ends or fails: then all end."""
    tasks = [asyncio.ensure_future(one) for one in work]
    waiting = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in (*tasks, waiting):
            task.cancel()
        await asyncio.gather(*tasks, waiting, return_exceptions=True)


class _Waking:
    """The store as the engine's `Arrivals`: wakes the worker when something was taken."""

    def __init__(self, store: Store, arrived: asyncio.Event) -> None:
        self._store = store
        self._arrived = arrived
        self.sync_token = store.sync_token
        self.undecryptable = store.undecryptable

    async def take(self, token: str, arrivals: Sequence[Arrival]) -> None:
        await self._store.take(token, arrivals)
        if arrivals:
            self._arrived.set()

    async def decrypted(self, arrival: Arrival) -> None:
        await self._store.decrypted(arrival)
        self._arrived.set()


def _sign_in(config: Config) -> Password | Token:
    how = config.homeserver.sign_in
    if how.password_file is not None:
        return Password(password=read_secret(how.password_file))
    if how.token_file is None or how.device_id is None:  # The model lets no third way through.
        raise StartRefused("no_sign_in", "homeserver.sign_in: give password_file, or token_file with device_id")
    return Token(token=read_secret(how.token_file), device_id=DeviceId(how.device_id))


def _mailer(config: Config, clock: Clock) -> SmtpMailer | None:
    mail = config.mail
    if mail is None:
        return None
    return SmtpMailer(
        host=mail.host,
        port=mail.port,
        security=mail.security,
        sender=mail.sender,
        clock=clock,
        username=mail.username,
        password=read_secret(mail.password_file) if mail.password_file else None,
    )
