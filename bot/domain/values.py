"""Reads one typed value for one field: strictly, in the ways Belgian physicians write, and never by guessing."""

import re
from datetime import datetime
from decimal import Decimal

from bot.domain.dates import read_date, read_datetime
from bot.domain.forms import Field, FieldType, Option, Value
from bot.domain.language import Language, folded
from bot.domain.problems import Problem, ProblemCode
from bot.domain.prompt_labels import NO, YES

EARLIEST_YEAR = 1900
_MOST_DIGITS = 15
_LONGEST_SHORT = 400
_UNFIT = {
    FieldType.ENUM: ProblemCode.NOT_AN_OPTION,
    FieldType.MULTI: ProblemCode.NOT_AN_OPTION,
    FieldType.BOOL: ProblemCode.NOT_YES_OR_NO,
    FieldType.INT: ProblemCode.NOT_A_NUMBER,
    FieldType.DECIMAL: ProblemCode.NOT_A_NUMBER,
    FieldType.YEAR: ProblemCode.NOT_A_YEAR,
    FieldType.DATE: ProblemCode.NOT_A_DATE,
    FieldType.DATETIME: ProblemCode.NOT_A_DATE,
}

_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?: \d{3})+|\d+)(?:([.,])(\d+))?\s*(.*)", re.DOTALL)
_SECOND_NUMBER = re.compile(r"(?:^| )[0-9]+(?:[.,][0-9]+)?(?: |%|$)")
_LIKE_A_KEY = re.compile(r"[0-9]{1,2}[a-z]?")
_YES_WORDS = frozenset({*(folded(w) for w in (*YES.labels.values(), *YES.names)), "present", "presente", "aanwezig"})
_NO_WORDS = frozenset(
    {
        *(folded(w) for w in (*NO.labels.values(), *NO.names)),
        "aucun",
        "aucune",
        "geen",
        "kein",
        "keine",
        "none",
        "absent",
    }
)
_ALL_OF = re.compile(r"\s*(?:[,;/+&\n]|\bet\b|\ben\b|\bund\b|\band\b)\s*")
_UNITS = {
    "%": ("%", "pct", "pc", "procent", "prozent", "pour cent"),
    "ms": ("ms", "msec", "msek"),
    "h": ("h", "u", "uur", "std", "stunden", "heures", "hours", "hrs"),
    "ml/min/1.73m2": ("ml/min/1.73m2", "ml/min/1,73m2", "ml/min/1.73", "ml/min/1,73", "ml/min"),
    "cm2": ("cm2",),
    "ml/m2": ("ml/m2",),
    "ng/l": ("ng/l", "pg/ml"),
}


def read_value(one: Field, text: str, *, language: Language, now: datetime) -> Value | Problem:
    """Return the value that *text* gives for a field, or the problem with it; *now* is the hospital's local time.

    Text fields take *text* as it stands. Document fields take no text.
    """
    if one.type in _UNFIT and len(text) > _LONGEST_SHORT:
        return Problem(code=_UNFIT[one.type], field=one.id)
    if not folded(text):
        return Problem(code=ProblemCode.EMPTY, field=one.id)
    match one.type:
        case FieldType.TEXT | FieldType.LONGTEXT:
            return _read_text(one, text)
        case FieldType.ENUM:
            return read_option(one.id, one.options, text, language)
        case FieldType.MULTI:
            return _read_several(one, text, language)
        case FieldType.BOOL:
            return _read_yes_no(one, text)
        case FieldType.INT | FieldType.DECIMAL:
            return _read_number(one, text)
        case FieldType.YEAR:
            return _read_year(one, text, now)
        case FieldType.DATE:
            return read_date(one.id, text, now)
        case FieldType.DATETIME:
            return read_datetime(one.id, text, now)
        case FieldType.DOCUMENT:
            return Problem(code=ProblemCode.NEEDS_FILE, field=one.id)


def option_keys(options: tuple[Option, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the short keys (number, letter) under which each option can be typed.

    Options that are numbers themselves (grade 2, EHRA 2a) have none: "2" must not mean the second of them.
    """
    names = {name for option in options for name in option.spoken}
    numbers = not any(_LIKE_A_KEY.fullmatch(name) for name in names)
    letters = len(options) <= 26 and not any(len(name) == 1 for name in names)
    return tuple(
        (*((str(place),) if numbers else ()), *((chr(ord("a") + place - 1),) if letters else ()))
        for place in range(1, len(options) + 1)
    )


def read_option(field_id: str | None, options: tuple[Option, ...], text: str, language: Language) -> str | Problem:
    """Return the code of the option that *text* names by number, letter, code, label or other name, or the problem."""
    written = folded(text)
    wanted = written.strip(" .!\"'()[]:;")
    named = [option for option in options if wanted in option.spoken or written in option.spoken]
    if len(named) > 1:
        named = [option for option in named if wanted == folded(option.label(language))]
        if len(named) != 1:
            return Problem(code=ProblemCode.AMBIGUOUS_OPTION, field=field_id)
    if named:
        return named[0].code
    for option, keys in zip(options, option_keys(options), strict=True):
        if wanted in keys:
            return option.code
    return Problem(code=ProblemCode.NOT_AN_OPTION, field=field_id)


def _read_text(one: Field, text: str) -> str | Problem:
    if len(text) > one.limit:
        return Problem(code=ProblemCode.TOO_LONG, field=one.id, params={"limit": one.limit, "length": len(text)})
    return text


def _read_several(one: Field, text: str, language: Language) -> tuple[str, ...] | Problem:
    whole = read_option(one.id, one.options, text, language)
    codes = [whole] if isinstance(whole, str) else []
    for part in [] if codes else _ALL_OF.split(folded(text).strip(" .")):
        code = read_option(one.id, one.options, part, language)
        if isinstance(code, Problem):
            return code
        codes.append(code)
    chosen = tuple(option.code for option in one.options if option.code in codes)
    if "none" in chosen and len(chosen) > 1:
        return Problem(code=ProblemCode.CONTRADICTION, field=one.id)
    return chosen


def _read_yes_no(one: Field, text: str) -> bool | Problem:
    word = folded(text).strip(" .!")
    if word in _YES_WORDS:
        return True
    if word in _NO_WORDS:
        return False
    return Problem(code=ProblemCode.NOT_YES_OR_NO, field=one.id)


def _read_number(one: Field, text: str) -> int | Decimal | Problem:
    match = _NUMBER.fullmatch(folded(text).rstrip("."))
    if match is None or len(match[2]) > _MOST_DIGITS:
        return Problem(code=ProblemCode.NOT_A_NUMBER, field=one.id)
    sign, whole, mark, decimals, unit = match.groups()
    if unit and not _is_unit(unit, one.unit):
        return _wrong_unit(one, unit)
    # In Belgium 1.250 and 1,250 are written for a thousand and more, and elsewhere for one and a quarter.
    could_be_thousands = len(decimals or "") == 3 and whole.lstrip("0") and (one.maximum is None or one.maximum >= 1000)
    if mark and (could_be_thousands or (one.type is FieldType.INT and len(decimals) == 3)):
        return Problem(code=ProblemCode.AMBIGUOUS_NUMBER, field=one.id)
    if mark and one.type is FieldType.INT and decimals.strip("0"):
        return Problem(code=ProblemCode.NOT_WHOLE, field=one.id)
    number = Decimal(f"{sign}{whole.replace(' ', '')}.{decimals or '0'}")
    if (one.minimum is not None and number < one.minimum) or (one.maximum is not None and number > one.maximum):
        bounds = {"min": str(one.minimum), "max": str(one.maximum)}
        return Problem(code=ProblemCode.OUT_OF_RANGE, field=one.id, params=bounds)
    if one.type is FieldType.INT:
        return int(number)
    return Decimal(f"{sign}{whole.replace(' ', '')}" + (f".{decimals}" if mark else ""))


def _wrong_unit(one: Field, typed: str) -> Problem:
    """Say what stands after the number: a second number, a remark after the right unit, or another unit."""
    if one.unit is None or typed[:1] in "-.,/<>~+" or _SECOND_NUMBER.search(typed):
        return Problem(code=ProblemCode.NOT_A_NUMBER, field=one.id)
    first, _, remark = typed.partition(" ")
    if remark and _is_unit(first, one.unit):
        return Problem(code=ProblemCode.EXTRA_WORDS, field=one.id, params={"count": len(remark.split())})
    return Problem(code=ProblemCode.WRONG_UNIT, field=one.id, params={"unit": one.unit})


def _is_unit(typed: str, unit: str | None) -> bool:
    if unit is None:
        return False
    plain = folded(unit).replace(" ", "")
    return typed.replace(" ", "").rstrip(".") in (plain, *_UNITS.get(plain, ()))


def _read_year(one: Field, text: str, now: datetime) -> int | Problem:
    word = folded(text)
    if not re.fullmatch(r"[0-9]{4}", word):
        return Problem(code=ProblemCode.NOT_A_YEAR, field=one.id)
    if not EARLIEST_YEAR <= int(word) <= now.year:
        bounds: dict[str, str | int] = {"min": EARLIEST_YEAR, "max": now.year}
        return Problem(code=ProblemCode.OUT_OF_RANGE, field=one.id, params=bounds)
    return int(word)
