"""An electrocardiogram on millimetre paper: 25 mm/s, 10 mm/mV, true at 100 %, readable on a phone held sideways."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bot.adapters.documents.ecg_signal import STANDARD, Ecg, Lead
from bot.adapters.documents.numbers import short
from bot.domain.documents import Preview, PreviewRole

PIXELS_PER_MM = 8
MM_PER_SECOND = 25
MM_PER_MILLIVOLT = 10

_WHITE, _BLACK, _GREY = (255, 255, 255), (0, 0, 0), (96, 96, 96)
_THIN_LINE, _THICK_LINE, _GAP = (250, 216, 216), (236, 158, 158), (226, 226, 226)
_LEFT_MM, _RIGHT_MM, _TOP_MM, _BOTTOM_MM = 15, 5, 10, 10
_ROW_MM, _TALLEST_ROW_MM = 25, 55
_LABEL_MM = 5
_STRIP_SECONDS, _COLUMN_SECONDS = 10.0, 2.5
_FINE = 3
"""The trace is drawn this many times larger and brought down, so that it has no steps."""

_TRACE_MM = 0.38
_OFF_CENTRE = 1.0
"""Millivolts of constant offset from which on a lead is moved to the middle of its row, and the caption says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a lead in its place: from `left` mm on, showing the samples from `start` seconds to `end`."""

    lead: Lead
    left: float
    start: float
    end: float


Rows = tuple[tuple[Piece, ...], ...]


def arrange(ecg: Ecg) -> Rows:
    """Return what stands where: 3 x 4 with a rhythm strip for twelve leads, one lead a row for any other set.

    Columns follow one another in time, as on paper, if ten seconds are there; else each begins at the start.
    """
    seconds = min(ecg.seconds, _STRIP_SECONDS)
    if not ecg.is_standard:
        return tuple((Piece(lead=lead, left=0, start=0, end=seconds),) for lead in ecg.leads[:12])
    follow = ecg.seconds >= _STRIP_SECONDS - 0.1
    rows: list[tuple[Piece, ...]] = []
    for row in range(3):
        pieces: list[Piece] = []
        for column in range(4):
            lead = ecg.lead(STANDARD[column * 3 + row])
            if lead is None:
                continue
            start = column * _COLUMN_SECONDS if follow else 0.0
            end = min(start + _COLUMN_SECONDS, ecg.seconds)
            pieces.append(Piece(lead=lead, left=column * _COLUMN_SECONDS * MM_PER_SECOND, start=start, end=end))
        rows.append(tuple(pieces))
    rhythm = next((lead for name in ("II", "V1", "I") if (lead := ecg.lead(name)) and not lead.flat), ecg.leads[0])
    rows.append((Piece(lead=rhythm, left=0, start=0, end=seconds),))
    return tuple(rows)


def draw(ecg: Ecg, *, values: str = "") -> Preview:
    """Return the picture; *values* is the line of the machine's own measurements, as it wrote them."""
    rows = arrange(ecg)
    places = [_place(row) for row in rows]
    width = _LEFT_MM + int(_STRIP_SECONDS * MM_PER_SECOND) + _RIGHT_MM
    paper = _paper(width, _TOP_MM + sum(height for height, _ in places) + _BOTTOM_MM)
    ink = Image.new("L", (paper.width * _FINE, paper.height * _FINE))
    pen, marks = ImageDraw.Draw(ink), ImageDraw.Draw(paper)
    top = _TOP_MM
    for row, (height, above) in zip(rows, places, strict=True):
        _pulse(pen, top + above)
        for piece in row:
            _trace(pen, marks, ecg, piece, top + above)
        top += height
    paper.paste(Image.new("RGB", paper.size, _BLACK), mask=ink.reduce(_FINE))
    top = _TOP_MM
    for row, (height, _) in zip(rows, places, strict=True):
        for piece in row:
            _name(marks, piece, top, divided=len(row) > 1 and piece.left > 0, height=height)
        top += height
    _captions(marks, paper.size, ecg, values)
    return _packed(paper)


def off_centre(ecg: Ecg) -> tuple[str, ...]:
    """Return the names of leads that are moved to the middle of their row."""
    return tuple(lead.name for lead in ecg.leads if abs(_rest(lead)) >= _OFF_CENTRE)


def _rest(lead: Lead) -> float:
    """Return where the line rests, in millivolts."""
    return 0.0 if bool(np.isnan(lead.millivolts).all()) else float(np.nanmedian(lead.millivolts))


def _centred(lead: Lead) -> NDArray[np.float32]:
    rest = _rest(lead)
    return lead.millivolts - np.float32(rest) if abs(rest) >= _OFF_CENTRE else lead.millivolts


def _place(row: tuple[Piece, ...]) -> tuple[int, int]:
    """Return (height of the row, from its top to its baseline) in whole squares of 5 mm, so that no line is cut."""
    highest = lowest = 0.0
    for piece in row:
        seen = _centred(piece.lead)
        if not np.isnan(seen).all():
            highest, lowest = max(highest, float(np.nanmax(seen))), min(lowest, float(np.nanmin(seen)))
    above = _squares(min(highest * MM_PER_MILLIVOLT, _TALLEST_ROW_MM / 2) + _LABEL_MM)
    below = _squares(min(-lowest * MM_PER_MILLIVOLT, _TALLEST_ROW_MM / 2) + 1)
    above = max(above, _ROW_MM - below, _squares(MM_PER_MILLIVOLT + 1))
    return above + below, above


def _squares(millimetres: float) -> int:
    return max(5, int(-(-millimetres // 5)) * 5)


def _paper(width: int, height: int) -> Image.Image:
    """Return white paper with a line a millimetre and a stronger one every five."""
    paper = Image.new("RGB", (width * PIXELS_PER_MM + 1, height * PIXELS_PER_MM + 1), _WHITE)
    pen = ImageDraw.Draw(paper)
    for colour, step, thick in ((_THIN_LINE, 1, 1), (_THICK_LINE, 5, 2)):
        for mm in range(0, width + 1, step):
            pen.line([(mm * PIXELS_PER_MM, 0), (mm * PIXELS_PER_MM, paper.height)], fill=colour, width=thick)
        for mm in range(0, height + 1, step):
            pen.line([(0, mm * PIXELS_PER_MM), (paper.width, mm * PIXELS_PER_MM)], fill=colour, width=thick)
    return paper


def _pulse(pen: ImageDraw.ImageDraw, middle: float) -> None:
    """Draw the calibration: 1 mV for 0.2 s."""
    high = middle - MM_PER_MILLIVOLT
    corners = [(3.0, middle), (5.0, middle), (5.0, high), (10.0, high), (10.0, middle), (12.0, middle)]
    pen.line([_fine(x, y) for x, y in corners], fill=255, width=_width(), joint="curve")


def _trace(pen: ImageDraw.ImageDraw, marks: ImageDraw.ImageDraw, ecg: Ecg, piece: Piece, middle: float) -> None:
    """Draw a piece of a lead; where samples may not be drawn, a grey band stands instead of a line."""
    first, last = round(piece.start * ecg.rate), round(piece.end * ecg.rate)
    samples = _centred(piece.lead)[first : last + 1]
    left = _LEFT_MM + piece.left
    step = MM_PER_SECOND / ecg.rate
    for begin, end, drawable in _runs(~np.isnan(samples)):
        if drawable:
            x = left + np.arange(begin, end) * step
            y = middle - samples[begin:end].astype(np.float64) * MM_PER_MILLIVOLT
            points = np.column_stack((x, y)) * (PIXELS_PER_MM * _FINE)
            pen.line(points.ravel().tolist(), fill=255, width=_width(), joint="curve")
        else:
            band = [(left + begin * step) * PIXELS_PER_MM, (middle - 4) * PIXELS_PER_MM]
            marks.rectangle([*band, (left + end * step) * PIXELS_PER_MM, (middle + 4) * PIXELS_PER_MM], fill=_GAP)


def _runs(drawable: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """Yield (first, one past the last, value) for each stretch of equal values."""
    edges = np.flatnonzero(np.diff(drawable)) + 1
    bounds = [0, *edges.tolist(), len(drawable)]
    for begin, end in pairwise(bounds):
        if begin < end:
            yield begin, end, bool(drawable[begin])


def _name(pen: ImageDraw.ImageDraw, piece: Piece, top: float, *, divided: bool, height: float) -> None:
    """Write the lead's name over the beginning of its piece, with a short bar where two pieces meet."""
    left = (_LEFT_MM + piece.left) * PIXELS_PER_MM
    name = piece.lead.name + ("*" if piece.lead.derived else "") + (" ?" if piece.lead.flat else "")
    place = (left + 0.8 * PIXELS_PER_MM, (top + 0.6) * PIXELS_PER_MM)
    pen.text(place, name, font=_font(4.4), fill=_BLACK, stroke_width=5, stroke_fill=_WHITE)
    pen.text(place, name, font=_font(4.4), fill=_BLACK, stroke_width=1, stroke_fill=_BLACK)
    if divided:
        bar = [(left, (top + 1) * PIXELS_PER_MM), (left, (top + height - 1) * PIXELS_PER_MM)]
        pen.line(bar, fill=_GREY, width=1)


def _captions(pen: ImageDraw.ImageDraw, size: tuple[int, int], ecg: Ecg, values: str) -> None:
    """Write the machine's values above and scale, filters, and whatever was done to the drawing below."""
    parts = [f"{MM_PER_SECOND} mm/s", f"{MM_PER_MILLIVOLT} mm/mV"]
    parts.append(f"filter {ecg.filters or '?'}")
    shown = min(ecg.seconds, _STRIP_SECONDS)
    parts.append(f"0-{short(shown)} s / {short(ecg.seconds)} s" if ecg.seconds > shown + 0.1 else f"{short(shown)} s")
    parts.append(f"sampling {short(ecg.rate)} Hz")
    if any(lead.derived for lead in ecg.leads):
        parts.append("* = f(I, II)")
    if moved := off_centre(ecg):
        parts.append(f"centred: {', '.join(moved)}")
    margin = 2 * PIXELS_PER_MM
    if values:
        _write(pen, (margin, 2.2 * PIXELS_PER_MM), values, size[0] - 2 * margin)
    _write(pen, (margin, size[1] - 7.6 * PIXELS_PER_MM), "    ".join(parts), size[0] - 2 * margin)


def _write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, width: float) -> None:
    """Write a line on a white ground, smaller if it would not fit."""
    font = _font(4.4)
    if pen.textlength(text, font=font) > width:
        font = _font(max(2.5, 4.4 * width / pen.textlength(text, font=font)))
    left, top, right, bottom = pen.textbbox(place, text, font=font)
    pen.rectangle([left - 6, top - 5, right + 6, bottom + 5], fill=_WHITE)
    pen.text(place, text, font=font, fill=_BLACK)


@cache
def _font(millimetres: float) -> ImageFont.FreeTypeFont:
    """Return the typeface that comes with Pillow, so that no font needs to be installed where the child runs."""
    font = ImageFont.load_default(size=millimetres * PIXELS_PER_MM)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow without FreeType")
    return font


def _fine(x: float, y: float) -> tuple[float, float]:
    return x * PIXELS_PER_MM * _FINE, y * PIXELS_PER_MM * _FINE


def _width() -> int:
    return round(_TRACE_MM * PIXELS_PER_MM * _FINE)


def _packed(paper: Image.Image) -> Preview:
    """Return the picture as PNG of few colours, which says that its millimetres are true at 100 %."""
    out = io.BytesIO()
    dpi = PIXELS_PER_MM * 25.4
    paper.quantize(64, dither=Image.Dither.NONE).save(out, "PNG", dpi=(dpi, dpi))
    return Preview(role=PreviewRole.ECG, mime="image/png", data=out.getvalue(), width=paper.width, height=paper.height)
