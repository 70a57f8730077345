"""What the bot has to say, before it is put into anybody's language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Union

from bot.domain.ids import CaseId, EventId, LineId, UserId


@dataclass(frozen=True, slots=True)
class At:
    """A moment, written in the reader's language and in the hospital's time zone."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Word:
    """A word from the catalogue of texts, `word.<code>`: a state, a role, a urgency."""

    code: str


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the bot, as it is written in the reader's language."""

    verb: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text that stands in a line's file, by language code."""

    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LineName:
    """The name of a line in the reader's language."""

    line: LineId


@dataclass(frozen=True, slots=True)
class Who:
    """A person, written with his name."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class Clinical:
    """What somebody wrote, verbatim."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of label and value, one a line."""

    rows: tuple[tuple["Value", "Value"], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of values, one a line."""

    items: tuple["Value", ...] = field(repr=False)


Value = Union[str, int, float, None, At, Word, Verb, Label, LineName, Who, Clinical, Rows, Bullets, "Phrase"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence of the catalogue inside another one."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One answer of a poll: the random id that travels, and what it means."""

    answer_id: str
    value: str
    label: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A question that can be answered by a tap (MSC3381), by the one person who is asked."""

    asked: UserId
    field: str
    """What the tap answers: a prompt of the form, or a code such as `ring_heard`."""

    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A stored file to be posted."""

    file_id: str
    name: str
    """Neutral, as people see it: `C-2026-0007 ECG 1.png`."""

    mime: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    thumbnail: str | None = None
    """The file id of a small picture."""

    inline: str | None = field(default=None, repr=False)
    """A small file itself, base64, that belongs to no case: the picture of a second factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message of the bot: a text of the catalogue, its values, what machines read, and what can be done next."""

    text: str
    """The key of a text in `bot/chat/texts/`."""

    values: Mapping[str, Value] = field(default_factory=dict, repr=False)
    kind: str = "info"
    """The stable kind that machines read (docs/events.md)."""

    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """More of what machines read: codes, numbers, hashes and ids."""

    next: tuple[tuple[str, ...], ...] = ()
    """At most three lines to copy, each a verb and its arguments."""

    rings: bool = False
    """True for the one message of a step that makes a phone sound; it must carry no clinical word."""

    poll: Poll | None = None
    attachment: Attachment | None = field(default=None, repr=False)
    case_id: CaseId | None = None
    answers: EventId | None = None
    """The event that this message replies to."""
