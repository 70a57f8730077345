"""The program's small secrets (cross-signing seeds, pickle key, signing keys), each an encrypted file."""

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.adapters.vault_keys import Purpose, subkey, sync_folder
from bot.domain.errors import StartRefused

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_NONCE_BYTES = 12


class FileSecrets:
    """Keeps FOLDER/NAME.sealed: 12 bytes nonce, then AES-256-GCM under a key derived from the master key."""

    def __init__(self, folder: Path, master_key: bytes) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._cipher = AESGCM(subkey(master_key, Purpose.SECRETS))

    def load(self, name: str) -> bytes | None:
        """Return the secret, or None if it was never saved.

        Raises:
            StartRefused: `secret_damaged`: the file was changed, or was made under another master key.
        """
        path = self._path(name)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise StartRefused(
                "secret_damaged", f"{path}: damaged, or made under another master key; bring it back from the backup"
            ) from None

    def save(self, name: str, value: bytes) -> None:
        """Save the secret durably before returning; an older value is replaced as a whole or not at all."""
        path = self._path(name)
        nonce = os.urandom(_NONCE_BYTES)
        unfinished = path.with_name(f".{os.urandom(8).hex()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(nonce + self._cipher.encrypt(nonce, value, name.encode()))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("the name of a secret is lower-case letters, digits, dots and dashes")
        return self._folder / f"{name}.sealed"
