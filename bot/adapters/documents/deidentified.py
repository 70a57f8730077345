"""A copy of a DICOM file for experts: what is allowed stays, identity is replaced or gone (PS3.15 annex E)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSLossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from bot.adapters.documents.allowed_entries import DATES, SEQUENCES, STANDARD_UIDS, UIDS, VALUES, WORDS
from bot.adapters.documents.damage import UndecodableError
from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.dicom_loop import masked
from bot.adapters.documents.frames import HTJ2K, decoded_frames, is_film
from bot.adapters.documents.greyscale import Picture, shown
from bot.adapters.documents.identity import identity_of, mentions
from bot.adapters.documents.job import Job
from bot.adapters.documents.jpeg_segments import codestream_only, pictures_only
from bot.adapters.documents.limits import MEBIBYTE
from bot.adapters.documents.regions import layout
from bot.domain.documents import CleanCopy, DocumentKind, Examined, NoteCode

_MIME = "application/dicom"
_STANDARD_ROOT = "1.2.840.10008."
_DEEPEST = 6
_OLDEST = 89
_MOVED_DAYS = 3650
_JPEGS = frozenset(map(str, (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)))
_JPEG2000S = frozenset(map(str, JPEG2000TransferSyntaxes)) | HTJ2K
UNWRITABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError, EOFError, struct.error)
"""What pydicom raises at entries that do not read, or cannot be written again."""
_NO_COPY = frozenset({NoteCode.UNREADABLE, NoteCode.HEADER_MISMATCH, NoteCode.TRUNCATED, NoteCode.UNSUPPORTED_SYNTAX})
_PALETTE = "PaletteColorLookupTable"
_METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
_CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """What stands for a patient's identity within one case; nothing leads back once the case's salt is gone."""

    job: Job
    words: frozenset[str] = field(repr=False)
    """Names and numbers of the patient, which no text that is kept may contain."""

    def uid(self, original: str) -> str:
        """Return the UID that stands for *original* (PS3.5 annex B.2: below 2.25)."""
        if original.startswith(_STANDARD_ROOT):
            return original
        return f"2.25.{int.from_bytes(self.job.digest('uid', original)[:16], 'big')}"

    def day(self, original: str) -> str | None:
        """Return the day of a DA or DT value, moved by the case's constant of up to ten years."""
        digits = original[:8]
        if len(digits) < 8 or not digits.isdigit():
            return None
        try:
            day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
        except ValueError:
            return None
        moved = 1 + int.from_bytes(self.job.digest("days", "")[:4], "big") % _MOVED_DAYS
        return (day - timedelta(days=moved)).strftime("%Y%m%d")

    def patient(self, original: str) -> str:
        """Return the patient id that stands for *original*."""
        return self.job.digest("patient", original).hex()[:12].upper()


def clean_copy(job: Job, file: DicomFile, found: Examined) -> CleanCopy | None:
    """Write the copy, or return None where none can be made: films inside, documents inside, damage."""
    if found.kind in (DocumentKind.PDF, DocumentKind.DATA, DocumentKind.UNKNOWN) or _NO_COPY & set(found.notes):
        return None
    if file.pixels is not None and is_film(file.syntax):
        return None
    pseudonyms = Pseudonyms(job=job, words=identity_of(file.header).tokens)
    header = deidentified(file.header, pseudonyms)
    mask = None
    if file.pixels is not None:
        plan = layout(file.header, file.rows, file.columns)
        mask = plan.mask(file.rows, file.columns) if plan.regions else None
        if mask is None and not file.encapsulated and file.pixels.length is None:
            return None
    cleared = file.pixels is None or NoteCode.PIXELS_NOT_CLEARED not in found.notes
    _say_so(header, masked_pixels=mask is not None and cleared, cleared=cleared)
    syntax = file.syntax if file.encapsulated else ExplicitVRLittleEndian
    pieces: Iterator[bytes] | None = None
    if mask is not None:
        frames = (masked(shown(array, file.header), mask) for array in decoded_frames(file))
        first = next(frames)
        syntax = JPEGLSLossless
        _describe(header, first, file.frames)
        pieces = _packed_frames(first, frames)
    elif file.pixels is not None:
        pieces = _copied_pixels(file)
    _write(job, header, syntax, pieces, file)
    return CleanCopy(fd=job.clean.fileno(), size=job.clean.tell(), mime=_MIME)


def deidentified(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """Return a new header with the allowed entries of *header*, without pixels."""
    clean = _allowed(header, pseudonyms, 0)
    clean.PatientName = ""
    clean.PatientID = pseudonyms.patient(str(header.get("PatientID") or ""))
    clean.PatientBirthDate = ""
    clean.PatientSex = str(header.get("PatientSex") or "")[:1]
    clean.ReferringPhysicianName = ""
    clean.AccessionNumber = ""
    clean.StudyID = ""
    clean.StudyTime = ""
    age = _age(header)
    if age is not None:
        clean.PatientAge = age
    return clean


def _allowed(source: Dataset, pseudonyms: Pseudonyms, depth: int) -> Dataset:
    clean = Dataset()
    if _is_free_text(source):
        return clean
    for tag in list(source.keys()):  # by tag: iterating over elements stops at the first one that does not read
        if tag.is_private:
            continue
        keyword = keyword_for_tag(tag)
        try:
            element = _allowed_element(source, keyword, pseudonyms, depth)
            if element is not None:
                clean.add(element)
        except UNWRITABLE:
            continue
    return clean


def _allowed_element(source: Dataset, keyword: str, pseudonyms: Pseudonyms, depth: int) -> DataElement | None:
    if keyword in SEQUENCES and depth < _DEEPEST + 6 * (keyword == "ContentSequence"):
        items = [_allowed(item, pseudonyms, depth + 1) for item in source[keyword].value or ()]
        return DataElement(source[keyword].tag, "SQ", Sequence([item for item in items if len(item)]))
    if keyword not in UIDS | STANDARD_UIDS | DATES | WORDS | VALUES:
        return None
    element = source[keyword]
    value = element.value
    if value is None:
        return None
    if keyword in UIDS or keyword in STANDARD_UIDS:
        return DataElement(element.tag, "UI", pseudonyms.uid(str(value)))
    if keyword in DATES:
        day = pseudonyms.day(str(value))
        return None if day is None else DataElement(element.tag, element.VR, day)
    if isinstance(value, bytes):
        return DataElement(element.tag, element.VR, value) if element.VR in ("OB", "OW", "OF", "OD", "OL") else None
    if element.VR in ("CS", "LO", "SH", "ST", "LT", "UT", "UC", "AS") and mentions(str(value), pseudonyms.words):
        return None
    return DataElement(element.tag, element.VR, value)


def _is_free_text(item: Dataset) -> bool:
    """Say whether an item of a report or an annotation is a sentence, a name, a date or an address of a file."""
    return item.get("ValueType") in ("TEXT", "PNAME", "DATE", "TIME", "DATETIME") or "UnformattedTextValue" in item


def _age(header: Dataset) -> str | None:
    """Return the age (PS3.5 AS) as stated or from the dates; beyond 89 it is a person by itself: 090Y."""
    stated = str(header.get("PatientAge") or "")
    if len(stated) != 4 or not stated[:3].isdigit() or stated[3] not in "DWMY":
        born, taken = str(header.get("PatientBirthDate") or ""), str(header.get("StudyDate") or "")
        if not (len(born) == len(taken) == 8 and born.isdigit() and taken.isdigit()):
            return None
        years = int(taken[:4]) - int(born[:4]) - (taken[4:] < born[4:])
        if not 0 <= years <= 130:
            return None
        stated = f"{years:03d}Y"
    return "090Y" if stated[3] == "Y" and int(stated[:3]) > _OLDEST else stated


def _say_so(header: Dataset, *, masked_pixels: bool, cleared: bool) -> None:
    """Set the entries that tell what was done (PS3.15 E.1.1, PS3.16 CID 7050)."""
    header.PatientIdentityRemoved = "YES" if cleared else "NO"
    header.DeidentificationMethod = "Consilium: allowed entries only"
    header.LongitudinalTemporalInformationModified = "MODIFIED"
    methods = [*_METHODS, _CLEAN_PIXELS] if masked_pixels else list(_METHODS)
    items = []
    for value, meaning in methods:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        items.append(item)
    header.DeidentificationMethodCodeSequence = Sequence(items)


def _describe(header: Dataset, picture: Picture, frames: int) -> None:
    """Make the header say what the masked frames are: grey or RGB of eight bits, as a screen shows them."""
    for tag in list(header.keys()):
        if _PALETTE in keyword_for_tag(tag):
            del header[tag]
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope", "RescaleIntercept", "RescaleType"):
        if keyword in header:
            del header[keyword]
    for keyword in ("ModalityLUTSequence", "VOILUTSequence", "PixelPaddingValue", "SmallestImagePixelValue"):
        if keyword in header:
            del header[keyword]
    colour = picture.ndim == 3
    header.SamplesPerPixel = 3 if colour else 1
    header.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    if colour:
        header.PlanarConfiguration = 0
    if frames > 1:
        header.NumberOfFrames = frames


def _packed_frames(first: Picture, others: Iterator[Picture]) -> Iterator[bytes]:
    """Yield masked frames as JPEG-LS without loss, one at a time."""
    encoder = get_encoder(JPEGLSLossless)
    options = {
        "rows": first.shape[0],
        "columns": first.shape[1],
        "samples_per_pixel": 1 if first.ndim == 2 else 3,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2" if first.ndim == 2 else "RGB",
        "number_of_frames": 1,
        "planar_configuration": 0,
    }
    yield encoder.encode(np.ascontiguousarray(first), **options)
    for picture in others:
        yield encoder.encode(np.ascontiguousarray(picture), **options)


def _without_words(frame: bytes, syntax: UID) -> bytes:
    """Return a packed frame without its comments.

    Raises:
        UndecodableError: it is not whole, so nobody knows what it carries.
    """
    if str(syntax) in _JPEGS:
        bare = pictures_only(frame)
    elif str(syntax) in _JPEG2000S:
        bare = codestream_only(frame)
    else:
        bare = frame
    if bare is None:
        raise UndecodableError
    return bare


def _copied_pixels(file: DicomFile) -> Iterator[bytes]:
    """Yield the pixels as they are stored: packed frames without their comments, or pieces of unpacked data."""
    if file.encapsulated:
        for frame in file.raw_frames():
            yield _without_words(frame, file.syntax)
        return
    pixels = file.pixels
    if pixels is None or pixels.length is None:
        return
    word = file.bits // 8 if file.bits > 8 else 2 if pixels.vr == "OW" else 1
    file.stream.seek(pixels.start)
    left = pixels.length
    while left:
        piece = file.stream.read(min(left, MEBIBYTE))
        if not piece:
            return
        left -= len(piece)
        if not file.syntax.is_little_endian and word > 1:
            piece = np.frombuffer(piece, f">u{word}").astype(f"<u{word}").tobytes()
        yield piece


def _write(job: Job, header: Dataset, syntax: UID, pieces: Iterator[bytes] | None, file: DicomFile) -> None:
    """Write preamble, rebuilt meta group, header, and the pixels piece by piece (PS3.10 section 7, PS3.5 A.4)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    header.file_meta = meta
    header.save_as(job.clean, enforce_file_format=True, implicit_vr=False, little_endian=True)
    job.clean.seek(0, 2)
    if pieces is None or file.pixels is None:
        return
    out = job.clean
    if syntax == ExplicitVRLittleEndian:
        length = file.pixels.length or 0
        vr = file.pixels.vr if file.pixels.vr in ("OB", "OW") else dictionary_VR("PixelData")[-2:]
        tag = {"FloatPixelData": 8, "DoubleFloatPixelData": 9}.get(file.pixels.keyword, 0x10)
        out.write(struct.pack("<HH2sHL", 0x7FE0, tag, vr.encode(), 0, length + length % 2))
        written = 0
        for piece in pieces:
            written += out.write(piece)
        out.write(b"\0" * (length + length % 2 - written))
        return
    out.write(struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF))
    out.write(struct.pack("<HHL", 0xFFFE, 0xE000, 0))
    for frame in pieces:
        padded = frame + b"\0" * (len(frame) % 2)
        out.write(struct.pack("<HHL", 0xFFFE, 0xE000, len(padded)) + padded)
    out.write(struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
