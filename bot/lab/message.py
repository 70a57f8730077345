"""What a lab client shows: messages, polls, to-device messages, other people's identities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MACHINE_KEY = "org.consilium"
POLL_STARTS = frozenset({"m.poll.start", "org.matrix.msc3381.poll.start"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of a room as a client shows it; *content* is decrypted if it was encrypted.

    *shield* is `none`, `grey` or `red` and *shield_reason* matrix-js-sdk's name for it (`UNSIGNED_DEVICE`); an event in
    clear has none. *decryption_failure* is its `DecryptionFailureCode` (`UNSIGNED_SENDER_DEVICE`,
    `MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE`), None when readable. What cannot be read or was redacted has an empty
    content and, if encrypted, the type `m.room.encrypted`. *relation* is the relation in clear beside the ciphertext.
    An event that decrypts late or is redacted is seen again, changed.
    """

    event_id: str
    room_id: str
    sender: str
    type: str
    state_key: str | None
    content: Mapping[str, Any] = field(repr=False)
    relation: Mapping[str, Any] | None
    encrypted: bool
    shield: str
    shield_reason: str | None
    decryption_failure: str | None
    redacted: bool
    sent_at: datetime

    @property
    def body(self) -> str:
        """Return the plain text, or an empty string."""
        body = self.content.get("body", "")
        return body if isinstance(body, str) else ""

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the machine-readable object under `org.consilium`, or an empty one."""
        data = self.content.get(MACHINE_KEY)
        return data if isinstance(data, dict) else {}

    @property
    def kind(self) -> str | None:
        """Return the machine-readable kind, or None."""
        kind = self.data.get("kind")
        return kind if isinstance(kind, str) else None

    @property
    def poll(self) -> "Poll | None":
        """Return the poll that starts here, or None."""
        if self.type not in POLL_STARTS:
            return None
        start = self.content.get("org.matrix.msc3381.poll.start") or self.content.get("m.poll") or {}
        return Poll(
            question=_text(start.get("question", {})),
            answers={str(answer.get("id") or answer.get("m.id")): _text(answer) for answer in start.get("answers", [])},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A poll as it is shown: the question, and the text of each answer by its id."""

    question: str
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToDevice:
    """One to-device message that a client got, decrypted if it was encrypted."""

    sender: str
    type: str
    content: Mapping[str, Any] = field(repr=False)
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a client knows of a person's identity; *needs_approval* after it was replaced."""

    known: bool
    verified: bool
    needs_approval: bool
    devices: frozenset[str]
    signed_devices: frozenset[str]


def read(told: Mapping[str, Any]) -> Message:
    """Return the message that the Node process told of."""
    return Message(
        event_id=told["event_id"],
        room_id=told["room_id"],
        sender=told["sender"],
        type=told["type"],
        state_key=told["state_key"],
        content=told["content"],
        relation=told["relation"],
        encrypted=told["encrypted"],
        shield=told["shield"].lower(),
        shield_reason=told["shield_reason"],
        decryption_failure=told["decryption_failure"],
        redacted=told["redacted"],
        sent_at=datetime.fromtimestamp(told["sent_at"] / 1000, UTC),
    )


def label(message: Message) -> str:
    """Return the message's id and sort, never its content."""
    about = message.decryption_failure or message.kind or ("redacted" if message.redacted else "")
    return " ".join(part for part in (message.event_id, message.type, about) if part)


def _text(part: Mapping[str, Any]) -> str:
    """Return the plain text of an extensible event's part, whichever of its spellings it has."""
    text = part.get("org.matrix.msc1767.text") or part.get("body") or part.get("m.text") or ""
    if isinstance(text, list):
        text = text[0].get("body", "") if text else ""
    return str(text)
