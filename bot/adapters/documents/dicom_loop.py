"""A DICOM loop as a film and a still, frame by frame, with what may carry a name made black."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import JPEGBaseline8Bit

from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.film import FilmWriter, JpegDecoder, blacken, from_picture, to_rgb
from bot.adapters.documents.frames import (
    HeaderMismatchError,
    UndecodableError,
    check_frame,
    decoded_frames,
)
from bot.adapters.documents.greyscale import Picture, shown
from bot.adapters.documents.limits import Limits
from bot.adapters.documents.pictures import preview
from bot.adapters.documents.timing import Timing, timing
from bot.domain.documents import NoteCode, Preview, PreviewRole

Mask = NDArray[np.bool_]
STILL_SIDE = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came of a loop: its pictures, how many frames were read, how they are timed, what must be said."""

    previews: tuple[Preview, ...]
    frames: int
    timing: Timing
    notes: tuple[NoteCode, ...] = field(default=())


def show_loop(file: DicomFile, mask: Mask | None, limits: Limits) -> Shown:
    """Make the film and the still of a loop; frames that do not decode end it early, and that is said.

    Raises:
        UnsupportedSyntaxError, HeaderMismatchError, UndecodableError: already the first frame cannot be shown.
    """
    times = timing(file.header, file.frames)
    notes = [NoteCode.TIMING_ASSUMED] if times.assumed else []
    wanted = _shown_frames(times, limits)
    if wanted < file.frames:
        notes.append(NoteCode.LOOP_SHORTENED)
    average = Fraction(len(times.starts) * 1000) / times.duration
    writer = FilmWriter(width=file.columns, height=file.rows, side=limits.film_side, rate=average)
    still: Picture | None = None
    count = 0
    try:
        for frame in _frames(file, mask):
            if count == wanted:
                break
            writer.add(frame, times.starts[count])
            if still is None or count == wanted // 2:
                still = to_rgb(frame)
            count += 1
    except UndecodableError:
        if count == 0:
            raise
    if still is None:
        raise UndecodableError
    if count < wanted:
        notes.append(NoteCode.TRUNCATED)
    end = times.starts[count] if count < len(times.starts) else times.duration
    film = writer.finish(end, PreviewRole.LOOP)
    picture = preview(_grey_if_grey(still), role=PreviewRole.STILL, side=STILL_SIDE)
    return Shown(previews=(film, picture), frames=count, timing=times, notes=tuple(notes))


def _shown_frames(times: Timing, limits: Limits) -> int:
    """Return how many frames the film takes: all, or the beginning that stays within the limits."""
    longest = limits.film_seconds * 1000
    within = sum(1 for start in times.starts if start < longest)
    return min(len(times.starts), limits.film_frames, max(1, within))


def _frames(file: DicomFile, mask: Mask | None) -> Iterator[av.VideoFrame]:
    if file.syntax == JPEGBaseline8Bit and file.photometric.startswith(("YBR", "MONOCHROME2")):
        yield from _jpeg_frames(file, mask)
        return
    for array in decoded_frames(file):
        picture = shown(array, file.header)
        if mask is not None:
            picture = np.where(mask if picture.ndim == 2 else mask[..., None], picture, np.uint8(0))
        yield from_picture(picture)


def _jpeg_frames(file: DicomFile, mask: Mask | None) -> Iterator[av.VideoFrame]:
    """Yield the frames of a JPEG loop without the way over RGB: three times as fast, and the same picture."""
    decoder = JpegDecoder()
    for data in file.raw_frames():
        check_frame(file, data)
        frame = decoder.decode(data)
        if frame is None:
            raise UndecodableError
        if (frame.width, frame.height) != (file.columns, file.rows):
            raise HeaderMismatchError
        if mask is not None:
            blacken(frame, mask)
        yield frame


def _grey_if_grey(picture: Picture) -> Picture:
    """Return one plane of an RGB picture that has no colour."""
    grey = bool((picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all())
    return picture[..., 0] if grey else picture
