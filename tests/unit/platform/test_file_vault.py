"""What the vault on disk promises beyond its port: format, durability, erased keys, the master key's file."""

import asyncio
import base64
import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from bot.adapters.vault import FileVault, _to_end, database_key, load_master_key, new_master_key_file
from bot.adapters.vault_keys import Purpose, subkey
from bot.domain.errors import ExternalError, Permanent, Refusal, StartRefused
from bot.domain.ids import CaseId

CASE = CaseId("C-2026-0007")
OTHER = CaseId("C-2026-0008")
MIB = 1 << 20
HEADER = 18
CHUNK = MIB + 16
MASTER = bytes(range(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[FileVault]:
    """A fresh vault."""
    made = FileVault(tmp_path, MASTER)
    yield made
    made.close()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield *content* in one go."""
    yield content


async def content(vault: FileVault, file_id: str, case_id: CaseId = CASE) -> bytes:
    """Read a whole file."""
    return b"".join([chunk async for chunk in vault.read(case_id, file_id)])


def below(folder: Path) -> list[Path]:
    """Return everything in a folder."""
    return list(folder.rglob("*"))


TAIL = HEADER + 2 * CHUNK
"""Where the last chunk of a file of 2 MiB and 5 bytes begins."""

ATTACKS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "the last chunk is cut off": lambda mine, _: mine[:TAIL],
    "the last byte is cut off": lambda mine, _: mine[:-1],
    "all but the header is cut off": lambda mine, _: mine[:HEADER],
    "it is empty": lambda _, __: b"",
    "a byte is added": lambda mine, _: mine + b"x",
    "the last chunk is repeated": lambda mine, _: mine + mine[TAIL:],
    "two chunks are swapped": lambda mine, _: (
        mine[:HEADER] + mine[HEADER + CHUNK : TAIL] + mine[HEADER : HEADER + CHUNK] + mine[TAIL:]
    ),
    "it is another file": lambda _, foreign: foreign,
    "a chunk is another file's": lambda mine, foreign: (
        mine[:HEADER] + foreign[HEADER : HEADER + CHUNK] + mine[HEADER + CHUNK :]
    ),
    "the prefix is changed": lambda mine, _: mine[: HEADER - 1] + bytes([mine[HEADER - 1] ^ 1]) + mine[HEADER:],
    "the magic is changed": lambda mine, _: b"c" + mine[1:],
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_every_way_to_tamper_with_a_file_is_found(vault: FileVault, tmp_path: Path, attack: str) -> None:
    """A stored file cannot be shortened, lengthened, reordered, or exchanged."""
    await vault.create_key(CASE)
    for name in ("f1", "f2"):
        await vault.store(CASE, name, pieces(os.urandom(2 * MIB + 5)))

    mine, foreign = tmp_path / "files" / CASE / "f1", tmp_path / "files" / CASE / "f2"
    mine.write_bytes(ATTACKS[attack](mine.read_bytes(), foreign.read_bytes()))

    with pytest.raises(Permanent, match="file_damaged"):
        await content(vault, "f1")


async def test_a_file_of_another_case_is_refused(vault: FileVault, tmp_path: Path) -> None:
    """A file that is copied into another case's folder does not open there."""
    for case_id in (CASE, OTHER):
        await vault.create_key(case_id)
        await vault.store(case_id, "f1", pieces(b"file"))

    shutil.copy(tmp_path / "files" / CASE / "f1", tmp_path / "files" / OTHER / "f1")

    with pytest.raises(Permanent, match="file_damaged"):
        await content(vault, "f1", OTHER)


async def test_nothing_clear_is_on_the_disk(vault: FileVault, tmp_path: Path) -> None:
    """Neither content nor keys are readable in the vault's folder."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"canary-in-a-file" * 1000))

    everything = b"".join(path.read_bytes() for path in below(tmp_path) if path.is_file())

    assert b"canary-in-a-file" not in everything
    assert MASTER not in everything


async def test_only_the_owner_may_read_the_vault(vault: FileVault, tmp_path: Path) -> None:
    """Folders 0700, files 0600."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))

    modes = {path.stat().st_mode & 0o077 for path in below(tmp_path)}

    assert modes == {0}


async def test_an_erased_key_is_nowhere_on_the_disk(vault: FileVault, tmp_path: Path) -> None:
    """Not in the database, not in its free pages, not in its log."""
    for number in range(200):
        await vault.create_key(CaseId(f"C-2026-{number:04}"))
    database = tmp_path / "keys" / "keys.db"
    with sqlite3.connect(database) as reader:
        (wrapped,) = reader.execute("SELECT wrapped FROM keys WHERE case_id = 'C-2026-0100'").fetchone()
    reader.close()
    before = b"".join(path.read_bytes() for path in database.parent.iterdir())

    await vault.erase_key(CaseId("C-2026-0100"))

    after = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert wrapped in before
    assert wrapped not in after
    assert b"C-2026-0100" not in after
    assert b"C-2026-0101" in after


async def test_a_key_lives_through_a_kill(tmp_path: Path) -> None:
    """`create_key` returns after the key is durable: a killed process loses nothing that was sealed."""
    program = """
import asyncio, os, signal, sys
from pathlib import Path
from bot.adapters.vault import FileVault
async def main():
    vault = FileVault(Path(sys.argv[1]), bytes(range(32)))
    await vault.create_key("C-2026-0007")
    sys.stdout.buffer.write(vault.seal("C-2026-0007", b"text", context="answer"))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False
    )

    vault = FileVault(tmp_path, MASTER)

    assert vault.open(CASE, done.stdout, context="answer") == b"text"
    vault.close()


async def test_leftovers_of_a_killed_store_are_removed_at_the_next_start(tmp_path: Path) -> None:
    """A half-written file is never seen and does not stay."""
    vault = FileVault(tmp_path, MASTER)
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))
    vault.close()
    (tmp_path / "files" / CASE / ".unfinished-0011").write_bytes(b"half")

    again = FileVault(tmp_path, MASTER)

    assert [path.name for path in (tmp_path / "files" / CASE).iterdir()] == ["f1"]
    again.close()


async def test_a_second_process_does_not_touch_what_is_under_way(vault: FileVault, tmp_path: Path) -> None:
    """An operator's command opens the vault while the bot takes a document in."""
    await vault.create_key(CASE)

    async def stream() -> AsyncIterator[bytes]:
        yield b"first"
        FileVault(tmp_path, MASTER).close()
        yield b"second"

    await vault.store(CASE, "f1", stream())

    assert await content(vault, "f1") == b"firstsecond"


async def test_a_cancelled_store_leaves_nothing(vault: FileVault, tmp_path: Path) -> None:
    """Whoever stops waiting for an upload leaves no half file behind."""
    await vault.create_key(CASE)
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(MIB)
            started.set()

    storing = asyncio.ensure_future(vault.store(CASE, "f1", endless()))
    await started.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing

    assert list((tmp_path / "files" / CASE).iterdir()) == []


async def test_a_disk_that_fails_is_an_outside_failure_and_leaves_nothing(vault: FileVault, tmp_path: Path) -> None:
    """The outbox tries again later; the code says what to tell the operator."""
    await vault.create_key(CASE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    try:
        with pytest.raises(ExternalError, match="disk_failed"):
            await vault.store(CASE, "f1", pieces(bytes(6 * MIB)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list((tmp_path / "files" / CASE).iterdir()) == []


async def test_a_memory_file_cannot_be_changed_by_who_gets_it(vault: FileVault) -> None:
    """A decoder that was taken over cannot rewrite what others will read."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))

    descriptor = await vault.memory_file(CASE, "f1")

    with pytest.raises(PermissionError):
        os.write(descriptor, b"x")
    os.close(descriptor)


async def test_a_disk_without_room_has_a_code_of_its_own() -> None:
    """The operator is told to make room, not to look for a broken disk."""

    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ExternalError, match="disk_full"):
        await _to_end(write)


@pytest.mark.parametrize("name", ["../f1", "a/b", "", ".hidden", "a\0b", "f" * 101])
async def test_a_name_cannot_leave_its_folder(vault: FileVault, name: str) -> None:
    """File and case ids are opaque names."""
    await vault.create_key(CASE)

    with pytest.raises(ValueError, match="ids are letters"):
        await vault.store(CASE, name, pieces(b"file"))
    with pytest.raises(ValueError, match="ids are letters"):
        await vault.create_key(CaseId(name))


async def test_taking_in_500_mb_needs_less_than_64_mb(tmp_path: Path) -> None:
    """Peak memory while a study of 500 MB streams in and out again, over what the program had before."""
    program = """
import asyncio, resource, sys
from pathlib import Path
from bot.adapters.vault import FileVault
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
async def chunks(n):
    piece = bytes(65536)
    for _ in range(n * 16): yield piece
async def main():
    vault = FileVault(Path(sys.argv[1]), bytes(range(32)))
    await vault.create_key("C-2026-0007")
    await vault.store("C-2026-0007", "small", chunks(1))
    before = peak()
    await vault.store("C-2026-0007", "big", chunks(500))
    size = 0
    async for chunk in vault.read("C-2026-0007", "big"): size += len(chunk)
    assert size == 500 << 20
    print(peak() - before)
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=True
    )

    assert int(done.stdout) < 64


async def test_a_wrong_master_key_is_refused_at_start(vault: FileVault, tmp_path: Path) -> None:
    """Nobody works for a day under a wrong key and loses it."""
    await vault.create_key(CASE)

    with pytest.raises(StartRefused) as refusal:
        FileVault(tmp_path, os.urandom(32))

    assert refusal.value.code == "wrong_master_key"


async def test_a_lost_key_database_is_refused_while_files_are_there(tmp_path: Path) -> None:
    """An empty key database beside files is a loss, not a fresh start."""
    vault = FileVault(tmp_path, MASTER)
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))
    vault.close()
    shutil.rmtree(tmp_path / "keys")

    with pytest.raises(StartRefused) as refusal:
        FileVault(tmp_path, MASTER)

    assert refusal.value.code == "key_database_missing"


def test_a_damaged_key_database_is_refused(tmp_path: Path) -> None:
    """One line instead of a traceback."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "keys.db").write_bytes(b"no database at all" * 100)

    with pytest.raises(StartRefused) as refusal:
        FileVault(tmp_path, MASTER)

    assert refusal.value.code == "key_database_damaged"


async def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    """Wrapped on disk, unwrapped in memory when wanted."""
    first = FileVault(tmp_path, MASTER)
    await first.create_key(CASE)
    sealed = first.seal(CASE, b"text", context="answer")
    first.close()

    second = FileVault(tmp_path, MASTER)

    assert second.open(CASE, sealed, context="answer") == b"text"
    second.close()


async def test_an_erased_key_is_overwritten_in_memory(vault: FileVault) -> None:
    """What was cached of the key is zeroed."""
    await vault.create_key(CASE)
    vault.salt(CASE)
    cached = list(vault._cache[CASE].values())

    await vault.erase_key(CASE)

    assert {bytes(secret) for secret in cached} == {bytes(32)}


async def test_values_are_never_sealed_under_a_key_that_is_being_wiped(vault: FileVault) -> None:
    """Sealing while another thread erases gives a value of the real key or a refusal, never one of zeros."""
    await vault.create_key(CASE)
    vault.salt(CASE)
    keys = vault._cache[CASE]
    keys[Purpose.CASE_VALUES][:] = bytes(32)
    del vault._cache[CASE]
    vault._cache = _Stale(keys)

    with pytest.raises(Refusal, match="case_erased"):
        vault.seal(CASE, b"text", context="answer")


class _Stale(dict[CaseId, dict[Purpose, bytearray]]):
    """A cache that is asked once just before, and once just after, an erasure."""

    def __init__(self, keys: dict[Purpose, bytearray]) -> None:
        super().__init__()
        self._answers = [keys]

    def get(self, key: CaseId, default: object = None) -> object:  # type: ignore[override]  # a test double
        return self._answers.pop() if self._answers else None


def test_derived_keys_differ_by_purpose() -> None:
    """No two uses share a key, and none of them is the master key."""
    derived = {subkey(MASTER, purpose) for purpose in Purpose}

    assert len(derived) == len(Purpose)
    assert MASTER not in derived
    assert database_key(MASTER) == subkey(MASTER, Purpose.DATABASE)


async def test_keys_are_wrapped_as_rfc_3394_says(vault: FileVault, tmp_path: Path) -> None:
    """40 bytes that open with the derived wrapping key and nothing else of ours."""
    await vault.create_key(CASE)
    with sqlite3.connect(tmp_path / "keys" / "keys.db") as reader:
        (wrapped,) = reader.execute("SELECT wrapped FROM keys").fetchone()
    reader.close()

    key = vault._keys.load(CASE)

    assert key is not None
    assert aes_key_wrap(subkey(MASTER, Purpose.WRAPPING), key) == wrapped
    assert len(wrapped) == 40


def test_a_new_master_key_file_is_private_and_loads(tmp_path: Path) -> None:
    """Made with mode 0600, as text that survives an editor."""
    path = tmp_path / "master.key"

    key = new_master_key_file(path)

    assert load_master_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_master_key_file_is_never_replaced(tmp_path: Path) -> None:
    """Replacing it would lose every open case."""
    path = tmp_path / "master.key"
    key = new_master_key_file(path)

    with pytest.raises(StartRefused) as refusal:
        new_master_key_file(path)

    assert refusal.value.code == "master_key_exists"
    assert load_master_key(path) == key


@pytest.mark.parametrize("text", [MASTER, base64.b64encode(MASTER), base64.b64encode(MASTER) + b"\n"])
def test_a_master_key_may_be_bytes_or_base64(tmp_path: Path, text: bytes) -> None:
    """Both forms that an operator makes with one command."""
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_bytes(text)

    assert load_master_key(path) == MASTER


@pytest.mark.parametrize(
    "text", [b"", b"password", MASTER[:31], MASTER + b"\n", b"a" * 32, base64.b64encode(bytes(32))]
)
def test_a_master_key_that_is_not_32_random_bytes_is_refused(tmp_path: Path, text: bytes) -> None:
    """No pass phrase, no zeros."""
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_bytes(text)

    with pytest.raises(StartRefused) as refusal:
        load_master_key(path)

    assert refusal.value.code == "master_key_malformed"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """One line that says what to do."""
    path = tmp_path / "master.key"
    new_master_key_file(path)
    path.chmod(mode)

    with pytest.raises(StartRefused, match="chmod 600") as refusal:
        load_master_key(path)

    assert refusal.value.code == "master_key_readable"


def test_a_systemd_credential_may_have_its_own_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd guards its credentials' folder itself and shows 0440 for them."""
    path = tmp_path / "master.key"
    key = new_master_key_file(path)
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert load_master_key(path) == key


def test_a_missing_master_key_is_refused(tmp_path: Path) -> None:
    """A new one is never made in silence."""
    with pytest.raises(StartRefused) as refusal:
        load_master_key(tmp_path / "master.key")

    assert refusal.value.code == "master_key_missing"
