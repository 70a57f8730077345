"""A client made by hand on vodozemac, which can send what no honest client sends."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import vodozemac
from unpaddedbase64 import encode_base64

from bot.lab.homeserver import Account, Homeserver

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
CLIENT = "/_matrix/client/v3"
WAIT_SECONDS = 20


class HandmadeClient:
    """One device of one account; nothing is checked before it is sent."""

    def __init__(self, homeserver: Homeserver, account: Account, device_id: str | None = None) -> None:
        self.homeserver = homeserver
        self.account = account
        self.user_id = account.user_id
        self.device_id = device_id or account.device_id
        self.olm = vodozemac.Account()
        self.group = vodozemac.GroupSession()
        self._session: vodozemac.Session | None = None
        self._their: Mapping[str, str] = {}
        self._first_key = ""
        self._since = ""
        self._came: list[Mapping[str, Any]] = []

    @property
    def curve25519(self) -> str:
        """The identity key."""
        return self.olm.curve25519_key.to_base64()

    @property
    def ed25519(self) -> str:
        """The fingerprint key."""
        return self.olm.ed25519_key.to_base64()

    async def call(self, method: str, path: str, body: object | None = None) -> dict[str, Any]:
        """Make one request with this account's token; *path* without the client API's prefix."""
        return await self.homeserver.call(method, CLIENT + path, body=body, token=self.account)

    async def upload_keys(self, *, one_time_keys: int = 5) -> None:
        """Publish this device."""
        keys = {f"curve25519:{self.device_id}": self.curve25519, f"ed25519:{self.device_id}": self.ed25519}
        device = {
            "user_id": self.user_id, "device_id": self.device_id, "algorithms": [OLM, MEGOLM], "keys": keys,
        }  # fmt: skip
        body: dict[str, Any] = {"device_keys": self.signed(device)}
        if one_time_keys:
            self.olm.generate_one_time_keys(one_time_keys)
            body["one_time_keys"] = {
                f"signed_curve25519:{key_id}": self.signed({"key": key.to_base64()})
                for key_id, key in self.olm.one_time_keys.items()
            }
        await self.call("POST", "/keys/upload", body)
        self.olm.mark_keys_as_published()

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        """Sign *value* with this device."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        signature = self.olm.sign(text.encode()).to_base64()
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    async def to_device(self, event_type: str = "m.room.encrypted") -> list[Mapping[str, Any]]:
        """Return the to-device messages of one type that came for this device so far."""
        since = f"&since={self._since}" if self._since else ""
        answer = await self.call("GET", f"/sync?timeout=1000{since}")
        self._since = str(answer["next_batch"])
        self._came += answer.get("to_device", {}).get("events", [])
        return [entry for entry in self._came if entry["type"] == event_type]

    async def wait_to_device(self, count: int, event_type: str = "m.room.encrypted") -> list[Mapping[str, Any]]:
        """Wait until at least *count* of them are there."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(found := await self.to_device(event_type)) < count:
                pass
        return found

    # -- Olm -------------------------------------------------------------------------------------------------------

    async def meet(self, user_id: str) -> None:
        """Claim a one-time key of the person's only device and start an Olm session with it."""
        queried = await self.call("POST", "/keys/query", {"device_keys": {user_id: []}})
        ((device_id, device),) = queried["device_keys"][user_id].items()
        body = {"one_time_keys": {user_id: {device_id: "signed_curve25519"}}}
        claimed = await self.call("POST", "/keys/claim", body)
        (key,) = claimed["one_time_keys"][user_id][device_id].values()
        self._their = {
            "user_id": user_id,
            "device_id": device_id,
            "curve25519": device["keys"][f"curve25519:{device_id}"],
            "ed25519": device["keys"][f"ed25519:{device_id}"],
        }
        self._session = self.olm.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(self._their["curve25519"]),
            vodozemac.Curve25519PublicKey.from_base64(key["key"]),
        )

    def meet_by_a_key_that_nobody_has(self) -> None:
        """Start an Olm session with a one-time key that the other device lost, or never had."""
        self._session = self.olm.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(self._their["curve25519"]),
            vodozemac.Curve25519SecretKey().public_key(),
        )

    async def send_olm(self, text: bytes) -> None:
        """Send *text*, whatever it is, in the Olm session."""
        assert self._session is not None
        kind, body = self._session.encrypt(text).to_parts()
        await self.send_olm_message({"type": kind, "body": encode_base64(body)})

    async def send_olm_message(self, message: object) -> None:
        """Send something as the Olm ciphertext for the device that was met."""
        content = {
            "algorithm": OLM,
            "sender_key": self.curve25519,
            "ciphertext": {self._their["curve25519"]: message},
        }
        await self.send_to_device("m.room.encrypted", content)

    async def send_to_device(self, event_type: str, content: object) -> None:
        """Send a to-device message to the device that was met."""
        where = f"/sendToDevice/{event_type}/{secrets.token_hex(8)}"
        messages = {self._their["user_id"]: {self._their["device_id"]: content}}
        await self.call("PUT", where, {"messages": messages})

    async def send_to_device_text(self, event_type: str, content: str) -> None:
        """Send a to-device message whose JSON is written by hand, if the homeserver takes it."""
        where = f"{CLIENT}/sendToDevice/{event_type}/{secrets.token_hex(8)}"
        user_id, device_id = self._their["user_id"], self._their["device_id"]
        body = f'{{"messages":{{"{user_id}":{{"{device_id}":{content}}}}}}}'
        headers = {"Authorization": f"Bearer {self.account.access_token}"}
        async with aiohttp.ClientSession() as session:
            await session.put(self.homeserver.url + where, data=body, headers=headers)

    def olm_payload(self, event_type: str, content: object, **instead: Any) -> bytes:
        """Return a good Olm payload, with parts of it replaced by *instead*."""
        payload = {
            "sender": self.user_id,
            "sender_device": self.device_id,
            "keys": {"ed25519": self.ed25519},
            "recipient": self._their["user_id"],
            "recipient_keys": {"ed25519": self._their["ed25519"]},
            "type": event_type,
            "content": content,
        }
        return json.dumps(payload | instead).encode()

    # -- Megolm ----------------------------------------------------------------------------------------------------

    def room_key(self, room_id: str, **instead: Any) -> dict[str, Any]:
        """Return the content of an `m.room_key` for the present session."""
        content = {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": self.group.session_id,
            "session_key": self.group.session_key.to_base64(),
        }
        return content | instead

    def renew_session(self) -> None:
        """Start a new Megolm session, and keep its key from the first message on."""
        self.group = vodozemac.GroupSession()
        self._first_key = self.group.session_key.to_base64()

    async def share_from_start(self, room_id: str) -> None:
        """Give the Megolm session as it was at its first message."""
        content = self.room_key(room_id, session_key=self._first_key)
        await self.send_olm(self.olm_payload("m.room_key", content))

    async def share(self, room_id: str) -> None:
        """Give the present Megolm session to the device that was met."""
        await self.send_olm(self.olm_payload("m.room_key", self.room_key(room_id)))

    def megolm(self, text: bytes, **instead: Any) -> dict[str, Any]:
        """Encrypt *text*, whatever it is, as a room event's content."""
        content = {
            "algorithm": MEGOLM,
            "sender_key": self.curve25519,
            "device_id": self.device_id,
            "session_id": self.group.session_id,
            "ciphertext": self.group.encrypt(text).to_base64(),
        }
        return content | instead

    def message(self, room_id: str, body: str, **more: Any) -> dict[str, Any]:
        """Encrypt a text message as a room event's content."""
        payload = {
            "room_id": room_id,
            "type": "m.room.message",
            "content": {"msgtype": "m.text", "body": body, **more},
        }
        return self.megolm(json.dumps(payload).encode())

    async def send_event(self, room_id: str, content: object, event_type: str = "m.room.encrypted") -> str:
        """Send a room event and return its id."""
        where = f"/rooms/{quote(room_id)}/send/{event_type}/{secrets.token_hex(8)}"
        return str((await self.call("PUT", where, content))["event_id"])

    async def open_room(self, user_id: str) -> str:
        """Make an encrypted room and invite *user_id*."""
        answer = await self.call(
            "POST",
            "/createRoom",
            {
                "preset": "private_chat",
                "is_direct": True,
                "invite": [user_id],
                "initial_state": [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}}],
            },
        )
        return str(answer["room_id"])

    async def accept(self, room_id: str) -> None:
        """Join a room."""
        await self.call("POST", f"/rooms/{quote(room_id)}/join", {})
