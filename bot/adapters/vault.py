"""The vault on disk: a random key a case in a small database of wrapped keys, and the case's files under it.

    FOLDER/keys/keys.db          wrapped keys; not for the backup
    FOLDER/files/CASE/FILE       see `vault_files`

Whoever erases a row of `keys.db` erases the case, wherever else copies of its files and values lie.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.adapters.vault_files import PIECE_BYTES, FileOpener, FileSealer
from bot.adapters.vault_keys import (
    CASE_PURPOSES,
    KEY_BYTES,
    KeyDatabase,
    Purpose,
    database_key,
    load_master_key,
    new_master_key_file,
    subkey,
    sync_folder,
)
from bot.domain.errors import ExternalError, Permanent, Refusal, StartRefused
from bot.domain.ids import CaseId
from bot.services.ports import StoredFile

__all__ = ["FileVault", "database_key", "load_master_key", "new_master_key_file"]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_UNFINISHED = ".unfinished-"
_NONCE_BYTES = 12

_CaseKeys = dict[Purpose, bytearray]
"""What is derived from the key of one case; overwritten when the case is erased."""


class FileVault:
    """Keeps keys and files under one folder; an operator's command may have it open beside the running bot.

    A key that another process erases stays in the memory of this one until it is closed: erase in the bot.
    """

    def __init__(self, folder: Path, master_key: bytes) -> None:
        """Open the vault, or make it in an empty folder; leftovers of a crash are removed.

        Raises:
            StartRefused: `wrong_master_key`, `key_database_missing`, `key_database_damaged`.
        """
        self._files = folder / "files"
        database = folder / "keys" / "keys.db"
        for made in (folder, self._files, database.parent):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not database.exists() and any(self._files.iterdir()):
            raise StartRefused(
                "key_database_missing", f"{database} is missing, but files are there: bring back its newest copy"
            )
        self._keys = KeyDatabase(database, master_key)
        self._cache: dict[CaseId, _CaseKeys] = {}
        self._lock = threading.RLock()
        self._presence = os.open(folder / "open", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _is_alone(self._presence):
            for leftover in self._files.glob(f"*/{_UNFINISHED}*"):
                leftover.unlink()
        fcntl.flock(self._presence, fcntl.LOCK_SH)

    def close(self) -> None:
        """Forget the keys and close the database."""
        with self._lock:
            while self._cache:
                for secret in self._cache.popitem()[1].values():
                    secret[:] = bytes(len(secret))
            self._keys.close()
        os.close(self._presence)

    async def create_key(self, case_id: CaseId) -> None:
        """Make and durably save the case's key; having one already is no error."""
        _check_name(case_id)
        await _to_end(lambda: self._keys.save(case_id, os.urandom(KEY_BYTES)))

    async def erase_key(self, case_id: CaseId) -> None:
        """Destroy the case's key for good: in memory, in the database, in its log and its free pages."""
        await _to_end(lambda: self._erase(case_id))

    def seal(self, case_id: CaseId, clear: bytes, *, context: str) -> bytes:
        """Encrypt a small value: 12 bytes nonce, then AES-256-GCM bound to the case and *context*."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key(case_id, Purpose.CASE_VALUES)).encrypt(nonce, clear, _bound(case_id, context))

    def open(self, case_id: CaseId, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            Permanent: `value_damaged`: changed, of another case, or of another context.
        """
        cipher = AESGCM(self._key(case_id, Purpose.CASE_VALUES))
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(case_id, context))
        except (InvalidTag, ValueError):
            raise Permanent("value_damaged") from None

    def salt(self, case_id: CaseId) -> bytes:
        """Return 32 bytes derived from the case's key."""
        return self._key(case_id, Purpose.CASE_SALT)

    async def store(self, case_id: CaseId, file_id: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Encrypt a stream into the case's folder; nothing is visible under *file_id* before it is complete."""
        target = self._path(case_id, file_id)
        key = self._key(case_id, Purpose.CASE_FILES)
        unfinished = target.parent / f"{_UNFINISHED}{os.urandom(8).hex()}"
        handle = await _to_end(lambda: _new_file(unfinished))
        try:
            sealer = FileSealer(key, case_id, file_id, handle)
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= PIECE_BYTES:
                    piece, waiting = waiting, bytearray()
                    await _to_end(lambda piece=piece: sealer.feed(piece))  # type: ignore[misc]  # bound on purpose
            sha256 = await _to_end(lambda: self._finish(case_id, sealer, waiting, unfinished, target))
        finally:
            await _to_end(lambda: _discard(handle, unfinished))
        return StoredFile(file_id=file_id, sha256=sha256, size=sealer.size)

    async def read(self, case_id: CaseId, file_id: str) -> AsyncIterator[bytes]:
        """Stream a stored file in clear, 1 MiB at a time.

        Raises:
            Permanent: `file_missing`; `file_damaged` if a chunk was changed or is missing.
        """
        path = self._path(case_id, file_id)
        key = self._key(case_id, Purpose.CASE_FILES)
        handle = await _to_end(lambda: _existing_file(path))
        try:
            opener = await _to_end(lambda: FileOpener(key, case_id, file_id, handle))
            while chunks := await _to_end(opener.piece):
                for chunk in chunks:
                    self._key(case_id, Purpose.CASE_FILES)
                    yield chunk
        finally:
            handle.close()

    async def memory_file(self, case_id: CaseId, file_id: str) -> int:
        """Return a descriptor of an anonymous in-memory file with the clear content; nobody can change it any more."""
        path = self._path(case_id, file_id)
        key = self._key(case_id, Purpose.CASE_FILES)
        made: list[int] = []
        try:
            await _to_end(lambda: made.append(_in_memory(path, key, case_id, file_id)))
        except asyncio.CancelledError:
            for descriptor in made:
                os.close(descriptor)
            raise
        return made[0]

    async def delete_file(self, case_id: CaseId, file_id: str) -> None:
        """Delete one stored file; not being there is no error."""
        path = self._path(case_id, file_id)
        await _to_end(lambda: path.unlink(missing_ok=True))

    async def delete_files(self, case_id: CaseId) -> int:
        """Delete every stored file of the case; return how many there were."""
        _check_name(case_id)
        return await _to_end(lambda: _delete_folder(self._files / case_id))

    def _key(self, case_id: CaseId, purpose: Purpose) -> bytes:
        """Return a key of the case; without a lock as a rule, because values are sealed on the event loop."""
        keys = self._cache.get(case_id) or self._loaded(case_id)
        key = bytes(keys[purpose])
        # An erasure in another thread takes the keys out of the cache before it overwrites them.
        if self._cache.get(case_id) is not keys:
            raise Refusal("case_erased", case=case_id)
        return key

    def _loaded(self, case_id: CaseId) -> _CaseKeys:
        with self._lock:
            key = self._keys.load(case_id)
            if key is None:
                raise Refusal("case_erased", case=case_id)
            return self._cache.setdefault(case_id, {p: bytearray(subkey(key, p)) for p in CASE_PURPOSES})

    def _erase(self, case_id: CaseId) -> None:
        with self._lock:
            for secret in self._cache.pop(case_id, {}).values():
                secret[:] = bytes(len(secret))
            self._keys.erase(case_id)

    def _finish(self, case_id: CaseId, sealer: FileSealer, rest: bytearray, unfinished: Path, target: Path) -> str:
        sealer.feed(rest)
        sha256 = sealer.finish()
        with self._lock:
            # Under the lock of the erasure: a file never appears after its case's key is gone.
            self._key(case_id, Purpose.CASE_FILES)
            unfinished.rename(target)
        sync_folder(target.parent)
        return sha256

    def _path(self, case_id: CaseId, file_id: str) -> Path:
        _check_name(case_id)
        _check_name(file_id)
        return self._files / case_id / file_id


def _is_alone(presence: int) -> bool:
    """Say whether no other process has the vault open: what is unfinished then belongs to nobody."""
    try:
        fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bound(case_id: CaseId, context: str) -> bytes:
    return f"{case_id}|{context}".encode()


def _check_name(name: str) -> None:
    """Keep names inside their folder; ours are opaque, so another one is a mistake in the program."""
    if not _NAME.fullmatch(name):
        raise ValueError("case and file ids are letters, digits, dots and dashes")


def _new_file(path: Path) -> BinaryIO:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent.parent)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _existing_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise Permanent("file_missing") from None


def _discard(handle: BinaryIO, unfinished: Path) -> None:
    """Close and remove what was not finished; after success there is nothing left to remove."""
    with contextlib.suppress(OSError):  # a full disk refuses the last bytes here again; they are not wanted
        handle.close()
    unfinished.unlink(missing_ok=True)


def _in_memory(path: Path, key: bytes, case_id: CaseId, file_id: str) -> int:
    descriptor = os.memfd_create("consilium", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with _existing_file(path) as handle, os.fdopen(os.dup(descriptor), "wb") as memory:
            opener = FileOpener(key, case_id, file_id, handle)
            while chunks := opener.piece():
                memory.writelines(chunks)
        fcntl.fcntl(
            descriptor,
            fcntl.F_ADD_SEALS,
            fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL,
        )
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _delete_folder(folder: Path) -> int:
    if not folder.exists():
        return 0
    complete = 0
    for path in folder.iterdir():
        complete += not path.name.startswith(_UNFINISHED)
        path.unlink()
    folder.rmdir()
    sync_folder(folder.parent)
    return complete


async def _to_end(work: Callable[[], T]) -> T:
    """Do file work in a thread, and do not return before it ended: a cancelled caller must not close its files.

    Raises:
        ExternalError: `disk_full` or `disk_failed`.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # seen: the caller is leaving
        raise
    except OSError as error:
        raise ExternalError("disk_full" if error.errno == errno.ENOSPC else "disk_failed") from error
