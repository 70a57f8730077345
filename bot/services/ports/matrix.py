"""The homeserver: what it brings, and what can be asked of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from bot.domain.ids import DeviceId, EventId, RoomId, UserId


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
