"""Whatever is written, in answer to whatever was asked: no error, no guess, no lost word."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.answers import understand
from bot.domain.forms import Field, FieldType, Form, Value
from bot.domain.language import DIRECTION_MARKS, Language, folded, without_hidden_marks
from bot.domain.problems import Problem, ProblemCode
from bot.domain.prompts import Prompt, PromptId, plan
from bot.domain.values import read_value
from tests.unit.forms.asking import LINES, NOW, prompt

FORMS = [line.form for line in LINES]
NUMBERS = [one for form in FORMS for one in form.fields if one.type in (FieldType.INT, FieldType.DECIMAL)]
PIECES = st.sampled_from(
    [name for form in FORMS for one in form.fields for name in sorted(one.spoken)]
    + [name for form in FORMS for one in form.fields for option in one.options for name in sorted(option.spoken)]
    + [
        *"0123456789,.;:=-%/()\n\t ",
        "35",
        "1b",
        "2: ",
        "oui",
        "non",
        "ref ",
        "1958",
        "\u202e",
        "\u00a0",
        "’",
        "<b>",
        "²",
    ]
)
MESSAGES = st.one_of(
    st.text(max_size=200), st.lists(PIECES, max_size=14).map("".join), st.lists(PIECES, max_size=14).map(" ".join)
)
ASKED = st.sampled_from([(form, one) for form in FORMS for one in (None, *plan(form))])
STORIES = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=":=" + "".join(DIRECTION_MARKS)), min_size=1
)


@settings(max_examples=400)
@given(MESSAGES, ASKED, st.sampled_from(list(Language)))
def test_no_message_breaks_the_reading(text: str, asked: tuple[Form, Prompt | None], language: Language) -> None:
    """Every value fits its field, and every problem names a field of the form or none."""
    form, expected = asked

    result = understand(form, text, language=language, expected=expected, now=NOW)

    assert all(form.get(field_id) is not None for field_id in result.values)
    assert all(one.field is None or form.get(one.field) is not None for one in result.problems)


@settings(max_examples=400)
@given(MESSAGES, ASKED)
def test_only_what_was_asked_or_named_is_filled(text: str, asked: tuple[Form, Prompt | None]) -> None:
    """A field comes from its open prompt, or its name stands in the message."""
    form, expected = asked

    result = understand(form, text, language=Language.FR, expected=expected, now=NOW)

    expected_fields = () if expected is None else expected.fields
    opening = {"consent_reason"} if expected is not None and expected.id is PromptId.DECLARATIONS else set()
    plain = folded(without_hidden_marks(text))
    others = set(result.values) - set(expected_fields) - opening
    assert all(any(name in plain for name in form[field_id].spoken) for field_id in others)


@given(STORIES)
def test_a_question_is_kept_verbatim(text: str) -> None:
    """Without a marked line the whole message is the question, to the last space."""
    form = FORMS[0]

    result = understand(form, text, language=Language.FR, expected=prompt(form, PromptId.QUESTION), now=NOW)

    blank = not folded(text)
    refused = any(one.code is ProblemCode.NISS_FOUND for one in result.problems)
    assert result.values == ({} if blank or refused else {"question": text})


@given(st.lists(st.sampled_from(["FEVG: 35", "QTc: 460 ms", "il va bien", "", "NYHA III", "  - a, b;"]), min_size=1))
def test_no_line_of_a_question_is_lost(lines: list[str]) -> None:
    """Marked lines are recorded besides, and stay."""
    form = next(form for form in FORMS if form.get("qtc"))
    text = "Ablation ?\n" + "\n".join(lines)

    result = understand(form, text, language=Language.FR, expected=prompt(form, PromptId.QUESTION), now=NOW)

    assert result.values["question"] == text


@given(st.decimals(-1000, 300_000, places=2).map(str) | MESSAGES, st.sampled_from(NUMBERS))
def test_a_number_that_is_read_lies_within_its_bounds(text: str, one: Field) -> None:
    """For every numeric field of every line; anything else is a problem."""
    value = read_value(one, text, language=Language.NL, now=NOW)

    assert isinstance(value, Problem) or _within(one, value)


def _within(one: Field, value: Value) -> bool:
    return (
        isinstance(value, int | Decimal)
        and one.minimum is not None
        and one.maximum is not None
        and one.minimum <= value <= one.maximum
    )


@given(st.text())
def test_text_as_it_is_compared_is_stable(text: str) -> None:
    """Comparing twice changes nothing more."""
    assert folded(folded(text)) == folded(text)
