"""Who comes late reads the whole dossier, on every device that its owner has verified."""

import asyncio
from datetime import timedelta

import pytest

from bot.lab.clients import Message, Person
from bot.lab.letter import a_letter
from tests.flows.test_story import a_file_of
from tests.flows.ward import DRAFT, QUESTION, Case, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def whole_dossier(reader: Person, case: Case, *, documents: int, since: int = 0) -> list[bytes]:
    """Wait for a dossier and every document of it as one device reads them; return the files."""
    first = await reader.wait_kind(case.room, "dossier", timeout=60, since=since)
    assert first.decryption_failure is None
    assert QUESTION in first.body
    assert first.data["documents"] == documents
    seen: dict[int, Message] = {}
    for n in range(1, documents + 1):
        seen[n] = await reader.wait_kind(case.room, "document", timeout=60, since=since, n=n)
    files = [await reader.download(message.content) for message in seen.values()]
    assert all(len(data) > 1000 for data in files)
    return files


async def test_an_expert_who_comes_an_hour_later_and_a_second_device_read_the_whole_dossier(ward: Ward) -> None:
    """The dossier is given again under one heading, from the same media; a device signed before the case has it too."""
    requester, first, late = await asyncio.gather(
        ward.phone("requester"),
        ward.phone("first", lines={"rhythmology": "rhythmologist"}),
        ward.phone("late", lines={"rhythmology": "rhythmologist"}),
    )
    other_device = await first.person.new_device(auto_accept=True)
    files = (a_file_of("waveform_ecg.dcm"), a_letter())
    case = await ward.asks(requester, line="rhythmology", files=files)

    await ward.takes(first, case)
    both = await asyncio.gather(
        whole_dossier(other_device, case, documents=2),
        documents_of(first.person, case, 2),
    )
    assert both[0] == both[1]
    await first.types(f"!draft {DRAFT.replace('treatment', 'drug')}", case.room)
    await first.hears("drafted", case.room)

    ward.clock.jump(timedelta(hours=1))
    await late.types(f"!take {case.id}")
    refused = await late.hears("error", code="already_taken")
    assert first.name in refused.body
    rings = len([m for m in first.said_by_bot(first.direct) if m.kind == "ring"])
    await first.types(f"!bring {late.user_id} second opinion", case.room)
    assert await whole_dossier(late.person, case, documents=2) == both[0]
    assert (await late.hears("drafted", case.room)).decryption_failure is None
    assert len([m for m in first.said_by_bot(first.direct) if m.kind == "ring"]) == rings, "no ring for the others"


async def documents_of(reader: Person, case: Case, count: int) -> list[bytes]:
    """Return the first file of each document as one device reads them."""
    return [
        await reader.download((await reader.wait_kind(case.room, "document", timeout=60, n=n)).content)
        for n in range(1, count + 1)
    ]


async def test_a_device_that_came_later_reads_the_dossier_after_resend(ward: Ward) -> None:
    """What was posted before is not for the new device; `resend` gives it the whole dossier from the same media."""
    requester, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("expert", lines={"dermatology": "dermatologist"})
    )
    case = await ward.asks(requester, files=[a_letter()])
    await ward.takes(expert, case)
    await expert.hears("document", case.room, n=1)

    new = await expert.person.new_device(auto_accept=True)
    mark = new.mark()
    await new.send(expert.direct, expert.code())
    await new.wait_kind(expert.direct, "unlocked", timeout=60)
    await new.send(case.room, "!resend")
    again = await whole_dossier(new, case, documents=1, since=mark)
    assert len(again) == 1
    media = await ward.lab.media_of(case.id)
    assert len(media) == len(set(media))
