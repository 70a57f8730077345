"""Reads a message that answers a long text: the text is kept as it stands, and only marked lines say something more.

A line that begins with the name of a long field and a colon begins that field's text. A line that begins with the name
of a short field and a colon (FEVG: 35) is recorded as that field too, and stays in the text: no word of it is lost.
"""

from dataclasses import dataclass

from bot.domain.forms import Field
from bot.domain.language import folded, folded_with_places
from bot.domain.problems import Problem, ProblemCode
from bot.domain.reading import Reading


@dataclass(slots=True)
class _Part:
    """The lines of one field's text; *field* is None before the first marked line."""

    field: Field | None
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def read_long(reading: Reading, text: str, *, asked: tuple[Field, ...]) -> None:
    """Read *text* as the answer to the fields *asked*: one of them, or several long ones.

    Unmarked text goes to the single field asked. Where several are asked, a text without any marked line goes to the
    first of them, and unmarked lines before a marked one are left over.
    """
    parts = _parts(reading, text, asked)
    first, marked = parts[0], parts[1:]
    if not marked:
        _keep_text(reading, asked[0], text)
        return
    if len(asked) == 1 and folded(first.text):
        own = [part for part in marked if part.field is asked[0]]
        _keep_text(reading, asked[0], "\n".join([first.text.rstrip(), *(part.text for part in own)]))
        marked = [part for part in marked if part not in own]
    elif folded(first.text):
        reading.leave(first.text)
        reading.refuse(None, ProblemCode.NOT_UNDERSTOOD)
    for one in {part.field.id: part.field for part in marked if part.field}.values():
        texts = [part.text.strip() for part in marked if part.field is one]
        _keep_text(reading, one, "\n".join(texts))


def _parts(reading: Reading, text: str, asked: tuple[Field, ...]) -> list[_Part]:
    parts = [_Part(None, [])]
    for line in text.split("\n"):
        plain, places = folded_with_places(line)
        hit = reading.names.at(plain, len(plain) - len(plain.lstrip("-*\u2022 ")))
        if hit is None or not hit.colon:
            parts[-1].lines.append(line)
        elif hit.field.is_long or hit.field in asked:
            parts.append(_Part(hit.field, [line[places[hit.value_start] :].lstrip()]))
        else:
            parts[-1].lines.append(line)
            value = reading.value_of(hit.field, line[places[hit.value_start] :].strip())
            if not (isinstance(value, Problem) and value.code is ProblemCode.EMPTY):
                reading.keep(hit.field, value)
    return parts


def _keep_text(reading: Reading, one: Field, text: str) -> None:
    if folded(text):
        reading.keep(one, reading.value_of(one, text))
    else:
        reading.refuse(one, ProblemCode.VALUE_MISSING)
