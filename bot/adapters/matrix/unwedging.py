"""Olm sessions that broke: a new one is started, and what was lost on the way is given again.

nio unwedges only devices that it happens to know, and never gives a room key again to a device that lost it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.adapters.matrix.devices import Directory, KnownDevice
from bot.adapters.matrix.key_sharing import Address, KeySharing, address
from bot.domain.errors import ExternalError
from bot.domain.ids import UserId
from bot.services.ports import Clock, Counters

ONCE_IN = timedelta(hours=1)
"""A broken device is answered once an hour: two broken ones would otherwise answer each other for ever."""

MOST_SUSPECTS = 100


class Unwedging:
    """Keeps the devices whose Olm messages could not be read."""

    def __init__(
        self,
        directory: Directory,
        sharing: KeySharing,
        *,
        counters: Counters,
        clock: Clock,
        on_renewed: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._sharing = sharing
        self._counters = counters
        self._clock = clock
        self._on_renewed = on_renewed
        self._suspects: dict[Address, KnownDevice] = {}
        self._answered: dict[Address, datetime] = {}

    def renewed(self, curve25519: str) -> None:
        """A device started a new session: it may not have got what came by the old one."""
        self._on_renewed(curve25519)

    def suspect(self, message: Mapping[str, Any]) -> None:
        """Note the device behind an unreadable Olm message, if it is one of a person we know; strangers get nothing."""
        sender, content = message.get("sender"), message.get("content")
        if not isinstance(sender, str) or not isinstance(content, dict) or len(self._suspects) >= MOST_SUSPECTS:
            return
        person = self._directory.known(UserId(sender))
        if person is None:
            return
        for device in person.devices.values():
            if device.curve25519 == content.get("sender_key") and self._may_answer(address(device)):
                self._suspects[address(device)] = device

    async def answer(self) -> None:
        """Start a new session with each suspect and say so with an `m.dummy`; a failure is tried in an hour."""
        suspects, self._suspects = self._suspects, {}
        if not suspects:
            return
        self._answered |= dict.fromkeys(suspects, self._clock.now())
        failed = await self._sharing.start_sessions(suspects.values(), always=True)
        for who, device in suspects.items():
            if who in failed:
                continue
            try:
                await self._sharing.send_encrypted(device, "m.dummy", {})
                self._counters.count("matrix_unwedged")
            except ExternalError:
                self._counters.count("matrix_share_failed")

    def _may_answer(self, who: Address) -> bool:
        last = self._answered.get(who)
        return last is None or self._clock.now() - last >= ONCE_IN
