"""What an eavesdropper finds: no word of a case in the homeserver's files, the bot's folder, logs and mails."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pyotp
import pytest

from bot.lab.clients import Clients, Message, Person
from bot.lab.homeserver import Account
from bot.lab.letter import a_letter

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANTED = {
    "reference": "QX7731Z",
    "question": "zolpharotitis",
    "form": "brimwaldine",
    "file name": "Vandenplancke_Odile_19470302",
    "inside the file": "cholvenamide",
    "decline": "wintermoorings",
    "asked": "torquelline",
    "answered": "pentecoterie",
    "talk": "sablefrucht",
    "draft": "kervantoplasty",
}


@asynccontextmanager
async def consilium_lab(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """Run `consilium lab` as a person would; its log goes to a file beside its folder."""
    with (folder / "lab.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "lab", "--dir", str(folder / "lab"),
            stdout=asyncio.subprocess.PIPE, stderr=log, process_group=0,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            rest = await process.stdout.read()
            assert await process.wait() == 0
        assert rest == b"", "nothing else on stdout"


class Physician:
    """Somebody of the lab on a phone, as a newcomer would sign in with what the lab printed."""

    def __init__(self, person: Person, direct: str, secret: str) -> None:
        self.person = person
        self.direct = direct
        self._totp = pyotp.TOTP(secret)

    async def says(self, text: str, room: str | None = None) -> None:
        await self.person.send(room or self.direct, text)

    async def hears(self, kind: str, room: str | None = None, **fields: str | int) -> Message:
        return await self.person.wait_kind(room or self.direct, kind, timeout=60, since=0, **fields)

    def code(self, *, later: bool = False) -> str:
        """Return the code of now, or the next one, which counts already: nobody has to wait for it."""
        return self._totp.at(datetime.now(UTC) + timedelta(seconds=30 if later else 0))


async def signed_in(clients: Clients, ready: dict[str, Any], name: str) -> Physician:
    """Sign a physician of the lab in with the printed password, and open the chat and a session."""
    user = f"@{name}:{ready['server_name']}"
    printed = next(d for d in ready["doctors"] if d["user"] == user)
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": printed["password"],
    }
    where = f"{ready['homeserver']}/_matrix/client/v3/login"
    async with aiohttp.ClientSession() as http, http.post(where, json=body) as answer:
        got = await answer.json()
    account = Account(
        user_id=user,
        password=printed["password"],
        access_token=got["access_token"],
        device_id=got["device_id"],
    )
    person = await clients.login(account, isolation="exclude", auto_accept=True)
    one = Physician(person, await person.create_dm(ready["bot"]), printed["totp_secret"])
    await one.hears("help")
    await one.says(one.code())
    await one.hears("unlocked")
    return one


async def test_an_eavesdropper_finds_no_word_of_a_whole_case(tmp_path: Path) -> None:
    """Unique words are planted in every place where a physician types; afterwards every file is searched for them."""
    async with consilium_lab(tmp_path) as ready, Clients.start(ready["homeserver"]) as clients:
        dupont, lambert, peeters = await asyncio.gather(
            *(signed_in(clients, ready, name) for name in ("dupont", "lambert", "peeters"))
        )
        case_id = await whole_case(dupont, lambert, peeters)
        stored = [path for path in (tmp_path / "lab" / "homeserver").rglob("local_content/**/*") if path.is_file()]
        assert len(stored) >= 3, "files were uploaded"
        assert (tmp_path / "lab" / "bot" / "consilium.db-wal").exists()
        assert list(found(tmp_path, PLANTED.values())) == []
    assert list(found(tmp_path, PLANTED.values())) == [], "nor in what was written at the end"
    places = {path.relative_to(tmp_path).parts[1] for path, _ in found(tmp_path, [case_id])}
    assert {"homeserver", "mail"} <= places, "the search finds what may be seen: numbers in room names and mails"
    database = (tmp_path / "lab" / "bot" / "consilium.db").read_bytes()
    assert case_id.encode() not in database, "the bot's own database does not tell even the number"
    assert not database.startswith(b"SQLite format 3")


async def whole_case(dupont: Physician, lambert: Physician, peeters: Physician) -> str:
    """Play a case with every kind of text in it, up to the delivered opinion; return its number."""
    await dupont.says("!nouveau rythmologie")
    opened = await dupont.person.wait_kind(None, "case_opened", timeout=60, line="rhythmology")
    room, case_id = opened.room_id, str(opened.data["case"])
    for text in (
        "non",
        f"réf. {PLANTED['reference']}, 1947, F",
        "d'accord, vu",
        f"S'agit-il d'une {PLANTED['question']} ?",
        f"antiarythmiques essayés : {PLANTED['form']}",
    ):
        await dupont.says(text, room)
    letter = a_letter() + f"\n% {PLANTED['inside the file']}".encode()
    await dupont.person.send_file(room, letter, f"{PLANTED['file name']}.pdf", "application/pdf")
    await dupont.hears("document_received", room)
    await dupont.says("!soumettre quand même", room)
    await dupont.hears("submitted", room)

    await peeters.hears("ring", case=case_id)
    await peeters.says(f"!decline {case_id} {PLANTED['decline']}")
    await peeters.hears("declined", case=case_id)
    await lambert.says(f"!prendre {case_id}")
    await lambert.hears("document", room)
    await lambert.says(f"!demander Depuis quand la {PLANTED['asked']} ?", room)
    await dupont.hears("asked", room)
    await dupont.says(f"!répondre Depuis la {PLANTED['answered']}.", room)
    await dupont.hears("answered", room, n=1)
    await dupont.says("!terminé", room)
    await lambert.hears("answered", room, done=True)
    await lambert.says(f"Entre nous : {PLANTED['talk']}", room)
    parts = "Motifs : clairs.\nConduite : oui.\nQui fait quoi : nous."
    await lambert.says(f"!projet ablation: {PLANTED['draft']}\n{parts}", room)
    await dupont.hears("drafted", room)
    await lambert.says(f"!signer {lambert.code(later=True)}", room)
    await dupont.hears("delivered", room)
    await dupont.says(f"!reçu {case_id}")
    await dupont.hears("acknowledged", case=case_id)
    return case_id


def found(folder: Path, words: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Yield every file under *folder* in whose bytes (UTF-8 or UTF-16) one of the words stands."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes().lower()
            for word in words:
                if any(word.lower().encode(code) in data for code in ("utf-8", "utf-16-le", "utf-16-be")):
                    yield path, word
