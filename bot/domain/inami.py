"""The INAMI number of a physician: read from what was typed, checked for typing errors, written in one way."""

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.errors import Refusal

_LENGTH = 11
_SEPARATORS = frozenset(" .-/_\t\u00a0\u202f\u2009\u2010\u2011\u2012\u2013\u2014\u2212")


class InamiProblem(StrEnum):
    """Why a text is no physician's INAMI number."""

    NOT_A_NUMBER = "not_a_number"
    WRONG_LENGTH = "wrong_length"
    NOT_PHYSICIAN = "not_physician"
    BAD_CHECK_DIGITS = "bad_check_digits"


class Profession(StrEnum):
    """The profession that the first digit stands for (structure published by INAMI/RIZIV)."""

    PHYSICIAN = "physician"
    HOSPITAL_PHARMACIST = "hospital_pharmacist"
    DENTIST = "dentist"
    NURSE_OR_MIDWIFE = "nurse_or_midwife"
    PHYSIOTHERAPIST = "physiotherapist"
    PHARMACIST = "pharmacist"
    HOSPITAL = "hospital"
    LABORATORY = "laboratory"
    UNKNOWN = "unknown"


_PROFESSIONS = {
    "1": Profession.PHYSICIAN,
    "2": Profession.HOSPITAL_PHARMACIST,
    "3": Profession.DENTIST,
    "4": Profession.NURSE_OR_MIDWIFE,
    "5": Profession.PHYSIOTHERAPIST,
    "6": Profession.PHARMACIST,
    "7": Profession.HOSPITAL,
    "8": Profession.LABORATORY,
}


class CheckRule(StrEnum):
    """The rule that the check digits follow; physicians numbered since April 2019 follow modulo 89."""

    MODULO_97 = "modulo_97"
    MODULO_89 = "modulo_89"


class InamiRefused(Refusal):
    """A text that is no physician's INAMI number; its code is `inami_` and the problem, never the text."""

    def __init__(
        self, problem: InamiProblem, *, profession: Profession | None = None, length: int | None = None
    ) -> None:
        super().__init__(f"inami_{problem}", profession=profession, length=length)
        self.problem = problem
        self.profession = profession
        self.length = length


@dataclass(frozen=True, slots=True, kw_only=True)
class InamiNumber:
    """A physician's number: 11 digits whose check digits fit; it finds typing errors and proves no identity."""

    digits: str
    rule: CheckRule

    @property
    def key(self) -> str:
        """Return the first 8 digits: they stay for a whole career (the first 6 are no longer unique)."""
        return self.digits[:8]

    @property
    def qualification(self) -> str:
        """Return the last 3 digits, which change with the recognition."""
        return self.digits[8:]

    def __str__(self) -> str:
        """Return the number as it is printed: 1-87497-04-477."""
        return formatted(self.digits)


def formatted(digits: str) -> str:
    """Return 11 digits as P-NNNNN-CC-QQQ."""
    return f"{digits[0]}-{digits[1:6]}-{digits[6:8]}-{digits[8:]}"


def eleven_digits(text: str) -> str:
    """Return the 11 digits of a physician's number in *text*, check digits not judged (for an approval with a reason).

    Raises:
        InamiRefused: other characters than digits and separators, another length, or another profession.
    """
    digits = "".join(character for character in text.strip() if character not in _SEPARATORS)
    if not digits or not digits.isascii() or not digits.isdecimal():
        raise InamiRefused(InamiProblem.NOT_A_NUMBER)
    if len(digits) != _LENGTH:
        raise InamiRefused(InamiProblem.WRONG_LENGTH, length=len(digits))
    profession = _PROFESSIONS.get(digits[0], Profession.UNKNOWN)
    if profession is not Profession.PHYSICIAN:
        raise InamiRefused(InamiProblem.NOT_PHYSICIAN, profession=profession)
    return digits


def parse_inami(text: str) -> InamiNumber:
    """Return the physician's number in *text*: digits with or without separators.

    Check digits: 97 − (first six modulo 97), or the newer 89 − (first six modulo 89).

    Raises:
        InamiRefused: with its reason; `bad_check_digits` alone can be approved by an admin (see `eleven_digits`).
    """
    digits = eleven_digits(text)
    number, check = int(digits[:6]), int(digits[6:8])
    if check == 97 - number % 97:
        return InamiNumber(digits=digits, rule=CheckRule.MODULO_97)
    if check == 89 - number % 89:
        return InamiNumber(digits=digits, rule=CheckRule.MODULO_89)
    raise InamiRefused(InamiProblem.BAD_CHECK_DIGITS)
