"""Who comes and goes: invitations to the bot, members of rooms, and those who do not belong there."""

from collections.abc import Sequence
from datetime import timedelta

from bot.domain.audit import AuditEvent
from bot.domain.effects import CaseRoom, Direct, JoinRoom, LeaveRoom, Purpose, Remove, Say, ThisRoom
from bot.domain.ids import UserId
from bot.domain.notice import Notice, Who
from bot.domain.people import Person, Standing
from bot.services.ports import (
    Arrival,
    Clock,
    Counters,
    RoomEntry,
    Unit,
)
from bot.services.turn import Cases

A_MOMENT = timedelta(seconds=1)
"""What a client needs after joining to ask for the bot's identity."""


class Membership:
    """Accepts direct chats, removes whoever does not belong into a case, forgets rooms that are over."""

    def __init__(
        self, *, cases: Cases, clock: Clock, counters: Counters, bot: UserId, allowed_homeservers: Sequence[str]
    ) -> None:
        self._cases = cases
        self._clock = clock
        self._counters = counters
        self._bot = bot
        self._allowed = frozenset(allowed_homeservers)

    async def invited(self, unit: Unit, arrival: Arrival) -> None:
        """Accept encrypted one-to-one chats from allowed homeservers; anybody else gets one helpful answer."""
        place = ThisRoom(room_id=arrival.room_id)
        server = arrival.sender.partition(":")[2]
        if server not in self._allowed:
            self._counters.count("invitations_refused")
            await unit.plan(LeaveRoom(place=place))
            return
        if arrival.content.get("encrypted") and arrival.content.get("direct", True):
            await unit.plan(JoinRoom(place=place, user_id=arrival.sender))
            known = await unit.person(arrival.sender)
            await unit.plan(Say(place=place, notice=_greeting(known)))
            return
        await unit.plan(LeaveRoom(place=place))
        if await unit.value(f"greeted:{arrival.sender}") is None:
            await unit.save_value(f"greeted:{arrival.sender}", "unencrypted")
            await unit.plan(Say(place=Direct(user_id=arrival.sender), notice=contact("room_not_encrypted")))

    async def left(self, unit: Unit, arrival: Arrival) -> None:
        """The bot is out of a room: a direct chat is forgotten, a case's room stays in the ledger to its end."""
        entry = await unit.room(arrival.room_id)
        if entry is None:
            return
        if entry.case_id is None:
            await unit.forget_room(arrival.room_id)
        elif arrival.content.get("by") != self._bot:
            self._counters.count("thrown_out")
            await unit.audit(AuditEvent(kind="thrown_out", by=arrival.sender, case_id=entry.case_id))

    async def member(self, unit: Unit, arrival: Arrival) -> None:
        """Somebody came or went: whoever does not belong into a case is removed, and everybody is told."""
        entry = await unit.room(arrival.room_id)
        user, membership = UserId(str(arrival.content.get("user"))), arrival.content.get("membership")
        if entry is None or user == self._bot:
            return
        if entry.user_id is not None and user == entry.user_id and membership == "join":
            await unit.hurry(Direct(user_id=user).lane, self._clock.now() + A_MOMENT)
        if entry.user_id is not None and user == entry.user_id and membership in ("leave", "ban"):
            await unit.forget_room(arrival.room_id)
            count = int(await unit.value(f"direct_count:{user}") or 0)
            await unit.save_value(f"direct_count:{user}", str(count + 1))
            return
        if entry.case_id is None:
            if membership in ("join", "invite") and user != entry.user_id and entry.user_id is not None:
                await self._third_person(unit, entry)
            return
        case = await unit.case(entry.case_id)
        if case is None:
            return
        belongs = user == case.requester or user in case.expert_ids
        if membership in ("join", "invite") and not belongs:
            self._counters.count("unexpected_members")
            place = CaseRoom(case_id=case.id, purpose=Purpose(entry.purpose))
            await unit.plan(Remove(place=place, user_id=user))
            notice = Notice(
                text="member_left_out",
                values={"who": Who(user)},
                kind="member_left_out",
                data={"user": user, "reason": "unexpected"},
            )
            await self._cases.to_room(unit, case, notice)
            await unit.audit(AuditEvent(kind="unexpected_member", by=user, case_id=case.id))
        elif membership == "leave" and belongs and arrival.sender == user:
            await unit.audit(AuditEvent(kind="left_room", by=user, case_id=case.id))
            await self._cases.to_room(
                unit, case, Notice(text="left_room", values={"who": Who(user)}, kind="left_room", data={"user": user})
            )

    async def _third_person(self, unit: Unit, entry: RoomEntry) -> None:
        """A direct chat has two members: with a third one the bot leaves it, and writes in a new one."""
        if entry.user_id is None:
            return
        await unit.forget_room(entry.room_id)
        count = int(await unit.value(f"direct_count:{entry.user_id}") or 0)
        await unit.save_value(f"direct_count:{entry.user_id}", str(count + 1))
        await unit.plan(LeaveRoom(place=ThisRoom(room_id=entry.room_id)))
        await unit.audit(AuditEvent(kind="third_person", by=entry.user_id))
        await unit.plan(Say(place=Direct(user_id=entry.user_id), notice=Notice(text="third_person", kind="help")))


def _greeting(person: Person | None) -> Notice:
    if person is not None and person.standing is Standing.ENROLLED:
        return Notice(text="greeting_known", kind="help", next=(("unlock", "123456"), ("new",), ("help",)))
    return Notice(
        text="greeting", kind="help", data={"first": True}, next=(("register", "1-23456-78-901", "…"), ("help",))
    )


def contact(code: str) -> Notice:
    """Return the one helpful answer to whoever cannot be believed yet."""
    return Notice(text=f"contact_{code}", kind="first_contact", data={"code": code})
