"""The main story, played end to end by real encrypted clients on a real homeserver, each step checked as it happens."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom.data
from pyhanko.pdf_utils.reader import PdfFileReader

from bot.adapters.logs import configure_logs
from bot.adapters.report.render import first_page_png
from bot.adapters.report.verify import verify
from bot.domain.audit import first_break
from bot.lab.chat_export import ChatLine, as_html, as_markdown
from bot.lab.clients import Clients, Message, NotSeen, Person
from bot.lab.lab import Lab, LabPerson, MovableClock
from bot.lab.letter import a_letter
from bot.wiring import opened_records

MOST_MESSAGES = 12
QUESTION = "Femme de 42 ans, FA paroxystique très symptomatique malgré la flécaïnide : une ablation est-elle indiquée ?"
ANSWERS = """FEVG 55, syncope non, mort subite familiale non
EHRA 3, FA paroxystique, CHA2DS2-VA 2, question rythmologique ablation"""
DRAFT = """ablation: isolation des veines pulmonaires en première intention
Motifs : FA paroxystique symptomatique (EHRA 3), échec d'un antiarythmique de classe I, FEVG conservée.
Conduite : isolation des veines pulmonaires ; poursuivre l'anticoagulation au moins 2 mois.
Qui fait quoi : le centre appelle la patiente ; le médecin demandeur poursuit le traitement et contrôle la TSH."""


class StepFailed(Exception):
    """A step of the story did not come out as it must; the text says which and how."""


@dataclass(slots=True)
class Story:
    """The stage: people, rooms, and what was checked so far."""

    lab: Lab
    clients: Clients
    clock: MovableClock
    folder: Path
    """Where the results are gathered."""

    people: dict[str, Person] = field(default_factory=dict)
    direct: dict[str, str] = field(default_factory=dict)
    room: str = ""
    case: str = ""
    turns: int = 0
    checked: int = 0

    def say(self, text: str) -> None:
        """Tell what happens."""
        sys.stdout.write(f"      {text}\n")
        sys.stdout.flush()

    def check(self, holds: bool, what: str) -> None:
        """Show that something holds, or end the demo."""
        sys.stdout.write(f"  {'ok' if holds else 'NO'}  {what}\n")
        sys.stdout.flush()
        if not holds:
            raise StepFailed(what)
        self.checked += 1

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        sys.stdout.write(f"\n{title}\n")
        sys.stdout.flush()

    # -- what people do ------------------------------------------------------------------------------------------------

    async def enter(self, local: str) -> Person:
        """Sign a person in on a phone, with the token of the registration, and open the chat with the bot."""
        account = self.lab.accounts[local]
        person = await self.clients.login(account, isolation="exclude", auto_accept=True)
        self.people[local] = person
        self.direct[local] = await person.create_dm(self.lab.bot_id)
        await self.hears(local, "help")
        return person

    async def types(self, local: str, text: str, *, room: str | None = None) -> str:
        """Type a message."""
        return await self.people[local].send(room or self.direct[local], text)

    async def asks(self, text: str) -> None:
        """The requester types in the case room: one of at most twelve messages."""
        self.turns += 1
        await self.types("dupont", text, room=self.room)

    async def taps(self, answer: str) -> None:
        """The requester taps an answer of the poll that is open: one of at most twelve, too."""
        poll = await self.people["dupont"].wait_for(self.room, lambda m: m.poll is not None, what="a poll")
        self.turns += 1
        options = poll.data["poll"]
        chosen = next(o["id"] for o in options if o["value"] == answer)
        await self.people["dupont"].vote(self.room, poll.event_id, chosen)

    async def hears(self, local: str, kind: str, *, room: str | None = None, **fields: Any) -> Message:  # noqa: ANN401
        """Wait until a person's phone shows a message of a kind."""
        return await self.people[local].wait_kind(room or self.direct[local], kind, timeout=60, **fields)

    async def sees(self, local: str, kind: str, **fields: Any) -> Message:  # noqa: ANN401
        """Wait until a person's phone shows a message of a kind in the case room."""
        return await self.people[local].wait_kind(self.room, kind, timeout=90, **fields)

    def code(self, local: str) -> str:
        """Return a fresh one-time code: the clock goes on to the next."""
        self.clock.jump(timedelta(seconds=31))
        return self.lab.code(local)


async def demo(out: Path) -> bool:
    """`consilium demo`: play the story in a temporary folder, then replace *out*; True only if every check held."""
    configure_logs(stream=io.StringIO())  # The story is the output.
    with tempfile.TemporaryDirectory(prefix="consilium-demo-") as name:
        folder, results = Path(name), Path(name) / "results"
        results.mkdir()
        try:
            checked = await _play(folder, results)
        except (StepFailed, NotSeen) as error:
            sys.stdout.write(f"\nThe demo stopped: {error}\n")
            return False
        await asyncio.to_thread(_replace, results, out)
    sys.stdout.write(
        f"\n{checked} checks held. Look at {out}/: opinion.pdf, ecg.png, echo.mp4, chat.html, certificate.pdf\n"
    )
    return True


def _replace(results: Path, out: Path) -> None:
    """Put the results in the place of an older demo's: nobody ever sees half of them."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".demo-out-", dir=out.absolute().parent))
    shutil.copytree(results, fresh, dirs_exist_ok=True)
    fresh.chmod(0o755)
    if out.exists():
        shutil.rmtree(out)
    fresh.rename(out)


def demo_people() -> tuple[LabPerson, ...]:
    """Return the admin, the two experts, and one who waits to be enrolled in the story."""
    return (
        LabPerson(user="admin", name="Camille Admin", inami=None, email="admin@hospital.localhost", roles=("admin",)),
        LabPerson(
            user="lambert",
            name="Dr Luc Lambert",
            inami="12345625730",
            email="lambert@hospital.localhost",
            lines={"rhythmology": "rhythmologist"},
        ),
        LabPerson(
            user="peeters",
            name="Dr Els Peeters",
            inami="12345676730",
            email="peeters@hospital.localhost",
            language="en",
            lines={"rhythmology": "rhythmologist"},
        ),
    )


async def _play(folder: Path, results: Path) -> int:
    clock = MovableClock()
    sys.stdout.write("Consilium: from a question to a signed opinion, and its erasure\n")
    async with _stage(folder, clock, results) as story:
        for part in (_enrol, _ask, _route, _answer, _sign, _hand_over, _end):
            await part(story)
        await _gather(story)
        return story.checked


@contextlib.asynccontextmanager
async def _stage(folder: Path, clock: MovableClock, results: Path) -> AsyncIterator[Story]:
    async with (
        Lab.start(folder / "lab", people=demo_people(), relaxed_limits=False, clock=clock) as lab,
        Clients.start(lab.homeserver.url) as clients,
    ):
        story = Story(lab=lab, clients=clients, clock=clock, folder=results)
        story.say(f"a homeserver of our own at {lab.homeserver.url}, the bot, the eraser, a mail server; three phones")
        yield story


# -- 1. enrolment ------------------------------------------------------------------------------------------------------


async def _enrol(story: Story) -> None:
    story.chapter("1  A physician is enrolled")
    for local in ("admin", "lambert", "peeters"):
        await story.enter(local)
    await story.types("admin", f"!unlock {story.code('admin')}")
    await story.hears("admin", "unlocked")
    newcomer = LabPerson(user="dupont", name="Dr Anne Dupont", inami="19999915003", email="dupont@hospital.localhost")
    await story.lab.add_account(newcomer)
    dupont = await story.enter("dupont")
    await story.types("dupont", "!inscrire 1-99999-15-003 Anne Dupont")
    await story.hears("dupont", "registered")
    shown = await story.hears("admin", "admin_registered")
    key = await dupont.identity() or ""
    story.check(
        key.rstrip("=") in shown.body.replace(" ", ""),
        "the admin sees number, name and the fingerprint of her identity",
    )
    await story.types(
        "admin", f"!admin approve {dupont.user_id} rappelée au numéro de l'hôpital, empreinte lue à voix haute"
    )
    await story.hears("dupont", "secret_sent", picture=True)
    secret = await story.hears("dupont", "secret_sent")
    story.lab.learn_secret("dupont", secret.data["totp_secret"])
    await story.types("dupont", f"!confirmer {story.code('dupont')}")
    await story.hears("dupont", "enrolled")
    story.check(
        secret.encrypted and secret.shield == "none",
        "her key for one-time codes came encrypted, from a bot that her phone trusts",
    )
    await dupont.wait_for(
        story.direct["dupont"],
        lambda m: m.event_id == secret.event_id and m.redacted,
        what="the key is taken back",
        timeout=60,
    )
    kept = dupont.message(secret.event_id)
    story.check(kept is not None and kept.redacted, "and was taken back at once when it was confirmed")
    ring = await dupont.wait_for(story.direct["dupont"], lambda m: m.poll is not None, what="the test ring")
    heard = next(o["id"] for o in ring.data["poll"] if o["value"] == "heard")
    await dupont.vote(story.direct["dupont"], ring.event_id, heard)
    await story.hears("dupont", "ring_answered")
    await story.types("dupont", "!courriel dupont@hospital.localhost")
    await story.hears("dupont", "email")
    await story.types("dupont", story.code("dupont"))
    opened = await story.hears("dupont", "unlocked")
    story.check(any(c.isdigit() for c in opened.body), "six digits open her session, and she is told until when")


# -- 2. the question ---------------------------------------------------------------------------------------------------


async def _ask(story: Story) -> None:
    story.chapter("2  She asks: at most 12 messages or taps, plus the files")
    dupont = story.people["dupont"]
    story.turns = 1
    await story.types("dupont", "!nouveau rythmologie")
    opened = await dupont.wait_kind(None, "case_opened", timeout=60, line="rhythmology")
    story.room, story.case = opened.room_id, opened.data["case"]
    story.check(
        opened.encrypted and opened.shield == "none",
        f"the bot opened the encrypted room {story.case}; it says 112 first",
    )
    await story.taps("not_emergency")
    await story.hears("dupont", "question", room=story.room, field="patient")
    await story.asks("réf. 4711, 1984, F")
    await story.taps("agrees_seen")
    await story.hears("dupont", "question", room=story.room, field="question")
    await story.asks(QUESTION)
    await story.hears("dupont", "question", room=story.room, field="expectation")
    await story.asks("procédure, prioritaire")
    await story.taps("af")
    await story.hears("dupont", "question", room=story.room, field="facts")
    await story.asks(ANSWERS)
    await _documents(story)
    await story.sees("dupont", "question", field="clinical")
    await story.asks("Flécaïnide 200 mg par jour pendant 4 mois, sans effet ; bisoprolol 5 mg.")
    await story.sees("dupont", "question", field="closing")
    await story.asks("allergies aucune ; souhait du patient : éviter un traitement à vie")
    await story.asks("!soumettre")
    submitted = await story.sees("dupont", "submitted")
    story.check(
        submitted.data["turns"] == story.turns, f"the bot counted the same {story.turns} messages and taps of hers"
    )
    story.check(story.turns <= MOST_MESSAGES, f"{story.turns} of at most {MOST_MESSAGES} messages")


async def _documents(story: Story) -> None:
    dupont = story.people["dupont"]
    ecg = await asyncio.to_thread(_package_file, "waveform_ecg.dcm")
    echo = await asyncio.to_thread(_package_file, "color3d_jpeg_baseline.dcm")
    for data, name, kind in (
        (ecg, "MARTIN_MARIE_19840214.dcm", "ecg"),
        (echo, "echo export.bin", "echo_loop"),
        (a_letter(), "courrier Mme D.pdf", "pdf"),
    ):
        await dupont.send_file(story.room, data, name, "application/octet-stream", msgtype="m.file")
        got = await story.sees("dupont", "document_received", document_kind=kind)
        digest = hashlib.sha256(data).hexdigest()
        story.check(
            got.data["sha256"] == digest,
            f"document {got.data['n']}: {kind}, {len(data) // 1000} kB, hash {digest[:12]}…",
        )


def _package_file(name: str) -> bytes:
    """Return a test file that pydicom or pydicom-data ships."""
    path = pydicom.data.get_testdata_file(name)
    if not isinstance(path, str):
        raise StepFailed(f"the test file {name} is missing: run make setup")
    return Path(path).read_bytes()


# -- 3. routing --------------------------------------------------------------------------------------------------------


async def _route(story: Story) -> None:
    story.chapter("3  The experts are rung; the first who takes the case is in")
    for expert in ("lambert", "peeters"):
        ring = await story.hears(expert, "ring", case=story.case)
        clinical = any(word in ring.body.lower() for word in ("fa ", "ablation", "4711", "ryth", "rhyth", "1984"))
        story.check(not clinical, f"{expert}: the ring names {story.case} and a time, no clinical word")
    story.check(
        len(await story.people["dupont"].members(story.room)) == 2, "nobody was invited without an open session"
    )
    await story.types("lambert", f"!prendre {story.case}")
    refused = await story.hears("lambert", "error", code="session_needed")
    story.say(f"he has no session: “{refused.body.splitlines()[0]}”")
    await story.types("lambert", story.code("lambert"))
    taken = await story.hears("lambert", "taken")
    story.check(taken.data["case"] == story.case, "his six digits open the session and take the case in one go")
    await story.types("peeters", f"!unlock {story.code('peeters')}")
    await story.hears("peeters", "unlocked")
    await story.types("peeters", f"!take {story.case}")
    late = await story.hears("peeters", "error", code="already_taken")
    story.check("Lambert" in late.body, "the second one is told who was faster, and is not in the room")
    dossier = await story.people["lambert"].wait_kind(story.room, "dossier", timeout=90)
    story.check(QUESTION in dossier.body and "4711" in dossier.body, "he reads the question and the patient line")
    await _look_at_documents(story)


async def _look_at_documents(story: Story) -> None:
    lambert = story.people["lambert"]
    ecg = await lambert.wait_kind(story.room, "document", timeout=90, document_kind="ecg", role="ecg")
    loop = await lambert.wait_kind(story.room, "document", timeout=90, document_kind="echo_loop", role="loop")
    still = await lambert.wait_kind(story.room, "document", timeout=90, document_kind="echo_loop", role="still")
    for message, name in ((ecg, "ecg.png"), (loop, "echo.mp4"), (still, "echo.png")):
        data = await lambert.download(message.content)
        (story.folder / name).write_bytes(data)
    story.check(
        (story.folder / "ecg.png").read_bytes().startswith(b"\x89PNG"), "the DICOM ECG is a picture on ECG paper"
    )
    story.check(b"ftyp" in (story.folder / "echo.mp4").read_bytes()[:64], "the echo loop is a film that phones play")
    names = [
        m.content.get("filename", m.body)
        for m in lambert.messages(story.room)
        if "file" in m.content and m.sender == story.lab.bot_id
    ]
    story.check(
        bool(names) and not any("MARTIN" in n.upper() for n in names), "file names are neutral: no name of the patient"
    )


# -- 4. the answer -----------------------------------------------------------------------------------------------------


async def _answer(story: Story) -> None:
    story.chapter("4  A question back, a colleague brought in, a draft")
    await story.types("lambert", "!demander La TSH est-elle normale ?", room=story.room)
    await story.sees("dupont", "asked")
    await story.types("dupont", "!répondre TSH 2,1 mU/L, normale.", room=story.room)
    await story.sees("lambert", "answered", n=1)
    await story.types("dupont", "!terminé", room=story.room)
    done = await story.sees("lambert", "answered", done=True)
    story.check(done.encrypted, "she answered; the clock goes on")
    await story.types(
        "lambert", f"!inviter {story.people['peeters'].user_id} second avis sur l'indication", room=story.room
    )
    again = await story.people["peeters"].wait_kind(story.room, "dossier", timeout=90)
    story.check(QUESTION in again.body, "the colleague who came late reads the whole dossier")
    await story.people["peeters"].wait_kind(story.room, "document", timeout=90, document_kind="ecg")
    await story.types("lambert", "!projet " + DRAFT, room=story.room)
    draft = await story.sees("dupont", "drafted")
    story.check(
        "PAS SIGN" in draft.body.upper() or "NON SIGN" in draft.body.upper() or "NOT SIGNED" in draft.body,
        "the draft is headed as not signed",
    )
    await story.types("peeters", "!agree", room=story.room)
    await story.sees("lambert", "agreed")


async def _sign(story: Story) -> None:
    story.chapter("5  Two signatures, then the seal")
    await story.types("lambert", f"!signer {story.code('lambert')}", room=story.room)
    frozen = await story.sees("peeters", "frozen")
    story.check(len(frozen.data["code"]) >= 8, f"the first signature froze the PDF; its code is {frozen.data['code']}")
    await story.types("peeters", f"!sign {story.code('peeters')}", room=story.room)
    delivered = await story.sees("dupont", "delivered")
    pdf = await story.people["dupont"].download(delivered.content)
    (story.folder / "opinion.pdf").write_bytes(pdf)
    story.check(hashlib.sha256(pdf).hexdigest() == delivered.data["sha256"], "the sealed PDF is in the case room")
    in_chat = await story.hears("dupont", "delivered")
    story.check(in_chat.data["sha256"] == delivered.data["sha256"], "and in her direct chat")
    await _verify(story, pdf)


async def _verify(story: Story, pdf: bytes) -> None:
    root = await story.lab.authority()
    (story.folder / "authority.pem").write_bytes(root)
    found = await asyncio.to_thread(verify, pdf, [root])
    signers = [s.name for s in found.signatures if s.inami]
    story.check(found.ok and found.sealed, f"consilium verify: sealed and unchanged, signed by {', '.join(signers)}")
    changed = bytearray(pdf)
    changed[len(changed) // 3] ^= 1
    spoiled = await asyncio.to_thread(verify, bytes(changed), [root])
    story.check(not spoiled.ok, "one changed byte, and it is no longer valid")
    if shutil.which("pdfsig"):
        seen = await asyncio.to_thread(_pdfsig, story.folder / "opinion.pdf")
        story.check(
            seen.count("Signature is Valid") == 3,
            "pdfsig (poppler) finds three valid signatures: two physicians, the seal",
        )
    else:
        story.say(
            "pdfsig is not installed (apt-get install poppler-utils): pyHanko checked the signatures, now OpenSSL"
        )
        if shutil.which("openssl"):
            good = await asyncio.to_thread(_openssl, pdf, root)
            story.check(good == 3, "OpenSSL verifies three signatures: two physicians, the seal")
    (story.folder / "opinion.png").write_bytes(await asyncio.to_thread(first_page_png, pdf, 1200))


def _pdfsig(path: Path) -> str:
    """Return what poppler's own check says; a home of its own keeps the reader's certificates out of it."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C"}
        done = subprocess.run(
            ["pdfsig", str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    return done.stdout


def _openssl(pdf: bytes, root: bytes) -> int:
    """Return how many of the signatures OpenSSL verifies, over exactly the bytes that each one covers."""
    good = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root.pem").write_bytes(root)
        for signature in PdfFileReader(io.BytesIO(pdf)).embedded_signatures:
            start, size, second, rest = (int(value) for value in signature.byte_range)
            (folder / "content").write_bytes(pdf[start : start + size] + pdf[second : second + rest])
            (folder / "signature").write_bytes(signature.pkcs7_content)
            files = ["-in", "signature", "-content", "content", "-CAfile", "root.pem", "-out", "/dev/null"]
            command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", *files]
            good += subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
    return good


# -- 6. hand over and the end ------------------------------------------------------------------------------------------


async def _hand_over(story: Story) -> None:
    story.chapter("6  A notice without content, an acknowledgement")
    mails = await story.lab.mail.wait_for(1)
    text = mails[0].get_content()
    clinical = any(
        word in (text + str(mails[0]["Subject"])).lower() for word in ("ablation", "4711", "fa ", "ryth", "martin")
    )
    story.check(
        story.case in str(mails[0]["Subject"]) and not clinical,
        f"an e-mail came: “{mails[0]['Subject']}”, nothing clinical in it",
    )
    await story.types("dupont", f"!reçu {story.case}")
    thanks = await story.hears("dupont", "acknowledged")
    story.check(
        "4711" in thanks.body and "1984" in thanks.body, "the acknowledgement repeats reference, birth year and sex"
    )


async def _end(story: Story) -> None:
    story.chapter("7  Two weeks later: erased, with a certificate")
    await _gather_chats(story)
    story.clock.jump(timedelta(days=11, hours=1))
    warning = await story.hears("dupont", "expiry_warning")
    story.check(story.case in warning.body, "three days before: a warning that says what goes and what to do first")
    story.clock.jump(timedelta(days=2))
    second = await story.hears("dupont", "expiry_warning")
    story.check(second.event_id != warning.event_id, "one day before: the second warning")
    media = await story.lab.media_of(story.case)
    await _wait_until(
        lambda: story.lab.erasure_stage(story.case), "redacted", story.clock, timedelta(days=1, minutes=10)
    )
    story.clock.jump(timedelta(hours=24, minutes=1))
    erased = await story.people["dupont"].wait_kind(story.direct["dupont"], "erased", timeout=90)
    certificate = dict(erased.data["certificate"])
    (story.folder / "certificate.json").write_text(
        json.dumps(certificate, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    (story.folder / "certificate.pdf").write_bytes(await story.lab.certificate_pdf(story.case))
    left = [m for m in media if await story.lab.medium_is_there(m)]
    story.check(bool(media) and not left, f"none of the {len(media)} files is on the homeserver any more")
    story.check(not await story.lab.room_is_there(story.room), "the room is gone from the homeserver")
    reached = certificate["rooms"] == 1 and not {"rooms_left", "media_left", "no_eraser"} & set(
        certificate["not_reached"]
    )
    story.check(reached, f"certificate: {certificate['events']} messages, {certificate['media']} files, key destroyed")
    async with opened_records(story.lab.config, story.clock) as records:
        rows = await records.store.audit_rows()
    story.check(first_break(rows) is None, f"the audit chain of {len(rows)} rows is unbroken")


async def _wait_until(
    stage: Callable[[], Awaitable[str | None]], wanted: str, clock: MovableClock, first: timedelta
) -> None:
    clock.jump(first)
    for _ in range(150):
        if await stage() == wanted:
            return
        await asyncio.sleep(0.2)
    raise StepFailed(f"the erasure did not come to “{wanted}”")


# -- what the demo leaves ----------------------------------------------------------------------------------------------


async def _gather_chats(story: Story) -> None:
    """Write down what each person saw, before it is erased."""
    chats: dict[str, list[ChatLine]] = {}
    for local, person in story.people.items():
        lines = [await _line(story, person, m) for m in person.messages(story.direct[local])]
        if story.room in {m.room_id for m in person.messages(story.room)}:
            lines += [await _line(story, person, m) for m in person.messages(story.room)]
        chats[local] = [line for line in lines if line.text or line.poll]
        (story.folder / f"chat-{local}.md").write_text(as_markdown(local, chats[local]), encoding="utf-8")
    (story.folder / "chat.html").write_text(as_html("Consilium", chats), encoding="utf-8")


async def _line(story: Story, person: Person, message: Message) -> ChatLine:
    names: Mapping[str, str] = {p.user_id: local for local, p in story.people.items()}
    info = message.content.get("info") if isinstance(message.content.get("info"), dict) else {}
    mime = str((info or {}).get("mimetype", ""))
    picture = None
    if "file" in message.content and mime.startswith("image/"):
        picture = await person.download(message.content)
    return ChatLine(
        sender="Consilium" if message.sender == story.lab.bot_id else names.get(message.sender, message.sender),
        mine=message.sender == person.user_id,
        bot=message.sender == story.lab.bot_id,
        at=message.sent_at,
        text="" if message.poll else message.body,
        html=message.content.get("formatted_body"),
        picture=picture,
        picture_mime=mime if picture else None,
        file_name=message.content.get("filename"),
        is_film=mime.startswith("video/"),
        poll=(message.poll.question, *message.poll.answers.values()) if message.poll else (),
        chosen=None,
    )


async def _gather(story: Story) -> None:
    """Say where to look."""
    wanted = {"opinion.pdf", "ecg.png", "echo.mp4", "echo.png", "certificate.json", "certificate.pdf", "chat.html"}
    there = {path.name for path in story.folder.iterdir()}
    story.check(wanted <= there, "everything that the demo shows was written down")
