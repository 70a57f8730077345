"""nio's SQLite key store with the writes that a medical bot needs, and the one thread that may touch it.

Every Olm and Megolm operation runs on that thread, each as one transaction: nio's store commits once a device, on the
event loop (0.7 s for 300 devices); and an Olm session and the account that lost a one-time key to it are saved together
or not at all (nio saves the account before the key is used, so that a crash leaves a key that is used twice).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import peewee
from nio.crypto import DeviceStore, OutgoingKeyRequest
from nio.store import SqliteStore

from bot.domain.errors import ExternalError

T = TypeVar("T")

FILE = "keys.db"


class KeyStore(SqliteStore):  # type: ignore[misc]  # nio is untyped
    """nio's store; `pickle_key` must be random, because nio derives from it with a bare SHA-256."""

    def __init__(self, *, user_id: str, device_id: str, folder: Path, pickle_key: str) -> None:
        super().__init__(user_id, device_id, str(folder), pickle_key=pickle_key, database_name=FILE)
        self._create_tables_of_ours()

    def _create_tables_of_ours(self) -> None:
        """Create what nio's store has not, if it is not there yet."""
        self.database.execute_sql("CREATE TABLE IF NOT EXISTS creations (room_id TEXT PRIMARY KEY, nonce TEXT)")

    def delete_session(self, session_id: str) -> None:
        """Delete one Olm session."""
        self.database.execute_sql("DELETE FROM olmsessions WHERE session_id = ?", (session_id,))

    def load_device_keys(self) -> DeviceStore:
        """Return nothing: devices live in our own `Directory`."""
        return DeviceStore()

    def load_outgoing_key_requests(self) -> dict[str, OutgoingKeyRequest]:
        """Return nothing: a bot with one device has nobody to ask."""
        return {}

    def creations(self) -> dict[str, str]:
        """Return the nonce ("" if there is none of ours) of each room whose create event was read."""
        rows = self.database.execute_sql("SELECT room_id, nonce FROM creations").fetchall()
        return {str(room_id): str(nonce) for room_id, nonce in rows}

    def save_creation(self, room_id: str, nonce: str) -> None:
        """Remember a room's nonce; create events never change."""
        self.database.execute_sql("INSERT OR REPLACE INTO creations VALUES (?, ?)", (room_id, nonce))


class StoreFailed(ExternalError):
    """The store could not be written, or the crypto library panicked: memory and disk may differ from here on."""

    def __init__(self) -> None:
        super().__init__("store_failed")


class CryptoThread:
    """One thread for one SQLite connection; what it is given runs in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="olm")
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Run *work* there and return its result.

        A panic of the Rust library is a BaseException that would pass every handler: it becomes StoreFailed.
        """

        def guarded() -> T:
            try:
                return work()
            except Exception:
                raise
            except BaseException as panic:
                if type(panic).__name__ == "PanicException":
                    raise StoreFailed from None
                raise

        if self._closed:
            raise ExternalError("stopped")
        # Shielded: a cancelled caller must not leave a half-done transaction behind.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, guarded))

    def close(self) -> None:
        """End the thread after its last piece of work."""
        self._closed = True
        self._pool.shutdown(wait=True)


def in_one_transaction(store: KeyStore, work: Callable[[], T]) -> T:
    """Run *work* with everything it writes committed together.

    Raises:
        StoreFailed: the disk is full or broken.
    """
    try:
        with store.database.atomic():
            return work()
    except peewee.PeeweeException:
        raise StoreFailed from None
