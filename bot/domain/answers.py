"""Understands a message as answers to a form: what was asked, what was named, and what was not understood."""

from dataclasses import dataclass, replace
from dataclasses import field as given
from datetime import datetime
from enum import StrEnum

from bot.domain.field_names import FieldNames
from bot.domain.forms import LONGTEXT_LIMIT, FieldType, Form, Value
from bot.domain.language import Language, folded, without_hidden_marks
from bot.domain.long_answers import read_long
from bot.domain.niss import find_niss
from bot.domain.patient_line import read_patient_line
from bot.domain.problems import Problem, ProblemCode
from bot.domain.prompt_labels import AGREES_SEEN, DOES_NOT_AGREE, NOT_POSSIBLE
from bot.domain.prompts import CONSENT_DATE, CONSENT_REASON, INFORMED, NOT_EMERGENCY, SEEN, Prompt, PromptId
from bot.domain.reading import Reading
from bot.domain.rendering import render_value
from bot.domain.short_answers import read_short
from bot.domain.values import option_keys, read_option

__all__ = ["Outcome", "Understood", "option_keys", "render_value", "tapped", "understand"]


class Outcome(StrEnum):
    """An answer that ends the request: nothing is opened for an emergency, a refusal erases the case the same day."""

    EMERGENCY = "emergency"
    DOES_NOT_AGREE = "does_not_agree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a message said: values by field, problems, the words left over, and an outcome if it is one."""

    values: dict[str, Value] = given(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()
    rest: str = given(default="", repr=False)
    outcome: Outcome | None = None


def understand(form: Form, text: str, *, language: Language, expected: Prompt | None, now: datetime) -> Understood:
    """Understand *text*, the requester's answer to *expected* (None: no prompt is open); *now* is local time.

    Fills a field only if its prompt is open or its name is written. A long text is kept as it stands, without direction
    marks and control characters. A message that holds a national number gives nothing. Never raises on any text.
    """
    clean = without_hidden_marks(text)
    changed = clean != text.replace("\r\n", "\n").replace("\r", "\n")
    notice = (Problem(code=ProblemCode.MARKS_REMOVED),) if changed else ()
    if niss := find_niss(clean):
        return Understood(problems=(Problem(code=ProblemCode.NISS_FOUND, params={"count": len(niss)}),))
    if not folded(clean):
        return Understood(problems=(Problem(code=ProblemCode.EMPTY),))
    understood = _understand(form, clean, language, expected, now)
    return replace(understood, problems=(*understood.problems, *notice))


def tapped(form: Form, prompt: Prompt, code: str, *, now: datetime) -> Understood:
    """Return what a tap on one option of a poll says; *now* is local time and gives the date of consent.

    Raises:
        KeyError: the prompt has no such option.
    """
    if code not in {option.code for option in prompt.options}:
        raise KeyError(code)
    if prompt.id is PromptId.EMERGENCY:
        if code == Outcome.EMERGENCY:
            return Understood(outcome=Outcome.EMERGENCY)
        return Understood(values={NOT_EMERGENCY: True})
    if prompt.id is PromptId.DECLARATIONS:
        return _declared(code, now)
    one = form[prompt.fields[0]]
    return Understood(values={one.id: code == "yes" if one.type is FieldType.BOOL else code})


def _declared(code: str, now: datetime) -> Understood:
    if code == DOES_NOT_AGREE:
        return Understood(outcome=Outcome.DOES_NOT_AGREE)
    if code == NOT_POSSIBLE:
        return Understood(values={INFORMED: False})
    return Understood(values={INFORMED: True, SEEN: code == AGREES_SEEN, CONSENT_DATE: now.date()})


def _understand(form: Form, text: str, language: Language, expected: Prompt | None, now: datetime) -> Understood:
    if len(text) > LONGTEXT_LIMIT and not _takes_long(form, expected):
        if expected is None or expected.id is PromptId.DOCUMENTS:
            return Understood(rest=text)
        too_long = Problem(code=ProblemCode.TOO_LONG, params={"limit": LONGTEXT_LIMIT, "length": len(text)})
        return Understood(problems=(too_long,))
    fields = () if expected is None else expected.fields
    reading = Reading(form=form, names=FieldNames(form, fields), language=language, now=now)
    asked = tuple(form[field_id] for field_id in fields)
    if expected is None or expected.id is PromptId.DOCUMENTS:
        read_short(reading, text, asked=())
    elif expected.id is PromptId.PATIENT:
        line = read_patient_line(text, now, wanted=expected.fields)
        return Understood(values=line.values, problems=line.problems, rest=line.rest)
    elif expected.as_poll:
        code = read_option(_field_of(expected), expected.options, text, language)
        if isinstance(code, str):
            return tapped(form, expected, code, now=now)
        if expected.id is PromptId.DECLARATIONS and (reason := _reason_in(expected, text, language)):
            return Understood(values={INFORMED: False, CONSENT_REASON: reason})
        if expected.id in (PromptId.EMERGENCY, PromptId.DECLARATIONS):
            return Understood(problems=(code,), rest=text)
        read_short(reading, text, asked=asked)
    elif _takes_long(form, expected):
        read_long(reading, text, asked=tuple(one for one in asked if one.is_long) or asked)
    else:
        read_short(reading, text, asked=asked)
    return Understood(values=reading.values, problems=tuple(reading.problems), rest="\n".join(reading.rest))


def _takes_long(form: Form, prompt: Prompt | None) -> bool:
    """Tell whether a prompt is answered by text as it stands: it asks for long texts, or for one text alone."""
    if prompt is None or prompt.as_poll or prompt.id is PromptId.PATIENT:
        return False
    types = [form[field_id].type for field_id in prompt.fields]
    return prompt.id is PromptId.QUESTION or set(types) == {FieldType.LONGTEXT} or types == [FieldType.TEXT]


def _field_of(prompt: Prompt) -> str:
    return prompt.fields[0]


def _reason_in(prompt: Prompt, text: str, language: Language) -> str | None:
    """Return the reason in "not possible: unconscious" or "3: unconscious", if the message is one."""
    head, colon, reason = text.partition(":")
    if colon and reason.strip() and read_option(None, prompt.options, head, language) == NOT_POSSIBLE:
        return reason.strip()
    return None
