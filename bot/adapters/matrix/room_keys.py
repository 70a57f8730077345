"""The Megolm sessions that were given to the bot: read from the store when they are needed.

nio loads every session of every room at its start (0.3 s for 2000) and keeps them for ever; 10,000 open cases have
more.
"""

from collections import OrderedDict

from nio.crypto import GroupSessionStore, InboundGroupSession
from nio.store import MegolmInboundSessions
from nio.store.database import use_database

from bot.adapters.matrix.store import KeyStore
from bot.domain.ids import RoomId

KEPT = 2_000
"""Session names whose copies stay in memory."""


class RoomKeyStore(KeyStore):
    """nio's store with room keys that are found by session and owner, and can be deleted."""

    def _create_tables_of_ours(self) -> None:
        super()._create_tables_of_ours()
        self.database.execute_sql("CREATE INDEX IF NOT EXISTS by_room ON megolminboundsessions (room_id)")

    def load_inbound_group_sessions(self) -> GroupSessionStore:
        """Return nothing: sessions are read when they are needed."""
        return GroupSessionStore()

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
    def save_inbound_group_session(self, session: InboundGroupSession) -> None:
        """Save a Megolm session under its id and its owner.

        nio's row is keyed by the session id alone and overwritten by whoever sends that id again: a member could put a
        later copy of a colleague's session, or one under his own name, in its place.
        """
        MegolmInboundSessions.replace(
            account=self._get_account(),
            sender_key=session.sender_key,
            fp_key=session.ed25519,
            room_id=session.room_id,
            session=session.pickle(self.pickle_key),
            session_id=f"{session.id}|{session.sender_key}|{session.room_id}",
        ).execute()

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
    def read_inbound_group_sessions(self, room_id: str, session_id: str) -> list[InboundGroupSession]:
        """Return every copy of one session, one for each owner."""
        named = MegolmInboundSessions.session_id
        rows = MegolmInboundSessions.select().where(
            (named >= f"{session_id}|") & (named < f"{session_id}}}") & (MegolmInboundSessions.room_id == room_id)
        )
        read = [
            InboundGroupSession.from_pickle(row.session, row.fp_key, row.sender_key, row.room_id, self.pickle_key)
            for row in rows
        ]
        return [session for session in read if session.id == session_id]

    @use_database  # type: ignore[untyped-decorator]  # nio is untyped
    def delete_inbound_group_sessions(self, room_id: str) -> None:
        """Delete every Megolm session of a room; the pages are overwritten (`secure_delete`). nio cannot."""
        MegolmInboundSessions.delete().where(MegolmInboundSessions.room_id == room_id).execute()


class RoomKeys:
    """Sessions by room and id; each can have several owners, of whom at most one is who its events claim."""

    def __init__(self, store: RoomKeyStore) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[RoomId, str], list[InboundGroupSession]] = OrderedDict()

    def add(self, session: InboundGroupSession) -> None:
        """Keep a session; of two copies with the same owner the one that reads further back."""
        copies = self.find(RoomId(session.room_id), session.id)
        same = next((copy for copy in copies if copy.sender_key == session.sender_key), None)
        if same is not None and same.first_known_index <= session.first_known_index:
            return
        self._store.save_inbound_group_session(session)
        self._keep(RoomId(session.room_id), session.id, [*(copy for copy in copies if copy is not same), session])

    def find(self, room_id: RoomId, session_id: str) -> list[InboundGroupSession]:
        """Return every copy of a session."""
        known = self._kept.get((room_id, session_id))
        if known is not None:
            self._kept.move_to_end((room_id, session_id))
            return known
        read: list[InboundGroupSession] = self._store.read_inbound_group_sessions(room_id, session_id)
        if read:
            self._keep(room_id, session_id, read)
        return read

    def forget(self, room_id: RoomId) -> None:
        """Drop every session of a room, in memory and on disk."""
        for name in [name for name in self._kept if name[0] == room_id]:
            del self._kept[name]
        self._store.delete_inbound_group_sessions(room_id)

    def _keep(self, room_id: RoomId, session_id: str, copies: list[InboundGroupSession]) -> None:
        self._kept[(room_id, session_id)] = copies
        self._kept.move_to_end((room_id, session_id))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
