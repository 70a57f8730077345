"""DICOM with pixels: a loop becomes a film, slices a contact sheet, one image a still."""

import numpy as np
from numpy.typing import NDArray

from bot.adapters.documents.damage import HeaderMismatchError, UndecodableError, UnsupportedSyntaxError
from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.dicom_loop import STILL_SIDE, Mask, masked, show_film, show_loop
from bot.adapters.documents.frames import decoded_frames, is_film
from bot.adapters.documents.greyscale import shown, window_text
from bot.adapters.documents.job import Job
from bot.adapters.documents.numbers import decimal, short
from bot.adapters.documents.pictures import contact_sheet, preview
from bot.adapters.documents.regions import Layout, layout, scale
from bot.domain.documents import DocumentKind, Examined, FactCode, NoteCode, Preview, PreviewRole

_MIME = "application/dicom"
ULTRASOUND = frozenset({"US", "IVUS"})
_LOOPS = ULTRASOUND | {"XA", "RF", "ES", "XC", "OP", "GM", "SM", "OCT"}
"""Modalities whose frames follow one another in time; for others, frames are slices or phases of a study."""

_FROM_THE_SENSOR = frozenset({"CT", "MR", "NM", "PT", "CR", "DX", "MG", "XA", "RF", "IO", "OPT", "SEG", "RTDOSE"})
"""Modalities whose pixels come from a detector and carry no screen text, unless the image says it is secondary."""

_SHEET = 25


def examine_pixels(job: Job, file: DicomFile) -> Examined:
    """Look into images.

    Raises:
        Refused: BOMB.
    """
    file.check_size(job.limits)
    modality = str(file.header.get("Modality") or "").strip().upper()
    plan = layout(file.header, file.rows, file.columns)
    notes, mask = _privacy(job, file, modality, plan)
    moving = is_film(file.syntax) or (modality in _LOOPS and file.frames > 1)
    kind = _kind(modality, moving=moving)
    facts = _facts(file)
    try:
        if is_film(file.syntax):
            loop = show_film(file, mask, job.limits)
        elif moving:
            loop = show_loop(file, mask, job.limits)
        else:
            previews, said = _stills(file, mask)
            return Examined(
                kind=kind, mime=_MIME, frames=file.frames, facts=facts, previews=previews, notes=(*notes, *said)
            )
    except UnsupportedSyntaxError:
        return Examined(kind=kind, mime=_MIME, facts=facts, notes=(NoteCode.UNSUPPORTED_SYNTAX,))
    except HeaderMismatchError:
        return Examined(kind=kind, mime=_MIME, facts=facts, notes=(NoteCode.HEADER_MISMATCH,))
    except UndecodableError:
        cut = (NoteCode.TRUNCATED,) if file.is_cut else ()
        return Examined(kind=kind, mime=_MIME, facts=facts, notes=(NoteCode.UNREADABLE, *cut))
    if NoteCode.TIMING_ASSUMED not in loop.notes:
        facts[FactCode.LOOP_RATE] = f"{short(loop.rate)}/s"
        facts[FactCode.LOOP_DURATION] = f"{short(file.frames / loop.rate)} s"
    rate = decimal(file.header.get("HeartRate"))
    if rate:
        facts[FactCode.LOOP_HEART_RATE] = f"{short(rate)}/min"
    return Examined(
        kind=kind,
        mime=_MIME,
        frames=file.frames,
        frame_rate=loop.rate,
        facts=facts,
        previews=loop.previews,
        notes=(*notes, *loop.notes),
    )


def _kind(modality: str, *, moving: bool) -> DocumentKind:
    if not moving:
        return DocumentKind.DICOM_IMAGE
    return DocumentKind.ECHO_LOOP if modality in ULTRASOUND else DocumentKind.VIDEO


def _privacy(job: Job, file: DicomFile, modality: str, plan: Layout) -> tuple[list[NoteCode], Mask | None]:
    """Return what must be said about names in the pixels, and the mask that takes them out."""
    if not job.strip:
        return [], None
    if modality in ULTRASOUND or plan.regions:
        if not plan.regions:
            return [NoteCode.REGIONS_MISSING, NoteCode.PIXELS_NOT_CLEARED], None
        notes = [NoteCode.REGION_OUTSIDE, NoteCode.PIXELS_NOT_CLEARED] if plan.outside else []
        return notes, plan.mask(file.rows, file.columns)
    kind = [str(part).upper() for part in _values(file.header.get("ImageType"))]
    secondary = "SECONDARY" in kind or any("SCREEN" in part for part in kind)
    burned = str(file.header.get("BurnedInAnnotation") or "").upper() == "YES"
    clear = modality in _FROM_THE_SENSOR and not secondary and not burned
    return ([] if clear else [NoteCode.PIXELS_NOT_CLEARED]), None


def _stills(file: DicomFile, mask: Mask | None) -> tuple[tuple[Preview, ...], list[NoteCode]]:
    """Return one still, or a contact sheet of up to 25 frames spread over the series."""
    wanted = _spread_over(file.frames)
    pictures: list[NDArray[np.uint8]] = []
    notes: list[NoteCode] = []
    try:
        for number, array in enumerate(decoded_frames(file)):
            if number not in wanted:
                continue
            pictures.append(masked(shown(array, file.header), mask))
    except UndecodableError:
        if not pictures:
            raise
    if not pictures:
        raise UndecodableError
    if len(pictures) < len(wanted) or file.is_cut:
        notes.append(NoteCode.TRUNCATED)
    elif len(wanted) < file.frames:
        notes.append(NoteCode.PAGES_LEFT_OUT)
    if len(pictures) == 1:
        return (preview(pictures[0], role=PreviewRole.STILL, side=STILL_SIDE),), notes
    return (preview(contact_sheet(pictures), role=PreviewRole.STILL, side=STILL_SIDE),), notes


def _spread_over(frames: int) -> frozenset[int]:
    count = min(frames, _SHEET)
    return frozenset(round(n * (frames - 1) / max(1, count - 1)) for n in range(count))


def _facts(file: DicomFile) -> dict[FactCode, str]:
    facts = {FactCode.IMAGE_SIZE: f"{file.columns} x {file.rows}"}
    if file.frames > 1:
        facts[FactCode.LOOP_FRAMES] = str(file.frames)
    if size := scale(file.header):
        facts[FactCode.IMAGE_SCALE] = size
    if wide := window_text(file.header):
        facts[FactCode.IMAGE_WINDOW] = wide
    return facts


def _values(value: object) -> list[object]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value) if hasattr(value, "__iter__") else [value]
