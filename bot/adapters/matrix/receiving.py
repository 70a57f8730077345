"""What a sync brought, made into arrivals: keys first, then events, each contained on its own.

Nothing that anyone sends can stop the rest of its batch: what is not understood is counted and dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from bot.adapters.matrix.arrivals import (
    Envelope,
    clear_arrival,
    envelope,
    invitation,
    left_arrival,
    opened_arrival,
    origin,
    redaction,
    waiting,
)
from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.declining import Declining
from bot.adapters.matrix.devices import Directory
from bot.adapters.matrix.machine import Machine, MissingKey, OpenedEvent, OpenedOlm
from bot.adapters.matrix.plaintext import MALFORMED, Garbage
from bot.adapters.matrix.room_facts import RoomFacts
from bot.adapters.matrix.sync import RoomNews, Round
from bot.adapters.matrix.unwedging import Unwedging
from bot.domain.ids import EventId, RoomId, UserId
from bot.services.ports import Arrival, ArrivalKind, Arrivals, Clock, Counters

EVENTS_AT_ONCE = 200
"""Events decrypted in one go on the crypto thread."""

GONE = frozenset({"leave", "ban"})
FACTS = frozenset({"m.room.member", "m.room.encryption"})
WITHHELD_KEPT = 10_000

SessionName = tuple[RoomId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """An encrypted event and what became of it: opened, or still waiting, or garbage."""

    event: Envelope
    outcome: OpenedEvent | MissingKey | Garbage


class Receiver:
    """Turns raw events into arrivals and keeps those that wait for a key."""

    def __init__(
        self,
        crypto: Crypto,
        directory: Directory,
        facts: RoomFacts,
        unwedging: Unwedging,
        declining: Declining,
        *,
        user_id: UserId,
        arrivals: Arrivals,
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._crypto = crypto
        self._directory = directory
        self._facts = facts
        self._unwedging = unwedging
        self._declining = declining
        self._user_id = user_id
        self._arrivals = arrivals
        self._counters = counters
        self._clock = clock
        self._wanted: set[SessionName] = set()
        self._withheld: dict[SessionName, str] = {}

    # -- Keys ------------------------------------------------------------------------------------------------------

    async def take_to_device(self, messages: Sequence[Mapping[str, Any]]) -> set[SessionName]:
        """Handle to-device messages in order, in one transaction; return the Megolm sessions that they brought."""
        if not messages:
            return set()
        new: set[SessionName] = set()
        for message, result in zip(
            messages, await self._crypto.do(lambda machine: [_open(machine, m) for m in messages]), strict=True
        ):
            match result:
                case Garbage():
                    self._contained(result)
                    self._unwedging.suspect(message)
                case OpenedOlm(type="m.dummy", new_session=True):
                    self._unwedging.renewed(result.curve25519)
                case (room_id, session_id):
                    new.add((room_id, session_id))
                case _:
                    self._note_withheld(message)
                    self._declining.note(message)
        return new

    def _note_withheld(self, message: Mapping[str, Any]) -> None:
        """Remember why a key was not given to us."""
        content = message.get("content")
        if message.get("type") != "m.room_key.withheld" or not isinstance(content, dict):
            return
        room_id, session_id, code = content.get("room_id"), content.get("session_id"), content.get("code")
        if isinstance(room_id, str) and isinstance(session_id, str) and isinstance(code, str):
            self._counters.count("matrix_key_withheld")
            if len(self._withheld) < WITHHELD_KEPT:
                self._withheld[(RoomId(room_id), session_id)] = code[:100]

    async def take_waiting(self, new: set[SessionName] | None = None) -> None:
        """Open what waits for the sessions in *new*; with None everything is tried, as at a start."""
        if new is not None and not new & self._wanted:
            return
        envelopes = []
        for arrival in await self._arrivals.undecryptable():
            try:
                event = envelope(arrival.content, arrival.room_id, arrival.sent_at)
            except (Garbage, *MALFORMED):
                self._contained(Garbage("waiting"))
                continue
            name = self._name(event)
            if name is not None and (new is None or name in new):
                envelopes.append(event)
                self._wanted.add(name)
        sealed = await self._open_events(envelopes)
        opened = await self._bound(sealed)
        for one in sealed:
            if not isinstance(one.outcome, MissingKey):
                await self._arrivals.decrypted(opened.get(one.event.event_id) or _unreadable(one.event))
        self._wanted -= new or set()

    # -- Events ----------------------------------------------------------------------------------------------------

    async def judge(self, news: Round) -> list[Arrival]:
        """Return everything of a round as arrivals: in order within a room, by time between rooms.

        Raises:
            ExternalError: the senders' devices could not be looked up; nothing is lost, the round is asked for again.
        """
        now = self._clock.now()
        arrivals: list[Arrival] = []
        for room_id, state in news.invites.items():
            try:
                arrivals.append(invitation(room_id, self._user_id, state, since=news.since, now=now))
            except (Garbage, *MALFORMED):
                self._contained(Garbage("invite"))
        by_room: dict[RoomId, list[Arrival]] = {}
        encrypted: list[Envelope] = []
        places: list[tuple[RoomId, Envelope | Arrival]] = []
        for room_id, room in news.rooms.items():
            for entry in self._readable(room_id, room, news):
                places.append((room_id, entry))
                if isinstance(entry, Envelope):
                    encrypted.append(entry)
        opened = await self._opened(encrypted)
        for room_id, entry in places:
            arrival = opened.get(entry.event_id) if isinstance(entry, Envelope) else entry
            if arrival is not None:
                by_room.setdefault(room_id, []).append(arrival)
        return arrivals + _by_time(by_room)

    def _readable(self, room_id: RoomId, room: RoomNews, news: Round) -> list[Envelope | Arrival]:
        """Return the room's clear events as arrivals and its encrypted ones as envelopes, oldest first."""
        found = [entry for raw in room.state if (entry := self._looked_at(room_id, raw)) is not None]
        own = next((entry for entry in reversed(found) if self._is_own_membership(entry)), None)
        away_since = len(found)
        for raw in room.timeline:
            entry = self._looked_at(room_id, raw)
            if entry is None:
                continue
            if self._is_own_membership(entry):
                own = entry
                membership = entry.content.get("membership")
                if membership == "invite":
                    # What was said while the bot was not there is not for it.
                    found[away_since:] = [e for e in found[away_since:] if _is_membership(e)]
                elif membership in GONE:
                    away_since = len(found)
            found.append(entry)
        kept = [entry for entry in found if not self._is_own_membership(entry)]
        if room.left:
            gone = own if own is not None and own.content.get("membership") in GONE else None
            kept.append(left_arrival(room_id, gone, news.token, self._clock.now()))
        return kept

    def _looked_at(self, room_id: RoomId, raw: Mapping[str, Any]) -> Envelope | Arrival | None:
        """Return one raw event as what it is, None if nobody needs it; the bot's own words are no news to it."""
        if raw.get("type") in FACTS:
            self._facts.changed(room_id)
        try:
            event = envelope(raw, room_id, self._clock.now())
            entry = self._entry(event, raw)
        except MALFORMED:
            self._contained(Garbage("event"))
            return None
        except Garbage as garbage:
            self._contained(garbage)
            return None
        return None if event.sender == self._user_id and event.type != "m.room.member" else entry

    def _is_own_membership(self, entry: Envelope | Arrival) -> TypeGuard[Arrival]:
        return _is_membership(entry) and entry.content.get("user") == self._user_id

    def _entry(self, event: Envelope, raw: Mapping[str, Any]) -> Envelope | Arrival | None:
        if event.type == "m.room.encrypted" and "state_key" not in event.raw:
            # A redacted event is empty: there is nothing to read and nothing to wait for.
            return event if event.content else None
        if event.type == "m.room.redaction":
            return redaction(event, raw)
        return clear_arrival(event)

    async def _opened(self, events: Sequence[Envelope]) -> dict[EventId, Arrival]:
        sealed = await self._open_events(events)
        result = await self._bound(sealed)
        for one in sealed:
            if isinstance(one.outcome, MissingKey):
                self._counters.count("matrix_undecryptable")
                name = self._name(one.event)
                if name is not None:
                    self._wanted.add(name)
                withheld = self._withheld.get(name) if name is not None else None
                result[one.event.event_id] = waiting(one.event, withheld)
        return result

    async def _bound(self, sealed: Sequence[_Sealed]) -> dict[EventId, Arrival]:
        """Return the arrivals of what could be opened, each bound to a device of its sender; garbage is counted.

        Raises:
            ExternalError: the devices could not be looked up.
        """
        for garbage in (one.outcome for one in sealed if isinstance(one.outcome, Garbage)):
            self._contained(garbage)
        opened = [(one.event, one.outcome) for one in sealed if isinstance(one.outcome, OpenedEvent)]
        people = dict(await self._directory.people({event.sender for event, _ in opened}))
        # A device of this minute may not be known yet: ask once more before a sender is called forged.
        doubtful = {event.sender for event, inside in opened if not origin(inside, people[event.sender]).device_id}
        people |= await self._directory.people(doubtful, anew=doubtful)
        result: dict[EventId, Arrival] = {}
        for event, inside in opened:
            try:
                arrival = opened_arrival(event, inside, people[event.sender])
            except MALFORMED:
                self._contained(Garbage("content"))
                continue
            if arrival.origin is not None and not arrival.origin.device_id:
                self._counters.count("matrix_forged_sender")
            result[event.event_id] = arrival
        return result

    async def _open_events(self, events: Sequence[Envelope]) -> list[_Sealed]:
        found: list[_Sealed] = []
        for start in range(0, len(events), EVENTS_AT_ONCE):
            part = events[start : start + EVENTS_AT_ONCE]
            found += await self._crypto.do(lambda machine, part=part: [_open_event(machine, event) for event in part])  # type: ignore[misc]  # the default binds the loop's value
        return found

    def _name(self, event: Envelope) -> SessionName | None:
        session_id = event.content.get("session_id")
        return (event.room_id, session_id) if isinstance(session_id, str) else None

    def _contained(self, garbage: Garbage) -> None:
        self._counters.count("matrix_contained", what=garbage.what)


def _open(machine: Machine, message: Mapping[str, Any]) -> OpenedOlm | SessionName | Garbage | None:
    """Open one to-device message and keep its room key, if it is one; None for what is not encrypted."""
    sender = message.get("sender")
    if message.get("type") != "m.room.encrypted" or not isinstance(sender, str):
        return None
    try:
        opened = machine.open_to_device(sender, message.get("content"))
        return machine.add_room_key(opened) if opened.type == "m.room_key" else opened
    except Garbage as garbage:
        return garbage


def _open_event(machine: Machine, event: Envelope) -> _Sealed:
    try:
        return _Sealed(event=event, outcome=machine.open_event(event.room_id, event.content))
    except (MissingKey, Garbage) as failure:
        return _Sealed(event=event, outcome=failure)


def _unreadable(event: Envelope) -> Arrival:
    """Return what stands for an event whose key came and which is garbage all the same: it need not wait longer."""
    return replace(waiting(event, None), kind=ArrivalKind.OTHER, content={})


def _is_membership(entry: Envelope | Arrival) -> TypeGuard[Arrival]:
    return isinstance(entry, Arrival) and entry.kind is ArrivalKind.MEMBER


def _by_time(by_room: Mapping[RoomId, Sequence[Arrival]]) -> list[Arrival]:
    """Merge rooms by time; a time that goes back within a room counts as the latest before it."""
    stamped: list[tuple[Any, int, Arrival]] = []
    for arrivals in by_room.values():
        latest = None
        for arrival in arrivals:
            latest = arrival.sent_at if latest is None else max(latest, arrival.sent_at)
            stamped.append((latest, len(stamped), arrival))
    stamped.sort(key=lambda entry: entry[:2])
    return [arrival for _, _, arrival in stamped]
