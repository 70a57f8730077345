"""The leads of an electrocardiogram in millivolts, whatever file they came from, and what of them may be drawn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from bot.adapters.documents.numbers import decimal, short, whole

Millivolts = NDArray[np.float32]

STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_CODED = {
    1: "I",
    2: "II",
    61: "III",
    62: "aVR",
    63: "aVL",
    64: "aVF",
    65: "-aVR",
    3: "V1",
    4: "V2",
    5: "V3",
    6: "V4",
    7: "V5",
    8: "V6",
    9: "V7",
    66: "V8",
    67: "V9",
    10: "V2R",
    11: "V3R",
    12: "V4R",
    13: "V5R",
    14: "V6R",
    15: "V7R",
}
"""Lead numbers of EN 1064 section 3; MDC codes (2:1, 2:61 …) end in the same numbers."""

_NAMED = re.compile(r"\b(I{1,3}|aV[RLF]|V[1-9]R?|-aVR)\b", re.IGNORECASE)
_PER_MILLIVOLT = {"mV": 1.0, "uV": 1e3, "µV": 1e3, "μV": 1e3, "V": 1e-3, "nV": 1e6}
_LARGEST = 20.0
"""Millivolts beyond which no surface lead goes: such samples are padding or damage."""

_SAMPLES = {(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2", (32, "SL"): "i4", (32, "UL"): "u4"}
"""Sample interpretations that are plain numbers (PS3.3 C.10.9.1.5); companded sound is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """One lead; NaN where there is nothing that may be drawn. `derived` leads were computed from I and II."""

    name: str
    millivolts: Millivolts = field(repr=False)
    derived: bool = False

    @property
    def flat(self) -> bool:
        """True if the line never moves: an electrode that was off, or a lead that was not recorded."""
        seen = self.millivolts[~np.isnan(self.millivolts)]
        return bool(seen.size == 0 or np.ptp(seen) == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecg:
    """The rhythm strip of an ECG: leads of one length, sampled `rate` times a second."""

    rate: float
    leads: tuple[Lead, ...]
    filters: str | None
    """Band and notch as stored, "0.05-150 Hz, notch 50 Hz"."""

    left_out: int
    """Samples that are not drawn because they are padding or implausible."""

    truncated: bool
    """True if the file holds fewer samples than it says."""

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.leads[0].millivolts) / self.rate

    def lead(self, name: str) -> Lead | None:
        """Return the lead called *name*."""
        return next((lead for lead in self.leads if lead.name == name), None)

    @property
    def is_standard(self) -> bool:
        """True if all twelve usual leads are there."""
        return all(self.lead(name) is not None for name in STANDARD)


def read_ecg(header: Dataset) -> Ecg | None:
    """Return the first original rhythm group of a DICOM waveform (PS3.3 C.10.9), or None if nothing can be drawn.

    Groups of averaged beats are not rhythm and are passed over, unless there is nothing else.
    """
    groups = list(header.get("WaveformSequence") or ())
    for group in sorted(groups, key=_is_averaged):  # a stable order: the first rhythm group stays first
        ecg = _read_group(group)
        if ecg is not None:
            return ecg
    return None


def _is_averaged(group: Dataset) -> bool:
    label = str(group.get("MultiplexGroupLabel") or "").upper()
    return group.get("WaveformOriginality") == "DERIVED" or "MEDIAN" in label or "AVERAGE" in label


def _read_group(group: Dataset) -> Ecg | None:
    rate = decimal(group.get("SamplingFrequency"))
    channels = list(group.get("ChannelDefinitionSequence") or ())
    if rate is None or not 50 <= rate <= 40_000 or not channels:
        return None
    counts = _counts(group, len(channels))
    if counts is None or counts.shape[0] < rate / 2:
        return None
    empty = _padding(group)
    leads: list[Lead] = []
    left_out = 0
    for column, channel in enumerate(channels):
        name, scale = _name(channel), _scale(channel)
        if name is None or scale is None or any(lead.name == name for lead in leads):
            continue
        factor, offset = scale
        millivolts = (counts[:, column].astype(np.float64) * factor + offset).astype(np.float32)
        outside = np.abs(millivolts) > _LARGEST
        if empty is not None:
            outside |= counts[:, column] == empty
        left_out += int(outside.sum())
        millivolts[outside] = np.nan
        leads.append(Lead(name=name, millivolts=millivolts))
    if not leads:
        return None
    return Ecg(
        rate=rate,
        leads=_with_derived(leads),
        filters=_filters(channels),
        left_out=left_out,
        truncated=counts.shape[0] < (whole(group.get("NumberOfWaveformSamples")) or 0),
    )


def _counts(group: Dataset, channels: int) -> NDArray[np.generic] | None:
    """Return the stored numbers as (samples, channels), as many as are there, or None if they are not plain numbers."""
    data = group.get("WaveformData")
    bits, meaning = whole(group.get("WaveformBitsAllocated")) or 0, str(group.get("WaveformSampleInterpretation") or "")
    form = _SAMPLES.get((bits, meaning))
    if form is None or not isinstance(data, bytes) or whole(group.get("NumberOfWaveformChannels")) != channels:
        return None
    claimed = whole(group.get("NumberOfWaveformSamples")) or 0
    samples = min(claimed, len(data) // (channels * bits // 8))
    numbers = np.frombuffer(data, f"<{form}", count=samples * channels)
    return numbers.reshape(samples, channels)


def _padding(group: Dataset) -> int | None:
    """Return the count that marks an absent sample; zero is not believed, it is where a line rests."""
    raw = group.get("WaveformPaddingValue")
    if not isinstance(raw, bytes) or len(raw) not in (1, 2):
        return None
    value = int.from_bytes(raw, "little", signed=group.get("WaveformSampleInterpretation") in ("SS", "SB"))
    return value or None


def _name(channel: Dataset) -> str | None:
    """Return the lead's usual name from its code, or from the words that go with it."""
    source = (channel.get("ChannelSourceSequence") or [None])[0]
    if source is not None:
        found = re.search(r"(\d+)$", str(source.get("CodeValue") or ""))
        scheme = str(source.get("CodingSchemeDesignator") or "").upper()
        if found and scheme in ("SCPECG", "MDC") and (name := _CODED.get(int(found[1]))):
            return name
    words = " ".join(str(channel.get("ChannelLabel") or "").split()) or str(source.get("CodeMeaning") if source else "")
    named = _NAMED.search(words)
    if named is None:
        return None
    text = named[1].upper()
    return text.replace("AV", "aV") if "AV" in text else text


def _scale(channel: Dataset) -> tuple[float, float] | None:
    """Return (millivolts a count, millivolts to add), or None for a channel without calibration: it is not drawn."""
    sensitivity = decimal(channel.get("ChannelSensitivity"))
    units = (channel.get("ChannelSensitivityUnitsSequence") or [None])[0]
    if sensitivity is None or units is None:
        return None
    per_millivolt = _PER_MILLIVOLT.get(str(units.get("CodeValue") or ""))
    if per_millivolt is None or sensitivity == 0:
        return None
    correction = decimal(channel.get("ChannelSensitivityCorrectionFactor"))
    factor = sensitivity * (1.0 if correction is None else correction) / per_millivolt
    baseline = decimal(channel.get("ChannelBaseline")) or 0.0
    return factor, baseline / per_millivolt


def _filters(channels: Sequence[Dataset]) -> str | None:
    """Return the filters that all channels have in common, as the machine stored them."""
    common: dict[str, float] = {}
    for keyword in ("FilterLowFrequency", "FilterHighFrequency", "NotchFilterFrequency"):
        values = {decimal(channel.get(keyword)) for channel in channels}
        value = values.pop() if len(values) == 1 else None
        if value:
            common[keyword] = value
    low, high, notch = (common.get(k) for k in ("FilterLowFrequency", "FilterHighFrequency", "NotchFilterFrequency"))
    parts = []
    if low and high:
        parts.append(f"{short(low)}-{short(high)} Hz")
    elif low:
        parts.append(f"> {short(low)} Hz")
    elif high:
        parts.append(f"< {short(high)} Hz")
    if notch:
        parts.append(f"notch {short(notch)} Hz")
    return ", ".join(parts) or None


def _half(millivolts: Millivolts) -> Millivolts:
    return millivolts * np.float32(0.5)


def _with_derived(leads: Sequence[Lead]) -> tuple[Lead, ...]:
    """Add the limb leads that follow from I and II (Einthoven, Goldberger) where the machine stored only those."""
    stored: Mapping[str, Lead] = {lead.name: lead for lead in leads}
    if "I" not in stored or "II" not in stored:
        return tuple(leads)
    one, two = stored["I"].millivolts, stored["II"].millivolts
    formulas: Mapping[str, Millivolts] = {
        "III": two - one,
        "aVR": -_half(one + two),
        "aVL": one - _half(two),
        "aVF": two - _half(one),
    }
    missing = [Lead(name=n, millivolts=mv, derived=True) for n, mv in formulas.items() if n not in stored]
    return (*leads, *missing)
