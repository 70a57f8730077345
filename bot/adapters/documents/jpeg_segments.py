"""A JPEG or JPEG 2000 stream without what is not picture: EXIF, XMP, comments, thumbnails, and what hangs behind it."""

_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_COMMENT = 0xFE
_TILE, _TEXT = 0x90, 0x64
_APPLICATION = range(0xE0, 0xF0)
_ADOBE, _JFIF, _PROFILE = 0xEE, 0xE0, 0xE2
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def pictures_only(data: bytes) -> bytes | None:
    """Return *data* with only the segments that a decoder needs, its picture bit by bit the same.

    JFIF's header, Adobe's colour transform and a colour profile stay. None if the stream is not whole
    (ITU-T T.81 annex B).
    """
    if not data.startswith(_START):
        return None
    kept = [_START]
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _END[1]:
            kept.append(_END)
            return b"".join(kept)
        length = 0 if marker in _STANDALONE else int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if marker == _SCAN:
            end = _end_of_scan(data, end)
        if end > len(data):
            return None
        if _is_needed(marker, data[at + 4 : at + 18]):
            kept.append(data[at:end])
        at = end
    if data[at : at + 2] == _END:
        kept.append(_END)
        return b"".join(kept)
    return None


def codestream_only(data: bytes) -> bytes | None:
    """Return a JPEG 2000 code stream without the comments of its main header (ITU-T T.800 A.9.2), or None."""
    if not data.startswith(b"\xff\x4f\xff\x51"):
        return None
    kept = [data[:2]]
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == _TILE:
            kept.append(data[at:])
            return b"".join(kept)
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != _TEXT:
            kept.append(data[at:end])
        at = end
    return None


def _is_needed(marker: int, start: bytes) -> bool:
    if marker == _COMMENT:
        return False
    if marker not in _APPLICATION:
        return True
    if marker == _JFIF:
        return start.startswith(b"JFIF\0")
    if marker == _PROFILE:
        return start.startswith(b"ICC_PROFILE\0")
    return marker == _ADOBE and start.startswith(b"Adobe")


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the entropy-coded data ends: at the first marker that is neither stuffing nor a restart.

    JPEG stuffs a zero after 0xFF, JPEG-LS a bit: below 0x80 it is data in both (T.81 B.1.1.2, T.87 A.1).
    """
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data) + 1
        following = data[at + 1]
        if following < 0x80 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at
