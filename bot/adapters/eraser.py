"""The bot's half of the eraser: the desk where orders are left and their state is read; it holds no admin token.

FOLDER/erasures.db           shared with the eraser's process: case numbers, room ids, media ids, states; nothing else
"""

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from bot.domain.errors import ExternalError
from bot.domain.ids import CaseId, RoomId
from bot.services.ports import Clock, Erased, ErasureStatus

SEEN_WITHIN = timedelta(minutes=2)
"""An eraser process that was not seen for so long counts as absent."""

LONGEST_PAUSE = timedelta(minutes=10)
"""The longest wait between two tries."""

_BUSY_SECONDS = 10.0

_TABLES = """
CREATE TABLE IF NOT EXISTS targets (
    case_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('room', 'medium')),
    name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    code TEXT,                              -- why it failed or was refused
    tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,            -- not before (Unix time)
    ours INTEGER NOT NULL DEFAULT 0,        -- the eraser saw that the bot made this room
    asked INTEGER NOT NULL DEFAULT 0,       -- a deletion was asked for and its outcome not seen yet
    PRIMARY KEY (case_id, kind, name)
) STRICT;
CREATE TABLE IF NOT EXISTS heartbeat (only INTEGER PRIMARY KEY CHECK (only = 1), at REAL NOT NULL) STRICT;
"""


class Kind(StrEnum):
    """What can be erased on the homeserver."""

    ROOM = "room"
    MEDIUM = "medium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One room or medium of an order, and how far it is."""

    case_id: CaseId
    kind: Kind
    name: str
    state: Erased = Erased.PENDING
    code: str | None = None
    tries: int = 0
    due: float = 0.0
    ours: bool = False
    asked: bool = False


class Orders:
    """The database that both processes share; each call opens it anew, so that neither can block the other for long."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "erasures.db"

    def add(self, case_id: CaseId, rooms: Sequence[str], media: Sequence[str]) -> None:
        """Write what is new of an order."""
        rows = [(case_id, Kind.ROOM, name) for name in rooms] + [(case_id, Kind.MEDIUM, name) for name in media]
        with self._open() as db:
            db.executemany("INSERT OR IGNORE INTO targets (case_id, kind, name) VALUES (?, ?, ?)", rows)

    def of(self, case_id: CaseId) -> list[Target]:
        """Return the targets of one case."""
        with self._open() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM targets WHERE case_id = ?", (case_id,))  # noqa: S608  # constant
            return [_target(row) for row in rows]

    def remove(self, case_id: CaseId) -> None:
        """Forget a case, to the last page."""
        with self._open() as db:
            db.execute("DELETE FROM targets WHERE case_id = ?", (case_id,))

    def due(self, now: float, *, most: int) -> list[Target]:
        """Return unsettled targets whose time has come, media first: they cannot be found once their case is gone.

        A time far ahead of *now* can only come from a clock that was put back; it counts as come.
        """
        with self._open() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM targets WHERE state IN ('pending', 'failed')"  # noqa: S608  # constant
                " AND (due <= ? OR due > ?) ORDER BY kind = 'room', due LIMIT ?",
                (now, now + LONGEST_PAUSE.total_seconds(), most),
            )
            return [_target(row) for row in rows]

    def save(self, target: Target) -> None:
        """Write how far a target is; one that was forgotten meanwhile stays forgotten."""
        with self._open() as db:
            db.execute(
                "UPDATE targets SET state = ?, code = ?, tries = ?, due = ?, ours = ?, asked = ?"
                " WHERE case_id = ? AND kind = ? AND name = ?",
                (
                    target.state,
                    target.code,
                    target.tries,
                    target.due,
                    int(target.ours),
                    int(target.asked),
                    target.case_id,
                    target.kind,
                    target.name,
                ),
            )

    def beat(self, now: float) -> None:
        """Say that the eraser's process is there."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO heartbeat (only, at) VALUES (1, ?)", (now,))

    def last_beat(self) -> float | None:
        """Return when the eraser's process was last seen."""
        with self._open() as db:
            row = db.execute("SELECT at FROM heartbeat").fetchone()
        return None if row is None else float(row[0])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the database, do one transaction, close it.

        Raises:
            ExternalError: `erasures_failed`.
        """
        try:
            self._make()
            with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as db:
                db.execute("PRAGMA secure_delete = ON")
                db.execute("PRAGMA synchronous = FULL")
                db.executescript(_TABLES)
                with db:
                    yield db
        except (sqlite3.Error, OSError) as error:
            raise ExternalError("erasures_failed") from error

    def _make(self) -> None:
        """Make the file; the group may write it exactly where it may write the folder: two accounts may share it."""
        if self._path.exists():
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = bool(self._path.parent.stat().st_mode & stat.S_IWGRP)
        mode = 0o660 if shared else 0o600
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            os.fchmod(descriptor, mode)
            os.close(descriptor)


_COLUMNS = "case_id, kind, name, state, code, tries, due, ours, asked"


def _target(row: tuple[str, str, str, str, str | None, int, float, int, int]) -> Target:
    case_id, kind, name, state, code, tries, due, ours, asked = row
    return Target(
        case_id=CaseId(case_id),
        kind=Kind(kind),
        name=name,
        state=Erased(state),
        code=code,
        tries=tries,
        due=due,
        ours=bool(ours),
        asked=bool(asked),
    )


class EraserDesk:
    """Leaves orders for the eraser's process and reads what came of them."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._orders = Orders(folder)
        self._clock = clock

    async def order(self, case_id: CaseId, *, rooms: Sequence[RoomId], media: Sequence[str]) -> None:
        """Name what the ledger holds of a case and ask for its deletion; a repeat changes nothing."""
        await asyncio.to_thread(self._orders.add, case_id, list(rooms), list(media))

    async def status(self, case_id: CaseId) -> ErasureStatus:
        """Return how far it is."""
        targets = await asyncio.to_thread(self._orders.of, case_id)
        beat = await asyncio.to_thread(self._orders.last_beat)
        now = self._clock.now().timestamp()
        return ErasureStatus(
            rooms={RoomId(t.name): t.state for t in targets if t.kind is Kind.ROOM},
            media={t.name: t.state for t in targets if t.kind is Kind.MEDIUM},
            alive=beat is not None and abs(now - beat) <= SEEN_WITHIN.total_seconds(),
        )

    async def forget(self, case_id: CaseId) -> None:
        """Remove a case's order once its certificate is written."""
        await asyncio.to_thread(self._orders.remove, case_id)
