"""Finds Belgian national numbers (NISS, INSZ) that slipped into a text, by their check digits; it never stores one."""

import re
from dataclasses import dataclass

# Groups of one number may be parted by spaces, dots, dashes or slashes, and by marks that nobody sees.
_GROUP = re.compile(r"\d+")
_PARTING = re.compile(r"[\s.\-/\u2010-\u2015\u2212\u200b-\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]{1,3}")
_LENGTH = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a national number stands in a text: characters *start* (included) to *end* (excluded)."""

    start: int
    end: int


def is_niss(digits: str) -> bool:
    """Tell whether 11 digits are a national or bis number: YYMMDD, a counter of 3, check digits modulo 97.

    Born from 2000: a 2 stands before the first nine digits. A bis number has month + 20 or + 40. Month and day may be
    00. Source: the structure of the Belgian national register. A day above 31 never occurs; without that rule many
    telephone numbers would be taken for one.
    """
    if len(digits) != _LENGTH or not digits.isdecimal():
        return False
    month, day, check = int(digits[2:4]), int(digits[4:6]), int(digits[9:])
    if month not in _MONTHS or day > 31:
        return False
    return any(97 - int(century + digits[:9]) % 97 == check for century in ("", "2"))


_MONTHS = frozenset((*range(13), *range(20, 33), *range(40, 53)))


def find_niss(text: str) -> tuple[Span, ...]:
    """Return where national numbers stand in *text*, in order; 1 in 50 numbers that only look like one is taken too."""
    groups = list(_GROUP.finditer(text))
    found: list[Span] = []
    for first, group in enumerate(groups):
        if found and group.start() < found[-1].end:
            continue
        digits = ""
        for last in range(first, len(groups)):
            if last > first and not _PARTING.fullmatch(text, groups[last - 1].end(), groups[last].start()):
                break
            digits += groups[last].group()
            if len(digits) >= _LENGTH:
                if is_niss(digits):
                    found.append(Span(start=group.start(), end=groups[last].end()))
                break
    return tuple(found)


def hides_niss(word: str) -> bool:
    """Tell whether any 11 digits in a row of a reference, other characters left out, are a national number."""
    digits = "".join(character for character in word if character.isdecimal())
    return any(is_niss(digits[start : start + _LENGTH]) for start in range(len(digits) - _LENGTH + 1))
