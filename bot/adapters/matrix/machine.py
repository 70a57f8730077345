"""nio's Olm machine, hardened: what strangers send is either understood whole or raises one of two exceptions.

It keeps nio's account, sessions and store. Replaced, because reproduced as broken in matrix-nio 0.26: decrypting
(exceptions of vodozemac and of JSON escape, poison stops the loop), the saving of consumed one-time keys, the refill at
zero, the missing fallback key, room keys that overwrite others, sharing (device ids compared without the user).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import vodozemac
from nio.crypto import InboundGroupSession, Olm, OutboundGroupSession, OutboundSession
from nio.crypto.sessions import Session
from unpaddedbase64 import decode_base64, encode_base64

from bot.adapters.matrix.devices import MEGOLM, OLM, KnownDevice
from bot.adapters.matrix.plaintext import MALFORMED, Garbage, parse_plaintext
from bot.adapters.matrix.room_keys import RoomKeys, RoomKeyStore
from bot.adapters.matrix.signatures import is_signed
from bot.domain.ids import DeviceId, RoomId, UserId

SESSIONS_A_DEVICE = 8
"""Olm sessions kept for one device; a stranger could otherwise make them without end."""


class MissingKey(Exception):
    """The Megolm session is not there, or only from a later message on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedOlm:
    """A decrypted to-device message; the sender's curve25519 key is proven, his ed25519 key is claimed."""

    sender: UserId
    curve25519: str
    ed25519: str
    type: str
    content: Mapping[str, Any] = field(repr=False)
    new_session: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The device keys under which a Megolm session came to us."""

    curve25519: str
    ed25519: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEvent:
    """A decrypted room event, and every device that gave us its session (the true owner and whoever passed it on)."""

    type: str
    content: Mapping[str, Any] = field(repr=False)
    owners: tuple[Owner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeKey:
    """A claimed key of one device."""

    device: KnownDevice
    key: Mapping[str, Any]


class Machine(Olm):  # type: ignore[misc]  # nio's signatures are partly untyped
    """One account on one device. Every method runs on the crypto thread, inside a transaction."""

    store: RoomKeyStore

    def __init__(self, user_id: UserId, device_id: DeviceId, store: RoomKeyStore) -> None:
        super().__init__(user_id, device_id, store)
        self.room_keys = RoomKeys(store)
        self.signed_device_keys: Mapping[str, Any] | None = None

    # -- Own keys --------------------------------------------------------------------------------------------------

    @property
    def curve25519(self) -> str:
        """The own identity key, unpadded base64."""
        return str(self.account.identity_keys["curve25519"])

    @property
    def ed25519(self) -> str:
        """The own fingerprint key, unpadded base64."""
        return str(self.account.identity_keys["ed25519"])

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return *value* with a signature of this device."""
        signature = self.sign_json(value)
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    def device_keys(self) -> dict[str, Any]:
        """Return the device keys object that /keys/upload wants."""
        return self.signed(
            {
                "algorithms": [OLM, MEGOLM],
                "device_id": self.device_id,
                "user_id": self.user_id,
                "keys": {f"curve25519:{self.device_id}": self.curve25519, f"ed25519:{self.device_id}": self.ed25519},
            }
        )

    def keys_to_upload(self, *, on_server: int, needs_fallback: bool) -> dict[str, Any]:
        """Return the body for /keys/upload, {} if nothing is due; what it holds is saved before it is sent.

        nio treats a count of 0 as unknown and never refills, has no fallback key, and forgets keys that were sent when
        the process dies before the answer. Keys that were made and not confirmed are sent again first.
        """
        account: Any = self.account._account  # noqa: SLF001  # nio wraps only half of vodozemac's Account, as do its types
        body: dict[str, Any] = {}
        if not self.account.shared:
            body["device_keys"] = self.device_keys()
        missing = account.max_number_of_one_time_keys - on_server
        if missing > 0 and not account.one_time_keys:
            account.generate_one_time_keys(missing)
        if account.one_time_keys:
            body["one_time_keys"] = self._signed_keys(account.one_time_keys)
        if needs_fallback and not account.fallback_key:
            account.generate_fallback_key()
        if account.fallback_key:
            body["fallback_keys"] = self._signed_keys(account.fallback_key, fallback=True)
        if body:
            self.save_account()
        return body

    def keys_were_uploaded(self) -> None:
        """Note that the server has what `keys_to_upload` returned."""
        self.account.mark_keys_as_published()
        self.account.shared = True
        self.save_account()

    def _signed_keys(
        self, keys: Mapping[str, vodozemac.Curve25519PublicKey], *, fallback: bool = False
    ) -> dict[str, Any]:
        mark = {"fallback": True} if fallback else {}
        return {
            f"signed_curve25519:{key_id}": self.signed({"key": key.to_base64(), **mark}) for key_id, key in keys.items()
        }

    # -- To-device messages ----------------------------------------------------------------------------------------

    def open_to_device(self, sender: str, content: object) -> OpenedOlm:
        """Decrypt one to-device `m.room.encrypted` event.

        Raises:
            Garbage: it is not for us, not decryptable or not what the specification says; from anyone, about anything.
        """
        try:
            return self._open_to_device(sender, content)
        except MALFORMED as error:
            raise Garbage("olm") from error

    def _open_to_device(self, sender: str, content: Any) -> OpenedOlm:  # noqa: ANN401  # a stranger's JSON
        if content["algorithm"] != OLM:
            raise Garbage("olm_algorithm")
        sender_key = content["sender_key"]
        ours = content["ciphertext"][self.curve25519]
        vodozemac.Curve25519PublicKey.from_base64(sender_key)
        if ours["type"] == 0:
            first = vodozemac.PreKeyMessage.from_base64(ours["body"])
            text, new = self._open_first(sender_key, first)
        elif ours["type"] == 1:
            text, new = self._open_later(sender_key, vodozemac.AnyOlmMessage.normal(decode_base64(ours["body"]))), False
        else:
            raise Garbage("olm_type")
        payload = parse_plaintext(text)
        if (
            payload["sender"] != sender
            or payload["recipient"] != self.user_id
            or payload["recipient_keys"]["ed25519"] != self.ed25519
            or not isinstance(payload["content"], dict)
            or not isinstance(payload["type"], str)
            or not isinstance(payload["keys"]["ed25519"], str)
        ):
            raise Garbage("olm_payload")
        return OpenedOlm(
            sender=UserId(sender),
            curve25519=sender_key,
            ed25519=payload["keys"]["ed25519"],
            type=payload["type"],
            content=payload["content"],
            new_session=new,
        )

    def _open_first(self, sender_key: str, message: vodozemac.PreKeyMessage) -> tuple[bytes, bool]:
        for session in self._sessions(sender_key):
            if session.matches(message):
                return self._decrypted(sender_key, session, message.to_any()), False
        # nio's InboundSession decrypts lazily, after it saved the account: a one-time key could be used twice.
        inner, text = self.account.create_inbound_session(sender_key, message)
        session = Session(inner)
        self.save_account()
        self._keep(sender_key, session)
        return text, True

    def _open_later(self, sender_key: str, message: vodozemac.AnyOlmMessage) -> bytes:
        for session in self._sessions(sender_key):
            try:
                return self._decrypted(sender_key, session, message)
            except ValueError:
                continue
        raise Garbage("olm_no_session")

    def _decrypted(self, sender_key: str, session: Session, message: vodozemac.AnyOlmMessage) -> bytes:
        text: bytes = session._session.decrypt(message)  # noqa: SLF001  # nio's own returns text with bytes replaced
        session.use_time = datetime.now()  # noqa: DTZ005  # nio's store keeps naive times
        self.save_session(sender_key, session)
        return text

    def _sessions(self, sender_key: str) -> Sequence[Session]:
        """Return the Olm sessions with a key, last used first; nio's store would make an entry for each stranger's."""
        entries: Mapping[str, Sequence[Session]] = self.session_store._entries  # noqa: SLF001
        return sorted(entries.get(sender_key, ()), key=lambda session: session.use_time, reverse=True)

    def _keep(self, sender_key: str, session: Session) -> None:
        self.session_store.add(sender_key, session)
        self.save_session(sender_key, session)
        kept = self.session_store[sender_key]
        for old in kept[SESSIONS_A_DEVICE:]:
            self.store.delete_session(old.id)
        del kept[SESSIONS_A_DEVICE:]

    # -- Room keys and room events ---------------------------------------------------------------------------------

    def add_room_key(self, opened: OpenedOlm) -> tuple[RoomId, str]:
        """Keep the Megolm session of an `m.room_key`; return its room and id.

        An earlier copy from the same device is never replaced by a later one; a copy from another device stands beside
        it, and which of them is the sender's own is judged at each event.

        Raises:
            Garbage: it is no usable room key.
        """
        content = opened.content
        try:
            if content["algorithm"] != MEGOLM:
                raise Garbage("room_key_algorithm")
            room_id, session_id = content["room_id"], content["session_id"]
            if not isinstance(room_id, str):
                raise Garbage("room_key")
            session = InboundGroupSession(content["session_key"], opened.ed25519, opened.curve25519, room_id)
            if session.id != session_id:
                raise Garbage("room_key_mismatch")
        except MALFORMED as error:
            raise Garbage("room_key") from error
        self.room_keys.add(session)
        return RoomId(room_id), session.id

    def open_event(self, room_id: RoomId, content: object) -> OpenedEvent:
        """Decrypt one `m.room.encrypted` room event.

        Sessions are found by their id; `sender_key` and `device_id` of the event are not needed (the specification
        deprecates them since v1.3, nio calls events without them bad) and not believed.

        Raises:
            MissingKey: the session is unknown, or known from a later message on.
            Garbage: it will never be readable.
        """
        try:
            return self._open_event(room_id, content)
        except MALFORMED as error:
            raise Garbage("megolm") from error

    def _open_event(self, room_id: RoomId, content: Any) -> OpenedEvent:  # noqa: ANN401  # a member's JSON
        if content["algorithm"] != MEGOLM:
            raise Garbage("megolm_algorithm")
        session_id = content["session_id"]
        if not isinstance(session_id, str):
            raise Garbage("megolm_session_id")
        message = vodozemac.MegolmMessage.from_base64(content["ciphertext"])
        candidates = self.room_keys.find(room_id, session_id)
        usable = [session for session in candidates if session.first_known_index <= message.message_index()]
        if not usable:
            raise MissingKey
        opened = usable[0]._session.decrypt(message)  # noqa: SLF001  # nio's own decodes before anyone can check
        payload = parse_plaintext(opened.plaintext)
        if payload["room_id"] != room_id or not isinstance(payload["type"], str):
            raise Garbage("megolm_payload")
        if not isinstance(payload["content"], dict):
            raise Garbage("megolm_payload")
        owners = tuple(Owner(curve25519=session.sender_key, ed25519=session.ed25519) for session in usable)
        return OpenedEvent(type=payload["type"], content=payload["content"], owners=owners)

    def forget_room(self, room_id: RoomId) -> None:
        """Drop every Megolm session of a room, in memory and on disk."""
        self.room_keys.forget(room_id)

    # -- Sending ---------------------------------------------------------------------------------------------------

    def new_outbound(self, room_id: RoomId) -> OutboundGroupSession:
        """Make a Megolm session for sending, and keep the copy that reads it back."""
        session = OutboundGroupSession()
        self.room_keys.add(InboundGroupSession(session.session_key, self.ed25519, self.curve25519, room_id))
        session.mark_as_shared()
        return session

    def encrypt_event(
        self, session: OutboundGroupSession, room_id: RoomId, event_type: str, content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Encrypt a room event and return the content of its `m.room.encrypted`."""
        payload = {"room_id": room_id, "type": event_type, "content": content}
        return {
            "algorithm": MEGOLM,
            "sender_key": self.curve25519,
            "ciphertext": session.encrypt(json.dumps(payload, ensure_ascii=False, separators=(",", ":"))),
            "session_id": session.id,
            "device_id": self.device_id,
        }

    def without_session(self, devices: Iterable[KnownDevice]) -> list[KnownDevice]:
        """Return the devices to which there is no Olm session yet."""
        return [device for device in devices if not self._sessions(device.curve25519)]

    def start_sessions(self, claimed: Iterable[OneTimeKey]) -> list[KnownDevice]:
        """Start an Olm session with each claimed key whose signature is good; return the devices that have one now."""
        started = []
        for entry in claimed:
            device = entry.device
            signed = is_signed(
                entry.key, by=device.user_id, key_id=f"ed25519:{device.device_id}", public_key=device.ed25519
            )
            try:
                if not signed:
                    continue
                session = OutboundSession(self.account, device.curve25519, entry.key["key"])
            except (KeyError, TypeError, ValueError):
                continue
            self._keep(device.curve25519, session)
            started.append(device)
        return started

    def encrypt_to_device(
        self, device: KnownDevice, event_type: str, content: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Encrypt a to-device message for one device, None if there is no Olm session with it.

        `sender_device_keys` (MSC4147) lets the other side trust the session without asking the server first.
        """
        sessions = self._sessions(device.curve25519)
        if not sessions:
            return None
        payload = {
            "sender": self.user_id,
            "sender_device": self.device_id,
            "keys": {"ed25519": self.ed25519},
            "recipient": device.user_id,
            "recipient_keys": {"ed25519": device.ed25519},
            "type": event_type,
            "content": content,
            **({"sender_device_keys": self.signed_device_keys} if self.signed_device_keys else {}),
        }
        message = sessions[0].encrypt(json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
        self.save_session(device.curve25519, sessions[0])
        kind, body = message.to_parts()
        return {
            "algorithm": OLM,
            "sender_key": self.curve25519,
            "ciphertext": {device.curve25519: {"type": kind, "body": encode_base64(body)}},
        }
