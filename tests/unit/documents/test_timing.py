"""How fast a loop runs: the order of what headers say (documents, section 1.2)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from bot.adapters.documents.timing import timing

_TIME, _VECTOR = 0x00181063, 0x00181065


def a_header(**entries: object) -> Dataset:
    header = Dataset()
    for keyword, value in entries.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize(
    "entries,second_frame,assumed",
    [
        ({"FrameTime": "33.333", "CineRate": "60"}, Fraction("33.333"), False),
        ({"FrameTime": "40", "FrameTimeVector": ["0", "10", "20"], "FrameIncrementPointer": _TIME}, 40, False),
        ({"FrameTime": "40", "FrameTimeVector": ["0", "10", "20"], "FrameIncrementPointer": _VECTOR}, 10, False),
        ({"FrameTime": "40", "FrameTimeVector": ["0", "10", "20"]}, 40, False),
        ({"FrameTimeVector": ["0", "33", "50"]}, 33, False),
        ({"FrameTimeVector": ["0", "33"], "CineRate": "50"}, 20, False),
        ({"FrameTimeVector": ["0", "-3", "50"], "CineRate": "50"}, 20, False),
        ({"RecommendedDisplayFrameRate": "50", "CineRate": "20"}, 20, False),
        ({"CineRate": "20"}, 50, False),
        ({"FrameTime": "0", "CineRate": "20"}, 50, False),
        ({"FrameTime": "99999999"}, 40, True),
        ({}, 40, True),
    ],
)
def test_the_first_source_that_can_be_believed_decides(
    entries: dict[str, object], second_frame: Fraction | int, assumed: bool
) -> None:
    """Pointer, frame time, vector, recommended rate, cine rate, and 25 a second if nothing says it."""
    found = timing(a_header(**entries), 3)
    assert found.starts[1] == second_frame
    assert found.assumed is assumed


def test_an_irregular_loop_keeps_its_times() -> None:
    """Each frame stands as long as it did; the last one as long as the others on average."""
    found = timing(a_header(FrameTimeVector=["0", "33", "50", "33"]), 4)
    assert [float(start) for start in found.starts] == [0, 33, 83, 116]
    assert found.duration == 116 + Fraction(116, 3)


@given(st.lists(st.text("0123456789.-eE ", max_size=8), max_size=6), st.integers(1, 6))
def test_any_header_gives_times_that_run_forward(numbers: list[str], frames: int) -> None:
    """Whatever stands there, films have frames one after the other."""
    header = Dataset()
    header.add_new(_VECTOR, "LO", numbers)
    header.add_new(_TIME, "LO", numbers[:1])
    found = timing(header, frames)
    assert len(found.starts) == frames
    assert all(a < b for a, b in zip(found.starts, found.starts[1:], strict=False))
    assert found.duration > found.starts[-1]
