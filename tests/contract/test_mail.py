"""What every mailer promises, the real one against a real mail server on loopback."""

import asyncio
import contextlib
import email
import email.policy
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.adapters.mail import Security, SmtpMailer
from bot.domain.errors import ExternalError, Permanent
from bot.services.ports import Mailer
from tests.fakes.clock import FixedClock
from tests.fakes.mail import MemoryMailer

ADDRESS = "secretariat@hospital.example"
REFUSED = "nobody@hospital.example"
BUSY = "busy@hospital.example"


class Postbox:
    """A mail server's memory; it refuses one address for good and another for now."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == REFUSED:
            return "550 5.1.1 no such mailbox"
        if address == BUSY:
            return "450 4.2.1 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # theirs
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        return "250 OK"


class World(Protocol):
    """A mailer, and what arrived."""

    mailer: Mailer

    def subjects(self) -> list[str]: ...

    def ids(self) -> list[str]: ...


class RealWorld:
    """The mailer that speaks SMTP."""

    def __init__(self, postbox: Postbox, port: int) -> None:
        self.postbox = postbox
        self.mailer: Mailer = a_mailer(port)

    def mails(self) -> list[EmailMessage]:
        """Return what arrived, parsed."""
        return [email.message_from_bytes(raw, EmailMessage, policy=email.policy.default) for raw in self.postbox.raw]

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails()]

    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails()]


class FakeWorld:
    """The mailer of the tests."""

    def __init__(self) -> None:
        self.memory = MemoryMailer()
        self.memory.refused.add(REFUSED)
        self.memory.busy.add(BUSY)
        self.mailer: Mailer = self.memory

    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.memory.letters]

    def ids(self) -> list[str]:
        return [letter.message_id for letter in self.memory.letters]


def a_mailer(
    port: int, *, security: Security = "none", trust: ssl.SSLContext | None = None, password: str | None = None
) -> SmtpMailer:
    """Build a mailer for a server on loopback."""
    return SmtpMailer(
        host="127.0.0.1",
        port=port,
        security=security,
        sender="consilium@hospital.example",
        clock=FixedClock(),
        username=None if password is None else "consilium",
        password=password,
        trust=trust,
    )


Check = Callable[[SMTP, Session, Envelope, str, LoginPassword], AuthResult]


@contextlib.asynccontextmanager
async def a_server(
    postbox: Postbox,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    check: Check | None = None,
) -> AsyncIterator[int]:
    """Run a mail server on loopback and yield its port; with *check* it wants a password."""
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(
            postbox,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=check is not None,
            authenticator=check,
        ),
        "127.0.0.1",
        0,
        ssl=tls,
    )
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def shown(certificate: Path) -> ssl.SSLContext:
    """What the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path) -> ssl.SSLContext:
    """What a client that knows the certificate trusts."""
    return ssl.create_default_context(cafile=certificate)


@pytest.fixture
async def real() -> AsyncIterator[RealWorld]:
    """A mailer with its server."""
    postbox = Postbox()
    async with a_server(postbox) as port:
        yield RealWorld(postbox, port)


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest, real: RealWorld) -> World:
    """Each kind of mailer."""
    return real if request.param == "real" else FakeWorld()


async def test_a_mail_arrives_with_its_subject(world: World) -> None:
    """One call, one mail."""
    await world.mailer.send(ADDRESS, "Avis terminé", "C-2026-0007", message_id="delivered-1")

    assert world.subjects() == ["Avis terminé"]


async def test_a_repeat_carries_the_same_message_id(world: World) -> None:
    """After a crash a mail may go twice; the reader's program can tell."""
    for message_id in ("delivered-1", "delivered-1", "delivered-2"):
        await world.mailer.send(ADDRESS, "Avis", "C-2026-0007", message_id=message_id)

    first, again, other = world.ids()
    assert first == again
    assert first != other


async def test_a_refused_address_is_permanent(world: World) -> None:
    """Trying again does not make a mailbox."""
    with pytest.raises(Permanent, match="mail_address_refused"):
        await world.mailer.send(REFUSED, "Avis", "C-2026-0007", message_id="delivered-1")


async def test_a_busy_mailbox_is_tried_again(world: World) -> None:
    """A refusal for now is not for good."""
    with pytest.raises(ExternalError, match="mail_deferred") as failure:
        await world.mailer.send(BUSY, "Avis", "C-2026-0007", message_id="delivered-1")

    assert not isinstance(failure.value, Permanent)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b\r\nBcc: c@d.example", "a b@c.example", "a@b.example, c@d.example", "é@b.example"]
)
async def test_what_is_no_address_is_permanent(world: World, address: str) -> None:
    """Nothing in an address can add a header or a second reader."""
    with pytest.raises(Permanent, match="mail_address_invalid"):
        await world.mailer.send(address, "Avis", "C-2026-0007", message_id="delivered-1")

    assert world.subjects() == []


async def test_a_line_break_in_a_subject_makes_no_header(world: World) -> None:
    """Headers cannot be added from outside."""
    await world.mailer.send(ADDRESS, "Avis\r\nBcc: other@hospital.example", "C-2026-0007", message_id="m1")

    assert world.subjects() == ["Avis Bcc: other@hospital.example"]


async def test_a_mail_is_one_plain_text_and_says_that_a_machine_wrote_it(real: RealWorld) -> None:
    """No attachment, no HTML, no vacation notice in return, ASCII on the wire."""
    await real.mailer.send(ADDRESS, "Avis terminé", "Ouvrez Element: été", message_id="delivered-1")

    (mail,) = real.mails()
    assert mail.get_content_type() == "text/plain"
    assert not mail.is_multipart()
    assert mail.get_content().strip() == "Ouvrez Element: été"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert real.postbox.raw[0].isascii()


async def test_the_message_id_shows_nothing_of_what_it_was_made_from(real: RealWorld) -> None:
    """Mail servers log message ids."""
    await real.mailer.send(ADDRESS, "Avis", "texte", message_id="C-2026-0007-delivered")

    (message_id,) = real.ids()
    assert "C-2026" not in message_id
    assert message_id.endswith("@hospital.example>")


async def test_headers_are_only_the_ones_we_chose(real: RealWorld) -> None:
    """No host name, no program name, no person beyond the two addresses."""
    await real.mailer.send(ADDRESS, "Avis", "texte", message_id="m1")

    (mail,) = real.mails()
    assert set(mail.keys()) - {"X-Peer", "X-MailFrom", "X-RcptTo"} == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }


async def test_a_server_that_is_down_is_tried_again() -> None:
    """The outbox keeps the mail."""
    async with a_server(Postbox()) as port:
        pass

    with pytest.raises(ExternalError, match="mail_unreachable"):
        await a_mailer(port).send(ADDRESS, "Avis", "texte", message_id="m1")


async def test_without_starttls_on_the_server_nothing_is_sent(trusted: ssl.SSLContext) -> None:
    """Encryption that was asked for is never given up in silence."""
    postbox = Postbox()

    async with a_server(postbox) as port:
        seen = await outcome_of(a_mailer(port, security="starttls", trust=trusted))

    assert (seen, postbox.raw) == ("mail_tls_failed", [])


async def test_mail_goes_over_starttls_with_a_password(shown: ssl.SSLContext, trusted: ssl.SSLContext) -> None:
    """The usual way to a hospital's server."""
    postbox = Postbox()

    async with a_server(postbox, starttls=shown, check=only_right) as port:
        seen = await outcome_of(a_mailer(port, security="starttls", trust=trusted, password="right"))

    assert (seen, len(postbox.raw)) == ("sent", 1)


async def test_a_wrong_password_is_an_outside_failure(shown: ssl.SSLContext, trusted: ssl.SSLContext) -> None:
    """The operator corrects it and the outbox goes on."""
    postbox = Postbox()

    async with a_server(postbox, starttls=shown, check=only_right) as port:
        seen = await outcome_of(a_mailer(port, security="starttls", trust=trusted, password="wrong"))

    assert (seen, postbox.raw) == ("mail_sign_in_refused", [])


async def test_mail_goes_over_tls_from_the_first_byte(shown: ssl.SSLContext, trusted: ssl.SSLContext) -> None:
    """Port 465."""
    postbox = Postbox()

    async with a_server(postbox, tls=shown) as port:
        seen = await outcome_of(a_mailer(port, security="tls", trust=trusted))

    assert (seen, len(postbox.raw)) == ("sent", 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_an_unknown_certificate_is_refused(shown: ssl.SSLContext, security: Security) -> None:
    """A stranger in between gets no mail and no password."""
    postbox = Postbox()
    starttls, tls = (shown, None) if security == "starttls" else (None, shown)

    async with a_server(postbox, starttls=starttls, tls=tls) as port:
        seen = await outcome_of(a_mailer(port, security=security))

    assert (seen, postbox.raw) == ("mail_tls_failed", [])


def only_right(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword) -> AuthResult:
    """Accept one password."""
    return AuthResult(success=login.password == b"right", handled=False)


async def outcome_of(mailer: SmtpMailer) -> str:
    """Send one mail and say how it went."""
    try:
        await mailer.send(ADDRESS, "Avis", "texte", message_id="m1")
    except ExternalError as error:
        return error.code
    return "sent"
