"""What the program's small secrets promise, on disk and in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters.secrets import FileSecrets
from bot.domain.errors import StartRefused
from bot.services.ports import Secrets
from tests.fakes.secrets import MemorySecrets

MASTER = bytes(range(32))
MAKERS: dict[str, Callable[[Path], Secrets]] = {
    "disk": lambda folder: FileSecrets(folder, MASTER),
    "memory": lambda _: MemorySecrets(),
}


@pytest.fixture(params=MAKERS)
def secrets(request: pytest.FixtureRequest, tmp_path: Path) -> Secrets:
    """Each kind of store, empty."""
    return MAKERS[request.param](tmp_path)


def test_a_secret_that_was_never_saved_is_none(secrets: Secrets) -> None:
    """The first start finds nothing and makes it."""
    assert secrets.load("seeds") is None


def test_a_saved_secret_comes_back(secrets: Secrets) -> None:
    """Any bytes, none included."""
    secrets.save("seeds", b"\x00\xff secret")
    secrets.save("nothing", b"")

    assert secrets.load("seeds") == b"\x00\xff secret"
    assert secrets.load("nothing") == b""


def test_the_newest_value_counts(secrets: Secrets) -> None:
    """Saving replaces."""
    secrets.save("seeds", b"older")
    secrets.save("seeds", b"newer")

    assert secrets.load("seeds") == b"newer"


def test_secrets_outlive_a_restart_and_are_private(tmp_path: Path) -> None:
    """Encrypted, mode 0600, nothing half-written beside them."""
    FileSecrets(tmp_path, MASTER).save("seeds", b"canary-seed")

    (path,) = tmp_path.iterdir()

    assert path.name == "seeds.sealed"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"canary" not in path.read_bytes()
    assert FileSecrets(tmp_path, MASTER).load("seeds") == b"canary-seed"


def test_another_master_key_is_refused(tmp_path: Path) -> None:
    """Seeds are never taken for missing and made anew."""
    FileSecrets(tmp_path, MASTER).save("seeds", b"seed")

    with pytest.raises(StartRefused) as refusal:
        FileSecrets(tmp_path, bytes(reversed(MASTER))).load("seeds")

    assert refusal.value.code == "secret_damaged"


def test_a_secret_under_another_name_is_refused(tmp_path: Path) -> None:
    """One secret cannot be passed off as another."""
    secrets = FileSecrets(tmp_path, MASTER)
    secrets.save("seeds", b"seed")
    (tmp_path / "seeds.sealed").rename(tmp_path / "pickle.sealed")

    with pytest.raises(StartRefused):
        secrets.load("pickle")


def test_the_name_of_a_secret_cannot_leave_its_folder(tmp_path: Path) -> None:
    """Names are ours and plain."""
    with pytest.raises(ValueError, match="lower-case"):
        FileSecrets(tmp_path, MASTER).save("../seeds", b"seed")
