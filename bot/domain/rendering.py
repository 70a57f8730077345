"""Writes a value as a person reads it, in his language."""

from datetime import date, datetime
from decimal import Decimal

from bot.domain.forms import Field, Value
from bot.domain.language import Language
from bot.domain.prompt_labels import NO, YES


def render_value(one: Field, value: Value, language: Language) -> str:
    """Return *value* of a field as text: labels, a decimal comma except in English, days as 25/11/2026."""
    match value:
        case bool():
            return (YES if value else NO).label(language)
        case tuple():
            return ", ".join(_label(one, code, language) for code in value)
        case str():
            return _label(one, value, language)
        case datetime():
            return value.strftime("%d/%m/%Y %H:%M")
        case date():
            return value.strftime("%d/%m/%Y")
        case int() | Decimal():
            number = format(value, "f") if isinstance(value, Decimal) else str(value)
            if language is not Language.EN:
                number = number.replace(".", ",")
            return f"{number} {one.unit}" if one.unit else number


def _label(one: Field, code: str, language: Language) -> str:
    option = one.option(code)
    return code if option is None else option.label(language)
