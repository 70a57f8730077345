"""One-time codes that a test can foretell."""

import base64
from datetime import datetime
from urllib.parse import quote

_STEP_SECONDS = 30


class FakeCodes:
    """Numbers the secrets and makes a code from the secret's number and the time step."""

    def __init__(self) -> None:
        self._made = 0

    def new_secret(self) -> str:
        self._made += 1
        return base64.b32encode(self._made.to_bytes(20, "big")).decode()

    def code(self, secret: str, at: datetime) -> str:
        """Return the code that is valid for *secret* at *at*."""
        return self._code(secret, int(at.timestamp()) // _STEP_SECONDS)

    def matching_step(self, secret: str, code: str, at: datetime) -> int | None:
        now = int(at.timestamp()) // _STEP_SECONDS
        typed = "".join(code.split())
        return next((step for step in (now, now - 1, now + 1) if self._code(secret, step) == typed), None)

    def qr_png(self, secret: str, *, account: str, issuer: str) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + self.uri(secret, account=account, issuer=issuer).encode()

    def uri(self, secret: str, *, account: str, issuer: str) -> str:
        return f"otpauth://totp/{quote(issuer)}:{quote(account)}?secret={secret}&issuer={quote(issuer)}"

    @staticmethod
    def _code(secret: str, step: int) -> str:
        number = int.from_bytes(base64.b32decode(secret), "big")
        return f"{(step * 7919 + number * 104_729) % 1_000_000:06d}"
