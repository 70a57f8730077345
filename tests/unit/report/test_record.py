"""The machine-readable file inside the PDF."""

import json

import pytest

from bot.adapters.report import record
from tests.fakes.report import EXPERT, SECOND, a_certificate, an_opinion


def test_an_opinion_is_read_back() -> None:
    """Case, version, what it supersedes, signatories and documents come back as they were."""
    opinion = an_opinion(version=3, supersedes="ab" * 32)

    assert record.read(record.opinion_json(opinion).encode()) == record.Record(
        kind="opinion",
        case_id=opinion.case_id,
        version=3,
        supersedes="ab" * 32,
        signatories=(EXPERT.inami, SECOND.inami),
        documents=opinion.documents,
    )


def test_a_certificate_is_read_back() -> None:
    """It is known by its format."""
    assert record.read(record.certificate_json(a_certificate()).encode()) == record.Record(
        kind="erasure", case_id=a_certificate().case_id
    )


def test_times_are_utc_and_any_text_fits() -> None:
    """ISO times with Z; halves of pairs and controls survive as escapes."""
    written = record.opinion_json(an_opinion(reasons="\ud800\x00"))

    assert written.isascii()
    assert json.loads(written)["reasons"] == "\ud800\x00"
    assert json.loads(written)["times"]["asked"] == "2026-03-02T08:12:00Z"


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"null", b'{"v": 1}', b'{"v": 1, "format": "org.consilium.opinion", "case": 1}']
)
def test_anything_else_is_none_of_ours(content: bytes) -> None:
    """A foreign attachment is no record, and no error."""
    assert record.read(content) is None
