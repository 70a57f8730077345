"""Stills as phones show them: PNG where it is small enough, else JPEG, and never larger than asked for."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.domain.documents import Preview, PreviewRole

_PNG_BYTES = 1_500_000


def preview(picture: NDArray[np.uint8] | Image.Image, *, role: PreviewRole, side: int) -> Preview:
    """Return grey or RGB pixels as a preview whose longer side is at most *side* pixels."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    data, mime = _packed(image, "PNG"), "image/png"
    if len(data) > _PNG_BYTES:
        data, mime = _packed(image, "JPEG", quality=90, subsampling=0), "image/jpeg"
    return Preview(role=role, mime=mime, data=data, width=image.width, height=image.height)


def thumbnail(image: Image.Image, side: int = 800) -> Preview:
    """Return a small JPEG of *image*."""
    small = image.convert("RGB") if image.mode not in ("L", "RGB") else image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    data = _packed(small, "JPEG", quality=82)
    return Preview(role=PreviewRole.THUMBNAIL, mime="image/jpeg", data=data, width=small.width, height=small.height)


def contact_sheet(pictures: list[NDArray[np.uint8]], *, cell: int = 256) -> Image.Image:
    """Lay pictures out in rows, in their order, each in a square of *cell* pixels; small ones are enlarged."""
    columns = max(1, round(len(pictures) ** 0.5 + 0.49))
    rows = -(-len(pictures) // columns)
    colour = any(picture.ndim == 3 for picture in pictures)
    gap = 4
    sheet = Image.new("RGB" if colour else "L", (columns * (cell + gap) - gap, rows * (cell + gap) - gap))
    for n, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        zoom = cell / max(image.size)
        size = (max(1, round(image.width * zoom)), max(1, round(image.height * zoom)))
        image = image.resize(size, Image.Resampling.BICUBIC)
        left, top = (n % columns) * (cell + gap), (n // columns) * (cell + gap)
        sheet.paste(image, (left + (cell - size[0]) // 2, top + (cell - size[1]) // 2))
    return sheet


def _packed(image: Image.Image, form: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, form, optimize=form == "JPEG", exif=b"", **options)
    return out.getvalue()
