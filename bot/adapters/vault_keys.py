"""The keys of the vault: the master key's file, what is derived from it, and the database of wrapped case keys."""

import base64
import binascii
import contextlib
import hmac
import os
import sqlite3
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from bot.domain.errors import ExternalError, StartRefused
from bot.domain.ids import CaseId
from bot.secret_files import readable_by_others

KEY_BYTES = 32
_LEAST_DISTINCT_BYTES = 16
"""32 random bytes have about 30 distinct ones; fewer than 16 means that somebody typed them."""

_BUSY_SECONDS = 5.0


class Purpose(StrEnum):
    """What a derived key is for; two purposes never share a key."""

    WRAPPING = "wrapping"
    CHECK = "check"
    SECRETS = "secrets"
    DATABASE = "database"
    CASE_FILES = "case-files"
    CASE_VALUES = "case-values"
    CASE_SALT = "case-salt"


CASE_PURPOSES = (Purpose.CASE_FILES, Purpose.CASE_VALUES, Purpose.CASE_SALT)


def subkey(key: bytes | bytearray, purpose: Purpose) -> bytes:
    """Derive 32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"consilium/1/{purpose}".encode()).derive(bytes(key))


def database_key(master_key: bytes) -> bytes:
    """Return the raw 32-byte key of the main database (SQLCipher)."""
    return subkey(master_key, Purpose.DATABASE)


def load_master_key(path: Path) -> bytes:
    """Read the master key: 32 random bytes, as they are or as base64 text, in a file that only the owner may read.

    Raises:
        StartRefused: `master_key_missing`, `master_key_readable` or `master_key_malformed`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(1024)
    except OSError as error:
        raise StartRefused("master_key_missing", f"{path}: the master key cannot be read ({error.strerror})") from None
    if readable_by_others(path):
        raise StartRefused("master_key_readable", f"{path}: others may read the master key; chmod 600 it")
    key = text
    if len(text) != KEY_BYTES:
        with contextlib.suppress(binascii.Error, ValueError):
            key = base64.b64decode(text.strip(), validate=True)
    if len(key) != KEY_BYTES or len(set(key)) < _LEAST_DISTINCT_BYTES:
        raise StartRefused("master_key_malformed", f"{path}: the master key must be 32 random bytes, or their base64")
    return key


def new_master_key_file(path: Path) -> bytes:
    """Make a master key, save it as base64 text with mode 0600, and return it; an existing file is never replaced.

    Raises:
        StartRefused: `master_key_exists`.
    """
    key = os.urandom(KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StartRefused("master_key_exists", f"{path}: there is a master key already; it stays") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return key


def sync_folder(folder: Path) -> None:
    """Make names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class KeyDatabase:
    """The wrapped case keys (AES key wrap, RFC 3394) in a small SQLite database; safe to use from several threads.

    A method that fails raises ExternalError("key_database_failed"); the constructor raises StartRefused.
    """

    def __init__(self, path: Path, master_key: bytes) -> None:
        self._lock = threading.Lock()
        self._wrapping = subkey(master_key, Purpose.WRAPPING)
        fresh = not path.exists()
        try:
            if fresh:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = _connect(path)
            self._check(subkey(master_key, Purpose.CHECK))
        except (sqlite3.Error, OSError) as error:
            raise StartRefused(
                "key_database_damaged", f"{path}: the database of case keys cannot be used ({type(error).__name__})"
            ) from None
        sync_folder(path.parent)

    def load(self, case_id: CaseId) -> bytes | None:
        """Return the unwrapped key of a case, or None."""
        with self._work() as connection:
            row = connection.execute("SELECT wrapped FROM keys WHERE case_id = ?", (case_id,)).fetchone()
        if row is None:
            return None
        try:
            return aes_key_unwrap(self._wrapping, row[0])
        except InvalidUnwrap:
            raise ExternalError("key_database_failed") from None

    def save(self, case_id: CaseId, key: bytes) -> None:
        """Save a key durably, unless the case has one."""
        wrapped = aes_key_wrap(self._wrapping, key)
        with self._work() as connection:
            connection.execute("INSERT OR IGNORE INTO keys (case_id, wrapped) VALUES (?, ?)", (case_id, wrapped))

    def erase(self, case_id: CaseId) -> None:
        """Delete a key from the database, from its log, and from the pages that it left."""
        with self._work() as connection:
            connection.execute("DELETE FROM keys WHERE case_id = ?", (case_id,))
            # Also when there was no row: a crash may have come between the deletion and the cleaning.
            _truncate(connection)
            connection.execute("VACUUM")
            _truncate(connection)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _work(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise ExternalError("key_database_failed") from error

    def _check(self, expected: bytes) -> None:
        """Compare the master key with the one that the database was made with."""
        connection = self._connection
        connection.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT")
        connection.execute("CREATE TABLE IF NOT EXISTS keys (case_id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT")
        if connection.execute("SELECT count(*) FROM keys").fetchone() == (0,):
            connection.execute("INSERT OR IGNORE INTO facts (name, value) VALUES ('check', ?)", (expected,))
        known = connection.execute("SELECT value FROM facts WHERE name = 'check'").fetchone()
        if known is None or not hmac.compare_digest(known[0], expected):
            raise StartRefused("wrong_master_key", "this is not the master key that the case keys were wrapped with")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _truncate(connection: sqlite3.Connection) -> None:
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("the log is in use")
