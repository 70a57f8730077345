"""One /sync after another: to-device messages first, gaps filled, everything of a round in one pile.

nio's loop advances its token before it has handled what the token covers, ignores limited timelines, hands out events
before their keys (Synapse sends 100 to-device messages a sync), and treats an error as an answer to ask again at once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.adapters.matrix.http import HomeserverApi, Refused, path
from bot.adapters.matrix.settings import Timeouts
from bot.domain.ids import RoomId
from bot.services.ports import Counters

TIMELINE = 100
PAGE = 100
MOST_PAGES = 1_000
FULL = 50
"""To-device messages in one answer from which on there may be more: Synapse sends at most 100."""
MOST_ROUNDS = 100
"""Rounds of draining before events are judged anyway: nobody can hold up the loop by sending without end."""

NOTHING = {"not_types": ["*"]}
FILTER = json.dumps(
    {
        "presence": NOTHING,
        "account_data": NOTHING,
        "room": {"timeline": {"limit": TIMELINE}, "ephemeral": NOTHING, "account_data": NOTHING},
    },
    separators=(",", ":"),
)


@dataclass(slots=True, kw_only=True)
class RoomNews:
    """What came of one room: state that changed unseen, then events, oldest first."""

    state: list[Mapping[str, Any]] = field(default_factory=list)
    timeline: list[Mapping[str, Any]] = field(default_factory=list)
    left: bool = False


@dataclass(slots=True, kw_only=True)
class Round:
    """Everything between two checkpoints."""

    since: str | None
    """The token before; None means that the last events of every room come, known or not."""

    token: str = ""
    """The token after."""

    rooms: dict[RoomId, RoomNews] = field(default_factory=dict)
    invites: dict[RoomId, list[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNews:
    """What one answer says of keys: handled at once, before the next request deletes it on the server."""

    to_device: Sequence[Mapping[str, Any]]
    changed: Sequence[str]
    left: Sequence[str]
    one_time_keys: int
    needs_fallback: bool


class SyncReader:
    """Asks the homeserver what is new."""

    def __init__(self, api: HomeserverApi, *, counters: Counters, timeouts: Timeouts) -> None:
        self._api = api
        self._counters = counters
        self._timeouts = timeouts

    async def ask(self, since: str | None, *, wait: float) -> dict[str, Any]:
        """Make one /sync that the server may hold for *wait* seconds.

        Raises:
            ExternalError: it failed.
        """
        params = {"filter": FILTER, "timeout": str(int(wait * 1000))}
        if since is not None:
            params["since"] = since
        seconds = wait + (self._timeouts.request if since is not None else self._timeouts.first_sync)
        return await self._api.get(path("sync"), params=params, seconds=seconds)

    async def add(self, news: Round, answer: Mapping[str, Any], since: str | None) -> None:
        """Put one answer's rooms onto the pile, with what its limited timelines left out."""
        rooms = _mapping(answer.get("rooms"))
        for section, left in (("join", False), ("leave", True)):
            for room_id, entry in _mapping(rooms.get(section)).items():
                await self._add_room(news, RoomId(room_id), _mapping(entry), since, left=left)
        for room_id, entry in _mapping(rooms.get("invite")).items():
            news.invites[RoomId(room_id)] = _events(_mapping(_mapping(entry).get("invite_state")).get("events"))
        news.token = str(answer["next_batch"])

    async def _add_room(
        self, news: Round, room_id: RoomId, entry: Mapping[str, Any], since: str | None, *, left: bool
    ) -> None:
        timeline = _mapping(entry.get("timeline"))
        events = _events(timeline.get("events"))
        room = news.rooms.setdefault(room_id, RoomNews())
        previous = timeline.get("prev_batch")
        if timeline.get("limited") is True and since is not None and isinstance(previous, str):
            events = await self._gap(room_id, since, previous) + events
        seen = {event.get("event_id") for event in room.timeline}
        events = [event for event in events if event.get("event_id") not in seen]
        in_timeline = {event.get("event_id") for event in events}
        for event in _events(_mapping(entry.get("state")).get("events")):
            if event.get("event_id") not in in_timeline:
                room.state.append(event)
        room.timeline.extend(events)
        room.left = left

    async def _gap(self, room_id: RoomId, since: str, until: str) -> list[Mapping[str, Any]]:
        """Return what happened between two tokens, oldest first; what the server refuses to show stays unseen."""
        found: list[Mapping[str, Any]] = []
        start = until
        for _ in range(MOST_PAGES):
            params = {"dir": "b", "from": start, "to": since, "limit": str(PAGE)}
            try:
                answer = await self._api.get(path("rooms", room_id, "messages"), params=params)
            except Refused:
                self._counters.count("matrix_gap_refused")
                break
            found.extend(_events(answer.get("chunk")))
            end = answer.get("end")
            if not isinstance(end, str) or not answer.get("chunk"):
                break
            start = end
        return found[::-1]


def key_news(answer: Mapping[str, Any]) -> KeyNews:
    """Read what one /sync answer says of keys.

    A count that is absent means 0 (specification since v1.17); nio takes 0 for absent and never refills.
    """
    lists = _mapping(answer.get("device_lists"))
    count = _mapping(answer.get("device_one_time_keys_count")).get("signed_curve25519", 0)
    fallback = answer.get(
        "device_unused_fallback_key_types", answer.get("org.matrix.msc2732.device_unused_fallback_key_types")
    )
    return KeyNews(
        to_device=_events(_mapping(answer.get("to_device")).get("events")),
        changed=_strings(lists.get("changed")),
        left=_strings(lists.get("left")),
        one_time_keys=count if isinstance(count, int) else 0,
        needs_fallback=isinstance(fallback, list) and "signed_curve25519" not in fallback,
    )


def _events(value: object) -> list[Mapping[str, Any]]:
    return [event for event in value if isinstance(event, dict)] if isinstance(value, list) else []


def _strings(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
