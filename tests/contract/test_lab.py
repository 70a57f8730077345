"""The lab is real: Synapse, matrix-js-sdk clients and an SMTP server do what tests, demo and lab rely on."""

import asyncio
import os
import signal
import smtplib
import socket
import sys
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio

from bot.lab.clients import ClientFailed, Clients, ClientsCrashed, Message, NotSeen, Person
from bot.lab.homeserver import Account, Homeserver, HomeserverFailed, RequestRefused
from bot.lab.smtp import MailCatcher, NoMail

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
POLL = {
    "org.matrix.msc3381.poll.start": {
        "kind": "org.matrix.msc3381.poll.disclosed",
        "max_selections": 1,
        "question": {"org.matrix.msc1767.text": "Which one?"},
        "answers": [
            {"id": "k7", "org.matrix.msc1767.text": "The left one"},
            {"id": "q2", "org.matrix.msc1767.text": "The right one"},
        ],
    },
    "org.matrix.msc1767.text": "Which one?",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def homeserver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Homeserver]:
    """One server for this module; each test makes its own people."""
    async with Homeserver.start(tmp_path_factory.mktemp("homeserver"), relaxed_limits=True) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def clients(homeserver: Homeserver) -> AsyncIterator[Clients]:
    """One Node process for this module."""
    async with Clients.start(homeserver.url) as running:
        yield running


class Pair:
    """Two cross-signed people in one encrypted direct chat."""

    def __init__(self, anna: Person, bert: Person, room: str) -> None:
        self.anna = anna
        self.bert = bert
        self.room = room

    async def crossing(self, event_id: str) -> Message:
        """Return Anna's event as Bert reads it."""
        return await self.bert.wait_event(event_id)


async def a_person(homeserver: Homeserver, clients: Clients, name: str, *, cross_sign: bool = True) -> Person:
    """Return a client on a fresh account."""
    account = await homeserver.register(f"{name}-{os.urandom(4).hex()}")
    return await clients.login(account, cross_sign=cross_sign)


async def a_chat(one: Person, other: Person) -> str:
    """Return an encrypted direct chat that both are in."""
    room = await one.create_dm(other.user_id)
    await other.accept(await other.wait_invite(one.user_id))
    await one.wait_member(room, other.user_id)
    return room


@pytest_asyncio.fixture(loop_scope="module")
async def pair(homeserver: Homeserver, clients: Clients) -> Pair:
    """Fresh people for each test."""
    anna = await a_person(homeserver, clients, "anna")
    bert = await a_person(homeserver, clients, "bert")
    return Pair(anna, bert, await a_chat(anna, bert))


async def has_ended(pid: int) -> None:
    """Return when that process is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def send_many(homeserver: Homeserver, account: Account, room: str, count: int) -> None:
    """Send that many events, one after the other."""
    for number in range(count):
        path = f"/_matrix/client/v3/rooms/{room}/send/org.example/{number}"
        await homeserver.call("PUT", path, body={}, token=account)


# The homeserver


async def test_a_second_start_on_the_same_folder_finds_the_same_accounts_on_the_same_port(tmp_path: Path) -> None:
    """A lab survives its end: accounts, tokens and address stay."""
    async with Homeserver.start(tmp_path) as first:
        account = await first.register("anna", "correct horse", displayname="Anna")
        port = first.port

    async with Homeserver.start(tmp_path) as second:
        whoami = await second.call("GET", "/_matrix/client/v3/account/whoami", token=account)
        again = await second.login(account)

    assert (whoami["user_id"], whoami["device_id"]) == (account.user_id, account.device_id)
    assert again.device_id != account.device_id
    assert second.port == port


async def test_two_homeservers_at_once_both_start_and_are_strangers(tmp_path: Path) -> None:
    """Two demos at once both succeed, each on its own server."""
    async with Homeserver.start(tmp_path / "one") as one, Homeserver.start(tmp_path / "two") as two:
        account = await one.register("anna")

        with pytest.raises(RequestRefused, match="401"):
            await two.call("GET", "/_matrix/client/v3/account/whoami", token=account)

        assert one.port != two.port


async def test_a_wanted_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    """Whoever names a port gets this port or a clear answer."""
    with socket.create_server(("127.0.0.1", 0)) as neighbour:
        port = neighbour.getsockname()[1]

        with pytest.raises(HomeserverFailed, match=f"port {port} on 127.0.0.1 is taken"):
            async with Homeserver.start(tmp_path, port=port):
                pass


async def test_the_last_port_is_given_up_when_a_neighbour_has_it_now(tmp_path: Path) -> None:
    """Free ports are picked again at each start if they must be."""
    with socket.create_server(("127.0.0.1", 0)) as neighbour:
        port = neighbour.getsockname()[1]
        (tmp_path / "port").write_text(str(port))

        async with Homeserver.start(tmp_path) as homeserver:
            assert homeserver.port != port


async def test_a_crash_while_starting_is_told_with_its_last_line(tmp_path: Path) -> None:
    """A server that cannot start says why in one line."""
    with pytest.raises(HomeserverFailed, match=r"Synapse ended with 1 while starting: .*no number") as told:
        async with Homeserver.start(tmp_path, settings={"max_image_pixels": "no number"}):
            pass

    assert "\n" not in str(told.value)


async def test_a_folder_belongs_to_one_server_name(tmp_path: Path) -> None:
    """User ids carry the server's name, so that it cannot change."""
    async with Homeserver.start(tmp_path, server_name="one.localhost"):
        pass

    with pytest.raises(HomeserverFailed, match=r"belongs to the server one\.localhost"):
        async with Homeserver.start(tmp_path, server_name="two.localhost"):
            pass


async def test_synapse_ends_with_the_block(tmp_path: Path) -> None:
    """Nothing keeps running after a test."""
    async with Homeserver.start(tmp_path) as homeserver:
        pid = homeserver.pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_synapse_and_node_end_with_a_killed_parent(tmp_path: Path) -> None:
    """A parent that had no time to say goodbye leaves no process behind."""
    script = (
        "import asyncio, pathlib, sys\n"
        "from bot.lab.clients import Clients\n"
        "from bot.lab.homeserver import Homeserver\n"
        "async def main():\n"
        "    async with Homeserver.start(pathlib.Path(sys.argv[1])) as homeserver:\n"
        "        async with Clients.start(homeserver.url) as clients:\n"
        "            print(homeserver.pid, clients.pid, flush=True)\n"
        "            await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=PROJECT
    )
    assert parent.stdout is not None
    synapse, node = (await parent.stdout.readline()).split()

    parent.kill()
    await parent.wait()

    await has_ended(int(synapse))
    await has_ended(int(node))


async def test_synapse_keeps_its_own_rate_limits_unless_they_are_relaxed(tmp_path: Path) -> None:
    """The demo lives with the limits of a hospital's server."""
    async with Homeserver.start(tmp_path) as homeserver:
        account = await homeserver.register("anna")
        room = (await homeserver.call("POST", "/_matrix/client/v3/createRoom", body={}, token=account))["room_id"]

        with pytest.raises(RequestRefused, match="429 M_LIMIT_EXCEEDED"):
            await send_many(homeserver, account, room, 30)


async def test_relaxed_limits_and_the_default_room_version_hold(homeserver: Homeserver) -> None:
    """Tests that are not about limits never meet one, and rooms are those of today."""
    account = await homeserver.register(f"anna-{os.urandom(4).hex()}")
    room = (await homeserver.call("POST", "/_matrix/client/v3/createRoom", body={}, token=account))["room_id"]

    await send_many(homeserver, account, room, 60)

    details = await homeserver.admin_request("GET", f"/_synapse/admin/v1/rooms/{room}")
    assert details["version"] == "12"


async def test_a_taken_name_is_refused(homeserver: Homeserver) -> None:
    """Registration tells a duplicate from a success."""
    name = f"anna-{os.urandom(4).hex()}"
    await homeserver.register(name)

    with pytest.raises(RequestRefused) as told:
        await homeserver.register(name)

    assert told.value.code == "M_USER_IN_USE"


# The clients


async def test_a_text_arrives_decrypted_without_a_shield_and_the_server_has_ciphertext(
    pair: Pair, homeserver: Homeserver
) -> None:
    """Two people in exclude-insecure mode who cross-signed read each other."""
    event_id = await pair.anna.send(pair.room, "l'ablation est indiquée")
    read = await pair.crossing(event_id)
    raw = await homeserver.call(
        "GET", f"/_matrix/client/v3/rooms/{pair.room}/event/{event_id}", token=pair.bert.account
    )

    assert (read.body, read.sender, read.type) == ("l'ablation est indiquée", pair.anna.user_id, "m.room.message")
    assert (read.encrypted, read.shield, read.shield_reason, read.decryption_failure) == (True, "none", None, None)
    assert raw["type"] == "m.room.encrypted"
    assert "ablation" not in str(raw)


async def test_a_reply_and_an_edit_name_what_they_are_about(pair: Pair) -> None:
    """Replies and edits have Element's shape, with the relation in clear beside the ciphertext."""
    first = await pair.anna.send(pair.room, "FEVG 35")
    reply = await pair.crossing(await pair.anna.send(pair.room, "yes", reply_to=first))
    edit = await pair.crossing(await pair.anna.send(pair.room, "FEVG 55", edit_of=first))

    assert reply.relation == {"m.in_reply_to": {"event_id": first}}
    assert edit.relation == {"rel_type": "m.replace", "event_id": first}
    assert edit.content["m.new_content"]["body"] == "FEVG 55"
    assert (await pair.crossing(first)).body == "FEVG 35"


async def test_a_file_arrives_with_the_same_bytes_and_the_server_has_others(
    pair: Pair, homeserver: Homeserver, tmp_path: Path
) -> None:
    """A picture is encrypted like Element's, from memory or from disk."""
    path = tmp_path / "trace.png"
    path.write_bytes(PNG)
    as_bytes = await pair.crossing(
        await pair.anna.send_file(pair.room, PNG, "ECG 1.png", "image/png", msgtype="m.image")
    )
    as_path = await pair.crossing(await pair.anna.send_file(pair.room, path, "ECG 2.png", "image/png"))

    assert await pair.bert.download(as_bytes.content) == PNG
    assert await pair.bert.download(as_path.content) == PNG
    assert (as_bytes.content["msgtype"], as_path.content["msgtype"]) == ("m.image", "m.file")
    assert as_bytes.content["info"] == {"size": len(PNG), "mimetype": "image/png"}
    assert await pair.bert.download({"url": as_bytes.content["file"]["url"]}) != PNG


async def test_a_file_with_a_wrong_hash_is_refused(pair: Pair) -> None:
    """What the server altered is never taken for what was sent."""
    read = await pair.crossing(await pair.anna.send_file(pair.room, PNG, "a.png", "image/png"))
    forged = {**read.content, "file": {**read.content["file"], "hashes": {"sha256": "A" * 43}}}

    with pytest.raises(ClientFailed, match="hash"):
        await pair.bert.download(forged)


async def test_a_poll_is_read_and_voted_in(pair: Pair) -> None:
    """Taps are encrypted poll responses under the names Element uses."""
    start = await pair.anna.send_raw(pair.room, "org.matrix.msc3381.poll.start", POLL)
    shown = await pair.bert.wait_event(start)
    vote = await pair.anna.wait_event(await pair.bert.tap(shown, "The right one"))

    assert shown.poll is not None
    assert shown.poll.question == "Which one?"
    assert dict(shown.poll.answers) == {"k7": "The left one", "q2": "The right one"}
    assert vote.type == "org.matrix.msc3381.poll.response"
    assert vote.content["org.matrix.msc3381.poll.response"] == {"answers": ["q2"]}
    assert vote.relation == {"rel_type": "m.reference", "event_id": start}
    assert vote.encrypted


async def test_a_redacted_message_is_seen_again_without_content(pair: Pair) -> None:
    """A redaction changes what everybody sees."""
    event_id = await pair.anna.send(pair.room, "to be withdrawn")
    await pair.crossing(event_id)
    await pair.anna.redact(pair.room, event_id)

    gone = await pair.bert.wait_for(pair.room, lambda message: message.redacted)

    assert (gone.event_id, gone.body, dict(gone.content)) == (event_id, "", {})


async def test_who_excludes_insecure_devices_neither_reads_nor_is_read_by_an_unsigned_one(
    homeserver: Homeserver, clients: Clients
) -> None:
    """Element's "exclude insecure devices" makes a client without cross-signing deaf and mute."""
    anna = await a_person(homeserver, clients, "anna")
    unsigned = await a_person(homeserver, clients, "unsigned", cross_sign=False)
    room = await a_chat(unsigned, anna)

    from_unsigned = await anna.wait_event(await unsigned.send(room, "can you read me?"), readable=False)
    to_unsigned = await unsigned.wait_event(await anna.send(room, "hello?"), readable=False)
    withheld = await unsigned.wait_to_device("m.room_key.withheld")

    assert (from_unsigned.decryption_failure, from_unsigned.body) == ("UNSIGNED_SENDER_DEVICE", "")
    assert (to_unsigned.decryption_failure, to_unsigned.type) == (
        "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE",
        "m.room.encrypted",
    )
    assert withheld.sender == anna.user_id
    assert await unsigned.identity() is None


async def test_who_trusts_all_devices_sees_a_red_shield_on_an_unsigned_one(
    homeserver: Homeserver, clients: Clients
) -> None:
    """Without exclusion an unsigned client is read, with a warning."""
    anna = await clients.login(await homeserver.register(f"anna-{os.urandom(4).hex()}"), isolation="all")
    unsigned = await a_person(homeserver, clients, "unsigned", cross_sign=False)
    room = await a_chat(unsigned, anna)

    read = await anna.wait_event(await unsigned.send(room, "can you read me?"))

    assert (read.body, read.shield, read.shield_reason) == ("can you read me?", "red", "UNSIGNED_DEVICE")


async def test_a_second_device_signs_itself_with_the_same_identity(pair: Pair) -> None:
    """A physician's second phone is the same person to everybody."""
    second = await pair.anna.new_device()
    await pair.bert.wait_identity(pair.anna.user_id, lambda identity: second.device_id in identity.signed_devices)

    read = await second.wait_event(await pair.bert.send(pair.room, "to both"))
    answered = await pair.bert.wait_event(await second.send(pair.room, "from the second"))

    assert await second.identity() == await pair.anna.identity()
    assert (read.body, answered.body, answered.shield) == ("to both", "from the second", "none")


async def test_a_message_whose_key_comes_late_appears_decrypted(pair: Pair) -> None:
    """What could not be read is seen again when it can."""
    event_id = await pair.anna.send(pair.room, "before the second device")
    second = await pair.anna.new_device()
    await second.load_history(pair.room)
    before = await second.wait_event(event_id, readable=False)

    await second.import_keys(await pair.anna.export_keys())
    after = await second.wait_event(event_id)

    assert before.decryption_failure == "HISTORICAL_MESSAGE_NO_KEY_BACKUP"
    assert after.body == "before the second device"
    assert [message.body for message in second.messages(pair.room)] == ["before the second device"]


async def test_a_replaced_identity_asks_for_approval(pair: Pair) -> None:
    """Whoever knew the old master key is told that there is a new one."""
    old = await pair.anna.identity()
    await pair.crossing(await pair.anna.send(pair.room, "first"))
    await pair.bert.wait_identity(pair.anna.user_id, lambda identity: identity.known)

    new = await pair.anna.reset_identity()
    seen = await pair.bert.wait_identity(pair.anna.user_id, lambda identity: identity.needs_approval)

    assert new == await pair.anna.identity() != old
    assert not seen.verified


async def test_an_account_with_an_identity_needs_its_recovery_key(pair: Pair, homeserver: Homeserver) -> None:
    """An identity is never replaced by the way."""
    another = await homeserver.login(pair.anna.account)

    with pytest.raises(ClientFailed) as told:
        await pair.anna.clients.login(another)

    assert told.value.code == "IDENTITY_EXISTS"


async def test_clear_text_is_seen_as_clear_and_sent_only_on_purpose(pair: Pair) -> None:
    """`send` never falls back to clear text; `send_plain` always is."""
    in_encrypted_room = await pair.crossing(await pair.anna.send_plain(pair.room, "oops"))
    plain = await pair.anna.create_plain_dm(pair.bert.user_id)
    await pair.bert.accept(await pair.bert.wait_invite())
    in_plain_room = await pair.crossing(await pair.anna.send_plain(plain, "hello"))

    with pytest.raises(ClientFailed) as told:
        await pair.anna.send(plain, "secret")

    assert (in_encrypted_room.body, in_encrypted_room.encrypted) == ("oops", False)
    assert (in_plain_room.body, in_plain_room.encrypted) == ("hello", False)
    assert told.value.code == "NOT_ENCRYPTED"


async def test_a_direct_chat_is_found_again_and_looks_like_elements(pair: Pair, homeserver: Homeserver) -> None:
    """`create_dm` returns the chat there is; its state is that of Element."""
    path = f"/_matrix/client/v3/rooms/{pair.room}/state"
    state = await homeserver.call("GET", f"{path}/m.room.encryption", token=pair.bert.account)
    history = await homeserver.call("GET", f"{path}/m.room.history_visibility", token=pair.bert.account)
    direct = await homeserver.call(
        "GET", f"/_matrix/client/v3/user/{pair.anna.user_id}/account_data/m.direct", token=pair.anna.account
    )

    assert await pair.anna.create_dm(pair.bert.user_id) == pair.room
    assert await pair.anna.create_dm(pair.bert.user_id, fresh=True) != pair.room
    assert state == {"algorithm": "m.megolm.v1.aes-sha2"}
    assert history == {"history_visibility": "shared"}
    assert direct == {pair.bert.user_id: [pair.room]}


async def test_members_and_leaving_are_seen(pair: Pair) -> None:
    """Who is in the room is known on both sides."""
    before = await pair.anna.members(pair.room)
    await pair.bert.leave(pair.room)
    await pair.anna.wait_member(pair.room, pair.bert.user_id, "leave")
    await pair.bert.wait_member(pair.room, pair.bert.user_id, "leave")

    after = await pair.anna.members(pair.room)

    assert before == {pair.anna.user_id: "join", pair.bert.user_id: "join"}
    assert after == {pair.anna.user_id: "join", pair.bert.user_id: "leave"}


async def test_invitations_are_accepted_without_asking_when_told_so(homeserver: Homeserver, clients: Clients) -> None:
    """`auto_accept` joins what comes."""
    account = await homeserver.register(f"bert-{os.urandom(4).hex()}")
    bert = await clients.login(account, auto_accept=True)
    anna = await a_person(homeserver, clients, "anna")

    room = await anna.create_room(bert.user_id, name="C-2026-0007", history_visibility="invited", version="11")
    await anna.wait_member(room, bert.user_id)
    read = await bert.wait_event(await anna.send(room, "welcome"))

    assert read.body == "welcome"
    assert bert.invites() == {}


async def test_a_to_device_message_arrives(pair: Pair) -> None:
    """Raw to-device messages reach the one device they name."""
    await pair.anna.to_device_raw(pair.bert.user_id, pair.bert.device_id, "org.example.ping", {"n": 1})

    got = await pair.bert.wait_to_device("org.example.ping")

    assert (got.sender, dict(got.content), got.encrypted) == (pair.anna.user_id, {"n": 1}, False)


async def test_each_message_is_waited_for_once_and_marks_leave_out_the_past(pair: Pair) -> None:
    """Two waits for the same kind return two messages, in order, although both were there before."""
    ids = [
        await pair.anna.send_raw(
            pair.room,
            "m.room.message",
            {"msgtype": "m.notice", "body": str(n), "org.consilium": {"v": 1, "kind": "question", "index": n}},
        )
        for n in range(3)
    ]
    await pair.crossing(ids[-1])
    mark = pair.bert.mark()

    first = await pair.bert.wait_kind(pair.room, "question")
    third = await pair.bert.wait_kind(pair.room, "question", index=2)
    second = await pair.bert.wait_kind(pair.room, "question")

    assert [first.event_id, second.event_id, third.event_id] == ids
    assert [message.event_id for message in pair.bert.messages(pair.room)] == ids
    with pytest.raises(NotSeen):
        await pair.bert.wait_kind(pair.room, "question", since=mark, timeout=0)


async def test_a_vain_wait_says_what_was_missing_and_what_was_seen_but_no_content(pair: Pair) -> None:
    """A failing test tells ids and kinds, never what people wrote."""
    content = {"msgtype": "m.notice", "body": "sixty-two years", "org.consilium": {"v": 1, "kind": "ring"}}
    event_id = await pair.anna.send_raw(pair.room, "m.room.message", content)
    await pair.crossing(event_id)

    with pytest.raises(NotSeen, match="waited 0 s for kind=signed, by='x'") as told:
        await pair.bert.wait_kind(pair.room, "signed", by="x", timeout=0)

    assert f"{event_id} m.room.message ring" in str(told.value)
    assert "sixty" not in str(told.value)


async def test_a_rate_limit_is_obeyed_and_nothing_is_lost(tmp_path: Path) -> None:
    """Clients wait as long as the server says and go on in order."""
    limit = {"rc_message": {"per_second": 20, "burst_count": 1}}
    async with (
        Homeserver.start(tmp_path, relaxed_limits=True, settings=limit) as homeserver,
        Clients.start(homeserver.url) as clients,
    ):
        anna, bert = await a_person(homeserver, clients, "anna"), await a_person(homeserver, clients, "bert")
        room = await a_chat(anna, bert)

        ids = [await anna.send(room, f"message {n}") for n in range(6)]
        read = [(await bert.wait_event(event_id)).body for event_id in ids]

    assert read == [f"message {n}" for n in range(6)]


async def test_a_crash_of_node_fails_requests_and_waiters(homeserver: Homeserver) -> None:
    """Nobody waits for a client that is gone."""
    async with Clients.start(homeserver.url) as clients:
        anna = await a_person(homeserver, clients, "anna")
        waiting = asyncio.create_task(anna.wait_for(None, lambda message: message.body == "never"))
        asking = asyncio.create_task(anna.create_dm("@nobody:hospital.localhost"))
        await asyncio.sleep(0)

        os.kill(clients.pid, signal.SIGKILL)

        with pytest.raises(ClientsCrashed, match="Node ended"):
            await waiting
        with pytest.raises(ClientsCrashed, match="Node ended"):
            await asking
        with pytest.raises(ClientsCrashed, match="Node ended"):
            await anna.members("!any")


# The mail server


def send(catcher: MailCatcher, subject: str, *receivers: str) -> None:
    """Send one mail over SMTP."""
    mail = EmailMessage()
    mail["From"] = "consilium@hospital.example"
    mail["To"] = receivers[0]
    mail["Subject"] = subject
    mail.set_content("Une réponse est prête.")
    with smtplib.SMTP(catcher.host, catcher.port) as server:
        server.send_message(mail, to_addrs=receivers)


async def test_mails_are_kept_in_order_with_their_receivers_over_a_second_start(tmp_path: Path) -> None:
    """What was sent over SMTP stands in the Maildir."""
    async with MailCatcher.start(tmp_path) as catcher:
        await asyncio.to_thread(send, catcher, "first", "anna@hospital.example")
        await asyncio.to_thread(send, catcher, "second", "anna@hospital.example", "bert@hospital.example")

    async with MailCatcher.start(tmp_path) as again:
        await asyncio.to_thread(send, again, "third", "anna@hospital.example")
        mails = await again.wait_for(3)

    assert [mail["Subject"] for mail in mails] == ["first", "second", "third"]
    assert mails[0].get_content().strip() == "Une réponse est prête."
    assert mails[1]["X-RcptTo"] == "anna@hospital.example, bert@hospital.example"


async def test_a_mail_is_waited_for_while_it_is_on_its_way(tmp_path: Path) -> None:
    """A wait that begins before the mail ends with it; a vain one says how many there were."""
    async with MailCatcher.start(tmp_path) as catcher:
        waiting = asyncio.create_task(catcher.wait_for(1))
        await asyncio.to_thread(send, catcher, "ready", "anna@hospital.example")
        mails = await waiting

        with pytest.raises(NoMail, match="1 of 2 mails within 0 s"):
            await catcher.wait_for(2, timeout=0)

    assert [mail["Subject"] for mail in mails] == ["ready"]


async def test_two_mail_servers_at_once_have_two_ports(tmp_path: Path) -> None:
    """Two demos at once both succeed."""
    async with MailCatcher.start(tmp_path / "one") as one, MailCatcher.start(tmp_path / "two") as two:
        assert one.port != two.port
