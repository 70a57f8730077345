"""Cases: the whole case is sealed under its key, a few columns beside it are for looking up."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

from bot.adapters.store.database import stamp
from bot.adapters.store.records import pack_case, unpack_case
from bot.adapters.store.tables import Tables, unseal
from bot.domain.case import Case
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, LineId, UserId
from bot.domain.steps import State

_CONTEXT = "case"
_AT_ONCE = 100
"""How many cases are read before others get their turn."""


class CaseTables(Tables):
    """The part of a unit that knows cases."""

    async def new_case_id(self, year: int) -> CaseId:
        row = await self._transaction.row(
            "INSERT INTO case_numbers (year, last) VALUES (?, 1)"
            " ON CONFLICT (year) DO UPDATE SET last = last + 1 RETURNING last",
            year,
        )
        assert row is not None  # RETURNING gives one row
        return CaseId(f"C-{year}-{row[0]:04}")

    async def case(self, case_id: CaseId) -> Case | None:
        row = await self._transaction.row("SELECT body FROM cases WHERE id = ?", case_id)
        if row is None:
            return None
        if row[0] is None:
            raise Refusal("case_erased", case=case_id)
        return unpack_case(self._vault.open(case_id, row[0], context=_CONTEXT))

    async def save_case(self, case: Case, *, next_due_at: datetime | None) -> None:
        if case.state is State.ERASED:
            await self._keep_number_only(case.id)
            return
        saved = await self._transaction.rows(
            "INSERT INTO cases (id, state, line, requester, next_due_at, body) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state, line = excluded.line,"
            " requester = excluded.requester, next_due_at = excluded.next_due_at, body = excluded.body"
            " WHERE state != 'erased' RETURNING id",
            case.id,
            case.state,
            case.line,
            case.requester,
            None if next_due_at is None else stamp(next_due_at),
            self._vault.seal(case.id, pack_case(case), context=_CONTEXT),
        )
        if not saved:
            raise Refusal("case_erased", case=case.id)
        await self._transaction.rows("DELETE FROM case_experts WHERE case_id = ?", case.id)
        if case.experts:
            await self._transaction.rows(
                "INSERT OR IGNORE INTO case_experts (case_id, user_id) SELECT ?, value FROM json_each(?)",
                case.id,
                json.dumps(case.expert_ids),
            )

    async def cases(
        self,
        *,
        states: Sequence[State] | None = None,
        line: LineId | None = None,
        requester: UserId | None = None,
        expert: UserId | None = None,
    ) -> Sequence[Case]:
        conditions, values = ["body IS NOT NULL", "seq > ?"], list[object]()
        for condition, wanted in (
            ("state IN (SELECT value FROM json_each(?))", None if states is None else json.dumps(list(states))),
            ("line = ?", line),
            ("requester = ?", requester),
            ("id IN (SELECT case_id FROM case_experts WHERE user_id = ?)", expert),
        ):
            if wanted is not None:
                conditions.append(condition)
                values.append(wanted)
        sql = f"SELECT seq, id, body FROM cases WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT {_AT_ONCE}"  # noqa: S608  # constants
        found: list[Case] = []
        last = 0
        while rows := await self._transaction.rows(sql, last, *values):
            for seq, case_id, body in rows:
                last = seq
                clear = unseal(self._vault, case_id, body, context=_CONTEXT)
                if clear is not None:
                    found.append(unpack_case(clear))
            if len(rows) < _AT_ONCE:
                break
            await asyncio.sleep(0)
        return found

    async def due_cases(self, now: datetime, limit: int) -> Sequence[CaseId]:
        rows = await self._transaction.rows(
            "SELECT id FROM cases WHERE next_due_at <= ? ORDER BY next_due_at, seq LIMIT ?", stamp(now), limit
        )
        return [CaseId(row[0]) for row in rows]

    async def forget_case(self, case_id: CaseId) -> None:
        run = self._transaction.rows
        # A handled arrival keeps nothing but its id and fingerprint, so that a replay is still known.
        await run(
            "UPDATE inbox SET state = 'handled', body = NULL, room_id = NULL, case_id = NULL"
            " WHERE body IS NOT NULL AND state IN ('new', 'waiting') AND (case_id = ?1"
            " OR room_id IN (SELECT room_id FROM rooms WHERE case_id = ?1)"
            " OR event_id IN (SELECT event_id FROM events WHERE case_id = ?1))",
            case_id,
        )
        for table in ("rooms", "events", "media", "polls", "outbox"):
            await run(f"DELETE FROM {table} WHERE case_id = ?", case_id)  # noqa: S608  # constants
        # A command that waits for its one-time code may hold words about the case.
        await run("DELETE FROM pending WHERE instr(upper(CAST(body AS TEXT)), ?)", case_id.upper())
        await self._keep_number_only(case_id)

    async def _keep_number_only(self, case_id: CaseId) -> None:
        await self._transaction.rows("DELETE FROM case_experts WHERE case_id = ?", case_id)
        await self._transaction.rows(
            "UPDATE cases SET state = 'erased', line = NULL, requester = NULL, next_due_at = NULL, body = NULL"
            " WHERE id = ?",
            case_id,
        )
        self._transaction.erases = True
