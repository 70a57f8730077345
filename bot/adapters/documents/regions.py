"""Where on an ultrasound screen the picture is, and where names may stand (PS3.3 C.8.5.5)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from bot.adapters.documents.numbers import decimal, short, whole

_PICTURE_FORMATS = frozenset({1, 2, 3, 4})
"""2D, M-mode, spectral, wave form. Format 0 is left out: machines declare it over the whole screen, names included."""

_CENTIMETRES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of the screen in pixels, edges included."""

    left: int
    top: int
    right: int
    bottom: int
    format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The parts of the screen that may be shown, within an image of the size that was asked for."""

    regions: tuple[Region, ...]
    outside: bool
    """True if a region reached over the edge: it was made for another size, so the mask cannot be relied on."""

    def mask(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """Return (rows, columns) with True where the picture may be shown."""
        keep = np.zeros((rows, columns), dtype=np.bool_)
        for region in self.regions:
            keep[region.top : region.bottom + 1, region.left : region.right + 1] = True
        return keep


def layout(header: Dataset, rows: int, columns: int) -> Layout:
    """Read the regions of the header and cut them to the image."""
    found: list[Region] = []
    outside = False
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        numbers = [whole(item.get(f"RegionLocation{edge}")) for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        kind = whole(item.get("RegionSpatialFormat"))
        if kind not in _PICTURE_FORMATS or None in numbers:
            continue
        left, top, right, bottom = (number or 0 for number in numbers)
        if right > columns or bottom > rows or left < 0 or top < 0:
            outside = True
        left, top, right, bottom = max(0, left), max(0, top), min(columns - 1, right), min(rows - 1, bottom)
        if left < right and top < bottom:
            found.append(Region(left=left, top=top, right=right, bottom=bottom, format=kind))
    return Layout(regions=tuple(found), outside=outside)


def scale(header: Dataset) -> str | None:
    """Return how large a pixel of the first picture region is, in millimetres, or None if not calibrated in length."""
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        units = (whole(item.get("PhysicalUnitsXDirection")), whole(item.get("PhysicalUnitsYDirection")))
        size = decimal(item.get("PhysicalDeltaX"))
        if units == (_CENTIMETRES, _CENTIMETRES) and size:
            return f"{short(abs(size) * 10)} mm/px"
    return None
