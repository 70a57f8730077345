"""From the homeserver's raw events to `Arrival`s: what a stranger or a server wrote becomes one of ours, or Garbage."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.adapters.matrix.devices import KnownPerson
from bot.adapters.matrix.machine import OpenedEvent
from bot.adapters.matrix.plaintext import Garbage, storable
from bot.domain.ids import DeviceId, EventId, RoomId, UserId
from bot.services.ports import Arrival, ArrivalKind, Origin

OUTSIDE = "org.consilium.outside"
"""Key in a decrypted content: the names of what was copied from the clear part, which the server can change."""

POLL_RESPONSES = frozenset({"m.poll.response", "org.matrix.msc3381.poll.response"})
ENCRYPTED_KINDS = {
    "m.room.message": ArrivalKind.MESSAGE,
    "m.reaction": ArrivalKind.REACTION,
    **dict.fromkeys(POLL_RESPONSES, ArrivalKind.POLL_RESPONSE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The clear part of one event, checked."""

    event_id: EventId
    room_id: RoomId
    sender: UserId
    type: str
    sent_at: datetime
    content: Mapping[str, Any]
    raw: Mapping[str, Any]


def envelope(raw: Mapping[str, Any], room_id: RoomId, now: datetime) -> Envelope:
    """Check the parts that every event has.

    Raises:
        Garbage: one is missing or of another type.
    """
    event_id, sender, kind, content = (raw.get(key) for key in ("event_id", "sender", "type", "content"))
    if not (isinstance(event_id, str) and isinstance(sender, str) and isinstance(kind, str)):
        raise Garbage("event")
    clear = content if isinstance(content, dict) else {}
    # Of a membership only the word counts: whatever else stands there must not hide that somebody left.
    clear = {"membership": str(clear.get("membership", "leave"))} if kind == "m.room.member" else storable(clear)
    return Envelope(
        event_id=EventId(event_id),
        room_id=room_id,
        sender=UserId(sender),
        type=kind,
        sent_at=_sent_at(raw.get("origin_server_ts"), now),
        content=clear,
        raw={"type": kind, "event_id": event_id, "sender": sender, "content": clear, "room_id": room_id}
        | {key: raw[key] for key in ("origin_server_ts", "state_key") if isinstance(raw.get(key), str | int)},
    )


def clear_arrival(event: Envelope) -> Arrival | None:
    """Return the arrival of an event that was not encrypted, None if nobody needs it."""
    content = event.content
    state_key = event.raw.get("state_key")
    match event.type:
        case "m.room.member" if isinstance(state_key, str):
            return _arrival(event, ArrivalKind.MEMBER, {"user": state_key, "membership": content["membership"]})
        case "m.room.message" if state_key is None:
            return _arrival(event, ArrivalKind.MESSAGE, content)
        case "m.room.tombstone" if state_key == "":
            return _arrival(event, ArrivalKind.TOMBSTONE, {"replacement_room": content.get("replacement_room")})
        case "m.reaction":
            return _arrival(event, ArrivalKind.REACTION, content)
        case kind if kind in POLL_RESPONSES:
            return _arrival(event, ArrivalKind.POLL_RESPONSE, content)
        case _:
            return None


def redaction(event: Envelope, raw: Mapping[str, Any]) -> Arrival | None:
    """Return a redaction's arrival: `redacts` stands in the content since room version 11, beside it before."""
    target = event.content.get("redacts", raw.get("redacts"))
    return _arrival(event, ArrivalKind.REDACTION, {"redacts": target}) if isinstance(target, str) else None


def waiting(event: Envelope, withheld: str | None) -> Arrival:
    """Return the arrival of an event whose key is not here; its content is the raw event, to try again with."""
    raw = dict(event.raw) | ({"org.consilium.withheld": withheld} if withheld else {})
    return _arrival(event, ArrivalKind.UNDECRYPTABLE, raw, fingerprint=fingerprint(event))


def opened_arrival(event: Envelope, opened: OpenedEvent, person: KnownPerson) -> Arrival:
    """Return the arrival of a decrypted event, bound to the device that made its session."""
    content = {key: value for key, value in opened.content.items() if key != OUTSIDE}
    if "m.relates_to" not in content and "m.relates_to" in event.content:
        content |= {"m.relates_to": event.content["m.relates_to"], OUTSIDE: ["m.relates_to"]}
    kind = ENCRYPTED_KINDS.get(opened.type, ArrivalKind.OTHER)
    return _arrival(event, kind, content, origin=origin(opened, person), fingerprint=fingerprint(event))


def origin(opened: OpenedEvent, person: KnownPerson) -> Origin:
    """Say which device of *person*, the event's claimed sender, made the session.

    The homeserver writes the sender's name on an event. It counts only if one of those who gave us the session has both
    keys of one of this very person's devices; else the device is unknown ("") and not cross-signed.
    """
    for owner in opened.owners:
        for device in person.devices.values():
            if device.curve25519 == owner.curve25519 and device.ed25519 == owner.ed25519:
                return Origin(
                    device_id=device.device_id,
                    ed25519=device.ed25519,
                    curve25519=device.curve25519,
                    cross_signed=device.cross_signed,
                    master_key=person.master_key,
                )
    first = opened.owners[0]
    return Origin(
        device_id=DeviceId(""),
        ed25519=first.ed25519,
        curve25519=first.curve25519,
        cross_signed=False,
        master_key=person.master_key,
    )


def fingerprint(event: Envelope) -> str:
    """Return the hash under which the same ciphertext is known again when it comes under another event id.

    It is of the decoded bytes: base64 can write the same ones in several ways.
    """
    text = str(event.content.get("ciphertext")).rstrip("=")
    try:
        ciphertext = base64.b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        ciphertext = text
    parts = [event.sender, str(event.content.get("session_id")), ciphertext]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def invitation(
    room_id: RoomId, user_id: UserId, state: Sequence[Mapping[str, Any]], *, since: str | None, now: datetime
) -> Arrival:
    """Return the arrival of an invitation that came after the token *since*.

    Its state is stripped of ids, so one is made up: the same when the same news is read again after a crash, another
    one when the bot is invited again later.

    Raises:
        Garbage: there is no invitation of the bot in it.
    """
    own = next(
        (
            event
            for event in state
            if event.get("type") == "m.room.member"
            and event.get("state_key") == user_id
            and _content(event).get("membership") == "invite"
        ),
        None,
    )
    if own is None or not isinstance(own.get("sender"), str):
        raise Garbage("invite")
    stamp = own.get("origin_server_ts")
    made_up = "$" + hashlib.sha256(json.dumps([room_id, own["sender"], since]).encode()).hexdigest()
    event_id = own.get("event_id")
    return Arrival(
        event_id=EventId(event_id if isinstance(event_id, str) else made_up),
        room_id=room_id,
        sender=UserId(str(own["sender"])),
        sent_at=_sent_at(stamp, now),
        kind=ArrivalKind.INVITE,
        content={
            "encrypted": any(event.get("type") == "m.room.encryption" for event in state),
            "direct": _content(own).get("is_direct") is True,
        },
        origin=None,
    )


def left_arrival(room_id: RoomId, own: Arrival | None, token: str, now: datetime) -> Arrival:
    """Return the arrival of the bot's own leaving; the server may not tell how it came about."""
    return Arrival(
        event_id=own.event_id if own else EventId("$left-" + hashlib.sha256(f"{room_id} {token}".encode()).hexdigest()),
        room_id=room_id,
        sender=own.sender if own else UserId(""),
        sent_at=own.sent_at if own else now,
        kind=ArrivalKind.LEFT,
        content={
            "by": own.sender if own else None,
            "membership": "ban" if own and own.content.get("membership") == "ban" else "leave",
        },
        origin=None,
    )


def _arrival(
    event: Envelope,
    kind: ArrivalKind,
    content: Mapping[str, Any],
    *,
    origin: Origin | None = None,
    fingerprint: str | None = None,
) -> Arrival:
    edits, inside = _edit(content) if kind is ArrivalKind.MESSAGE else (None, False)
    return Arrival(
        event_id=event.event_id,
        room_id=event.room_id,
        sender=event.sender,
        sent_at=event.sent_at,
        kind=kind,
        content=content,
        origin=origin,
        fingerprint=fingerprint,
        edits=edits,
        edit_is_inside=inside and origin is not None,
        replies_to=_reply(content),
    )


def _edit(content: Mapping[str, Any]) -> tuple[EventId | None, bool]:
    """Return what a message edits, and whether relation and new content both stand inside."""
    relation = content.get("m.relates_to")
    if not isinstance(relation, dict) or relation.get("rel_type") != "m.replace":
        # A replacement's content without its relation is an edit whose relation the server took away.
        return (EventId(""), False) if "m.new_content" in content else (None, False)
    target = relation.get("event_id")
    inside = OUTSIDE not in content and isinstance(content.get("m.new_content"), dict)
    return EventId(target if isinstance(target, str) else ""), inside


def _reply(content: Mapping[str, Any]) -> EventId | None:
    relation = content.get("m.relates_to")
    reply = relation.get("m.in_reply_to") if isinstance(relation, dict) else None
    target = reply.get("event_id") if isinstance(reply, dict) else None
    return EventId(target) if isinstance(target, str) else None


def _content(event: Mapping[str, Any]) -> Mapping[str, Any]:
    content = event.get("content")
    return content if isinstance(content, dict) else {}


def _sent_at(stamp: object, now: datetime) -> datetime:
    """Return the server's time in UTC, ours if it has none that a calendar knows."""
    if not isinstance(stamp, int) or isinstance(stamp, bool):
        return now
    try:
        return datetime.fromtimestamp(stamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return now
