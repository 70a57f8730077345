"""Which part of an ultrasound screen is picture."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bot.adapters.documents.regions import layout, scale
from tests.unit.documents.made import region


def a_screen(*regions: Dataset) -> Dataset:
    header = Dataset()
    header.SequenceOfUltrasoundRegions = Sequence(regions)
    return header


def test_the_mask_is_the_union_of_the_picture_regions() -> None:
    """Two regions, edges included; format 0 counts for nothing."""
    screen = a_screen(region(1, 1, 3, 3), region(5, 6, 7, 8, kind=4), region(0, 0, 9, 9, kind=0))
    found = layout(screen, 10, 10)
    keep = found.mask(10, 10)
    expected = np.zeros((10, 10), bool)
    expected[1:4, 1:4] = True
    expected[6:9, 5:8] = True
    assert np.array_equal(keep, expected)
    assert not found.outside


def test_a_region_of_another_size_is_cut_and_told() -> None:
    """It may have been made for a larger screen, so names may lie inside of what is left."""
    found = layout(a_screen(region(2, 2, 600, 400)), 10, 20)
    assert found.outside
    assert (found.regions[0].right, found.regions[0].bottom) == (19, 9)


def test_a_region_that_says_nothing_is_none() -> None:
    """Empty, upside down or without numbers."""
    broken = region(5, 5, 2, 2)
    empty = Dataset()
    empty.RegionSpatialFormat = 1
    assert layout(a_screen(broken, empty), 10, 10).regions == ()
    assert layout(Dataset(), 10, 10).regions == ()


def test_the_scale_is_told_in_millimetres_also_where_it_counts_backwards() -> None:
    """A negative step is a direction (1.2)."""
    assert scale(a_screen(region(0, 0, 5, 5))) == "0.5 mm/px"
    seconds = region(0, 0, 5, 5)
    seconds.PhysicalUnitsXDirection = 4
    assert scale(a_screen(seconds)) is None
