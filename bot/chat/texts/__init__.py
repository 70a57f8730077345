"""The catalogue of everything the bot says: one YAML file a language, the same keys and placeholders in each."""

import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from bot.domain.language import Language

_FOLDER = Path(__file__).parent


@cache
def texts(language: Language) -> Mapping[str, str]:
    """Return all texts of a language by key: `greeting`, or `word.state_submitted` for words of a group."""
    loaded = yaml.safe_load((_FOLDER / f"{language.value}.yaml").read_text(encoding="utf-8"))
    flat: dict[str, str] = {}
    for key, value in loaded.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": str(text).strip() for inner, text in value.items()}
        else:
            flat[key] = str(value).strip()
    return flat


def text(key: str, language: Language) -> str:
    """Return a text, in English where the language has none yet; KeyError if English has none either."""
    return texts(language).get(key) or texts(Language.EN)[key]


def placeholders(template: str) -> frozenset[str]:
    """Return the names that a template wants to be filled with."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)
