"""Answers to "Verify" on the bot: declined at once, so that nobody waits before a screen that hangs.

nio does not know `m.key.verification.request`. The bot never confirms emoji that no person compared. A request in a
room is a message of that room and reaches the services; the ones answered here come from device to device.
"""

import secrets as random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.adapters.matrix.http import HomeserverApi, path
from bot.domain.errors import ExternalError
from bot.services.ports import Clock, Counters

REQUEST = "m.key.verification.request"
CANCEL = "m.key.verification.cancel"
REASON = "This account is a program: nobody compares emoji there. Compare its fingerprint with your hospital's instead."
ONCE_IN = timedelta(seconds=10)
MOST_WAITING = 50


class Declining:
    """Keeps the requests that came and answers each; one device at most once in ten seconds."""

    def __init__(self, api: HomeserverApi, *, counters: Counters, clock: Clock) -> None:
        self._api = api
        self._counters = counters
        self._clock = clock
        self._waiting: dict[tuple[str, str], str] = {}
        self._answered: dict[tuple[str, str], datetime] = {}

    def note(self, message: Mapping[str, Any]) -> None:
        """Keep a to-device message, if it is a request that can be answered."""
        sender, content = message.get("sender"), message.get("content")
        if message.get("type") != REQUEST or not isinstance(sender, str) or not isinstance(content, dict):
            return
        device_id, transaction = content.get("from_device"), content.get("transaction_id")
        if not isinstance(device_id, str) or not isinstance(transaction, str):
            return
        now = self._clock.now()
        self._answered = {who: at for who, at in self._answered.items() if now - at < ONCE_IN}
        if len(self._waiting) < MOST_WAITING and (sender, device_id) not in self._answered:
            self._waiting[(sender, device_id)] = transaction

    async def answer(self) -> None:
        """Decline what waits; an answer that cannot be delivered is not worth a second try."""
        waiting, self._waiting = self._waiting, {}
        self._answered |= dict.fromkeys(waiting, self._clock.now())
        for (user_id, device_id), transaction in waiting.items():
            content = {"transaction_id": transaction, "code": "m.user", "reason": REASON}
            body = {"messages": {user_id: {device_id: content}}}
            try:
                await self._api.put(path("sendToDevice", CANCEL, random.token_hex(16)), body)
                self._counters.count("matrix_verification_declined")
            except ExternalError:
                self._counters.count("matrix_share_failed")
