"""One hospital for all flows, fresh people for each: a real Synapse, the real bot and eraser, a real mail server."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.flows.ward import Ward, a_ward


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_ward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    async with a_ward(tmp_path_factory.mktemp("flows")) as ward:
        yield ward


@pytest_asyncio.fixture(loop_scope="session")
async def ward(shared_ward: Ward) -> AsyncIterator[Ward]:
    yield shared_ward
    await shared_ward.dismiss()
