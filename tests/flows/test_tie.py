"""Two experts take the same case in the same moment."""

import asyncio

import pytest

from tests.flows.ward import QUESTION, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_of_two_experts_who_take_in_the_same_moment_one_is_in_and_the_other_is_told_who(ward: Ward) -> None:
    """Exactly one is invited; the loser reads the winner's name and never sees the room."""
    lines = {"dermatology": "dermatologist"}
    requester, one, other = await asyncio.gather(
        ward.phone("requester"), ward.phone("one", lines=lines), ward.phone("other", lines=lines)
    )
    case = await ward.asks(requester)
    await asyncio.gather(one.hears("ring", case=case.id), other.hears("ring", case=case.id))
    await asyncio.gather(one.types(f"!take {case.id}"), other.types(f"!take {case.id}"))

    answers = await asyncio.gather(
        *(
            phone.person.wait_for(
                phone.direct,
                lambda m: (
                    (m.kind == "taken" and m.content.get("m.relates_to") is not None)
                    or m.data.get("code") == "already_taken"
                ),
                timeout=60,
            )
            for phone in (one, other)
        )
    )
    kinds = [message.kind for message in answers]
    assert set(kinds) == {"error", "taken"}
    winner, loser = (one, other) if kinds[0] == "taken" else (other, one)
    refused = answers[1] if winner is one else answers[0]
    assert winner.name in refused.body

    dossier = await winner.hears("dossier", case.room)
    assert QUESTION in dossier.body
    assert set(await requester.person.members(case.room)) == {ward.lab.bot_id, requester.user_id, winner.user_id}
    assert case.room not in loser.person.invites()
    assert loser.person.messages(case.room) == []
