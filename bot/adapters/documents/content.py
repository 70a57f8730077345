"""What a file is, told by its first bytes and never by its name or declared type."""

import re
from enum import StrEnum

HEAD_BYTES = 4096
_DICOM_MAGIC_AT = 128
_FIRST_GROUPS = (0x0002, 0x0008)
_EXPLICIT_VR = re.compile(rb"[A-Z]{2}")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


class Content(StrEnum):
    """A format, by its media type."""

    DICOM = "application/dicom"
    PDF = "application/pdf"
    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    BMP = "image/bmp"
    WEBP = "image/webp"
    TIFF = "image/tiff"
    HEIC = "image/heic"
    AVIF = "image/avif"
    MP4 = "video/mp4"
    MATROSKA = "video/x-matroska"
    AVI = "video/x-msvideo"
    MPEG = "video/mpeg"
    ZIP = "application/zip"
    GZIP = "application/gzip"
    SEVEN_ZIP = "application/x-7z-compressed"
    RAR = "application/vnd.rar"
    SCP_ECG = "application/x-scp-ecg"
    EDF = "application/x-edf"
    XML = "application/xml"
    ECG_XML = "application/x-ecg+xml"
    RTF = "application/rtf"
    OLE = "application/x-ole-storage"
    UNKNOWN = "application/octet-stream"


IMAGES = frozenset(
    {Content.JPEG, Content.PNG, Content.GIF, Content.BMP, Content.WEBP, Content.TIFF, Content.HEIC, Content.AVIF}
)
FILMS = frozenset({Content.MP4, Content.MATROSKA, Content.AVI, Content.MPEG})

_PREFIXES: tuple[tuple[bytes, Content], ...] = (
    (b"\xff\xd8\xff", Content.JPEG),
    (b"\x89PNG\r\n\x1a\n", Content.PNG),
    (b"GIF87a", Content.GIF),
    (b"GIF89a", Content.GIF),
    (b"II*\x00", Content.TIFF),
    (b"MM\x00*", Content.TIFF),
    (b"II+\x00", Content.TIFF),
    (b"MM\x00+", Content.TIFF),
    (b"PK\x03\x04", Content.ZIP),
    (b"PK\x05\x06", Content.ZIP),
    (b"\x1f\x8b\x08", Content.GZIP),
    (b"7z\xbc\xaf\x27\x1c", Content.SEVEN_ZIP),
    (b"Rar!\x1a\x07", Content.RAR),
    (b"\x1aE\xdf\xa3", Content.MATROSKA),
    (b"\x00\x00\x01\xba", Content.MPEG),
    (b"\x00\x00\x01\xb3", Content.MPEG),
    (b"{\\rtf", Content.RTF),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content.OLE),
    (b"0       ", Content.EDF),
    (b"\xffBIOSEMI", Content.EDF),
)


def recognise(head: bytes) -> Content:
    """Return what the file is whose first `HEAD_BYTES` bytes are *head*."""
    if head[_DICOM_MAGIC_AT : _DICOM_MAGIC_AT + 4] == b"DICM" or head[:4] == b"DICM":
        return Content.DICOM
    for prefix, content in _PREFIXES:
        if head.startswith(prefix):
            return content
    if head[:4] == b"RIFF":
        return {b"WEBP": Content.WEBP, b"AVI ": Content.AVI}.get(head[8:12], Content.UNKNOWN)
    if head[4:8] == b"ftyp":
        return _iso_media(head[8:12])
    if head[4:8] in (b"moov", b"mdat", b"wide", b"skip", b"free"):
        return Content.MP4  # QuickTime of old cameras has no `ftyp`
    if b"%PDF-" in head[:1024]:
        return Content.PDF
    if head[16:22] == b"SCPECG":
        return Content.SCP_ECG  # EN 1064: after the record's checksum and size, section 0 names itself
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00":
        return Content.BMP
    if is_bare_dataset(head):
        return Content.DICOM
    return _xml(head)


def is_bare_dataset(head: bytes) -> bool:
    """Say whether *head* looks like a DICOM data set without preamble (PS3.5 section 7.1), in any byte order."""
    if len(head) < 8:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in _FIRST_GROUPS or element > 0x0100:
            continue
        if _EXPLICIT_VR.fullmatch(head[4:6]):
            return True
        if order == "little" and int.from_bytes(head[4:8], order) <= 0x0100:
            return True
    return False


def _iso_media(brand: bytes) -> Content:
    if brand in _HEIC_BRANDS:
        return Content.HEIC
    return Content.AVIF if brand in (b"avif", b"avis") else Content.MP4


def _xml(head: bytes) -> Content:
    """Return XML, and ECG_XML where the root names one of the formats of ECG machines."""
    text = head
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", errors="ignore").encode()
    text = text.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text.startswith(b"<?xml") and not re.match(rb"<[A-Za-z][\w:.-]*[\s>]", text):
        return Content.UNKNOWN
    roots = (b"<AnnotatedECG", b":AnnotatedECG", b"<RestingECG", b"<restingecgdata", b"<CardiologyXML")
    return Content.ECG_XML if any(root in text for root in roots) else Content.XML
