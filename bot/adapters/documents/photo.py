"""Photographs and scans: a thumbnail, and a copy that carries the picture and nothing else."""

import io
import warnings

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from bot.adapters.documents.content import Content
from bot.adapters.documents.identity import tokens
from bot.adapters.documents.job import Job
from bot.adapters.documents.jpeg_segments import pictures_only
from bot.adapters.documents.pictures import thumbnail
from bot.domain.documents import (
    CleanCopy,
    DocumentKind,
    Examined,
    FactCode,
    IdentityFound,
    NoteCode,
    RefusalCode,
    Refused,
)

_ORIENTATION = 0x0112
_NAMING = (0x010E, 0x013B, 0x8298)
"""EXIF's description of the image, artist and copyright."""

_TECHNICAL = frozenset(
    """
    jfif jfif_version jfif_unit jfif_density dpi adobe adobe_transform progressive progression icc_profile gamma srgb
    chromaticity aspect interlace transparency background duration loop timestamp version extension compression
    resolution exif primary bit_depth metadata thumbnails depth_images aux blend disposal default_image
    """.split()
)
"""What Pillow tells of a file that is not words: how it is packed, how large a dot is."""

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError)
"""What Pillow's readers raise at damaged files."""


def examine_photo(job: Job, content: Content) -> Examined:
    """Look into a picture file.

    Raises:
        Refused: TOO_LARGE in bytes, BOMB in pixels.
    """
    data = job.read_all(job.limits.photo)
    notes: list[NoteCode] = [NoteCode.PIXELS_NOT_CLEARED] if job.strip else []
    Image.MAX_IMAGE_PIXELS = job.limits.image_pixels
    warnings.simplefilter("ignore")
    try:
        image = _opened(data, content)
    except UnidentifiedImageError:
        code = NoteCode.UNSUPPORTED_SYNTAX if content in (Content.HEIC, Content.AVIF) else NoteCode.UNREADABLE
        return Examined(kind=DocumentKind.IMAGE, mime=content.value, notes=(code,))
    except _BROKEN:
        return Examined(kind=DocumentKind.IMAGE, mime=content.value, notes=(NoteCode.UNREADABLE,))
    if image.width * image.height > job.limits.image_pixels:
        raise Refused(RefusalCode.BOMB)
    pages = int(getattr(image, "n_frames", 1))
    if pages > 1:
        notes.append(NoteCode.PAGES_LEFT_OUT)
    hidden, names = _hidden_entries(image), _names(image)
    turned = _orientation(image) != 1
    try:
        image.load()
    except _BROKEN:
        notes.append(NoteCode.TRUNCATED)
        partial = _as_far_as_it_goes(data, content)
        if partial is None:
            return Examined(kind=DocumentKind.IMAGE, mime=content.value, notes=(NoteCode.UNREADABLE,))
        image = partial
    upright = ImageOps.exif_transpose(image)
    clean = _clean_copy(job, data, upright, content, turned=turned or NoteCode.TRUNCATED in notes)
    facts = {FactCode.IMAGE_SIZE: f"{upright.width} x {upright.height}"}
    if pages > 1:
        facts[FactCode.PAGES] = str(pages)
    return Examined(
        kind=DocumentKind.IMAGE,
        mime=content.value,
        facts=facts,
        previews=(thumbnail(_eight_bits(upright)),),
        clean=clean,
        identity=IdentityFound(tags=hidden, tokens=names),
        notes=tuple(notes),
    )


def _opened(data: bytes, content: Content) -> Image.Image:
    """Open *data* as what its first bytes say, and as nothing else."""
    if content in (Content.HEIC, Content.AVIF):
        _learn_heif()
    form = {Content.TIFF: ["TIFF"], Content.JPEG: ["JPEG", "MPO"], Content.HEIC: ["HEIF", "AVIF"]}
    try:
        return Image.open(io.BytesIO(data), formats=form.get(content, [content.name]))
    except Image.DecompressionBombError:
        raise Refused(RefusalCode.BOMB) from None


def _learn_heif() -> None:
    """Teach Pillow the format of iPhones; only then, for the library is large."""
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)


def _as_far_as_it_goes(data: bytes, content: Content) -> Image.Image | None:
    """Return a picture whose file ends too early, with what is missing left grey, or None."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = _opened(data, content)
        image.load()
    except (*_BROKEN, UnidentifiedImageError):
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1


def _names(image: Image.Image) -> frozenset[str]:
    """Return the words of the entries that name people or describe what is seen."""
    try:
        entries = image.getexif()
        return tokens(str(entries[tag]) for tag in _NAMING if tag in entries)
    except _BROKEN:
        return frozenset()


def _hidden_entries(image: Image.Image) -> int:
    """Return how much the file says beside its picture: EXIF entries, XMP, comments, other text."""
    try:
        count = len(image.getexif())
    except _BROKEN:
        count = 1
    return count + sum(1 for key in image.info if key not in _TECHNICAL)


def _clean_copy(job: Job, data: bytes, image: Image.Image, content: Content, *, turned: bool) -> CleanCopy:
    """Write the picture alone: a JPEG that lies right keeps its bytes, PNG stays PNG, all else becomes JPEG."""
    out, mime = job.clean, "image/jpeg"
    kept = pictures_only(data) if content is Content.JPEG and not turned else None
    if kept is not None:
        out.write(kept)
    elif content is Content.PNG:
        _bare(image).save(out, "PNG")
        mime = "image/png"
    else:
        profile = image.info.get("icc_profile") if image.mode == "RGB" else None
        _eight_bits(_bare(image)).save(out, "JPEG", quality=95, subsampling=0, icc_profile=profile)
    out.flush()
    return CleanCopy(fd=out.fileno(), size=out.tell(), mime=mime)


def _bare(image: Image.Image) -> Image.Image:
    """Return a new image of the same pixels, without any of the other's information."""
    bare = Image.new(image.mode, image.size)
    if image.mode == "P" and (palette := image.getpalette()):
        bare.putpalette(palette)
    bare.paste(image)
    return bare


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return RGB or grey of eight bits; deep greys are spread over them, transparency lies on white."""
    if image.mode in ("I", "I;16", "I;16B", "F"):
        deep = np.asarray(image, dtype=np.float32)
        low, high = float(deep.min()), float(deep.max())
        return Image.fromarray(((deep - low) * (255 / max(1.0, high - low))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
