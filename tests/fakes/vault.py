"""A vault in memory: real keys and real encryption of small values, files in a dictionary."""

import hashlib
import os
from collections.abc import AsyncIterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.domain.errors import Permanent, Refusal
from bot.domain.ids import CaseId
from bot.services.ports import StoredFile

_NONCE_BYTES = 12


class MemoryVault:
    """Keeps every case's key and files until `erase_key` and `delete_files`."""

    def __init__(self) -> None:
        self.keys: dict[CaseId, bytes] = {}
        self.files: dict[tuple[CaseId, str], bytes] = {}
        self.damaged: set[tuple[CaseId, str]] = set()

    async def create_key(self, case_id: CaseId) -> None:
        self.keys.setdefault(case_id, os.urandom(32))

    async def erase_key(self, case_id: CaseId) -> None:
        self.keys.pop(case_id, None)

    def seal(self, case_id: CaseId, clear: bytes, *, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key(case_id)).encrypt(nonce, clear, _bound(case_id, context))

    def open(self, case_id: CaseId, sealed: bytes, *, context: str) -> bytes:
        key = self._key(case_id)
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(case_id, context))
        except (InvalidTag, ValueError):
            raise Permanent("value_damaged") from None

    def salt(self, case_id: CaseId) -> bytes:
        return hashlib.sha256(b"salt" + self._key(case_id)).digest()

    async def store(self, case_id: CaseId, file_id: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        self._key(case_id)
        clear = b"".join([chunk async for chunk in chunks])
        self._key(case_id)
        self.files[(case_id, file_id)] = clear
        self.damaged.discard((case_id, file_id))
        return StoredFile(file_id=file_id, sha256=hashlib.sha256(clear).hexdigest(), size=len(clear))

    async def read(self, case_id: CaseId, file_id: str) -> AsyncIterator[bytes]:
        clear = self._file(case_id, file_id)
        for start in range(0, len(clear), 1 << 20):
            self._key(case_id)
            yield clear[start : start + (1 << 20)]

    async def memory_file(self, case_id: CaseId, file_id: str) -> int:
        clear = self._file(case_id, file_id)
        descriptor = os.memfd_create("consilium", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(descriptor), "wb") as memory:
            memory.write(clear)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    async def delete_file(self, case_id: CaseId, file_id: str) -> None:
        self.files.pop((case_id, file_id), None)

    async def delete_files(self, case_id: CaseId) -> int:
        doomed = [name for name in self.files if name[0] == case_id]
        for name in doomed:
            del self.files[name]
        return len(doomed)

    def damage(self, case_id: CaseId, file_id: str) -> None:
        """Spoil a stored file, as a broken disk does."""
        self.damaged.add((case_id, file_id))

    def _key(self, case_id: CaseId) -> bytes:
        try:
            return self.keys[case_id]
        except KeyError:
            raise Refusal("case_erased", case=case_id) from None

    def _file(self, case_id: CaseId, file_id: str) -> bytes:
        self._key(case_id)
        if (case_id, file_id) in self.damaged:
            raise Permanent("file_damaged")
        try:
            return self.files[(case_id, file_id)]
        except KeyError:
            raise Permanent("file_missing") from None


def _bound(case_id: CaseId, context: str) -> bytes:
    return f"{case_id}|{context}".encode()
