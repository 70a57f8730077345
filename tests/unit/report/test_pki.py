"""The hospital's authority and the certificates that it issues."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from bot.adapters.report import pki
from tests.fakes.report import ASKED, EXPERT


@pytest.fixture(scope="module")
def authority() -> pki.Authority:
    return pki.create_authority("Hôpital de démonstration", at=ASKED)


def _signatory(authority: pki.Authority, name: str = EXPERT.name) -> pki.Credential:
    return pki.issue_signatory(authority, name=name, inami=EXPERT.inami, hospital="Hôpital", at=ASKED)


def _value(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return str(name.get_attributes_for_oid(oid)[0].value)


def test_a_signatory_is_named_with_his_number(authority: pki.Authority) -> None:
    """Common name and serial number of the subject: name and INAMI."""
    subject = _signatory(authority).certificate.subject

    assert _value(subject, NameOID.COMMON_NAME) == EXPERT.name
    assert _value(subject, NameOID.SERIAL_NUMBER) == EXPERT.inami


def test_only_the_authority_issues(authority: pki.Authority) -> None:
    """End certificates sign documents; the authority signs certificates."""
    usage = _signatory(authority).certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    of_authority = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage).value

    assert (usage.digital_signature, usage.content_commitment, usage.key_cert_sign) == (True, True, False)
    assert (of_authority.digital_signature, of_authority.key_cert_sign) == (False, True)


def test_the_authority_outlives_the_record(authority: pki.Authority) -> None:
    """A hospital keeps the record at least 30 years."""
    assert authority.certificate.not_valid_after_utc > ASKED + timedelta(days=30 * 366)


def test_certificates_chain_to_the_authority(authority: pki.Authority) -> None:
    """Signature and issuer fit."""
    _signatory(authority).certificate.verify_directly_issued_by(authority.certificate)
    pki.issue_seal(authority, hospital="Hôpital", at=ASKED).certificate.verify_directly_issued_by(authority.certificate)


def test_bundles_come_back_from_bytes(authority: pki.Authority) -> None:
    """Whoever keeps them gets the same key and certificates back."""
    credential = _signatory(authority)

    assert pki.Credential.from_bytes(credential.to_bytes()).to_bytes() == credential.to_bytes()
    assert pki.Authority.from_bytes(authority.to_bytes()).to_bytes() == authority.to_bytes()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_other_bytes_are_refused(content: bytes) -> None:
    """A damaged bundle is an error, not a credential."""
    with pytest.raises(ValueError):  # noqa: PT011  the library's texts vary
        pki.Credential.from_bytes(content)


def test_an_authority_is_no_credential(authority: pki.Authority) -> None:
    """The bundles cannot stand for each other."""
    with pytest.raises(ValueError, match="no bundle"):
        pki.Credential.from_bytes(authority.to_bytes())


def test_keys_are_not_shown(authority: pki.Authority) -> None:
    """A representation in a log holds no key."""
    assert "key=" not in repr(_signatory(authority)) + repr(authority)


@pytest.mark.parametrize("name", ["", "\x00\n", "Ж" * 300, "\ud800", "Dr \u202e Anne", "A,CN=B+OU=Seal"])
def test_any_name_gives_a_certificate(authority: pki.Authority, name: str) -> None:
    """A subject holds 64 characters in one line (X.520), counted in bytes; a name cannot add attributes of its own."""
    subject = _signatory(authority, name).certificate.subject

    assert 1 <= len(_value(subject, NameOID.COMMON_NAME).encode()) <= 64
    assert not subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)


def test_a_certificate_signs_for_its_subject_while_it_is_valid(authority: pki.Authority) -> None:
    """Another name, or a time outside of it, needs a new one."""
    credential = _signatory(authority)
    subject = pki.signatory_subject(name=EXPERT.name, inami=EXPERT.inami, hospital="Hôpital")
    other = pki.signatory_subject(name="Dr Autre", inami=EXPERT.inami, hospital="Hôpital")

    assert credential.may_sign(subject, ASKED)
    assert not credential.may_sign(other, ASKED)
    assert not credential.may_sign(subject, ASKED - timedelta(days=1))
    assert not credential.may_sign(subject, ASKED + timedelta(days=6 * 366))
