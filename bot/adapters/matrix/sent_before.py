"""Finding an event of our own by its outbox id, for when the homeserver has forgotten the transaction.

Synapse keeps transaction ids for about a day: what was tried before an outage and is tried again after it would stand
in the room twice.
"""

import json
from datetime import datetime

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.http import HomeserverApi, path
from bot.adapters.matrix.machine import Machine, MissingKey
from bot.adapters.matrix.plaintext import Garbage
from bot.adapters.matrix.sending import TXN
from bot.domain.ids import EventId, RoomId, UserId

PAGE = 100
MOST_PAGES = 100


async def find_sent(
    api: HomeserverApi, crypto: Crypto, *, user_id: UserId, room_id: RoomId, txn: str, since: datetime
) -> EventId | None:
    """Return the event that carries *txn* inside, if the bot sent one to the room after *since*.

    Raises:
        ExternalError: the homeserver did not answer; Permanent if the bot is not in the room.
    """
    wanted = json.dumps({"senders": [user_id], "types": ["m.room.encrypted"]})
    params = {"dir": "b", "limit": str(PAGE), "filter": wanted}
    for _ in range(MOST_PAGES):
        answer = await api.get(path("rooms", room_id, "messages"), params=params)
        events = [event for event in answer.get("chunk", []) if event.get("sender") == user_id]

        def search(machine: Machine, events: list[dict[str, object]] = events) -> str | None:
            for event in events:
                try:
                    content = machine.open_event(room_id, event.get("content")).content
                except (MissingKey, Garbage):
                    continue
                if content.get(TXN) == txn:
                    return str(event["event_id"])
            return None

        found = await crypto.do(search)
        if found is not None:
            return EventId(found)
        end = answer.get("end")
        oldest = min((int(event.get("origin_server_ts", 0)) for event in events), default=None)
        if not isinstance(end, str) or (oldest is not None and oldest / 1000 < since.timestamp()):
            return None
        params["from"] = end
    return None
