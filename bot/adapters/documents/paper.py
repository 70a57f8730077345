"""PDF files: their first pages as pictures, and what their properties say."""

import ctypes

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from bot.adapters.documents.identity import tokens
from bot.adapters.documents.job import Job
from bot.adapters.documents.pictures import preview
from bot.domain.documents import DocumentKind, Examined, FactCode, IdentityFound, NoteCode, Preview, PreviewRole

_PROPERTIES = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")
_NAMING = ("Title", "Author", "Subject", "Keywords")
_SIDE = 1754
"""Pixels of the longer side: A4 at 150 dpi."""


def examine_pdf(job: Job, data: bytes | None = None, *, mime: str = "application/pdf") -> Examined:
    """Look into a PDF, the file of *job* or *data* out of it. No copy is made: names stand on its pages.

    Raises:
        Refused: TOO_LARGE.
    """
    content = job.read_all(job.limits.file) if data is None else data
    notes = [NoteCode.PIXELS_NOT_CLEARED] if job.strip else []
    try:
        document = pypdfium2.PdfDocument(content)
        count = len(document)
    except pypdfium2.PdfiumError as problem:
        locked = getattr(problem, "err_code", None) == pdfium.FPDF_ERR_PASSWORD
        code = NoteCode.LOCKED if locked else NoteCode.UNREADABLE
        return Examined(kind=DocumentKind.PDF, mime=mime, notes=(code,))
    pages = _pages(document, min(count, job.limits.pages))
    if count > len(pages):
        notes.append(NoteCode.PAGES_LEFT_OUT if pages else NoteCode.UNREADABLE)
    identity = _properties(document)
    return Examined(
        kind=DocumentKind.PDF,
        mime=mime,
        facts={FactCode.PAGES: str(count)},
        previews=pages,
        identity=identity,
        notes=tuple(notes),
    )


def _pages(document: pypdfium2.PdfDocument, count: int) -> tuple[Preview, ...]:
    pages: list[Preview] = []
    for number in range(count):
        try:
            page = document[number]
            longer = max(*page.get_size(), 1.0)
            bitmap = page.render(scale=_SIDE / longer, may_draw_forms=False)
            image: Image.Image = bitmap.to_pil()
        except (pypdfium2.PdfiumError, ValueError, ctypes.ArgumentError):
            break
        pages.append(preview(image, role=PreviewRole.PAGE, side=_SIDE))
        bitmap.close()
        page.close()
    return tuple(pages)


def _properties(document: pypdfium2.PdfDocument) -> IdentityFound:
    filled = {key: text for key in _PROPERTIES if (text := str(document.get_metadata_value(key) or "").strip())}
    return IdentityFound(tags=len(filled), tokens=tokens(filled[key] for key in _NAMING if key in filled))
