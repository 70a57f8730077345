"""Finds the names of fields in a message: id, label in any language, or another name, as words of their own."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bot.domain.forms import Field, Form
from bot.domain.prompts import ANSWERED_BY_PROMPT_ALONE, QUESTION

# What may stand between a name and its value: a colon, a little word before a number, or a space.
_COLON = re.compile(r" *[:=] *")
_LINK = re.compile(r" +(?:est|is|ist|a|de|of|van|von|bei|at) +(?=[0-9])| *")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameHit:
    """A field's name in a folded text: where it begins, where its value begins, and whether a colon stands between."""

    field: Field
    start: int
    value_start: int
    colon: bool


class FieldNames:
    """The names of a form's fields, the longest first; fields that only their own prompt answers need to be asked."""

    def __init__(self, form: Form, asked: Collection[str] = ()) -> None:
        hidden = ANSWERED_BY_PROMPT_ALONE - {QUESTION if QUESTION in asked else ""}
        named = [one for one in form.fields if one.id not in hidden and not one.is_slot]
        self._fields = {name: one for one in named for name in one.spoken}
        longest_first = sorted(self._fields, key=lambda name: (-len(name), name))
        self._pattern = re.compile("(?:" + "|".join(re.escape(name) for name in longest_first) + r")(?![^\W\d_])")

    def at(self, plain: str, start: int) -> NameHit | None:
        """Return the name that stands at *start* of a folded text, if one does."""
        match = self._pattern.match(plain, start)
        return None if match is None else self._hit(plain, match)

    def within(self, plain: str, start: int, end: int) -> Iterator[NameHit]:
        """Go through the names that begin as words of their own between *start* and *end*."""
        for match in self._pattern.finditer(plain, start, end):
            if match.start() == 0 or not plain[match.start() - 1].isalnum():
                yield self._hit(plain, match)

    def _hit(self, plain: str, match: re.Match[str]) -> NameHit:
        colon = _COLON.match(plain, match.end())
        link = colon or _LINK.match(plain, match.end())
        value_start = match.end() if link is None else link.end()
        return NameHit(
            field=self._fields[match[0]], start=match.start(), value_start=value_start, colon=colon is not None
        )
