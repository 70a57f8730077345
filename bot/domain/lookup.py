"""Finds the one thing that a typed word means among named things, or the nearest right ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Generic, TypeVar

from bot.domain.language import folded

T = TypeVar("T")

_NEAR = 0.6
_SUGGESTIONS = 3
# One letter begins too many words to mean one of them.
_SHORTEST_BEGINNING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[T]):
    """What a word meant: the one thing, or else the nearest right ones, best first, three at most."""

    it: T | None
    nearest: tuple[T, ...] = ()


def find(word: str, candidates: Sequence[tuple[T, Iterable[str]]]) -> Found[T]:
    """Find what *word* means: a whole name first, then the beginning of a name; case and accents do not count.

    A beginning counts if it is of one candidate alone. Otherwise `it` is None and `nearest` holds those that share the
    beginning, or else look alike.
    """
    wanted = _word(word)
    names = [(thing, [_word(name) for name in several]) for thing, several in candidates]
    whole = [thing for thing, several in names if wanted in several]
    if len(whole) == 1:
        return Found(it=whole[0])
    begun: list[T] = []
    if len(wanted) >= _SHORTEST_BEGINNING:
        begun = [thing for thing, several in names if any(name.startswith(wanted) for name in several)]
    if len(begun) == 1 and not whole:
        return Found(it=begun[0])
    if whole or begun:
        return Found(it=None, nearest=tuple(whole or begun)[:_SUGGESTIONS])
    scored = [(max((_likeness(wanted, name) for name in several), default=0.0), thing) for thing, several in names]
    near = sorted((pair for pair in scored if pair[0] >= _NEAR), key=lambda pair: -pair[0])
    return Found(it=None, nearest=tuple(thing for _, thing in near)[:_SUGGESTIONS])


def _word(text: str) -> str:
    return folded(text).replace("_", " ").replace("-", " ")


def _likeness(wanted: str, name: str) -> float:
    """Compare with the whole name and with its beginning of the same length, so that a long name is no handicap."""
    if not wanted:
        return 0.0
    beginning = name[: len(wanted) + 1]
    return max(SequenceMatcher(None, wanted[:64], part[:64]).ratio() for part in (name, beginning))
