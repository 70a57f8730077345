"""A DICOM electrocardiogram: its picture on paper and its machine's own values."""

from collections.abc import Mapping

from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.ecg_paper import draw
from bot.adapters.documents.ecg_signal import read_ecg
from bot.adapters.documents.ecg_values import machine_values, statements
from bot.adapters.documents.job import Job
from bot.adapters.documents.numbers import short
from bot.domain.documents import DocumentKind, Examined, FactCode, NoteCode

_MIME = "application/dicom"


def examine_ecg(job: Job, file: DicomFile) -> Examined:
    """Look into a DICOM waveform (PS3.3 A.34)."""
    values = machine_values(file.header)
    ecg = read_ecg(file.header)
    if ecg is None:
        return Examined(kind=DocumentKind.ECG, mime=_MIME, facts=values, notes=(NoteCode.UNREADABLE,))
    facts = dict(values)
    if not job.strip and (said := statements(file.header)):
        facts[FactCode.ECG_STATEMENT] = said
    facts[FactCode.ECG_LEADS] = str(sum(1 for lead in ecg.leads if not lead.derived))
    facts[FactCode.ECG_DURATION] = f"{short(ecg.seconds)} s"
    facts[FactCode.ECG_SAMPLING] = f"{short(ecg.rate)} Hz"
    if ecg.filters:
        facts[FactCode.ECG_FILTER] = ecg.filters
    notes = []
    if ecg.left_out:
        notes.append(NoteCode.IMPLAUSIBLE_SAMPLES)
    if not ecg.is_standard or any(lead.flat for lead in ecg.leads):
        notes.append(NoteCode.LEADS_MISSING)
    if ecg.truncated:
        notes.append(NoteCode.TRUNCATED)
    picture = draw(ecg, values=values_line(values))
    return Examined(kind=DocumentKind.ECG, mime=_MIME, facts=facts, previews=(picture,), notes=tuple(notes))


def values_line(values: Mapping[FactCode, str]) -> str:
    """Return the machine's measurements in one line, each as the machine wrote it."""
    parts = [
        f"{label} {values[code]}"
        for label, code in (
            ("HR", FactCode.ECG_HEART_RATE),
            ("RR", FactCode.ECG_RR),
            ("P", FactCode.ECG_P),
            ("PR", FactCode.ECG_PR),
            ("QRS", FactCode.ECG_QRS),
            ("QT", FactCode.ECG_QT),
            ("QTc", FactCode.ECG_QTC),
        )
        if code in values
    ]
    axes = [values.get(code) for code in (FactCode.ECG_P_AXIS, FactCode.ECG_QRS_AXIS, FactCode.ECG_T_AXIS)]
    if any(axes):
        parts.append("P/QRS/T " + "/".join(axis or "-" for axis in axes))
    return "[machine]    " + "    ".join(parts) if parts else ""
