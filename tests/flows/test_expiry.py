"""The end of a case: its room and every file are gone from the homeserver, and nothing of anybody else is touched."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.domain.audit import first_break
from bot.lab.letter import a_letter
from bot.wiring import opened_records
from tests.flows.ward import Ward, a_ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def own_ward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    """A hospital of its own: weeks pass here."""
    async with a_ward(tmp_path_factory.mktemp("expiry")) as ward:
        yield ward


async def test_a_case_expires_to_the_end_and_leaves_everything_else(own_ward: Ward) -> None:
    """Warned twice, redacted, then room and media answer 404; another case of the same hour and its files stay."""
    ward = own_ward
    lines = {"dermatology": "dermatologist"}
    requester, other, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("other"), ward.phone("expert", lines=lines)
    )
    case, neighbour = await asyncio.gather(
        ward.asks(requester, files=[a_letter()]), ward.asks(other, files=[a_letter() + b"\n% another"])
    )
    chat = await requester.person.create_room(other.user_id)
    sent = await requester.drops(b"between two people" * 100, chat)
    private = (await requester.person.wait_event(sent)).content["file"]["url"]

    await ward.takes(expert, case)
    await ward.answers(expert, requester, case)
    await requester.types(f"!acknowledge {case.id}")
    await requester.hears("acknowledged", case=case.id)
    media = await ward.lab.media_of(case.id)
    assert len(media) >= 3

    ward.clock.jump(timedelta(days=11, hours=1))
    warning = await requester.hears("expiry_warning", case=case.id)
    assert case.id in warning.body
    ward.clock.jump(timedelta(days=2))
    await requester.hears("expiry_warning", case=case.id)
    ward.clock.jump(timedelta(days=1, minutes=10))
    await requester.person.wait_for(
        case.room, lambda m: m.redacted and m.sender == ward.lab.bot_id, timeout=60, what="a redaction"
    )
    await stage(ward, case.id, "redacted")
    ward.clock.jump(timedelta(hours=24, minutes=1))
    erased = await requester.hears("erased", case=case.id, seconds=90)
    certificate = erased.data["certificate"]
    assert not {"rooms_left", "media_left", "no_eraser"} & set(certificate["not_reached"])

    assert not await ward.lab.room_is_there(case.room)
    assert [m for m in media if await ward.lab.medium_is_there(m)] == []
    kept = [private, *await ward.lab.media_of(neighbour.id)]
    assert len(kept) >= 2
    assert all([await ward.lab.medium_is_there(m) for m in kept]), "files of others are not touched"
    assert await ward.lab.room_is_there(neighbour.room)
    assert await ward.lab.room_is_there(requester.direct)
    async with opened_records(ward.lab.config, ward.clock) as records:
        assert first_break(await records.store.audit_rows()) is None
    assert (await ward.lab.certificate_pdf(case.id)).startswith(b"%PDF")
    await requester.types(f"!show {case.id}")
    gone = await requester.hears("error", code="case_erased")
    assert case.id in gone.body


async def stage(ward: Ward, case_id: str, wanted: str) -> None:
    async with asyncio.timeout(60):
        while await ward.lab.erasure_stage(case_id) != wanted:
            await asyncio.sleep(0.1)
