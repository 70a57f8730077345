"""The tables, as numbered upgrades: the database remembers how many it has seen, and each is done whole or not at all.

What is in clear in a column is there to be looked up. `body` holds the rest: JSON, encrypted under the case's key where
the row belongs to a case. Times to be compared are whole microseconds since 1970 (UTC).
"""

from collections.abc import Sequence

Upgrade = tuple[str, ...]
"""The statements of one upgrade."""

_CASES: Upgrade = (
    "CREATE TABLE case_numbers (year INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT",
    # An erased case keeps its number and that it was erased.
    """CREATE TABLE cases (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        line TEXT,
        requester TEXT,
        next_due_at INTEGER,
        body BLOB,
        CHECK ((state = 'erased') = (body IS NULL)),
        CHECK (state != 'erased' OR coalesce(line, requester, next_due_at) IS NULL)
    ) STRICT""",
    "CREATE INDEX cases_by_state ON cases (state, seq)",
    "CREATE INDEX cases_by_line ON cases (line, state, seq)",
    "CREATE INDEX cases_by_requester ON cases (requester, state, seq)",
    "CREATE INDEX cases_by_due ON cases (next_due_at) WHERE next_due_at IS NOT NULL",
    """CREATE TABLE case_experts (
        user_id TEXT NOT NULL,
        case_id TEXT NOT NULL REFERENCES cases (id),
        PRIMARY KEY (user_id, case_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX case_experts_by_case ON case_experts (case_id)",
)

_PEOPLE: Upgrade = (
    "CREATE TABLE people (user_id TEXT PRIMARY KEY, inami_key TEXT, body BLOB NOT NULL) STRICT",
    "CREATE INDEX people_by_inami ON people (inami_key) WHERE inami_key IS NOT NULL",
    "CREATE TABLE credentials (user_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT",
    """CREATE TABLE sessions (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (user_id, device_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE pending (user_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT",
)

_LEDGER: Upgrade = (
    """CREATE TABLE rooms (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        room_id TEXT NOT NULL UNIQUE,
        purpose TEXT NOT NULL,
        case_id TEXT,
        user_id TEXT
    ) STRICT""",
    "CREATE INDEX rooms_by_case ON rooms (case_id, purpose, seq) WHERE case_id IS NOT NULL",
    "CREATE UNIQUE INDEX rooms_one_direct_chat ON rooms (user_id) WHERE purpose = 'direct'",
    # One message can speak of two cases; the erasure of either takes it away.
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        case_id TEXT NOT NULL,
        room_id TEXT NOT NULL,
        own INTEGER NOT NULL,
        UNIQUE (event_id, case_id)
    ) STRICT""",
    "CREATE INDEX events_by_case ON events (case_id, seq)",
    """CREATE TABLE media (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL,
        url TEXT NOT NULL,
        file_id TEXT,
        body BLOB NOT NULL,
        UNIQUE (case_id, url)
    ) STRICT""",
    "CREATE INDEX media_by_file ON media (case_id, file_id, seq)",
    """CREATE TABLE polls (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        room_id TEXT NOT NULL,
        case_id TEXT,
        field TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX polls_by_room ON polls (room_id, field, seq)",
    "CREATE INDEX polls_by_case ON polls (case_id) WHERE case_id IS NOT NULL",
)

_QUEUES: Upgrade = (
    # A handled arrival keeps its id and its fingerprint, so that it is never taken a second time.
    """CREATE TABLE inbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        fingerprint TEXT UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('new', 'waiting', 'handled')),
        arrived_at INTEGER NOT NULL,
        asked INTEGER NOT NULL DEFAULT 0,
        room_id TEXT,
        case_id TEXT,
        body BLOB,
        CHECK ((state = 'handled') = (body IS NULL)),
        CHECK (state != 'handled' OR coalesce(room_id, case_id) IS NULL)
    ) STRICT""",
    "CREATE INDEX inbox_live ON inbox (state, seq) WHERE body IS NOT NULL",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        lane TEXT NOT NULL,
        case_id TEXT,
        sealed INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL DEFAULT 0,
        waits INTEGER NOT NULL DEFAULT 0,
        planned_at INTEGER NOT NULL,
        answers TEXT,
        body BLOB NOT NULL,
        CHECK (NOT sealed OR case_id IS NOT NULL)
    ) STRICT""",
    "CREATE INDEX outbox_by_lane ON outbox (lane, seq)",
    "CREATE INDEX outbox_by_case ON outbox (case_id) WHERE case_id IS NOT NULL",
    """CREATE TABLE audit (
        n INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        by_user TEXT,
        case_id TEXT,
        facts TEXT NOT NULL,
        previous TEXT NOT NULL,
        digest TEXT NOT NULL
    ) STRICT""",
    # Against mistakes of the program; against whoever holds the key there is the chain.
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TABLE small_values (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
)

UPGRADES: Sequence[Upgrade] = ((*_CASES, *_PEOPLE, *_LEDGER, *_QUEUES),)
"""Number 1 first. One that was released is never edited: what changes comes as the next number."""
