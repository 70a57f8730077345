"""What the tests of forms share: the lines as they ship, a fixed time, a requester who answers every prompt at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import specialties
from bot.domain.answers import Understood, tapped, understand
from bot.domain.forms import Answers, Field, FieldType, Form, How
from bot.domain.ids import EventId, LineId
from bot.domain.language import Language
from bot.domain.lines import Line
from bot.domain.problems import ProblemCode
from bot.domain.prompts import Prompt, PromptId, after_reply, next_prompt, plan

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
LINES = specialties.load()
RHYTHM = LINES[LineId("rhythmology")].form
VALVE = LINES[LineId("valve_heart_team")].form
AMYLOID = LINES[LineId("cardiac_amyloidosis")].form
SKIN = LINES[LineId("dermatology")].form

# The option that opens most conditional fields of a line, where the first would not.
WIDEST: Mapping[str, str] = {"valve_lesion": "aortic_stenosis, mitral_regurgitation_primary"}


def prompt(form: Form, prompt_id: PromptId) -> Prompt:
    """The prompt of a form with this id, with all its fields."""
    return next(one for one in plan(form) if one.id is prompt_id)


def understood(
    form: Form, text: str, prompt_id: PromptId | None = None, language: Language = Language.FR
) -> Understood:
    """What *text* says in answer to a prompt of the form."""
    expected = None if prompt_id is None else prompt(form, prompt_id)
    return understand(form, text, language=language, expected=expected, now=NOW)


def codes(result: Understood) -> list[ProblemCode]:
    """The codes of the problems, in order."""
    return [problem.code for problem in result.problems]


def a_value(one: Field, language: Language) -> str:
    """A value that a good requester writes for a field."""
    match one.type:
        case FieldType.ENUM:
            return one.options[0].label(language)
        case FieldType.MULTI:
            return WIDEST.get(one.id) or one.options[0].label(language)
        case FieldType.BOOL:
            return {"fr": "oui", "nl": "ja", "de": "ja", "en": "yes"}[language]
        case FieldType.INT | FieldType.DECIMAL:
            return f"{one.maximum} {one.unit or ''}"
        case FieldType.DATE:
            return "25/11/2026"
        case _:
            return "synthetic text, with a comma; and more"


@dataclass
class Requester:
    """Answers each prompt with one tap or one message, sends every file that is asked, and counts."""

    line: Line
    language: Language
    declaration: str
    letter: bool = False
    messages: list[str] = field(default_factory=lambda: ["new"])
    problems: list[ProblemCode] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    documents: set[str] = field(default_factory=set)
    skipped: frozenset[str] = frozenset()

    def fill(self) -> "Requester":
        """Go on until nothing is asked any more, then submit."""
        if self.letter:
            self.documents.add("report_letter")
        for asked in self._prompts():
            if asked.id is PromptId.DOCUMENTS:
                self.documents.update(asked.fields)
                continue
            result = self._reply(asked)
            self.problems += codes(result)
            source = EventId(f"$event-{len(self.messages)}")
            self.answers = self.answers.with_values(result.values, source=source, how=How.TYPED)
            self.skipped = after_reply(asked, self.skipped)
        self.messages.append("submit")
        return self

    def _prompts(self) -> Iterator[Prompt]:
        while len(self.messages) < 40:
            asked = next_prompt(self.line.form, self.answers, self.documents, self.skipped, today=NOW.date())
            if asked is None:
                return
            yield asked

    def _reply(self, asked: Prompt) -> Understood:
        form = self.line.form
        self.messages.append(asked.id)
        if asked.as_poll:
            code = self.declaration if asked.id is PromptId.DECLARATIONS else asked.options[0].code
            return tapped(form, asked, code, now=NOW)
        return understand(form, self._text(asked), language=self.language, expected=asked, now=NOW)

    def _text(self, asked: Prompt) -> str:
        fields = [self.line.form[field_id] for field_id in asked.fields]
        if asked.id is PromptId.PATIENT:
            return "ref 4711, 1931, F"
        if len(fields) == 1 and asked.id is not PromptId.CLOSING:
            return a_value(fields[0], self.language)
        if asked.id is PromptId.CLOSING:
            self.documents.update(one.id for one in fields if one.is_slot)
        typed = [one for one in fields if not one.is_slot]
        return "\n".join(f"{one.label(self.language)}: {a_value(one, self.language)}" for one in typed)
