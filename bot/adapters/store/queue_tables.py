"""What waits to be handled and what waits to be done, the audit chain, and small values."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.adapters.store.database import Row, Transaction, moment, stamp
from bot.adapters.store.records import pack_arrival, pack_effect, unpack_arrival, unpack_effect
from bot.adapters.store.tables import Tables, seal, unseal
from bot.domain.audit import GENESIS, AuditEvent, AuditRow, digest
from bot.domain.effects import Destroy, Effect, OrderErasure, case_of, lane
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, EventId, RoomId, UserId
from bot.services.ports import Arrival, ArrivalKind, Planned, Vault

PLANNED = "id, lane, case_id, sealed, planned_at, attempts, answers, body"
"""The columns of the outbox that `planned` reads."""

_AUDIT = "n, at, kind, by_user, case_id, facts, previous, digest"

READ_AUDIT = f"SELECT {_AUDIT} FROM audit ORDER BY n"  # noqa: S608  # constants
"""Gives what `audit_row` reads."""

READ_VALUE = "SELECT value FROM small_values WHERE key = ?"


class QueueTables(Tables):
    """The part of a unit that knows inbox, outbox and audit."""

    async def plan(self, effect: Effect, *, answers: EventId | None = None) -> None:
        effect_id, case_id = uuid.uuid4().hex, case_of(effect)
        # What erases a case must be readable without its key; what is said of an erased one is no more than its number.
        sealed = case_id is not None and not isinstance(effect, OrderErasure | Destroy)
        if sealed and await self._transaction.row("SELECT 1 FROM cases WHERE id = ? AND state = 'erased'", case_id):
            sealed = False
        body = seal(self._vault, case_id if sealed else None, pack_effect(effect), context=f"outbox:{effect_id}")
        await self._transaction.rows(
            "INSERT INTO outbox (id, lane, case_id, sealed, planned_at, answers, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            effect_id,
            lane(effect),
            case_id,
            int(sealed),
            stamp(self._clock.now()),
            answers,
            body,
        )

    async def finish(self, planned: Planned) -> None:
        await self._transaction.rows("DELETE FROM outbox WHERE id = ?", planned.id)

    async def postpone(self, planned: Planned, until: datetime, *, waits_for_person: bool = False) -> None:
        await self._transaction.rows(
            "UPDATE outbox SET attempts = attempts + 1, next_at = ?, waits = ? WHERE id = ?",
            stamp(until),
            int(waits_for_person),
            planned.id,
        )

    async def hurry(self, lane: str, at: datetime) -> None:
        await self._transaction.rows(
            "UPDATE outbox SET next_at = ? WHERE lane = ? AND next_at > ?", stamp(at), lane, stamp(at)
        )

    async def idle(self, case_id: CaseId) -> bool:
        return not await self._transaction.rows("SELECT 1 FROM outbox WHERE case_id = ? LIMIT 1", case_id)

    async def claim(self, event_id: EventId) -> Arrival | None:
        row = await self._transaction.row(
            "SELECT case_id, body FROM inbox WHERE event_id = ? AND state = 'new'", event_id
        )
        if row is None:
            return None
        clear = unseal(self._vault, row[0], row[1], context=_inbox(event_id))
        if clear is None:  # of a case that is being erased
            await self.handled(event_id)
            return None
        return unpack_arrival(clear)

    async def handled(self, event_id: EventId) -> None:
        await self._transaction.rows(
            "UPDATE inbox SET state = 'handled', body = NULL, room_id = NULL, case_id = NULL WHERE event_id = ?",
            event_id,
        )

    async def audit(self, event: AuditEvent) -> None:
        last = await self._transaction.row("SELECT n, digest FROM audit ORDER BY n DESC LIMIT 1")
        n, previous = (1, GENESIS) if last is None else (last[0] + 1, last[1])
        at = self._clock.now()
        await self._transaction.rows(
            f"INSERT INTO audit ({_AUDIT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
            n,
            at.isoformat(),
            event.kind,
            event.by,
            event.case_id,
            json.dumps(dict(event.facts)),
            previous,
            digest(n, at, event, previous),
        )

    async def audit_rows(self) -> Sequence[AuditRow]:
        return [audit_row(row) for row in await self._transaction.rows(READ_AUDIT)]

    async def value(self, key: str) -> str | None:
        row = await self._transaction.row(READ_VALUE, key)
        return None if row is None else str(row[0])

    async def save_value(self, key: str, value: str) -> None:
        await write_value(self._transaction, key, value)

    async def forget_values(self, prefix: str) -> None:
        # GLOB is case-sensitive, and a prefix of ours holds none of its marks but what is quoted here.
        pattern = "".join(f"[{c}]" if c in "*?[" else c for c in prefix) + "*"
        await self._transaction.rows("DELETE FROM small_values WHERE key GLOB ?", pattern)


async def write_value(transaction: Transaction, key: str, value: str) -> None:
    """Write a small value."""
    await transaction.rows("INSERT OR REPLACE INTO small_values (key, value) VALUES (?, ?)", key, value)


async def take_in(transaction: Transaction, vault: Vault, arrivals: Sequence[Arrival], *, arrived_at: datetime) -> None:
    """Store arrivals in this order; what is known already, by id or by fingerprint, is dropped.

    What cannot be kept (no JSON; of a case whose key is gone) is entered as handled: nobody waits for it.
    """
    cases = await _cases_of_rooms(transaction, {a.room_id for a in arrivals if _is_text(a)})
    await transaction.many(
        "INSERT INTO inbox (event_id, fingerprint, arrived_at, state, room_id, case_id, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (a.event_id, a.fingerprint, stamp(arrived_at), *_kept(vault, a, cases.get(a.room_id)))
            for a in arrivals
            if _is_text(a)
        ],
    )


async def replace_waiting(transaction: Transaction, vault: Vault, arrival: Arrival) -> None:
    """Put the decrypted form in the place of an event that waits for its key; a replayed one is dropped."""
    waiting = await transaction.row("SELECT 1 FROM inbox WHERE event_id = ? AND state = 'waiting'", arrival.event_id)
    if waiting is None:
        return
    replayed = await transaction.row(
        "SELECT 1 FROM inbox WHERE fingerprint = ? AND event_id != ?", arrival.fingerprint, arrival.event_id
    )
    cases = await _cases_of_rooms(transaction, {arrival.room_id})
    state, room_id, case_id, body = _kept(vault, arrival, cases.get(arrival.room_id))
    if replayed:
        state, room_id, case_id, body = _HANDLED
    await transaction.rows(
        "UPDATE inbox SET state = ?, room_id = ?, case_id = ?, body = ?, fingerprint = coalesce(?, fingerprint)"
        " WHERE event_id = ?",
        state,
        room_id,
        case_id,
        body,
        None if replayed else arrival.fingerprint,
        arrival.event_id,
    )


def waiting(vault: Vault, rows: Sequence[Row]) -> list[Arrival]:
    """Return the waiting arrivals of *rows* (event_id, case_id, body) that can be read."""
    clear = [unseal(vault, case_id, body, context=_inbox(event_id)) for event_id, case_id, body in rows]
    return [unpack_arrival(one) for one in clear if one is not None]


def planned(vault: Vault, row: Row) -> Planned | None:
    """Return the effect of a row (`PLANNED`), or None if the key of its case is gone: it can never be done."""
    effect_id, lane_, case_id, sealed, planned_at, attempts, answers, body = row
    clear = unseal(vault, case_id if sealed else None, body, context=f"outbox:{effect_id}")
    if clear is None:
        return None
    return Planned(
        id=effect_id,
        lane=lane_,
        effect=unpack_effect(clear),
        case_id=None if case_id is None else CaseId(case_id),
        planned_at=moment(planned_at),
        attempts=attempts,
        answers=None if answers is None else EventId(answers),
    )


def audit_row(row: Row) -> AuditRow:
    """Return a row (of `READ_AUDIT`) of the chain."""
    n, at, kind, by, case_id, facts, previous, digest_ = row
    event = AuditEvent(
        kind=kind,
        by=None if by is None else UserId(by),
        case_id=None if case_id is None else CaseId(case_id),
        facts=json.loads(facts),
    )
    return AuditRow(n=n, at=datetime.fromisoformat(at), event=event, previous=previous, digest=digest_)


_Kept = tuple[str, RoomId | None, CaseId | None, bytes | None]
"""State, room, case and body of a row of the inbox."""

_HANDLED: _Kept = ("handled", None, None, None)


def _kept(vault: Vault, arrival: Arrival, case_id: CaseId | None) -> _Kept:
    state = "waiting" if arrival.kind is ArrivalKind.UNDECRYPTABLE else "new"
    try:
        body = seal(vault, case_id, pack_arrival(arrival), context=_inbox(arrival.event_id))
    except (Refusal, ValueError):
        return _HANDLED
    return state, arrival.room_id, case_id, body


async def _cases_of_rooms(transaction: Transaction, room_ids: set[RoomId]) -> Mapping[RoomId, CaseId]:
    rows = await transaction.rows(
        "SELECT room_id, case_id FROM rooms WHERE case_id IS NOT NULL AND room_id IN (SELECT value FROM json_each(?))",
        json.dumps(sorted(room_ids)),
    )
    return dict(rows)


def _is_text(arrival: Arrival) -> bool:
    """Say whether the ids can be written at all: half a character (U+D800…) in one is no honest server's work."""
    try:
        f"{arrival.event_id}{arrival.room_id}{arrival.fingerprint}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _inbox(event_id: EventId) -> str:
    return f"inbox:{event_id}"
