"""What /healthz and /metrics answer."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from bot.adapters.health import HealthServer
from bot.adapters.metrics import Metrics
from bot.domain.errors import ExternalError, StartRefused
from tests.fakes.clock import FixedClock

NOW = FixedClock().now()


@contextlib.asynccontextmanager
async def a_server(
    *,
    synced: datetime | None = NOW,
    waiting: datetime | None = None,
    metrics: Metrics | None = None,
    broken: bool = False,
) -> AsyncIterator[int]:
    """Run the server on a free port and yield it."""

    async def oldest_outbox() -> datetime | None:
        if broken:
            raise ExternalError("store_failed")
        return waiting

    server = HealthServer(
        clock=FixedClock(), metrics=metrics or Metrics(), last_sync=lambda: synced, oldest_outbox=oldest_outbox
    )
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


async def asked(port: int, path: str = "/healthz") -> tuple[int, Any]:
    """Return status and body."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await (answer.json() if path == "/healthz" else answer.text())


@pytest.mark.parametrize(
    "sync_age, outbox_age, status, fault",
    [
        (0, None, 200, None),
        (60, None, 200, None),
        (61, None, 503, "sync"),
        (None, None, 503, "sync"),
        (0, 300, 200, None),
        (0, 301, 503, "outbox"),
        (0, -60, 200, None),
        (61, 301, 503, "sync,outbox"),
    ],
)
async def test_health_follows_the_last_sync_and_the_oldest_effect(
    sync_age: int | None, outbox_age: int | None, status: int, fault: str | None
) -> None:
    """60 seconds without a sync, or 5 minutes in the outbox, are too long."""
    synced = None if sync_age is None else NOW - timedelta(seconds=sync_age)
    waiting = None if outbox_age is None else NOW - timedelta(seconds=outbox_age)

    async with a_server(synced=synced, waiting=waiting) as port:
        answered, body = await asked(port)

    assert answered == status
    assert body["healthy"] is (status == 200)
    assert body["fault"] == fault
    assert body["sync_age_seconds"] == sync_age


async def test_a_store_that_does_not_answer_is_unhealthy() -> None:
    """An answer all the same, without the failure's text."""
    async with a_server(broken=True) as port:
        assert await asked(port) == (503, {"healthy": False, "fault": "store"})


async def test_metrics_are_served_as_text() -> None:
    """In Prometheus' format."""
    metrics = Metrics()
    metrics.count("sweeps", outcome="done")

    async with a_server(metrics=metrics) as port:
        status, text = await asked(port, "/metrics")

    assert status == 200
    assert 'consilium_sweeps_total{outcome="done"} 1.0' in text


async def test_a_port_that_is_taken_refuses_the_start() -> None:
    """One line that names the port."""
    async with a_server() as port:
        second = HealthServer(clock=FixedClock(), metrics=Metrics(), last_sync=lambda: None, oldest_outbox=nothing)
        with pytest.raises(StartRefused, match=str(port)) as refusal:
            await second.start("127.0.0.1", port)

    assert refusal.value.code == "health_port_taken"


async def nothing() -> None:
    """Say that the outbox is empty."""


async def test_stopping_twice_is_allowed() -> None:
    """As when a start failed half-way."""
    server = HealthServer(clock=FixedClock(), metrics=Metrics(), last_sync=lambda: None, oldest_outbox=nothing)
    await server.start("127.0.0.1", 0)

    await server.stop()
    await server.stop()
