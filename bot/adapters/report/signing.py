"""Signs the frozen PDF: one PAdES signature a signatory, the hospital's seal last, each as an appended revision."""

import asyncio
import base64
import hashlib
from datetime import datetime
from io import BytesIO

from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from bot.adapters.report.pki import Credential

SEAL_FIELD = "Seal"
_BYTES_IN_CODE = 5
# Crockford's base 32: no I, L, O, U, so that a code can be read over the telephone.
_ALPHABET = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def frozen_code(pdf: bytes) -> str:
    """Return the short code of a PDF's SHA-256 that signatories compare: its first 40 bits, like `7F3K-92QD`."""
    code = base64.b32encode(hashlib.sha256(pdf).digest()[:_BYTES_IN_CODE]).translate(_ALPHABET).decode()
    return f"{code[:4]}-{code[4:]}"


def sign(
    pdf: bytes, credential: Credential, *, field: str, at: datetime, timestamper: TimeStamper | None = None
) -> bytes:
    """Return *pdf* with an approval signature (PAdES baseline B-B, ETSI EN 319 142-1) in the invisible field *field*.

    *at* stands in the file as the time of signing; without a *timestamper* (RFC 3161) it is the server's word alone.
    A signature that is there already stays good. Blocks for some 50 ms, never call it on an event loop.
    """
    spec = fields.SigFieldSpec(
        sig_field_name=field, invis_sig_settings=_INVISIBLE, readable_field_name=_label(credential.certificate)
    )
    return _signed(pdf, credential, spec, at, timestamper)


def seal(pdf: bytes, credential: Credential, *, at: datetime, timestamper: TimeStamper | None = None) -> bytes:
    """Return *pdf* with the hospital's seal, which forbids every change after it (FieldMDP All, DocMDP level 1).

    Not a certification signature: that one would have to come first, and forbid the signatories. Blocks, as `sign`.
    """
    spec = fields.SigFieldSpec(
        sig_field_name=SEAL_FIELD,
        invis_sig_settings=_INVISIBLE,
        readable_field_name=_label(credential.certificate),
        field_mdp_spec=fields.FieldMDPSpec(fields.FieldMDPAction.ALL),
        doc_mdp_update_value=fields.MDPPerm.NO_CHANGES,
    )
    return _signed(pdf, credential, spec, at, timestamper)


# Printable and outside the page: what PDF/A and PDF/UA both accept for a signature that shows nothing.
_INVISIBLE = fields.InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True)


def _signed(
    pdf: bytes, credential: Credential, spec: fields.SigFieldSpec, at: datetime, timestamper: TimeStamper | None
) -> bytes:
    metadata = signers.PdfSignatureMetadata(
        field_name=spec.sig_field_name,
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        docmdp_permissions=spec.doc_mdp_update_value or fields.MDPPerm.FILL_FORMS,
    )
    signer = signers.PdfSigner(metadata, signer=_signer(credential), timestamper=timestamper, new_field_spec=spec)
    return asyncio.run(_append(pdf, signer, at))


async def _append(pdf: bytes, signer: signers.PdfSigner, at: datetime) -> bytes:
    session = signer.init_signing_session(IncrementalPdfFileWriter(BytesIO(pdf)))
    session.system_time = at
    reserved = await session.estimate_signature_container_size(None)
    to_sign = session.prepare_tbs_document(None, bytes_reserved=reserved)
    digest, output = to_sign.digest_tbs_document()
    done = await to_sign.perform_signature(digest.document_digest, PdfCMSSignedAttributes(signing_time=at))
    await done.post_signature_processing(output)
    output.seek(0)
    signed: bytes = output.read()
    return signed


def _signer(credential: Credential) -> signers.SimpleSigner:
    known = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # the library left it untyped
    known.register(_asn1(credential.authority))
    key = credential.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signers.SimpleSigner(
        signing_cert=_asn1(credential.certificate),
        signing_key=keys.PrivateKeyInfo.load(key),
        cert_registry=known,
        embed_roots=False,  # whoever checks has the authority from the hospital, not from the file
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def _label(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value)
