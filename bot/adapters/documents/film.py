"""H.264 in MP4, as phones play it: even sizes, video range, times as given."""

import os
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from bot.domain.documents import Preview, PreviewRole

_TICKS = 90_000
_NO_COLOUR = 128
_FULL_RANGE = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "gray"})
_PLANAR = _FULL_RANGE | {"yuv420p", "yuv422p", "yuv444p", "yuv440p"}
_MATRIX_BT601 = 6
"""Matrix coefficients of ITU-T H.273 that JPEG and standard-definition video have: SMPTE 170M."""


def fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the even size of a film whose longer side is at most *side*; an odd last row or column is cut off."""
    shrink = max(1.0, max(width, height) / side)
    return max(2, int(width / shrink) // 2 * 2), max(2, int(height / shrink) // 2 * 2)


class FilmWriter:
    """Encodes frames as they come into an anonymous in-memory file; `close` it in any case."""

    def __init__(self, *, size: tuple[int, int], side: int, rate: Fraction) -> None:
        """Start a film of frames of *size* (width, height), made no longer than *side*, with *rate* a second."""
        self.count = 0
        self.size = size
        self.width, self.height = fitted(*size, side)
        self._odd = (self.width, self.height) != size and max(size) <= side
        self._memory = os.memfd_create("film", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{self._memory}"
        self._container = av.open(path, "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate.limit_denominator(1001))
        self._stream.width, self._stream.height, self._stream.pix_fmt = self.width, self.height, "yuv420p"
        self._stream.options = {"preset": "veryfast", "crf": "21"}
        context = self._stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.color_range = ColorRange.MPEG
        context.colorspace = _MATRIX_BT601
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.thread_count = 2

    def add(self, frame: av.VideoFrame, at: Fraction) -> None:
        """Add *frame*, shown from *at* milliseconds on; full-range pictures are brought to video range."""
        if (frame.width, frame.height) != self.size:
            raise ValueError("frame size")
        if self._odd:
            frame = from_picture(to_rgb(frame)[: self.height, : self.width])
        ready = frame.reformat(
            width=self.width,
            height=self.height,
            format="yuv420p",
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
        )
        ready.pts = round(at * _TICKS / 1000)
        ready.time_base = Fraction(1, _TICKS)
        for packet in self._stream.encode(ready):
            self._container.mux(packet)
        self.count += 1

    @property
    def size_so_far(self) -> int:
        """Bytes that the film has by now, but for the few frames that the encoder still holds."""
        return os.fstat(self._memory).st_size

    def finish(self, duration: Fraction) -> Preview:
        """Complete the film and return it; *duration* in milliseconds."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        data = os.pread(self._memory, self.size_so_far, 0)
        return Preview(
            role=PreviewRole.LOOP,
            mime="video/mp4",
            data=data,
            width=self.width,
            height=self.height,
            duration_ms=round(duration),
        )

    def close(self) -> None:
        """Let go of the encoder and the memory."""
        self._container.close()
        os.close(self._memory)


class JpegDecoder:
    """Decodes baseline JPEG frames straight to planes of brightness and colour, as a film needs them."""

    def __init__(self) -> None:
        self._codec = av.VideoCodecContext.create("mjpeg", "r")

    def decode(self, data: bytes) -> av.VideoFrame | None:
        """Return the frame, or None if it is no whole picture in brightness and colour differences."""
        try:
            frames = self._codec.decode(av.Packet(data))
        except av.FFmpegError:
            return None
        if len(frames) != 1 or frames[0].format.name not in _FULL_RANGE or frames[0].is_corrupt:
            return None
        return frames[0]


def is_full_range(frame: av.VideoFrame) -> bool:
    """Say whether black is 0 and white 255 in *frame*, rather than video's 16 and 235."""
    return frame.format.name in _FULL_RANGE or frame.format.is_rgb or frame.color_range == ColorRange.JPEG


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """Return *frame* with planes of eight bits, which `blacken` can work on."""
    return frame if frame.format.name in _PLANAR else frame.reformat(format="yuv444p", dst_color_range=ColorRange.MPEG)


def blacken(frame: av.VideoFrame, keep: NDArray[np.bool_]) -> None:
    """Make everything black that *keep* (height, width) does not allow, in place, in a frame with planes."""
    frame.make_writable()
    black = 0 if is_full_range(frame) else 16
    for number, plane in enumerate(frame.planes):
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        down, across = -(-frame.height // plane.height), -(-frame.width // plane.width)
        allowed = keep[::down, ::across][: plane.height, : plane.width]
        pixels[~allowed] = _NO_COLOUR if number else black


def to_rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return a frame as (height, width, 3) in full range."""
    ready = frame.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    return ready.to_ndarray().astype(np.uint8, copy=False)


def from_picture(picture: NDArray[np.uint8]) -> av.VideoFrame:
    """Return grey (height, width) or RGB (height, width, 3) as a frame in full range."""
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray" if picture.ndim == 2 else "rgb24")
