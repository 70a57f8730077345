"""A DICOM file of any kind: which kind, and who looks into it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from pydicom.dataset import Dataset

from bot.adapters.documents.damage import (
    HeaderMismatchError,
    UndecodableError,
    UnreadableError,
    UnsupportedSyntaxError,
)
from bot.adapters.documents.deidentified import UNWRITABLE, clean_copy
from bot.adapters.documents.dicom_file import DicomFile, open_dicom
from bot.adapters.documents.dicom_pixels import examine_pixels
from bot.adapters.documents.ecg import examine_ecg
from bot.adapters.documents.identity import identity_of
from bot.adapters.documents.job import Job
from bot.adapters.documents.paper import examine_pdf
from bot.adapters.documents.structured_report import examine_report
from bot.domain.documents import CleanCopy, DocumentKind, Examined, FactCode, IdentityFound, NoteCode

MIME = "application/dicom"
_DIRECTORY = "1.2.840.10008.1.3.10"
_HAEMODYNAMIC = "1.2.840.10008.5.1.4.1.1.9.2.1"


def examine_dicom(job: Job) -> Examined:
    """Look into a DICOM file.

    Raises:
        Refused: BOMB, TOO_LARGE.
    """
    try:
        file = open_dicom(job)
    except UnreadableError:
        return Examined(kind=DocumentKind.UNKNOWN, mime=MIME, notes=(NoteCode.UNREADABLE,))
    found = _reader(file)(job, file)
    header = file.header
    clean = _clean(job, file, found) if job.strip else None
    return replace(
        found,
        mime=MIME,
        modality=_code(header, "Modality"),
        taken_on=None if job.strip else _day(header),
        facts={**found.facts, **_person(header)},
        clean=clean,
        identity=_joined(identity_of(header), found.identity),
    )


def _clean(job: Job, file: DicomFile, found: Examined) -> CleanCopy | None:
    """Return the copy, or None where a frame beyond those that were shown turns out to be damaged."""
    try:
        return clean_copy(job, file, found)
    except (UndecodableError, HeaderMismatchError, UnsupportedSyntaxError, *UNWRITABLE):
        return None


def _reader(file: DicomFile) -> Callable[[Job, DicomFile], Examined]:
    header = file.header
    if "WaveformSequence" in header and header.get("SOPClassUID") != _HAEMODYNAMIC:
        return examine_ecg
    if "EncapsulatedDocument" in header:
        return _examine_encapsulated
    if file.pixels is not None and file.rows and file.columns:
        return examine_pixels
    if "ContentSequence" in header:
        return examine_report
    return _not_shown


def _examine_encapsulated(job: Job, file: DicomFile) -> Examined:
    data = file.header.get("EncapsulatedDocument")
    if not isinstance(data, bytes) or b"%PDF-" not in data[:1024]:
        return _not_shown(job, file)
    return examine_pdf(job, data, mime=MIME)


def _not_shown(_job: Job, _file: DicomFile) -> Examined:
    """A directory of a CD, a plan, a haemodynamic curve: kept, offered, not drawn."""
    return Examined(kind=DocumentKind.DATA, mime=MIME, notes=(NoteCode.NOT_SHOWN,))


def _person(header: Dataset) -> dict[FactCode, str]:
    """Return age and sex: what a case says of its patient anyway, and what a mixed-up file is noticed by."""
    facts = {}
    age, sex = _code(header, "PatientAge"), _code(header, "PatientSex")
    if age and len(age) == 4 and age[:3].isdigit() and age[3] in "DWMY":
        facts[FactCode.AGE] = f"{min(int(age[:3]), 90 if age[3] == 'Y' else 999)} {age[3]}"
    if sex in ("M", "F", "O"):
        facts[FactCode.SEX] = sex
    return facts


def _joined(first: IdentityFound, second: IdentityFound) -> IdentityFound:
    return IdentityFound(tags=first.tags + second.tags, tokens=first.tokens | second.tokens)


def _code(header: Dataset, keyword: str) -> str | None:
    """Return a short coded value of the header, or None."""
    text = str(header.get(keyword) or "").strip().upper()
    return text[:16] or None


def _day(header: Dataset) -> date | None:
    """Return the day on which it was taken."""
    for keyword in ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate"):
        text = str(header.get(keyword) or "")[:8]
        if len(text) == 8 and text.isdigit():
            try:
                return date(int(text[:4]), int(text[4:6]), int(text[6:]))
            except ValueError:
                continue
    return None
