"""A mail server in memory that can refuse addresses or be down."""

import re
from dataclasses import dataclass

from bot.domain.errors import ExternalError, Permanent

_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail as it was handed over."""

    to: str
    subject: str
    text: str
    message_id: str


class MemoryMailer:
    """Keeps what was sent, in order; `down` and `busy` fail for now, `refused` for good."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.refused: set[str] = set()
        self.busy: set[str] = set()
        self.down = False

    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        if not _ADDRESS.fullmatch(to):
            raise Permanent("mail_address_invalid")
        if self.down:
            raise ExternalError("mail_unreachable")
        if to in self.refused:
            raise Permanent("mail_address_refused")
        if to in self.busy:
            raise ExternalError("mail_deferred")
        self.letters.append(Letter(to=to, subject=" ".join(subject.split()), text=text, message_id=message_id))

    def to(self, address: str) -> list[Letter]:
        """Return what one address got."""
        return [letter for letter in self.letters if letter.to == address]
