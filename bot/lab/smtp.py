"""A real SMTP server on loopback that keeps every mail in a Maildir, for the demo, the lab and the tests."""

import asyncio
import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

WAIT_SECONDS = 30.0
HOST = "127.0.0.1"


class NoMail(AssertionError):
    """The mails that were waited for did not come."""


class MailCatcher:
    """A running SMTP server: `async with MailCatcher.start(folder) as mail:`."""

    def __init__(self, folder: Path) -> None:
        """Use `MailCatcher.start`."""
        self.host = HOST
        self.port = 0
        self.maildir = folder / "Maildir"
        self._arrived = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def start(cls, folder: Path, *, port: int = 0) -> AsyncIterator[Self]:
        """Listen on loopback (a free port unless *port*), keep mails in `folder/Maildir`, close at the end.

        A second start on the same folder finds the earlier mails.

        Raises:
            OSError: *port* is taken.
        """
        catcher = cls(folder)
        await asyncio.to_thread(catcher._box)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(catcher, hostname="lab.localhost", enable_SMTPUTF8=True, loop=loop), HOST, port
        )
        catcher.port = server.sockets[0].getsockname()[1]
        try:
            yield catcher
        finally:
            server.close()
            await server.wait_closed()

    async def mails(self) -> list[EmailMessage]:
        """Return all mails in the order of their arrival; `X-RcptTo` names the receivers of the envelope."""
        return await asyncio.to_thread(self._read)

    async def wait_for(self, count: int, *, timeout: float = WAIT_SECONDS) -> list[EmailMessage]:
        """Return all mails as soon as there are *count* of them.

        Raises:
            NoMail: there were fewer in time.
        """
        mails = await self.mails()
        try:
            async with asyncio.timeout(timeout), self._arrived:
                while len(mails := await self.mails()) < count:
                    await self._arrived.wait()
        except TimeoutError:
            raise NoMail(f"{len(mails)} of {count} mails within {timeout:g} s") from None
        return mails

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's hook
        """Keep one mail; called by aiosmtpd."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 no content"
        receivers = ", ".join(envelope.rcpt_tos).encode()
        await asyncio.to_thread(self._keep, b"X-RcptTo: " + receivers + b"\r\n" + content)
        async with self._arrived:
            self._arrived.notify_all()
        return "250 kept"

    def _box(self) -> mailbox.Maildir:
        self.maildir.parent.mkdir(parents=True, exist_ok=True)
        return mailbox.Maildir(self.maildir)

    def _keep(self, mail: bytes) -> None:
        self._box().add(mail)

    def _read(self) -> list[EmailMessage]:
        parser = BytesParser(policy=policy.default)
        box = self._box()
        kept = [(name, box.get_bytes(name)) for name in box.keys()]  # noqa: SIM118 - a mailbox iterates over its mails
        return [parser.parsebytes(mail) for _, mail in sorted(kept, key=_arrival)]


def _arrival(kept: tuple[str, bytes]) -> tuple[float, int]:
    """Return what orders a Maildir name (`seconds.M…P…Q<count>.host`): the time, then the count within the process."""
    seconds, unique, *_ = kept[0].split(".")
    micro, _, count = unique.partition("Q")
    return int(seconds) + int(micro.partition("P")[0].removeprefix("M")) / 1e6, int(count or 0)
