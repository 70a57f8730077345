"""Two hospitals at once on one machine."""

import asyncio
from pathlib import Path

import pytest

from tests.flows.ward import Ward, a_ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_labs_at_once_do_not_meet(tmp_path: Path) -> None:
    """Ports, folders, people and numbers are each lab's own: the same names work in both."""
    async with a_ward(tmp_path / "north") as north, a_ward(tmp_path / "south") as south:
        assert north.lab.homeserver.port != south.lab.homeserver.port
        cases = await asyncio.gather(_a_case(north), _a_case(south))
        assert cases[0] == cases[1], "both count from one"
        assert await north.lab.authority() != await south.lab.authority()


async def _a_case(ward: Ward) -> str:
    requester, expert = await asyncio.gather(
        ward.phone("requester"), ward.phone("expert", lines={"dermatology": "dermatologist"})
    )
    case = await ward.asks(requester)
    await ward.takes(expert, case)
    assert set(await requester.person.members(case.room)) == {ward.lab.bot_id, requester.user_id, expert.user_id}
    return case.id
