"""A lost phone: whoever comes back with a new identity is refused until a fresh code and an admin say that it is he."""

import asyncio

import pytest

from tests.flows.ward import QUESTION, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_new_identity_is_refused_until_recover_and_an_admin_and_then_reads_new_dossiers(ward: Ward) -> None:
    """The pin does not move by itself; the admin compares the new fingerprint; open cases come again."""
    requester, expert, admin = await asyncio.gather(
        ward.phone("requester"),
        ward.phone("expert", lines={"dermatology": "dermatologist"}),
        ward.phone("admin", roles=("admin",)),
    )
    case = await ward.asks(requester)
    await ward.takes(expert, case)

    key = await expert.person.reset_identity()
    await expert.person.wait_identity(expert.user_id, lambda own: expert.person.device_id in own.signed_devices)
    await expert.types(f"!unlock {expert.code()}")
    refused = await expert.hears("error", code="identity_changed")
    assert "recover" in refused.body
    await expert.types("!draft treatment: nothing", case.room)
    await expert.types(f"!recover {expert.code()}")
    await expert.hears("recover_waits")
    shown = await admin.person.wait_for(
        admin.direct, lambda m: m.data.get("user") == expert.user_id, timeout=60, what="what the admin sees"
    )
    assert key.rstrip("=") in shown.body.replace(" ", "")
    await admin.types(f"!admin approve {expert.user_id} fingerprint read aloud on the hospital's phone")
    await admin.hears("recovered", user=expert.user_id)
    await expert.hears("recovered")
    again = await expert.hears("dossier", case.room)
    assert QUESTION in again.body

    await expert.unlocks()
    other = await ward.asks(requester, question="And this one?")
    dossier = await ward.takes(expert, other)
    assert "And this one?" in dossier.body
    assert dossier.shield == "none"
