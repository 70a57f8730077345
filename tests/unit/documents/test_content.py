"""Files are told apart by their first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.documents.content import Content, recognise
from bot.domain.documents import disagrees
from tests.unit.documents import made

_PREAMBLE = bytes(128)


@pytest.mark.parametrize(
    "head,content",
    [
        (_PREAMBLE + b"DICM\x02\x00", Content.DICOM),
        (b"II*\x00" + bytes(124) + b"DICM\x02\x00", Content.DICOM),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", Content.DICOM),
        (b"\x08\x00\x08\x00\x1a\x00\x00\x00ORIGINAL", Content.DICOM),
        (b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100", Content.DICOM),
        (b"junk before\n%PDF-1.7\n", Content.PDF),
        (b"\xff\xd8\xff\xe1\x00\x10Exif", Content.JPEG),
        (b"\x00\x00\x00\x24ftypheic", Content.HEIC),
        (b"\x00\x00\x00\x20ftypisom", Content.MP4),
        (b"\x00\x00\x00\x14ftypqt  ", Content.MP4),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", Content.WEBP),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", Content.UNKNOWN),
        (bytes(6) + bytes(10) + b"SCPECG", Content.SCP_ECG),
        (b'\xef\xbb\xbf<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3">', Content.ECG_XML),
        ('<?xml version="1.0" encoding="UTF-16"?><RestingECG>'.encode("utf-16"), Content.ECG_XML),
        (b"<html><body>", Content.XML),
        (b"PK\x03\x04\x14\x00", Content.ZIP),
        (b"0       X X X X", Content.EDF),
        (b"a < b and b > c", Content.UNKNOWN),
        (b"", Content.UNKNOWN),
    ],
)
def test_a_format_shows_in_its_first_bytes(head: bytes, content: Content) -> None:
    """A picture's magic in a DICOM preamble is no picture; text with brackets is no XML."""
    assert recognise(head) is content


@given(st.binary(max_size=300))
def test_any_bytes_are_something_or_unknown(head: bytes) -> None:
    """Recognition never fails."""
    assert recognise(head) in Content


@pytest.mark.parametrize(
    "declared,found,contradicts",
    [
        ("image/jpg", "image/jpeg", False),
        ("image/jpeg; q=1", "image/jpeg", False),
        ("application/octet-stream", "application/dicom", False),
        ("", "application/pdf", False),
        ("video/quicktime", "video/mp4", False),
        ("application/pdf", "image/png", True),
        ("image/jpeg", "application/dicom", True),
    ],
)
def test_a_declared_type_contradicts_only_if_it_says_something(declared: str, found: str, contradicts: bool) -> None:
    """Programmes that declare nothing in particular do not lie."""
    assert disagrees(declared, found) is contradicts


def test_files_without_preamble_are_dicom_too() -> None:
    """PS3.5 data sets as old machines export them."""
    assert recognise(made.packaged("ExplVR_LitEndNoMeta.dcm")) is Content.DICOM
    assert recognise(made.packaged("ExplVR_BigEndNoMeta.dcm")) is Content.DICOM
