"""A glance at the homeserver from beside the running bot, with its saved token: no sync, no keys, nothing written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.adapters.matrix.devices import judge
from bot.adapters.matrix.http import HomeserverApi, path
from bot.adapters.matrix.sign_in import SESSION, SavedSession
from bot.domain.errors import StartRefused
from bot.domain.ids import UserId
from bot.services.ports import Identity, Secrets


class Glance:
    """What an admin's command on the host may ask."""

    def __init__(self, api: HomeserverApi) -> None:
        self._api = api

    async def identity(self, user_id: UserId) -> Identity:
        """Return a person's identity and devices, signatures checked; raises ExternalError."""
        answer = await self._api.post(path("keys", "query"), {"device_keys": {user_id: []}})
        return judge(user_id, answer).identity()

    async def upload_limit(self) -> int | None:
        """Return the homeserver's limit for one upload in bytes, None if it names none; raises ExternalError."""
        limit = (await self._api.get("/_matrix/client/v1/media/config")).get("m.upload.size")
        return limit if isinstance(limit, int) else None

    async def versions(self) -> tuple[str, ...]:
        """Return the versions of the specification that the homeserver speaks; raises ExternalError."""
        return tuple(map(str, (await self._api.get("/_matrix/client/versions")).get("versions", ())))


@asynccontextmanager
async def glance(url: str, secrets: Secrets, *, seconds: float = 10.0) -> AsyncIterator[Glance]:
    """Open a glance.

    Raises:
        StartRefused: `never_started`: the bot has not signed in yet.
    """
    kept = secrets.load(SESSION)
    if kept is None:
        raise StartRefused(
            "never_started", "the bot has never signed in: start it once (consilium run), then try again"
        )
    api = HomeserverApi(url, request_seconds=seconds)
    api.token = SavedSession.load(kept).token
    await api.open()
    try:
        yield Glance(api)
    finally:
        await api.close()
