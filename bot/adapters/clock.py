"""The computer's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Tells the time of the computer, in UTC."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)
