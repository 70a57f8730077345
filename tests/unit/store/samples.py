"""Synthetic cases, arrivals and notices for the tests of the store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.domain.case import Case
from bot.domain.effects import CaseRoom, Direct, Say
from bot.domain.ids import CaseId, DeviceId, EventId, LineId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.notice import Clinical, Notice
from bot.domain.steps import State
from bot.services.ports import Arrival, ArrivalKind, Origin

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CASE = CaseId("C-2026-0001")
OTHER = CaseId("C-2026-0002")
ANN = UserId("@ann:hospital.test")
BOB = UserId("@bob:hospital.test")
PHONE = DeviceId("PHONE")
ROOM = RoomId("!case:hospital.test")
CHAT = RoomId("!chat:hospital.test")


def a_case(case_id: CaseId = CASE, *, state: State = State.COLLECTING, **values: Any) -> Case:
    """Return a case of Ann's, on the rhythmology line if nothing else is said."""
    plain = {"line": LineId("rhythmology"), "requester": ANN, "language": Language.FR} | values
    return Case(id=case_id, state=state, opened_at=NOW, touched_at=NOW, **plain)


def an_arrival(
    event_id: str = "$1",
    *,
    room_id: RoomId = ROOM,
    kind: ArrivalKind = ArrivalKind.MESSAGE,
    content: Mapping[str, Any] | None = None,
    fingerprint: str | None = None,
) -> Arrival:
    """Return a message of Ann's from her phone."""
    return Arrival(
        event_id=EventId(event_id),
        room_id=room_id,
        sender=ANN,
        sent_at=NOW,
        kind=kind,
        content={"msgtype": "m.text", "body": f"words of {event_id}"} if content is None else content,
        origin=Origin(device_id=PHONE, ed25519="e", curve25519="c", cross_signed=True, master_key="m"),
        fingerprint=fingerprint,
    )


def in_case(text: str, case_id: CaseId = CASE) -> Say:
    """Return a message to the case room."""
    return Say(place=CaseRoom(case_id=case_id), notice=_notice(text, case_id))


def to(user_id: UserId, text: str, case_id: CaseId | None = None) -> Say:
    """Return a message to a person's direct chat, about a case or not."""
    return Say(place=Direct(user_id=user_id), notice=_notice(text, case_id))


def words(effect: object) -> str:
    """Return the words of a message made here."""
    assert isinstance(effect, Say)
    value = effect.notice.values["words"]
    assert isinstance(value, Clinical)
    return value.text


def _notice(text: str, case_id: CaseId | None) -> Notice:
    return Notice(text="sample", values={"words": Clinical(text)}, case_id=case_id)
