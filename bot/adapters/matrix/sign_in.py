"""Signing in once, on one device, and refusing to start when the homeserver's view is another one."""

import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from bot.adapters.matrix.http import HomeserverApi, Refused, SignedOut, path
from bot.adapters.matrix.settings import Password, SignIn, Token
from bot.domain.errors import StartRefused
from bot.domain.ids import DeviceId, UserId
from bot.services.ports import Secrets

SESSION = "matrix.session"
DISPLAY_NAME = "Consilium"


def signed_out() -> StartRefused:
    """Say that the homeserver no longer knows the token."""
    return StartRefused(
        "token_revoked",
        "The homeserver no longer accepts the bot's token: its device was signed out or deleted. See docs/matrix.md, "
        "“The bot was signed out”.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSession:
    """What is kept of a sign-in; the token is None between choosing the device id and the server's answer."""

    user_id: UserId
    device_id: DeviceId
    token: str | None = field(repr=False)

    def dump(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"user_id": self.user_id, "device_id": self.device_id, "token": self.token}).encode()

    @classmethod
    def load(cls, saved: bytes) -> "SavedSession":
        """Read what `dump` wrote."""
        entry = json.loads(saved)
        return cls(user_id=UserId(entry["user_id"]), device_id=DeviceId(entry["device_id"]), token=entry["token"])


async def sign_in(api: HomeserverApi, *, user_id: UserId, how: SignIn, secrets: Secrets, is_fresh: bool) -> DeviceId:
    """Sign in, or go on with the saved token; return the device id, with the token set on *api*.

    *is_fresh*: there is no key store. Then, and only then, another device than before may be signed in: an operator who
    moved the folder aside wants a new beginning.

    Raises:
        StartRefused: "other_account", "device_changed", "token_revoked", "wrong_password".
        ExternalError: the homeserver does not answer.
    """
    kept = secrets.load(SESSION)
    saved = None if kept is None else SavedSession.load(kept)
    if saved is not None and saved.user_id != user_id:
        raise StartRefused(
            "other_account",
            f"The Matrix folder belongs to {saved.user_id}, the configuration names {user_id}. Use another folder for "
            "another account.",
        )
    match how:
        case Token(token=token, device_id=device_id):
            if saved is not None and saved.device_id != device_id and not is_fresh:
                raise _other_device_id(saved.device_id, device_id)
            session = SavedSession(user_id=user_id, device_id=device_id, token=token)
            await _check_token(api, session)
        case Password(password=password):
            session = await _with_password(api, saved, user_id, password, secrets, is_fresh=is_fresh)
        case _:
            assert_never(how)
    secrets.save(SESSION, session.dump())
    return session.device_id


async def _with_password(
    api: HomeserverApi,
    saved: SavedSession | None,
    user_id: UserId,
    password: str,
    secrets: Secrets,
    *,
    is_fresh: bool,
) -> SavedSession:
    if saved is not None and saved.token is not None:
        try:
            await _check_token(api, saved)
        except StartRefused as refused:
            if refused.code != "token_revoked" or not is_fresh:
                raise
            saved = None
        else:
            return saved
    session = saved or SavedSession(user_id=user_id, device_id=_a_device_id(), token=None)
    # The device id is saved first: a crash before the answer must not leave a second device behind.
    secrets.save(SESSION, session.dump())
    signed_in = await _log_in(api, session, password)
    await _check_token(api, signed_in)
    return signed_in


async def _log_in(api: HomeserverApi, session: SavedSession, password: str) -> SavedSession:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": session.user_id},
        "password": password,
        "device_id": session.device_id,
        "initial_device_display_name": DISPLAY_NAME,
    }
    try:
        answer = await api.post(path("login"), body)
    except Refused as error:
        raise StartRefused(
            "wrong_password",
            f"The homeserver refused the bot's sign-in ({error.errcode or error.status}). Check user and password, or "
            "use a token where password sign-in is off.",
        ) from None
    return SavedSession(user_id=session.user_id, device_id=session.device_id, token=str(answer["access_token"]))


async def _check_token(api: HomeserverApi, session: SavedSession) -> None:
    """Ask whose token it is, and use it from now on."""
    api.token = session.token
    try:
        who = await api.get(path("account", "whoami"))
    except SignedOut:
        api.token = None
        raise signed_out() from None
    if who.get("user_id") != session.user_id:
        raise StartRefused("other_account", f"The token is not one of {session.user_id}. Give the bot's own token.")
    if who.get("device_id") != session.device_id:
        raise _other_device_id(session.device_id, who.get("device_id"))


def _other_device_id(wanted: str, given: object) -> StartRefused:
    return StartRefused(
        "device_changed", f"The token belongs to the device {given}, not to {wanted}. Give a token for {wanted}."
    )


async def check_only_device(api: HomeserverApi, device_id: DeviceId) -> None:
    """Check that the account has this device and no other.

    Raises:
        StartRefused: "other_device", "token_revoked".
    """
    answer = await api.get(path("devices"))
    others = [entry for entry in answer.get("devices", []) if entry.get("device_id") != device_id]
    if others:
        raise StartRefused(
            "other_device",
            f"The bot's account has {len(others)} other device(s), which could read what the bot reads. Sign them out, "
            "change the password if nobody knows them, then start again.",
        )


async def check_own_keys(
    api: HomeserverApi, *, user_id: UserId, device_id: DeviceId, curve25519: str, ed25519: str, is_new: bool
) -> bool:
    """Compare the homeserver's keys of this device with the store's; return whether it has them at all.

    Raises:
        StartRefused: "store_lost": the server knows keys that the store has not, "keys_changed": it knows other ones,
            "keys_lost": the store uploaded keys that the server no longer has.
    """
    answer = await api.post(path("keys", "query"), {"device_keys": {user_id: [device_id]}})
    entry: Mapping[str, Any] | None = answer.get("device_keys", {}).get(user_id, {}).get(device_id)
    if entry is None:
        return False
    keys = entry.get("keys", {})
    if keys.get(f"ed25519:{device_id}") == ed25519 and keys.get(f"curve25519:{device_id}") == curve25519:
        return True
    code = "store_lost" if is_new else "keys_changed"
    raise StartRefused(
        code,
        "The homeserver knows other keys for the bot's device than the key store. Restore the Matrix folder from the "
        "newest backup, or sign in anew: see docs/matrix.md, “The key store is lost”.",
    )


def _a_device_id() -> DeviceId:
    """Return a random device id: with a fixed one, people with a device of that name would get no keys from nio."""
    return DeviceId("".join(random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(10)))
