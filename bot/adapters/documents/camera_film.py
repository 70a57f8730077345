"""Films from phones and cameras: made small and silent, without where and when they were taken."""

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

import av
import numpy as np

from bot.adapters.documents.content import Content
from bot.adapters.documents.film import FilmWriter, from_picture, to_rgb
from bot.adapters.documents.job import Job
from bot.adapters.documents.limits import Limits
from bot.adapters.documents.numbers import short
from bot.adapters.documents.pictures import preview
from bot.domain.documents import (
    DocumentKind,
    Examined,
    FactCode,
    IdentityFound,
    NoteCode,
    PreviewRole,
    RefusalCode,
    Refused,
)

_STILL_SIDE = 1600
_HARMLESS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


def examine_film(job: Job, content: Content) -> Examined:
    """Look into a film. Sound is left out: voices tell who was in the room.

    Raises:
        Refused: BOMB, for frames larger than any camera's.
    """
    job.source.seek(0)
    try:
        with av.open(job.source, "r", metadata_errors="replace") as container:
            return _examined(job, content, container)
    except (av.FFmpegError, ValueError, IndexError):
        return Examined(kind=DocumentKind.VIDEO, mime=content.value, notes=(NoteCode.UNREADABLE,))


def _examined(job: Job, content: Content, container: av.container.InputContainer) -> Examined:
    stream = container.streams.video[0]
    try:
        width, height = stream.codec_context.width, stream.codec_context.height
    except AttributeError:  # against its types, the stream of a codec that nothing here decodes has no context
        return Examined(kind=DocumentKind.VIDEO, mime=content.value, notes=(NoteCode.UNSUPPORTED_SYNTAX,))
    if width * height > job.limits.frame_pixels:
        raise Refused(RefusalCode.BOMB)
    notes = [NoteCode.PIXELS_NOT_CLEARED] if job.strip else []
    rate = Fraction(stream.average_rate or 25)
    hidden = sum(1 for key in {**container.metadata, **stream.metadata} if key not in _HARMLESS)
    writer: FilmWriter | None = None
    still = None
    end = Fraction(0)
    first: Fraction | None = None
    for frame, at in _timed(container, rate):
        first = at if first is None else first
        begin = (at - first) * 1000
        if writer is not None and _is_long_enough(writer, begin, job.limits):
            notes.append(NoteCode.LOOP_SHORTENED)
            break
        upright = _upright(frame)
        if writer is None:
            writer = FilmWriter(size=(upright.width, upright.height), side=job.limits.film_side, rate=rate)
        if begin < end - 1000 / rate / 2 or (upright.width, upright.height) != writer.size:
            continue  # times that run backwards, a size that changes: such frames are left out
        writer.add(upright, begin)
        end = begin + 1000 / rate
        if still is None or begin <= 1000:
            still = to_rgb(upright)
    if writer is None or still is None:
        return Examined(kind=DocumentKind.VIDEO, mime=content.value, notes=(NoteCode.UNREADABLE,))
    with closing(writer):
        film = writer.finish(end)
    return Examined(
        kind=DocumentKind.VIDEO,
        mime=content.value,
        frames=stream.frames or writer.count,
        frame_rate=float(rate),
        facts={
            FactCode.IMAGE_SIZE: f"{width} x {height}",
            FactCode.LOOP_RATE: f"{short(float(rate))}/s",
            FactCode.LOOP_DURATION: f"{short(_seconds(container) or float(end) / 1000)} s",
        },
        previews=(film, preview(still, role=PreviewRole.STILL, side=_STILL_SIDE)),
        identity=IdentityFound(tags=hidden),
        notes=tuple(notes),
    )


def _is_long_enough(writer: FilmWriter, begin: Fraction, limits: Limits) -> bool:
    """Say whether the film has reached what a preview may be: in frames, in time, in bytes."""
    return (
        writer.count >= limits.film_frames
        or begin >= limits.film_seconds * 1000
        or writer.size_so_far > limits.film_bytes
    )


def _timed(container: av.container.InputContainer, rate: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Yield the frames with their times in seconds; damage ends the film early."""
    try:
        for n, frame in enumerate(container.decode(video=0)):
            if frame.pts is None or frame.time_base is None:
                yield frame, Fraction(n) / rate
            else:
                yield frame, Fraction(frame.pts) * frame.time_base
    except av.FFmpegError:
        return


def _upright(frame: av.VideoFrame) -> av.VideoFrame:
    """Return *frame* turned as the phone was held."""
    turns = round(frame.rotation / 90) % 4
    return from_picture(np.rot90(to_rgb(frame), turns)) if turns else frame


def _seconds(container: av.container.InputContainer) -> float | None:
    return None if container.duration is None else container.duration / av.time_base
