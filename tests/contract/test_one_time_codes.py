"""What every source of one-time codes promises."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from bot.adapters.one_time_codes import AuthenticatorCodes
from bot.services.ports import OneTimeCodes
from tests.fakes.codes import FakeCodes

AT = datetime(2026, 3, 2, 9, 0, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)
CodeOf = Callable[[str, datetime], str]


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest) -> tuple[OneTimeCodes, CodeOf]:
    """The codes, and a phone that shows them."""
    if request.param == "fake":
        fake = FakeCodes()
        return fake, fake.code
    return AuthenticatorCodes(), lambda secret, at: pyotp.TOTP(secret).at(at)


@pytest.mark.parametrize("drift", [-1, 0, 1])
def test_a_code_matches_its_step_and_one_either_side(world: tuple[OneTimeCodes, CodeOf], drift: int) -> None:
    """A phone's clock may be half a minute off; the step tells which code it was."""
    codes, code_of = world
    secret = codes.new_secret()

    step = codes.matching_step(secret, code_of(secret, AT + drift * STEP), AT)

    assert step == int(AT.timestamp()) // 30 + drift


@pytest.mark.parametrize("drift", [-2, 2])
def test_an_older_or_later_code_does_not_match(world: tuple[OneTimeCodes, CodeOf], drift: int) -> None:
    """One step is the limit."""
    codes, code_of = world
    secret = codes.new_secret()

    assert codes.matching_step(secret, code_of(secret, AT + drift * STEP), AT) is None


def test_a_code_of_another_secret_does_not_match(world: tuple[OneTimeCodes, CodeOf]) -> None:
    """Each person has an own secret."""
    codes, code_of = world
    mine, other = codes.new_secret(), codes.new_secret()

    assert mine != other
    assert codes.matching_step(mine, code_of(other, AT), AT) is None


def test_spaces_in_a_code_do_not_matter(world: tuple[OneTimeCodes, CodeOf]) -> None:
    """Authenticator apps show "123 456", phones add no-break spaces."""
    codes, code_of = world
    secret = codes.new_secret()
    code = code_of(secret, AT)

    assert codes.matching_step(secret, f" {code[:3]}\u00a0{code[3:]}\n", AT) is not None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "-12345", "１２３４５６", "12345\u0667"])
def test_what_is_no_code_does_not_match(world: tuple[OneTimeCodes, CodeOf], typed: str) -> None:
    """Anything but six plain digits is refused without an exception."""
    codes, _ = world

    assert codes.matching_step(codes.new_secret(), typed, AT) is None


def test_a_secret_is_base32_of_160_bits(world: tuple[OneTimeCodes, CodeOf]) -> None:
    """RFC 4226 section 4 recommends 160 bits."""
    codes, _ = world

    assert len(base64.b32decode(codes.new_secret())) == 20


def test_the_address_names_account_and_issuer(world: tuple[OneTimeCodes, CodeOf]) -> None:
    """An authenticator app reads secret, account and issuer from the address."""
    codes, _ = world
    secret = codes.new_secret()

    read = pyotp.parse_uri(codes.uri(secret, account="@a.dupont:hospital.example", issuer="Consilium CHU"))

    assert (read.secret, read.name, read.issuer) == (secret, "@a.dupont:hospital.example", "Consilium CHU")


def test_the_picture_is_a_png(world: tuple[OneTimeCodes, CodeOf]) -> None:
    """It can be shown in a chat and printed at the desk."""
    codes, _ = world

    picture = codes.qr_png(codes.new_secret(), account="@a:hospital.example", issuer="Consilium")

    assert picture.startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    "seconds, code", [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238 appendix B, SHA-1, the last six digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()

    assert AuthenticatorCodes().matching_step(secret, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30
