"""The main story, in English and in French: from the question to a signed opinion that anybody can verify."""

import asyncio
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pydicom.data
import pytest

from bot.adapters.report.verify import verify
from bot.lab.letter import a_letter
from tests.flows.ward import Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is typed, in one language."""

    language: str
    new: str
    patient: str
    question: str
    expectation: str
    facts: str
    clinical: str
    submit: str
    take: str
    draft: str
    sign: str
    received: str
    not_signed: str
    sex: str


SCRIPTS = {
    "en": Script(
        language="en",
        new="!new rhythmology",
        patient="ref 4711, 1958, F",
        question="Is an ablation indicated? He doesn't want drugs “for life”.",
        expectation="procedure, priority",
        facts="LVEF 55, syncope no, sudden death no, EHRA 3, AF paroxysmal, CHA2DS2-VA 2, rhythm question ablation",
        clinical="Flecainide 200 mg for 4 months, no effect.",
        submit="!submit",
        take="!take",
        draft="!draft ablation: pulmonary vein isolation\n"
        "Reasons: symptoms.\nRecommendation: PVI.\nWho does what: we call.",
        sign="!sign",
        received="!acknowledge",
        not_signed="NOT SIGNED",
        sex="Female",
    ),
    "fr": Script(
        language="fr",
        new="!avis nouveau rythmologie",
        patient="réf. 4712, 1961, H",
        question="L'ablation est-elle indiquée ? Le patient n'en veut pas « à vie ».",
        expectation="intervention, prioritaire",
        facts="FEVG 55, syncope non, mort subite familiale non, EHRA 3, FA paroxystique, CHA2DS2-VA 2, "
        "question rythmologique ablation",
        clinical="Flécaïnide 200 mg par jour pendant 4 mois, sans effet.",
        submit="!soumettre",
        take="!prendre",
        draft="!projet ablation: l'ablation est indiquée\n"
        "Motifs : symptômes.\nConduite : isolation.\nQui fait quoi : nous appelons.",
        sign="!signer",
        received="!reçu",
        not_signed="NON SIGN",
        sex="Homme",
    ),
}


def a_file_of(name: str) -> bytes:
    path = pydicom.data.get_testdata_file(name)
    assert isinstance(path, str)
    return Path(path).read_bytes()


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_a_question_is_answered_signed_and_delivered_in_twelve_messages(
    ward: Ward, language: str, tmp_path: Path
) -> None:
    """12 own messages or taps at most; the PDF holds by our own check and by poppler's; the mail has no content."""
    script = SCRIPTS[language]
    requester, expert = await asyncio.gather(
        ward.phone("requester", language=language),
        ward.phone("expert", language=language, lines={"rhythmology": "rhythmologist"}),
    )
    mails = len(await ward.lab.mail.mails())
    await requester.types(script.new)
    opened = await requester.person.wait_kind(None, "case_opened", timeout=60, line="rhythmology")
    room, case_id = opened.room_id, opened.data["case"]
    assert "112" in opened.body

    await requester.taps("not_emergency", room)
    await requester.hears("question", room, field="patient")
    await requester.types(script.patient, room)
    await requester.taps("agrees_seen", room)
    await requester.hears("question", room, field="question")
    await requester.types(script.question, room)
    await requester.hears("question", room, field="expectation")
    await requester.types(script.expectation, room)
    await requester.taps("af", room)
    await requester.hears("question", room, field="facts")
    await requester.types(script.facts, room)
    for data, kind in ((a_file_of("waveform_ecg.dcm"), "ecg"), (a_letter(), "pdf")):
        await requester.drops(data, room, name="Marie Dupont 19580214.bin")
        received = await requester.hears("document_received", room, document_kind=kind)
        assert received.data["sha256"] == hashlib.sha256(data).hexdigest()
    await requester.hears("question", room, field="clinical")
    await requester.types(script.clinical, room)
    await requester.hears("question", room, field="closing")
    await requester.types(script.submit, room)
    submitted = await requester.hears("submitted", room)
    assert submitted.data["incomplete"] is False
    assert submitted.data["turns"] == 10

    ring = await expert.hears("ring", case=case_id)
    assert "4711" not in ring.body
    assert "4712" not in ring.body
    await expert.types(f"{script.take} {case_id}")
    dossier = await expert.hears("dossier", room)
    assert script.question in dossier.body
    assert script.sex in dossier.body
    ecg = await expert.hears("document", room, role="ecg")
    assert (await expert.person.download(ecg.content)).startswith(b"\x89PNG")
    await expert.types(script.draft, room)
    draft = await requester.hears("drafted", room)
    assert script.not_signed in draft.body.upper()
    await expert.types(f"{script.sign} {expert.code()}", room)
    delivered = await requester.hears("delivered", room)
    pdf = await requester.person.download(delivered.content)
    assert hashlib.sha256(pdf).hexdigest() == delivered.data["sha256"]
    assert (await requester.hears("delivered")).data["sha256"] == delivered.data["sha256"]

    found = await asyncio.to_thread(verify, pdf, [await ward.lab.authority()])
    assert (found.ok, found.sealed, found.case_id) == (True, True, case_id)
    assert [s.name for s in found.signatures if s.inami] == [expert.name]
    assert len(found.documents) == 2
    (tmp_path / "opinion.pdf").write_bytes(pdf)
    assert pdfsig(tmp_path / "opinion.pdf").count("Signature is Valid") == 2

    mail = (await ward.lab.mail.wait_for(mails + 1))[-1]
    assert case_id in str(mail["Subject"])
    assert not any(word in mail.get_content().lower() for word in ("ablation", "471", "rhyth", "ryth"))
    await requester.types(f"{script.received} {case_id}")
    thanks = await requester.hears("acknowledged", case=case_id)
    assert script.sex in thanks.body


def pdfsig(path: Path) -> str:
    """Return what poppler's own check says; a home of its own keeps the machine's certificates out of it."""
    assert shutil.which("pdfsig"), "apt-get install poppler-utils"
    environment = {"PATH": os.environ["PATH"], "HOME": str(path.parent), "LC_ALL": "C"}
    return subprocess.run(["pdfsig", str(path)], capture_output=True, text=True, check=True, env=environment).stdout


async def test_a_phone_that_excludes_insecure_devices_reads_the_bot_and_is_read_by_it(ward: Ward) -> None:
    """The bot has an identity of its own and one device that it signed; nothing it says carries a shield."""
    reader = await ward.phone("reader")
    bot = await reader.person.identity_of(ward.lab.bot_id)
    assert bot.known
    assert len(bot.devices) == 1
    assert bot.devices == bot.signed_devices
    said = reader.said_by_bot(reader.direct)
    assert len(said) >= 2
    assert all(m.encrypted and m.shield == "none" and m.decryption_failure is None for m in said)
    await reader.types("!help")
    answer = await reader.person.wait_for(reader.direct, lambda m: m.kind == "help" and "take" in m.body, timeout=60)
    assert answer.shield == "none"
