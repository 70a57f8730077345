"""Numbers as headers write them: text, lists, nothing, or nonsense; read without ever failing."""

import math


def decimal(value: object) -> float | None:
    """Return *value* (of a header, possibly one of several) as a finite number, or None."""
    one = value[0] if isinstance(value, list | tuple) and value else value
    if isinstance(one, bytes):
        one = one.decode("ascii", errors="replace")
    try:
        number = float(str(one).strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def whole(value: object) -> int | None:
    """Return *value* as a whole number, or None."""
    number = decimal(value)
    return None if number is None or abs(number) > 1e15 else int(number)


def short(number: float) -> str:
    """Return a number for people: 0.05, 30, 28.6, without an exponent and without trailing zeros."""
    return f"{number:.4g}" if 1e-3 <= abs(number) < 1e4 else f"{number:.0f}"
