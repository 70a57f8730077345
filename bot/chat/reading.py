"""What an event says: its words without quotes, the answers of a tap, a yes or a no."""

from collections.abc import Mapping
from typing import Any

from bot.domain.language import folded
from bot.services.ports import (
    Arrival,
)


def body(arrival: Arrival) -> str:
    """Return what was written, without the lines that some clients quote before it."""
    written = arrival.content.get("body")
    return without_quote(written) if isinstance(written, str) else ""


def without_quote(text: str) -> str:
    """Return a reply without the lines that some clients quote before it ("> …")."""
    lines = text.split("\n")
    if not lines[0].startswith("> <@"):
        return text
    while lines and lines[0].startswith(">"):
        lines.pop(0)
    return "\n".join(lines).lstrip("\n")


def poll_answers(content: Mapping[str, Any]) -> list[str]:
    """Return the answer ids of a poll response (MSC3381, both names)."""
    for key in ("org.matrix.msc3381.poll.response", "m.poll.response"):
        response = content.get(key)
        if isinstance(response, Mapping) and isinstance(response.get("answers"), list):
            return [a for a in response["answers"] if isinstance(a, str)]
    selections = content.get("m.selections")
    return [a for a in selections if isinstance(a, str)] if isinstance(selections, list) else []


def survey_answer(text: str) -> str | None:
    """Return yes, partly or no, or None for other words."""
    word = folded(text).strip(" .!")
    if word in (
        "partly",
        "just",
        "en partie",
        "de justesse",
        "deels",
        "gedeeltelijk",
        "nipt",
        "teilweise",
        "knapp",
        "2",
    ):
        return "partly"
    if word == "3":
        return "no"
    answer = yes_or_no(text)
    return None if answer is None else "yes" if answer else "no"


def yes_or_no(text: str) -> bool | None:
    """Return what a short answer means in any of the languages, or None."""
    word = folded(text).strip(" .!")
    if word in ("oui", "ja", "yes", "o", "j", "y", "1"):
        return True
    return (
        False
        if word in ("non", "nee", "neen", "nein", "no", "n", "2", "not yet", "pas encore", "nog niet", "noch nicht")
        else None
    )
