"""What every store promises. There is one alone, and it is the real one: in a folder of its own it is fast enough."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from bot.adapters.store import SqlStore
from bot.domain.audit import AuditEvent, first_break
from bot.domain.case import Assigned, Question
from bot.domain.effects import CaseRoom, Destroy, Direct, OrderErasure, Purpose, ThisRoom
from bot.domain.errors import ExternalError, Refusal
from bot.domain.ids import CaseId, DeviceId, EventId, LineId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.notice import Option, Poll
from bot.domain.people import Credential, Person, Role, Session, Standing
from bot.domain.steps import State
from bot.services.ports import (
    ArrivalKind,
    EncryptedFile,
    EventEntry,
    OpenPoll,
    Pending,
    Planned,
    RoomEntry,
    Store,
    Unit,
)
from tests.fakes.clock import FixedClock
from tests.fakes.vault import MemoryVault
from tests.unit.store.samples import (
    ANN,
    BOB,
    CASE,
    CHAT,
    NOW,
    OTHER,
    PHONE,
    ROOM,
    a_case,
    an_arrival,
    in_case,
    to,
    words,
)

KEY = os.urandom(32)
SECRET = "syncope-au-volant"


@pytest.fixture
def clock() -> FixedClock:
    """A clock at NOW."""
    return FixedClock(NOW)


@pytest.fixture
async def vault() -> MemoryVault:
    """A vault with the keys of two cases."""
    made = MemoryVault()
    await made.create_key(CASE)
    await made.create_key(OTHER)
    return made


@pytest.fixture
async def store(tmp_path: Path, vault: MemoryVault, clock: FixedClock) -> AsyncIterator[SqlStore]:
    """An open, empty store."""
    made = SqlStore(tmp_path / "store.db", KEY, vault, clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def unit(store: SqlStore) -> AsyncIterator[Unit]:
    """An open unit."""
    async with store.unit() as made:
        yield made


def file(url: str = "mxc://hospital.test/1") -> EncryptedFile:
    """Return an upload."""
    return EncryptedFile(url=url, key=SECRET, iv="iv", sha256="hash", size=10)


def case_room(room_id: RoomId = ROOM, case_id: CaseId = CASE, purpose: Purpose = Purpose.CASE) -> RoomEntry:
    """Return the entry of a room of a case."""
    return RoomEntry(room_id=room_id, purpose=purpose, case_id=case_id, user_id=None)


def chat_of(user_id: UserId, room_id: RoomId = CHAT) -> RoomEntry:
    """Return the entry of a direct chat."""
    return RoomEntry(room_id=room_id, purpose=Purpose.DIRECT, case_id=None, user_id=user_id)


def an_open_poll(event_id: str = "$poll", case_id: CaseId | None = CASE) -> OpenPoll:
    """Return a posted poll."""
    options = (Option(answer_id="x1", value="yes", label=SECRET),)
    poll = Poll(asked=ANN, field="urgency", options=options)
    return OpenPoll(event_id=EventId(event_id), room_id=ROOM, case_id=case_id, poll=poll)


def a_person(user_id: UserId = ANN, **values: object) -> Person:
    """Return an enrolled physician."""
    plain = Person(
        user_id=user_id,
        name="Ann Peeters",
        language=Language.NL,
        standing=Standing.ENROLLED,
        inami="10000034580",
        roles=frozenset({Role.PHYSICIAN, Role.CHAIR}),
        lines={LineId("rhythmology"): "interventional"},
    )
    return replace(plain, **values)  # type: ignore[arg-type]  # the fields of a Person


def said(effects: object) -> list[str]:
    """Return the words of planned messages."""
    assert isinstance(effects, list)
    return [words(one.effect) for one in effects]


# -- units -------------------------------------------------------------------------------------------------------------


async def test_a_unit_that_raises_leaves_nothing_of_anything(store: SqlStore) -> None:
    """Case, effect, audit, ledger, person, value: one step, one transaction."""

    async def step() -> None:
        async with store.unit() as unit:
            await unit.save_case(a_case(), next_due_at=NOW)
            await unit.plan(in_case("hello"))
            await unit.audit(AuditEvent(kind="new", by=ANN))
            await unit.record_room(case_room())
            await unit.save_person(a_person())
            await unit.save_value("k", "v")
            raise KeyError

    with pytest.raises(KeyError):
        await step()
    assert await store.ready_effects(NOW) == []
    assert await store.audit_rows() == []
    async with store.unit() as unit:
        assert await unit.case(CASE) is None
        assert await unit.due_cases(NOW, 10) == []
        assert await unit.room(ROOM) is None
        assert await unit.person(ANN) is None
        assert await unit.value("k") is None


async def test_a_cancelled_unit_leaves_nothing(store: SqlStore) -> None:
    """A shutdown in the middle of a step."""
    reached = asyncio.Event()

    async def step() -> None:
        async with store.unit() as unit:
            await unit.save_value("k", "v")
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(step())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.unit() as unit:
        assert await unit.value("k") is None


async def test_a_savepoint_is_undone_alone(store: SqlStore) -> None:
    """A refused command still leaves its answer and its audit row."""

    async def refused(unit: Unit) -> None:
        async with unit.savepoint():
            await unit.save_value("inner", "v")
            raise Refusal("no")

    async with store.unit() as unit:
        await unit.save_value("before", "v")
        with pytest.raises(Refusal):
            await refused(unit)
        await unit.save_value("after", "v")
    async with store.unit() as unit:
        found = [await unit.value(key) for key in ("before", "inner", "after")]
    assert found == ["v", None, "v"]


async def test_what_was_committed_is_there_after_opening_again(
    tmp_path: Path, store: SqlStore, vault: MemoryVault, clock: FixedClock
) -> None:
    """A restart loses nothing."""
    case = a_case(passed=("height",))
    async with store.unit() as unit:
        await unit.save_case(case, next_due_at=None)
        await unit.plan(in_case("hello"), answers=EventId("$1"))
    [before] = await store.ready_effects(NOW)
    await store.close()
    again = SqlStore(tmp_path / "store.db", KEY, vault, clock)
    await again.open()
    async with again.unit() as unit:
        assert await unit.case(CASE) == case
    assert await again.ready_effects(NOW) == [before]
    await again.close()


async def test_two_connections_wait_for_each_other(
    tmp_path: Path, store: SqlStore, vault: MemoryVault, clock: FixedClock
) -> None:
    """The bot and an admin's command line: neither loses a row, and the audit chain stays whole."""
    other = SqlStore(tmp_path / "store.db", KEY, vault, clock)
    await other.open()

    async def write(into: Store, times: int) -> None:
        for _ in range(times):
            async with into.unit() as unit:
                await unit.save_value("count", str(int(await unit.value("count") or 0) + 1))
                await unit.audit(AuditEvent(kind="test", by=None))

    await asyncio.gather(write(store, 20), write(other, 20))
    async with other.unit() as unit:
        assert await unit.value("count") == "40"
    rows = await store.audit_rows()
    assert len(rows) == 40
    assert first_break(rows) is None
    await other.close()


# -- cases -------------------------------------------------------------------------------------------------------------


async def test_numbers_go_up_by_year_and_are_never_given_twice(store: SqlStore) -> None:
    """C-<year>-<at least four digits>; erasing the newest case does not give its number away again."""
    async with store.unit() as unit:
        assert [await unit.new_case_id(2026) for _ in range(2)] == ["C-2026-0001", "C-2026-0002"]
        await unit.save_case(a_case(OTHER), next_due_at=None)
        await unit.forget_case(OTHER)
    async with store.unit() as unit:
        assert await unit.new_case_id(2027) == "C-2027-0001"
        assert await unit.new_case_id(2026) == "C-2026-0003"
        for _ in range(10_000 - 4):
            await unit.new_case_id(2026)
        assert await unit.new_case_id(2026) == "C-2026-10000"


async def test_a_case_comes_back_as_it_was_saved_last(unit: Unit) -> None:
    """Saved twice, there is one."""
    await unit.save_case(a_case(), next_due_at=None)
    later = a_case(state=State.SUBMITTED, questions=(Question(n=1, by=BOB, at=NOW, text=SECRET),))
    await unit.save_case(later, next_due_at=None)
    assert await unit.case(CASE) == later
    assert await unit.cases() == [later]
    assert await unit.case(OTHER) is None


async def test_cases_are_found_by_every_condition_together(unit: Unit, vault: MemoryVault) -> None:
    """State, line, requester, expert; the oldest first, also after the number 9999."""
    expert = Assigned(user_id=BOB, since=NOW, how="taken", function="x")
    kept = [
        a_case(CaseId("C-2026-9999")),
        a_case(CaseId("C-2026-10000"), state=State.ACCEPTED, experts=(expert,)),
        a_case(CaseId("C-2026-10001"), state=State.ACCEPTED, line=LineId("valve"), experts=(expert,)),
        a_case(CaseId("C-2026-10002"), state=State.CLOSED, requester=BOB),
    ]
    for case in kept:
        await vault.create_key(case.id)
        await unit.save_case(case, next_due_at=None)
    assert await unit.cases() == kept
    assert await unit.cases(states=(State.ACCEPTED, State.CLOSED)) == kept[1:]
    assert await unit.cases(states=()) == []
    assert await unit.cases(line=LineId("rhythmology"), requester=ANN) == kept[:2]
    assert await unit.cases(expert=BOB) == kept[1:3]
    assert await unit.cases(expert=BOB, line=LineId("valve"), states=(State.ACCEPTED,)) == [kept[2]]
    assert await unit.cases(requester=UserId("@nobody:hospital.test")) == []


async def test_an_expert_who_left_finds_the_case_no_more(unit: Unit) -> None:
    """The columns for looking up follow the case."""
    expert = Assigned(user_id=BOB, since=NOW, how="taken", function="x")
    await unit.save_case(a_case(experts=(expert,)), next_due_at=None)
    await unit.save_case(a_case(former=(BOB,)), next_due_at=None)
    assert await unit.cases(expert=BOB) == []


async def test_more_cases_than_are_read_at_once_are_all_found(unit: Unit, vault: MemoryVault) -> None:
    """They are read in parts, and none is left out or found twice."""
    ids = [CaseId(f"C-2026-{n:04}") for n in range(1, 252)]
    for case_id in ids:
        await vault.create_key(case_id)
        await unit.save_case(a_case(case_id), next_due_at=None)
    assert [case.id for case in await unit.cases(requester=ANN)] == ids


async def test_due_cases_are_the_most_overdue_ones(unit: Unit, vault: MemoryVault) -> None:
    """Exactly now is due; no time is never due."""
    hour = timedelta(hours=1)
    for n, due in enumerate((NOW, NOW - hour, NOW + hour, None), start=1):
        await vault.create_key(CaseId(f"C-2026-000{n}"))
        await unit.save_case(a_case(CaseId(f"C-2026-000{n}")), next_due_at=due)
    assert await unit.due_cases(NOW, 10) == ["C-2026-0002", "C-2026-0001"]
    assert await unit.due_cases(NOW, 1) == ["C-2026-0002"]


async def test_a_case_without_its_key_counts_as_erased(unit: Unit, vault: MemoryVault) -> None:
    """Between the destruction of the key and that of the rows."""
    await unit.save_case(a_case(), next_due_at=NOW)
    await unit.save_case(a_case(OTHER), next_due_at=NOW)
    await vault.erase_key(CASE)
    with pytest.raises(Refusal) as refused:
        await unit.case(CASE)
    assert (refused.value.code, refused.value.values) == ("case_erased", {"case": CASE})
    assert [case.id for case in await unit.cases()] == [OTHER]
    with pytest.raises(Refusal):
        await unit.plan(in_case("too late"))


# -- forgetting --------------------------------------------------------------------------------------------------------


async def fill(store: SqlStore, case_id: CaseId, mark: str) -> None:
    """Put something of a case into every table; *mark* makes its ids its own."""
    room, panel = RoomId(f"!{mark}-case"), RoomId(f"!{mark}-panel")
    async with store.unit() as unit:
        await unit.save_case(
            a_case(
                case_id,
                experts=(Assigned(user_id=BOB, since=NOW, how="taken", function="x"),),
                questions=(Question(n=1, by=BOB, at=NOW, text=SECRET),),
            ),
            next_due_at=NOW,
        )
        await unit.record_room(case_room(room, case_id))
        await unit.record_room(case_room(panel, case_id, Purpose.PANEL))
        await unit.record_event(case_id, EventEntry(event_id=EventId(f"${mark}-old"), room_id=CHAT, own=True))
        await unit.record_event(case_id, EventEntry(event_id=EventId(f"${mark}-direct"), room_id=CHAT, own=False))
        await unit.record_medium(case_id, f"{mark}-file", file(f"mxc://hospital.test/{mark}"))
        await unit.record_poll(an_open_poll(f"${mark}-poll", case_id))
        await unit.plan(in_case(SECRET, case_id))
        await unit.plan(to(BOB, SECRET, case_id))
        await unit.save_pending(BOB, Pending(kind="unlock", line=f"draft {case_id.lower()} {SECRET}", at=NOW))
    await store.take(
        f"token-{mark}",
        [
            an_arrival(f"${mark}-1", room_id=room, content={"body": SECRET}),
            an_arrival(f"${mark}-2", room_id=panel, kind=ArrivalKind.UNDECRYPTABLE, content={"body": SECRET}),
            an_arrival(f"${mark}-direct", room_id=CHAT, content={"body": SECRET}),
        ],
    )


def raw(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, read with the key of the database."""
    connection = sqlcipher.connect(str(path))
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    connection.close()
    return found


async def test_a_forgotten_case_leaves_its_number_alone(tmp_path: Path, store: SqlStore) -> None:
    """No row names it, its rooms, its experts' words; ids of its events stay only so that a replay is known."""
    await fill(store, CASE, "one")
    async with store.unit() as unit:
        await unit.audit(AuditEvent(kind="erased", by=None, case_id=CASE))
        await unit.forget_case(CASE)
        await unit.save_value("k", "v")
    await store.close()
    rows = raw(tmp_path / "store.db")
    assert [row[1:] for row in rows.pop("cases")] == [(CASE, "erased", None, None, None, None)]
    assert len(rows.pop("audit")) == 1
    assert {row[1] for row in rows["inbox"]} == {"$one-1", "$one-2", "$one-direct"}
    left = [row for table in rows if table not in ("inbox", "sqlite_sequence") for row in rows[table]]
    assert set(left) == {("sync token", "token-one"), ("k", "v")}
    everything = repr(rows)
    assert SECRET not in everything
    assert CASE not in everything
    assert "!one" not in everything


async def test_forgetting_one_case_leaves_the_others_alone(store: SqlStore) -> None:
    """Every row of the other case is still there."""
    await fill(store, CASE, "one")
    await fill(store, OTHER, "two")
    async with store.unit() as unit:
        await unit.forget_case(CASE)
    async with store.unit() as unit:
        assert [case.id for case in await unit.cases(expert=BOB)] == [OTHER]
        assert [entry.room_id for entry in await unit.rooms(OTHER)] == ["!two-case", "!two-panel"]
        assert len(await unit.events(OTHER)) == 2
        assert await unit.media(OTHER) == ["mxc://hospital.test/two"]
        assert await unit.poll(EventId("$two-poll")) is not None
        assert await unit.pending(BOB) is not None
        assert not await unit.idle(OTHER)
        assert await unit.idle(CASE)
        assert await unit.claim(EventId("$two-1")) is not None
    assert await store.next_arrivals(10) == ["$two-1", "$two-direct"]
    assert [arrival.event_id for arrival in await store.undecryptable()] == ["$two-2"]


async def test_a_forgotten_case_answers_and_stays_forgotten(store: SqlStore) -> None:
    """Its number is known; nothing brings it back."""
    async with store.unit() as unit:
        await unit.save_case(a_case(), next_due_at=NOW)
        await unit.forget_case(CASE)
        with pytest.raises(Refusal) as refused:
            await unit.case(CASE)
        with pytest.raises(Refusal):
            await unit.save_case(a_case(), next_due_at=NOW)
        assert await unit.cases() == []
        assert await unit.due_cases(NOW, 10) == []
    assert (refused.value.code, refused.value.values) == ("case_erased", {"case": CASE})


async def test_saving_a_case_as_erased_keeps_its_number_alone(tmp_path: Path, store: SqlStore) -> None:
    """Whoever saves the last state by habit does not write the case down once more."""
    async with store.unit() as unit:
        await unit.save_case(a_case(), next_due_at=NOW)
        await unit.save_case(a_case(state=State.ERASED), next_due_at=NOW)
    await store.close()
    assert [row[1:] for row in raw(tmp_path / "store.db")["cases"]] == [(CASE, "erased", None, None, None, None)]


async def test_the_erasure_of_a_forgotten_case_can_be_told(store: SqlStore, vault: MemoryVault) -> None:
    """Without a key, because nothing but the number is left to say."""
    async with store.unit() as unit:
        await unit.save_case(a_case(), next_due_at=NOW)
    await vault.erase_key(CASE)
    async with store.unit() as unit:
        await unit.forget_case(CASE)
        await unit.plan(to(ANN, "erased", CASE))
    assert said(await store.ready_effects(NOW)) == ["erased"]


async def test_patient_data_is_in_clear_in_no_file(tmp_path: Path, store: SqlStore) -> None:
    """Neither in the database nor in its log, while it is open and afterwards."""
    await fill(store, CASE, "one")
    for _ in range(2):
        for path in tmp_path.iterdir():
            content = path.read_bytes()
            assert SECRET.encode() not in content
            assert CASE.encode() not in content
            assert b"SQLite format 3" not in content
        assert (tmp_path / "store.db").stat().st_size > 0
        await store.close()


async def test_what_is_of_a_case_needs_its_key_besides_that_of_the_database(tmp_path: Path, store: SqlStore) -> None:
    """Whoever has the database alone reads no word of a case; an unhandled message in a direct chat is of none yet."""
    await fill(store, CASE, "one")
    async with store.unit() as unit:
        await unit.save_pending(BOB, None)
        await unit.handled(EventId("$one-direct"))
    await store.close()
    assert SECRET not in repr(raw(tmp_path / "store.db"))


# -- people ------------------------------------------------------------------------------------------------------------


async def test_people_come_back_as_they_were(unit: Unit) -> None:
    """By id, all of them, and by the first eight digits of the INAMI number."""
    bob = a_person(BOB, inami="10000034999", email="bob@hospital.test", away_until=NOW)
    clerk = a_person(UserId("@clerk:hospital.test"), inami=None)
    for person in (clerk, bob, a_person()):
        await unit.save_person(person)
    assert await unit.people() == [a_person(), bob, clerk]
    assert await unit.person(BOB) == bob
    assert await unit.holders("10000034") == [a_person(), bob]
    assert await unit.holders("10000035") == []
    await unit.save_person(replace(bob, inami="10000035123"))
    assert await unit.holders("10000034") == [a_person()]


async def test_a_second_factor_comes_back_as_it_was(unit: Unit) -> None:
    """With its guesses and its lock."""
    assert await unit.credential(ANN) is None
    await unit.save_credential(Credential(user_id=ANN, secret="S"))
    later = Credential(user_id=ANN, secret="S", last_step=7, wrong=2, locked_until=NOW, shown_at=NOW)
    await unit.save_credential(later)
    assert await unit.credential(ANN) == later


async def test_a_session_is_of_one_device_and_ends_at_its_time(unit: Unit) -> None:
    """To the microsecond; the newest end counts."""
    end = NOW + timedelta(hours=12)
    await unit.save_session(Session(user_id=ANN, device_id=PHONE, until=NOW + timedelta(hours=1)))
    await unit.save_session(Session(user_id=ANN, device_id=PHONE, until=end))
    just_before = end - timedelta(microseconds=1)
    assert await unit.session(ANN, PHONE, just_before) == Session(user_id=ANN, device_id=PHONE, until=end)
    assert await unit.session(ANN, PHONE, end) is None
    assert await unit.session(ANN, DeviceId("OTHER"), NOW) is None
    assert await unit.has_session(ANN, just_before)
    assert not await unit.has_session(ANN, end)
    assert not await unit.has_session(BOB, NOW)
    await unit.end_sessions(ANN)
    assert not await unit.has_session(ANN, NOW)


async def test_one_question_is_open_to_a_person(unit: Unit) -> None:
    """The newer takes the place of the older; None takes it away."""
    first = Pending(kind="unlock", line="take C-2026-0001", at=NOW)
    await unit.save_pending(ANN, first)
    await unit.save_pending(ANN, replace(first, line="inbox"))
    assert await unit.pending(ANN) == replace(first, line="inbox")
    await unit.save_pending(ANN, None)
    assert await unit.pending(ANN) is None


# -- ledger ------------------------------------------------------------------------------------------------------------


async def test_rooms_are_found_by_what_they_are_for(unit: Unit) -> None:
    """By id, by place, by case; a stranger's room is its own place."""
    panel = case_room(RoomId("!panel"), purpose=Purpose.PANEL)
    for entry in (case_room(), panel, chat_of(ANN)):
        await unit.record_room(entry)
    assert await unit.room(ROOM) == case_room()
    assert await unit.room(RoomId("!else")) is None
    assert await unit.room_of(CaseRoom(case_id=CASE)) == ROOM
    assert await unit.room_of(CaseRoom(case_id=CASE, purpose=Purpose.PANEL)) == "!panel"
    assert await unit.room_of(CaseRoom(case_id=OTHER)) is None
    assert await unit.room_of(Direct(user_id=ANN)) == CHAT
    assert await unit.room_of(Direct(user_id=BOB)) is None
    assert await unit.room_of(ThisRoom(room_id=RoomId("!else"))) == "!else"
    assert await unit.rooms(CASE) == [case_room(), panel]
    assert await unit.all_rooms() == [case_room(), panel, chat_of(ANN)]
    await unit.forget_room(ROOM)
    assert await unit.room_of(CaseRoom(case_id=CASE)) is None


async def test_a_new_direct_chat_takes_the_place_of_the_old_one(unit: Unit) -> None:
    """One current chat a person; recording it again changes nothing."""
    new = chat_of(ANN, RoomId("!new"))
    for entry in (chat_of(ANN), chat_of(BOB, RoomId("!bob")), new, new):
        await unit.record_room(entry)
    assert await unit.room_of(Direct(user_id=ANN)) == "!new"
    assert await unit.room(CHAT) is None
    assert await unit.room_of(Direct(user_id=BOB)) == "!bob"


async def test_a_room_that_replaces_another_is_the_place_and_both_are_kept(unit: Unit) -> None:
    """After a room upgrade the erasure must still find the old one."""
    await unit.record_room(case_room())
    await unit.record_room(case_room(RoomId("!upgraded")))
    assert await unit.room_of(CaseRoom(case_id=CASE)) == "!upgraded"
    assert [entry.room_id for entry in await unit.rooms(CASE)] == [ROOM, "!upgraded"]


async def test_events_are_entered_once(unit: Unit) -> None:
    """In the order in which they came; one that speaks of two cases is erased with either."""
    entries = [EventEntry(event_id=EventId(f"${n}"), room_id=ROOM, own=n == 2) for n in (3, 1, 2)]
    for entry in [*entries, entries[0]]:
        await unit.record_event(CASE, entry)
    await unit.record_event(OTHER, entries[0])
    assert await unit.events(CASE) == entries
    assert await unit.events(OTHER) == entries[:1]
    assert await unit.case_of_event(EventId("$3")) == CASE
    assert await unit.case_of_event(EventId("$4")) is None


async def test_a_medium_stands_for_its_stored_file(unit: Unit) -> None:
    """The newest upload of a file is posted; every address of the case is erased."""
    first, second, loose = (file(f"mxc://hospital.test/{n}") for n in (1, 2, 3))
    await unit.record_medium(CASE, "ecg", first)
    await unit.record_medium(CASE, "ecg", second)
    await unit.record_medium(CASE, None, loose)
    await unit.record_medium(CASE, None, second)
    assert await unit.medium(CASE, "ecg") == second
    assert await unit.medium(CASE, "echo") is None
    assert await unit.medium(OTHER, "ecg") is None
    assert await unit.media(CASE) == [first.url, second.url, loose.url]


async def test_a_poll_is_open_until_it_is_ended(unit: Unit, vault: MemoryVault) -> None:
    """By its event, by room and field; those of an erased case ask nobody."""
    of_case, of_none = an_open_poll(), an_open_poll("$ring", None)
    await unit.record_poll(of_case)
    await unit.record_poll(of_none)
    assert await unit.poll(EventId("$poll")) == of_case
    assert await unit.open_polls(ROOM, "urgency") == [of_case, of_none]
    assert await unit.open_polls(ROOM, "consent") == []
    assert await unit.open_polls(CHAT, "urgency") == []
    await vault.erase_key(CASE)
    assert await unit.open_polls(ROOM, "urgency") == [of_none]
    assert await unit.poll(EventId("$poll")) is None
    await unit.end_poll(EventId("$ring"))
    assert await unit.open_polls(ROOM, "urgency") == []


# -- outbox ------------------------------------------------------------------------------------------------------------


async def test_lanes_go_on_without_each_other_and_each_in_order(store: SqlStore) -> None:
    """The first of each lane, the oldest lane first; the next one when it is finished."""
    async with store.unit() as unit:
        for effect in (in_case("a1"), to(ANN, "b1"), in_case("a2"), to(ANN, "b2"), in_case("c1", OTHER)):
            await unit.plan(effect)
    ready = await store.ready_effects(NOW)
    assert said(ready) == ["a1", "b1", "c1"]
    async with store.unit() as unit:
        await unit.finish(ready[0])
    assert said(await store.ready_effects(NOW)) == ["b1", "a2", "c1"]


async def test_a_lane_waits_for_its_first_effect(store: SqlStore) -> None:
    """Postponed, it holds up what stands behind it, until exactly its time; tries are counted."""
    async with store.unit() as unit:
        await unit.plan(in_case("a1"))
        await unit.plan(in_case("a2"))
        await unit.plan(to(ANN, "b1"))
    first = (await store.ready_effects(NOW))[0]
    until = NOW + timedelta(seconds=30)
    async with store.unit() as unit:
        await unit.postpone(first, until)
    assert said(await store.ready_effects(until - timedelta(microseconds=1))) == ["b1"]
    ready = await store.ready_effects(until)
    assert said(ready) == ["a1", "b1"]
    assert ready[0] == replace(first, attempts=1)


async def test_a_planned_effect_says_what_the_outbox_needs(store: SqlStore, clock: FixedClock) -> None:
    """Its id is fixed before the first try, so that a repeat is known on the homeserver."""
    async with store.unit() as unit:
        await unit.plan(in_case("a1"), answers=EventId("$1"))
        clock.advance(minutes=1)
        await unit.plan(to(ANN, "b1"))
    a, b = await store.ready_effects(NOW)
    assert (a.effect, a.lane, a.case_id, a.attempts, a.answers) == (in_case("a1"), f"case:{CASE}", CASE, 0, "$1")
    assert (b.lane, b.case_id, b.answers) == (f"direct:{ANN}", None, None)
    assert (a.planned_at, b.planned_at) == (NOW, NOW + timedelta(minutes=1))
    assert a.id != b.id
    assert [one.id for one in await store.ready_effects(NOW)] == [a.id, b.id]
    assert await store.oldest_effect() == NOW
    async with store.unit() as unit:
        await unit.finish(a)
    assert await store.oldest_effect() == NOW + timedelta(minutes=1)


async def test_an_empty_outbox_is_empty(store: SqlStore) -> None:
    """Nothing is ready, and nothing is old."""
    assert await store.ready_effects(NOW) == []
    assert await store.oldest_effect() is None


async def test_effects_of_an_erased_case_hold_up_nobody(store: SqlStore, vault: MemoryVault) -> None:
    """Their key is gone, so they can never be sent; a direct chat goes on with the next."""
    async with store.unit() as unit:
        await unit.save_case(a_case(), next_due_at=None)
        await unit.plan(to(ANN, "of the case", CASE))
        await unit.plan(in_case("of the case"))
        await unit.plan(to(ANN, "of none"))
    await vault.erase_key(CASE)
    assert said(await store.ready_effects(NOW)) == ["of none"]


async def test_what_erases_a_case_outlives_its_key(store: SqlStore, vault: MemoryVault) -> None:
    """A crash after the destruction of the key goes on with the erasure."""
    async with store.unit() as unit:
        await unit.save_case(a_case(), next_due_at=None)
        await unit.plan(OrderErasure(case_id=CASE))
        await unit.plan(Destroy(case_id=CASE))
    await vault.erase_key(CASE)
    [order] = await store.ready_effects(NOW)
    assert order.effect == OrderErasure(case_id=CASE)
    async with store.unit() as unit:
        await unit.finish(order)
    [destroy] = await store.ready_effects(NOW)
    assert destroy.effect == Destroy(case_id=CASE)
    async with store.unit() as unit:
        await unit.forget_case(CASE)
        await unit.finish(destroy)
        assert await unit.idle(CASE)


async def test_many_lanes_are_all_served(store: SqlStore) -> None:
    """Only so many are read at a time; finishing them brings the others."""
    async with store.unit() as unit:
        for n in range(130):
            await unit.plan(to(UserId(f"@{n}:hospital.test"), str(n)))
    served: list[Planned] = []
    while ready := await store.ready_effects(NOW):
        async with store.unit() as unit:
            for planned in ready:
                await unit.finish(planned)
        served += ready
    assert said(served) == [str(n) for n in range(130)]


# -- inbox -------------------------------------------------------------------------------------------------------------


async def test_arrivals_come_in_order_with_the_token_that_covers_them(store: SqlStore) -> None:
    """In the order of the batches, and inside a batch in its own."""
    assert await store.sync_token() is None
    await store.take("t1", [an_arrival("$b"), an_arrival("$a")])
    await store.take("t2", [])
    await store.take("t3", [an_arrival("$c")])
    assert await store.sync_token() == "t3"
    assert await store.next_arrivals(10) == ["$b", "$a", "$c"]
    assert await store.next_arrivals(2) == ["$b", "$a"]


async def test_an_arrival_is_claimed_as_it_came_until_it_is_handled(store: SqlStore) -> None:
    """In a case's room and elsewhere; an undone unit leaves it unhandled."""
    async with store.unit() as unit:
        await unit.record_room(case_room())
    arrivals = [an_arrival("$1"), an_arrival("$2", room_id=CHAT)]
    await store.take("t", arrivals)

    async def fail() -> None:
        async with store.unit() as unit:
            await unit.handled(EventId("$1"))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with store.unit() as unit:
        assert [await unit.claim(arrival.event_id) for arrival in arrivals] == arrivals
        await unit.handled(EventId("$1"))
        assert await unit.claim(EventId("$1")) is None
        assert await unit.claim(EventId("$3")) is None
    assert await store.next_arrivals(10) == ["$2"]


@pytest.mark.parametrize("handled_first", [False, True])
async def test_replays_are_dropped(tmp_path: Path, store: SqlStore, handled_first: bool) -> None:
    """By id, and the same ciphertext under a new id by its fingerprint, also after the first was handled."""
    await store.take("t1", [an_arrival("$1", fingerprint="f1"), an_arrival("$2"), an_arrival("$3")])
    if handled_first:
        async with store.unit() as unit:
            await unit.handled(EventId("$1"))
    await store.take(
        "t2",
        [
            an_arrival("$1", fingerprint="f1", content={"body": "other words"}),
            an_arrival("$4", fingerprint="f1"),
            an_arrival("$5", fingerprint="f5"),
            an_arrival("$6", fingerprint="f5"),
        ],
    )
    assert await store.next_arrivals(10) == [*([] if handled_first else ["$1"]), "$2", "$3", "$5"]
    async with store.unit() as unit:
        assert await unit.claim(EventId("$1")) == (None if handled_first else an_arrival("$1", fingerprint="f1"))


async def test_a_handled_arrival_keeps_no_content(tmp_path: Path, store: SqlStore) -> None:
    """Its id and its fingerprint, nothing else."""
    await store.take("t", [an_arrival("$1", fingerprint="f1", content={"body": SECRET})])
    async with store.unit() as unit:
        await unit.handled(EventId("$1"))
    await store.close()
    [row] = raw(tmp_path / "store.db")["inbox"]
    assert row[1:4] == ("$1", "f1", "handled")
    assert row[6:] == (None, None, None)


async def test_a_waiting_arrival_keeps_its_place_when_its_key_comes(store: SqlStore) -> None:
    """It does not hold up the others, and stands before those that came after it."""
    waiting = an_arrival("$2", kind=ArrivalKind.UNDECRYPTABLE, content={"ciphertext": "x"})
    await store.take("t", [an_arrival("$1"), waiting, an_arrival("$3")])
    assert await store.next_arrivals(10) == ["$1", "$3"]
    assert await store.undecryptable() == [waiting]
    async with store.unit() as unit:
        assert await unit.claim(EventId("$2")) is None
    clear = an_arrival("$2", fingerprint="f2")
    await store.decrypted(clear)
    assert await store.next_arrivals(10) == ["$1", "$2", "$3"]
    assert await store.undecryptable() == []
    async with store.unit() as unit:
        assert await unit.claim(EventId("$2")) == clear


async def test_decrypting_changes_only_what_waits(store: SqlStore) -> None:
    """What was decrypted or handled already stays as it is, and nothing new comes in this way."""
    await store.take("t", [an_arrival("$1"), an_arrival("$2", kind=ArrivalKind.UNDECRYPTABLE)])
    async with store.unit() as unit:
        await unit.handled(EventId("$2"))
    for event_id in ("$1", "$2", "$3"):
        await store.decrypted(an_arrival(event_id, content={"body": "other"}))
    assert await store.next_arrivals(10) == ["$1"]
    async with store.unit() as unit:
        assert await unit.claim(EventId("$1")) == an_arrival("$1")


async def test_a_replay_that_is_decrypted_late_is_dropped(store: SqlStore) -> None:
    """The fingerprint may be known only when the key is there."""
    await store.take("t", [an_arrival("$1", fingerprint="f1"), an_arrival("$2", kind=ArrivalKind.UNDECRYPTABLE)])
    await store.decrypted(an_arrival("$2", fingerprint="f1"))
    assert await store.next_arrivals(10) == ["$1"]
    assert await store.undecryptable() == []


async def test_the_sender_of_a_waiting_arrival_is_asked_once(store: SqlStore, clock: FixedClock) -> None:
    """After some time here, whatever time the event claims."""
    old = an_arrival("$1", kind=ArrivalKind.UNDECRYPTABLE)
    new = replace(an_arrival("$2", kind=ArrivalKind.UNDECRYPTABLE), sent_at=NOW - timedelta(days=9))
    await store.take("t1", [old, an_arrival("$3")])
    clock.advance(minutes=5)
    await store.take("t2", [new])
    assert await store.waiting_arrivals(NOW) == []
    assert await store.waiting_arrivals(NOW + timedelta(minutes=1)) == [old]
    await store.mark_asked(EventId("$1"))
    assert await store.waiting_arrivals(NOW + timedelta(minutes=6)) == [new]
    assert await store.undecryptable() == [old, new]


async def test_an_arrival_of_a_case_whose_key_is_gone_stops_nothing(store: SqlStore, vault: MemoryVault) -> None:
    """Taken before or after the destruction of the key: it counts as handled, and the batch goes on."""
    async with store.unit() as unit:
        await unit.record_room(case_room())
    await store.take("t1", [an_arrival("$1"), an_arrival("$2", kind=ArrivalKind.UNDECRYPTABLE)])
    await vault.erase_key(CASE)
    await store.take("t2", [an_arrival("$3"), an_arrival("$4", room_id=CHAT)])
    async with store.unit() as unit:
        assert await unit.claim(EventId("$1")) is None
    await store.decrypted(an_arrival("$2"))
    assert await store.next_arrivals(10) == ["$4"]
    assert await store.undecryptable() == []


async def test_no_event_from_anyone_stops_a_batch(store: SqlStore) -> None:
    """JSON without end, half a character in a text or in an id: the others come in, and the token with them."""
    endless: object = "x"
    for _ in range(2_000):
        endless = [endless]
    half = an_arrival("$2", content={"body": "\ud83d"})
    poison = [
        an_arrival("$1", content={"body": endless}),
        half,
        an_arrival("$\ud83d"),
        an_arrival("$4", room_id=RoomId("!\ud83d")),
        an_arrival("$5", fingerprint="\ud83d"),
        an_arrival("$6"),
    ]
    await store.take("t", poison)
    assert await store.sync_token() == "t"
    assert await store.next_arrivals(10) == ["$2", "$6"]
    async with store.unit() as unit:
        assert await unit.claim(EventId("$2")) == half


# -- many cases --------------------------------------------------------------------------------------------------------


WALK = re.compile(r"^SCAN (?!json_each)|INTEGER PRIMARY KEY \(rowid>\?\)")
"""A step of SQLite's plan that looks at every row of a table."""


async def test_no_single_lookup_walks_through_a_table(store: SqlStore, vault: MemoryVault) -> None:
    """Ten thousand open cases must not slow a command: SQLite says of each statement how it finds its rows."""
    statements: set[str] = set()
    assert store._database._opened is not None
    await store._database._opened.set_trace_callback(statements.add)
    await fill(store, CASE, "one")
    expert = Assigned(user_id=BOB, since=NOW, how="taken", function="x")
    async with store.unit() as unit:
        await unit.save_case(a_case(experts=(expert,)), next_due_at=NOW)
        await unit.case(CASE)
        await unit.cases(line=LineId("rhythmology"), states=(State.ACCEPTED,))
        await unit.cases(requester=ANN)
        await unit.cases(expert=BOB)
        await unit.due_cases(NOW, 10)
        await unit.holders("10000034")
        await unit.has_session(ANN, NOW)
        for place in (CaseRoom(case_id=CASE), Direct(user_id=ANN)):
            await unit.room_of(place)
        await unit.room(ROOM)
        await unit.rooms(CASE)
        await unit.events(CASE)
        await unit.case_of_event(EventId("$1"))
        await unit.medium(CASE, "ecg")
        await unit.open_polls(ROOM, "urgency")
        await unit.idle(CASE)
        await unit.claim(EventId("$one-1"))
        await unit.handled(EventId("$one-1"))
        await unit.audit(AuditEvent(kind="test", by=None))
        await unit.forget_case(CASE)
    await store.next_arrivals(10)
    await store.oldest_effect()
    await store._database._opened.set_trace_callback(None)  # type: ignore[arg-type]  # None takes it away
    walks: set[str] = set()
    for statement in statements:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            plan = await store._database.rows(f"EXPLAIN QUERY PLAN {statement}")
            walks |= {step[3] for step in plan if WALK.search(step[3])}
    # In order and with a limit; and one row a person.
    assert walks == {"SCAN outbox", "SCAN audit", "SCAN pending"}
    assert len(statements) > 40


# -- audit and values --------------------------------------------------------------------------------------------------


async def test_the_audit_chain_is_whole_and_numbered(store: SqlStore, clock: FixedClock) -> None:
    """Each row in its place, with its time; an undone step leaves no gap."""
    events = [
        AuditEvent(kind="new", by=ANN, case_id=CASE, facts={"n": 1, "line": "rhythmology"}),
        AuditEvent(kind="sweep", by=None),
        AuditEvent(kind="take", by=BOB, case_id=CASE),
    ]

    async def fail() -> None:
        async with store.unit() as unit:
            await unit.audit(events[0])
            raise KeyError

    for event in events:
        with pytest.raises(KeyError):
            await fail()
        async with store.unit() as unit:
            await unit.audit(event)
        clock.advance(seconds=1.5)
    rows = await store.audit_rows()
    async with store.unit() as unit:
        assert await unit.audit_rows() == rows
    assert [row.event for row in rows] == events
    assert [row.n for row in rows] == [1, 2, 3]
    assert [row.at for row in rows] == [NOW + n * timedelta(seconds=1.5) for n in range(3)]
    assert first_break(rows) is None


TAMPERING = {
    "a fact": ("UPDATE audit SET facts = '{\"n\": 2}' WHERE n = 2", 2),
    "a name": ("UPDATE audit SET by_user = '@eve:hospital.test' WHERE n = 1", 1),
    "a time": ("UPDATE audit SET at = replace(at, '09:', '08:') WHERE n = 3", 3),
    "a row taken out": ("DELETE FROM audit WHERE n = 2", 2),
    "the first row taken out": ("DELETE FROM audit WHERE n = 1", 1),
}


@pytest.mark.parametrize("statement, broken", TAMPERING.values(), ids=TAMPERING)
async def test_tampering_with_the_audit_is_found(tmp_path: Path, store: SqlStore, statement: str, broken: int) -> None:
    """Even by somebody who holds the key and takes the guards of the table away."""
    async with store.unit() as unit:
        for n in range(1, 4):
            await unit.audit(AuditEvent(kind="test", by=ANN, facts={"n": n * 10}))
    connection = sqlcipher.connect(str(tmp_path / "store.db"))
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    with pytest.raises(sqlcipher.IntegrityError, match="append only"):
        connection.execute(statement)
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("DROP TRIGGER audit_is_never_deleted")
    connection.execute(statement)
    connection.commit()
    connection.close()
    assert first_break(await store.audit_rows()) == broken


async def test_small_values_are_kept(unit: Unit) -> None:
    """The newest one counts."""
    assert await unit.value("k") is None
    await unit.save_value("k", "v")
    await unit.save_value("k", "é\n")
    assert await unit.value("k") == "é\n"


async def test_a_time_without_a_zone_is_a_mistake(unit: Unit) -> None:
    """It could mean any hour."""
    with pytest.raises(ValueError, match="zone"):
        await unit.save_case(a_case(), next_due_at=datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None))


async def test_a_busy_database_is_an_outside_error(store: SqlStore, tmp_path: Path) -> None:
    """The outbox tries again; nothing of SQLite crosses the border."""
    connection = sqlcipher.connect(str(tmp_path / "store.db"), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    connection.execute("BEGIN IMMEDIATE")
    await store._database.rows("PRAGMA busy_timeout = 1")
    with pytest.raises(ExternalError) as refused:
        await store.take("t", [])
    assert refused.value.code == "database_busy"
    connection.execute("ROLLBACK")
    connection.close()
    await store.take("t", [])
    assert await store.sync_token() == "t"
