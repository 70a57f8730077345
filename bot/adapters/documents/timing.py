"""How fast a loop runs: when each frame begins, from the header (PS3.3 C.7.6.5, C.8.5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from bot.adapters.documents.numbers import decimal

_FRAME_TIME = 0x00181063
_FRAME_TIME_VECTOR = 0x00181065
_ASSUMED_RATE = 25
_SHORTEST_MS, _LONGEST_MS = Fraction(1), Fraction(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When each frame begins, in milliseconds from the first, and how long the whole lasts."""

    starts: tuple[Fraction, ...]
    duration: Fraction
    assumed: bool
    """True if the header says nothing of it."""

    @property
    def rate(self) -> float:
        """Frames a second, on average."""
        return float(len(self.starts) * 1000 / self.duration)


def timing(header: Dataset, frames: int) -> Timing:
    """Return the times of *frames* frames; whatever the frame increment pointer names goes first."""
    pointed = header.get("FrameIncrementPointer")
    named = {int(tag) for tag in _as_list(pointed) if isinstance(tag, int | BaseTag)}
    step, steps = _frame_time(header), _frame_times(header, frames)
    if steps is not None and (step is None or (_FRAME_TIME_VECTOR in named and _FRAME_TIME not in named)):
        return _irregular(steps)
    for rate in ("RecommendedDisplayFrameRate", "CineRate"):
        if step is None and (number := decimal(header.get(rate))) is not None and number > 0:
            step = _plausible(1000 / Fraction(str(number)))
    assumed = step is None
    return _regular(step or Fraction(1000, _ASSUMED_RATE), frames, assumed=assumed)


def at_rate(rate: Fraction, frames: int) -> Timing:
    """Return the times of *frames* frames that follow one another evenly, *rate* a second."""
    return _regular(1000 / rate, frames, assumed=False)


def _regular(step: Fraction, frames: int, *, assumed: bool) -> Timing:
    return Timing(starts=tuple(step * n for n in range(frames)), duration=step * frames, assumed=assumed)


def _irregular(steps: Sequence[Fraction]) -> Timing:
    """Return the times of increments whose first is the start of the first frame."""
    starts: list[Fraction] = []
    at = Fraction(0)
    for n, step in enumerate(steps):
        at += step if n else 0
        starts.append(at)
    last = at / (len(steps) - 1) if len(steps) > 1 else Fraction(1000, _ASSUMED_RATE)
    return Timing(starts=tuple(starts), duration=at + last, assumed=False)


def _frame_time(header: Dataset) -> Fraction | None:
    number = decimal(header.get("FrameTime"))
    return None if number is None else _plausible(Fraction(str(number)))


def _frame_times(header: Dataset, frames: int) -> list[Fraction] | None:
    """Return one increment a frame, or None if the vector is absent, short, or holds what no machine does."""
    numbers = [decimal(one) for one in _as_list(header.get("FrameTimeVector"))][:frames]
    if len(numbers) < frames or frames < 2 or None in numbers[1:]:
        return None
    steps = [Fraction(0), *(Fraction(str(number)) for number in numbers[1:])]
    return steps if all(_plausible(step) for step in steps[1:]) else None


def _plausible(step: Fraction) -> Fraction | None:
    return step if _SHORTEST_MS <= step <= _LONGEST_MS else None


def _as_list(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
