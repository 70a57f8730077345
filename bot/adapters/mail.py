"""Mail through the hospital's server: short plain-text notices, never an attachment, never a clinical word."""

import hashlib
import re
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

import aiosmtplib

from bot.domain.errors import ExternalError, Permanent
from bot.services.ports import Clock

_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+")
"""ASCII without spaces: what every mail server takes."""

_MOST_SUBJECT = 200
_TIMEOUT_SECONDS = 30.0

Security = Literal["none", "starttls", "tls"]


class SmtpMailer:
    """Opens a connection for each mail; certificates are always checked."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        sender: str,
        clock: Clock,
        username: str | None = None,
        password: str | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._sender = sender
        self._clock = clock
        self._username = username
        self._password = password
        self._trust = trust or ssl.create_default_context()

    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        """Hand one mail to the hospital's server.

        The Message-ID header is made from *message_id* alone, so that a repeat is recognised as the same mail.

        Raises:
            Permanent: `mail_address_invalid`, `mail_address_refused`, `mail_refused`.
            ExternalError: `mail_unreachable`, `mail_tls_failed`, `mail_sign_in_refused`, `mail_sender_refused`,
                `mail_deferred`.
        """
        if not _ADDRESS.fullmatch(to):
            raise Permanent("mail_address_invalid")
        mail = self._composed(to, subject, text, message_id)
        try:
            await self._handed_over(mail, to)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused("mail_address_refused", [each.code for each in error.recipients]) from None
        except aiosmtplib.SMTPAuthenticationError:
            raise ExternalError("mail_sign_in_refused") from None
        except aiosmtplib.SMTPSenderRefused:
            raise ExternalError("mail_sender_refused") from None
        except aiosmtplib.SMTPDataError as error:
            raise _refused("mail_refused", [error.code]) from None
        except ssl.SSLError:
            raise ExternalError("mail_tls_failed") from None
        except aiosmtplib.SMTPException as error:
            tls = isinstance(error.__cause__, ssl.SSLError) or "STARTTLS" in str(error)
            raise ExternalError("mail_tls_failed" if tls else "mail_unreachable") from None
        except OSError:
            raise ExternalError("mail_unreachable") from None

    async def _handed_over(self, mail: EmailMessage, to: str) -> None:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=None if self._security == "none" else self._trust,
            username=self._username,
            password=self._password,
            timeout=_TIMEOUT_SECONDS,
        )
        async with client:
            await client.sendmail(self._sender, [to], mail.as_bytes())

    def _composed(self, to: str, subject: str, text: str, message_id: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        mail["To"] = to
        mail["Subject"] = " ".join(subject.split())[:_MOST_SUBJECT]
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = (
            f"<{hashlib.sha256(message_id.encode()).hexdigest()[:40]}@{self._sender.partition('@')[2]}>"
        )
        # RFC 3834: no vacation notice answers a machine.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text, charset="utf-8", cte="quoted-printable")
        return mail


def _refused(code: str, answers: Sequence[int]) -> ExternalError:
    """5xx is for good, 4xx for now (RFC 5321 section 4.2.1)."""
    return Permanent(code) if all(answer // 100 == 5 for answer in answers) else ExternalError("mail_deferred")
