"""Text as the fonts can draw it: what they lack becomes a box with its code, what is too long may break anywhere."""

import re
import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fontTools.ttLib import TTFont

BOX_START, BOX_END = "\ue000", "\ue001"
"""Around the code of a character that cannot be drawn; private-use characters never come through from outside."""

OWN_FONTS = Path(__file__).parent / "fonts"
_BREAK = "\u200b"
_SOFT_HYPHEN = "\u00ad"
_NEW_LINE = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_EMPTY_LINES = re.compile(r"\n[ \t\u00a0]*(?:\n[ \t\u00a0]*)+")
# Controls, invisible format characters (direction marks turn "53" into "35"), private use, unassigned, halves of pairs.
_NEVER_DRAWN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_MOST_MARKS = 3
"""More accents than that on one letter would climb over the lines above."""


def fallback_fonts() -> Path:
    """Return the folder with DejaVu, which comes with Matplotlib; found without importing it."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


@cache
def drawn() -> frozenset[str]:
    """Return the characters that the fonts have in both weights."""
    regular = _characters(OWN_FONTS / "SourceSans3-Regular.ttf") | _characters(fallback_fonts() / "DejaVuSans.ttf")
    strong = _characters(OWN_FONTS / "SourceSans3-SemiBold.ttf") | _characters(fallback_fonts() / "DejaVuSans-Bold.ttf")
    return frozenset(c for c in regular & strong if unicodedata.category(c) not in _NEVER_DRAWN)


def _characters(font: Path) -> set[str]:
    with TTFont(font, lazy=True) as opened:
        return {chr(code) for code in opened.getBestCmap()}


def drawable(text: str, *, longest: int = 40, limit: int | None = None) -> str:
    """Return *text* so that every character of it can be drawn: any text at all gives a result.

    A word of more than *longest* characters may break anywhere; *limit* cuts the text with "…" (for one-line places).
    """
    if limit is not None:
        text = " ".join(text.split())
        text = text if len(text) <= limit else text[: limit - 1] + "…"
    lines = _EMPTY_LINES.sub("\n\n", _NEW_LINE.sub("\n", text)).replace("\t", "    ").strip("\n")
    known = drawn()
    out: list[str] = []
    word = marks = 0
    for character in lines:
        if character in "\n " or (character.isspace() and character in known):
            out.append(character)
            word = marks = 0
            continue
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if word >= longest and not marks:  # never between a letter and its accent
            out.append(_BREAK)
        if character == _SOFT_HYPHEN or (character in known and marks <= _MOST_MARKS):
            out.append(character)
            word += 1
        else:
            out.append(f"{BOX_START}{ord(character):04X}{BOX_END}{_BREAK}")
            word = 0
    return "".join(out)
