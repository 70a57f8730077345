"""From `new` to `submitted` in at most 12 own messages or taps, for every line."""

import pytest

from bot.domain.language import Language
from bot.domain.lines import Line
from bot.domain.prompt_labels import AGREES_SEEN, NOT_POSSIBLE
from bot.domain.prompts import MOST_MESSAGES, most_messages, status
from tests.unit.forms.asking import LINES, NOW, Requester

EVERY_LINE = pytest.mark.parametrize("line", list(LINES), ids=lambda line: str(line.id))
EVERY_LANGUAGE = pytest.mark.parametrize("language", list(Language))


@EVERY_LINE
@EVERY_LANGUAGE
@pytest.mark.parametrize("declaration", [AGREES_SEEN, NOT_POSSIBLE])
@pytest.mark.parametrize("letter", [True, False])
def test_a_requester_who_answers_well_needs_at_most_twelve_messages(
    line: Line, language: Language, declaration: str, letter: bool
) -> None:
    """Every field that could be asked is answered (the patient is 95, all conditions hold), and nothing is missing."""
    requester = Requester(line=line, language=language, declaration=declaration, letter=letter).fill()

    left = status(line.form, requester.answers, requester.documents, today=NOW.date())
    assert requester.problems == []
    assert left.missing_required == ()
    assert [field for field in left.missing_recommended if field != "holter_hours"] == []
    assert len(requester.messages) <= MOST_MESSAGES, requester.messages


@EVERY_LINE
def test_the_worst_case_of_a_line_is_known_before_anyone_answers(line: Line) -> None:
    """`most_messages` counts from the form alone, and is what the loader holds against a new line."""
    requester = Requester(line=line, language=Language.FR, declaration=NOT_POSSIBLE).fill()

    assert len(requester.messages) <= most_messages(line.form) <= MOST_MESSAGES
