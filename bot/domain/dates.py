"""Reads dates and times as Belgian physicians write them: day before month, today's word in four languages."""

import re
from datetime import date, datetime, time, timedelta

from bot.domain.language import folded
from bot.domain.problems import Problem, ProblemCode

_DAYS_AGO = {
    **dict.fromkeys(("aujourd'hui", "vandaag", "heute", "today", "auj"), 0),
    **dict.fromkeys(("hier", "gisteren", "gestern", "yesterday"), 1),
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier januari januar january jan janv",
            "fevrier februari februar february fevr fev feb",
            "mars maart marz march mrt mar",
            "avril april avr apr",
            "mai mei may",
            "juin juni june jun",
            "juillet juli july juil jul",
            "aout augustus august aug",
            "septembre september sept sep",
            "octobre oktober october okt oct",
            "novembre november nov",
            "decembre december dezember dec dez",
        ),
        start=1,
    )
    for name in names.split()
}
_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_NUMBERS = re.compile(r"([0-9]{1,2})\s*[-/. ]\s*([0-9]{1,2})\s*[-/. ]\s*([0-9]{4}|[0-9]{2})")
_WORDS = re.compile(r"([0-9]{1,2})(?:er|\.)? ([a-z]+)\.? ([0-9]{4})")
_TIME = re.compile(r"(.*?)[\s,t]+(?:a |om |um |at )?([0-9]{1,2})\s?[:hu]\s?([0-9]{2})?(?: ?h| ?u| ?uhr)?")


def read_date(field_id: str, text: str, now: datetime) -> date | Problem:
    """Return the day that *text* names: 25/11/2026, 25-11-26, 25 novembre 2026, 2026-11-25, today, yesterday.

    Never a day ahead. A year of two digits is of this century; if that lies ahead, the date is ambiguous. A month
    before the day is no date here.
    """
    return _not_ahead(field_id, _read_day(field_id, folded(text).strip(" .,"), now), now)


def read_datetime(field_id: str, text: str, now: datetime) -> datetime | Problem:
    """Return the moment that *text* names: a date as in `read_date`, then 14:30 or 14h30; in the time zone of *now*."""
    match = _TIME.fullmatch(folded(text).strip(" .,"))
    if match is None:
        day = read_date(field_id, text, now)
        return day if isinstance(day, Problem) else Problem(code=ProblemCode.TIME_MISSING, field=field_id)
    day = _not_ahead(field_id, _read_day(field_id, match[1].strip(" ,"), now), now)
    if isinstance(day, Problem):
        return day
    try:
        moment = datetime.combine(day, time(int(match[2]), int(match[3] or 0)), tzinfo=now.tzinfo)
    except ValueError:
        return Problem(code=ProblemCode.NOT_A_DATE, field=field_id)
    return moment if moment <= now else Problem(code=ProblemCode.DATE_IN_FUTURE, field=field_id)


def _not_ahead(field_id: str, day: date | Problem, now: datetime) -> date | Problem:
    if isinstance(day, date) and day > now.date():
        return Problem(code=ProblemCode.DATE_IN_FUTURE, field=field_id)
    return day


def _read_day(field_id: str, text: str, now: datetime) -> date | Problem:
    wrong = Problem(code=ProblemCode.NOT_A_DATE, field=field_id)
    if text in _DAYS_AGO:
        return now.date() - timedelta(days=_DAYS_AGO[text])
    if match := _ISO.fullmatch(text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := _NUMBERS.fullmatch(text):
        day, month, year = int(match[1]), int(match[2]), int(match[3])
        if len(match[3]) == 2:
            year += 2000
            if year > now.year:
                return Problem(code=ProblemCode.AMBIGUOUS_DATE, field=field_id)
    elif (match := _WORDS.fullmatch(text)) and match[2] in _MONTHS:
        day, month, year = int(match[1]), _MONTHS[match[2]], int(match[3])
    else:
        return wrong
    try:
        return date(year, month, day)
    except ValueError:
        return wrong
