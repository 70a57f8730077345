"""One person's encrypted client: what it does, and what it has seen so far."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bot.lab.homeserver import Account
from bot.lab.message import Identity, Message, ToDevice
from bot.lab.seen import NotSeen, Seen

if TYPE_CHECKING:
    from bot.lab.clients import Clients

WAIT_SECONDS = 30.0
FILE_SECONDS = 600.0


class Person:
    """One signed-in device of one account; made by `Clients.login`.

    Waiting never races: everything that was seen stays in one list; `wait_for` and `wait_kind` return the first entry
    of it that fits and that they did not return before, and wait for one if there is none. `since=person.mark()`
    leaves out what was seen before the mark.
    """

    def __init__(self, clients: "Clients", account: Account, name: str, isolation: Literal["exclude", "all"]) -> None:
        """Use `Clients.login`."""
        self.account = account
        self.isolation: Literal["exclude", "all"] = isolation
        self.recovery_key: str | None = None
        self.clients = clients
        self._name = name
        self._seen = Seen(name, account.user_id)

    @property
    def user_id(self) -> str:
        """Return the Matrix id."""
        return self.account.user_id

    @property
    def device_id(self) -> str:
        """Return the device's id."""
        return self.account.device_id

    # Rooms

    async def create_dm(self, user_id: str, *, fresh: bool = False) -> str:
        """Return an encrypted direct chat with *user_id*: the one there is unless *fresh*, else made like Element's."""
        return await self._text("create_dm", user=user_id, fresh=fresh, encrypted=True)

    async def create_plain_dm(self, user_id: str) -> str:
        """Make a direct chat without encryption and return its id."""
        return await self._text("create_dm", user=user_id, fresh=True, encrypted=False)

    async def create_room(
        self,
        *invite: str,
        encrypted: bool = True,
        name: str | None = None,
        history_visibility: str | None = None,
        version: str | None = None,
    ) -> str:
        """Make a private room with these people invited and return its id."""
        return await self._text(
            "create_room",
            invite=list(invite),
            encrypted=encrypted,
            name=name,
            history_visibility=history_visibility,
            version=version,
        )

    def invites(self) -> Mapping[str, str]:
        """Return the rooms this person is invited to, each with who invited."""
        return self._seen.invites()

    async def wait_invite(self, sender: str | None = None, *, timeout: float = WAIT_SECONDS) -> str:
        """Return the id of a room this person is invited to (by *sender*), waiting for the invitation."""
        async with self._seen.watch(timeout, f"an invitation from {sender or 'anyone'}", None) as changed:
            while True:
                for room, by in self.invites().items():
                    if sender in (None, by):
                        return room
                await changed()

    async def accept(self, room: str) -> None:
        """Join the room and return when the client has it."""
        await self._call("join", room=room)

    async def invite(self, room: str, user_id: str) -> None:
        """Invite *user_id*."""
        await self._call("invite", room=room, user=user_id)

    async def leave(self, room: str) -> None:
        """Leave the room, or reject its invitation."""
        await self._call("leave", room=room)

    async def members(self, room: str) -> Mapping[str, str]:
        """Return the membership (`join`, `invite`, `leave`, `ban`) of everyone the client knows in the room."""
        return dict(await self._call("members", room=room))

    async def wait_member(
        self, room: str, user_id: str, membership: str = "join", *, timeout: float = WAIT_SECONDS
    ) -> None:
        """Wait until this client sees *user_id* (oneself too) with that membership."""
        async with self._seen.watch(timeout, f"{user_id} to be {membership}", room) as changed:
            while self._seen.membership(room, user_id) != membership:
                await changed()

    # Sending

    async def send(
        self,
        room: str,
        text: str,
        *,
        reply_to: str | None = None,
        edit_of: str | None = None,
        msgtype: str = "m.text",
    ) -> str:
        """Send an encrypted text and return its event id; refused (`NOT_ENCRYPTED`) in a room without encryption."""
        return await self._text("send", room=room, text=text, reply_to=reply_to, edit_of=edit_of, msgtype=msgtype)

    async def send_file(
        self,
        room: str,
        file: Path | bytes,
        name: str,
        mimetype: str,
        *,
        msgtype: Literal["m.file", "m.image", "m.video", "m.audio"] = "m.file",
        encrypted: bool = True,
    ) -> str:
        """Encrypt and upload a file, send it, return the event id; *encrypted* False sends file and event in clear."""
        path = await asyncio.to_thread(self._as_file, file)
        try:
            return await self._text(
                "send_file",
                seconds=FILE_SECONDS,
                room=room,
                path=str(path),
                name=name,
                mimetype=mimetype,
                msgtype=msgtype,
                encrypted=encrypted,
            )
        finally:
            if isinstance(file, bytes):
                await asyncio.to_thread(path.unlink)

    async def send_plain(self, room: str, text: str) -> str:
        """Send a text in clear, in any room, and return its event id."""
        return await self.send_plain_raw(room, "m.room.message", {"msgtype": "m.text", "body": text})

    async def send_plain_raw(self, room: str, type_: str, content: Mapping[str, object]) -> str:
        """Send any event in clear, in any room, and return its event id."""
        return await self._text("send_plain", room=room, type=type_, content=dict(content))

    async def send_raw(self, room: str, type_: str, content: Mapping[str, object]) -> str:
        """Send any event, encrypted, and return its event id."""
        return await self._text("send_raw", room=room, type=type_, content=dict(content))

    async def vote(self, room: str, poll_event_id: str, *answer_ids: str) -> str:
        """Vote in a poll as Element does (MSC3381, unstable names) and return the event id."""
        return await self._text("vote", room=room, poll=poll_event_id, answers=list(answer_ids))

    async def tap(self, poll: Message, answer_text: str) -> str:
        """Vote for the answer of *poll* that reads *answer_text* and return the event id."""
        answers = poll.poll.answers if poll.poll else {}
        ids = [id_ for id_, text in answers.items() if text == answer_text]
        if len(ids) != 1:
            raise NotSeen(f"{len(ids)} of the {len(answers)} answers of {poll.event_id} read so")
        return await self.vote(poll.room_id, poll.event_id, ids[0])

    async def redact(self, room: str, event_id: str, *, reason: str | None = None) -> str:
        """Redact an event and return the redaction's event id."""
        return await self._text("redact", room=room, event=event_id, reason=reason)

    async def to_device_raw(self, user_id: str, device_id: str, type_: str, content: Mapping[str, object]) -> None:
        """Send a to-device message in clear; *device_id* `*` is all devices."""
        await self._call("to_device", user=user_id, device=device_id, type=type_, content=dict(content))

    # Reading

    def mark(self) -> int:
        """Return a mark for `since`: what is seen from now on."""
        return len(self._seen.log)

    def messages(self, room: str) -> list[Message]:
        """Return the room's messages (no state) in their order, each in its latest form."""
        return [event for event in self.events(room) if event.state_key is None]

    def events(self, room: str) -> list[Message]:
        """Return all events of the room's timeline, state included, in their order, each in its latest form."""
        return self._seen.events(room)

    def message(self, event_id: str) -> Message | None:
        """Return one event in its latest form, None if it was not seen."""
        return self._seen.latest.get(event_id)

    async def wait_for(
        self,
        room: str | None,
        predicate: Callable[[Message], bool],
        *,
        timeout: float = WAIT_SECONDS,
        since: int = 0,
        what: str = "a message",
    ) -> Message:
        """Return the first message (of *room*, or of any) that fits and was not returned before, waiting for it.

        Raises:
            NotSeen: it did not come in time.
        """
        async with self._seen.watch(timeout, what, room) as changed:
            while (message := self._seen.take(room, predicate, since)) is None:
                await changed()
            return message

    async def wait_kind(
        self, room: str | None, kind: str, *, timeout: float = WAIT_SECONDS, since: int = 0, **fields: object
    ) -> Message:
        """Return the first message not returned before whose `org.consilium` has this kind and these fields.

        Raises:
            NotSeen: it did not come in time.
        """

        def fits(message: Message) -> bool:
            return message.kind == kind and all(message.data.get(name) == value for name, value in fields.items())

        wanted = ", ".join([f"kind={kind}", *(f"{name}={value!r}" for name, value in fields.items())])
        return await self.wait_for(room, fits, timeout=timeout, since=since, what=wanted)

    async def wait_event(self, event_id: str, *, timeout: float = WAIT_SECONDS, readable: bool = True) -> Message:
        """Return this event in its latest form as soon as it is seen (decrypted, if *readable*); may be asked again."""
        async with self._seen.watch(timeout, f"event {event_id}{' readable' if readable else ''}", None) as changed:
            while True:
                message = self._seen.latest.get(event_id)
                if message is not None and not (readable and message.decryption_failure):
                    return message
                await changed()

    async def wait_to_device(self, type_: str, *, timeout: float = WAIT_SECONDS, since: int = 0) -> ToDevice:
        """Return the first to-device message of this type from position *since*, waiting for it."""
        async with self._seen.watch(timeout, f"to-device {type_}", None) as changed:
            while True:
                for message in self._seen.to_device[since:]:
                    if message.type == type_:
                        return message
                await changed()

    async def load_history(self, room: str, limit: int = 100) -> None:
        """Fetch older events of the room, as scrolling up does; they stand before the others in `messages`."""
        await self._call("history", room=room, limit=limit)

    async def export_keys(self) -> str:
        """Return the room keys this client has, as JSON."""
        return await self._text("export_keys")

    async def import_keys(self, keys: str) -> None:
        """Take in room keys of another client: what they open appears again, decrypted."""
        await self._call("import_keys", keys=keys)

    async def download(self, content: Mapping[str, Any]) -> bytes:
        """Return the file of a message's content, decrypted and its hash checked.

        Raises:
            ClientFailed: not there, or the hash is wrong.
        """
        path = Path(
            await self._text("download", seconds=FILE_SECONDS, content=dict(content), folder=str(self.clients.folder))
        )
        try:
            return await asyncio.to_thread(path.read_bytes)
        finally:
            await asyncio.to_thread(path.unlink)

    # Identity

    async def identity(self) -> str | None:
        """Return the public master key (unpadded base64) of this person's identity, None without one."""
        key: str | None = await self._call("identity")
        return key

    async def identity_of(self, user_id: str) -> Identity:
        """Return what this client knows of another person's identity and devices."""
        told = await self._call("identity_of", user=user_id)
        return Identity(
            known=told["known"],
            verified=told["verified"],
            needs_approval=told["needs_approval"],
            devices=frozenset(told["devices"]),
            signed_devices=frozenset(told["signed"]),
        )

    async def wait_identity(
        self,
        user_id: str,
        predicate: Callable[[Identity], bool],
        *,
        timeout: float = WAIT_SECONDS,
        what: str = "a change",
    ) -> Identity:
        """Return what this client knows of another person as soon as that fits.

        After `new_device` wait on the senders for the signed device: whoever still knows it unsigned gives it no key.
        """
        async with self._seen.watch(timeout, f"{what} of {user_id}", None) as changed:
            while not predicate(identity := await self.identity_of(user_id)):
                await changed()
            return identity

    async def reset_identity(self) -> str:
        """Replace the identity by a new one (the device is signed by it) and return its public master key."""
        answer = await self._call("reset_identity")
        self.recovery_key = answer["recovery_key"]
        return str(answer["master"])

    async def new_device(self, *, cross_sign: bool = True, auto_accept: bool = False) -> "Person":
        """Sign in on another device of the account, signed by the same identity unless *cross_sign* is False."""
        new = await self._call("sign_in")
        account = replace(self.account, access_token=new["access_token"], device_id=new["device_id"])
        return await self.clients.login(
            account,
            cross_sign=cross_sign,
            auto_accept=auto_accept,
            recovery_key=self.recovery_key if cross_sign else None,
        )

    async def close(self) -> None:
        """Stop syncing; the account and its device stay."""
        await self._call("close")

    def hear(self, told: Mapping[str, Any]) -> None:
        """Take in one event that Node pushed for this person."""
        self._seen.hear(told)

    def crash(self, error: Exception) -> None:
        """Let every waiter fail: there will be no more events."""
        self._seen.crash(error)

    def _as_file(self, file: Path | bytes) -> Path:
        if isinstance(file, Path):
            return file.resolve()
        handle, path = tempfile.mkstemp(dir=self.clients.folder)
        with os.fdopen(handle, "wb") as target:
            target.write(file)
        return Path(path)

    async def _call(self, operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        return await self.clients.call(operation, person=self._name, **arguments)

    async def _text(self, operation: str, **arguments: Any) -> str:  # noqa: ANN401 - JSON
        return str(await self._call(operation, **arguments))
