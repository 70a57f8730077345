"""A list of people as a table: read whole, or every bad line is named and nobody is taken."""

import csv
import io
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bot.domain.errors import ConfigError
from bot.domain.ids import LineId, UserId
from bot.domain.inami import InamiProblem, InamiRefused, eleven_digits, parse_inami
from bot.domain.language import Language
from bot.domain.people import FUNCTIONS, Person, Role, Standing

COLUMNS = ("matrix_id", "inami", "name", "email", "language", "roles", "lines")
_USER = re.compile(r"@[a-z0-9._=/+-]{1,200}:[A-Za-z0-9.:\[\]-]{1,230}")
_EMAIL = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.-]{3,190}")
_SPLIT = re.compile(r"[|;\s]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in one line of the table (1 is the heading)."""

    line: int
    what: str


class RosterWrong(ConfigError):
    """A table that cannot be taken; `mistakes` has one entry for each bad line."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(f"line {m.line}: {m.what}" for m in mistakes))
        self.mistakes = mistakes


def read_roster(text: str, *, lines: Collection[str], known: Mapping[str, UserId], default: Language) -> list[Person]:
    """Return the people of a table, approved beforehand: their numbers are bound to exactly these Matrix ids.

    *known* maps the first 8 digits of numbers that are taken to their owners.

    Raises:
        RosterWrong: with every mistake; then nothing of the table is to be used.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    if not rows or tuple(cell.strip().lower() for cell in rows[0]) != COLUMNS:
        raise RosterWrong((Mistake(1, f"the first line must be {','.join(COLUMNS)}"),))
    people: list[Person] = []
    mistakes: list[Mistake] = []
    taken = dict(known)
    seen: set[str] = set()
    for number, cells in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        found: list[str] = []
        person = _person([cell.strip() for cell in cells], lines, taken, seen, default, found.append)
        mistakes += [Mistake(number, what) for what in found]
        if person is not None and not found:
            people.append(person)
    if mistakes:
        raise RosterWrong(tuple(mistakes))
    return people


def _person(
    cells: list[str],
    lines: Collection[str],
    taken: dict[str, UserId],
    seen: set[str],
    default: Language,
    wrong: Callable[[str], None],
) -> Person | None:
    if len(cells) != len(COLUMNS):
        wrong(f"{len(cells)} columns instead of {len(COLUMNS)}")
        return None
    user, inami, name, email, language, roles, wanted = cells
    if not _USER.fullmatch(user):
        wrong("matrix_id: not a Matrix id (@name:server, small letters)")
    elif user in seen:
        wrong("matrix_id: stands twice in this table")
    seen.add(user)
    digits = _digits(inami, UserId(user), taken, wrong) if inami else None
    if not 3 <= len(name) <= 80:
        wrong("name: 3 to 80 characters")
    if email and not _EMAIL.fullmatch(email):
        wrong("email: not an address")
    if language and language not in set(Language):
        wrong("language: fr, nl, de or en")
    unknown = [r for r in _SPLIT.split(roles) if r and r not in set(Role)]
    if unknown:
        wrong(f"roles: unknown {', '.join(unknown)}; known are {', '.join(Role)}")
    functions = _functions(wanted, lines, wrong)
    own = {Role(r) for r in _SPLIT.split(roles) if r in set(Role)}
    if digits is None and (Role.PHYSICIAN in own or not own) and not inami:
        wrong("inami: a physician needs a number; staff need a role (admin, auditor, coordinator)")
    return Person(
        user_id=UserId(user),
        name=name,
        inami=digits,
        email=email or None,
        language=Language(language) if language in set(Language) else default,
        standing=Standing.APPROVED,
        roles=frozenset(own | ({Role.PHYSICIAN} if digits else set())),
        lines=functions,
    )


def _digits(text: str, user: UserId, taken: dict[str, UserId], wrong: Callable[[str], None]) -> str | None:
    try:
        digits = parse_inami(text).digits
    except InamiRefused as refused:
        if refused.problem is InamiProblem.BAD_CHECK_DIGITS:
            wrong("inami: the check digits do not fit")
            return eleven_digits(text)
        wrong(f"inami: {refused.problem.replace('_', ' ')}")
        return None
    owner = taken.setdefault(digits[:8], user)
    if owner != user:
        wrong("inami: this number belongs to somebody else already")
    return digits


def _functions(text: str, lines: Collection[str], wrong: Callable[[str], None]) -> dict[LineId, str]:
    functions: dict[LineId, str] = {}
    for part in (p for p in _SPLIT.split(text) if p):
        line, _, function = part.partition(":")
        if line not in lines:
            wrong(f"lines: there is no line {line}; known are {', '.join(sorted(lines))}")
        elif function and function not in FUNCTIONS:
            wrong(f"lines: unknown function {function}; known are {', '.join(FUNCTIONS)}")
        else:
            functions[LineId(line)] = function or "expert"
    return functions
