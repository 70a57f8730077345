"""Physicians and staff: who they are, what they may be, how far their enrolment is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.ids import DeviceId, LineId, UserId
from bot.domain.language import Language


class Role(StrEnum):
    """What a person may be, besides requester and expert, which follow from cases and lines."""

    PHYSICIAN = "physician"
    COORDINATOR = "coordinator"
    CHAIR = "chair"
    ADMIN = "admin"
    AUDITOR = "auditor"


FUNCTIONS = (
    *("expert", "cardiologist", "rhythmologist", "interventional", "surgeon", "echo", "heart_failure"),
    *("geriatrician", "dermatologist", "chair"),
)
"""What an expert can be on a line; the codes of `word.function_…` in the texts."""


class Standing(StrEnum):
    """How far an enrolment is."""

    REGISTERED = "registered"  # asked; an admin must approve
    APPROVED = "approved"  # approved or approved beforehand; the second factor is not confirmed yet
    ENROLLED = "enrolled"
    REJECTED = "rejected"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A physician (with an INAMI number) or a member of staff (without)."""

    user_id: UserId
    name: str
    language: Language
    standing: Standing
    inami: str | None = None
    """Eleven digits, `domain.inami`; None for staff."""

    email: str | None = None
    roles: frozenset[Role] = frozenset()
    lines: Mapping[LineId, str] = field(default_factory=dict)
    """The lines he answers for, with his function there (interventional, surgeon, echo, …)."""

    master_key: str | None = None
    """The pinned cross-signing master key, unpadded base64."""

    pin_on_first_use: bool = False
    """Pin the identity at the first encrypted command: only for labs (`consilium lab`)."""

    offered_key: str | None = None
    """A master key that waits for an admin's comparison (`register`, `recover`)."""

    checked_how: str = field(repr=False, default="")
    """How the admin who approved him checked his identity."""

    claim: str | None = None
    """Why an admin must look twice: `check_digits`, `code_lost`, or `code_lost:` and the first admin who approved."""

    away_until: datetime | None = None
    heard_ring: bool = False

    @property
    def is_physician(self) -> bool:
        """True for a person with a physician's INAMI number."""
        return self.inami is not None

    @property
    def may_act(self) -> bool:
        """True once enrolled and not suspended."""
        return self.standing is Standing.ENROLLED

    def answers_for(self, line: LineId) -> bool:
        """True if he is an expert of *line* who can be asked."""
        return self.may_act and self.is_physician and line in self.lines


WRONG_CODES_BEFORE_LOCK = 5
LOCK = timedelta(minutes=15)
SESSION = timedelta(hours=12)
SECRET_IN_CHAT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A person's second factor (RFC 6238) and the guesses made at it."""

    user_id: UserId
    secret: str = field(repr=False)
    last_step: int = 0
    """The newest time step that was accepted; that step and older ones are used up."""

    wrong: int = 0
    locked_until: datetime | None = None
    shown_at: datetime | None = None
    """When the secret was shown in the chat; it is taken away after `SECRET_IN_CHAT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session of one device."""

    user_id: UserId
    device_id: DeviceId
    until: datetime
