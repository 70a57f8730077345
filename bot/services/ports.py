"""What the services need from outside, as small protocols; adapters implement them, fakes too."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from bot.domain.audit import AuditEvent, AuditRow
from bot.domain.case import Case
from bot.domain.documents import Examined
from bot.domain.effects import Effect, Place, Purpose
from bot.domain.ids import CaseId, DeviceId, EventId, LineId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.notice import Notice, Poll
from bot.domain.people import Credential, Person, Session
from bot.domain.report import ErasureCertificate, OpinionReport, Participant
from bot.domain.steps import State

# ---------------------------------------------------------------------------------------------------------------------
# Matrix: what comes in


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who really sent an encrypted event: the device whose session decrypted it, bound to the claimed sender.

    `cross_signed` is true only if the Olm identity that made the Megolm session is a device of exactly `sender`,
    with the same Curve25519 and Ed25519 keys, signed by that user's self-signing key, which `master_key` signed.
    """

    device_id: DeviceId
    ed25519: str
    curve25519: str
    cross_signed: bool
    master_key: str | None


class ArrivalKind(StrEnum):
    """What the homeserver brought."""

    MESSAGE = "message"  # m.room.message, decrypted (or clear: then `origin` is None)
    POLL_RESPONSE = "poll_response"
    REDACTION = "redaction"  # always clear
    REACTION = "reaction"  # always clear
    MEMBER = "member"  # a membership change of a joined room; content: {"user", "membership"}
    INVITE = "invite"  # the bot is invited; content: {"encrypted": bool, "direct": bool}
    LEFT = "left"  # the bot is no longer in the room; content: {"by": user, "membership": "leave"|"ban"}
    TOMBSTONE = "tombstone"  # content: {"replacement_room"}
    UNDECRYPTABLE = "undecryptable"  # waits for its key; content: the raw event
    OTHER = "other"  # an encrypted event of a type nobody reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One event from the homeserver, decrypted when it could be."""

    event_id: EventId
    room_id: RoomId
    sender: UserId
    sent_at: datetime
    kind: ArrivalKind
    content: Mapping[str, Any] = field(repr=False)
    origin: Origin | None
    fingerprint: str | None = None
    """Hash of (sender, session id, ciphertext): the same words replayed under a new event id have the same one."""

    edits: EventId | None = None
    """The event that this one claims to edit (m.replace), from inside the encrypted content or from outside it."""

    edit_is_inside: bool = False
    """True if the m.replace relation and m.new_content stand inside the encrypted content."""

    replies_to: EventId | None = None


class Arrivals(Protocol):
    """Where the engine puts what came in; the token is stored with the events it covers."""

    async def sync_token(self) -> str | None:
        """Return the token of the last batch that was stored, or None before the first."""

    async def take(self, token: str, arrivals: Sequence[Arrival]) -> None:
        """Store *arrivals* and *token* in one transaction; event ids and fingerprints already known are dropped."""

    async def undecryptable(self) -> Sequence[Arrival]:
        """Return the events that still wait for their key, oldest first."""

    async def decrypted(self, arrival: Arrival) -> None:
        """Replace a waiting event by its decrypted form."""


# ---------------------------------------------------------------------------------------------------------------------
# Matrix: what goes out


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who may get the keys of what is sent; whoever else is in the room gets none.

    `pinned` maps each reader to the master key that was pinned for him, or to None while any cross-signed identity of
    his is acceptable (before `confirm`). `unsigned` lets devices without cross-signing read too: only for help texts.
    """

    pinned: Mapping[UserId, str | None]
    unsigned: bool = False


class WithoutKey(StrEnum):
    """Why a device or a person did not get the key of a message."""

    UNSIGNED_DEVICE = "unsigned_device"
    NO_IDENTITY = "no_identity"  # the person has no cross-signing identity
    CHANGED_IDENTITY = "changed_identity"  # the master key is not the pinned one
    NO_ONE_TIME_KEY = "no_one_time_key"
    SHARE_FAILED = "share_failed"
    NOT_IN_AUDIENCE = "not_in_audience"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """A device (or, with `device_id` None, a whole person) that cannot read what was sent."""

    user_id: UserId
    device_id: DeviceId | None
    reason: WithoutKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a send: the event, and who cannot read it."""

    event_id: EventId
    unreached: tuple[Unreached, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of a person, as the homeserver shows it and the signatures prove it."""

    device_id: DeviceId
    ed25519: str
    cross_signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The cross-signing identity of a person; `master_key` is unpadded base64, None if there is none."""

    user_id: UserId
    master_key: str | None
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoom:
    """A room to make: encrypted, private, only the bot may invite. `name` is opaque, `nonce` finds it again."""

    nonce: str
    name: str
    direct_with: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedFile:
    """An attachment as the Matrix specification describes it (EncryptedFile, version v2); keys are secrets."""

    url: str
    key: str = field(repr=False)
    """The AES-CTR key, unpadded base64url (`k` of the JWK)."""

    iv: str = field(repr=False)
    sha256: str
    """Unpadded base64 of the hash of the ciphertext."""

    size: int
    """Bytes of the clear file."""


class Rooms(Protocol):
    """The homeserver, as the services use it. Every method raises ExternalError (Permanent if a retry is useless)."""

    @property
    def user_id(self) -> UserId:
        """The bot's own id."""

    @property
    def master_key(self) -> str:
        """The bot's own cross-signing master key, unpadded base64."""

    async def create(self, room: NewRoom) -> RoomId:
        """Make the room, or return the one that carries the same nonce already."""

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite one person; being in the room or invited already is no error."""

    async def remove(self, room_id: RoomId, user_id: UserId) -> None:
        """Withdraw an invitation or remove a member, without a reason text; not being there is no error."""

    async def join(self, room_id: RoomId) -> None:
        """Accept an invitation."""

    async def leave(self, room_id: RoomId) -> None:
        """Leave or decline, and forget the room."""

    async def members(self, room_id: RoomId) -> Mapping[UserId, str]:
        """Return membership by person (`join`, `invite`, `leave`, `ban`), read from the server."""

    async def exists(self, user_id: UserId) -> bool:
        """Say whether the homeserver knows the person."""

    async def identity(self, user_id: UserId) -> Identity:
        """Ask the homeserver for the person's identity and devices, and check the signatures."""

    async def send(
        self,
        room_id: RoomId,
        content: Mapping[str, Any],
        *,
        txn: str,
        audience: Audience,
        event_type: str = "m.room.message",
    ) -> Sent:
        """Encrypt for *audience* and send; *txn* makes a repeat harmless. Never sends in clear."""

    async def redact(self, room_id: RoomId, event_id: EventId, *, txn: str) -> None:
        """Redact an event, without a reason text; an event that is gone is no error."""

    async def upload(self, chunks: AsyncIterator[bytes], size: int) -> EncryptedFile:
        """Encrypt while streaming and upload; constant memory."""

    def download(self, file: EncryptedFile) -> AsyncIterator[bytes]:
        """Stream the clear bytes; raises Permanent("bad_hash") after the last chunk if the hash is wrong."""

    async def upload_limit(self) -> int:
        """Return the homeserver's limit for one upload, in bytes."""

    async def drop_sessions(self, room_id: RoomId) -> None:
        """Forget every Megolm session of the room, in memory and on disk."""


class Secrets(Protocol):
    """Small secrets of the program itself, kept encrypted under the master key."""

    def load(self, name: str) -> bytes | None:
        """Return the secret, or None if it was never saved."""

    def save(self, name: str, value: bytes) -> None:
        """Save the secret durably before returning."""


class Counters(Protocol):
    """Numbers for the operator; names and labels from a fixed list, never a person or a case."""

    def count(self, name: str, **labels: str) -> None:
        """Add one."""


class Clock(Protocol):
    """The time, so that tests can move it."""

    def now(self) -> datetime:
        """Return the time in UTC."""


# ---------------------------------------------------------------------------------------------------------------------
# Keys and files


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the vault: `sha256` (hex) and `size` are of the clear content."""

    file_id: str
    sha256: str
    size: int


class Vault(Protocol):
    """A random key for each case, and everything that is stored of the case under it.

    Every method that needs a key raises Refusal("case_erased") when the case's key is gone.
    """

    async def create_key(self, case_id: CaseId) -> None:
        """Make and durably save the case's key; having one already is no error."""

    async def erase_key(self, case_id: CaseId) -> None:
        """Destroy the case's key for good; having none is no error."""

    def seal(self, case_id: CaseId, clear: bytes, *, context: str) -> bytes:
        """Encrypt a small value (AES-256-GCM); *context* is bound to it and must be the same to open it."""

    def open(self, case_id: CaseId, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made."""

    def salt(self, case_id: CaseId) -> bytes:
        """Return 32 bytes derived from the case's key, for pseudonyms that die with it."""

    async def store(self, case_id: CaseId, file_id: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Encrypt a stream into the case's folder; nothing is visible under *file_id* before it is complete."""

    def read(self, case_id: CaseId, file_id: str) -> AsyncIterator[bytes]:
        """Stream a stored file in clear; raises Permanent("file_damaged") if a chunk was changed or is missing."""

    async def memory_file(self, case_id: CaseId, file_id: str) -> int:
        """Return a descriptor of an anonymous in-memory file with the clear content, at offset 0; the caller closes."""

    async def delete_file(self, case_id: CaseId, file_id: str) -> None:
        """Delete one stored file; not being there is no error."""

    async def delete_files(self, case_id: CaseId) -> int:
        """Delete every stored file of the case; return how many there were."""


# ---------------------------------------------------------------------------------------------------------------------
# Mail, codes, erasing


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


# ---------------------------------------------------------------------------------------------------------------------
# The database: one transaction a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The bot's open question to a person in his direct chat: what an answer, or six digits, would go on with."""

    kind: str
    """`unlock` (then `line` is run), `argument` (the answer completes `line`), `ring_heard`, …"""

    line: str = field(repr=False, default="")
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPoll:
    """A poll that was posted: where, for whom, what its answers mean."""

    event_id: EventId
    room_id: RoomId
    case_id: CaseId | None
    poll: Poll


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntry:
    """A room of the ledger."""

    room_id: RoomId
    purpose: Purpose
    case_id: CaseId | None
    user_id: UserId | None
    """For direct chats, the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """An event of the ledger: it belongs to a case and was seen in a room. `own` is true for the bot's own."""

    event_id: EventId
    room_id: RoomId
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An effect in the outbox. `id` is the transaction id of what it sends, fixed before the first try."""

    id: str
    lane: str
    effect: Effect = field(repr=False)
    case_id: CaseId | None
    planned_at: datetime
    attempts: int
    answers: EventId | None


class Unit(Protocol):
    """One open transaction: everything a step writes, or nothing."""

    # cases: the whole case is sealed under its key; a few columns are in clear for looking up
    async def new_case_id(self, year: int) -> CaseId:
        """Return the next free number, `C-2026-0007`; a number is never given twice."""

    async def case(self, case_id: CaseId) -> Case | None:
        """Return the case, or None if there is none with this number; erased ones raise Refusal("case_erased")."""

    async def save_case(self, case: Case, *, next_due_at: datetime | None) -> None:
        """Write the case (new or changed) and when the sweep must look at it again."""

    async def cases(
        self,
        *,
        states: Sequence[State] | None = None,
        line: LineId | None = None,
        requester: UserId | None = None,
        expert: UserId | None = None,
    ) -> Sequence[Case]:
        """Return the cases (not erased) that fit every condition given, oldest first."""

    async def due_cases(self, now: datetime, limit: int) -> Sequence[CaseId]:
        """Return cases whose `next_due_at` has come, the most overdue first."""

    async def forget_case(self, case_id: CaseId) -> None:
        """Delete every row of the case but its number and that it was erased: ledger, outbox, inbox, polls."""

    # people
    async def person(self, user_id: UserId) -> Person | None:
        """Return the person, or None."""

    async def people(self) -> Sequence[Person]:
        """Return everybody, by Matrix id."""

    async def holders(self, inami_key: str) -> Sequence[Person]:
        """Return the persons whose INAMI number begins with these 8 digits."""

    async def save_person(self, person: Person) -> None:
        """Write a person."""

    async def credential(self, user_id: UserId) -> Credential | None:
        """Return the person's second factor, or None."""

    async def save_credential(self, credential: Credential) -> None:
        """Write a second factor."""

    async def session(self, user_id: UserId, device_id: DeviceId, now: datetime) -> Session | None:
        """Return the open session of a device."""

    async def has_session(self, user_id: UserId, now: datetime) -> bool:
        """Say whether any device of the person has an open session."""

    async def save_session(self, session: Session) -> None:
        """Open or prolong a session."""

    async def end_sessions(self, user_id: UserId) -> None:
        """End every session of the person."""

    async def pending(self, user_id: UserId) -> Pending | None:
        """Return the bot's open question to the person."""

    async def save_pending(self, user_id: UserId, pending: Pending | None) -> None:
        """Write or remove the bot's open question."""

    # ledger
    async def room(self, room_id: RoomId) -> RoomEntry | None:
        """Return what a room is for, or None if it is not ours."""

    async def room_of(self, place: Place) -> RoomId | None:
        """Return the room of a place, or None while it does not exist."""

    async def record_room(self, entry: RoomEntry) -> None:
        """Enter a room; a new direct chat takes the place of the person's old one."""

    async def forget_room(self, room_id: RoomId) -> None:
        """Take a room out (the bot left, or it was purged)."""

    async def rooms(self, case_id: CaseId) -> Sequence[RoomEntry]:
        """Return the rooms of a case."""

    async def all_rooms(self) -> Sequence[RoomEntry]:
        """Return every room of the ledger."""

    async def record_event(self, case_id: CaseId, entry: EventEntry) -> None:
        """Enter an event of a case, direct chats included; a repeat changes nothing."""

    async def events(self, case_id: CaseId) -> Sequence[EventEntry]:
        """Return the events of a case."""

    async def case_of_event(self, event_id: EventId) -> CaseId | None:
        """Return the case that an event belongs to."""

    async def record_medium(self, case_id: CaseId, file_id: str | None, file: EncryptedFile) -> None:
        """Enter a medium of a case; with *file_id* it stands for that stored file and can be posted again."""

    async def medium(self, case_id: CaseId, file_id: str) -> EncryptedFile | None:
        """Return the upload of a stored file, or None."""

    async def forget_media(self, case_id: CaseId) -> None:
        """Take the media of the case out of the ledger: the homeserver has them no more."""

    async def media(self, case_id: CaseId) -> Sequence[str]:
        """Return the addresses (mxc) of every medium of the case."""

    # polls
    async def record_poll(self, poll: OpenPoll) -> None:
        """Enter a poll that was posted."""

    async def poll(self, event_id: EventId) -> OpenPoll | None:
        """Return an open poll by its start event."""

    async def open_polls(self, room_id: RoomId, asked_field: str) -> Sequence[OpenPoll]:
        """Return the open polls of a room that ask for a field."""

    async def end_poll(self, event_id: EventId) -> None:
        """Take a poll out: it is settled."""

    # what a step leaves behind
    async def plan(self, effect: Effect, *, answers: EventId | None = None) -> None:
        """Put an effect into the outbox, after those of the same lane."""

    async def audit(self, event: AuditEvent) -> None:
        """Append to the audit chain."""

    async def audit_rows(self) -> Sequence[AuditRow]:
        """Return the audit chain."""

    async def finish(self, planned: Planned) -> None:
        """Take an effect out of the outbox: it is done."""

    async def postpone(self, planned: Planned, until: datetime, *, waits_for_person: bool = False) -> None:
        """Count a try that failed and set the next one; the lane waits. Waiting for a person is no fault of ours."""

    async def hurry(self, lane: str, at: datetime) -> None:
        """Let a lane that waits go on at *at*, if that is sooner."""

    async def idle(self, case_id: CaseId) -> bool:
        """Say whether no effect of the case is left in the outbox."""

    # inbox
    async def claim(self, event_id: EventId) -> Arrival | None:
        """Return an arrival that was not handled yet, with its content, or None."""

    async def handled(self, event_id: EventId) -> None:
        """Mark an arrival as handled and delete its content."""

    # small values
    async def value(self, key: str) -> str | None:
        """Return a small value of the program's own."""

    async def save_value(self, key: str, value: str) -> None:
        """Write a small value."""

    async def forget_values(self, prefix: str) -> None:
        """Delete every small value whose key begins with *prefix*."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Open an inner part that is undone alone if it raises."""


class Store(Arrivals, Protocol):
    """The database. Writers wait for each other; a unit is written whole or not at all, also across a crash."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Open a transaction; it is committed at the end, or undone if the block raises."""

    async def next_arrivals(self, limit: int) -> Sequence[EventId]:
        """Return arrivals that were not handled yet (and are not waiting for a key), in the order they came."""

    async def ready_effects(self, now: datetime) -> Sequence[Planned]:
        """Return the first effect of every lane whose time has come, the oldest first, at most 100."""

    async def oldest_effect(self) -> datetime | None:
        """Return when the oldest effect in the outbox was planned, those that wait for a person apart."""

    async def audit_rows(self) -> Sequence[AuditRow]:
        """Return the audit chain."""

    async def waiting_arrivals(self, before: datetime) -> Sequence[Arrival]:
        """Return undecryptable events that came before *before* and whose sender was not asked yet."""

    async def mark_asked(self, event_id: EventId) -> None:
        """Remember that the sender of an undecryptable event was asked to send again."""


# ---------------------------------------------------------------------------------------------------------------------
# Documents and reports


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


class Log(Protocol):
    """The operator's log: an event in snake_case, and ids, codes and numbers; never what somebody wrote."""

    def info(self, event: str, **facts: str | int | None) -> None:
        """Something happened."""

    def warning(self, event: str, **facts: str | int | None) -> None:
        """Something should be looked at."""

    def error(self, event: str, **facts: str | int | None) -> None:
        """Something went wrong."""
