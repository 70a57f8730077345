"""Every story is played in a world of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A whole bot on an in-memory homeserver, on Monday 2 March 2026 at nine."""
    async with a_world(tmp_path) as opened:
        yield opened
