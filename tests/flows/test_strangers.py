"""Whoever cannot be believed gets one helpful answer and nothing else: strangers, unsigned devices, words in clear."""

import asyncio
from functools import partial

import pytest

from bot.lab.clients import Message
from tests.flows.ward import Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_outsider_gets_a_helpful_answer_and_nothing_else_works(ward: Ward) -> None:
    """Somebody whom nobody enrolled is told how to register; cases, rooms and audit stay closed to him."""
    requester = await ward.phone("requester")
    case = await ward.asks(requester)
    person = ward.somebody("outsider", language="fr")
    await ward.lab.add_account(person)
    outsider = await ward.signed_in(person)
    greeting = next(m for m in outsider.said_by_bot(outsider.direct) if m.kind == "help")
    assert "112" in greeting.body
    assert "!inscrire" in greeting.body

    about_the_case = [f"!{verb} {case.id}" for verb in ("take", "show", "resend", "export")]
    tried = ("bonjour", "!new dermatology", *about_the_case, "!audit", "!list", "123456")
    for text in tried:
        sent = await outsider.types(text)
        answer = await outsider.person.wait_for(
            outsider.direct, partial(_answers, sent), timeout=60, what=f"an answer to {text}"
        )
        assert (answer.kind, answer.data["code"]) == ("error", "not_registered"), text
        assert "!inscrire" in answer.body
    assert len([m for m in outsider.said_by_bot(outsider.direct) if m.kind == "error"]) == len(tried)
    assert outsider.person.invites() == {}
    assert set(await requester.person.members(case.room)) == {ward.lab.bot_id, requester.user_id}


def _answers(event_id: str, message: Message) -> bool:
    relation = message.content.get("m.relates_to")
    return isinstance(relation, dict) and relation.get("m.in_reply_to") == {"event_id": event_id}


async def test_a_device_that_its_owner_did_not_verify_is_told_how_and_obeyed_in_nothing(ward: Ward) -> None:
    """The code is right and the person is enrolled, but anybody could have signed in: no session, no case."""
    person = ward.somebody("unsigned")
    await ward.lab.add_account(person)
    await ward.enrol(person)
    client = await ward.clients.login(ward.lab.accounts[person.user], cross_sign=False, auto_accept=True)
    direct = await client.create_dm(ward.lab.bot_id)
    await client.wait_kind(direct, "help", timeout=60)
    await client.send(direct, ward.lab.code(person.user))
    told = await client.wait_kind(direct, "first_contact", timeout=60, code="device_not_signed")
    assert "verif" in told.body.lower()
    await client.send(direct, "!new dermatology")
    # The bot handles what comes in one after the other: when this one is answered, the one before was handled.
    witness = await ward.phone("witness")
    await witness.types("!list")
    await witness.hears("list")
    kinds = {m.kind for m in client.messages(direct) if m.sender == ward.lab.bot_id}
    assert kinds == {"help", "first_contact"}
    assert client.invites() == {}


async def test_words_in_clear_in_a_case_room_are_not_executed_and_told(ward: Ward) -> None:
    """A command, an answer and a file without encryption could come from the server: nothing of them counts."""
    requester = await ward.phone("requester")
    case = await ward.opens(requester)
    await requester.hears("question", case.room, field="emergency")
    await requester.person.send_plain(case.room, "!cancel")
    told = await requester.hears("first_contact", code="not_encrypted")
    assert "encrypted" in told.body
    await requester.person.send_plain(case.room, "no")
    await requester.person.send_file(case.room, b"in clear" * 200, "a.txt", "text/plain", encrypted=False)
    await requester.types("!form", case.room)
    form = await requester.hears("form_status", case.room)
    assert "not_emergency_ack" in form.data["missing"], "the answer in clear does not count"
    kinds = {m.kind for m in requester.said_by_bot(case.room)}
    assert not kinds & {"cancelled", "answer_recorded", "document_received"}


async def test_an_invitation_to_a_chat_in_clear_is_declined_and_answered_in_an_encrypted_one(ward: Ward) -> None:
    """The bot opens an encrypted chat of its own and says so there."""
    person = ward.somebody("plain")
    await ward.lab.add_account(person)
    client = await ward.clients.login(ward.lab.accounts[person.user], isolation="exclude", auto_accept=True)
    clear = await client.create_plain_dm(ward.lab.bot_id)
    await client.wait_member(clear, ward.lab.bot_id, "leave", timeout=60)
    told = await client.wait_for(
        None,
        lambda m: m.sender == ward.lab.bot_id and m.encrypted and m.room_id != clear,
        timeout=60,
        what="an encrypted message of the bot",
    )
    await client.send(told.room_id, "!help")
    answer = await client.wait_kind(told.room_id, "help", timeout=60)
    assert (answer.encrypted, answer.shield) == (True, "none")


async def test_the_first_words_in_a_chat_that_the_bot_opened_are_readable(ward: Ward) -> None:
    """A phone that never met the bot and excludes insecure devices knows the bot's identity in time."""
    person = ward.somebody("fresh")
    await ward.lab.add_account(person)
    client = await ward.clients.login(ward.lab.accounts[person.user], isolation="exclude", auto_accept=True)
    await client.create_plain_dm(ward.lab.bot_id)
    told = await client.wait_kind(None, "first_contact", code="room_not_encrypted")
    assert (told.encrypted, told.shield, told.sender) == (True, "none", ward.lab.bot_id)


async def test_a_stranger_who_is_brought_into_a_case_room_by_nobody_cannot_get_in(ward: Ward) -> None:
    """Only the bot may invite; the requester's own invitation is refused by the room itself."""
    requester = await ward.phone("requester")
    stranger = ward.somebody("stranger")
    await ward.lab.add_account(stranger)
    case, client = await asyncio.gather(
        ward.opens(requester),
        ward.clients.login(ward.lab.accounts[stranger.user], isolation="exclude"),
    )
    with pytest.raises(Exception, match="M_FORBIDDEN"):
        await requester.person.invite(case.room, client.user_id)
    with pytest.raises(Exception, match="M_FORBIDDEN"):
        await client.accept(case.room)
