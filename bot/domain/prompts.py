"""The conversation that fills a form: a few prompts, each for what is still missing, at most 12 messages in all."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from bot.domain import prompt_labels
from bot.domain.conditions import Relation
from bot.domain.core_fields import (
    ANSWERED_BY_PROMPT_ALONE,
    BIRTH_YEAR,
    CONSENT_DATE,
    CONSENT_REASON,
    INFORMED,
    NEVER_SKIPPED,
    NOT_EMERGENCY,
    OUTPUT,
    QUESTION,
    REFERENCE,
    SEEN,
    SEX,
    URGENCY,
)
from bot.domain.forms import Answers, Field, FieldType, Form, Option, Requirement
from bot.domain.language import Labels
from bot.domain.missing import FormStatus, is_missing, status

__all__ = [
    "ANSWERED_BY_PROMPT_ALONE",
    "BIRTH_YEAR",
    "CONSENT_DATE",
    "CONSENT_REASON",
    "INFORMED",
    "MOST_MESSAGES",
    "MOST_POLL_OPTIONS",
    "NEVER_SKIPPED",
    "NOT_EMERGENCY",
    "OUTPUT",
    "QUESTION",
    "REFERENCE",
    "SEEN",
    "SEX",
    "URGENCY",
    "FormStatus",
    "Prompt",
    "PromptId",
    "after_reply",
    "after_skip",
    "most_messages",
    "next_prompt",
    "plan",
    "prompt_for",
    "status",
]

MOST_MESSAGES = 12
"""Own messages or taps from `new` to `submitted`, both included, files not counted."""

MOST_POLL_OPTIONS = 20


class PromptId(StrEnum):
    """The prompts, in the order in which they are asked."""

    EMERGENCY = "emergency"
    PATIENT = "patient"
    DECLARATIONS = "declarations"
    CONSENT_REASON = "consent_reason"
    QUESTION = "question"
    EXPECTATION = "expectation"
    KEY = "key"
    FACTS = "facts"
    CLINICAL = "clinical"
    DOCUMENTS = "documents"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One thing the bot says to get answers: a poll with options, or a text that one message may answer as a whole."""

    id: PromptId
    labels: Labels
    fields: tuple[str, ...]
    as_poll: bool = False
    options: tuple[Option, ...] = ()


def plan(form: Form) -> list[Prompt]:
    """Return every prompt of a form in order, with all fields that it may ask for; empty prompts are left out."""
    rest = [one for one in form.fields if one.id not in _OPENING_FIELDS]
    deciders = {one.when.field_id for one in form.fields if one.when and one.when.relation is not Relation.PRESENT}
    short = [one for one in rest if not one.is_slot and not one.is_long]
    wanted = [one for one in short if one.requirement is not Requirement.RECOMMENDED]
    key = [one for one in wanted if one.id in deciders and one.requirement is Requirement.REQUIRED]
    opening = [
        _opening(PromptId.EMERGENCY, prompt_labels.EMERGENCY, (NOT_EMERGENCY,), prompt_labels.EMERGENCY_OPTIONS),
        _opening(PromptId.PATIENT, prompt_labels.PATIENT, (REFERENCE, BIRTH_YEAR, SEX)),
        _opening(
            PromptId.DECLARATIONS,
            prompt_labels.DECLARATIONS,
            (INFORMED, SEEN, CONSENT_DATE),
            prompt_labels.DECLARATION_OPTIONS,
        ),
        _opening(PromptId.CONSENT_REASON, prompt_labels.CONSENT_REASON, (CONSENT_REASON,)),
        _opening(PromptId.QUESTION, form[QUESTION].labels, (QUESTION,)),
    ]
    batches = [
        _batch(form, PromptId.EXPECTATION, [form[OUTPUT], form[URGENCY]]),
        _batch(form, PromptId.KEY, key),
        _batch(form, PromptId.FACTS, [one for one in wanted if one not in key]),
        _batch(
            form, PromptId.CLINICAL, [o for o in rest if o.is_long and o.requirement is not Requirement.RECOMMENDED]
        ),
        _batch(
            form, PromptId.DOCUMENTS, [o for o in rest if o.is_slot and o.requirement is not Requirement.RECOMMENDED]
        ),
        _batch(
            form,
            PromptId.CLOSING,
            [one for one in rest if one.requirement is Requirement.RECOMMENDED or _follows_file(one)],
        ),
    ]
    return opening + [prompt for prompt in batches if prompt.fields]


def next_prompt(
    form: Form, answers: Answers, documents: Collection[str], skipped: Collection[str], *, today: date
) -> Prompt | None:
    """Return what to ask now, asking only for what is missing; None when all was asked.

    *documents* are the slots that have a document; *skipped* comes from `after_skip` and `after_reply`.
    """
    closed = PromptId.CLOSING in skipped

    def is_open(one: Field, prompt: Prompt) -> bool:
        if prompt.id in (PromptId.FACTS, PromptId.CLINICAL) and _follows_file(one) and not closed:
            return False  # asked in the closing list, with or after its document
        if one.id in skipped and one.id not in NEVER_SKIPPED:
            return False
        if is_missing(one, answers, documents, today):
            return True
        slot = _file_of(form, one) if prompt.id is PromptId.CLOSING and one.id not in answers else None
        return slot is not None and is_open(slot, prompt)

    for prompt in plan(form):
        if prompt.id is PromptId.CLOSING and closed:
            continue
        missing = _missing_of(form, prompt, is_open)
        if missing:
            return _narrowed(form, prompt, missing)
    return None


def prompt_for(form: Form, field_id: str) -> Prompt:
    """Return the prompt that asks for one field alone; an opening field comes with its companions.

    Raises:
        KeyError: the form has no such field.
    """
    form[field_id]
    whole = next(prompt for prompt in plan(form) if field_id in prompt.fields)
    return _narrowed(form, whole, (field_id,)) if whole.id in _BATCH_LABELS else whole


def after_skip(prompt: Prompt, skipped: Collection[str]) -> frozenset[str]:
    """Return *skipped* after the requester skipped a prompt; what is never skipped stays asked."""
    left = {field_id for field_id in prompt.fields if field_id not in NEVER_SKIPPED}
    return after_reply(prompt, skipped) | left


def after_reply(prompt: Prompt, skipped: Collection[str]) -> frozenset[str]:
    """Return *skipped* after a prompt was answered: the closing list is asked once, all others until answered."""
    return frozenset(skipped) | ({prompt.id.value} if prompt.id is PromptId.CLOSING else frozenset())


def most_messages(form: Form) -> int:
    """Return how many messages or taps a form needs at most if each prompt is answered in one, from `new` to `submit`.

    A field whose condition hangs on another conditional field is asked one message later.
    """
    asked = [prompt for prompt in plan(form) if prompt.id is not PromptId.DOCUMENTS]
    return 2 + len(asked) + max((_depth(form, one) for one in form.fields), default=0)


_OPENING_FIELDS = frozenset({*NEVER_SKIPPED, CONSENT_DATE, SEEN, OUTPUT, URGENCY})
_TAPPED = frozenset({FieldType.ENUM, FieldType.BOOL})
_BATCH_LABELS = {
    PromptId.EXPECTATION: prompt_labels.EXPECTATION,
    PromptId.KEY: prompt_labels.KEY,
    PromptId.FACTS: prompt_labels.FACTS,
    PromptId.CLINICAL: prompt_labels.CLINICAL,
    PromptId.DOCUMENTS: prompt_labels.DOCUMENTS,
    PromptId.CLOSING: prompt_labels.CLOSING,
}


def _opening(prompt_id: PromptId, labels: Labels, fields: tuple[str, ...], options: tuple[Option, ...] = ()) -> Prompt:
    return Prompt(id=prompt_id, labels=labels, fields=fields, as_poll=bool(options), options=options)


def _batch(form: Form, prompt_id: PromptId, fields: Collection[Field]) -> Prompt:
    whole = Prompt(id=prompt_id, labels=_BATCH_LABELS[prompt_id], fields=tuple(one.id for one in fields))
    return _narrowed(form, whole, whole.fields)


def _narrowed(form: Form, prompt: Prompt, fields: tuple[str, ...]) -> Prompt:
    """Ask only for *fields*; a single choice becomes a poll, a single field is asked by its own name."""
    if prompt.id not in _BATCH_LABELS:
        return prompt if prompt.as_poll else replace(prompt, fields=fields)
    if len(fields) != 1 or prompt.id in (PromptId.CLOSING, PromptId.DOCUMENTS):
        return replace(prompt, fields=fields, labels=_BATCH_LABELS[prompt.id], as_poll=False, options=())
    one = form[fields[0]]
    options = (prompt_labels.YES, prompt_labels.NO) if one.type is FieldType.BOOL else one.options
    as_poll = one.type in _TAPPED and len(options) <= MOST_POLL_OPTIONS
    return replace(prompt, fields=fields, labels=one.labels, as_poll=as_poll, options=options if as_poll else ())


def _missing_of(form: Form, prompt: Prompt, is_open: Callable[[Field, Prompt], bool]) -> tuple[str, ...]:
    return tuple(field_id for field_id in prompt.fields if is_open(form[field_id], prompt))


def _follows_file(one: Field) -> bool:
    return not one.is_slot and one.when is not None and one.when.relation is Relation.PRESENT


def _file_of(form: Form, one: Field) -> Field | None:
    """Return the document on which a field follows."""
    return form.get(one.when.subject) if _follows_file(one) and one.when else None


def _depth(form: Form, one: Field) -> int:
    """Return how many conditional fields stand between a field and the first that is always asked."""
    depth, seen = -1, {one.id}
    current: Field | None = one
    while current is not None and current.when is not None and not current.is_slot:
        depth += 1
        current = form.get(current.when.field_id)
        if current is None or current.id in seen:
            break
        seen.add(current.id)
    return max(depth, 0)
