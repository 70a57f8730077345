"""What the database holds as JSON, and back: cases, people, arrivals, effects, polls, files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter

from bot.domain import forms
from bot.domain.case import Case
from bot.domain.codec import from_json, to_json
from bot.domain.effects import Effect
from bot.domain.ids import EventId
from bot.domain.notice import Poll
from bot.domain.people import Credential, Person
from bot.services.ports import Arrival, EncryptedFile, Pending

T = TypeVar("T")

NESTING_LIMIT = 100
"""No honest event nests deeper, and JSON that nests without end breaks its reader."""


def as_json(data: object) -> bytes:
    """Return plain data as JSON. In ASCII, because what comes from outside may hold half a character (U+D800…)."""
    return json.dumps(data, separators=(",", ":")).encode("ascii")


class Record(Generic[T]):
    """A dataclass whose types say all that is needed to read it again."""

    def __init__(self, kind: type[T]) -> None:
        self._adapter = TypeAdapter(kind)

    def pack(self, value: T) -> bytes:
        """Return *value* as JSON."""
        return as_json(self.plain(value))

    def unpack(self, packed: bytes) -> T:
        """Return what `pack` was given."""
        return self.value(json.loads(packed))

    def plain(self, value: T) -> object:
        """Return *value* as plain data."""
        return self._adapter.dump_python(value, mode="json")

    def value(self, plain: object) -> T:
        """Return what `plain` was given."""
        return self._adapter.validate_python(plain)


PERSON = Record(Person)
CREDENTIAL = Record(Credential)
PENDING = Record(Pending)
FILE = Record(EncryptedFile)
_CASE = Record(Case)
_ARRIVAL = Record(Arrival)


def pack_case(case: Case) -> bytes:
    """Return a case as JSON; the answers apart, because their types do not tell "3.5" from 3.5."""
    return as_json(
        {"case": _CASE.plain(replace(case, answers=forms.Answers())), "answers": [*map(_answer, case.answers.items())]}
    )


def unpack_case(packed: bytes) -> Case:
    """Return what `pack_case` was given."""
    data = json.loads(packed)
    return replace(_CASE.value(data["case"]), answers=forms.Answers(dict(map(_answer_from, data["answers"]))))


def pack_arrival(arrival: Arrival) -> bytes:
    """Return an arrival as JSON.

    Raises:
        ValueError: its content is no JSON, or nests deeper than `NESTING_LIMIT`.
    """
    if not _is_shallow(arrival.content):
        raise ValueError("nested too deep")
    try:
        return as_json({"arrival": _ARRIVAL.plain(replace(arrival, content={})), "content": dict(arrival.content)})
    except TypeError:
        raise ValueError("no JSON") from None


def unpack_arrival(packed: bytes) -> Arrival:
    """Return what `pack_arrival` was given."""
    data = json.loads(packed)
    return replace(_ARRIVAL.value(data["arrival"]), content=data["content"])


def pack_effect(effect: Effect) -> bytes:
    """Return an effect as JSON."""
    return as_json(to_json(effect))


def unpack_effect(packed: bytes) -> Effect:
    """Return what `pack_effect` was given."""
    return cast(Effect, from_json(json.loads(packed)))


def pack_poll(poll: Poll) -> bytes:
    """Return a poll as JSON."""
    return as_json(to_json(poll))


def unpack_poll(packed: bytes) -> Poll:
    """Return what `pack_poll` was given."""
    return cast(Poll, from_json(json.loads(packed)))


def _is_shallow(content: Mapping[str, Any]) -> bool:
    layer: list[Any] = [content]
    for _ in range(NESTING_LIMIT):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
            if isinstance(inner, Mapping | list | tuple)
        ]
        if not layer:
            return True
    return False


def _answer(item: tuple[str, forms.Answer]) -> dict[str, Any]:
    field_id, answer = item
    return {
        "field": field_id,
        "value": _plain(answer.value),
        "source": answer.source,
        "how": answer.how,
        "changed_from": None if answer.changed_from is None else _plain(answer.changed_from),
    }


def _answer_from(data: Mapping[str, Any]) -> tuple[str, forms.Answer]:
    before = data["changed_from"]
    return data["field"], forms.Answer(
        value=_value(data["value"]),
        source=EventId(data["source"]),
        how=forms.How(data["how"]),
        changed_from=None if before is None else _value(before),
    )


def _plain(value: forms.Value) -> object:
    """Return the value of an answer under the name of its type, where JSON has no such type."""
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):  # before date: a datetime is one too
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, tuple):
        return list(value)
    return value


def _value(plain: object) -> forms.Value:
    if isinstance(plain, list):
        return tuple(plain)
    if not isinstance(plain, dict):
        return cast(forms.Value, plain)
    [(kind, text)] = plain.items()
    if kind == "decimal":
        return Decimal(text)
    return datetime.fromisoformat(text) if kind == "datetime" else date.fromisoformat(text)
