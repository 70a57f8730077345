"""From stored values to what a screen shows: palette, rescale and window (PS3.3 sections C.7.6.3, C.11.1, C.11.2)."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from bot.adapters.documents.numbers import decimal, short, whole

Picture = NDArray[np.uint8]
"""Grey (rows, columns) or RGB (rows, columns, 3), 0 black to 255."""

_UNUSABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, IndexError)
"""What pydicom raises at tables that contradict themselves."""


def shown(array: NDArray[np.generic], header: Dataset) -> Picture:
    """Return a frame of stored values, (rows, columns) or RGB, as a screen shows it."""
    photometric = str(header.get("PhotometricInterpretation") or "").strip().upper()
    if photometric == "PALETTE COLOR":
        return eight_bits(_coloured(array, header))
    if array.ndim == 3:
        return eight_bits(array, whole(header.get("BitsStored")))
    grey = _grey(array, header)
    return np.subtract(255, grey, dtype=np.uint8) if photometric == "MONOCHROME1" else grey


def window(header: Dataset) -> tuple[float, float] | None:
    """Return (centre, width) of the first window that the header offers, or None."""
    centre, width = decimal(header.get("WindowCenter")), decimal(header.get("WindowWidth"))
    return None if centre is None or width is None or width < 1 else (centre, width)


def window_text(header: Dataset) -> str | None:
    """Return the window for a caption, "W 400 / C 40"."""
    found = window(header)
    return None if found is None else f"W {short(found[1])} / C {short(found[0])}"


def eight_bits(array: NDArray[np.generic], stored_bits: int | None = None) -> Picture:
    """Return whole numbers with their upper eight bits, of *stored_bits* or of the type's width."""
    bits = stored_bits if stored_bits and stored_bits <= 8 * array.dtype.itemsize else 8 * array.dtype.itemsize
    if bits <= 8:
        return array.astype(np.uint8)
    return np.asarray(array.astype(np.uint64) >> np.uint64(bits - 8)).astype(np.uint8)


def _coloured(array: NDArray[np.generic], header: Dataset) -> NDArray[np.generic]:
    try:
        coloured: NDArray[np.generic] = apply_color_lut(array, header)
    except _UNUSABLE:
        return array  # the indices as grey: better than nothing, and plainly not in colour
    depth = whole((header.get("RedPaletteColorLookupTableDescriptor") or [0, 0, 16])[2]) or 16
    if coloured.dtype == np.uint16 and depth == 8:
        return coloured.astype(np.uint8)  # some machines declare eight bits and store them in words
    return coloured


def _grey(array: NDArray[np.generic], header: Dataset) -> Picture:
    try:
        values = np.asarray(apply_modality_lut(array, header))
    except _UNUSABLE:
        values = np.asarray(array)
    found = window(header)
    if found is not None:
        return _windowed(values, *found, exact=header.get("VOILUTFunction") == "LINEAR_EXACT")
    if header.get("VOILUTSequence"):
        try:
            looked_up = np.asarray(apply_voi(values, header))
            return eight_bits(looked_up, whole(header.VOILUTSequence[0].LUTDescriptor[2]))
        except _UNUSABLE:
            pass  # an impossible table: as if there were none
    if array.dtype == np.uint8 and (whole(header.get("BitsStored")) or 8) == 8:
        return array.astype(np.uint8)
    return _spread(values, array, header)


def _windowed(values: NDArray[np.generic], centre: float, width: float, *, exact: bool) -> Picture:
    """Apply a window: PS3.3 C.11.2.1.2.1, or C.11.2.1.3.2 for the exact form."""
    numbers = values.astype(np.float32)
    if exact or width <= 1:
        share = (numbers - centre) / max(width, 1e-6) + 0.5
    else:
        share = (numbers - (centre - 0.5)) / (width - 1) + 0.5
    return _to_picture(share * 255)


def _spread(values: NDArray[np.generic], stored: NDArray[np.generic], header: Dataset) -> Picture:
    """Spread what lies between the outermost half per cents over all greys, padding left aside."""
    numbers = values.astype(np.float32)
    padding = decimal(header.get("PixelPaddingValue"))
    real = np.ones(stored.shape, dtype=bool) if padding is None else np.asarray(stored != padding)
    seen = numbers[real] if real.any() else numbers.ravel()
    low, high = (float(edge) for edge in np.percentile(seen, (0.5, 99.5)))
    if high <= low:
        low, high = float(seen.min()), float(max(seen.max(), seen.min() + 1))
    return _to_picture((numbers - low) * (255 / (high - low)))


def _to_picture(greys: NDArray[np.float32]) -> Picture:
    picture: Picture = np.clip(greys, 0, 255).round().astype(np.uint8)
    return picture
