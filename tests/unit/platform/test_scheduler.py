"""How the alarm clock wakes the sweep."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.scheduler import Scheduler
from bot.services.ports import Clock
from tests.fakes.clock import FixedClock
from tests.fakes.counters import Tally

NEVER = timedelta(days=1)
OFTEN = timedelta(milliseconds=10)
PATIENCE = 10.0


class Sweeps:
    """A sweep that counts itself, waits where it is told to, and can fail."""

    def __init__(self, *, failing: int = 0) -> None:
        self.count = 0
        self.at_once = 0
        self.most_at_once = 0
        self.finished = 0
        self.failing = failing
        self.open = asyncio.Event()
        self.open.set()
        self._changed = asyncio.Condition()

    async def sweep(self) -> None:
        """Sweep once."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.count += 1
        await self._tell()
        await self.open.wait()
        self.at_once -= 1
        self.finished += 1
        await self._tell()
        if self.failing:
            self.failing -= 1
            raise RuntimeError

    async def reached(self, *, started: int = 0, finished: int = 0) -> None:
        """Wait until so many sweeps started and finished."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.count >= started and self.finished >= finished)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def test_the_first_sweep_comes_at_once() -> None:
    """What fell due while the bot was down is not kept waiting."""
    sweeps = Sweeps()
    scheduler = Scheduler(sweeps.sweep, every=NEVER, counters=Tally())

    scheduler.start()

    await sweeps.reached(finished=1)
    await scheduler.stop()


async def test_sweeps_follow_each_other() -> None:
    """Again and again."""
    sweeps, tally = Sweeps(), Tally()
    scheduler = Scheduler(sweeps.sweep, every=OFTEN, counters=tally)

    scheduler.start()
    await sweeps.reached(finished=3)
    await scheduler.stop()

    assert tally.total("sweeps", outcome="done") >= 3


async def test_sweeps_never_overlap() -> None:
    """However often the clock ticks and somebody wakes it."""
    sweeps = Sweeps()
    sweeps.open.clear()
    scheduler = Scheduler(sweeps.sweep, every=OFTEN, counters=Tally())
    scheduler.start()
    await sweeps.reached(started=1)

    for _ in range(20):
        scheduler.wake()
        await asyncio.sleep(0)
    await scheduler._tick()
    sweeps.open.set()
    await sweeps.reached(finished=3)
    await scheduler.stop()

    assert sweeps.most_at_once == 1


async def test_a_wake_during_a_sweep_brings_one_more() -> None:
    """What fell due behind the sweep's back is seen soon."""
    sweeps = Sweeps()
    sweeps.open.clear()
    scheduler = Scheduler(sweeps.sweep, every=NEVER, counters=Tally())
    scheduler.wake()
    await sweeps.reached(started=1)

    scheduler.wake()
    scheduler.wake()
    sweeps.open.set()
    await sweeps.reached(finished=2)
    await scheduler.stop()

    assert sweeps.count == 2


async def test_a_sweep_that_fails_is_not_the_last() -> None:
    """It is counted and logged, and the next one comes."""
    sweeps, tally = Sweeps(failing=2), Tally()
    scheduler = Scheduler(sweeps.sweep, every=OFTEN, counters=tally)

    scheduler.start()
    await sweeps.reached(finished=4)
    await scheduler.stop()

    assert tally.total("sweeps", outcome="failed") == 2
    assert tally.total("sweeps", outcome="done") >= 2


async def test_stopping_waits_for_the_sweep_that_runs() -> None:
    """The store is closed after it."""
    sweeps = Sweeps()
    sweeps.open.clear()
    scheduler = Scheduler(sweeps.sweep, every=NEVER, counters=Tally())
    scheduler.start()
    await sweeps.reached(started=1)

    stopping = asyncio.ensure_future(scheduler.stop())
    await asyncio.sleep(0)
    waited = not stopping.done()
    sweeps.open.set()
    await stopping

    assert waited
    assert (sweeps.count, sweeps.finished) == (1, 1)


async def test_nothing_wakes_a_stopped_scheduler() -> None:
    """A late effect cannot sweep a closed store."""
    sweeps = Sweeps()
    scheduler = Scheduler(sweeps.sweep, every=NEVER, counters=Tally())
    await scheduler.stop()

    scheduler.wake()
    await asyncio.sleep(0)

    assert sweeps.count == 0


@pytest.mark.parametrize("clock", [SystemClock(), FixedClock()])
def test_every_clock_tells_utc(clock: Clock) -> None:
    """Aware, and not of a zone with summer time."""
    assert clock.now().tzinfo is UTC


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    """Time is a value in tests."""
    clock = FixedClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    moved = clock.advance(hours=1, minutes=30)

    assert clock.now() == moved == datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    assert clock.advance(timedelta(hours=-2)) == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
