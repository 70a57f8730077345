"""Files that hold one secret each: only their owner may read them."""

import os
import stat
from pathlib import Path

from bot.domain.errors import ConfigError

_MOST_BYTES = 65536


def fault_of_secret(path: Path) -> str | None:
    """Return what is wrong with a secret's file, for the operator, or None."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return "this is not a file"
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        return f"there is no file {path}"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if readable_by_others(path):
        return f"others may read {path}: chmod 600 it"
    return f"{path} is empty" if empty else None


def readable_by_others(path: Path) -> bool:
    """Say whether anyone but the owner may read or write the file; systemd guards its own credentials."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is not None and path.resolve().is_relative_to(Path(folder).resolve()):
        return False
    return bool(path.stat().st_mode & 0o077)


def read_secret(path: Path) -> str:
    """Return the first line of a secret's file.

    Raises:
        ConfigError: the file is missing, empty, or others may read it.
    """
    fault = fault_of_secret(path)
    if fault:
        raise ConfigError(fault)
    with path.open("rb") as file:
        lines = file.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    return lines[0].strip()
