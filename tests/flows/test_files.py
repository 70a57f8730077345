"""Files as they come in a hospital: empty, cut, lying, too large, damaged, many at once, and large."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any

import pytest

from bot.lab.letter import a_letter
from tests.flows.test_story import a_file_of
from tests.flows.ward import Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEGABYTE = 1_000_000


async def test_an_empty_a_cut_and_a_lying_file_each_get_a_clear_answer(ward: Ward) -> None:
    """0 bytes are refused; a cut DICOM and one with a lying name and type are kept, and it is said what is wrong."""
    requester = await ward.phone("requester")
    case = await ward.opens(requester)
    whole = a_file_of("waveform_ecg.dcm")
    await requester.drops(b"", case.room, name="leer.dcm")
    empty = await requester.hears("document_refused", case.room, n=1)
    assert empty.data["code"] == "empty"
    assert "0 bytes" in empty.body

    cut = whole[: len(whole) // 2]
    await requester.drops(cut, case.room, name="ecg.dcm", mime="application/dicom")
    half = await requester.hears("document_received", case.room, n=2)
    assert half.data["sha256"] == hashlib.sha256(cut).hexdigest()
    assert half.data["notes"], "what is wrong with it is said"
    assert len(half.body.splitlines()) > 1

    await requester.drops(whole, case.room, name="urlaub.jpg", mime="image/jpeg")
    lying = await requester.hears("document_received", case.room, n=3)
    assert lying.data["document_kind"] == "ecg", "the content counts, not the name"
    await requester.drops(a_letter(), case.room, name="ECG.dcm", mime="application/dicom")
    letter = await requester.hears("document_received", case.room, n=4)
    assert letter.data["document_kind"] == "pdf"


async def test_a_file_over_the_limit_of_the_line_is_refused_with_the_limit(ward: Ward) -> None:
    """By what the message claims, and by what comes: a claim that is too small does not help."""
    requester = await ward.phone("requester")
    case = await ward.opens(requester, "small")
    big = os.urandom(MEGABYTE + 200_000)
    sent = await requester.drops(big, case.room)
    refused = await requester.hears("error", case.room, code="document_too_large")
    assert "1 MB" in refused.body
    content = dict((await requester.person.wait_event(sent)).content)
    content["info"] = {"size": 5, "mimetype": "image/png"}
    await requester.person.send_raw(case.room, "m.room.message", content)
    told = await requester.hears("document_refused", case.room)
    assert told.data["code"] == "too_large"


async def test_a_file_whose_hash_is_wrong_is_not_taken(ward: Ward) -> None:
    """Somebody changed the bytes on the server: said, nothing kept, and the same file sent right is taken."""
    requester = await ward.phone("requester")
    case = await ward.opens(requester)
    data = a_letter()
    sent = await requester.drops(data, case.room)
    await requester.hears("document_received", case.room, n=1)
    content = dict((await requester.person.wait_event(sent)).content)
    await requester.person.send_raw(case.room, "m.room.message", with_wrong_hash(content))
    told = await requester.hears("document_refused", case.room, n=2)
    assert told.data["code"] == "bad_hash"
    await requester.drops(data + b"\n% again", case.room)
    right = await requester.hears("document_received", case.room, n=3)
    assert right.data["sha256"] == hashlib.sha256(data + b"\n% again").hexdigest()


def with_wrong_hash(content: Mapping[str, Any]) -> dict[str, Any]:
    wrong = base64.b64encode(bytes(32)).decode().rstrip("=")
    return {**content, "file": {**content["file"], "hashes": {"sha256": wrong}}}


async def test_documents_dropped_at_the_same_time_are_all_taken_and_answers_go_on_meanwhile(ward: Ward) -> None:
    """Three files and three answers cross: each file is receipted once, each answer understood."""
    requester, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("expert", lines={"rhythmology": "rhythmologist"})
    )
    case = await ward.opens(requester, "rhythmology")
    files = (a_file_of("waveform_ecg.dcm"), a_file_of("color3d_jpeg_baseline.dcm"), a_letter())
    await asyncio.gather(*(requester.drops(data, case.room) for data in files))
    for text in ("no", "ref 9001, 1949, M", "agrees, seen", "Does he need a pacemaker?"):
        await requester.types(text, case.room)
    received = [await requester.hears("document_received", case.room) for _ in files]
    assert sorted(m.data["n"] for m in received) == [1, 2, 3]
    assert {m.data["sha256"] for m in received} == {hashlib.sha256(data).hexdigest() for data in files}
    await requester.types("!submit anyway", case.room)
    await requester.hears("submitted", case.room)
    dossier = await ward.takes(expert, case)
    assert dossier.data["documents"] == 3
    await requester.drops(a_letter() + b"\n% one more", case.room)
    await requester.hears("document_received", case.room, n=4)
    assert (await expert.hears("document", case.room, n=4)).decryption_failure is None


async def test_a_file_of_30_mb_arrives_whole_and_reaches_the_expert(ward: Ward) -> None:
    """What comes is what was sent, byte by byte."""
    requester, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("expert", lines={"rhythmology": "rhythmologist"})
    )
    data = os.urandom(30 * MEGABYTE)
    case = await ward.opens(requester, "rhythmology")
    await requester.drops(data, case.room, name="study.zip", mime="application/zip")
    received = await requester.hears("document_received", case.room, n=1)
    assert (received.data["sha256"], received.data["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    for text in ("no", "ref 9002, 1949, M", "agrees, seen", "Does he need a pacemaker?", "!submit anyway"):
        await requester.types(text, case.room)
    await ward.takes(expert, case)
    await expert.hears("document_facts", case.room, n=1)
    await expert.types("!original 1", case.room)
    shown = await expert.hears("document", case.room, n=1, role="file")
    assert await expert.person.download(shown.content) == data
