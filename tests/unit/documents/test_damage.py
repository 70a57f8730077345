"""Files that are damaged anywhere get an answer, from the readers themselves and without their child process."""

import os
import random
from collections.abc import Iterator

import pytest
from pydicom.uid import JPEGBaseline8Bit

from bot.adapters.documents.examination import examine
from bot.adapters.documents.job import Job
from bot.domain.documents import DocumentKind, Examined, NoteCode, RefusalCode, Refused
from tests.unit.documents import made


def look_into(data: bytes) -> tuple[Examined, bytes]:
    """Examine *data* in this process and return the clean copy beside it."""
    source, clean = os.memfd_create("source"), os.memfd_create("clean")
    os.pwrite(source, data, 0)
    with os.fdopen(source, "rb") as file, os.fdopen(clean, "w+b") as copy:
        found = examine(Job(source=file, size=len(data), clean=copy, strip=True, salt=b"s" * 32))
        copy.flush()
        copy.seek(0)
        return found, copy.read() if found.clean else b""


def damaged(whole: bytes, seed: int) -> Iterator[bytes]:
    """Yield copies of *whole* with flipped bytes, wrong lengths, missing and doubled pieces, mostly near the start."""
    choice = random.Random(seed)
    for _ in range(8):
        data = bytearray(whole)
        for _ in range(choice.choice([1, 3, 20])):
            at = choice.randrange(min(len(data), 2500))
            how = choice.randrange(4)
            if how == 0:
                data[at] = choice.randrange(256)
            elif how == 1:
                data[at : at + 4] = choice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"])
            elif how == 2:
                del data[at : at + choice.randrange(1, 40)]
            else:
                data[at:at] = data[at : at + choice.randrange(1, 40)]
        yield bytes(data)


@pytest.mark.parametrize(
    "whole",
    [
        made.loop(made.screens(2, 48, 64), made.with_regions(made.region(0, 30, 63, 47)), syntax=JPEGBaseline8Bit),
        made.an_ecg(),
        made.echo_report(),
        made.pdf(),
        made.photo(),
        made.photo("PNG"),
        made.packaged("CT_small.dcm"),
        made.packaged("MR_small_RLE.dcm"),
    ],
    ids=["loop", "ecg", "report", "pdf", "jpeg", "png", "ct", "rle"],
)
@pytest.mark.parametrize("seed", range(int(os.environ.get("CONSILIUM_SOAK", "0")) * 200 + 1))
def test_damage_anywhere_gets_an_answer_and_leaks_nothing(whole: bytes, seed: int) -> None:
    """Either something true is said or the file is refused by a code; and no copy carries a name."""
    for data in damaged(whole, seed):
        try:
            found, clean = look_into(data)
        except Refused:
            continue
        assert found.kind in DocumentKind
        assert f"{made.PLANTED}NAME".encode() not in clean


def test_a_length_that_lies_reserves_no_memory() -> None:
    """Four gigabytes claimed in twenty bytes."""
    whole = made.header(made.ULTRASOUND_IMAGE, "US")
    data = made.written(whole) + b"\x10\x00\x10\x40OB\0\0\xf0\xff\xff\xff" + b"short"
    found, _ = look_into(data)
    assert found.kind is DocumentKind.DATA


def test_entries_that_do_not_read_do_not_hide_the_others() -> None:
    """A broken element is dropped; the modality behind it is still read."""
    whole = made.header(made.ULTRASOUND_IMAGE, "US")
    whole.Rows = 10
    data = made.written(whole)
    at = data.index(b"\x08\x00\x20\x00DA")
    broken = data[: at + 4] + b"ZZ" + data[at + 6 :]
    found, _ = look_into(broken)
    assert found.kind in (DocumentKind.DATA, DocumentKind.UNKNOWN)
    found, _ = look_into(data.replace(b"(\x00\x10\x00US\x02\x00\n\x00", b"(\x00\x10\x00US\x01\x00\n"))
    assert found.modality == "US"


def test_a_film_of_an_unknown_codec_says_so() -> None:
    """The container opens, the picture does not."""
    found, _ = look_into(made.film().replace(b"avc1", b"zzzz"))
    assert found.notes in (
        (NoteCode.UNSUPPORTED_SYNTAX,),
        (NoteCode.UNREADABLE,),
    )


def test_a_directory_of_a_cd_is_known_and_not_drawn() -> None:
    """DICOMDIR by content."""
    found, _ = look_into(made.packaged("DICOMDIR"))
    assert (found.kind, found.notes) == (DocumentKind.DATA, (NoteCode.NOT_SHOWN,))


def test_an_empty_file_has_its_code_here_too() -> None:
    """The size that counts is what is there."""
    with pytest.raises(Refused) as refused:
        look_into(b"")
    assert refused.value.code is RefusalCode.EMPTY
