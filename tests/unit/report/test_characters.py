"""Any text at all can be drawn; what cannot be drawn is shown by its code."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.report.characters import BOX_END, BOX_START, drawable, drawn

_ALLOWED = drawn() | {BOX_START, BOX_END, "\n", " ", "\u200b", "\u00ad"}


def _visible(text: str) -> str:
    return text.replace("\u200b", "")


@pytest.mark.parametrize(
    "text", ["L’ablation est-elle indiquée ?", "#let x = 1 $a$ @b *c* _d_ \\ `e`", "Ω Ж ≥ ± → ½ ₂ µ", "שלום مرحبا"]
)
def test_text_that_the_fonts_have_stays_as_it_is(text: str) -> None:
    """Markup of the typesetter, Greek, Cyrillic, Hebrew and Arabic are text like any other."""
    assert drawable(text) == text


@pytest.mark.parametrize(
    "character",
    ["\u202e", "\u2066", "\x00", "\x1b", "\ud800", "\ue000", "\U0010ffff", "\u65e5", "\u200d", "\u200b", "\U0001f469"],
)
def test_what_cannot_be_drawn_is_shown_by_its_code(character: str) -> None:
    """Direction marks, controls, halves of pairs, private use and unknown scripts become a box with the code."""
    assert _visible(drawable(f"a{character}b")) == f"a{BOX_START}{ord(character):04X}{BOX_END}b"


def test_a_box_cannot_be_forged() -> None:
    """The characters around a code come from outside only as boxes of their own."""
    assert _visible(drawable("\ue00041\ue001")) == "\ue000E000\ue00141\ue000E001\ue001"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_every_result_holds_only_what_the_fonts_have(text: str) -> None:
    """No character of any text reaches the typesetter that it could refuse."""
    assert set(drawable(text)) <= _ALLOWED


def test_more_than_three_accents_on_a_letter_are_boxes() -> None:
    """Piled up accents would climb over the lines above."""
    assert drawable("e" + "\u0301" * 5).count(BOX_START) == 2


def test_a_long_word_may_break_anywhere_after_its_limit() -> None:
    """A word without spaces cannot run out of the page; nothing of it is lost."""
    broken = drawable("x" * 100, longest=10)

    assert max(len(part) for part in broken.split("\u200b")) == 10
    assert _visible(broken) == "x" * 100


def test_line_ends_of_every_system_become_new_lines() -> None:
    """CR, CR LF, form feed and the Unicode separators are new lines, and many empty lines are one."""
    assert drawable("a\r\nb\rc\fd\u2028e\n \n\t\n\nf") == "a\nb\nc\nd\ne\n\nf"


def test_a_running_text_is_cut_and_says_so() -> None:
    """Headers hold one line; the full text stands on page one."""
    assert drawable("a\n b" * 40, limit=8) == "a ba ba…"


def test_the_fonts_have_the_letters_of_the_four_languages() -> None:
    """French, Dutch, German and English never need a box."""
    assert set("àâäæçéèêëîïôöœùûüÿßÀÂÄÆÇÉÈÊËÎÏÔÖŒÙÛÜŸẞĳĲ’“”«»–—…€°²³µ½≥≤±×→✓") <= drawn()


def test_no_invisible_character_counts_as_drawn() -> None:
    """A font may have a glyph for a direction mark; it is shown as a box all the same."""
    assert not {c for c in drawn() if unicodedata.category(c) in {"Cc", "Cf", "Co", "Cn", "Cs"}}
