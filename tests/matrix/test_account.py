"""The bot signs in once, on one device, with one identity, and refuses to start when something does not fit."""

import secrets as random
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.matrix import Password, Token
from bot.adapters.matrix.cross_signing import OwnIdentity
from bot.adapters.matrix.own_account import PICKLE_KEY
from bot.domain.errors import ExternalError, StartRefused
from bot.domain.ids import DeviceId, UserId
from bot.lab.homeserver import Account
from bot.services.ports import ArrivalKind
from tests.matrix.handmade import HandmadeClient
from tests.matrix.proxy import Proxy
from tests.matrix.world import Bot, World, everyone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def refusal(bot: Bot) -> str:
    """Start the bot and return the code with which it refuses."""
    with pytest.raises(StartRefused) as refused:
        await bot.start()
    return refused.value.code


async def own_keys(world: World, account: Account) -> dict[str, Any]:
    """Return what the homeserver shows of the account."""
    body: dict[str, Any] = {"device_keys": {account.user_id: []}}
    return await world.homeserver.call("POST", "/_matrix/client/v3/keys/query", body=body, token=account)


async def test_the_identity_stays_the_same_over_restarts(world: World) -> None:
    """It is made once; a new one would ask every person for an approval."""
    bot = await world.bot()
    first = bot.engine.master_key

    await bot.restart()

    assert bot.engine.master_key == first
    assert list((await own_keys(world, bot.account))["master_keys"][bot.user_id]["keys"].values()) == [first]


async def test_the_identity_is_complete_before_any_room_is_joined(world: World) -> None:
    """Master, self-signing and user-signing key are there after the start, and the device is signed."""
    bot = await world.bot(started=False)
    await bot.engine.start()

    shown = await own_keys(world, bot.account)

    device = shown["device_keys"][bot.user_id][bot.account.device_id]
    (signer,) = shown["self_signing_keys"][bot.user_id]["keys"]
    assert signer in device["signatures"][bot.user_id]
    assert bot.user_id in shown["user_signing_keys"]
    joined = await world.homeserver.call("GET", "/_matrix/client/v3/joined_rooms", token=bot.account)
    assert joined["joined_rooms"] == []


async def test_a_start_that_died_between_seeds_and_upload_is_finished(world: World) -> None:
    """The seeds are saved before they are published: a second start publishes the same ones."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url, started=False)
        proxy.answer("POST .*/keys/device_signing/upload", 502)
        with pytest.raises(ExternalError, match="server_error"):
            await bot.start()
        seeds = bot.secrets.values["matrix.cross_signing"]

        await bot.start()

        assert bot.secrets.values["matrix.cross_signing"] == seeds


async def test_a_password_is_used_once(world: World) -> None:
    """The token of the first sign-in is kept: later starts need no password and make no second device."""
    account = await world.account("consilium")
    await world.homeserver.call("POST", "/_matrix/client/v3/logout", body={}, token=account)
    bot = await world.bot(started=False)
    bot.account, bot.sign_in = account, Password(password=account.password)
    await bot.start()
    await bot.stop()
    bot.sign_in = Password(password="no longer right")

    await bot.start()

    assert bot.loop is not None
    assert not bot.loop.done()


async def test_a_wrong_password_is_said_in_one_line(world: World) -> None:
    """The operator learns what to check."""
    bot = await world.bot(started=False, sign_in=Password(password="wrong"))

    assert await refusal(bot) == "wrong_password"


async def test_a_second_process_on_the_same_folder_is_refused(world: World) -> None:
    """Two processes with one key store lose messages for good."""
    bot = await world.bot()
    second = bot.another()

    with pytest.raises(StartRefused) as refused:
        await second.start()

    assert refused.value.code == "second_instance"


async def test_a_folder_is_free_again_after_a_stop(world: World) -> None:
    """A lock that stays would need an operator at night."""
    bot = await world.bot()

    await bot.restart()

    assert bot.loop is not None


async def test_another_device_on_the_account_is_refused(world: World) -> None:
    """Whoever has another device reads along."""
    bot = await world.bot(started=False)
    await world.homeserver.login(bot.account)

    assert await refusal(bot) == "other_device"


async def test_another_device_while_running_stops_the_sending_until_it_is_gone(world: World) -> None:
    """It is an alarm; nothing more is given to it."""
    bot = await world.bot()
    doctor = await world.person()
    room = await bot.direct_with(doctor)
    intruder = HandmadeClient(world.homeserver, await world.homeserver.login(bot.account))
    await intruder.upload_keys()
    await doctor.send(room, "passes by")
    await bot.inbox.wait_for("passes by")

    with pytest.raises(ExternalError, match="other_device"):
        await bot.say(room, "hello", everyone(doctor))

    await intruder.call("POST", "/logout", {})
    await doctor.send(room, "is gone")
    await bot.inbox.wait_for("is gone")
    await bot.say(room, "hello", everyone(doctor))
    assert bot.tally.total("matrix_other_device") >= 1


async def test_a_revoked_token_stops_the_bot_with_one_line(world: World) -> None:
    """No loop of thousands of refused requests: one line, and the end."""
    bot = await world.bot()
    await world.homeserver.call("POST", "/_matrix/client/v3/logout", body={}, token=bot.account)
    assert bot.loop is not None

    with pytest.raises(StartRefused) as refused:
        await bot.loop

    assert refused.value.code == "token_revoked"


async def test_a_revoked_token_refuses_the_start(world: World) -> None:
    """The same while the bot was off."""
    bot = await world.bot()
    await bot.stop()
    await world.homeserver.call("POST", "/_matrix/client/v3/logout", body={}, token=bot.account)

    assert await refusal(bot) == "token_revoked"


async def test_a_token_of_another_device_is_refused(world: World) -> None:
    """A rotated token must belong to the device whose keys are in the store."""
    bot = await world.bot()
    await bot.stop()
    other = await world.homeserver.login(bot.account)
    bot.sign_in = Token(token=other.access_token, device_id=DeviceId(other.device_id))

    assert await refusal(bot) == "device_changed"


async def test_a_token_that_lies_about_its_device_is_refused(world: World) -> None:
    """The homeserver is asked what the token is for."""
    bot = await world.bot()
    await bot.stop()
    other = await world.homeserver.login(bot.account)
    bot.sign_in = Token(token=other.access_token, device_id=DeviceId(bot.account.device_id))

    assert await refusal(bot) == "device_changed"


async def test_the_folder_of_another_account_is_refused(world: World) -> None:
    """Two bots with one folder answer in each other's name."""
    bot, other = await world.bot(), await world.bot(started=False)
    await bot.stop()
    other.folder, other.secrets = bot.folder, bot.secrets

    assert await refusal(other) == "other_account"


async def test_a_new_device_is_signed_by_the_same_identity(world: World) -> None:
    """Signed out on the homeserver and its folder moved aside: a new device, and nobody has to approve anything."""
    account = await world.account("consilium")
    await world.homeserver.call("POST", "/_matrix/client/v3/logout", body={}, token=account)
    bot = await world.bot(started=False)
    bot.account, bot.sign_in = account, Password(password=account.password)
    await bot.start()
    identity = bot.engine.master_key
    await bot.stop()
    devices = f"/_synapse/admin/v2/users/{account.user_id}/devices"
    (old,) = (await world.homeserver.admin_request("GET", devices))["devices"]
    await world.homeserver.admin_request("DELETE", f"{devices}/{old['device_id']}")
    bot.folder = bot.folder.with_name("aside")

    await bot.start()

    (new,) = (await world.homeserver.admin_request("GET", devices))["devices"]
    assert bot.engine.master_key == identity
    assert new["device_id"] != old["device_id"]


async def test_a_wrong_pickle_key_is_refused(world: World) -> None:
    """The store is never begun anew beside the one that cannot be read."""
    bot = await world.bot()
    await bot.stop()
    bot.secrets.values[PICKLE_KEY] = bytes(32)

    assert await refusal(bot) == "wrong_pickle_key"


async def test_a_lost_pickle_key_is_refused(world: World) -> None:
    """The same when it is not there at all."""
    bot = await world.bot()
    await bot.stop()
    del bot.secrets.values[PICKLE_KEY]

    assert await refusal(bot) == "pickle_key_lost"


async def test_a_lost_key_store_is_refused(world: World) -> None:
    """The homeserver knows keys of this device that nobody has any more."""
    bot = await world.bot()
    await bot.stop()
    (bot.folder / "keys.db").unlink()

    assert await refusal(bot) == "store_lost"


async def test_a_key_store_of_yesterday_is_refused(world: World) -> None:
    """A restored store would upload one-time keys whose names are taken."""
    bot = await world.bot()
    await bot.stop()
    yesterday = (bot.folder / "keys.db").read_bytes()
    await bot.start()
    await drain(world, bot, 10)
    await bot.restart()
    await bot.stop()
    await drain(world, bot, 10)
    (bot.folder / "keys.db").write_bytes(yesterday)

    assert await refusal(bot) == "store_rolled_back"


async def test_a_replaced_identity_is_refused(world: World) -> None:
    """Somebody reset the bot's identity in Element: it is never put back silently."""
    bot = await world.bot()
    await bot.stop()
    await replace_identity(world, bot.account)

    assert await refusal(bot) == "identity_replaced"


async def test_an_identity_replaced_while_running_stops_the_bot(world: World) -> None:
    """The same at once."""
    bot = await world.bot()
    await replace_identity(world, bot.account)
    assert bot.loop is not None

    with pytest.raises(StartRefused) as refused:
        await bot.loop

    assert refused.value.code == "identity_replaced"


async def test_an_identity_of_somebody_else_is_refused(world: World) -> None:
    """An account that already has one is not the bot's own."""
    bot = await world.bot(started=False)
    await replace_identity(world, bot.account)

    assert await refusal(bot) == "foreign_identity"


async def test_one_time_keys_are_refilled_at_zero(world: World) -> None:
    """All keys claimed while the bot was off: after the start there are new ones. nio never refills at zero."""
    bot = await world.bot()
    await bot.stop()
    await drain(world, bot, 50)

    await bot.start()

    counts = await world.homeserver.call("POST", "/_matrix/client/v3/keys/upload", body={}, token=bot.account)
    assert counts["one_time_key_counts"]["signed_curve25519"] == 50


async def test_a_newcomer_reaches_the_bot_when_every_one_time_key_is_gone(world: World) -> None:
    """The fallback key serves while the bot is off, and is replaced after it was used."""
    bot = await world.bot()
    await bot.stop()
    await drain(world, bot, 50)
    newcomer = HandmadeClient(world.homeserver, await world.account())
    await newcomer.upload_keys()
    await newcomer.meet(bot.user_id)
    room = await newcomer.open_room(bot.user_id)
    await newcomer.share(room)
    await newcomer.send_event(room, newcomer.message(room, "by the fallback key"))

    await bot.start()
    await bot.engine.join((await bot.inbox.wait_kind(ArrivalKind.INVITE, room)).room_id)

    await bot.inbox.wait_for("by the fallback key")


async def test_a_stop_leaves_the_device_signed_in(world: World) -> None:
    """A logout would delete the device's keys on the homeserver for good."""
    bot = await world.bot()
    await bot.stop()

    shown = await own_keys(world, bot.account)

    assert bot.account.device_id in shown["device_keys"][bot.user_id]


async def test_a_homeserver_that_is_down_at_the_start_is_no_refusal(world: World, tmp_path: Path) -> None:
    """It is an outside failure: whoever starts the bot may try again."""
    bot = await world.bot(started=False)
    engine = replace(bot, url="http://127.0.0.1:9", folder=tmp_path).engine

    with pytest.raises(ExternalError, match="unreachable"):
        await engine.start()


async def test_a_key_store_that_cannot_be_written_stops_the_bot_and_loses_nothing(world: World) -> None:
    """Memory would know more than the disk: the bot stops, and reads everything again when there is room."""
    bot = await world.bot()
    client = HandmadeClient(world.homeserver, await world.account())
    await client.upload_keys()
    await client.meet(bot.user_id)
    room = await client.open_room(bot.user_id)
    await bot.engine.join((await bot.inbox.wait_kind(ArrivalKind.INVITE, room)).room_id)
    with sqlite3.connect(bot.folder / "keys.db") as store:
        store.execute(
            "CREATE TRIGGER full BEFORE INSERT ON megolminboundsessions BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    store.close()
    await client.share(room)
    await client.send_event(room, client.message(room, "kept on the homeserver"))
    assert bot.loop is not None
    with pytest.raises(StartRefused) as refused:
        await bot.loop
    await bot.stop()
    with sqlite3.connect(bot.folder / "keys.db") as store:
        store.execute("DROP TRIGGER full")
    store.close()

    await bot.start()

    await bot.inbox.wait_for("kept on the homeserver")
    assert refused.value.code == "store_failed"


async def test_failed_syncs_are_tried_again_with_pauses(world: World) -> None:
    """Errors of the homeserver end nothing; the loop pauses between them."""
    async with Proxy.start(world.homeserver.url) as proxy:
        bot = await world.bot(url=proxy.url)
        doctor = await world.person()
        room = await bot.direct_with(doctor)
        proxy.answer("GET .*/sync", 502, times=3)
        await doctor.send(room, "one more, to end the sync that is under way")
        await bot.inbox.wait_for("one more, to end the sync that is under way")
        await doctor.send(room, "after the failures")

        await bot.inbox.wait_for("after the failures")

        assert bot.tally.total("matrix_sync_failed", code="server_error") == 3


async def drain(world: World, bot: Bot, count: int) -> None:
    """Claim *count* one-time keys of the bot, as new acquaintances do."""
    thief = await world.account("thief")
    body = {"one_time_keys": {bot.user_id: {bot.account.device_id: "signed_curve25519"}}}
    for _ in range(count):
        await world.homeserver.call("POST", "/_matrix/client/v3/keys/claim", body=body, token=thief)


async def replace_identity(world: World, account: Account) -> None:
    """Put another identity onto the account, with its password, as anybody who knows it can in Element."""
    body: dict[str, Any] = OwnIdentity(UserId(account.user_id), random.token_bytes(96)).upload(
        device_signature=("ed25519:x", "x")
    )
    del body["master_key"]["signatures"]
    identifier = {"type": "m.id.user", "user": account.user_id}
    body["auth"] = {"type": "m.login.password", "identifier": identifier, "password": account.password}
    await world.homeserver.call("POST", "/_matrix/client/v3/keys/device_signing/upload", body=body, token=account)
