"""The Olm machine behind its thread: opened with its key, used from the event loop, closed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bot.adapters.matrix.machine import Machine
from bot.adapters.matrix.room_keys import RoomKeyStore
from bot.adapters.matrix.store import FILE, CryptoThread, StoreFailed, in_one_transaction
from bot.domain.errors import StartRefused
from bot.domain.ids import DeviceId, UserId

T = TypeVar("T")


class Crypto:
    """The machine of one device; everything runs on one thread, each call one transaction."""

    def __init__(self, thread: CryptoThread, machine: Machine, *, is_new: bool) -> None:
        self._thread = thread
        self._machine = machine
        self._failed = False
        self.is_new = is_new
        """True if the store held no account before: then the homeserver must not know this device's keys either."""

    @classmethod
    async def open(cls, *, folder: Path, user_id: UserId, device_id: DeviceId, pickle_key: str) -> "Crypto":
        """Open the store in *folder*, or make it.

        Raises:
            StartRefused: "wrong_pickle_key": the store is there, and this is not its key.
        """
        thread = CryptoThread()

        def open_machine() -> tuple[Machine, bool]:
            store = RoomKeyStore(user_id=user_id, device_id=device_id, folder=folder, pickle_key=pickle_key)
            (folder / FILE).chmod(0o600)
            try:
                is_new = store.load_account() is None
                return Machine(user_id, device_id, store), is_new
            except BaseException:
                store.database.close()
                raise

        try:
            machine, is_new = await thread.run(open_machine)
        except ValueError:
            # vodozemac's PickleException, or LibolmPickleException from nio's second try.
            thread.close()
            raise StartRefused(
                "wrong_pickle_key",
                "The Matrix key store was made with another key. Restore the store and the program's secrets from the "
                "same backup.",
            ) from None
        except BaseException:
            thread.close()
            raise
        return cls(thread, machine, is_new=is_new)

    async def do(self, work: Callable[[Machine], T]) -> T:
        """Run *work* on the machine and return its result.

        Raises:
            StoreFailed: the disk is full or broken; from then on at every call, until the program starts again.
        """
        if self._failed:
            raise StoreFailed
        try:
            return await self._thread.run(lambda: in_one_transaction(self._machine.store, lambda: work(self._machine)))
        except StoreFailed:
            # What was decrypted is gone from memory's sessions and not on disk: only a new start reads it again.
            self._failed = True
            raise

    async def introduce(self, device_keys: Mapping[str, Any]) -> None:
        """Send these signed device keys along with every Olm message from now on."""

        def keep(machine: Machine) -> None:
            machine.signed_device_keys = device_keys

        await self.do(keep)

    @property
    def curve25519(self) -> str:
        """The own identity key, unpadded base64."""
        return self._machine.curve25519

    @property
    def ed25519(self) -> str:
        """The own fingerprint key, unpadded base64."""
        return self._machine.ed25519

    @property
    def device_id(self) -> DeviceId:
        """The own device."""
        return DeviceId(self._machine.device_id)

    async def close(self) -> None:
        """Close the store and end the thread."""
        await self._thread.run(self._machine.store.database.close)
        self._thread.close()
