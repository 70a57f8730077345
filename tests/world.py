"""A whole bot on an in-memory homeserver: real services and database, people who type, a clock that is moved."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bot.adapters.store import SqlStore
from bot.core import Core, House, Outside, build_core
from bot.domain.case import Case
from bot.domain.deadlines import Rules
from bot.domain.documents import DocumentKind, Examined, IdentityFound, Preview, PreviewRole, RefusalCode, Refused
from bot.domain.effects import CaseRoom, Direct
from bot.domain.ids import CaseId, EventId, LineId, RoomId, UserId
from bot.domain.language import Language
from bot.domain.lines import Catalogue
from bot.domain.people import Credential, Person, Role, Standing
from specialties import load
from tests.fakes.clock import FixedClock
from tests.fakes.codes import FakeCodes
from tests.fakes.counters import Tally
from tests.fakes.eraser import FakeEraser
from tests.fakes.mail import MemoryMailer
from tests.fakes.report import PlainReports
from tests.fakes.rooms import FakeRooms, SentEvent
from tests.fakes.vault import MemoryVault

BOT = "@consilium:test"
GRACE = timedelta(hours=24)


class QuietLog:
    """A log that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Mapping[str, object]]] = []

    def info(self, event: str, **facts: str | int | None) -> None:
        self.lines.append((event, facts))

    warning = error = info


@cache
def shipped_lines() -> Catalogue:
    """Return the lines as they ship, read once: they are values and nothing changes them."""
    return load()


_REFUSED = {b"BOM": RefusalCode.BOMB, b"CUT": RefusalCode.CRASHED}


class PlainReader:
    """A document reader that knows a few kinds of made-up files by their first bytes, and two that it gives up."""

    async def examine(self, fd: int, *, size: int, identity: str, case_salt: bytes) -> Examined:
        import os

        head = os.pread(fd, 16, 0)
        if head[:3] in _REFUSED:
            raise Refused(_REFUSED[head[:3]])
        kind = {
            b"ECG": DocumentKind.ECG,
            b"PDF": DocumentKind.PDF,
            b"LOO": DocumentKind.ECHO_LOOP,
            b"IMG": DocumentKind.IMAGE,
        }.get(head[:3], DocumentKind.UNKNOWN)
        modality = head[:2].decode() if head[:3] in (b"CT ", b"NM ", b"XA ") else None
        kind = DocumentKind.DICOM_IMAGE if modality else DocumentKind.REPORT if head[:3] == b"SR " else kind
        previews: tuple[Preview, ...] = ()
        if kind in (DocumentKind.ECG, DocumentKind.ECHO_LOOP):
            previews = (
                Preview(role=PreviewRole.ECG, mime="image/png", data=b"picture of " + head, width=10, height=10),
            )
        if kind is DocumentKind.PDF:
            previews = (Preview(role=PreviewRole.PAGE, mime="image/png", data=b"page", width=10, height=10),)
        return Examined(
            kind=kind,
            mime="application/octet-stream",
            modality=modality,
            taken_on=None,
            frames=None,
            frame_rate=None,
            facts={},
            previews=previews,
            clean=None,
            identity=IdentityFound(tags=0, tokens=frozenset()),
            notes=(),
        )


@dataclass(slots=True)
class Physician:
    """Somebody with a phone: types, taps, drops files, reads."""

    world: "World"
    user_id: UserId
    direct: RoomId

    async def says(self, text: str, room: RoomId | None = None, **more: Any) -> EventId:
        """Type a message (in the direct chat, if no room is named) and let the bot do what it does."""
        event = await self.world.rooms.say(self.user_id, room or self.direct, text, **more)
        await self.world.settle()
        return event

    async def taps(self, value: str, room: RoomId | None = None) -> None:
        """Tap the answer that means *value* on the newest poll of a room."""
        poll = next(
            e for e in reversed(self.world.rooms.sent(room or self.direct)) if e.event_type.endswith("poll.start")
        )
        answer = next(a["id"] for a in poll.content["org.consilium"]["poll"] if a["value"] == value)
        await self.world.rooms.tap(self.user_id, room or self.direct, poll.event_id, [answer])
        await self.world.settle()

    async def drops(self, data: bytes, room: RoomId, name: str = "export.bin") -> EventId:
        """Drop a file."""
        event = await self.world.rooms.drop_file(
            self.user_id, room, data, name=name, mimetype="application/octet-stream"
        )
        await self.world.settle()
        return event

    async def code(self) -> str:
        """Return the six digits that the person's app shows; the clock goes on, so that each is fresh."""
        self.world.clock.advance(seconds=31)
        async with self.world.store.unit() as unit:
            credential = await unit.credential(self.user_id)
        assert credential is not None
        return self.world.codes.code(credential.secret, self.world.clock.now())

    async def unlocks(self) -> None:
        """Open a session."""
        await self.says(f"!unlock {await self.code()}")

    def last(self, room: RoomId | None = None, kind: str | None = None) -> SentEvent:
        """Return the newest message of the bot in a room, of a kind if one is named."""
        sent = self.world.rooms.sent(room or self.direct)
        return next(e for e in reversed(sent) if kind is None or e.content["org.consilium"]["kind"] == kind)

    def kinds(self, room: RoomId | None = None) -> list[str]:
        """Return the kinds of everything the bot said in a room."""
        return [
            e.content["org.consilium"]["kind"]
            for e in self.world.rooms.sent(room or self.direct)
            if "org.consilium" in e.content
        ]


class World:
    """The bot and everything around it."""

    def __init__(
        self,
        store: SqlStore,
        vault: MemoryVault,
        rooms: FakeRooms,
        clock: FixedClock,
        lines: Catalogue | None = None,
    ) -> None:
        self.store = store
        self.vault = vault
        self.rooms = rooms
        self.clock = clock
        self.codes = FakeCodes()
        self.mail = MemoryMailer()
        self.eraser = FakeEraser()
        self.tally = Tally()
        self.log = QuietLog()
        self.lines = lines or shipped_lines()
        self.core: Core = build_core(
            self.lines,
            House(
                hospital="Hôpital de l'Essai",
                emergency_phone="+32 4 000 00 00",
                allowed_homeservers=["test"],
                default_language=Language.FR,
                rules=Rules(grace=GRACE),
                secret_in_chat=True,
            ),
            Outside(
                store=store,
                vault=vault,
                rooms=rooms,
                reader=PlainReader(),
                maker=PlainReports(),
                mailer=self.mail,
                eraser=self.eraser,
                one_time_codes=self.codes,
                clock=clock,
                counters=self.tally,
                log=self.log,
            ),
        )

    async def settle(self) -> None:
        """Handle what came in, carry out what is planned, until nothing is left."""
        self.rooms.now = self.clock.now()
        await self.core.dispatch.work_off()
        await self.core.outbox.drain()
        # Whoever the bot invites to a direct chat accepts; what waited for that is said then.
        while invited := self.rooms.invited_to_direct_chats():
            for user, room in invited:
                await self.rooms.join_as(user, room)
            await self.core.dispatch.work_off()
            self.clock.advance(seconds=1)
            await self.core.outbox.drain()

    async def later(self, **span: float) -> None:
        """Let time pass, and sweep."""
        self.clock.advance(timedelta(**span))
        await self.core.reminders.sweep()
        await self.settle()

    async def physician(
        self,
        name: str,
        *,
        lines: Mapping[str, str] | None = None,
        roles: Sequence[Role] = (Role.PHYSICIAN,),
        language: Language = Language.EN,
        number: int = 0,
        session: bool = True,
    ) -> Physician:
        """Return an enrolled person with an open direct chat, and a session if wanted."""
        user = self.rooms.add_person(f"@{name}:test")
        identity = await self.rooms.identity(user)
        digits = 100000 + number
        inami = f"{digits}{97 - digits % 97:02d}477"
        async with self.store.unit() as unit:
            await unit.save_person(
                Person(
                    user_id=user,
                    name=f"Dr {name.title()}",
                    language=language,
                    standing=Standing.ENROLLED,
                    inami=inami if Role.PHYSICIAN in roles else None,
                    email=f"{name}@hospital.example",
                    roles=frozenset(roles),
                    lines={LineId(k): v for k, v in (lines or {}).items()},
                    master_key=identity.master_key,
                )
            )
            await unit.save_credential(Credential(user_id=user, secret=self.codes.new_secret()))
        person = await self.stranger(name, known=user)
        if session:
            await person.unlocks()
        return person

    async def stranger(self, name: str, *, known: UserId | None = None) -> Physician:
        """Return somebody who opened a direct chat with the bot."""
        user = known or self.rooms.add_person(f"@{name}:test")
        room = await self.rooms.invite_bot(user)
        await self.settle()
        return Physician(world=self, user_id=user, direct=room)

    async def case(self, case_id: str) -> Case:
        """Return a case as it stands."""
        async with self.store.unit() as unit:
            found = await unit.case(CaseId(case_id))
        assert found is not None
        return found

    async def room(self, case_id: str) -> RoomId:
        """Return the room of a case."""
        async with self.store.unit() as unit:
            found = await unit.room_of(CaseRoom(case_id=CaseId(case_id)))
        assert found is not None
        return found

    async def direct_room(self, user: UserId) -> RoomId:
        """Return the direct chat that the bot uses with a person now."""
        async with self.store.unit() as unit:
            found = await unit.room_of(Direct(user_id=user))
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def a_world(folder: Path, lines: Catalogue | None = None) -> AsyncIterator[World]:
    """Open a world whose database lies in *folder*."""
    clock, vault = FixedClock(), MemoryVault()
    store = SqlStore(folder / "consilium.db", b"k" * 32, vault, clock)
    await store.open()
    try:
        yield World(store, vault, FakeRooms(arrivals=store, user_id=BOT), clock, lines)
    finally:
        await store.close()
