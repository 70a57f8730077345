"""A DICOM loop as a film and a still, frame by frame, with what may carry a name made black."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import JPEGBaseline8Bit

from bot.adapters.documents.damage import HeaderMismatchError, UndecodableError
from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.film import FilmWriter, JpegDecoder, blacken, from_picture, planar, to_rgb
from bot.adapters.documents.frames import check_frame, decoded_frames
from bot.adapters.documents.greyscale import Picture, shown
from bot.adapters.documents.limits import Limits
from bot.adapters.documents.pictures import preview
from bot.adapters.documents.timing import Timing, at_rate, timing
from bot.domain.documents import NoteCode, Preview, PreviewRole

Mask = NDArray[np.bool_]
STILL_SIDE = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came of a loop: its film and still, how many frames a second it has, what must be said."""

    previews: tuple[Preview, ...]
    rate: float
    notes: tuple[NoteCode, ...]


def show_loop(file: DicomFile, mask: Mask | None, limits: Limits) -> Shown:
    """Make film and still of a loop whose frames are packed one by one; damage ends it early, and that is said.

    Raises:
        UnsupportedSyntaxError, HeaderMismatchError, UndecodableError: already the first frame cannot be shown.
    """
    return _filmed(file, _frames(file, mask), timing(file.header, file.frames), limits)


def show_film(file: DicomFile, mask: Mask | None, limits: Limits) -> Shown:
    """Make film and still of a loop that is a whole MPEG-2, H.264 or HEVC stream (PS3.5 section 8.2.5 and on).

    Raises:
        HeaderMismatchError, UndecodableError: it cannot be shown.
    """
    memory = os.memfd_create("stream", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memory), "wb") as out:
            for piece in file.raw_pieces():
                out.write(piece)
        with av.open(f"/proc/self/fd/{memory}") as container:
            if not container.streams.video:
                raise UndecodableError
            stream = container.streams.video[0]
            times = timing(file.header, file.frames)
            if times.assumed and stream.average_rate:
                times = at_rate(Fraction(stream.average_rate), file.frames)
            return _filmed(file, _film_frames(file, container, mask), times, limits)
    except av.FFmpegError:
        raise UndecodableError from None
    finally:
        os.close(memory)


def _filmed(file: DicomFile, frames: Iterator[av.VideoFrame], times: Timing, limits: Limits) -> Shown:
    notes = [NoteCode.TIMING_ASSUMED] if times.assumed else []
    wanted = _shown_frames(times, limits)
    if wanted < file.frames:
        notes.append(NoteCode.LOOP_SHORTENED)
    average = Fraction(len(times.starts) * 1000) / times.duration
    still: Picture | None = None
    with closing(FilmWriter(size=(file.columns, file.rows), side=limits.film_side, rate=average)) as writer:
        try:
            for n, frame in zip(range(wanted), frames, strict=False):
                writer.add(frame, times.starts[n])
                if n in (0, wanted // 2):
                    still = to_rgb(frame)
                if writer.size_so_far > limits.film_bytes:
                    wanted = writer.count
                    notes.append(NoteCode.LOOP_SHORTENED)
                    break
        except (UndecodableError, HeaderMismatchError):
            if still is None:
                raise
        if still is None:
            raise UndecodableError
        if writer.count < wanted:
            notes.append(NoteCode.TRUNCATED)
        end = times.starts[writer.count] if writer.count < len(times.starts) else times.duration
        film = writer.finish(end)
    picture = preview(grey_if_grey(still), role=PreviewRole.STILL, side=STILL_SIDE)
    return Shown(previews=(film, picture), rate=times.rate, notes=tuple(notes))


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
        yield from_picture(masked(shown(array, file.header), mask))


def _jpeg_frames(file: DicomFile, mask: Mask | None) -> Iterator[av.VideoFrame]:
    """Yield the frames of a JPEG loop without the way over RGB: faster, and the same picture."""
    decoder = JpegDecoder()
    for data in file.raw_frames():
        check_frame(file, data)
        frame = decoder.decode(data)
        if frame is None:
            raise UndecodableError
        yield _checked(file, frame, mask)


def _film_frames(file: DicomFile, container: av.container.InputContainer, mask: Mask | None) -> Iterator[av.VideoFrame]:
    try:
        for frame in container.decode(video=0):
            yield _checked(file, planar(frame), mask)
    except av.FFmpegError:
        raise UndecodableError from None


def _checked(file: DicomFile, frame: av.VideoFrame, mask: Mask | None) -> av.VideoFrame:
    """Return *frame* with the mask applied, if it has the size that the mask was made for."""
    if (frame.width, frame.height) != (file.columns, file.rows):
        raise HeaderMismatchError
    if mask is not None:
        blacken(frame, mask)
    return frame


def masked(picture: Picture, mask: Mask | None) -> Picture:
    """Return *picture* with everything black that *mask* does not allow."""
    if mask is None:
        return picture
    return np.where(mask if picture.ndim == 2 else mask[..., None], picture, np.uint8(0))


def grey_if_grey(picture: Picture) -> Picture:
    """Return one plane of an RGB picture that has no colour."""
    if picture.ndim == 2:
        return picture
    same = bool((picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all())
    return picture[..., 0] if same else picture
