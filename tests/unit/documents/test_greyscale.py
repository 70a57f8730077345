"""From stored values to greys."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from bot.adapters.documents.greyscale import shown, window_text


def a_header(photometric: str = "MONOCHROME2", **entries: object) -> Dataset:
    header = Dataset()
    header.PhotometricInterpretation = photometric
    for keyword, value in entries.items():
        setattr(header, keyword, value)
    return header


def test_a_window_spreads_its_width_over_all_greys() -> None:
    """PS3.3 C.11.2.1.2.1: centre 40, width 400 after rescale; below black, above white."""
    stored = np.array([[0, 864, 1064, 1264, 4000]], np.int16)
    header = a_header(WindowCenter="40", WindowWidth="400", RescaleSlope="1", RescaleIntercept="-1024", BitsStored=12)
    assert shown(stored, header)[0].tolist() == [0, 0, 128, 255, 255]
    assert window_text(header) == "W 400 / C 40"


def test_without_a_window_the_outermost_values_are_cut() -> None:
    """One hot pixel does not make the rest black; padding does not count."""
    stored = np.arange(1000, 2000, dtype=np.int16).reshape(20, 50).copy()
    stored[0, 0], stored[0, 1] = 30_000, -2000
    grey = shown(stored, a_header(PixelPaddingValue=-2000, BitsStored=16))
    assert 100 < float(np.median(grey)) < 155
    assert grey[0, 1] == 0


def test_monochrome1_is_turned_round() -> None:
    """Its lowest value is white."""
    assert shown(np.array([[0, 255]], np.uint8), a_header("MONOCHROME1"))[0].tolist() == [255, 0]


def test_eight_bit_screens_are_shown_as_they_are() -> None:
    """Ultrasound without a window is not stretched: what the machine showed is what is shown."""
    stored = np.array([[10, 60, 90]], np.uint8)
    assert shown(stored, a_header(BitsStored=8))[0].tolist() == [10, 60, 90]


def test_deep_colours_keep_their_upper_bits() -> None:
    """16-bit RGB comes down to 8."""
    assert shown(np.full((1, 1, 3), 0xAB12, np.uint16), a_header("RGB", BitsStored=16))[0, 0].tolist() == [0xAB] * 3


@pytest.mark.parametrize("width", ["0", "-5", "abc"])
def test_an_impossible_window_is_as_none(width: str) -> None:
    """Headers contradict themselves; a picture still comes."""
    header = a_header(WindowCenter="40", BitsStored=12)
    header.add_new(0x00281051, "LO", width)
    grey = shown(np.arange(4096, dtype=np.uint16).reshape(64, 64), header)
    assert int(grey.max()) == 255
    assert window_text(header) is None
