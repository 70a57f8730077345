"""Keys and what lies under them: small secrets of the program, a key for each case, its files."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bot.domain.ids import CaseId


class Secrets(Protocol):
    """Small secrets of the program itself, kept encrypted under the master key."""

    def load(self, name: str) -> bytes | None:
        """Return the secret, or None if it was never saved."""

    def save(self, name: str, value: bytes) -> None:
        """Save the secret durably before returning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the vault: `sha256` (hex) and `size` are of the clear content."""

    file_id: str
    sha256: str
    size: int


class Vault(Protocol):
    """A random key for each case, and everything that is stored of the case under it.

    Every method that needs a key raises Refusal("case_erased") when the case's key is gone.
    """

    async def create_key(self, case_id: CaseId) -> None:
        """Make and durably save the case's key; having one already is no error."""

    async def erase_key(self, case_id: CaseId) -> None:
        """Destroy the case's key for good; having none is no error."""

    def seal(self, case_id: CaseId, clear: bytes, *, context: str) -> bytes:
        """Encrypt a small value (AES-256-GCM); *context* is bound to it and must be the same to open it."""

    def open(self, case_id: CaseId, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made."""

    def salt(self, case_id: CaseId) -> bytes:
        """Return 32 bytes derived from the case's key, for pseudonyms that die with it."""

    async def store(self, case_id: CaseId, file_id: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Encrypt a stream into the case's folder; nothing is visible under *file_id* before it is complete."""

    def read(self, case_id: CaseId, file_id: str) -> AsyncIterator[bytes]:
        """Stream a stored file in clear; raises Permanent("file_damaged") if a chunk was changed or is missing."""

    async def memory_file(self, case_id: CaseId, file_id: str) -> int:
        """Return a descriptor of an anonymous in-memory file with the clear content, at offset 0; the caller closes."""

    async def delete_file(self, case_id: CaseId, file_id: str) -> None:
        """Delete one stored file; not being there is no error."""

    async def delete_files(self, case_id: CaseId) -> int:
        """Delete every stored file of the case; return how many there were."""
