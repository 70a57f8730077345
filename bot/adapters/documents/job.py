"""One file to look into: where it is read, where its clean copy goes, and what is wanted."""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import BinaryIO

from bot.adapters.documents.limits import Limits
from bot.domain.documents import RefusalCode, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The work of one child; `salt` belongs to the case and dies with it."""

    source: BinaryIO = field(repr=False)
    size: int
    clean: BinaryIO = field(repr=False)
    strip: bool
    """True if experts must not see identity."""

    salt: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)

    def read_all(self, at_most: int) -> bytes:
        """Return the whole file.

        Raises:
            Refused: TOO_LARGE, if it has more than *at_most* bytes.
        """
        if self.size > at_most:
            raise Refused(RefusalCode.TOO_LARGE)
        self.source.seek(0)
        return self.source.read()

    def digest(self, purpose: str, value: str) -> bytes:
        """Return 32 bytes that stand for *value* within this case, and cannot be led back once the salt is gone."""
        return hmac.new(self.salt, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()
