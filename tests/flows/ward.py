"""A lab with fresh people on encrypted phones, and short ways to a case: what the flows are told with."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bot.domain.ids import CaseId
from bot.domain.people import Credential
from bot.domain.people import Person as Enrolled
from bot.lab.clients import ClientFailed, Clients, Message, Person
from bot.lab.lab import Lab, LabPerson, MovableClock
from bot.wiring import opened_records
from specialties import load

WAIT = 60.0
SPECIALTIES = Path(__file__).resolve().parents[2] / "specialties"
QUESTION = "Which treatment, and how soon?"
DRAFT = """treatment: a topical steroid
Reasons: typical picture.
Recommendation: once a day.
Who does what: the requester."""


class Phone:
    """One person with one signed-in device, and the direct chat with the bot."""

    def __init__(self, ward: "Ward", local: str, person: Person, direct: str) -> None:
        self.ward = ward
        self.local = local
        self.person = person
        self.direct = direct
        self._used: set[str] = set()

    @property
    def user_id(self) -> str:
        return self.person.user_id

    @property
    def name(self) -> str:
        return self.ward.lab.person(self.local).name

    def code(self) -> str:
        """Return six digits that were not used yet; the clock goes on if need be."""
        while (code := self.ward.lab.code(self.local)) in self._used:
            self.ward.clock.jump(timedelta(seconds=31))
        self._used.add(code)
        return code

    async def types(self, text: str, room: str | None = None) -> str:
        return await self.person.send(room or self.direct, text)

    async def hears(self, kind: str, room: str | None = None, *, seconds: float = WAIT, **fields: str | int) -> Message:
        """Wait for a message of a kind: in the direct chat, unless a room is named."""
        return await self.person.wait_kind(room or self.direct, kind, timeout=seconds, since=0, **fields)

    async def unlocks(self) -> None:
        await self.types(self.code())
        await self.hears("unlocked")

    async def drops(
        self, data: bytes, room: str, *, name: str = "export.bin", mime: str = "application/octet-stream"
    ) -> str:
        return await self.person.send_file(room, data, name, mime)

    async def taps(self, value: str, room: str) -> None:
        """Tap the answer of the open poll that means *value*."""
        poll = await self.person.wait_for(room, lambda m: m.poll is not None, timeout=WAIT, what="a poll")
        chosen = next(o["id"] for o in poll.data["poll"] if o["value"] == value)
        await self.person.vote(room, poll.event_id, chosen)

    async def resets_identity(self) -> str:
        """Replace the Matrix identity, as after a lost recovery key; return the new public master key.

        An answer of the homeserver that was on its way can make the client lose the new identity at once; then it
        refuses to send, and does what a person would do: it begins again.
        """
        async with asyncio.timeout(WAIT):
            while True:
                key = await self.person.reset_identity()
                try:
                    await self.person.send(await self.person.create_room(), "May I write?")
                except ClientFailed:
                    continue
                return key

    def said_by_bot(self, room: str) -> list[Message]:
        """Return what the bot said in a room, in order."""
        return [m for m in self.person.messages(room) if m.sender == self.ward.lab.bot_id and m.kind is not None]


class Case:
    """A case's number and room."""

    def __init__(self, case_id: str, room: str) -> None:
        self.id = CaseId(case_id)
        self.room = room


class Ward:
    """The running lab, the clients, and the people who were made so far."""

    def __init__(self, lab: Lab, clients: Clients, clock: MovableClock) -> None:
        self.lab = lab
        self.clients = clients
        self.clock = clock
        self._made: list[LabPerson] = []
        self._count = 0

    # -- people --------------------------------------------------------------------------------------------------------

    def somebody(
        self,
        name: str,
        *,
        language: str = "en",
        lines: Mapping[str, str] | None = None,
        roles: Sequence[str] = ("physician",),
    ) -> LabPerson:
        """Return a made-up person with a number of his own whose check digits fit."""
        self._count += 1
        digits = 130000 + self._count
        return LabPerson(
            user=f"{name}{self._count}",
            name=f"Dr {name.title()} {chr(65 + self._count % 26)}.",
            inami=f"{digits}{97 - digits % 97:02d}477" if "physician" in roles else None,
            email=f"{name}{self._count}@hospital.localhost",
            language=language,
            roles=tuple(roles),
            lines=dict(lines or {}),
        )

    async def phone(
        self,
        name: str,
        *,
        language: str = "en",
        lines: Mapping[str, str] | None = None,
        roles: Sequence[str] = ("physician",),
        session: bool = True,
    ) -> Phone:
        """Return an enrolled person who is signed in, in the direct chat, and has a session unless told otherwise."""
        person = self.somebody(name, language=language, lines=lines, roles=roles)
        await self.lab.add_account(person)
        await self.enrol(person)
        phone = await self.signed_in(person)
        if session:
            await phone.unlocks()
        return phone

    async def phones(self, *names: str, lines: Mapping[str, str] | None = None, language: str = "en") -> list[Phone]:
        """Return several people like `phone`, made at the same time."""
        return list(await asyncio.gather(*(self.phone(n, lines=lines, language=language) for n in names)))

    async def enrol(self, person: LabPerson) -> None:
        """Enter a person as approved and enrolled, as the lab does with its own people."""
        await self.change(self.lab._enrolled(person), secret=person.totp_secret)
        self._made.append(person)

    async def change(self, person: Enrolled, *, secret: str | None = None) -> None:
        """Write a person into the bot's database, as an admin's command on the host does."""
        async with opened_records(self.lab.config, self.clock) as records, records.store.unit() as unit:
            await unit.save_person(person)
            if secret is not None:
                await unit.save_credential(Credential(user_id=person.user_id, secret=secret))

    async def signed_in(self, person: LabPerson) -> Phone:
        """Sign in with the device of the registration, in "exclude insecure devices" mode, and greet the bot."""
        client = await self.clients.login(self.lab.accounts[person.user], isolation="exclude", auto_accept=True)
        room = await client.create_dm(self.lab.bot_id)
        await client.wait_kind(room, "help", timeout=WAIT)
        return Phone(self, person.user, client, room)

    async def dismiss(self) -> None:
        """Take everybody who was made from his lines, so that later cases ring nobody of an earlier test."""
        async with opened_records(self.lab.config, self.clock) as records, records.store.unit() as unit:
            for person in self._made:
                found = await unit.person(self.lab.user_id(person.user))
                if found is not None and found.lines:
                    await unit.save_person(self.lab._enrolled(replace(person, lines={})))
        self._made.clear()

    # -- cases ---------------------------------------------------------------------------------------------------------

    async def opens(self, requester: Phone, line: str = "dermatology") -> Case:
        """Let a requester open a case, and wait for its room."""
        await requester.types(f"!new {line}")
        opened = await requester.person.wait_kind(None, "case_opened", timeout=WAIT, line=line)
        return Case(opened.data["case"], opened.room_id)

    async def asks(
        self,
        requester: Phone,
        *,
        line: str = "dermatology",
        reference: str = "ref 4711",
        question: str = QUESTION,
        files: Sequence[bytes] = (),
    ) -> Case:
        """Let a requester ask a whole question, as short as it can be: six messages, and the files."""
        case = await self.opens(requester, line)
        for text in ("no", f"{reference}, 1958, F", "agrees, seen", question):
            await requester.types(text, case.room)
        for data in files:
            await requester.drops(data, case.room)
        for _ in files:
            await requester.hears("document_received", case.room)
        await requester.types("!submit anyway", case.room)
        await requester.hears("submitted", case.room)
        return case

    async def takes(self, expert: Phone, case: Case) -> Message:
        """Let an expert take a case, and return the dossier's first message as he reads it."""
        await expert.hears("ring", case=case.id)
        await expert.types(f"!take {case.id}")
        await expert.hears("taken", case=case.id)
        return await expert.hears("dossier", case.room)

    async def answers(self, expert: Phone, requester: Phone, case: Case, draft: str = DRAFT) -> bytes:
        """Let an expert draft and sign alone; return the sealed PDF as the requester downloads it."""
        await expert.types(f"!draft {draft}", case.room)
        await expert.hears("drafted", case.room)
        await expert.types(f"!sign {expert.code()}", case.room)
        delivered = await requester.hears("delivered", case.room)
        return await requester.person.download(delivered.content)


def lines_folder(folder: Path) -> Path:
    """Return a folder of line files: those of the project, and `small`, which takes files of 1 MB at most."""
    folder.mkdir(parents=True)
    for path in SPECIALTIES.glob("*.yaml"):
        shutil.copy(path, folder)
    text = (folder / "dermatology.yaml").read_text(encoding="utf-8")
    text = re.sub("^id: .*", "id: small", text, count=1, flags=re.M)
    text = re.sub("^names: .*", "names: {fr: Petit, nl: Klein, de: Klein, en: Small}", text, count=1, flags=re.M)
    text = re.sub("^other_names: .*", "other_names: [tiny]", text, count=1, flags=re.M)
    text = re.sub("^max_document_mb: .*", "max_document_mb: 1", text, count=1, flags=re.M)
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    load(folder)
    return folder


@contextlib.asynccontextmanager
async def a_ward(folder: Path, *, people: Sequence[LabPerson] = (), port: int | None = None) -> AsyncIterator[Ward]:
    """Start a lab and clients under *folder*."""
    clock = MovableClock()
    lines = await asyncio.to_thread(lines_folder, folder / "lines")
    settings = {"lines": {"folder": str(lines), "enabled": [line.id for line in load(lines)]}}
    async with (
        Lab.start(folder / "lab", people=people, clock=clock, settings=settings, port=port) as lab,
        Clients.start(lab.homeserver.url) as clients,
    ):
        yield Ward(lab, clients, clock)
