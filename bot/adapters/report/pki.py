"""The small PKI that the hospital operates: an authority, a certificate for each signatory, one for the seal."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SEAL_UNIT = "Seal"
"""The organizational unit in the subject of a seal's certificate; a signatory's has a serial number (INAMI) instead."""

# The authority outlives the record that a hospital must keep (30 years); keys that sign are renewed far more often.
_AUTHORITY_YEARS, _SEAL_YEARS, _SIGNATORY_YEARS = 40, 10, 5
_YEAR = timedelta(days=365.25)
BEFORE_FIRST_USE = timedelta(days=30)
"""How far an authority reaches back: a signatory gave his word hours or days before the keys were first needed."""

_SKEW = timedelta(minutes=10)
_LONGEST = 64
"""Upper bound of names in a subject (X.520, ub-common-name), counted in bytes to be safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A private key, its certificate and the authority's; to bytes and back, for whoever keeps it encrypted."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate
    authority: x509.Certificate

    def may_sign(self, subject: x509.Name, at: datetime) -> bool:
        """Tell whether the certificate is for *subject* and valid at *at*; if not, a new one is issued."""
        own = self.certificate
        return own.subject == subject and own.not_valid_before_utc <= at < own.not_valid_after_utc

    def to_bytes(self) -> bytes:
        """Return key (PKCS #8, in clear) and certificates as PEM. The caller encrypts them at rest."""
        return b"".join((_pem_key(self.key), _pem(self.certificate), _pem(self.authority)))

    @classmethod
    def from_bytes(cls, content: bytes) -> "Credential":
        """Read what `to_bytes` wrote; ValueError if it is something else."""
        key, certificates = _read(content, 2)
        return cls(key=key, certificate=certificates[0], authority=certificates[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The hospital's certification authority; its certificate (DER) is the root that verifiers trust."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def root(self) -> bytes:
        """Return the certificate as DER, to be given to `verify`."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def root_pem(self) -> bytes:
        """Return the certificate as PEM, for PDF readers and `pdfsig`."""
        return _pem(self.certificate)

    def to_bytes(self) -> bytes:
        """Return key (PKCS #8, in clear) and certificate as PEM. The caller encrypts them at rest."""
        return _pem_key(self.key) + _pem(self.certificate)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Authority":
        """Read what `to_bytes` wrote; ValueError if it is something else."""
        key, certificates = _read(content, 1)
        return cls(key=key, certificate=certificates[0])


def create_authority(hospital: str, *, at: datetime) -> Authority:
    """Make the hospital's authority: ECDSA P-256, valid for 40 years from *at*, may issue end certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(organization=hospital, common=f"{_short(hospital, 44)} – Consilium CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), at, _AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(issues=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key=key, certificate=certificate)


def signatory_subject(*, name: str, inami: str, hospital: str) -> x509.Name:
    """Return the subject of a signatory's certificate: his name, his INAMI number as serial number, the hospital."""
    return _name(organization=hospital, common=name, serial=inami)


def seal_subject(hospital: str) -> x509.Name:
    """Return the subject of the certificate of the hospital's seal."""
    return _name(organization=hospital, common=hospital, unit=SEAL_UNIT)


def issue_signatory(authority: Authority, *, name: str, inami: str, hospital: str, at: datetime) -> Credential:
    """Issue a signatory's certificate with a new key; valid for 5 years from *at*."""
    return _issue(authority, signatory_subject(name=name, inami=inami, hospital=hospital), at, _SIGNATORY_YEARS)


def issue_seal(authority: Authority, *, hospital: str, at: datetime) -> Credential:
    """Issue the certificate of the hospital's seal with a new key; valid for 10 years from *at*."""
    return _issue(authority, seal_subject(hospital), at, _SEAL_YEARS)


def _issue(authority: Authority, subject: x509.Name, at: datetime, years: int) -> Credential:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    parent = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    # No extended key usage: NSS, which pdfsig uses, refuses a signer whose list lacks e-mail protection.
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), at, years)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parent), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Credential(key=key, certificate=certificate, authority=issuer)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, at: datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _SKEW)
        .not_valid_after(at + years * _YEAR)
    )


def _usage(*, issues: bool) -> x509.KeyUsage:
    """Return the usage of an authority's key, or of a signatory's: digital signature and content commitment."""
    return x509.KeyUsage(
        digital_signature=not issues,
        content_commitment=not issues,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


def _name(*, organization: str, common: str, serial: str | None = None, unit: str | None = None) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, _short(organization)),
    ]
    if unit is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, _short(common)))
    if serial is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return x509.Name(attributes)


def _short(text: str, longest: int = _LONGEST) -> str:
    """Return a name as a subject can carry it: printable, in one line, not empty, at most *longest* bytes of UTF-8."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = " ".join(plain.split()) or "–"
    coded = plain.encode()
    return plain if len(coded) <= longest else coded[: longest - 3].decode(errors="ignore") + "…"


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(content: bytes, certificates: int) -> tuple[ec.EllipticCurvePrivateKey, list[x509.Certificate]]:
    key = serialization.load_pem_private_key(content, password=None)
    found = x509.load_pem_x509_certificates(content)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or len(found) != certificates:
        raise ValueError("no bundle of this kind")
    return key, found
