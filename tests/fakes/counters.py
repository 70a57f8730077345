"""Counters that a test can read."""

from collections import Counter


class Tally:
    """Counts by name and labels."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def count(self, name: str, **labels: str) -> None:
        self._counts[(name, tuple(sorted(labels.items())))] += 1

    def total(self, name: str, **labels: str) -> int:
        """Return how often *name* was counted with at least these labels."""
        wanted = set(labels.items())
        return sum(n for (known, have), n in self._counts.items() if known == name and wanted <= set(have))
