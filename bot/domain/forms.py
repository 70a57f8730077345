"""The form of a line: its fields, when each is needed, and what was answered so far."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from bot.domain.conditions import Condition
from bot.domain.ids import EventId
from bot.domain.language import Labels, Language, folded, in_language

Value = str | bool | int | Decimal | date | datetime | tuple[str, ...]

_PARENTHESIS = re.compile(r" *\([^)]*\)$")

LONGTEXT_LIMIT = 10_000
TEXT_LIMIT = 500


class FieldType(StrEnum):
    """What kind of answer a field takes; a document field is a slot that a file fills."""

    LONGTEXT = "longtext"
    TEXT = "text"
    ENUM = "enum"
    MULTI = "multi"
    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    YEAR = "year"
    DOCUMENT = "document"


class Requirement(StrEnum):
    """How much a field is needed; a conditional one is required while its condition holds, and not asked otherwise."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    CONDITIONAL = "conditional"


class DocumentKind(StrEnum):
    """The kind of document that a slot waits for: what it shows, never its file type."""

    LETTER = "letter"
    REPORT = "report"
    ECG = "ecg"
    HOLTER = "holter"
    ECHO = "echo"
    ANGIOGRAPHY = "angiography"
    CT = "ct"
    MRI = "mri"
    SCINTIGRAPHY = "scintigraphy"
    PHOTO = "photo"


def spoken_names(code: str, labels: Labels, names: tuple[str, ...]) -> frozenset[str]:
    """Return every name of an option or a field, folded; a name counts without its parenthesis too."""
    plain = {folded(name) for name in (code, code.replace("_", " "), *labels.values(), *names)}
    return frozenset(plain | {_PARENTHESIS.sub("", name) for name in plain})


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One possible answer of a field or of a poll; *names* are other words that mean it."""

    code: str
    labels: Labels
    names: tuple[str, ...] = ()
    spoken: frozenset[str] = field(init=False, repr=False, compare=False)
    """Every way to name it, as words are compared; a label counts without its parenthesis too."""

    def __post_init__(self) -> None:
        """Fold the names once: each message compares with all of them."""
        object.__setattr__(self, "spoken", spoken_names(self.code, self.labels, self.names))

    def label(self, language: Language) -> str:
        """Return its label as a reader of *language* sees it."""
        return in_language(self.labels, language) or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that an expert needs to know, or one slot for a document."""

    id: str
    type: FieldType
    requirement: Requirement
    labels: Labels
    when: Condition | None = None
    options: tuple[Option, ...] = ()
    names: tuple[str, ...] = ()
    """Other words that people write for it: FEVG, LVEF, EF."""

    unit: str | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    satisfied_by: tuple[str, ...] = ()
    """Document slots that answer it as well: a letter tells the history."""

    kind: DocumentKind | None = None
    review: str | None = None
    """Who must still approve this field (`cardiologist`), or None."""

    basis: str = ""
    spoken: frozenset[str] = field(init=False, repr=False, compare=False)
    """Every way to name it, as words are compared; a label counts without its parenthesis too."""

    def __post_init__(self) -> None:
        """Fold the names once: each message compares with all of them."""
        object.__setattr__(self, "spoken", spoken_names(self.id, self.labels, self.names))

    @property
    def is_slot(self) -> bool:
        """True if a document fills it, not a text."""
        return self.type is FieldType.DOCUMENT

    @property
    def is_long(self) -> bool:
        """True if its text is taken as it stands, over several lines."""
        return self.type is FieldType.LONGTEXT

    @property
    def limit(self) -> int:
        """Return how many characters its text may have."""
        return LONGTEXT_LIMIT if self.is_long else TEXT_LIMIT

    def label(self, language: Language) -> str:
        """Return its label as a reader of *language* sees it."""
        return in_language(self.labels, language) or self.id

    def option(self, code: str) -> Option | None:
        """Return the option with this code, if there is one."""
        return next((option for option in self.options if option.code == code), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """All fields of a line, the common ones first, in the order in which they are shown."""

    line: str
    fields: tuple[Field, ...]

    def __getitem__(self, field_id: str) -> Field:
        """Return the field with this id; KeyError if the form has none."""
        found = self.get(field_id)
        if found is None:
            raise KeyError(field_id)
        return found

    def get(self, field_id: str) -> Field | None:
        """Return the field with this id, if the form has one."""
        return next((one for one in self.fields if one.id == field_id), None)

    @property
    def slots(self) -> tuple[Field, ...]:
        """Return the document slots."""
        return tuple(one for one in self.fields if one.is_slot)


class How(StrEnum):
    """Where an answer came from."""

    TYPED = "typed"
    TAP = "tap"
    LETTER = "letter"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, the event it came in, and the value it replaced."""

    value: Value = field(repr=False)
    source: EventId
    how: How
    changed_from: Value | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answers(Mapping[str, Answer]):
    """What was answered so far, by field id; never changed, only replaced."""

    _by_field: Mapping[str, Answer] = field(default_factory=dict, repr=False)

    def __getitem__(self, field_id: str) -> Answer:
        """Return the answer to a field; KeyError if it has none."""
        return self._by_field[field_id]

    def __iter__(self) -> Iterator[str]:
        """Go through the ids of the answered fields, in the order in which they were answered."""
        return iter(self._by_field)

    def __len__(self) -> int:
        """Return how many fields are answered."""
        return len(self._by_field)

    def value(self, field_id: str) -> Value | None:
        """Return the value of a field, or None while it has no answer."""
        answer = self._by_field.get(field_id)
        return None if answer is None else answer.value

    def with_values(self, values: Mapping[str, Value], *, source: EventId, how: How) -> "Answers":
        """Return these answers with *values* on top; a value that differs remembers the one it replaced."""
        changed = dict(self._by_field)
        for field_id, value in values.items():
            before = self._by_field.get(field_id)
            if before is None:
                changed[field_id] = Answer(value=value, source=source, how=how)
            elif before.value == value:
                changed[field_id] = replace(before, source=source, how=how)
            else:
                changed[field_id] = Answer(value=value, source=source, how=how, changed_from=before.value)
        return Answers(changed)

    def without(self, field_id: str) -> "Answers":
        """Return these answers without one field (`back`)."""
        return Answers({one: answer for one, answer in self._by_field.items() if one != field_id})

    def from_event(self, source: EventId) -> tuple[str, ...]:
        """Return the fields that one event answered (an edit or a withdrawal touches these)."""
        return tuple(one for one, answer in self._by_field.items() if answer.source == source)


def is_needed(one: Field, answers: Answers, documents: Collection[str], today: date) -> bool:
    """Tell whether a field is asked at all now: a conditional one only while its condition holds."""
    if one.requirement is not Requirement.CONDITIONAL or one.when is None:
        return True
    return one.when.holds(values={i: a.value for i, a in answers.items()}, documents=documents, today=today)


def is_filled(one: Field, answers: Answers, documents: Collection[str]) -> bool:
    """Tell whether a field has its answer, its document, or a document that answers it as well."""
    if one.is_slot:
        return one.id in documents
    return one.id in answers or any(slot in documents for slot in one.satisfied_by)
