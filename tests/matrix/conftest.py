"""One homeserver and one Node process for all tests of this folder; a fresh bot and fresh people for each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.matrix.world import World, a_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("matrix")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared_world: World) -> AsyncIterator[World]:
    yield shared_world
    await shared_world.stop_bots()
