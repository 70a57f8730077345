"""The frames of a DICOM image, decoded one at a time to what a screen shows."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    MPEGTransferSyntaxes,
    RLELossless,
)

from bot.adapters.documents.damage import HeaderMismatchError, UndecodableError, UnsupportedSyntaxError
from bot.adapters.documents.dicom_file import DicomFile

Picture = NDArray[np.uint8]
"""Grey (rows, columns) or RGB (rows, columns, 3), 0 black to 255."""

_PLUGINS = {JPEGBaseline8Bit: "pillow", RLELossless: "pylibjpeg"}
"""Where several decoders can, the one that was measured to be fast and that refuses bombs."""

HTJ2K = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"})
_JPEG_FAMILY = frozenset(map(str, (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)))
_JPEG2000_FAMILY = frozenset(map(str, JPEG2000TransferSyntaxes)) | HTJ2K


def is_film(syntax: UID) -> bool:
    """Say whether the pixels are a whole MPEG-2, H.264 or HEVC film (PS3.5 A.4.5 to A.4.9)."""
    return str(syntax) in frozenset(map(str, MPEGTransferSyntaxes))


def check_frame(file: DicomFile, frame: bytes) -> None:
    """Compare the size that a packed frame says of itself with the header's, before anything is decoded.

    Raises:
        HeaderMismatchError: they differ.
        UndecodableError: the frame does not say.
    """
    syntax = str(file.syntax)
    if syntax in _JPEG_FAMILY:
        size = jpeg_size(frame)
    elif syntax in _JPEG2000_FAMILY:
        size = jpeg2000_size(frame)
    else:
        return
    if size is None:
        raise UndecodableError
    if size != (file.columns, file.rows):
        raise HeaderMismatchError


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG or JPEG-LS stream from its start of frame (ITU-T T.81 B.2.2), or None."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def jpeg2000_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG 2000 code stream from its SIZ marker (ITU-T T.800 A.5.1), or None."""
    at = data.find(b"\xff\x4f\xff\x51", 0, 4096)  # some files wrap the stream in the boxes of JP2
    if at < 0 or len(data) < at + 24:
        return None
    right, bottom, left, top = struct.unpack(">IIII", data[at + 8 : at + 24])
    return right - left, bottom - top


def decoded_frames(file: DicomFile) -> Iterator[NDArray[np.generic]]:
    """Yield the frames as arrays of stored values; colour comes as RGB, palette and grey as (rows, columns).

    Raises:
        UnsupportedSyntaxError, HeaderMismatchError, UndecodableError: at the frame where it shows.
        MemoryError: the child's limit.
    """
    decode = _decoder(file)
    for frame in file.raw_frames():
        check_frame(file, frame)
        yield decode(frame)


def _decoder(file: DicomFile) -> Callable[[bytes], NDArray[np.generic]]:
    try:
        decoder = get_decoder(file.syntax)
    except NotImplementedError:
        raise UnsupportedSyntaxError from None
    if not decoder.is_available:
        raise UnsupportedSyntaxError
    pixels = file.pixels
    options: dict[str, Any] = {
        "rows": file.rows,
        "columns": file.columns,
        "number_of_frames": 1,
        "samples_per_pixel": file.samples,
        "bits_allocated": file.bits,
        "bits_stored": int(file.header.get("BitsStored") or file.bits),
        "pixel_representation": int(file.header.get("PixelRepresentation") or 0),
        "photometric_interpretation": file.photometric,
        "planar_configuration": int(file.header.get("PlanarConfiguration") or 0),
        "pixel_keyword": pixels.keyword if pixels else "PixelData",
        "pixel_vr": pixels.vr if pixels else "OW",
    }
    plugin = _PLUGINS.get(file.syntax, "") if file.syntax in _PLUGINS else ""
    if plugin not in decoder.available_plugins:
        plugin = ""

    def decode(frame: bytes) -> NDArray[np.generic]:
        packed = encapsulate([frame], has_bot=False) if file.encapsulated else frame
        try:
            array, _ = decoder.as_array(packed, decoding_plugin=plugin, **options)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, OSError, struct.error):
            raise UndecodableError from None
        except BaseException as panic:
            if type(panic).__name__ == "PanicException":  # of decoders in Rust; it is no Exception
                raise UndecodableError from None
            raise
        return array

    return decode
