"""DICOM structured reports: their numbers with their codes, and no free text."""

from collections.abc import Iterator, Mapping

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bot.adapters.documents.dicom_file import DicomFile
from bot.adapters.documents.identity import identity_of, mentions
from bot.adapters.documents.job import Job
from bot.adapters.documents.numbers import decimal
from bot.domain.documents import DocumentKind, Examined, FactCode, Measurement, NoteCode

_MIME = "application/dicom"
_DEEPEST = 12
_MOST = 400
_SITE = frozenset({"G-C0E3", "363698007"})
"""Finding site, in SRT and in SNOMED CT."""

_METHOD = frozenset({"G-C036", "370129005"})
_NAMED: Mapping[tuple[str, str], FactCode] = {
    ("LN", "18043-0"): FactCode.ECHO_LVEF,
    ("LN", "10230-1"): FactCode.ECHO_LVEF,
    ("LN", "18026-5"): FactCode.ECHO_LV_EDV,
    ("LN", "18148-7"): FactCode.ECHO_LV_ESV,
    ("LN", "20256-4"): FactCode.ECHO_GRADIENT_MEAN,
    ("LN", "20247-3"): FactCode.ECHO_GRADIENT_PEAK,
    ("LN", "11726-7"): FactCode.ECHO_VELOCITY_PEAK,
    ("SRT", "G-038E"): FactCode.ECHO_AREA,
}
"""Codes of PS3.16 CID 12202, 12222 and 12304 that forms ask for."""

_UNITS = {"1": "", "{ratio}": "", "ml": "mL", "mm[Hg]": "mmHg"}


def examine_report(job: Job, file: DicomFile) -> Examined:
    """Look into a structured report (PS3.3 A.35): numbers and codes only, sentences stay in the file."""
    names = identity_of(file.header).tokens if job.strip else frozenset()
    measurements = tuple(found for found in _measurements(file.header) if not mentions(found.meaning, names))
    facts: dict[FactCode, str] = {}
    for found in measurements:
        if found.fact is not None and found.fact not in facts:
            facts[found.fact] = _with_place(found)
        elif found.fact is not None:
            facts[found.fact] += f"; {_with_place(found)}"
    return Examined(
        kind=DocumentKind.REPORT,
        mime=_MIME,
        facts=facts,
        measurements=measurements,
        notes=() if measurements else (NoteCode.NOT_SHOWN,),
    )


def _with_place(found: Measurement) -> str:
    """Return "35 % (Left Ventricle, Biplane)": a gradient without its valve would be worse than none."""
    where = ", ".join(part for part in (found.site, found.method) if part)
    return f"{found.value} {found.unit}".strip() + (f" ({where})" if where else "")


def _measurements(header: Dataset) -> Iterator[Measurement]:
    for count, (item, around) in enumerate(_numbers(header, (), 0)):
        if count == _MOST:
            return
        found = _measurement(item, around)
        if found is not None:
            yield found


def _numbers(node: Dataset, around: tuple[Dataset, ...], depth: int) -> Iterator[tuple[Dataset, tuple[Dataset, ...]]]:
    """Yield every NUM item with the items that it stands in, from the outermost on."""
    if depth > _DEEPEST:
        return
    for item in node.get("ContentSequence") or ():
        if item.get("ValueType") == "NUM":
            yield item, around
        yield from _numbers(item, (*around, item), depth + 1)


def _measurement(item: Dataset, around: tuple[Dataset, ...]) -> Measurement | None:
    name = _code(item.get("ConceptNameCodeSequence"))
    measured = (item.get("MeasuredValueSequence") or [None])[0]
    if name is None or measured is None or decimal(measured.get("NumericValue")) is None:
        return None
    unit = _code(measured.get("MeasurementUnitsCodeSequence"))
    scheme, code, meaning = name
    text = unit[1] if unit else ""
    return Measurement(
        scheme=scheme,
        code=code,
        meaning=meaning,
        value=str(measured.get("NumericValue")).strip(),
        unit=_UNITS.get(text, text),
        site=_modifier((item, *reversed(around)), _SITE),
        method=_modifier((item,), _METHOD),
        fact=_NAMED.get((scheme, code)),
    )


def _modifier(nodes: tuple[Dataset, ...], concepts: frozenset[str]) -> str | None:
    """Return the meaning of the first coded item named by *concepts* directly below one of *nodes*, innermost first."""
    for node in nodes:
        for item in node.get("ContentSequence") or ():
            name = _code(item.get("ConceptNameCodeSequence"))
            value = _code(item.get("ConceptCodeSequence"))
            if item.get("ValueType") == "CODE" and name is not None and value is not None and name[1] in concepts:
                return value[2]
    return None


def _code(sequence: object) -> tuple[str, str, str] | None:
    """Return (scheme, value, meaning) of the first code of a code sequence."""
    if not isinstance(sequence, Sequence) or not sequence:
        return None
    one = sequence[0]
    value = str(one.get("CodeValue") or one.get("LongCodeValue") or "").strip()
    if not value:
        return None
    return str(one.get("CodingSchemeDesignator") or "").strip(), value, str(one.get("CodeMeaning") or "").strip()[:64]
