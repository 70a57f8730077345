"""A clock that tests move by hand."""

from datetime import UTC, datetime, timedelta


class FixedClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        if at.utcoffset() != timedelta(0):
            raise ValueError("the clock wants UTC")
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(
        self,
        step: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> datetime:
        """Move forward (or back, with a negative step) and return the new time."""
        self._at += (step or timedelta(0)) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return self._at

    def set(self, at: datetime) -> None:
        """Jump to a time."""
        self._at = at
