"""The bot's own account: its folder's lock, its keys on the homeserver, and what of it must never change."""

import fcntl
import os
import secrets as random
from pathlib import Path

from bot.adapters.matrix.cross_signing import OwnIdentity, ensure_identity, identity_replaced, own_keys
from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.http import HomeserverApi, Refused, path
from bot.adapters.matrix.settings import SignIn
from bot.adapters.matrix.sign_in import check_only_device, check_own_keys
from bot.adapters.matrix.store import FILE
from bot.adapters.matrix.sync import KeyNews
from bot.domain.errors import StartRefused
from bot.domain.ids import DeviceId, UserId
from bot.services.ports import Secrets

LOCK = "lock"
PICKLE_KEY = "matrix.pickle_key"


class FolderLock:
    """An exclusive lock on a folder: two processes with one key store lose messages for good."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def take(self) -> None:
        """Make the folder if needed, and lock it until `release` or the end of the process.

        Raises:
            StartRefused: "second_instance".
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StartRefused(
                "second_instance",
                f"Another process uses {self._folder}. Stop it first; two bots need two folders and two accounts.",
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def pickle_key(folder: Path, secrets: Secrets) -> str:
    """Return the random key of the store, made with the store; nio's default is the word DEFAULT_KEY.

    Raises:
        StartRefused: "pickle_key_lost": the store is there, its key is not.
    """
    saved = secrets.load(PICKLE_KEY)
    if saved is None:
        if (folder / FILE).exists():
            raise StartRefused(
                "pickle_key_lost",
                "The Matrix key store is there, but not its key. Restore the program's secrets from the backup of the "
                "same day.",
            )
        saved = random.token_bytes(32)
        secrets.save(PICKLE_KEY, saved)
    return saved.hex()


class OwnAccount:
    """The bot's keys on the homeserver: uploaded, topped up, compared."""

    def __init__(self, api: HomeserverApi, crypto: Crypto, *, user_id: UserId, device_id: DeviceId) -> None:
        self._api = api
        self._crypto = crypto
        self._user_id = user_id
        self._device_id = device_id
        self._identity: OwnIdentity | None = None

    @property
    def master_key(self) -> str:
        """The public master key, unpadded base64."""
        if self._identity is None:
            raise RuntimeError("the engine was not started")
        return self._identity.master_key

    async def prepare(self, *, secrets: Secrets, how: SignIn) -> None:
        """Check device and keys against the homeserver's, upload what is missing, make or check the identity.

        Raises:
            StartRefused: the homeserver's view is another one.
            ExternalError: the homeserver does not answer.
        """
        await check_only_device(self._api, self._device_id)
        on_server = await self._compare()
        shared = await self._crypto.do(lambda machine: bool(machine.account.shared))
        if shared and not on_server:
            raise StartRefused(
                "keys_lost",
                "The homeserver lost the keys of the bot's device: it was signed out or deleted. See docs/matrix.md, "
                "“The bot was signed out”.",
            )
        counts = (await self._api.post(path("keys", "upload"), {})).get("one_time_key_counts", {})
        await self._upload(on_server=int(counts.get("signed_curve25519", 0)), needs_fallback=not shared)
        self._identity = await ensure_identity(self._api, self._crypto, user_id=self._user_id, secrets=secrets, how=how)

    async def check(self) -> bool:
        """Look at the own account again after the homeserver said it changed; return whether it has one device only.

        Raises:
            StartRefused: the device's keys or the identity are no longer ours.
        """
        await self._compare()
        if (
            self._identity is not None
            and self._identity.is_published(await own_keys(self._api, self._user_id)) is not True
        ):
            raise identity_replaced()
        try:
            await check_only_device(self._api, self._device_id)
        except StartRefused:
            return False
        return True

    async def top_up(self, news: KeyNews) -> None:
        """Upload one-time keys and a fallback key as far as the homeserver lacks them."""
        await self._upload(on_server=news.one_time_keys, needs_fallback=news.needs_fallback)

    async def _compare(self) -> bool:
        return await check_own_keys(
            self._api,
            user_id=self._user_id,
            device_id=self._device_id,
            curve25519=self._crypto.curve25519,
            ed25519=self._crypto.ed25519,
            is_new=self._crypto.is_new,
        )

    async def _upload(self, *, on_server: int, needs_fallback: bool) -> None:
        body = await self._crypto.do(
            lambda machine: machine.keys_to_upload(on_server=on_server, needs_fallback=needs_fallback)
        )
        if not body:
            return
        try:
            await self._api.post(path("keys", "upload"), body)
        except Refused as error:
            if error.status != 400:
                raise
            # Synapse: "One time key … already exists": the store is older than what it once uploaded.
            raise StartRefused(
                "store_rolled_back",
                "The homeserver refused the bot's new keys: the key store is older than the homeserver's view, as "
                "after restoring a backup. See docs/matrix.md, “The key store is lost”.",
            ) from None
        await self._crypto.do(lambda machine: machine.keys_were_uploaded())
