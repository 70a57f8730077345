"""What must happen outside because of a step: stored with the step, carried out later, in order, each once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.domain.ids import CaseId, EventId, RoomId, UserId
from bot.domain.notice import Notice


class Purpose(StrEnum):
    """What a room of a case is for."""

    CASE = "case"
    PANEL = "panel"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRoom:
    """A room of a case, whether it exists already or not."""

    case_id: CaseId
    purpose: Purpose = Purpose.CASE

    @property
    def lane(self) -> str:
        """Effects of one lane are carried out in order."""
        return f"{self.purpose}:{self.case_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """The direct chat with a person, whether it exists already or not."""

    user_id: UserId

    @property
    def lane(self) -> str:
        """Effects of one lane are carried out in order."""
        return f"direct:{self.user_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisRoom:
    """A room by its id: where a stranger wrote."""

    room_id: RoomId

    @property
    def lane(self) -> str:
        """Effects of one lane are carried out in order."""
        return f"room:{self.room_id}"


Place = CaseRoom | Direct | ThisRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoom:
    """Make the room of a place, if there is none."""

    place: CaseRoom | Direct


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Invite a person."""

    place: CaseRoom
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove a person or withdraw his invitation."""

    place: Place
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRoom:
    """Accept an invitation to a direct chat."""

    place: ThisRoom
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRoom:
    """Decline an invitation, or leave."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Post a notice."""

    place: Place
    notice: Notice = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPoll:
    """Close a poll that is settled."""

    place: Place
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """Redact one event; with *case_id* it belongs to a case, whose erasure waits for it."""

    place: Place
    case_id: CaseId | None = None
    room_id: RoomId
    event_id: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Send the notice without content."""

    user_id: UserId
    text: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeIn:
    """Download a document that somebody dropped, store it under the case's key, make it readable."""

    case_id: CaseId
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFiles:
    """Delete files from the vault that a case needs no more."""

    case_id: CaseId
    file_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Make the PDF of the version that is being signed."""

    case_id: CaseId
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Put the signatures and the seal on the frozen PDF."""

    case_id: CaseId
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderErasure:
    """Hand the ledger of a case to the eraser."""

    case_id: CaseId


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseMedium:
    """Have one medium deleted that belongs to no case."""

    user_id: UserId
    mxc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroy:
    """Destroy what the bot holds of a case: sessions, key, files, rows."""

    case_id: CaseId


Effect = (
    OpenRoom
    | Invite
    | Remove
    | JoinRoom
    | LeaveRoom
    | Say
    | EndPoll
    | Redact
    | Mail
    | TakeIn
    | DropFiles
    | Freeze
    | Seal
    | OrderErasure
    | EraseMedium
    | Destroy
)


def lane(effect: Effect) -> str:
    """Return the lane of an effect: what is in one lane happens in order, lanes do not wait for each other."""
    if isinstance(effect, Mail):
        return f"mail:{effect.user_id}"
    if isinstance(effect, EraseMedium):
        return f"medium:{effect.user_id}"
    if isinstance(effect, TakeIn | DropFiles):
        return f"documents:{effect.case_id}"
    if isinstance(effect, Freeze | Seal):
        return f"report:{effect.case_id}"
    if isinstance(effect, OrderErasure | Destroy):
        return f"erasure:{effect.case_id}"
    return effect.place.lane


def case_of(effect: Effect) -> CaseId | None:
    """Return the case whose key must cover the stored effect, or None.

    `Destroy` goes without: it must be readable after the key is gone, and it holds nothing but a number.
    """
    if isinstance(effect, Destroy):
        return None
    if isinstance(effect, Say) and effect.notice.case_id is not None:
        return effect.notice.case_id
    place = getattr(effect, "place", None)
    if isinstance(place, CaseRoom):
        return place.case_id
    return getattr(effect, "case_id", None)
