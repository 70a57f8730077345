"""How the Matrix engine signs in, and how long it waits for what."""

from dataclasses import dataclass, field

from bot.domain.ids import DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """Sign in once with a password; later starts use the token that this gave."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Sign in with a token that somebody made for exactly this device."""

    token: str = field(repr=False)
    device_id: DeviceId


SignIn = Password | Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits, all in seconds, so that a test can make a fault cheap."""

    request: float = 30.0
    """One ordinary call."""

    create_room: float = 90.0
    """createRoom: not repeatable, so it gets all the time that a slow server may need."""

    long_poll: float = 30.0
    """How long the server may hold an idle /sync."""

    first_sync: float = 300.0
    """The first /sync of a run can carry everything that was missed."""

    key_claim: float = 10.0
    """One-time keys of devices elsewhere: a hung server must not hold up a room."""

    share: float = 10.0
    """One /sendToDevice."""

    media_idle: float = 60.0
    """Silence on an upload or download; the whole may take as long as it needs."""

    backoff_first: float = 1.0
    backoff_most: float = 60.0
    """Waits after a failed /sync: doubled from the first to the most, with jitter."""

    share_again: float = 30.0
    """Wait before the next try to give a key to a device that could not get it."""
