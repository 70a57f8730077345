"""Random values of the domain's dataclasses, made from their type hints."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from bot.domain.forms import Answer, Answers

_LEAVES: Mapping[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Any: st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
}

_made: dict[object, st.SearchStrategy[Any]] = {}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type hint: leaves, enums, unions, tuples, sets, mappings, and dataclasses of these."""
    if isinstance(hint, typing.NewType):
        return values_of(hint.__supertype__)
    if hint in _LEAVES:
        return _LEAVES[hint]
    if hint is Answers:
        return st.dictionaries(st.text(max_size=8), values_of(Answer), max_size=4).map(Answers)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if is_dataclass(hint):
        if hint not in _made:
            _made[hint] = st.deferred(lambda: _dataclass(hint))
        return _made[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values_of, inner))
    if origin is tuple and inner[1:] == (...,):
        return st.lists(values_of(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, inner))
    if origin is frozenset:
        return st.frozensets(values_of(inner[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(values_of(inner[0]), values_of(inner[1]), max_size=2)
    raise TypeError(hint)


def _dataclass(kind: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{f.name: values_of(hints[f.name]) for f in fields(kind)})


def typed(value: Any) -> Any:
    """Return *value* with the name of each part's type, so that 1, True, "1" and Decimal(1) differ."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [(f.name, typed(getattr(value, f.name))) for f in fields(value)]
    if isinstance(value, Mapping):
        return [(typed(k), typed(v)) for k, v in value.items()]
    if isinstance(value, tuple):
        return tuple(map(typed, value))
    if isinstance(value, frozenset):
        return value
    if isinstance(value, datetime):  # one zone may be written by different classes
        return "datetime", value.astimezone(UTC).isoformat()
    return type(value).__name__, value
