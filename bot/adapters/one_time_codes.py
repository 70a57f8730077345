"""Time-based one-time codes for an authenticator app: RFC 6238, SHA-1, 30 s, 6 digits, one step of drift each way."""

import hmac
import io
from datetime import datetime

import pyotp
import segno

STEP_SECONDS = 30
DIGITS = 6
_PIXELS_PER_MODULE = 8


class AuthenticatorCodes:
    """Makes secrets and checks codes; remembering which step was used is the caller's."""

    def new_secret(self) -> str:
        """Return 160 random bits as 32 base32 letters."""
        return pyotp.random_base32()

    def matching_step(self, secret: str, code: str, at: datetime) -> int | None:
        """Return the time step that *code* belongs to (the current one, one before, one after), or None."""
        typed = "".join(code.split())
        if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
            return None
        totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
        now = totp.timecode(at)
        for step in (now, now - 1, now + 1):
            if step >= 0 and hmac.compare_digest(totp.generate_otp(step), typed):
                return step
        return None

    def qr_png(self, secret: str, *, account: str, issuer: str) -> bytes:
        """Return the enrolment picture."""
        picture = io.BytesIO()
        segno.make(self.uri(secret, account=account, issuer=issuer), error="m", micro=False).save(
            picture, kind="png", scale=_PIXELS_PER_MODULE
        )
        return picture.getvalue()

    def uri(self, secret: str, *, account: str, issuer: str) -> str:
        """Return the otpauth address; the parameters that are the standard's defaults are left out."""
        return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)
