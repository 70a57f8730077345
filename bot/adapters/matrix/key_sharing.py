"""Giving a Megolm session to devices: claim one-time keys, encrypt for each, send, and tell exactly who has it."""

import asyncio
import secrets as random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.devices import MEGOLM, KnownDevice
from bot.adapters.matrix.http import HomeserverApi, path
from bot.adapters.matrix.machine import Machine, OneTimeKey
from bot.adapters.matrix.settings import Timeouts
from bot.domain.errors import ExternalError, Permanent
from bot.domain.ids import DeviceId, RoomId, UserId
from bot.services.ports import Clock, Counters, WithoutKey

Address = tuple[UserId, DeviceId]
"""A device: nio compares device ids alone, and so never serves anyone whose device has the bot's device id."""

DEVICES_A_REQUEST = 100
REQUESTS_AT_ONCE = 3
TRIES = 3
LONGEST_WAIT = 5.0

UNVERIFIED = {"code": "m.unverified", "reason": "This device is not verified by its owner."}
UNAUTHORISED = {"code": "m.unauthorised", "reason": "This message is not for this device."}
WITHHELD = {WithoutKey.UNSIGNED_DEVICE: UNVERIFIED, WithoutKey.NO_IDENTITY: UNVERIFIED}


def address(device: KnownDevice) -> Address:
    """Return the pair that names a device."""
    return device.user_id, device.device_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Who was given the key, and why the others were not."""

    given: frozenset[Address]
    failed: Mapping[Address, WithoutKey]


class KeySharing:
    """Hands out room keys; whatever fails is reported, never counted as done."""

    def __init__(
        self, api: HomeserverApi, crypto: Crypto, *, counters: Counters, clock: Clock, timeouts: Timeouts
    ) -> None:
        self._api = api
        self._crypto = crypto
        self._counters = counters
        self._clock = clock
        self._timeouts = timeouts
        self._not_before: dict[Address, datetime] = {}

    async def share(
        self,
        room_id: RoomId,
        session_id: str,
        owed: Mapping[Address, tuple[KnownDevice, str]],
        *,
        refused: Mapping[Address, tuple[KnownDevice, WithoutKey]],
    ) -> Shared:
        """Give each device in *owed* its session key; tell each in *refused* that it gets none."""
        failed = await self.start_sessions([device for device, _ in owed.values()])

        def encrypt(machine: Machine) -> dict[Address, dict[str, Any]]:
            encrypted: dict[Address, dict[str, Any]] = {}
            for who, (device, session_key) in owed.items():
                content = {
                    "algorithm": MEGOLM,
                    "room_id": room_id,
                    "session_id": session_id,
                    "session_key": session_key,
                }
                message = machine.encrypt_to_device(device, "m.room_key", content)
                if message is not None:
                    encrypted[who] = message
            return encrypted

        messages = await self._crypto.do(encrypt) if owed else {}
        lists = [list(messages.items())[start : start + DEVICES_A_REQUEST] for start in _starts(len(messages))]
        results = await asyncio.gather(*(self._deliver("m.room.encrypted", part) for part in lists))
        given = frozenset(who for part, arrived in zip(lists, results, strict=True) if arrived for who, _ in part)
        await self._tell(room_id, session_id, refused)
        return Shared(
            given=given,
            failed={who: failed.get(who, WithoutKey.SHARE_FAILED) for who in owed if who not in given},
        )

    async def start_sessions(
        self, devices: Iterable[KnownDevice], *, always: bool = False
    ) -> Mapping[Address, WithoutKey]:
        """Start Olm sessions where there are none (with *always*: new ones everywhere); return those that failed.

        A device whose server did not answer is left alone for a while, so that it does not slow down every message.
        """
        now = self._clock.now()
        wanted = list(devices)
        if not always and wanted:
            wanted = await self._crypto.do(lambda machine: machine.without_session(wanted))
        failed = {
            address(device): WithoutKey.SHARE_FAILED
            for device in wanted
            if self._not_before.get(address(device), now) > now
        }
        asked = {address(device): device for device in wanted if address(device) not in failed}
        if not asked:
            return failed
        body: dict[str, dict[str, str]] = {}
        for user_id, device_id in asked:
            body.setdefault(user_id, {})[device_id] = "signed_curve25519"
        try:
            answer = await self._api.post_patiently(
                path("keys", "claim"),
                {"one_time_keys": body, "timeout": int(self._timeouts.key_claim * 500)},
                seconds=self._timeouts.key_claim,
            )
        except ExternalError:
            self._counters.count("matrix_key_claim_failed")
            later = now + timedelta(seconds=self._timeouts.share_again)
            self._not_before |= dict.fromkeys(asked, later)
            return failed | dict.fromkeys(asked, WithoutKey.SHARE_FAILED)
        for who in asked:
            self._not_before.pop(who, None)
        claimed = list(_claimed(answer, asked))
        started = await self._crypto.do(lambda machine: machine.start_sessions(claimed))
        have = {address(device) for device in started}
        return failed | {who: WithoutKey.NO_ONE_TIME_KEY for who in asked if who not in have}

    async def send_encrypted(self, device: KnownDevice, event_type: str, content: Mapping[str, Any]) -> bool:
        """Send one encrypted to-device message; return whether it went out."""
        message = await self._crypto.do(lambda machine: machine.encrypt_to_device(device, event_type, content))
        return message is not None and await self._deliver("m.room.encrypted", [(address(device), message)])

    async def _tell(
        self, room_id: RoomId, session_id: str, refused: Mapping[Address, tuple[KnownDevice, WithoutKey]]
    ) -> None:
        """Tell devices that they get no key, so that their app can say why; nothing depends on it."""
        if not refused:
            return
        content = {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": session_id,
            "sender_key": self._crypto.curve25519,
        }
        messages = [(who, content | WITHHELD.get(reason, UNAUTHORISED)) for who, (_, reason) in refused.items()]
        await self._deliver("m.room_key.withheld", messages, tries=1)

    async def _deliver(
        self, event_type: str, messages: list[tuple[Address, dict[str, Any]]], *, tries: int = TRIES
    ) -> bool:
        """Send one batch; the same transaction id at each try, so that nothing arrives twice."""
        body: dict[str, dict[str, Any]] = {}
        for (user_id, device_id), content in messages:
            body.setdefault(user_id, {})[device_id] = content
        where = path("sendToDevice", event_type, random.token_hex(16))
        for attempt in range(tries):
            try:
                await self._api.put(where, {"messages": body}, seconds=self._timeouts.share)
            except Permanent:
                break
            except ExternalError as error:
                if attempt + 1 < tries:
                    wait = error.retry_after if error.retry_after is not None else self._timeouts.backoff_first
                    await asyncio.sleep(min(wait * 2**attempt, LONGEST_WAIT))
            else:
                return True
        self._counters.count("matrix_share_failed")
        return False


def _starts(count: int) -> range:
    return range(0, count, DEVICES_A_REQUEST)


def _claimed(answer: Mapping[str, Any], asked: Mapping[Address, KnownDevice]) -> Iterable[OneTimeKey]:
    keys = answer.get("one_time_keys")
    for (user_id, device_id), device in asked.items():
        of_user = keys.get(user_id) if isinstance(keys, dict) else None
        of_device = of_user.get(device_id) if isinstance(of_user, dict) else None
        if not isinstance(of_device, dict):
            continue
        key = next((value for name, value in of_device.items() if name.startswith("signed_curve25519:")), None)
        if isinstance(key, dict):
            yield OneTimeKey(device=device, key=key)
