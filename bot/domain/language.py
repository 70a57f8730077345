"""The four languages of the bot, and how words are compared in all of them."""

import unicodedata
from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """A language in which the bot reads and writes."""

    FR = "fr"
    NL = "nl"
    DE = "de"
    EN = "en"


_FALLBACK = (Language.EN, Language.FR, Language.NL, Language.DE)

Labels = Mapping[Language, str]

# Marks that change the direction of text without being seen (Unicode TR 9): they can make "55" read as "35".
DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad") | DIRECTION_MARKS
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u0152\u0153", "oe"),
        **dict.fromkeys("\u00c6\u00e6", "ae"),
    }
)


def in_language(labels: Labels, language: Language) -> str:
    """Return the label in *language*, or else in one that has it (English first); "" if there is none."""
    for candidate in (language, *_FALLBACK):
        if candidate in labels:
            return labels[candidate]
    return ""


def folded(text: str) -> str:
    """Return *text* as it is compared: without case, accents, hidden marks, typographic variants, double spaces."""
    plain = "".join(character for character in text if character not in _INVISIBLE)
    plain = unicodedata.normalize("NFKD", plain.translate(_SAME)).casefold()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(plain.translate(_SAME).split())


def folded_with_places(text: str) -> tuple[str, tuple[int, ...]]:
    """Return *text* as it is compared and, for each of its characters and its end, its place in *text*.

    Line ends stay line ends.
    """
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = folded(character)
        if character == "\n":
            plain = "\n"
        elif not plain and character.isspace() and (not characters or characters[-1] not in " \n"):
            plain = " "
        for part in plain:
            characters.append(part)
            places.append(place)
    return "".join(characters), (*places, len(text))


def without_hidden_marks(text: str) -> str:
    """Return *text* without direction marks and control characters; newlines and tabs stay, CR LF becomes LF."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or (c not in DIRECTION_MARKS and unicodedata.category(c) != "Cc"))
