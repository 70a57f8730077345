"""The small web server for the operator: /healthz says whether the bot is alive, /metrics shows its numbers."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from aiohttp import web

from bot.adapters.metrics import CONTENT_TYPE, Metrics
from bot.domain.errors import StartRefused
from bot.services.ports import Clock

OLDEST_SYNC = timedelta(seconds=60)
OLDEST_OUTBOX = timedelta(minutes=5)

log = structlog.get_logger(__name__)


class HealthServer:
    """Answers 200 while the last sync and the outbox are fresh, else 503."""

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: Metrics,
        last_sync: Callable[[], datetime | None],
        oldest_outbox: Callable[[], Awaitable[datetime | None]],
    ) -> None:
        """*last_sync*: when the homeserver last answered; *oldest_outbox*: since when the oldest effect is overdue."""
        self._clock = clock
        self._metrics = metrics
        self._last_sync = last_sync
        self._oldest_outbox = oldest_outbox
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (useful with port 0).

        Raises:
            StartRefused: `health_port_taken`.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._numbers)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise StartRefused(
                "health_port_taken", f"http: cannot listen on {host} port {port} ({error.strerror}); choose another"
            ) from None
        self._runner = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        now = self._clock.now()
        try:
            waiting = await self._oldest_outbox()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the store: that is the answer
            log.warning("health_check_failed", error=error)
            return web.json_response({"healthy": False, "fault": "store"}, status=503)
        synced = self._last_sync()
        faults = []
        if synced is None or now - synced > OLDEST_SYNC:
            faults.append("sync")
        if waiting is not None and now - waiting > OLDEST_OUTBOX:
            faults.append("outbox")
        body = {
            "healthy": not faults,
            "fault": ",".join(faults) or None,
            "sync_age_seconds": None if synced is None else round((now - synced).total_seconds()),
            "outbox_age_seconds": None if waiting is None else max(0, round((now - waiting).total_seconds())),
        }
        return web.json_response(body, status=503 if faults else 200)

    async def _numbers(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
