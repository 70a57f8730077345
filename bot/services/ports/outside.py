"""The rest of the world: time, numbers, mail, codes, the eraser, documents, reports, languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from bot.domain.documents import Examined
from bot.domain.ids import CaseId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.notice import Notice
from bot.domain.report import ErasureCertificate, OpinionReport, Participant


class Clock(Protocol):
    """The time, so that tests can move it."""

    def now(self) -> datetime:
        """Return the time in UTC."""


class Counters(Protocol):
    """Numbers for the operator; names and labels from a fixed list, never a person or a case."""

    def count(self, name: str, **labels: str) -> None:
        """Add one."""


class Log(Protocol):
    """The operator's log: an event in snake_case, and ids, codes and numbers; never what somebody wrote."""

    def info(self, event: str, **facts: str | int | None) -> None:
        """Something happened."""

    def warning(self, event: str, **facts: str | int | None) -> None:
        """Something should be looked at."""

    def error(self, event: str, **facts: str | int | None) -> None:
        """Something went wrong."""


class Mailer(Protocol):
    """Sends the notices without content."""

    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        """Hand one mail to the hospital's server; raises ExternalError, Permanent for a refused address."""


class OneTimeCodes(Protocol):
    """Time-based one-time codes (RFC 6238, 30 s, 6 digits)."""

    def new_secret(self) -> str:
        """Return a random base32 secret."""

    def matching_step(self, secret: str, code: str, at: datetime) -> int | None:
        """Return the time step that *code* belongs to (the current one or one either side), or None."""

    def qr_png(self, secret: str, *, account: str, issuer: str) -> bytes:
        """Return the enrolment picture for an authenticator app."""

    def uri(self, secret: str, *, account: str, issuer: str) -> str:
        """Return the otpauth address for an authenticator app."""


class Erased(StrEnum):
    """How far the eraser got with one room or medium."""

    PENDING = "pending"
    GONE = "gone"  # verified: the homeserver answers 404
    FAILED = "failed"  # tried and will be tried again
    REFUSED = "refused"  # not ours to erase


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureStatus:
    """What the eraser did so far for one case; `alive` says whether an eraser process was seen in the last minutes."""

    rooms: Mapping[RoomId, Erased]
    media: Mapping[str, Erased]
    alive: bool


class Eraser(Protocol):
    """The way to the process that alone may delete on the homeserver."""

    async def order(self, case_id: CaseId, *, rooms: Sequence[RoomId], media: Sequence[str]) -> None:
        """Name what the ledger holds of a case and ask for its deletion; a repeat changes nothing."""

    async def status(self, case_id: CaseId) -> ErasureStatus:
        """Return how far it is."""

    async def forget(self, case_id: CaseId) -> None:
        """Take a case out of the orders, once its certificate is written; a repeat changes nothing."""


class DocumentReader(Protocol):
    """Makes files readable, in a child process."""

    async def examine(self, fd: int, *, size: int, identity: Literal["strip", "keep"], case_salt: bytes) -> Examined:
        """Examine an open file; raises `domain.documents.Refused`. A clean copy comes as a descriptor to be closed."""


class ReportMaker(Protocol):
    """Writes and signs PDFs."""

    async def opinion(self, report: OpinionReport) -> bytes:
        """Render the opinion; the same report gives the same bytes."""

    async def sign(
        self, pdf: bytes, signatories: Sequence[tuple[Participant, datetime]], *, sealed_at: datetime
    ) -> bytes:
        """Put one signature a signatory, with the time of his word, and the hospital's seal last."""

    async def certificate(self, certificate: ErasureCertificate) -> bytes:
        """Render the certificate of an erasure and seal it."""

    def code(self, pdf: bytes) -> str:
        """Return the short form of the PDF's SHA-256 that people compare."""


class Renderer(Protocol):
    """Puts a notice into the readers' languages."""

    def contents(
        self, notice: Notice, languages: Sequence[Language], names: Mapping[UserId, str]
    ) -> list[dict[str, Any]]:
        """Return the content of the Matrix event, without attachment; a long text gives several, numbered."""

    def event_type(self, notice: Notice) -> str:
        """Return the type of the event."""

    def mail(self, text: str, values: Mapping[str, Any], language: Language) -> tuple[str, str]:
        """Return subject and text of a mail."""

    def sentence(self, text: str, values: Mapping[str, Any], language: Language) -> str:
        """Return one sentence of the catalogue as plain text, for the report."""
