"""The report maker keeps its port, and independent programs (pdfsig, OpenSSL) agree with what it signs."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from bot.adapters.report.maker import HospitalReports
from bot.services.ports import ReportMaker
from tests.fakes.clock import FixedClock
from tests.fakes.report import (
    EXPERT,
    SECOND,
    THIRD,
    PlainReports,
    a_certificate,
    a_panel_opinion,
    an_opinion,
    drawn_over,
)
from tests.fakes.secrets import MemorySecrets

# Certificates are checked by outside programs at the time of their own clock.
NOW = datetime.now(UTC).replace(microsecond=0)
HOSPITAL = "Hôpital de démonstration"
WORDS = tuple((person, NOW - timedelta(hours=3 - n)) for n, person in enumerate((EXPERT, SECOND, THIRD)))


def _real(secrets: MemorySecrets | None = None) -> HospitalReports:
    return HospitalReports(secrets=secrets or MemorySecrets(), clock=FixedClock(NOW), hospital=HOSPITAL)


@pytest.fixture(params=["real", "fake"])
def maker(request: pytest.FixtureRequest) -> ReportMaker:
    return _real() if request.param == "real" else PlainReports()


async def test_the_same_opinion_gives_the_same_bytes(maker: ReportMaker) -> None:
    """Signatories compare a code: it must not depend on when it was made."""
    assert await maker.opinion(an_opinion()) == await maker.opinion(an_opinion())


async def test_another_opinion_gives_another_code(maker: ReportMaker) -> None:
    """Nine characters, two groups."""
    one, other = await maker.opinion(an_opinion()), await maker.opinion(an_opinion(version=2))

    assert maker.code(one) != maker.code(other)
    assert [len(group) for group in maker.code(one).split("-")] == [4, 4]


async def test_signing_adds_to_what_was_frozen(maker: ReportMaker) -> None:
    """What the signatories saw is the beginning of what is filed."""
    frozen = await maker.opinion(a_panel_opinion())
    signed = await maker.sign(frozen, WORDS, sealed_at=NOW)

    assert signed.startswith(frozen)
    assert len(signed) > len(frozen)


async def test_a_certificate_is_made(maker: ReportMaker) -> None:
    """It remains when the case is gone."""
    assert (await maker.certificate(a_certificate())).startswith(b"%PDF")


async def test_what_the_maker_signs_it_verifies() -> None:
    """Times are those of each signatory's word, not of the sealing."""
    maker = _real()
    sealed = await maker.sign(await maker.opinion(a_panel_opinion()), WORDS, sealed_at=NOW)
    found = await maker.verify(sealed)

    assert (found.ok, found.problems) == (True, ())
    assert [s.signed_at for s in found.signatures] == [*(at for _, at in WORDS), NOW]
    assert (await maker.verify(await maker.certificate(a_certificate()))).ok


async def test_keys_survive_a_restart() -> None:
    """A second start signs with the same authority and the same certificates."""
    secrets = MemorySecrets()
    first = _real(secrets)
    frozen = await first.opinion(an_opinion())
    sealed = await first.sign(frozen, WORDS[:2], sealed_at=NOW)
    kept = dict(secrets.values)
    second = _real(secrets)
    await second.sign(frozen, WORDS[:2], sealed_at=NOW)

    assert (await second.verify(sealed)).ok
    assert secrets.values == kept


async def test_a_signatory_whose_name_changed_gets_a_new_certificate() -> None:
    """The certificate says the name that the opinion says."""
    maker = _real()
    frozen = await maker.opinion(an_opinion())
    renamed = tuple(
        (type(person)(name="Dr Autre Nom", inami=person.inami, function=""), at) for person, at in WORDS[:2]
    )
    await maker.sign(frozen, WORDS[:2], sealed_at=NOW)
    found = await maker.verify(await maker.sign(frozen, renamed, sealed_at=NOW))

    assert [s.name for s in found.signatures] == ["Dr Autre Nom", "Dr Autre Nom", HOSPITAL]


# ---------------------------------------------------------------------------------------------------------------------
# Independent programs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `sealed.pdf`, the authority as `root.pem`, and an NSS database that trusts it."""
    missing = [tool for tool in ("pdfsig", "certutil", "openssl") if shutil.which(tool) is None]
    assert not missing, f"{missing}: apt-get install -y poppler-utils libnss3-tools openssl"
    return tmp_path_factory.mktemp("signed")


@pytest.fixture(scope="module")
def sealed(folder: Path) -> bytes:
    maker = _real()
    pdf = asyncio.run(_sealed_panel_opinion(maker))
    (folder / "root.pem").write_bytes(maker.authority().root_pem)
    _run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
    _run("certutil", "-A", "-d", f"sql:{folder}", "-n", "root", "-t", "C,C,C", "-i", str(folder / "root.pem"))
    return pdf


async def _sealed_panel_opinion(maker: HospitalReports) -> bytes:
    return await maker.sign(await maker.opinion(a_panel_opinion()), WORDS, sealed_at=NOW)


def _run(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def _pdfsig(folder: Path, pdf: bytes) -> str:
    file = folder / "checked.pdf"
    file.write_bytes(pdf)
    return _run("pdfsig", "-nssdir", f"sql:{folder}", str(file))


def _openssl(folder: Path, pdf: bytes, number: int) -> str:
    signature = PdfFileReader(BytesIO(pdf)).embedded_regular_signatures[number]
    start, size, second, rest = (int(value) for value in signature.byte_range)
    (folder / "content").write_bytes(pdf[start : start + size] + pdf[second : second + rest])
    (folder / "signature").write_bytes(signature.pkcs7_content)
    files = ("-in", str(folder / "signature"), "-content", str(folder / "content"), "-CAfile", str(folder / "root.pem"))
    return _run(
        "openssl", "cms", "-verify", "-binary", "-inform", "DER", *files, "-purpose", "any", "-out", "/dev/null"
    )


def test_pdfsig_calls_every_signature_valid_and_trusted(folder: Path, sealed: bytes) -> None:
    """Three signatories and the seal, PAdES, and the seal covers the whole file."""
    said = _pdfsig(folder, sealed)

    assert said.count("Signature is Valid.") == 4
    assert said.count("Certificate is Trusted.") == 4
    assert said.count("ETSI.CAdES.detached") == 4
    assert said.count("Total document signed") == 1
    assert "serialNumber=12345625730" in said


@pytest.mark.parametrize("number", range(4))
def test_openssl_verifies_each_signature(folder: Path, sealed: bytes, number: int) -> None:
    """The signed bytes and the certificate chain, without any PDF library's opinion."""
    assert "successful" in _openssl(folder, sealed, number)


def test_a_flipped_byte_is_seen_by_all(folder: Path, sealed: bytes) -> None:
    """A byte of the page's content, under every signature."""
    damaged = bytearray(sealed)
    damaged[2_000] ^= 1
    changed = bytes(damaged)

    assert _pdfsig(folder, changed).count("Digest Mismatch") == 4
    assert "failure" in _openssl(folder, changed, 0).lower()


async def test_a_page_drawn_over_passes_pdfsig_and_not_our_check(folder: Path, sealed: bytes) -> None:
    """Why `consilium verify` compares revisions: pdfsig says valid, and only that the total document is not signed."""
    changed = drawn_over(sealed)
    said = _pdfsig(folder, changed)
    found = await _real().verify(changed)

    assert (said.count("Signature is Valid."), said.count("Total document signed")) == (4, 0)
    assert not found.ok
    assert {"changed", "changed_after_seal"} & set(found.problems)
