"""What every vault promises, the one on disk and the one of the tests."""

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from bot.adapters.vault import FileVault
from bot.domain.errors import Permanent, Refusal
from bot.domain.ids import CaseId
from bot.services.ports import Vault
from tests.fakes.vault import MemoryVault

CASE = CaseId("C-2026-0007")
OTHER = CaseId("C-2026-0008")
MIB = 1 << 20
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 9 * MIB + 17]


class Spoil(Protocol):
    """Damages a stored file of a vault."""

    def __call__(self, case_id: CaseId, file_id: str) -> None: ...


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Vault, Spoil]]:
    """A fresh vault, and a way to damage its files."""
    if request.param == "memory":
        memory = MemoryVault()
        yield memory, memory.damage
        return
    disk = FileVault(tmp_path, os.urandom(32))

    def spoil(case_id: CaseId, file_id: str) -> None:
        path = tmp_path / "files" / case_id / file_id
        sealed = bytearray(path.read_bytes())
        sealed[-1] ^= 1
        path.write_bytes(sealed)

    yield disk, spoil
    disk.close()


@pytest.fixture
def vault(world: tuple[Vault, Spoil]) -> Vault:
    """The vault alone."""
    return world[0]


async def pieces(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """Yield *content* as a network does."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def broken() -> AsyncIterator[bytes]:
    """Yield something, then break off."""
    yield b"half of it"
    raise ConnectionError


async def content(vault: Vault, case_id: CaseId, file_id: str) -> bytes:
    """Read a whole file."""
    return b"".join([chunk async for chunk in vault.read(case_id, file_id)])


async def test_a_sealed_value_opens_again(vault: Vault) -> None:
    """What is sealed for a case and a context is opened with the same two."""
    await vault.create_key(CASE)

    sealed = vault.seal(CASE, b"FEVG 35 %", context="answer")

    assert vault.open(CASE, sealed, context="answer") == b"FEVG 35 %"


async def test_a_sealed_value_does_not_show_its_content(vault: Vault) -> None:
    """The clear text is not in the sealed value, and the same text is never sealed alike."""
    await vault.create_key(CASE)

    first, second = (vault.seal(CASE, b"amyloidosis", context="answer") for _ in range(2))

    assert b"amyloidosis" not in first
    assert first != second


@pytest.mark.parametrize("spoilt", ["context", "case", "bit", "short", "empty"])
async def test_a_value_that_was_moved_or_changed_is_refused(vault: Vault, spoilt: str) -> None:
    """A sealed value is bound to its case and context, and to every bit."""
    await vault.create_key(CASE)
    await vault.create_key(OTHER)
    sealed = vault.seal(CASE, b"text", context="answer")
    case_id, value, context = {
        "context": (CASE, sealed, "draft"),
        "case": (OTHER, sealed, "answer"),
        "bit": (CASE, sealed[:-1] + bytes([sealed[-1] ^ 1]), "answer"),
        "short": (CASE, sealed[:-1], "answer"),
        "empty": (CASE, b"", "answer"),
    }[spoilt]

    with pytest.raises(Permanent, match="value_damaged"):
        vault.open(case_id, value, context=context)


async def test_a_second_key_for_a_case_changes_nothing(vault: Vault) -> None:
    """Making a key twice keeps the first."""
    await vault.create_key(CASE)
    sealed = vault.seal(CASE, b"text", context="answer")

    await vault.create_key(CASE)

    assert vault.open(CASE, sealed, context="answer") == b"text"


async def test_the_salt_is_the_case_s_own_and_stays(vault: Vault) -> None:
    """Pseudonyms of one case cannot be compared with those of another."""
    await vault.create_key(CASE)
    await vault.create_key(OTHER)

    assert vault.salt(CASE) == vault.salt(CASE)
    assert len(vault.salt(CASE)) == 32
    assert vault.salt(CASE) != vault.salt(OTHER)


async def test_without_a_key_nothing_works(vault: Vault) -> None:
    """A case whose key was never made or was erased is refused everywhere."""
    await vault.create_key(CASE)
    sealed = vault.seal(CASE, b"text", context="answer")
    await vault.store(CASE, "f1", pieces(b"file"))

    await vault.erase_key(CASE)

    with pytest.raises(Refusal, match="case_erased"):
        vault.seal(CASE, b"text", context="answer")
    with pytest.raises(Refusal, match="case_erased"):
        vault.open(CASE, sealed, context="answer")
    with pytest.raises(Refusal, match="case_erased"):
        vault.salt(CASE)
    with pytest.raises(Refusal, match="case_erased"):
        await vault.store(CASE, "f2", pieces(b"file"))
    with pytest.raises(Refusal, match="case_erased"):
        await content(vault, CASE, "f1")
    with pytest.raises(Refusal, match="case_erased"):
        await vault.memory_file(CASE, "f1")


async def test_a_new_key_does_not_open_what_the_erased_one_sealed(vault: Vault) -> None:
    """Erased is erased, also when the case's number gets a key again."""
    await vault.create_key(CASE)
    sealed = vault.seal(CASE, b"text", context="answer")
    salt = vault.salt(CASE)
    await vault.erase_key(CASE)

    await vault.create_key(CASE)

    assert vault.salt(CASE) != salt
    with pytest.raises(Permanent, match="value_damaged"):
        vault.open(CASE, sealed, context="answer")


async def test_erasing_a_case_leaves_the_others_alone(vault: Vault) -> None:
    """One key, one case."""
    await vault.create_key(CASE)
    await vault.create_key(OTHER)
    sealed = vault.seal(OTHER, b"text", context="answer")
    await vault.store(OTHER, "f1", pieces(b"file"))

    await vault.erase_key(CASE)
    await vault.delete_files(CASE)

    assert vault.open(OTHER, sealed, context="answer") == b"text"
    assert await content(vault, OTHER, "f1") == b"file"


async def test_erasing_is_repeatable(vault: Vault) -> None:
    """A key that is gone can be erased again, as after a crash."""
    await vault.create_key(CASE)
    await vault.erase_key(CASE)

    await vault.erase_key(CASE)
    await vault.erase_key(OTHER)

    with pytest.raises(Refusal, match="case_erased"):
        vault.salt(CASE)


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_comes_back_as_it_was(vault: Vault, size: int) -> None:
    """Any size, with the hash and size of the clear content."""
    clear = os.urandom(size)
    await vault.create_key(CASE)

    stored = await vault.store(CASE, "f1", pieces(clear))

    assert (stored.file_id, stored.size, stored.sha256) == ("f1", size, hashlib.sha256(clear).hexdigest())
    assert await content(vault, CASE, "f1") == clear


async def test_a_file_can_be_replaced(vault: Vault) -> None:
    """Storing under a name again replaces the content as a whole."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"older and longer"))

    await vault.store(CASE, "f1", pieces(b"newer"))

    assert await content(vault, CASE, "f1") == b"newer"


async def test_a_stream_that_breaks_off_leaves_nothing(vault: Vault) -> None:
    """A file is visible when it is complete, or not at all."""
    await vault.create_key(CASE)

    with pytest.raises(ConnectionError):
        await vault.store(CASE, "f1", broken())

    with pytest.raises(Permanent, match="file_missing"):
        await content(vault, CASE, "f1")
    assert await vault.delete_files(CASE) == 0


async def test_a_stream_that_breaks_off_keeps_the_older_file(vault: Vault) -> None:
    """A failed replacement changes nothing."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"older"))

    with pytest.raises(ConnectionError):
        await vault.store(CASE, "f1", broken())

    assert await content(vault, CASE, "f1") == b"older"


async def test_a_case_that_is_erased_while_a_file_comes_in_does_not_get_it(vault: Vault) -> None:
    """Erasure wins over what is under way."""
    await vault.create_key(CASE)

    async def stream() -> AsyncIterator[bytes]:
        yield b"first"
        await vault.erase_key(CASE)
        yield b"second"

    with pytest.raises(Refusal, match="case_erased"):
        await vault.store(CASE, "f1", stream())

    assert await vault.delete_files(CASE) == 0


async def test_a_case_that_is_erased_while_a_file_is_read_stops_the_reader(vault: Vault) -> None:
    """Erasure wins over who is reading."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(os.urandom(12 * MIB)))
    reader = aiter(vault.read(CASE, "f1"))
    await anext(reader)

    await vault.erase_key(CASE)

    with pytest.raises(Refusal, match="case_erased"):
        await anext(reader)


async def test_a_damaged_file_is_refused(world: tuple[Vault, Spoil]) -> None:
    """Damage is found, in a stream and in memory."""
    vault, spoil = world
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))

    spoil(CASE, "f1")

    with pytest.raises(Permanent, match="file_damaged"):
        await content(vault, CASE, "f1")
    with pytest.raises(Permanent, match="file_damaged"):
        await vault.memory_file(CASE, "f1")


async def test_a_file_that_was_never_stored_is_missing(vault: Vault) -> None:
    """Missing is told apart from damaged."""
    await vault.create_key(CASE)

    with pytest.raises(Permanent, match="file_missing"):
        await content(vault, CASE, "f1")


async def test_a_memory_file_holds_the_clear_content(vault: Vault) -> None:
    """A decoder gets a descriptor that stands at the beginning and has no name on any disk."""
    clear = os.urandom(2 * MIB + 5)
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(clear))

    descriptor = await vault.memory_file(CASE, "f1")

    with os.fdopen(descriptor, "rb") as memory:
        assert str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/memfd:")
        assert memory.read() == clear


async def test_deleting_files_counts_them_and_is_repeatable(vault: Vault) -> None:
    """Files go one by one, or all of a case."""
    await vault.create_key(CASE)
    for name in ("f1", "f2", "f3"):
        await vault.store(CASE, name, pieces(b"file"))

    await vault.delete_file(CASE, "f1")
    await vault.delete_file(CASE, "f1")

    assert await vault.delete_files(CASE) == 2
    assert await vault.delete_files(CASE) == 0


async def test_files_can_be_deleted_after_the_key(vault: Vault) -> None:
    """The sequence of an erasure: key first, files second."""
    await vault.create_key(CASE)
    await vault.store(CASE, "f1", pieces(b"file"))
    await vault.erase_key(CASE)

    assert await vault.delete_files(CASE) == 1
