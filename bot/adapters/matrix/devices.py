"""Who has which devices, as raw /keys/query answers prove it.

nio drops the cross-signing keys of /keys/query, trusts devices one by one, and refuses a device for ever once its keys
changed. Here a device counts for what its owner's self-signing key says of it now, and nothing is kept over a restart.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.adapters.matrix.http import HomeserverApi, path
from bot.adapters.matrix.signatures import is_signed
from bot.domain.ids import DeviceId, UserId
from bot.services.ports import Device, Identity

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A device that signed its own keys; keys are unpadded base64."""

    user_id: UserId
    device_id: DeviceId
    ed25519: str
    curve25519: str
    cross_signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """A person's identity and devices at the time of the query."""

    user_id: UserId
    master_key: str | None
    devices: Mapping[DeviceId, KnownDevice]

    def identity(self) -> Identity:
        """Return what the services see of it."""
        return Identity(
            user_id=self.user_id,
            master_key=self.master_key,
            devices=tuple(
                Device(device_id=device.device_id, ed25519=device.ed25519, cross_signed=device.cross_signed)
                for device in self.devices.values()
            ),
        )


def judge(user_id: UserId, answer: Mapping[str, Any]) -> KnownPerson:
    """Read one person out of a /keys/query answer and check every signature."""
    master = _cross_signing_key(answer, "master_keys", "master", user_id)
    signer = _cross_signing_key(answer, "self_signing_keys", "self_signing", user_id)
    if signer is not None and (
        master is None
        or not is_signed(
            answer["self_signing_keys"][user_id], by=user_id, key_id=f"ed25519:{master}", public_key=master
        )
    ):
        signer = None
    devices: dict[DeviceId, KnownDevice] = {}
    for device_id, keys in _mapping(_mapping(answer.get("device_keys")).get(user_id)).items():
        device = _device(user_id, device_id, keys, signer)
        if device is not None:
            devices[device.device_id] = device
    return KnownPerson(user_id=user_id, master_key=master, devices=devices)


class Directory:
    """What is known of people's devices; asked again for whoever changed."""

    def __init__(self, api: HomeserverApi) -> None:
        self._api = api
        self._people: dict[UserId, KnownPerson] = {}
        self._changes: dict[UserId, int] = {}

    def changed(self, users: Iterable[str]) -> None:
        """Forget *users*: their devices changed, or the server no longer tells us when they do."""
        for user in users:
            user_id = UserId(user)
            self._changes[user_id] = self._changes.get(user_id, 0) + 1
            self._people.pop(user_id, None)

    def changes(self, users: Iterable[UserId]) -> int:
        """Return how often the devices of *users* changed: compare before and after."""
        return sum(self._changes.get(user, 0) for user in users)

    def known(self, user_id: UserId) -> KnownPerson | None:
        """Return what is known without asking."""
        return self._people.get(user_id)

    async def people(self, users: Collection[UserId], *, anew: Collection[UserId] = ()) -> Mapping[UserId, KnownPerson]:
        """Return each of *users*; ask the server for those that are not known, and for those in *anew*.

        Raises:
            ExternalError: the homeserver did not answer.
        """
        known = {user: self._people[user] for user in users if user in self._people and user not in anew}
        asked = [user for user in users if user not in known]
        if not asked:
            return known
        before = {user: self._changes.get(user, 0) for user in asked}
        answer = await self._api.post_patiently(path("keys", "query"), {"device_keys": {user: [] for user in asked}})
        fresh = {user: judge(user, answer) for user in asked}
        silent = _mapping(answer.get("failures"))
        # Only what did not change while the question was under way may be used again, and no server's silence.
        self._people |= {
            user: fresh[user]
            for user in asked
            if self._changes.get(user, 0) == before[user] and user.partition(":")[2] not in silent
        }
        return known | fresh


def _cross_signing_key(answer: Mapping[str, Any], table: str, usage: str, user_id: UserId) -> str | None:
    entry = _mapping(_mapping(answer.get(table)).get(user_id))
    usages = entry.get("usage")
    keys = _mapping(entry.get("keys"))
    if entry.get("user_id") != user_id or not isinstance(usages, list) or usage not in usages or len(keys) != 1:
        return None
    ((key_id, key),) = keys.items()
    return key if isinstance(key, str) and key_id == f"ed25519:{key}" else None


def _device(user_id: UserId, device_id: str, keys: object, signer: str | None) -> KnownDevice | None:
    entry = _mapping(keys)
    public = _mapping(entry.get("keys"))
    ed25519, curve25519 = public.get(f"ed25519:{device_id}"), public.get(f"curve25519:{device_id}")
    algorithms = entry.get("algorithms")
    if (
        entry.get("user_id") != user_id
        or entry.get("device_id") != device_id
        or not isinstance(ed25519, str)
        or not isinstance(curve25519, str)
        or not isinstance(algorithms, list)
        or OLM not in algorithms
        or MEGOLM not in algorithms
        or not is_signed(entry, by=user_id, key_id=f"ed25519:{device_id}", public_key=ed25519)
    ):
        return None
    return KnownDevice(
        user_id=user_id,
        device_id=DeviceId(device_id),
        ed25519=ed25519,
        curve25519=curve25519,
        cross_signed=signer is not None and is_signed(entry, by=user_id, key_id=f"ed25519:{signer}", public_key=signer),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
