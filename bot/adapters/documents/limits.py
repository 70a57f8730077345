"""How much a file may cost: sizes in bytes and pixels, times in seconds."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost the machine; the first group is enforced by the kernel, the second by the readers."""

    memory: int = 1024 * MEBIBYTE
    """Address space of the child."""

    cpu_seconds: int = 60
    wall_seconds: float = 90.0
    written: int = 640 * MEBIBYTE
    """The largest file that the child may write: the clean copy."""

    at_once: int = 2
    """Children at the same time."""

    file: int = 512 * MEBIBYTE
    photo: int = 40 * MEBIBYTE
    preview: int = 20 * MEBIBYTE
    previews: int = 24 * MEBIBYTE
    """All previews of a file together: they are what the bot's own process must hold."""

    inflated: int = 256 * MEBIBYTE
    inflation: int = 100
    """How many times larger than itself a deflated file may become."""

    image_pixels: int = 64_000_000
    frame_pixels: int = 25_000_000
    frames: int = 2_000
    """Frames that a file may claim; films show fewer."""

    film_frames: int = 600
    film_side: int = 1_280
    film_seconds: int = 60
    film_bytes: int = 18 * MEBIBYTE
    """Where a film ends early, so that it stays below what a preview may be."""

    pages: int = 3
