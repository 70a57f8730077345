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

    key = await expert.resets_identity()
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


async def test_a_requester_with_a_new_identity_comes_back_into_the_room_of_his_case(ward: Ward) -> None:
    """He is left out and told; after `recover` and an admin he is invited again and goes on with the same case."""
    requester, admin = await asyncio.gather(ward.phone("requester"), ward.phone("admin", roles=("admin",)))
    case = await ward.opens(requester)
    await requester.types("no", case.room)
    await requester.hears("question", case.room, field="patient")

    await requester.person.reset_identity()
    await requester.person.wait_identity(
        requester.user_id, lambda own: requester.person.device_id in own.signed_devices
    )
    await requester.types("ref 4711, 1958, F", case.room)
    await requester.person.wait_member(case.room, requester.user_id, "leave", timeout=60)
    await requester.types(f"!recover {requester.code()}")
    await requester.hears("recover_waits")
    await admin.types(f"!admin approve {requester.user_id} called on the ward's telephone")
    await requester.hears("recovered")
    await requester.person.wait_member(case.room, requester.user_id, timeout=60)
    await requester.unlocks()
    await requester.types("!form", case.room)
    form = await requester.hears("form_status", case.room)
    assert "patient_ref" in form.data["missing"], "what came from the unknown identity does not count"
    assert "not_emergency_ack" not in form.data["missing"], "what was answered before does"
