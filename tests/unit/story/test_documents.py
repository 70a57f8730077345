"""Files that are dropped into a case: taken in, recognised, matched to a slot, receipted, or refused with a reason."""

import pytest

from bot.domain.case import DocumentState
from bot.domain.errors import ExternalError, Permanent
from bot.domain.steps import State
from bot.services.ports import ArrivalKind
from tests.unit.story.cases import Story, acknowledged, body, data, delivered, opened, refusal, submitted, taken
from tests.world import World


async def documents(story: Story) -> list[tuple[int, str, str | None]]:
    """Return number, state and slot of the documents of a case."""
    return [(d.n, d.state.value, d.slot) for d in (await story.case()).documents]


async def redact(story: Story, event_id: str, by: str | None = None) -> None:
    """Somebody redacts an event in the case room."""
    sender = story.requester.user_id if by is None else by
    rooms = story.world.rooms
    arrival = rooms.arrival(story.room, sender, ArrivalKind.REDACTION, {"redacts": event_id})  # type: ignore[arg-type]  # an id
    await rooms.arrive(arrival)
    await story.world.settle()


async def test_a_file_before_any_answer_is_taken(world: World) -> None:
    """Documents are dropped at any moment, also first."""
    story = await opened(world)
    await story.drops(b"ECG tracing")

    assert await documents(story) == [(1, "ready", "ecg_12")]
    receipt = data(story.last("document_received"))
    assert (receipt["n"], receipt["slot"], receipt["bytes"], receipt["document_kind"]) == (1, "ecg_12", 11, "ecg")
    assert len(receipt["sha256"]) == 64


async def test_the_receipt_says_what_is_still_missing(world: World) -> None:
    """Each file that the bot took is visibly acknowledged."""
    story = await opened(world)
    await story.drops(b"ECG tracing")

    assert "ecg_12" not in data(story.last("document_received"))["missing"]
    assert "question" in data(story.last("document_received"))["missing"]


async def test_file_names_are_replaced_by_neutral_ones(world: World) -> None:
    """A name such as `Jeanne_Martin_ECG.dcm` reaches nobody."""
    story = await opened(world)
    await story.requester.drops(b"ECG tracing", story.room, name="Jeanne_Martin_ECG.dcm")

    assert "Jeanne" not in str([event.content for event in world.rooms.sent(story.room)])
    assert story.last("document").content["filename"] == "C-2026-0001 ECG 1.png"


async def test_two_files_of_a_kind_fill_two_slots(world: World) -> None:
    """The second PDF goes to the next slot that takes one."""
    story = await opened(world)
    await story.drops(b"PDF letter")
    await story.drops(b"PDF holter")

    assert await documents(story) == [(1, "ready", "report_letter"), (2, "ready", "holter_report")]


async def test_the_same_file_twice_is_kept_once(world: World) -> None:
    """A duplicate is refused with the number of the first; nothing of it stays."""
    story = await opened(world)
    await story.drops(b"ECG tracing")
    await story.drops(b"ECG tracing")

    assert data(story.last("document_refused"))["code"] == "duplicate"
    assert "document 1" in body(story.last("document_refused"))
    assert [name for _, name in world.vault.files if name == "document-2"] == []


@pytest.mark.parametrize(
    "content, code",
    [(b"", "empty"), (b"BOM bomb", "bomb")],
    ids=["0 bytes", "a small file that unpacks to a huge one"],
)
async def test_a_file_that_cannot_be_taken_is_refused_with_its_reason(world: World, content: bytes, code: str) -> None:
    """The case goes on; nothing of the file stays in the vault."""
    story = await opened(world)
    await story.drops(content)

    assert data(story.last("document_refused"))["code"] == code
    assert world.vault.files == {}


async def test_a_file_that_crashes_its_decoder_is_kept_and_said_so(world: World) -> None:
    """A file cut in the middle is offered as it is, with a note."""
    story = await opened(world)
    await story.drops(b"CUT in the middle")

    assert await documents(story) == [(1, "ready", None)]
    assert data(story.last("document_received"))["notes"] == ["crashed"]


async def test_a_file_that_is_too_large_by_its_own_word_is_refused_before_it_is_fetched(world: World) -> None:
    """The limit of the line is said, and nothing is fetched or stored."""
    story = await opened(world)
    arrival = await world.rooms.drop_file(
        story.requester.user_id, story.room, b"x", name="a", mimetype="a/b", msgtype="m.file"
    )
    del arrival
    await world.settle()
    await _claims(story, size=500_000_001)

    assert refusal(story.requester, story.room) == "document_too_large"
    assert "500 MB" in body(story.last())


async def _claims(story: Story, **info: object) -> None:
    """Drop a file whose event claims something about itself."""
    rooms = story.world.rooms
    file = {"url": "mxc://test/none", "key": {"k": "k" * 43}, "iv": "A" * 22, "hashes": {"sha256": "x"}}
    content = {"msgtype": "m.file", "body": "a.bin", "file": file, "info": {"mimetype": "a/b", **info}}
    origin = rooms._origin(story.requester.user_id, "PHONE")  # type: ignore[arg-type]  # an id
    arrival = rooms.arrival(
        story.room, story.requester.user_id, ArrivalKind.MESSAGE, content, device_id=origin.device_id
    )
    await rooms.arrive(arrival)
    await story.world.settle()


async def test_a_file_that_lies_about_its_size_is_stopped_on_its_way(world: World) -> None:
    """Dermatology takes 100 MB; a file that claims one byte and brings more is refused and said."""
    story = await opened(world, line="dermatology")
    url = "mxc://test/none"
    world.rooms.media[url] = bytes(100_000_001)
    await _claims(story, size=1)

    assert data(story.last("document_refused"))["code"] == "too_large"
    assert world.vault.files == {}


@pytest.mark.parametrize("code", ["bad_hash", "not_found", "file_damaged"])
async def test_a_file_that_did_not_arrive_as_it_was_sent_is_refused(world: World, code: str) -> None:
    """A wrong hash, a medium that is gone: nothing is kept, and the report will name it."""
    story = await opened(world)
    world.rooms.fail("download", Permanent(code))
    await story.drops(b"ECG tracing")

    assert data(story.last("document_refused"))["code"] == code
    assert [why for _, why in (await story.case()).incidents] == [f"document_{code}"]
    assert world.vault.files == {}


async def test_a_server_that_does_not_answer_is_asked_again(world: World) -> None:
    """A failure for now is no refusal: the file is taken in later, once."""
    story = await opened(world)
    world.rooms.fail("download", ExternalError("unreachable"), times=2)
    await story.drops(b"ECG tracing")
    assert await documents(story) == [(1, "receiving", None)]

    await world.later(minutes=10)
    await world.later(minutes=10)
    assert await documents(story) == [(1, "ready", "ecg_12")]
    assert story.kinds().count("document_received") == 1


async def test_submit_waits_for_a_file_that_is_still_being_read(world: World) -> None:
    """A submitted dossier has every file that was dropped before."""
    story = await opened(world)
    for answer in ("no", "ref 4711, 1958, F", "agrees, seen", "Ablation?"):
        await story.asks(answer)
    world.rooms.fail("download", ExternalError("unreachable"), times=9)
    await story.drops(b"ECG tracing")
    await story.asks("!submit")

    assert story.code() == "documents_arriving"


async def test_a_file_in_the_direct_chat_is_sent_to_the_right_place(world: World) -> None:
    """Documents belong into the room of the case; nothing is fetched."""
    story = await opened(world)
    await story.requester.drops(b"ECG tracing", story.requester.direct)

    assert refusal(story.requester) == "file_in_direct_chat"


async def test_an_unencrypted_file_is_not_taken(world: World) -> None:
    """An attachment without encryption keys is refused and said."""
    story = await opened(world)
    content = {"msgtype": "m.file", "body": "a.bin", "url": "mxc://test/clear"}
    await world.rooms.arrive(
        world.rooms.arrival(
            story.room,
            story.requester.user_id,
            ArrivalKind.MESSAGE,
            content,
            device_id="PHONE",  # type: ignore[arg-type]  # an id
        )
    )
    await world.settle()

    assert story.code() == "file_not_encrypted"


async def test_a_file_from_an_unsigned_device_is_not_taken(world: World) -> None:
    """Files come from cross-signed devices only."""
    story = await opened(world)
    world.rooms.add_device(story.requester.user_id, "STOLEN", cross_signed=False)
    await world.rooms.drop_file(
        story.requester.user_id, story.room, b"ECG", name="a", mimetype="a/b", device_id="STOLEN"
    )
    await world.settle()

    assert await documents(story) == []


async def test_a_form_answered_with_a_picture_takes_the_picture_as_a_document(world: World) -> None:
    """A picture is no answer to the patient line: it is kept as a document and the question stays open."""
    story = await opened(world)
    await story.asks("no")
    await story.drops(b"IMG photo of a letter")

    assert (await story.case()).asked == "patient"
    assert len((await story.case()).shown) == 1


# -- withdrawing -------------------------------------------------------------------------------------------------------


async def test_a_redaction_before_submission_withdraws_the_document_and_is_repeated(world: World) -> None:
    """The slot is empty again."""
    story = await opened(world)
    event = await story.drops(b"ECG tracing")
    await redact(story, event)

    assert await documents(story) == [(1, "withdrawn", None)]
    assert data(story.last("document_withdrawn"))["n"] == 1


async def test_a_redaction_by_somebody_else_withdraws_nothing(world: World) -> None:
    """A redaction is in clear: it counts from whoever sent the file only."""
    story, other = await opened(world), await world.physician("bob", number=2)
    event = await story.drops(b"ECG tracing")
    await redact(story, event, by=other.user_id)

    assert await documents(story) == [(1, "ready", "ecg_12")]


async def test_a_redaction_after_submission_is_recorded_and_changes_nothing(world: World) -> None:
    """What experts were given stays; that somebody wanted it out is noted."""
    story = await opened(world)
    event = await story.drops(b"ECG tracing")
    for answer in ("no", "ref 4711, 1958, F", "agrees, seen", "Ablation?", "!submit anyway"):
        await story.asks(answer)
    await redact(story, event)

    assert await documents(story) == [(1, "ready", "ecg_12")]
    assert story.kinds()[-1] == "document_stays"


async def test_a_redaction_of_an_answer_or_of_a_command_changes_nothing(world: World) -> None:
    """Only documents can be withdrawn by a redaction."""
    story = await opened(world)
    event = await story.asks("no")
    before = await story.case()
    await redact(story, event)

    assert await story.case() == before


async def test_remove_takes_a_document_out_by_its_number(world: World) -> None:
    """`remove 2`, as the help says."""
    story = await opened(world)
    await story.drops(b"PDF letter")
    await story.drops(b"ECG tracing")
    await story.asks("!remove 2")

    assert await documents(story) == [(1, "ready", "report_letter"), (2, "withdrawn", None)], body(story.last())


@pytest.mark.parametrize("n", ["9", "x", "-1", "1.5", "99999999999999999999"])
async def test_a_document_that_does_not_exist_cannot_be_removed(world: World, n: str) -> None:
    """A wrong number gets a clear answer and takes nothing out."""
    story = await opened(world)
    await story.drops(b"ECG tracing")
    await story.asks(f"!remove {n}")

    assert story.code() in ("no_such_document", "argument_missing", "argument_wrong", "other_case_here")
    assert await documents(story) == [(1, "ready", "ecg_12")]


async def test_a_withdrawn_file_can_be_sent_again(world: World) -> None:
    """It is no duplicate of what was taken out."""
    story = await opened(world)
    event = await story.drops(b"ECG tracing")
    await redact(story, event)
    await story.drops(b"ECG tracing")

    assert (await documents(story))[1] == (2, "ready", "ecg_12")


# -- after submission --------------------------------------------------------------------------------------------------


async def test_a_file_after_submission_reaches_the_experts(world: World) -> None:
    """A document may come at any time while the case is open; experts in the room read it."""
    story = await taken(world)
    await story.drops(b"LOO new loop")

    document = next(d for d in (await story.case()).documents if d.n == 3)
    assert document.state is DocumentState.READY
    assert data(story.last("document"))["n"] == 3
    assert story.experts[0].user_id in {user for user, _ in story.last("document").readers}


async def test_a_file_after_submission_and_before_an_expert_is_in_his_dossier(world: World) -> None:
    """What comes while nobody has taken it is in the dossier that the first expert gets."""
    story = await submitted(world)
    await story.drops(b"LOO new loop")
    await story.takes(0)

    assert data(story.last("dossier"))["documents"] == 3


async def test_an_expert_may_drop_a_file_too(world: World) -> None:
    """A colleague who is in the case adds a picture."""
    story = await taken(world)
    await story.experts[0].drops(b"IMG marked ECG", story.room)

    assert (await documents(story))[-1][:2] == (3, "ready")


async def test_a_file_after_delivery_is_still_taken(world: World) -> None:
    """Until the case is closed a document can come, for a follow-up."""
    story = await delivered(world)
    await story.drops(b"LOO new loop")

    assert (await documents(story))[-1][:2] == (3, "ready")


async def test_a_closed_case_takes_no_more_files(world: World) -> None:
    """Too late is said, and nothing is fetched."""
    story = await acknowledged(world)
    await story.drops(b"LOO new loop")

    assert story.code() == "document_too_late"
    assert (await story.case()).state is State.CLOSED


async def test_sixty_documents_are_the_most(world: World) -> None:
    """A limit that is said, not a silence."""
    story = await opened(world)
    for n in range(61):
        await world.rooms.drop_file(
            story.requester.user_id, story.room, b"IMG %d" % n, name="a.jpg", mimetype="image/jpeg"
        )
    await world.settle()

    assert len((await story.case()).documents) == 60
    assert "too_many_documents" in str([event.content for event in world.rooms.sent(story.room)])


async def test_an_original_is_posted_as_a_file(world: World) -> None:
    """`original 1` posts the file itself for whoever wants to measure."""
    story = await taken(world)
    await story.answers(0, "!original 2")

    assert data(story.last("document"))["role"] == "file", body(story.last())
    assert data(story.last("document"))["n"] == 2
