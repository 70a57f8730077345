"""Reads a message of short answers: "FEVG 35, NYHA III", "1b 2a", "FEVG: 35 % ; DFG 48", one part after the other."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from bot.domain.field_names import NameHit
from bot.domain.forms import Field, FieldType, Value
from bot.domain.language import folded, folded_with_places
from bot.domain.problems import Problem, ProblemCode
from bot.domain.reading import Reading
from bot.domain.values import option_keys

# A comma between two digits is a decimal comma, a point inside a number is no end.
_SEPARATOR = re.compile(r" *(?:[;\n]|,(?!(?<=[0-9],)[0-9])|\.(?= ))")
_BEFORE_PART = re.compile(r"(?:[\s,;.*\u2022]|-(?= ))*")
_NUMBERED = re.compile(r"([0-9]{1,2}) *(?:[:)=]|\.(?![0-9])) *")
_INNER_NUMBER = re.compile(r"(?<= )[0-9]{1,2} ?[:)=]")
_NUMBER_THEN_WORD = re.compile(r"([0-9]{1,2}) +(?=[a-z]{2})")
_KEYS = re.compile(r"[0-9]{1,2} ?[a-z](?: +[0-9]{1,2} ?[a-z])*")
_KEY = re.compile(r"([0-9]{1,2}) ?([a-z])")
_BARE_KEYS = re.compile(r"(?:[0-9]{1,2}|[a-z])(?: *[,+/& ] *(?:[0-9]{1,2}|[a-z]))*")
_BARE = re.compile(_BARE_KEYS.pattern + r"|[+-]?[0-9][0-9.,]*.{0,20}")
_NOT = re.compile(r"(?:pas de |pas d'|sans |aucune? |geen |zonder |keine? |ohne |no |without )")
# A message of 10,000 characters must not take longer than one of ten: what no physician writes is not tried.
_MOST_WORDS = 8
_MOST_CHOICES = 12
_NEXT_NAMES = 3
_NEXT_WITHIN = 400
_TEXTS = frozenset({FieldType.TEXT, FieldType.LONGTEXT})
_CHOICES = frozenset({FieldType.ENUM, FieldType.MULTI, FieldType.BOOL})


def read_short(reading: Reading, text: str, *, asked: tuple[Field, ...]) -> None:
    """Read *text* part by part; a part is named, numbered like the list shown, or fits one asked field only."""
    asked = tuple(one for one in asked if not one.is_slot)
    if len(asked) == 1 and asked[0].type not in _TEXTS:
        value = reading.value_of(asked[0], text)
        if not isinstance(value, Problem):
            reading.keep(asked[0], value)
            return
    _Message(reading, text, asked).read()


class _Message:
    """One message of short answers, read from its beginning to its end in its folded form."""

    def __init__(self, reading: Reading, text: str, asked: tuple[Field, ...]) -> None:
        self._reading = reading
        self._text = text
        self._asked = asked
        self._plain, self._places = folded_with_places(text)
        self._ends = [*(match.start() for match in _SEPARATOR.finditer(self._plain)), len(self._plain)]

    def read(self) -> None:
        """Read all parts; what no field took is left over, which is a problem if something was asked."""
        at = self._part_after(0)
        while at < len(self._plain):
            hit = self._hit(at)
            if hit is not None and hit.value_start > at:
                at = self._read_named(hit, at)
            else:
                end = self._end_of_part(at)
                self._read_unnamed(at, end)
                at = end
            at = self._part_after(at)
        if self._asked and self._reading.rest and not self._reading.problems:
            self._reading.refuse(None, ProblemCode.NOT_UNDERSTOOD)

    def _typed(self, start: int, end: int) -> str:
        return self._text[self._places[start] : self._places[end]].strip()

    def _part_after(self, at: int) -> int:
        match = _BEFORE_PART.match(self._plain, at)
        return at if match is None else match.end()

    def _separators(self, start: int) -> Iterator[int]:
        """Go through the places after *start* where a part may end; the end of the message is the last."""
        yield from islice(self._ends, bisect_left(self._ends, start), None)

    def _end_of_part(self, start: int) -> int:
        return next(self._separators(start))

    def _end_of_line(self, start: int) -> int:
        end = self._plain.find("\n", start)
        return len(self._plain) if end < 0 else end

    def _hit(self, at: int) -> NameHit | None:
        """Return the field named at a place, or the one whose number in the shown list stands there."""
        if named := self._reading.names.at(self._plain, at):
            return named
        match = _NUMBERED.match(self._plain, at) or _NUMBER_THEN_WORD.match(self._plain, at)
        if match is None or len(self._asked) < 2 or not 1 <= int(match[1]) <= len(self._asked):
            return None
        named = self._reading.names.at(self._plain, match.end())
        if named is not None and (named.colon or named.field in self._asked):
            return named  # "2. NYHA III": the name says more than the number
        one = self._asked[int(match[1]) - 1]
        if match.re is _NUMBER_THEN_WORD and one.type not in _CHOICES:
            return None
        return NameHit(field=one, start=at, value_start=match.end(), colon=True)

    def _read_named(self, hit: NameHit, at: int) -> int:
        """Read the value after a name and return where it ends."""
        if hit.field.type in _TEXTS:
            return self._read_text(hit, at)
        end_of_line = self._end_of_line(hit.value_start)
        ends = [end for end in islice(self._separators(hit.value_start), _MOST_CHOICES) if end <= end_of_line]
        nearest = ends[0]
        for end in reversed(ends) if hit.field.type is FieldType.MULTI else ends[:1]:
            value = self._reading.value_of(hit.field, self._typed(hit.value_start, end))
            if not isinstance(value, Problem):
                self._reading.keep(hit.field, value)
                return end
        for inner in islice(self._next_hits(hit.value_start, nearest), _NEXT_NAMES):
            value = self._reading.value_of(hit.field, self._typed(hit.value_start, inner))
            if not isinstance(value, Problem):
                self._reading.keep(hit.field, value)
                return inner
        self._refuse_named(hit, at, nearest)
        return nearest

    def _next_hits(self, start: int, end: int) -> Iterator[int]:
        """Go through the places where another name or number of the list begins, without a separator before it."""
        end = min(end, start + _NEXT_WITHIN)
        named = {hit.start for hit in islice(self._reading.names.within(self._plain, start, end), _NEXT_NAMES)}
        numbered = {match.start() for match in islice(_INNER_NUMBER.finditer(self._plain, start, end), _NEXT_NAMES)}
        yield from sorted(named | numbered)

    def _refuse_named(self, hit: NameHit, at: int, end: int) -> None:
        """Judge a name without a fitting value: an option of another field, talk if nothing was asked, or a problem."""
        if not hit.colon and self._choices_in(self._typed(at, end)):
            self._read_unnamed(at, end)
            return
        self._reading.leave(self._typed(at, end))
        if not hit.colon and hit.field not in self._asked:
            return
        value = self._reading.value_of(hit.field, self._typed(hit.value_start, end))
        if isinstance(value, Problem) and value.code is not ProblemCode.EMPTY:
            self._reading.keep(hit.field, value)
        else:
            self._reading.refuse(hit.field, ProblemCode.VALUE_MISSING)

    def _read_text(self, hit: NameHit, at: int) -> int:
        """Read a text up to the next named part: on its own line, or over several lines if the field is long."""
        if not hit.colon and hit.field not in self._asked:
            end = self._end_of_part(at)
            self._read_unnamed(at, end)
            return end
        end = self._end_of_text(hit)
        typed = self._typed(hit.value_start, end)
        if folded(typed):
            self._reading.keep(hit.field, self._reading.value_of(hit.field, typed))
        else:
            self._reading.refuse(hit.field, ProblemCode.VALUE_MISSING)
        return end

    def _end_of_text(self, hit: NameHit) -> int:
        for end in self._separators(hit.value_start):
            if not hit.field.is_long and self._plain[end : end + 1] == "\n":
                return end
            strong = self._plain[end : end + 2].strip().startswith(";")
            if self._begins_named(self._part_after(end), numbers=not hit.field.is_long, strong=strong):
                return end
        return len(self._plain)

    def _begins_named(self, at: int, *, numbers: bool, strong: bool) -> bool:
        """Tell whether a named value begins at a place: with a colon, with a fitting value, or after a semicolon."""
        following = self._hit(at) if numbers else self._reading.names.at(self._plain, at)
        if following is None:
            return False
        if following.colon or following.field.type in _TEXTS:
            return following.colon or (strong and following.field in self._asked)
        typed = self._typed(following.value_start, self._end_of_part(following.value_start))
        return not isinstance(self._reading.value_of(following.field, typed), Problem)

    def _read_unnamed(self, at: int, end: int) -> None:
        """Read a part without a name: keys, or choices that one asked field alone takes; else it is left over."""
        typed = self._typed(at, end)
        plain = folded(typed)
        chosen, keyed = self._choices_in(typed), self._keyed(plain)
        if bool(chosen) != bool(keyed):
            for one, value in keyed or chosen:
                self._keep_choice(one, value)
            return
        self._reading.leave(typed)
        if len(self._asked) == 1:
            self._reading.keep(self._asked[0], self._reading.value_of(self._asked[0], typed))
        elif self._asked and (chosen or self._fits(typed) or _BARE.fullmatch(plain)):
            self._reading.refuse(None, ProblemCode.WHICH_FIELD)

    def _choices_in(self, typed: str) -> list[tuple[Field, Value]]:
        """Return the choices that all words of *typed* together make: "treatment", "treatment routine"; or []."""
        whole = self._fits(typed)
        if len(whole) == 1:
            return whole
        words = typed.split()
        if whole or len(words) > _MOST_WORDS:
            return []
        for cut in range(len(words) - 1, 0, -1):
            first = self._fits(" ".join(words[:cut]))
            if len(first) == 1 and (others := self._choices_in(" ".join(words[cut:]))):
                return [*first, *others]
        return []

    def _keep_choice(self, one: Field, value: Value) -> None:
        """Keep an unnamed choice; for a field of several choices it joins those of the same message."""
        before = self._reading.values.get(one.id)
        if isinstance(before, tuple) and isinstance(value, tuple):
            joined = tuple(option.code for option in one.options if option.code in (*before, *value))
            if "none" in joined and len(joined) > 1:
                self._reading.refuse(one, ProblemCode.CONTRADICTION)
            else:
                self._reading.values[one.id] = joined
        else:
            self._reading.keep(one, value)

    def _fits(self, typed: str) -> list[tuple[Field, Value]]:
        """Return the asked fields of choices that take *typed* by its words; bare numbers and letters do not."""
        plain = folded(typed).strip(" .!")
        if negated := _NOT.match(plain):
            bools = [one for one in self._asked if one.type is FieldType.BOOL]
            named = [one for one in bools if plain[negated.end() :] in one.spoken]
            return [(one, False) for one in named]
        if len(self._asked) > 1 and _BARE_KEYS.fullmatch(plain) and plain not in ("o", "y", "j", "n"):
            return []
        choices = [one for one in self._asked if one.type in _CHOICES]
        values = [(one, self._reading.value_of(one, typed)) for one in choices]
        return [(one, value) for one, value in values if not isinstance(value, Problem)]

    def _keyed(self, plain: str) -> list[tuple[Field, Value]]:
        """Return what "1b 2a" says, the numbers of fields in the list and the letters of their options; or []."""
        if len(self._asked) < 2 or not _KEYS.fullmatch(plain):
            return []
        pairs: list[tuple[Field, Value]] = []
        for match in _KEY.finditer(plain):
            place = int(match[1])
            one = self._asked[place - 1] if 1 <= place <= len(self._asked) else None
            keys = () if one is None else option_keys(one.options)
            codes = [o.code for o, k in zip(one.options if one else (), keys, strict=True) if match[2] in k]
            if one is None or len(codes) != 1:
                return []
            pairs.append((one, (codes[0],) if one.type is FieldType.MULTI else codes[0]))
        return pairs
