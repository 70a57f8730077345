"""The shape of a line's YAML file, closed: what a clinician may write, and what each mistake is called."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from bot.domain import forms, lines
from bot.domain.conditions import Condition
from bot.domain.ids import LineId
from bot.domain.language import Language

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]{0,39}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Hours = Annotated[int, Field(gt=0, le=24 * 400)]

_NUMBERS = frozenset({forms.FieldType.INT, forms.FieldType.DECIMAL})
_CHOICES = frozenset({forms.FieldType.ENUM, forms.FieldType.MULTI})


class _Closed(BaseModel):
    """A part of a file: unknown words are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)


class LabelsPart(_Closed):
    """One wording in the four languages."""

    fr: Words
    nl: Words
    de: Words
    en: Words

    def labels(self) -> dict[Language, str]:
        """Return them by language."""
        return {Language.FR: self.fr, Language.NL: self.nl, Language.DE: self.de, Language.EN: self.en}


class ChoicePart(LabelsPart):
    """An option or a decision: its wording, and other words that mean it."""

    names: tuple[Words, ...] = ()


class FieldPart(_Closed):
    """One field of a form."""

    type: forms.FieldType
    need: forms.Requirement
    label: LabelsPart
    when: str | None = None
    options: dict[Code, ChoicePart] = {}
    names: tuple[Words, ...] = ()
    unit: Words | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    satisfied_by: tuple[Id, ...] = ()
    kind: forms.DocumentKind | None = None
    review: Literal["cardiologist", "dermatologist"] | None = None
    basis: str = ""

    @field_validator("when")
    @classmethod
    def _read_condition(cls, text: str | None) -> str | None:
        if text is not None:
            Condition.parse(text)
        return text

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        mistakes = [
            (self.type in _CHOICES and len(self.options) < 2, "a field of choices needs at least two options"),
            (self.type not in _CHOICES and bool(self.options), "only enum and multi have options"),
            (self.type in _NUMBERS and (self.min is None or self.max is None), "a number needs min and max"),
            (self.type not in _NUMBERS and (self.min, self.max) != (None, None), "only numbers have min and max"),
            (self.min is not None and self.max is not None and self.min >= self.max, "min must be less than max"),
            (self.type not in _NUMBERS and self.unit is not None, "only numbers have a unit"),
            (
                (self.type is forms.FieldType.DOCUMENT) != (self.kind is not None),
                "document fields, and only they, have a kind",
            ),
            (
                (self.need is forms.Requirement.CONDITIONAL) != (self.when is not None),
                "need: conditional and `when` belong together",
            ),
        ]
        found = [text for wrong, text in mistakes if wrong]
        if found:
            raise ValueError("; ".join(found))
        return self

    def field(self, field_id: str) -> forms.Field:
        """Return the field as the rest of the program knows it."""
        return forms.Field(
            id=field_id,
            type=self.type,
            requirement=self.need,
            labels=self.label.labels(),
            when=None if self.when is None else Condition.parse(self.when),
            options=tuple(
                forms.Option(code=code, labels=part.labels(), names=part.names) for code, part in self.options.items()
            ),
            names=self.names,
            unit=self.unit,
            minimum=self.min,
            maximum=self.max,
            satisfied_by=self.satisfied_by,
            kind=self.kind,
            review=self.review,
            basis=self.basis,
        )


class RoutingPart(_Closed):
    """How the line chooses who answers."""

    policy: lines.RoutingPolicy = lines.RoutingPolicy.FIRST
    min_experts: Annotated[int, Field(ge=1, le=25)] = 1

    @model_validator(mode="after")
    def _only_groups_count(self) -> Self:
        together = self.policy in (lines.RoutingPolicy.GROUP, lines.RoutingPolicy.PANEL)
        if together != (self.min_experts > 1):
            raise ValueError("group and panel need min_experts of 2 or more, the others none")
        return self


class DeadlinesPart(_Closed):
    """The hours to answer for each urgency, and the reminders in per cent of them."""

    routine: Hours
    priority: Hours
    urgent: Hours
    reminders: tuple[Annotated[int, Field(gt=0, lt=100)], ...] = (50, 80)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.urgent <= self.priority <= self.routine:
            raise ValueError("urgent must not be slower than priority, nor priority than routine")
        if list(self.reminders) != sorted(set(self.reminders)):
            raise ValueError("reminders must rise")
        return self


class RetentionPart(_Closed):
    """The hours that a case stays: after delivery (or closing), after cancelling, and while nobody answers the form."""

    after_delivery: Hours
    after_cancel: Hours
    collecting_silence: Hours

    @field_validator("after_delivery", "after_cancel")
    @classmethod
    def _room_for_warnings(cls, hours: int) -> int:
        if hours < 96:
            raise ValueError("at least 96 hours: a warning three days before needs them")
        return hours


class LinePart(_Closed):
    """One line: a whole YAML file."""

    id: Id
    names: LabelsPart
    other_names: tuple[Words, ...] = ()
    routing: RoutingPart = RoutingPart()
    deadlines: DeadlinesPart
    second_line: Id | None = None
    retention: RetentionPart
    identity: lines.IdentityPolicy = lines.IdentityPolicy.STRIP
    emergency_telephone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ./-]{3,20}$")] | None = None
    max_document_mb: Annotated[int, Field(ge=1, le=1024)] = 500
    limits: LabelsPart
    decisions: Annotated[dict[Id, ChoicePart], Field(min_length=2)]
    fields: dict[Id, FieldPart]

    def line(self, included: Mapping[str, FieldPart]) -> lines.Line:
        """Return the line; its own fields replace included ones of the same id, where those stood."""
        parts = {**included, **self.fields}
        return lines.Line(
            id=LineId(self.id),
            names=self.names.labels(),
            other_names=self.other_names,
            routing=lines.Routing(policy=self.routing.policy, min_experts=self.routing.min_experts),
            deadlines=lines.Deadlines(
                routine=timedelta(hours=self.deadlines.routine),
                priority=timedelta(hours=self.deadlines.priority),
                urgent=timedelta(hours=self.deadlines.urgent),
                reminders=tuple(percent / 100 for percent in self.deadlines.reminders),
            ),
            retention=lines.Retention(
                after_delivery=timedelta(hours=self.retention.after_delivery),
                after_cancel=timedelta(hours=self.retention.after_cancel),
                collecting_silence=timedelta(hours=self.retention.collecting_silence),
            ),
            identity=self.identity,
            decisions=tuple(
                lines.Decision(code=code, labels=part.labels(), names=part.names)
                for code, part in self.decisions.items()
            ),
            form=forms.Form(line=self.id, fields=tuple(part.field(field_id) for field_id, part in parts.items())),
            limits=self.limits.labels(),
            second_line=None if self.second_line is None else LineId(self.second_line),
            emergency_telephone=self.emergency_telephone,
            max_document_mb=self.max_document_mb,
        )


class IncludedPart(_Closed):
    """A file of fields that several lines include; it is no line itself."""

    fields: dict[Id, FieldPart]


def said(message: str) -> str:
    """Return a validation message without the words of the validator around it."""
    return re.sub(r"^(Value error|Assertion failed), ", "", message)
