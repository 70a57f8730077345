"""Whatever JSON strangers and homeservers send: it is understood, or it is Garbage, and nothing else is raised."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import vodozemac
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unpaddedbase64 import encode_base64

from bot.adapters.matrix.arrivals import clear_arrival, envelope, fingerprint, invitation, redaction, waiting
from bot.adapters.matrix.devices import judge
from bot.adapters.matrix.machine import Machine, MissingKey
from bot.adapters.matrix.plaintext import Garbage, parse_plaintext
from bot.adapters.matrix.room_keys import RoomKeyStore
from bot.adapters.matrix.sync import key_news
from bot.domain.ids import DeviceId, RoomId, UserId

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ROOM = RoomId("!room:hospital.localhost")
BOT = UserId("@consilium:hospital.localhost")

WORDS = st.sampled_from(
    [
        "algorithm", "ciphertext", "content", "ed25519", "event_id", "keys", "m.megolm.v1.aes-sha2", "m.new_content",
        "m.olm.v1.curve25519-aes-sha2", "m.relates_to", "m.replace", "m.room.encrypted", "m.room.member", "m.room_key",
        "m.room.message", "m.room.redaction", "membership", "recipient", "recipient_keys", "redacts", "rel_type",
        "room_id", "sender", "sender_key", "session_id", "session_key", "state_key", "type", BOT, ROOM,
    ]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
KEYS = WORDS | st.text(max_size=10)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))
OBJECTS = st.dictionaries(KEYS, JSON, max_size=8)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Somebody who has an Olm session with the bot."""

    session: vodozemac.Session
    curve25519: str


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder: Path = tmp_path_factory.mktemp("keys")
    store = RoomKeyStore(user_id=BOT, device_id="DEVICE", folder=folder, pickle_key="0" * 64)
    yield Machine(BOT, DeviceId("DEVICE"), store)
    store.database.close()


@pytest.fixture(scope="module")
def peer(machine: Machine) -> Stranger:
    """An Olm session of a stranger with the bot."""
    machine.account.generate_one_time_keys(1)
    (key,) = machine.account._account.one_time_keys.values()
    stranger = vodozemac.Account()
    session = stranger.create_outbound_session(machine.account._account.curve25519_key, key)
    kind, body = session.encrypt(b"{}").to_parts()
    message = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": stranger.curve25519_key.to_base64(),
        "ciphertext": {machine.curve25519: {"type": kind, "body": encode_base64(body)}},
    }
    with pytest.raises(Garbage):
        machine.open_to_device("@stranger:hospital.localhost", message)
    return Stranger(session=session, curve25519=stranger.curve25519_key.to_base64())


@QUICK
@given(content=JSON)
def test_any_to_device_content_is_opened_or_garbage(machine: Machine, content: object) -> None:
    """From anyone, about anything."""
    with pytest.raises(Garbage):
        machine.open_to_device("@stranger:hospital.localhost", content)


@QUICK
@given(kind=st.integers(-1, 2), body=st.binary(max_size=200) | st.text(max_size=40))
def test_any_olm_ciphertext_is_opened_or_garbage(machine: Machine, kind: int, body: bytes | str) -> None:
    """Whatever stands where an Olm message should be."""
    content = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": "A" * 43,
        "ciphertext": {
            machine.curve25519: {"type": kind, "body": encode_base64(body) if isinstance(body, bytes) else body}
        },
    }

    with pytest.raises(Garbage):
        machine.open_to_device("@stranger:hospital.localhost", content)


@QUICK
@given(payload=OBJECTS | JSON, good=st.booleans())
def test_any_olm_payload_is_understood_or_garbage(
    machine: Machine, peer: Stranger, payload: object, good: bool
) -> None:
    """Encrypted well, with anything inside, in an envelope that is right or wrong."""
    frame = {
        "sender": "@stranger:hospital.localhost",
        "recipient": BOT,
        "recipient_keys": {"ed25519": machine.ed25519},
        "keys": {"ed25519": "A" * 43},
        "type": "m.room_key",
        "content": payload,
    }
    kind, body = peer.session.encrypt(json.dumps(frame if good else payload).encode()).to_parts()
    message = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": peer.curve25519,
        "ciphertext": {machine.curve25519: {"type": kind, "body": encode_base64(body)}},
    }

    with pytest.raises(Garbage):
        machine.add_room_key(machine.open_to_device("@stranger:hospital.localhost", message))


@QUICK
@given(content=JSON)
def test_any_room_event_content_is_opened_or_garbage_or_waits(machine: Machine, content: object) -> None:
    """From any member."""
    with pytest.raises((Garbage, MissingKey)):
        machine.open_event(ROOM, content)


@QUICK
@given(text=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_plaintext_is_an_object_that_a_database_takes_or_garbage(text: bytes) -> None:
    """What comes out can be written as UTF-8 JSON."""
    try:
        parsed = parse_plaintext(text)
    except Garbage:
        return
    assert json.loads(json.dumps(parsed, ensure_ascii=False).encode()) == parsed


@QUICK
@given(raw=OBJECTS, kind=WORDS, content=OBJECTS)
def test_any_clear_event_becomes_an_arrival_or_nothing_or_garbage(
    raw: dict[str, Any], kind: str, content: dict[str, Any]
) -> None:
    """And what becomes one can be stored."""
    shaped = raw | {"event_id": "$e", "sender": "@s:h", "type": kind, "content": content}
    for candidate in (raw, shaped):
        try:
            event = envelope(candidate, ROOM, NOW)
        except Garbage:
            continue
        found = [clear_arrival(event), redaction(event, candidate), waiting(event, None)]
        stored = [json.dumps(dict(arrival.content), ensure_ascii=False).encode() for arrival in found if arrival]
        assert stored
        assert len(fingerprint(event)) == 64


@QUICK
@given(state=st.lists(OBJECTS, max_size=5))
def test_any_invitation_is_one_or_garbage(state: list[dict[str, Any]]) -> None:
    """Its state is stripped and unsigned."""
    try:
        arrival = invitation(ROOM, BOT, state, since=None, now=NOW)
    except Garbage:
        return
    assert arrival.room_id == ROOM


@QUICK
@given(answer=OBJECTS, devices=OBJECTS, keys=OBJECTS)
def test_any_answer_about_devices_vouches_for_none(
    answer: dict[str, Any], devices: dict[str, Any], keys: dict[str, Any]
) -> None:
    """Without signatures there is no device and no identity that counts."""
    shaped = answer | {"device_keys": {BOT: devices}, "self_signing_keys": {BOT: keys}}

    person = judge(BOT, shaped)

    assert not person.devices


@QUICK
@given(answer=OBJECTS, lists=JSON, events=JSON, counts=JSON)
def test_any_sync_answer_is_read_without_an_error(answer: dict[str, Any], lists: Any, events: Any, counts: Any) -> None:
    """Parts of another shape count as absent."""
    shaped = answer | {
        "device_lists": lists,
        "to_device": {"events": events},
        "device_one_time_keys_count": counts,
    }

    news = key_news(shaped)

    assert isinstance(news.one_time_keys, int)
