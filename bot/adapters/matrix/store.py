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
from nio.crypto import DeviceStore, InboundGroupSession, OutgoingKeyRequest
from nio.store import MegolmInboundSessions, SqliteStore
from nio.store.database import use_database

from bot.domain.errors import ExternalError

T = TypeVar("T")

FILE = "keys.db"


class KeyStore(SqliteStore):  # type: ignore[misc]  # nio is untyped
    """nio's store; `pickle_key` must be random, because nio derives from it with a bare SHA-256."""

    def __init__(self, *, user_id: str, device_id: str, folder: Path, pickle_key: str) -> None:
        super().__init__(user_id, device_id, str(folder), pickle_key=pickle_key, database_name=FILE)
        self.database.execute_sql("CREATE TABLE IF NOT EXISTS creations (room_id TEXT PRIMARY KEY, nonce TEXT)")

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
    def save_inbound_group_session(self, session: InboundGroupSession) -> None:
        """Save a Megolm session under its id and its owner.

        nio's row is keyed by the session id alone and overwritten by whoever sends that id again: a member could put a
        later copy of a colleague's session, or one under his own name, in its place.
        """
        account = self._get_account()
        MegolmInboundSessions.replace(
            account=account,
            sender_key=session.sender_key,
            fp_key=session.ed25519,
            room_id=session.room_id,
            session=session.pickle(self.pickle_key),
            session_id=f"{session.id}|{session.sender_key}|{session.room_id}",
        ).execute()

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
    def delete_inbound_group_sessions(self, room_id: str) -> None:
        """Delete every Megolm session of a room; the pages are overwritten (`secure_delete`). nio cannot."""
        MegolmInboundSessions.delete().where(MegolmInboundSessions.room_id == room_id).execute()

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
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


class CryptoFailed(ExternalError):
    """The crypto library or its store failed in a way that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__("crypto_failed")


class CryptoThread:
    """One thread for one SQLite connection; what it is given runs in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="olm")

    async def run(self, work: Callable[[], T]) -> T:
        """Run *work* there and return its result.

        A panic of the Rust library is a BaseException that would pass every handler: it becomes CryptoFailed.
        """

        def guarded() -> T:
            try:
                return work()
            except Exception:
                raise
            except BaseException as panic:
                if type(panic).__name__ == "PanicException":
                    raise CryptoFailed from None
                raise

        # Shielded: a cancelled caller must not leave a half-done transaction behind.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, guarded))

    def close(self) -> None:
        """End the thread after its last piece of work."""
        self._pool.shutdown(wait=True)


def in_one_transaction(store: KeyStore, work: Callable[[], T]) -> T:
    """Run *work* with everything it writes committed together.

    Raises:
        ExternalError: "store_failed": the disk is full or broken.
    """
    try:
        with store.database.atomic():
            return work()
    except peewee.PeeweeException:
        raise ExternalError("store_failed") from None
