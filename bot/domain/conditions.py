"""The condition under which a field is needed, as clinicians write it: `arrhythmia_type in [af]`, `age > 75`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

AGE = "age"
"""A subject that is no field: the year now less the year of birth, so up to one year more than the real age."""

BIRTH_YEAR = "patient_birth_year"

_NAME = r"[a-z][a-z0-9_]*"
_LIST = re.compile(rf"({_NAME}) in \[([a-zA-Z0-9_ ,]+)\]")
_COMPARED = re.compile(rf"({_NAME}) (>=|<=|>|<) (-?[0-9]+(?:\.[0-9]+)?)")
_YES_NO = re.compile(rf"({_NAME}) is (yes|no)")
_PRESENT = re.compile(rf"({_NAME}) present")


class Relation(StrEnum):
    """How the subject of a condition is judged."""

    IN = "in"
    IS = "is"
    MORE = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="
    PRESENT = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One clause: a field (or `age`), a relation, and what it is compared with."""

    subject: str
    relation: Relation
    codes: tuple[str, ...] = ()
    bound: Decimal = Decimal(0)
    wanted: bool = True

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition.

        Raises:
            ValueError: *text* has none of the four forms.
        """
        words = " ".join(text.split())
        if match := _LIST.fullmatch(words):
            codes = tuple(code.strip() for code in match[2].split(","))
            if not all(codes):
                raise ValueError("an empty place in the list")
            return cls(subject=match[1], relation=Relation.IN, codes=codes)
        if match := _COMPARED.fullmatch(words):
            return cls(subject=match[1], relation=Relation(match[2]), bound=Decimal(match[3]))
        if match := _YES_NO.fullmatch(words):
            return cls(subject=match[1], relation=Relation.IS, wanted=match[2] == "yes")
        if match := _PRESENT.fullmatch(words):
            return cls(subject=match[1], relation=Relation.PRESENT)
        raise ValueError("write `FIELD in [a, b]`, `FIELD > 75`, `FIELD is yes` or `SLOT present`")

    @property
    def field_id(self) -> str:
        """Return the field it looks at; age looks at the year of birth."""
        return BIRTH_YEAR if self.subject == AGE else self.subject

    def holds(self, *, values: Mapping[str, object], documents: Collection[str], today: date) -> bool:
        """Tell whether it holds; what was not answered yet never holds."""
        if self.relation is Relation.PRESENT:
            return self.subject in documents
        value = values.get(self.field_id)
        if self.relation is Relation.IN:
            chosen = value if isinstance(value, tuple) else (value,)
            return any(code in self.codes for code in chosen)
        if self.relation is Relation.IS:
            return value is self.wanted
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return False
        number = Decimal(today.year - value) if self.subject == AGE else Decimal(value)
        match self.relation:
            case Relation.MORE:
                return number > self.bound
            case Relation.AT_LEAST:
                return number >= self.bound
            case Relation.LESS:
                return number < self.bound
            case Relation.AT_MOST:
                return number <= self.bound
