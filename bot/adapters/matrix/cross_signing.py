"""The bot's own cross-signing identity: made once, checked at every start, never replaced silently.

nio has no cross-signing. Without it a client that excludes insecure devices neither reads the bot nor is read by it.
python-olm's PkSigning signs; the steps are those of the specification (client-server API, "Cross-signing").
"""

import secrets as random
from collections.abc import Mapping
from typing import Any

import olm.pk

from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.http import HomeserverApi, Refused, path
from bot.adapters.matrix.settings import Password, SignIn
from bot.adapters.matrix.signatures import canonical, is_signed
from bot.domain.errors import ExternalError, StartRefused
from bot.domain.ids import UserId
from bot.services.ports import Secrets

SEEDS = "matrix.cross_signing"
SEED_BYTES = 32


def foreign_identity() -> StartRefused:
    """Say that the account has an identity of somebody else."""
    return StartRefused(
        "foreign_identity",
        "The bot's account already has a cross-signing identity whose keys this program does not hold. Restore the "
        "program's secrets from a backup, or use a fresh account: see docs/matrix.md, “The identity was replaced”.",
    )


def identity_replaced() -> StartRefused:
    """Say that somebody reset the identity."""
    return StartRefused(
        "identity_replaced",
        "The bot's cross-signing identity on the homeserver is not the one this program made: somebody reset it. See "
        "docs/matrix.md, “The identity was replaced”.",
    )


class OwnIdentity:
    """Three keys of one user: master, self-signing, user-signing."""

    def __init__(self, user_id: UserId, seeds: bytes) -> None:
        """Derive the keys; *seeds* are three times 32 bytes in that order."""
        if len(seeds) != 3 * SEED_BYTES:
            raise StartRefused("identity_damaged", "The saved cross-signing seeds are damaged. Restore the secrets.")
        self._user_id = user_id
        self._master, self._self_signing, self._user_signing = (
            olm.pk.PkSigning(seeds[start : start + SEED_BYTES]) for start in (0, SEED_BYTES, 2 * SEED_BYTES)
        )

    @property
    def master_key(self) -> str:
        """The public master key, unpadded base64: a padded one is dropped by clients without a word."""
        return str(self._master.public_key).rstrip("=")

    def upload(self, *, device_signature: tuple[str, str]) -> dict[str, Any]:
        """Return the body for /keys/device_signing/upload; the device signs the master key (key id, signature)."""
        master = self._key("master", self._master)
        key_id, signature = device_signature
        return {
            "master_key": {**master, "signatures": {self._user_id: {key_id: signature}}},
            "self_signing_key": self._signed(self._key("self_signing", self._self_signing), self._master),
            "user_signing_key": self._signed(self._key("user_signing", self._user_signing), self._master),
        }

    def unsigned_master(self) -> dict[str, Any]:
        """Return the master key object for the device to sign."""
        return self._key("master", self._master)

    def sign_device(self, device_keys: Mapping[str, Any]) -> dict[str, Any]:
        """Return *device_keys* with a signature of the self-signing key added."""
        signed = self._signed({k: v for k, v in device_keys.items() if k != "unsigned"}, self._self_signing)
        theirs = device_keys.get("signatures", {}).get(self._user_id, {})
        mine = signed["signatures"][self._user_id]
        return {**signed, "signatures": {self._user_id: {**theirs, **mine}}}

    def has_signed(self, device_keys: Mapping[str, Any]) -> bool:
        """Return whether the self-signing key signed this device."""
        key = str(self._self_signing.public_key)
        return is_signed(device_keys, by=self._user_id, key_id=f"ed25519:{key}", public_key=key)

    def is_published(self, answer: Mapping[str, Any]) -> bool | None:
        """Compare with a /keys/query answer: None if the server has no identity, True if it has exactly this one."""
        master = answer.get("master_keys", {}).get(self._user_id)
        if master is None:
            return None
        signer = answer.get("self_signing_keys", {}).get(self._user_id, {})
        return (
            list(master.get("keys", {}).values()) == [str(self._master.public_key)]
            and list(signer.get("keys", {}).values()) == [str(self._self_signing.public_key)]
            and is_signed(
                signer,
                by=self._user_id,
                key_id=f"ed25519:{self._master.public_key}",
                public_key=str(self._master.public_key),
            )
        )

    def _key(self, usage: str, key: "olm.pk.PkSigning") -> dict[str, Any]:
        public = str(key.public_key).rstrip("=")
        return {"user_id": self._user_id, "usage": [usage], "keys": {f"ed25519:{public}": public}}

    def _signed(self, value: dict[str, Any], key: "olm.pk.PkSigning") -> dict[str, Any]:
        signature = str(key.sign(canonical(value).decode()))
        return {**value, "signatures": {self._user_id: {f"ed25519:{key.public_key}": signature}}}


async def ensure_identity(
    api: HomeserverApi, crypto: Crypto, *, user_id: UserId, secrets: Secrets, how: SignIn
) -> OwnIdentity:
    """Make the identity if there is none anywhere, else check it; sign the own device if that is missing.

    Call it after the device keys are uploaded and before any room is joined: what people sent before stays unreadable.

    Raises:
        StartRefused: "foreign_identity", "identity_replaced", "identity_needs_approval", "device_not_signed".
        ExternalError: the homeserver does not answer.
    """
    answer = await own_keys(api, user_id)
    seeds = secrets.load(SEEDS)
    if seeds is None:
        if answer.get("master_keys", {}).get(user_id) is not None:
            raise foreign_identity()
        seeds = random.token_bytes(3 * SEED_BYTES)
        secrets.save(SEEDS, seeds)
    identity = OwnIdentity(user_id, seeds)
    published = identity.is_published(answer)
    if published is False:
        raise identity_replaced()
    if published is None:
        await _publish(api, crypto, identity, user_id, how)
    await _sign_own_device(api, crypto, identity, user_id)
    return identity


async def own_keys(api: HomeserverApi, user_id: UserId) -> dict[str, Any]:
    """Return the homeserver's view of the bot's own keys."""
    return await api.post(path("keys", "query"), {"device_keys": {user_id: []}})


async def _publish(api: HomeserverApi, crypto: Crypto, identity: OwnIdentity, user_id: UserId, how: SignIn) -> None:
    signed = await crypto.do(lambda machine: machine.signed(identity.unsigned_master()))
    ((key_id, signature),) = signed["signatures"][user_id].items()
    body = identity.upload(device_signature=(key_id, signature))
    where = path("keys", "device_signing", "upload")
    try:
        await api.post(where, body)
    except Refused as error:
        if error.status != 401 or not isinstance(how, Password):
            raise _needs_approval() from None
        auth = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user_id},
            "password": how.password,
            "session": error.body.get("session"),
        }
        try:
            await api.post(where, {**body, "auth": auth})
        except Refused:
            raise _needs_approval() from None


def _needs_approval() -> StartRefused:
    return StartRefused(
        "identity_needs_approval",
        "The homeserver wants an approval before it takes the bot's cross-signing keys. Allow it once for the bot's "
        "account (admin API: allow cross-signing replacement without UIA), then start again.",
    )


async def _sign_own_device(api: HomeserverApi, crypto: Crypto, identity: OwnIdentity, user_id: UserId) -> None:
    """Sign the device as the server shows it, and give the machine the signed form for its Olm messages."""
    for _ in range(2):
        answer = await own_keys(api, user_id)
        shown: Mapping[str, Any] | None = answer.get("device_keys", {}).get(user_id, {}).get(crypto.device_id)
        if shown is None:
            raise ExternalError("own_device_missing")
        if identity.has_signed(shown):
            await crypto.introduce({key: value for key, value in shown.items() if key != "unsigned"})
            return
        body = {user_id: {crypto.device_id: identity.sign_device(shown)}}
        failures = (await api.post(path("keys", "signatures", "upload"), body)).get("failures")
        if failures:
            break
    raise StartRefused(
        "device_not_signed",
        "The homeserver did not keep the signature of the bot's own device. Check the homeserver's log, start again.",
    )
