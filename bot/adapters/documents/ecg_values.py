"""What the ECG machine itself measured and wrote, untouched: nothing here is computed from the tracing."""

from collections.abc import Mapping

from pydicom.dataset import Dataset

from bot.adapters.documents.numbers import decimal
from bot.domain.documents import FactCode

_BY_SCP_CODE: Mapping[str, FactCode] = {
    "5.10.2.1-3": FactCode.ECG_RR,
    "5.10.2.1-5": FactCode.ECG_PP,
    "5.10.2.5-5": FactCode.ECG_QTC,
    "5.13.5-5": FactCode.ECG_P,
    "5.13.5-7": FactCode.ECG_PR,
    "5.13.5-9": FactCode.ECG_QRS,
    "5.13.5-11": FactCode.ECG_QT,
    "5.10.3-11": FactCode.ECG_P_AXIS,
    "5.10.3-13": FactCode.ECG_QRS_AXIS,
    "5.10.3-15": FactCode.ECG_T_AXIS,
}
_BY_MDC_CODE: Mapping[str, FactCode] = {
    "2:15872": FactCode.ECG_PR,
    "2:16148": FactCode.ECG_RR,
    "2:16142": FactCode.ECG_PP,
    "2:16156": FactCode.ECG_QRS,
    "2:16160": FactCode.ECG_QT,
    "2:15876": FactCode.ECG_QTC,
    "2:16016": FactCode.ECG_HEART_RATE,
}
_BY_MEANING: Mapping[str, FactCode] = {
    "HEART RATE": FactCode.ECG_HEART_RATE,
    "VENTRICULAR HEART RATE": FactCode.ECG_HEART_RATE,
    "VENTRICULAR RATE": FactCode.ECG_HEART_RATE,
    "RR INTERVAL": FactCode.ECG_RR,
    "PP INTERVAL": FactCode.ECG_PP,
    "P DURATION": FactCode.ECG_P,
    "PR INTERVAL": FactCode.ECG_PR,
    "PQ INTERVAL": FactCode.ECG_PR,
    "QRS DURATION": FactCode.ECG_QRS,
    "QT INTERVAL": FactCode.ECG_QT,
    "QTC INTERVAL": FactCode.ECG_QTC,
    "P AXIS": FactCode.ECG_P_AXIS,
    "QRS AXIS": FactCode.ECG_QRS_AXIS,
    "T AXIS": FactCode.ECG_T_AXIS,
}
_AXES = frozenset({FactCode.ECG_P_AXIS, FactCode.ECG_QRS_AXIS, FactCode.ECG_T_AXIS})
_UNITS = {"{H.B.}/min": "/min", "/min": "/min", "bpm": "/min", "1/min": "/min", "deg": "°"}


def machine_values(header: Dataset) -> dict[FactCode, str]:
    """Return the global measurements of the annotations (PS3.3 C.10.10), each with the machine's unit; the first wins.

    A zero interval is how machines say that they measured none, and is left out; a zero axis is one.
    """
    found: dict[FactCode, str] = {}
    for item in header.get("WaveformAnnotationSequence") or ():
        code = _fact(item)
        text = _number(item)
        if code is None or text is None or code in found:
            continue
        if code not in _AXES and decimal(text) == 0:
            continue
        found[code] = f"{text}{_unit(item, code)}"
    return found


def statements(header: Dataset) -> str | None:
    """Return the machine's sentences, or None. Free text: only for those who may see identity."""
    texts = [
        str(item.get("UnformattedTextValue") or "").strip() for item in header.get("WaveformAnnotationSequence") or ()
    ]
    return "; ".join(text for text in texts if text)[:500] or None


def _fact(item: Dataset) -> FactCode | None:
    concept = (item.get("ConceptNameCodeSequence") or [None])[0]
    if concept is None:
        return None
    scheme, value = str(concept.get("CodingSchemeDesignator") or "").upper(), str(concept.get("CodeValue") or "")
    table = {"SCPECG": _BY_SCP_CODE, "MDC": _BY_MDC_CODE}.get(scheme, {})
    return table.get(value) or _BY_MEANING.get(" ".join(str(concept.get("CodeMeaning") or "").upper().split()))


def _number(item: Dataset) -> str | None:
    value = item.get("NumericValue")
    if isinstance(value, list | tuple) or (hasattr(value, "__len__") and not isinstance(value, str)):
        return None
    return None if decimal(value) is None else str(value).strip()


def _unit(item: Dataset, code: FactCode) -> str:
    """Return the unit as written, with its space; axes are angles, and some machines label them with another unit."""
    if code in _AXES:
        return "°"
    units = (item.get("MeasurementUnitsCodeSequence") or [None])[0]
    text = str(units.get("CodeValue") or "") if units is not None else ""
    text = _UNITS.get(text, text)
    return text if text.startswith(("/", "°")) or not text else f" {text}"
