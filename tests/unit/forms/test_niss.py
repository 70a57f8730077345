"""National numbers are found by their check digits, however they are written."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.niss import Span, find_niss, hides_niss, is_niss

# Published examples of the check digits' rule: a number, one from 2000, two bis numbers.
PUBLISHED = ["85073003328", "17073003384", "98472899765", "01490700185"]
WRITTEN = [
    "85.07.30-033.28",
    "85 07 30 033 28",
    "85.07.30 - 033.28",
    "850730-033-28",
    "85\u00a007\u00a030\u202f033\u202f28",
    "85\u200b0730\u200b03328",
    "85/07/30-033.28",
    "８５０７３００３３２８",
]


@pytest.mark.parametrize("digits", PUBLISHED)
def test_a_published_number_is_recognised(digits: str) -> None:
    """Born before 2000, from 2000, and both kinds of bis number."""
    assert is_niss(digits)


@pytest.mark.parametrize("written", WRITTEN)
def test_separators_do_not_hide_a_number(written: str) -> None:
    """Dots, dashes, slashes, no-break and invisible spaces, and wide digits are all seen through."""
    text = f"patient {written}, à revoir"

    assert find_niss(text) == (Span(start=8, end=8 + len(written)),)


def test_two_numbers_are_found_in_order() -> None:
    """Every number of a text is found, not only the first."""
    text = "85.07.30-033.28 et 17.07.30-033.84"

    assert find_niss(text) == (Span(start=0, end=15), Span(start=19, end=34))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "85073003329",  # a wrong check digit
        "85139903328",  # no such month
        "QTc 460, FEVG 35, DFG 48",
        "ref 4711, 1958, F",
        "+32 475 12 34 56",
        "C-2026-0007",
        "850730033281",  # twelve digits
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    """Measures, references and telephone numbers are no national numbers."""
    assert find_niss(text) == ()


@pytest.mark.parametrize("word", ["X85073003328", "85A0730B03328", "00850730033280"])
def test_a_reference_cannot_hide_a_number(word: str) -> None:
    """Letters between the digits and digits around them do not help."""
    assert hides_niss(word)


@given(st.integers(0, 99), st.integers(1, 12), st.integers(1, 28), st.integers(1, 998), st.sampled_from(["", "2"]))
def test_every_number_with_right_check_digits_is_found(
    year: int, month: int, day: int, count: int, century: str
) -> None:
    """The check digits are 97 less the remainder, with a 2 in front for births from 2000."""
    nine = f"{year:02}{month:02}{day:02}{count:03}"
    digits = f"{nine}{97 - int(century + nine) % 97:02}"

    assert find_niss(f"a {digits} b") == (Span(start=2, end=13),)


@given(st.text())
def test_no_text_breaks_the_search(text: str) -> None:
    """Spans lie within the text and do not overlap."""
    spans = find_niss(text)

    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
