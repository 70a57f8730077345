"""Checks a signed opinion or certificate: every signature, all that was added after it, the seal, the file inside."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO

from asn1crypto import x509
from cryptography import x509 as certificates
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from bot.adapters.report import record
from bot.adapters.report.pki import SEAL_UNIT
from bot.domain.report import SignatureCheck, Verification

_PEM = b"-----BEGIN"

# They log what they find in the file, which may be anything; the result says what was wrong.
for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


def verify(pdf: bytes, roots: Sequence[bytes]) -> Verification:
    """Check *pdf* against the certificates of the authorities *roots* (DER or PEM); a bad PDF is a result, no error.

    Appended revisions are compared object by object: a page that was drawn over after signing is refused, though the
    signed bytes are still there (viewers and `pdfsig` call such a signature valid). After the seal nothing may follow.
    A certificate is judged at the time that the file names, so that an opinion outlives the certificates.
    Blocks for some 100 ms, never call it on an event loop.

    Raises:
        ValueError: one of *roots* is no certificate.
    """
    trusted = [_certificate(root) for root in roots]
    try:
        reader = PdfFileReader(BytesIO(pdf))
        signatures = sorted(reader.embedded_regular_signatures, key=lambda s: int(s.signed_revision))
    except Exception:  # noqa: BLE001  a broken or hostile file may fail in any way, and each way means the same
        return _refused("no_pdf")
    try:
        checks = tuple(asyncio.run(_check_all(signatures, trusted)))
        found = _record(reader) if checks and all(check.is_good for check in checks) else None
    except Exception:  # noqa: BLE001  as above: the reader looks into most objects only now
        return _refused("damaged")
    return _judged(checks, [_is_seal(signature.signer_cert) for signature in signatures], found)


def _judged(checks: tuple[SignatureCheck, ...], seals: list[bool], found: record.Record | None) -> Verification:
    good = bool(checks) and all(check.is_good for check in checks)
    real = [check.intact and check.trusted for check in checks]
    true_seals = [check for check, seal, is_real in zip(checks, seals, real, strict=True) if seal and is_real]
    sealed = bool(true_seals)
    after_seal = sealed and not true_seals[-1].covers_file
    signed_by = {check.inami for check, is_real in zip(checks, real, strict=True) if is_real and check.inami}
    missing = tuple(inami for inami in found.signatories if inami not in signed_by) if found else ()
    problems = {
        "damaged": any(not check.intact for check in checks),
        "untrusted": any(not check.trusted for check in checks),
        "changed": any(not check.unchanged for check in checks),
        "not_sealed": not sealed,
        "changed_after_seal": after_seal,
        "signature_missing": bool(missing) or not (signed_by or (found is not None and found.kind == "erasure")),
        "no_record": good and found is None,
    }
    told = tuple(code for code, is_so in problems.items() if is_so)
    return Verification(
        ok=not told,
        sealed=sealed,
        changed_after_seal=after_seal,
        signatures=checks,
        unsigned=missing,
        problems=told,
        kind=found.kind if found else None,
        case_id=found.case_id if found else None,
        version=found.version if found else None,
        supersedes=found.supersedes if found else None,
        documents=found.documents if found else (),
    )


def _refused(problem: str) -> Verification:
    return Verification(
        ok=False, sealed=False, changed_after_seal=False, signatures=(), unsigned=(), problems=(problem,)
    )


async def _check_all(signatures: list[EmbeddedPdfSignature], roots: list[x509.Certificate]) -> list[SignatureCheck]:
    return [await _check(signature, roots) for signature in signatures]


async def _check(signature: EmbeddedPdfSignature, roots: list[x509.Certificate]) -> SignatureCheck:
    claimed: datetime | None = signature.self_reported_timestamp
    context = ValidationContext(trust_roots=roots, allow_fetching=False, moment=claimed or datetime.now(UTC))
    status = await async_validate_pdf_signature(signature, signer_validation_context=context)
    covers = status.coverage == SignatureCoverageLevel.ENTIRE_FILE
    level = status.modification_level
    added_only_signatures = (
        status.coverage >= SignatureCoverageLevel.ENTIRE_REVISION
        and level is not None
        and level <= ModificationLevel.FORM_FILLING
        and bool(status.docmdp_ok)
    )
    names = signature.signer_cert.subject.native
    serial = names.get("serial_number")
    return SignatureCheck(
        name=str(names.get("common_name", "")),
        inami=None if _is_seal(signature.signer_cert) or serial is None else str(serial),
        signed_at=claimed,
        intact=bool(status.intact and status.valid),
        trusted=bool(status.trusted),
        unchanged=covers or added_only_signatures,
        covers_file=covers,
    )


def _is_seal(certificate: x509.Certificate) -> bool:
    names = certificate.subject.native
    return "serial_number" not in names and names.get("organizational_unit_name") == SEAL_UNIT


def _record(reader: PdfFileReader) -> record.Record | None:
    for attached in reader.root.get("/AF", ()):
        file = attached.get_object()
        if file.get("/UF", file.get("/F")) in record.NAMES:
            return record.read(file["/EF"]["/F"].data)
    return None


def _certificate(content: bytes) -> x509.Certificate:
    """Read a certificate; ValueError if it is none."""
    if content.lstrip().startswith(_PEM):
        content = certificates.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    else:
        certificates.load_der_x509_certificate(content)
    return x509.Certificate.load(content)
