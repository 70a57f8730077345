"""The Matrix engine: signs in, keeps the sync loop, and offers `Rooms` to the services."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.declining import Declining
from bot.adapters.matrix.devices import Directory
from bot.adapters.matrix.http import HomeserverApi, SignedOut
from bot.adapters.matrix.key_sharing import KeySharing
from bot.adapters.matrix.media import Media
from bot.adapters.matrix.own_account import FolderLock, OwnAccount, pickle_key
from bot.adapters.matrix.receiving import Receiver, SessionName
from bot.adapters.matrix.room_facts import RoomFacts
from bot.adapters.matrix.rooms import RoomKeeper
from bot.adapters.matrix.sending import Sender
from bot.adapters.matrix.sent_before import find_sent
from bot.adapters.matrix.settings import SignIn, Timeouts
from bot.adapters.matrix.sign_in import sign_in, signed_out
from bot.adapters.matrix.store import FILE, StoreFailed
from bot.adapters.matrix.sync import FULL, MOST_ROUNDS, Round, SyncReader, key_news
from bot.adapters.matrix.unwedging import Unwedging
from bot.domain.errors import ExternalError, StartRefused
from bot.domain.ids import DeviceId, EventId, RoomId, UserId
from bot.services.ports import Arrivals, Audience, Clock, Counters, EncryptedFile, Identity, NewRoom, Secrets, Sent

FRESH_SECONDS = 75.0
"""Age of the last sync up to which what is kept of rooms may be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What exists between start and stop."""

    crypto: Crypto
    account: OwnAccount
    directory: Directory
    facts: RoomFacts
    keeper: RoomKeeper
    sender: Sender
    media: Media
    receiver: Receiver
    unwedging: Unwedging
    declining: Declining
    sync: SyncReader


class MatrixEngine:
    """Implements `Rooms` for one account on one device; what comes in goes to `arrivals`."""

    def __init__(
        self,
        *,
        homeserver_url: str,
        user_id: UserId,
        folder: Path,
        secrets: Secrets,
        arrivals: Arrivals,
        counters: Counters,
        clock: Clock,
        sign_in: SignIn,
        room_version: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Take *folder* for the key store and its lock; *room_version* None is the homeserver's default."""
        self._user_id = user_id
        self._folder = folder
        self._secrets = secrets
        self._arrivals = arrivals
        self._counters = counters
        self._clock = clock
        self._sign_in = sign_in
        self._room_version = room_version
        self._timeouts = timeouts or Timeouts()
        self._api = HomeserverApi(homeserver_url, request_seconds=self._timeouts.request)
        self._lock = FolderLock(folder)
        self._parts: _Parts | None = None
        self._blocked: str | None = None
        self._new_keys: set[SessionName] = set()
        self._synced: float | None = None
        self._mending: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running = asyncio.Lock()
        self.last_sync_at: datetime | None = None

    # -- Life cycle ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Lock the folder, sign in, check or make keys and identity. Joins no room, logs out never.

        Raises:
            StartRefused: something does not fit; code and one line with the remedy.
            ExternalError: the homeserver does not answer; nothing was changed that a second start would mind.
        """
        await asyncio.to_thread(self._lock.take)
        try:
            await self._api.open()
            is_fresh = not await asyncio.to_thread((self._folder / FILE).exists)
            device_id = await sign_in(
                self._api, user_id=self._user_id, how=self._sign_in, secrets=self._secrets, is_fresh=is_fresh
            )
            key = await asyncio.to_thread(pickle_key, self._folder, self._secrets)
            crypto = await Crypto.open(folder=self._folder, user_id=self._user_id, device_id=device_id, pickle_key=key)
            self._parts = self._build(crypto, device_id)
            await self._parts.account.prepare(secrets=self._secrets, how=self._sign_in)
        except SignedOut:
            await self._close()
            raise signed_out() from None
        except BaseException:
            await self._close()
            raise

    async def run(self) -> None:
        """Sync until `stop`.

        Raises:
            StartRefused: the token was revoked, or keys or identity of the account are no longer ours.
        """
        async with self._running:
            self._mending = asyncio.create_task(self._mend())
            try:
                await self._loop()
            finally:
                self._mending.cancel()
                await asyncio.wait([self._mending])

    async def _loop(self) -> None:
        since: str | None = None
        loaded = False
        failures = 0
        while not self._stopping.is_set():
            try:
                if not loaded:
                    await self._the_parts.receiver.take_waiting()
                    since = await self._arrivals.sync_token()
                    loaded = True
                since = await self._round(since)
                failures = 0
            except SignedOut:
                raise signed_out() from None
            except StoreFailed:
                raise StartRefused(
                    "store_failed",
                    f"The Matrix key store in {self._folder} cannot be written. Make room on the disk, start again: "
                    "nothing is lost.",
                ) from None
            except ExternalError as error:
                self._counters.count("matrix_sync_failed", code=error.code)
                await self._pause(failures, error.retry_after)
                failures += 1
            if self._mending is not None and self._mending.done():
                self._mending.result()

    async def stop(self) -> None:
        """End the sync loop after its present batch and close everything; the device stays signed in."""
        self._stopping.set()
        async with self._running:
            await self._close()

    async def _close(self) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.crypto.close()
        await self._api.close()
        self._lock.release()

    def _build(self, crypto: Crypto, device_id: DeviceId) -> _Parts:
        directory = Directory(self._api)
        facts = RoomFacts(self._api, self._is_current)
        sharing = KeySharing(self._api, crypto, counters=self._counters, clock=self._clock, timeouts=self._timeouts)
        sender = Sender(
            self._api, crypto, directory, facts, sharing,
            user_id=self._user_id, counters=self._counters, clock=self._clock, timeouts=self._timeouts,
        )  # fmt: skip
        unwedging = Unwedging(
            directory, sharing, counters=self._counters, clock=self._clock, on_renewed=sender.share_again_with
        )
        declining = Declining(self._api, counters=self._counters, clock=self._clock)
        return _Parts(
            crypto=crypto,
            account=OwnAccount(self._api, crypto, user_id=self._user_id, device_id=device_id),
            directory=directory,
            facts=facts,
            keeper=RoomKeeper(
                self._api, crypto, facts,
                user_id=self._user_id, room_version=self._room_version, timeouts=self._timeouts,
            ),
            sender=sender,
            media=Media(self._api, self._timeouts),
            receiver=Receiver(
                crypto, directory, facts, unwedging, declining,
                user_id=self._user_id, arrivals=self._arrivals, counters=self._counters, clock=self._clock,
            ),
            unwedging=unwedging,
            declining=declining,
            sync=SyncReader(self._api, counters=self._counters, timeouts=self._timeouts),
        )  # fmt: skip

    # -- The sync loop ---------------------------------------------------------------------------------------------

    async def _round(self, since: str | None) -> str | None:
        """Take one batch from the homeserver to `arrivals` and return its token; at a stop return *since*.

        The token is handed over only together with the events it covers, after the keys are saved.
        """
        parts = self._the_parts
        answer = await self._ask(since, wait=self._timeouts.long_poll if self._synced is not None else 0)
        if answer is None:
            return since
        news = Round(since=since)
        cursor = since
        own_changed = False
        for _ in range(MOST_ROUNDS):
            keys = key_news(answer)
            parts.directory.changed((*keys.changed, *keys.left))
            own_changed = own_changed or self._user_id in keys.changed
            self._new_keys |= await parts.receiver.take_to_device(keys.to_device)
            await parts.sync.add(news, answer, cursor)
            await parts.account.top_up(keys)
            cursor = news.token
            if len(keys.to_device) < FULL:
                break
            answer = await parts.sync.ask(cursor, wait=0)
        if own_changed:
            await self._look_at_own_account()
        await parts.receiver.take_waiting(self._new_keys)
        self._new_keys = set()
        arrivals = await parts.receiver.judge(news)
        if arrivals or cursor != since:
            await self._arrivals.take(news.token, arrivals)
        self.last_sync_at = self._clock.now()
        self._synced = asyncio.get_running_loop().time()
        self._wake.set()
        return cursor

    async def _ask(self, since: str | None, *, wait: float) -> dict[str, Any] | None:
        """Ask for news; None when the engine was stopped meanwhile."""
        ask = asyncio.ensure_future(self._the_parts.sync.ask(since, wait=wait))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({ask, stop}, return_when=asyncio.FIRST_COMPLETED)
            return ask.result() if ask.done() else None
        finally:
            for task in (ask, stop):
                task.cancel()
            await asyncio.gather(ask, stop, return_exceptions=True)

    async def _mend(self) -> None:
        """Mend broken sessions and give missing keys again, beside the loop: none of it may hold up a message."""
        parts = self._the_parts
        while True:
            self._wake.clear()
            try:
                await parts.declining.answer()
                await parts.unwedging.answer()
                await parts.sender.settle()
            except ExternalError:
                self._counters.count("matrix_share_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(parts.sender.settle_in()):
                    await self._wake.wait()

    async def _look_at_own_account(self) -> None:
        alone = await self._the_parts.account.check()
        if not alone:
            self._counters.count("matrix_other_device")
        self._blocked = None if alone else "other_device"

    async def _pause(self, failures: int, retry_after: float | None) -> None:
        """Wait before the next try: doubled each time, with jitter, at least what the server asked for."""
        most = min(self._timeouts.backoff_first * 2 ** min(failures, 16), self._timeouts.backoff_most)
        seconds = max(retry_after or 0.0, most * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, no secret
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _is_current(self) -> bool:
        return self._synced is not None and asyncio.get_running_loop().time() - self._synced < FRESH_SECONDS

    @property
    def _the_parts(self) -> _Parts:
        if self._parts is None:
            raise ExternalError("stopped")
        return self._parts

    # -- Rooms -----------------------------------------------------------------------------------------------------

    @property
    def user_id(self) -> UserId:
        return self._user_id

    @property
    def master_key(self) -> str:
        return self._the_parts.account.master_key

    async def create(self, room: NewRoom) -> RoomId:
        return await self._the_parts.keeper.create(room)

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        await self._the_parts.keeper.invite(room_id, user_id)

    async def remove(self, room_id: RoomId, user_id: UserId) -> None:
        await self._the_parts.keeper.remove(room_id, user_id)

    async def join(self, room_id: RoomId) -> None:
        await self._the_parts.keeper.join(room_id)

    async def leave(self, room_id: RoomId) -> None:
        await self._the_parts.keeper.leave(room_id)

    async def members(self, room_id: RoomId) -> Mapping[UserId, str]:
        return await self._the_parts.facts.members(room_id, anew=True)

    async def exists(self, user_id: UserId) -> bool:
        return await self._the_parts.keeper.exists(user_id)

    async def identity(self, user_id: UserId) -> Identity:
        people = await self._the_parts.directory.people([user_id], anew=[user_id])
        return people[user_id].identity()

    async def send(
        self,
        room_id: RoomId,
        content: Mapping[str, Any],
        *,
        txn: str,
        audience: Audience,
        event_type: str = "m.room.message",
    ) -> Sent:
        if self._blocked is not None:
            raise ExternalError(self._blocked)
        return await self._the_parts.sender.send(room_id, content, txn=txn, audience=audience, event_type=event_type)

    async def find_sent(self, room_id: RoomId, txn: str, *, since: datetime) -> EventId | None:
        """Return the event that the bot sent with this *txn* after *since*, None if the room has none.

        To be asked before anything older than an hour is sent again: the homeserver forgets transaction ids.
        """
        return await find_sent(
            self._api, self._the_parts.crypto, user_id=self._user_id, room_id=room_id, txn=txn, since=since
        )

    async def redact(self, room_id: RoomId, event_id: EventId, *, txn: str) -> None:
        await self._the_parts.keeper.redact(room_id, event_id, txn=txn)

    async def upload(self, chunks: AsyncIterator[bytes], size: int) -> EncryptedFile:
        return await self._the_parts.media.upload(chunks, size)

    def download(self, file: EncryptedFile) -> AsyncIterator[bytes]:
        return self._the_parts.media.download(file)

    async def upload_limit(self) -> int:
        return await self._the_parts.media.upload_limit()

    async def drop_sessions(self, room_id: RoomId) -> None:
        await self._the_parts.sender.forget(room_id)
