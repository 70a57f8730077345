"""How one file is stored: a header, then chunks of 1 MiB that are encrypted each on its own.

    header   b"CONSILIUM" 0x01, 8 random bytes (the nonce's prefix)
    chunk    AES-256-GCM of up to 1 MiB; nonce = prefix | number (32 bit, big endian)
             bound to "case|file|number|last" so that a chunk cannot be cut off, moved, or taken from another file

Every chunk but the last is full; an empty file is one empty chunk. Plain code: the caller picks the thread.
"""

import hashlib
import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.domain.errors import Permanent
from bot.domain.ids import CaseId

CHUNK_BYTES = 1 << 20
PIECE_BYTES = 4 * CHUNK_BYTES
"""What is worth a hop to a thread."""

_MAGIC = b"CONSILIUM\x01"
_PREFIX_BYTES = 8
_TAG_BYTES = 16


class FileSealer:
    """Encrypts a stream into *target*; `finish` tells the size and hash of what went in."""

    def __init__(self, key: bytes, case_id: CaseId, file_id: str, target: BinaryIO) -> None:
        self._cipher = AESGCM(key)
        self._name = (case_id, file_id)
        self._target = target
        self._prefix = os.urandom(_PREFIX_BYTES)
        self._waiting = bytearray()
        self._number = 0
        self._hash = hashlib.sha256()
        self.size = 0
        target.write(_MAGIC + self._prefix)

    def feed(self, clear: bytes | bytearray) -> None:
        """Take more of the stream."""
        self._hash.update(clear)
        self.size += len(clear)
        self._waiting += clear
        done = 0
        with memoryview(self._waiting) as waiting:
            # A full chunk waits until more comes: only then is it known not to be the last.
            while len(waiting) - done > CHUNK_BYTES:
                self._write(bytes(waiting[done : done + CHUNK_BYTES]), last=False)
                done += CHUNK_BYTES
        del self._waiting[:done]

    def finish(self) -> str:
        """Write the last chunk durably and return the SHA-256 of the clear content, hex."""
        self._write(bytes(self._waiting), last=True)
        self._waiting.clear()
        self._target.flush()
        os.fsync(self._target.fileno())
        return self._hash.hexdigest()

    def _write(self, clear: bytes, *, last: bool) -> None:
        nonce = self._prefix + self._number.to_bytes(4, "big")
        self._target.write(self._cipher.encrypt(nonce, clear, _bound(self._name, self._number, last)))
        self._number += 1


class FileOpener:
    """Decrypts *source* piece by piece.

    Raises:
        Permanent: `file_damaged`, if anything was changed, cut off, moved, or belongs to another file.
    """

    def __init__(self, key: bytes, case_id: CaseId, file_id: str, source: BinaryIO) -> None:
        self._cipher = AESGCM(key)
        self._name = (case_id, file_id)
        self._source = source
        self._number = 0
        self._left = os.fstat(source.fileno()).st_size - len(_MAGIC) - _PREFIX_BYTES
        header = source.read(len(_MAGIC) + _PREFIX_BYTES)
        if self._left < _TAG_BYTES or not header.startswith(_MAGIC):
            raise Permanent("file_damaged")
        self._prefix = header[len(_MAGIC) :]

    def piece(self) -> list[bytes]:
        """Return the next chunks in clear, together at most 4 MiB; an empty list at the end."""
        chunks: list[bytes] = []
        while self._left > 0 and len(chunks) * CHUNK_BYTES < PIECE_BYTES:
            chunks.append(self._chunk())
        return chunks

    def _chunk(self) -> bytes:
        sealed = self._source.read(min(self._left, CHUNK_BYTES + _TAG_BYTES))
        last = self._left <= CHUNK_BYTES + _TAG_BYTES
        self._left -= len(sealed)
        nonce = self._prefix + self._number.to_bytes(4, "big")
        try:
            clear = self._cipher.decrypt(nonce, sealed, _bound(self._name, self._number, last))
        except (InvalidTag, ValueError):
            raise Permanent("file_damaged") from None
        self._number += 1
        return clear


def _bound(name: tuple[CaseId, str], number: int, last: bool) -> bytes:
    case_id, file_id = name
    return f"{case_id}|{file_id}|{number}|{int(last)}".encode()
