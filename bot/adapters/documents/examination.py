"""Any file: told apart by its content and handed to who reads such files."""

from bot.adapters.documents.content import FILMS, HEAD_BYTES, IMAGES, Content, recognise
from bot.adapters.documents.job import Job
from bot.domain.documents import DocumentKind, Examined, NoteCode, RefusalCode, Refused


def examine(job: Job) -> Examined:
    """Look into the file of *job*; heavy libraries are loaded only by those who need them.

    Raises:
        Refused: EMPTY, TOO_LARGE, BOMB.
        MemoryError, RecursionError: the child's limits.
    """
    if job.size == 0:
        raise Refused(RefusalCode.EMPTY)
    job.source.seek(0)
    content = recognise(job.source.read(HEAD_BYTES))
    if content is Content.DICOM:
        from bot.adapters.documents.dicom import examine_dicom

        return examine_dicom(job)
    if content in IMAGES:
        from bot.adapters.documents.photo import examine_photo

        return examine_photo(job, content)
    if content is Content.PDF:
        from bot.adapters.documents.paper import examine_pdf

        return examine_pdf(job)
    if content in FILMS:
        from bot.adapters.documents.camera_film import examine_film

        return examine_film(job, content)
    kind = DocumentKind.UNKNOWN if content is Content.UNKNOWN else DocumentKind.DATA
    return Examined(kind=kind, mime=content.value, notes=(NoteCode.NOT_SHOWN,))
