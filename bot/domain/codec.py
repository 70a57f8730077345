"""Notices and effects as plain JSON data and back, each value under the name of its class."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.domain import effects, notice

_CLASSES: Mapping[str, type] = {
    name: member
    for module in (notice, effects)
    for name, member in vars(module).items()
    if isinstance(member, type) and hasattr(member, "__dataclass_fields__")
}


def to_json(value: Any) -> Any:  # noqa: ANN401  # whatever an effect holds
    """Return *value* (an effect, a notice, or what they hold) as plain JSON data."""
    if isinstance(value, datetime):
        return {"$": "datetime", "at": value.isoformat()}
    if hasattr(value, "__dataclass_fields__"):
        return {"$": type(value).__name__} | {n: to_json(getattr(value, n)) for n in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {"$": "mapping", "items": [[k, to_json(v)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return value


def from_json(data: Any) -> Any:  # noqa: ANN401  # JSON
    """Return what `to_json` was given; lists come back as tuples."""
    if isinstance(data, list):
        return tuple(from_json(v) for v in data)
    if not isinstance(data, dict):
        return data
    tag = data["$"]
    if tag == "datetime":
        return datetime.fromisoformat(data["at"])
    if tag == "mapping":
        return {k: from_json(v) for k, v in data["items"]}
    return _CLASSES[tag](**{k: from_json(v) for k, v in data.items() if k != "$"})
