"""Reads the patient from one line, "ref 4711, 1958, F": a local reference, a year of birth, a sex, in any order."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import field as given
from datetime import datetime

from bot.domain.conditions import BIRTH_YEAR
from bot.domain.dates import read_date
from bot.domain.forms import Value
from bot.domain.language import folded
from bot.domain.niss import find_niss, hides_niss
from bot.domain.problems import Problem, ProblemCode
from bot.domain.prompts import REFERENCE, SEX
from bot.domain.values import EARLIEST_YEAR

LONGEST_REFERENCE = 40
_AROUND = ".()\"'!=:*-"

_SEX_WORDS = {
    **dict.fromkeys(
        "f v w femme feminin feminine vrouw vrouwelijk weiblich frau female woman dame mme madame".split(), "f"
    ),
    **dict.fromkeys("m h homme masculin masculine man mannelijk mannlich mann male monsieur".split(), "m"),
    **dict.fromkeys("x d autre ander andere anders divers other".split(), "x"),
}
_NEXT_WORD = r"\b\.?\s*(?:(?:nr|no|n|patiente?|pat|dossier)\b\.?\s*)*(?:[:=#]\s*)?([^\s,;:=#]+)"
_REFERENCE = re.compile(rf"(?<!\w)r[eé]f(?:[eé]rence|erentie|erenz)?{_NEXT_WORD}", re.IGNORECASE)
_DATE = re.compile(
    r"(?<![\w/.-])(?:[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2})(?![\w/-])"
)
_AGE = re.compile(r"(?<!\w)[0-9]{1,3}\s?(?:ans?|jaar|jahre?|years?|yo|y|j|a)(?!\w)")
_YEAR = re.compile(r"[0-9]{4}")
# Words that say what comes next and carry nothing themselves.
_FILLERS = frozenset(
    "ne nee le la en born birth year of geboren geb geboortejaar geboortedatum in am op dn annee date de naissance"
    " patient patiente dossier pat pt nr no n id geburtsjahr geburtsdatum sexe sex geslacht geschlecht et und".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLine:
    """What was read from the line: values by field, problems, and the words that were none of it."""

    values: dict[str, Value] = given(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()
    rest: str = given(default="", repr=False)


def read_patient_line(text: str, now: datetime, *, wanted: Collection[str]) -> PatientLine:
    """Return reference, year of birth and sex as found; a full date of birth is reduced to its year.

    *wanted* are the fields still asked (the others are taken too, if they stand there). A line with a national number,
    also inside the reference, gives nothing at all. Two candidates for one field give a problem, never a choice.
    """
    if niss := find_niss(text):
        return PatientLine(problems=(Problem(code=ProblemCode.NISS_FOUND, params={"count": len(niss)}),))
    line = " ".join(unicodedata.normalize("NFC", text).replace("\u00b0", " ").split())
    if line.count("/") == 2 and " " not in line and not _DATE.search(line):
        line = line.replace("/", ", ")  # "4711/1958/F"
    problems: list[Problem] = []
    reference, line = _taken_reference(line)
    plain = folded(line)
    years, plain = _taken_dates(plain, now, problems)
    if _AGE.search(plain):
        problems.append(Problem(code=ProblemCode.YEAR_NOT_AGE, field=BIRTH_YEAR))
        plain = _AGE.sub(" ", plain)
    words = [word.strip(_AROUND) for word in re.split(r"[\s,;:]+", plain)]
    words = [word for word in words if word and word not in _FILLERS]
    sexes = [_SEX_WORDS[word] for word in words if word in _SEX_WORDS]
    numbers = [word for word in words if _YEAR.fullmatch(word) and EARLIEST_YEAR <= int(word) <= now.year]
    others = [word for word in words if word not in _SEX_WORDS and word not in numbers]
    if reference is not None or not (years or problems):
        years, numbers = years + [int(word) for word in numbers], []
    others += numbers
    if reference is None:
        with_digit = [word for word in others if any(character.isdigit() for character in word)]
        if len(with_digit) == 1:
            reference = _as_typed(text, with_digit[0])
            others.remove(with_digit[0])
        elif with_digit:
            problems.append(Problem(code=ProblemCode.AMBIGUOUS_PATIENT, field=REFERENCE))
            others = [word for word in others if word not in with_digit]
    values: dict[str, Value] = {}
    _keep_reference(reference, values, problems, wanted)
    _keep_only(BIRTH_YEAR, years, values, problems)
    _keep_only(SEX, sexes, values, problems)
    if others:
        problems.append(Problem(code=ProblemCode.EXTRA_WORDS, params={"count": len(others)}))
    if any(problem.code is ProblemCode.NISS_FOUND for problem in problems):
        values = {}
    return PatientLine(values=values, problems=tuple(problems), rest=" ".join(others))


def _taken_reference(line: str) -> tuple[str | None, str]:
    match = _REFERENCE.search(line)
    if match is None:
        return None, line
    return match[1].strip(_AROUND), f"{line[: match.start()]} , {line[match.end() :]}"


def _taken_dates(plain: str, now: datetime, problems: list[Problem]) -> tuple[list[int], str]:
    """Take full dates of birth out of the line; a year of two digits is no year of birth that one could be sure of."""
    years: list[int] = []
    for match in _DATE.finditer(plain):
        day = read_date(BIRTH_YEAR, match[0], now)
        if isinstance(day, Problem):
            problems.append(day)
        elif not re.search(r"[0-9]{4}", match[0]):
            problems.append(Problem(code=ProblemCode.AMBIGUOUS_DATE, field=BIRTH_YEAR))
        else:
            years.append(day.year)
    return years, _DATE.sub(" ", plain)


def _keep_reference(
    reference: str | None, values: dict[str, Value], problems: list[Problem], wanted: Collection[str]
) -> None:
    if reference is None:
        if REFERENCE in wanted and not any(problem.field == REFERENCE for problem in problems):
            problems.append(Problem(code=ProblemCode.REFERENCE_MISSING, field=REFERENCE))
    elif hides_niss(reference):
        problems.append(Problem(code=ProblemCode.NISS_FOUND, field=REFERENCE, params={"count": 1}))
    elif len(reference) > LONGEST_REFERENCE:
        limit: dict[str, str | int] = {"limit": LONGEST_REFERENCE}
        problems.append(Problem(code=ProblemCode.REFERENCE_TOO_LONG, field=REFERENCE, params=limit))
    elif not any(character.isdigit() for character in reference):
        problems.append(Problem(code=ProblemCode.REFERENCE_LIKE_A_NAME, field=REFERENCE))
    else:
        values[REFERENCE] = reference


def _keep_only(field_id: str, found: list[int] | list[str], values: dict[str, Value], problems: list[Problem]) -> None:
    different = set(found)
    if len(different) > 1:
        problems.append(Problem(code=ProblemCode.AMBIGUOUS_PATIENT, field=field_id))
    elif different:
        values[field_id] = found[0]


def _as_typed(text: str, word: str) -> str:
    """Return the word of *text* that folds to *word*: a reference keeps its capitals."""
    return next((one.strip(_AROUND) for one in re.split(r"[\s,;:]+", text) if folded(one).strip(_AROUND) == word), word)
