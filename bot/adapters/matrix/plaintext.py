"""JSON out of strangers' encrypted messages: either plain and storable, or Garbage."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

DEEPEST = 64
"""Levels of nesting; Element's events have fewer than ten."""

LARGEST_NUMBER = 2**63
"""Larger ones fit neither SQLite nor the specification (2**53)."""


MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What Python and vodozemac raise on data of another shape than expected (their exceptions are ValueErrors)."""


class Garbage(Exception):
    """Something that will never be understood; `what` names its place, from a fixed list."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def parse_plaintext(text: bytes) -> dict[str, Any]:
    """Parse a decrypted JSON object.

    Raises:
        Garbage: not UTF-8, not JSON, not an object, too deep, or with numbers that JSON does not have.
    """
    try:
        parsed = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Garbage("json") from error
    if not isinstance(parsed, dict):
        raise Garbage("json")
    check(parsed)
    return {key: _storable(value) for key, value in parsed.items()}


def storable(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of clear JSON that can be written to a database.

    Raises:
        Garbage: too deep, or with numbers that are too large.
    """
    check(value)
    return {_text(key): _storable(entry) for key, entry in value.items()}


def check(value: Mapping[str, Any]) -> None:
    """Look at every part without recursion.

    Raises:
        Garbage: nested too deeply for the code behind, or a number too large.
    """
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        if not level:
            return
        following: list[Any] = []
        for part in level:
            if isinstance(part, Mapping):
                following.extend(part.values())
            elif isinstance(part, list):
                following.extend(part)
            elif isinstance(part, int) and abs(part) >= LARGEST_NUMBER:
                raise Garbage("json_number")
        level = following
    if level:
        raise Garbage("json_depth")


def _storable(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Replace lone surrogates, which JSON can carry and UTF-8 (so a database) cannot; `check` came before."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _storable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_storable(entry) for entry in value]
    return value


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
