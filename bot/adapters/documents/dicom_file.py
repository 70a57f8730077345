"""A DICOM file opened with care: headers read without the pixels, inflation bounded, sizes checked before use."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, cast

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from bot.adapters.documents.content import HEAD_BYTES
from bot.adapters.documents.damage import UndecodableError, UnreadableError
from bot.adapters.documents.job import Job
from bot.adapters.documents.limits import MEBIBYTE, Limits
from bot.adapters.documents.numbers import whole
from bot.domain.documents import RefusalCode, Refused

_PIXEL_GROUP = 0x7FE0
_PIXEL_ELEMENTS = {0x0008: "FloatPixelData", 0x0009: "DoubleFloatPixelData", 0x0010: "PixelData"}
_PIXEL_VRS = frozenset({b"OB", b"OW", b"OF", b"OD", b"UN"})
_SAYING_WHAT_IT_IS = (
    "SOPClassUID",
    "Modality",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "Rows",
    "DirectoryRecordSequence",
)
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlace:
    """Where the pixels lie in the stream: the first byte of the value, and its length or None if encapsulated."""

    keyword: str
    start: int
    length: int | None
    vr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """Headers of a DICOM file and the way to its frames."""

    header: Dataset = field(repr=False)
    stream: BinaryIO = field(repr=False)
    size: int
    syntax: UID
    pixels: PixelPlace | None

    @property
    def rows(self) -> int:
        """Height of a frame, in pixels."""
        return whole(self.header.get("Rows")) or 0

    @property
    def columns(self) -> int:
        """Width of a frame, in pixels."""
        return whole(self.header.get("Columns")) or 0

    @property
    def frames(self) -> int:
        """How many frames the header claims, at least one."""
        return max(1, whole(self.header.get("NumberOfFrames")) or 1)

    @property
    def samples(self) -> int:
        """Samples a pixel: 1 for grey and palette, 3 for colour."""
        return whole(self.header.get("SamplesPerPixel")) or 1

    @property
    def bits(self) -> int:
        """Bits that a sample takes in the file."""
        return whole(self.header.get("BitsAllocated")) or 8

    @property
    def photometric(self) -> str:
        """The photometric interpretation, as the header has it."""
        return str(self.header.get("PhotometricInterpretation") or "").strip().upper()

    @property
    def encapsulated(self) -> bool:
        """True if the frames are packed one by one."""
        return self.pixels is not None and self.pixels.length is None

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame in an unpacked file; PS3.3 C.7.6.3.1.2: 4:2:2 shares colour between two pixels."""
        samples = 2 if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else self.samples
        bits = self.rows * self.columns * samples * self.bits
        return (bits + 7) // 8

    @property
    def is_cut(self) -> bool:
        """True if the file ends before its pixels do."""
        if self.pixels is None:
            return False
        if self.pixels.length is not None:
            there = min(self.pixels.length, self.size - self.pixels.start)
            return there < self.frame_bytes * self.frames
        at = self.pixels.start
        while True:
            self.stream.seek(at)
            head = self.stream.read(8)
            if head[:4] == _SEQUENCE_END:
                return False
            at += 8 + int.from_bytes(head[4:], "little")
            if head[:4] != _ITEM or at > self.size:
                return True

    def check_size(self, limits: Limits) -> None:
        """Raise Refused(BOMB) if the header claims more than any machine makes."""
        if self.rows * self.columns > limits.frame_pixels or self.frames > limits.frames:
            raise Refused(RefusalCode.BOMB)

    def raw_frames(self) -> Iterator[bytes]:
        """Yield the frames as they are stored, one at a time, as many as are there and no more than claimed.

        Raises:
            UndecodableError: their packing is damaged.
        """
        if self.pixels is None:
            return
        self.stream.seek(self.pixels.start)
        if not self.encapsulated:
            for number in range(self.frames):
                frame = self.stream.read(self.frame_bytes)
                if not frame or (number and len(frame) < self.frame_bytes):
                    return  # of a cut loop, only whole frames; of a cut image, what is there, the rest black
                yield frame.ljust(self.frame_bytes + self.frame_bytes % 2, b"\0")
            return
        endianness = "<" if self.syntax.is_little_endian else ">"
        packed = generate_frames(
            self.stream, number_of_frames=self.frames, extended_offsets=self._offsets(), endianness=endianness
        )
        try:
            for _, frame in zip(range(self.frames), packed, strict=False):
                yield frame
        except (ValueError, EOFError, OSError, struct.error):
            raise UndecodableError from None

    def raw_pieces(self) -> Iterator[bytes]:
        """Yield the pieces of packed pixel data in their order, without regard to frames: a film's stream.

        Where their packing is damaged, they end.
        """
        if self.pixels is not None and self.encapsulated:
            self.stream.seek(self.pixels.start)
            with suppress(ValueError, EOFError, OSError, struct.error):
                parse_basic_offsets(self.stream)
                yield from generate_fragments(self.stream)

    def _offsets(self) -> tuple[bytes, bytes] | None:
        starts, lengths = self.header.get("ExtendedOffsetTable"), self.header.get("ExtendedOffsetTableLengths")
        return (starts, lengths) if isinstance(starts, bytes) and isinstance(lengths, bytes) else None


class _Within(io.RawIOBase):
    """The stream, giving no more than there is: a length that lies must not make anybody reserve memory for it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def open_dicom(job: Job) -> DicomFile:
    """Read the headers of the file of *job*.

    Raises:
        UnreadableError: it is no DICOM after all.
        Refused: BOMB, for nesting without end and for what inflates beyond the limits.
    """
    warnings.simplefilter("ignore")
    try:
        return _open(job)
    except RecursionError:
        raise Refused(RefusalCode.BOMB) from None
    except (EOFError, OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        raise UnreadableError from None


def _open(job: Job) -> DicomFile:
    source = cast("BinaryIO", _Within(job.source, job.size))
    source.seek(0)
    head = source.read(HEAD_BYTES)
    start, syntax = _meta(source, head)
    stream, size = source, job.size
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = _inflated(source, start, job)
        stream, size, start = io.BytesIO(inflated), len(inflated), 0
    if not syntax:
        source.seek(start)
        syntax = _guessed_syntax(source.read(6))
    stream.seek(start)
    header = read_dataset(
        stream,
        is_implicit_VR=syntax.is_implicit_VR if syntax.is_transfer_syntax else False,
        is_little_endian=syntax.is_little_endian if syntax.is_transfer_syntax else True,
        stop_when=lambda tag, _vr, _length: tag.group == _PIXEL_GROUP and tag.element in _PIXEL_ELEMENTS,
    )
    _drop_broken(header, 0, turn=syntax == ExplicitVRBigEndian)
    if not any(keyword in header for keyword in _SAYING_WHAT_IT_IS):
        raise UnreadableError
    pixels = _pixel_place(stream, syntax)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # of the tables and curves in it, as they are now
    return DicomFile(header=header, stream=stream, size=size, syntax=syntax, pixels=pixels)


def _drop_broken(dataset: Dataset, depth: int, *, turn: bool) -> None:
    """Take out the entries that do not read, in place, so that nobody stumbles over them later.

    With *turn*, tables and curves of a big-endian file are brought into the byte order that everything expects.
    """
    for tag in list(dataset.keys()):  # by tag: iterating over elements stops at the first one that does not read
        try:
            element = dataset[tag]
            value = element.value
        except Exception:  # noqa: BLE001 - pydicom's converters raise whatever the damage makes them
            del dataset[tag]
            continue
        if dictionary_has_tag(tag) and (dictionary_VR(tag) == "SQ") != (element.VR == "SQ"):
            del dataset[tag]  # a sequence where none belongs, or something else where one does
        elif element.VR == "SQ" and depth < _DEEPEST:
            for item in value or ():
                _drop_broken(item, depth + 1, turn=turn)
        elif turn and element.VR == "OW" and isinstance(value, bytes) and len(value) % 2 == 0:
            element.value = np.frombuffer(value, ">u2").astype("<u2").tobytes()


def _meta(source: BinaryIO, head: bytes) -> tuple[int, UID]:
    """Return where the data set begins and its transfer syntax, empty if the file does not say (PS3.10 section 7.1)."""
    start = next((at + 4 for at in (128, 0) if head[at : at + 4] == b"DICM"), 0)
    source.seek(start)
    if head[start : start + 2] != b"\x02\x00":
        return start, UID("")
    meta = read_dataset(
        source, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != 0x0002
    )
    return source.tell(), UID(str(meta.get("TransferSyntaxUID") or ""))


def _guessed_syntax(head: bytes) -> UID:
    """Return the plain syntax that the first six bytes of a data set show."""
    if head[:1] == b"\0":
        return ExplicitVRBigEndian
    return ExplicitVRLittleEndian if head[4:6].isalpha() else ImplicitVRLittleEndian


def _inflated(source: BinaryIO, start: int, job: Job) -> bytes:
    """Return the data set of a deflated file (PS3.5 A.5), refusing to grow beyond the limits."""
    most = min(job.limits.inflated, max(32 * MEBIBYTE, job.limits.inflation * job.size))
    source.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    total = 0
    while not inflater.eof:
        packed = inflater.unconsumed_tail or source.read(MEBIBYTE)
        if not packed:
            break
        try:
            piece = inflater.decompress(packed, MEBIBYTE)
        except zlib.error:
            raise UnreadableError from None
        total += len(piece)
        if total > most:
            raise Refused(RefusalCode.BOMB)
        pieces.append(piece)
    return b"".join(pieces)


def _pixel_place(stream: BinaryIO, syntax: UID) -> PixelPlace | None:
    """Read the head of the pixel element at which the reader of the headers stopped."""
    known = syntax.is_transfer_syntax
    order: Literal["little", "big"] = "little" if not known or syntax.is_little_endian else "big"
    tag = stream.read(4)
    if len(tag) < 4 or int.from_bytes(tag[:2], order) != _PIXEL_GROUP:
        return None
    keyword = _PIXEL_ELEMENTS.get(int.from_bytes(tag[2:], order))
    if keyword is None:
        return None
    vr, following = "OW", stream.read(4)
    if following[:2] in _PIXEL_VRS:  # by what stands there: some files announce one way and are written in the other
        vr, following = following[:2].decode(), stream.read(4)
    length = int.from_bytes(following, order)
    return PixelPlace(keyword=keyword, start=stream.tell(), length=None if length == _UNDEFINED else length, vr=vr)
