"""The lines of the hospital: who answers how fast, with which form and decisions; and how a line is found by a word."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.domain.forms import Field, Form
from bot.domain.ids import LineId
from bot.domain.language import Labels, Language, in_language
from bot.domain.lookup import Found, find


class RoutingPolicy(StrEnum):
    """How a line chooses who answers."""

    FIRST = "first"
    GROUP = "group"
    DUTY = "duty"
    BALANCED = "balanced"
    PANEL = "panel"


class Urgency(StrEnum):
    """How soon an answer is needed; the codes of the form's field `urgency`."""

    ROUTINE = "routine"
    PRIORITY = "priority"
    URGENT = "urgent"


class IdentityPolicy(StrEnum):
    """What happens to identity in the headers of documents that experts get."""

    STRIP = "strip"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How experts are chosen; `min_experts` is how many must join before a group may draft (1 for others)."""

    policy: RoutingPolicy = RoutingPolicy.FIRST
    min_experts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """The time to answer for each urgency, in plain hours, and at which fractions of it the experts are reminded."""

    routine: timedelta
    priority: timedelta
    urgent: timedelta
    reminders: tuple[float, ...] = (0.5, 0.8)

    def time_to_answer(self, urgency: Urgency) -> timedelta:
        """Return how long the line has for an answer."""
        match urgency:
            case Urgency.ROUTINE:
                return self.routine
            case Urgency.PRIORITY:
                return self.priority
            case Urgency.URGENT:
                return self.urgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a case stays after it was delivered (or closed) or cancelled, and how long a silent draft is kept."""

    after_delivery: timedelta
    after_cancel: timedelta
    collecting_silence: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision that an opinion of the line can take; *names* are other words for it."""

    code: str
    labels: Labels
    names: tuple[str, ...] = ()

    def label(self, language: Language) -> str:
        """Return its label as a reader of *language* sees it."""
        return in_language(self.labels, language) or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One service that answers."""

    id: LineId
    names: Labels
    other_names: tuple[str, ...]
    routing: Routing
    deadlines: Deadlines
    retention: Retention
    identity: IdentityPolicy
    decisions: tuple[Decision, ...]
    form: Form
    limits: Labels
    second_line: LineId | None = None
    emergency_telephone: str | None = None
    max_document_mb: int = 500

    def name(self, language: Language) -> str:
        """Return its name as a reader of *language* sees it."""
        return in_language(self.names, language) or self.id

    @property
    def slots(self) -> tuple[Field, ...]:
        """Return the document slots of its form."""
        return self.form.slots

    def decision(self, code: str) -> Decision | None:
        """Return the decision with this code, if the line has it."""
        return next((decision for decision in self.decisions if decision.code == code), None)

    def find_decision(self, word: str) -> Found[Decision]:
        """Find a decision by its code, a label in any language, another name, or an unambiguous beginning of one."""
        return find(word, [(one, (one.code, *one.labels.values(), *one.names)) for one in self.decisions])


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All lines of the hospital."""

    lines: tuple[Line, ...]

    def __getitem__(self, line_id: LineId) -> Line:
        """Return the line with this id; KeyError if there is none."""
        found = self.get(line_id)
        if found is None:
            raise KeyError(line_id)
        return found

    def __iter__(self) -> Iterator[Line]:
        """Go through the lines in the order of their ids."""
        return iter(self.lines)

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self.lines)

    def get(self, line_id: str) -> Line | None:
        """Return the line with this id, if there is one."""
        return next((line for line in self.lines if line.id == line_id), None)

    def find(self, word: str) -> Found[Line]:
        """Find a line by its id, its name in any language, another name, or an unambiguous beginning of one."""
        return find(word, [(line, (line.id, *line.names.values(), *line.other_names)) for line in self.lines])
