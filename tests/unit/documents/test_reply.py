"""What a child says is checked before it is believed."""

import json
import os
from collections.abc import Iterator
from datetime import date

import pytest

from bot.adapters.documents.limits import Limits
from bot.adapters.documents.reply import BrokenReplyError, packed, refusal, unpacked
from bot.domain.documents import (
    CleanCopy,
    DocumentKind,
    Examined,
    FactCode,
    IdentityFound,
    Measurement,
    NoteCode,
    Preview,
    PreviewRole,
    RefusalCode,
    Refused,
)


@pytest.fixture
def places() -> Iterator[tuple[int, int]]:
    """Two anonymous files: for pictures and for the clean copy."""
    pictures, clean = os.memfd_create("pictures"), os.memfd_create("clean")
    yield pictures, clean
    os.close(pictures)
    os.close(clean)


def found(**changes: object) -> Examined:
    whole: dict[str, object] = {
        "kind": DocumentKind.REPORT,
        "mime": "application/dicom",
        "modality": "SR",
        "taken_on": date(2024, 3, 11),
        "frames": 3,
        "frame_rate": 25.5,
        "facts": {FactCode.ECHO_LVEF: "35 %"},
        "measurements": (
            Measurement(scheme="LN", code="18043-0", meaning="LVEF", value="35", unit="%", fact=FactCode.ECHO_LVEF),
        ),
        "previews": (
            Preview(role=PreviewRole.STILL, mime="image/png", data=b"one", width=4, height=5),
            Preview(role=PreviewRole.LOOP, mime="video/mp4", data=b"second", width=6, height=7, duration_ms=40),
        ),
        "identity": IdentityFound(tags=2, tokens=frozenset({"marie", "30.07.1958"})),
        "notes": (NoteCode.TRUNCATED, NoteCode.PIXELS_NOT_CLEARED),
    }
    return Examined(**(whole | changes))  # type: ignore[arg-type]  # the keys are the fields


def test_what_was_found_arrives_whole(places: tuple[int, int]) -> None:
    """Every field survives the way between two processes."""
    pictures, clean = places
    os.write(clean, b"copy")
    sent = found(clean=CleanCopy(fd=99, size=4, mime="image/png"))
    came = unpacked(packed(sent, pictures), pictures=pictures, clean=clean, limits=Limits())
    assert came == found(clean=CleanCopy(fd=clean, size=4, mime="image/png"))
    assert os.lseek(clean, 0, os.SEEK_CUR) == 0


def test_a_refusal_arrives_as_one(places: tuple[int, int]) -> None:
    """With its code."""
    with pytest.raises(Refused) as refused:
        unpacked(refusal(RefusalCode.BOMB), pictures=places[0], clean=places[1], limits=Limits())
    assert refused.value.code is RefusalCode.BOMB


def test_pictures_beyond_what_may_be_held_are_left_out(places: tuple[int, int]) -> None:
    """The parent never reads more than its limits, whatever the child says."""
    sent = packed(found(), places[0])
    came = unpacked(sent, pictures=places[0], clean=places[1], limits=Limits(preview=4))
    assert [one.data for one in came.previews] == [b"one"]
    came = unpacked(sent, pictures=places[0], clean=places[1], limits=Limits(previews=7))
    assert [one.data for one in came.previews] == [b"one"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something"},
        {"mime": "text/html; <script>"},
        {"facts": {"made.up": "1"}},
        {"facts": ["ecg.qrs"]},
        {"notes": ["all is well"]},
        {"clean": {"size": 12, "mime": "image/png"}},
        {"previews": [{"role": "still", "mime": "text/html", "at": 0, "size": 3, "width": 1, "height": 1, "ms": None}]},
        {
            "previews": [
                {"role": "still", "mime": "image/png", "at": 0, "size": 30, "width": 1, "height": 1, "ms": None}
            ]
        },
        {"tokens": 5},
    ],
)
def test_a_child_that_says_what_none_says_is_not_believed(places: tuple[int, int], change: dict[str, object]) -> None:
    """A decoder that was taken over can only be refused."""
    said = json.loads(packed(found(), places[0])) | change
    with pytest.raises(BrokenReplyError):
        unpacked(json.dumps(said).encode(), pictures=places[0], clean=places[1], limits=Limits())


@pytest.mark.parametrize("reply", [b"", b"null", b"[]", b"{}", b"\xff", b'{"refused": "x"}', b"[" * 100_000])
def test_noise_is_no_reply(places: tuple[int, int], reply: bytes) -> None:
    """Nothing comes through but what was agreed on."""
    with pytest.raises(BrokenReplyError):
        unpacked(reply, pictures=places[0], clean=places[1], limits=Limits())


def test_texts_are_short_and_cannot_turn_the_line(places: tuple[int, int]) -> None:
    """Control characters and marks of direction are taken out of what will be shown in a chat."""
    sent = found(facts={FactCode.ECG_STATEMENT: "a\u202eb\nc" + "x" * 1000})
    came = unpacked(packed(sent, places[0]), pictures=places[0], clean=places[1], limits=Limits())
    assert came.facts[FactCode.ECG_STATEMENT].startswith("a b c")
    assert len(came.facts[FactCode.ECG_STATEMENT]) == 500
