"""The audit chain: what happened, without clinical content, each row bound to the one before."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.domain.ids import CaseId, UserId

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that was done, refused or given to read. `facts` holds codes, numbers and ids only."""

    kind: str
    by: UserId | None
    """None for the bot itself."""

    case_id: CaseId | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An audit event in its place in the chain."""

    n: int
    at: datetime
    event: AuditEvent
    previous: str
    digest: str


def digest(n: int, at: datetime, event: AuditEvent, previous: str) -> str:
    """Return the SHA-256 (hex) of a row and of the digest before it."""
    row = [n, at.isoformat(), event.kind, event.by, event.case_id, sorted(event.facts.items()), previous]
    return hashlib.sha256(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def first_break(rows: Iterable[AuditRow]) -> int | None:
    """Return the number of the first row that does not fit the one before it, or None if the chain is whole."""
    previous, expected = GENESIS, 1
    for row in rows:
        if row.n != expected or row.previous != previous or digest(row.n, row.at, row.event, previous) != row.digest:
            return expected
        previous, expected = row.digest, expected + 1
    return None
