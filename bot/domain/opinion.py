"""A draft as it is typed: the decision in its first line, named parts below, in the writer's language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.language import folded
from bot.domain.lines import Line

_PART_NAMES: Mapping[str, tuple[str, ...]] = {
    "reasons": (
        *("reasons", "reason", "rationale", "motifs", "motif", "raisons", "raison", "motivation", "justification"),
        *("argumentation", "redenen", "reden", "motivering", "begrundung", "grunde"),
    ),
    "recommendation": (
        *("recommendation", "recommendations", "advice", "recommandation", "recommandations", "conduite"),
        *("conduite a tenir", "avis", "aanbeveling", "aanbevelingen", "advies", "empfehlung", "empfehlungen"),
    ),
    "who_does_what": (
        *("who does what", "who", "actions", "tasks", "qui fait quoi", "qui", "taches", "wie doet wat", "wie"),
        *("taken", "wer macht was", "wer", "aufgaben"),
    ),
}
_PART_BY_NAME = {name: part for part, names in _PART_NAMES.items() for name in names}
_HEADING = re.compile(r"^\s*[#*_\-•]*\s*([^:\n]{2,30}?)\s*[*_]*\s*:\s*[*_]*(.*)$")
PARTS = tuple(_PART_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a draft message says; a part that it does not name is None."""

    decision: str | None
    """A code of the line's decisions, or None for a decision in free words."""

    decision_text: str = field(repr=False)
    parts: Mapping[str, str] = field(repr=False)


def read_draft(line: Line, text: str) -> Written:
    """Read a draft: never fails; what stands under no heading belongs to the decision's own text."""
    first, _, below = text.strip().partition("\n")
    heading = _heading(first)
    if heading is not None:  # Only parts: the decision stays as it was.
        return Written(decision=None, decision_text="", parts=_parts(text))
    head, colon, tail = first.partition(":")
    decision = _decision(line, head if colon else first)
    own = tail.strip() if decision and colon else first.strip()
    lines = below.split("\n")
    until = next((i for i, row in enumerate(lines) if _heading(row)), len(lines))
    more = "\n".join(lines[:until]).strip()
    said = "\n".join(part for part in ("" if decision and not colon else own, more) if part)
    return Written(decision=decision, decision_text=said, parts=_parts("\n".join(lines[until:])))


def _decision(line: Line, words: str) -> str | None:
    found = line.find_decision(words.strip())
    return found.it.code if found.it else None


def _heading(row: str) -> tuple[str, str] | None:
    match = _HEADING.match(row)
    if match is None:
        return None
    part = _PART_BY_NAME.get(folded(match.group(1)))
    return None if part is None else (part, match.group(2).strip())


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, list[str]] = {}
    open_part: list[str] | None = None
    for row in text.split("\n"):
        heading = _heading(row)
        if heading is not None:
            open_part = parts.setdefault(heading[0], [])
            open_part.append(heading[1])
        elif open_part is not None:
            open_part.append(row)
    return {part: "\n".join(rows).strip() for part, rows in parts.items()}
