"""The alarm clock: wakes a sweep every few seconds; due times stand in the database, so a missed tick loses nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.services.ports import Counters

log = structlog.get_logger(__name__)


class Scheduler:
    """Runs one sweep at a time, at once when it starts, then every *every*, and on `wake`."""

    def __init__(self, sweep: Callable[[], Awaitable[None]], *, every: timedelta, counters: Counters) -> None:
        self._sweep = sweep
        self._every = every
        self._counters = counters
        self._alarm = AsyncIOScheduler(timezone=UTC)
        self._running: asyncio.Task[None] | None = None
        self._again = False
        self._stopped = False

    def start(self) -> None:
        """Start inside the running event loop; the first sweep follows at once."""
        self._alarm.add_job(
            self._tick,
            "interval",
            seconds=self._every.total_seconds(),
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._alarm.start()

    def wake(self) -> None:
        """Sweep now; while a sweep runs, one more follows it."""
        if self._stopped:
            return
        if self._running is not None and not self._running.done():
            self._again = True
            return
        self._running = asyncio.create_task(self._sweeps())

    async def stop(self) -> None:
        """Stop waking, and wait for the sweep that runs."""
        self._stopped = True
        self._again = False
        if self._alarm.running:
            self._alarm.shutdown(wait=False)
        if self._running is not None:
            await self._running

    async def _tick(self) -> None:
        # A tick during a sweep is no reason for another one: the next tick comes soon enough.
        if self._running is None or self._running.done():
            self.wake()

    async def _sweeps(self) -> None:
        while True:
            self._again = False
            try:
                await self._sweep()
                self._counters.count("sweeps", outcome="done")
            except Exception:  # one bad sweep must not be the last one
                self._counters.count("sweeps", outcome="failed")
                log.exception("sweep_failed")
            if not self._again:
                return
