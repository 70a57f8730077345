"""A draft as it is typed: the decision in the first line, named parts below."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.lines import Decision
from bot.domain.opinion import PARTS, read_draft
from tests.unit.domain.making import LINES, RHYTHM

EVERY_DECISION = [(line, decision) for line in LINES for decision in line.decisions]


@pytest.mark.parametrize(
    "line, decision", EVERY_DECISION, ids=[f"{line.id}-{decision.code}" for line, decision in EVERY_DECISION]
)
def test_a_decision_is_known_by_every_label(line: "object", decision: Decision) -> None:
    """In four languages, by code and by other names, with words after a colon or without."""
    words = (decision.code, *decision.labels.values(), *decision.names)

    assert {read_draft(line, word).decision for word in words} == {decision.code}  # type: ignore[arg-type]  # a line
    assert {read_draft(line, f"{word} : oui").decision for word in words} == {decision.code}  # type: ignore[arg-type]  # a line


def test_words_after_the_decision_are_its_own_text() -> None:
    """Apostrophes and colons included."""
    written = read_draft(RHYTHM, "ablation: l'ablation est indiquée : oui\net tôt")

    assert (written.decision, written.decision_text) == ("ablation", "l'ablation est indiquée : oui\net tôt")
    assert written.parts == {}


@pytest.mark.parametrize(
    "heading, part",
    [
        ("Motifs :", "reasons"),
        ("MOTIFS\u00a0:", "reasons"),
        ("**Raisons** :", "reasons"),
        ("- Begründung:", "reasons"),
        ("Redenen:", "reasons"),
        ("Conduite à tenir\u202f:", "recommendation"),
        ("# Avis:", "recommendation"),
        ("Empfehlung:", "recommendation"),
        ("Qui fait quoi :", "who_does_what"),
        ("Wie doet wat:", "who_does_what"),
        ("Wer macht was:", "who_does_what"),
    ],
)
def test_a_part_is_known_by_its_heading_in_four_languages(heading: str, part: str) -> None:
    """With marks and blanks as phones put them."""
    written = read_draft(RHYTHM, f"ablation\n{heading} l'essentiel\nsuite")

    assert written.parts == {part: "l'essentiel\nsuite"}


def test_parts_alone_leave_the_decision_open() -> None:
    """They complete the version before."""
    written = read_draft(RHYTHM, "Motifs: gêne")

    assert (written.decision, written.decision_text, written.parts) == (None, "", {"reasons": "gêne"})


@given(st.text(max_size=300))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    """Reading never fails, and names no part that does not exist."""
    written = read_draft(RHYTHM, text)

    assert set(written.parts) <= set(PARTS)
    assert written.decision is None or RHYTHM.decision(written.decision) is not None


@given(st.lists(st.from_regex(r"[a-z']{3,12} [a-z']{3,12}", fullmatch=True), min_size=1, max_size=6))
def test_no_line_of_free_words_is_lost(rows: list[str]) -> None:
    """Whatever stands under no heading belongs to the decision's own text."""
    written = read_draft(RHYTHM, "\n".join(["free words first", *rows]))

    assert [row for row in rows if row not in written.decision_text] == []
