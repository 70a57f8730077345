"""A document reader that reads nothing but the first bytes, for tests of what is done with documents."""

import hashlib
import os
from typing import Literal

from bot.domain.documents import (
    CleanCopy,
    DocumentKind,
    Examined,
    IdentityFound,
    NoteCode,
    Preview,
    PreviewRole,
    RefusalCode,
    Refused,
)

_LARGEST = 512 << 20
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
_BY_MODALITY = {b"ECG": (DocumentKind.ECG, PreviewRole.ECG), b"US": (DocumentKind.ECHO_LOOP, PreviewRole.LOOP)}
_BY_START = (
    (b"\xff\xd8\xff", DocumentKind.IMAGE, "image/jpeg", PreviewRole.THUMBNAIL),
    (b"\x89PNG", DocumentKind.IMAGE, "image/png", PreviewRole.THUMBNAIL),
    (b"%PDF-", DocumentKind.PDF, "application/pdf", PreviewRole.PAGE),
    (b"PK\x03\x04", DocumentKind.DATA, "application/zip", None),
)


class FakeDocumentReader:
    """Answers by the first bytes, or with what a test put into `answers` under the content's SHA-256 (hex)."""

    def __init__(self) -> None:
        self.answers: dict[str, Examined | RefusalCode] = {}
        self.examined: list[str] = []
        self.closed = False

    async def examine(self, fd: int, *, size: int, identity: Literal["strip", "keep"], case_salt: bytes) -> Examined:
        if size == 0:
            raise Refused(RefusalCode.EMPTY)
        if size > _LARGEST:
            raise Refused(RefusalCode.TOO_LARGE)
        data = os.pread(fd, size, 0)
        digest = hashlib.sha256(data).hexdigest()
        self.examined.append(digest)
        answer = self.answers.get(digest)
        if isinstance(answer, RefusalCode):
            raise Refused(answer)
        return answer or _judged(data, strip=identity == "strip")

    async def isolation(self) -> tuple[str, ...]:
        return ("limits",)

    async def close(self) -> None:
        self.closed = True


def _judged(data: bytes, *, strip: bool) -> Examined:
    if data[128:132] == b"DICM":
        return _dicom(data, strip=strip)
    for start, kind, mime, role in _BY_START:
        if data.startswith(start):
            picture = (_picture(role),) if role else ()
            return Examined(
                kind=kind,
                mime=mime,
                previews=picture,
                clean=_clean(_PIXEL, "image/png") if kind is DocumentKind.IMAGE else None,
                identity=IdentityFound(tags=1),
                notes=() if picture else (NoteCode.NOT_SHOWN,),
            )
    return Examined(kind=DocumentKind.UNKNOWN, mime="application/octet-stream", notes=(NoteCode.NOT_SHOWN,))


def _dicom(data: bytes, *, strip: bool) -> Examined:
    """Tell an ECG, an ultrasound loop or another image by the modality, in files written explicit and little-endian."""
    at = data.index(b"\x08\x00\x60\x00CS")
    modality = data[at + 8 : at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")].strip()
    kind, role = _BY_MODALITY.get(modality, (DocumentKind.DICOM_IMAGE, PreviewRole.STILL))
    names = [word for word in (b"ZZPLANTEDNAME",) if word in data]
    return Examined(
        kind=kind,
        mime="application/dicom",
        modality=modality.decode(),
        previews=(_picture(role),),
        clean=_clean(bytes(128) + b"DICM", "application/dicom") if strip else None,
        identity=IdentityFound(tags=5, tokens=frozenset(word.decode().lower() for word in names)),
    )


def _picture(role: PreviewRole) -> Preview:
    film = role is PreviewRole.LOOP
    mime, duration = ("video/mp4", 1000) if film else ("image/png", None)
    return Preview(role=role, mime=mime, data=_PIXEL, width=1, height=1, duration_ms=duration)


def _clean(data: bytes, mime: str) -> CleanCopy:
    fd = os.memfd_create("clean", os.MFD_CLOEXEC)
    os.pwrite(fd, data, 0)
    return CleanCopy(fd=fd, size=len(data), mime=mime)
