"""A physician's INAMI number: what is accepted, and why another is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Refusal
from bot.domain.inami import CheckRule, InamiProblem, InamiRefused, Profession, eleven_digits, formatted, parse_inami

# Synthetic numbers, made for tests from the rule; 1-87497-04-477 is the published example of the standard.
MODULO_97 = ["1-87497-04-477", "19999915003", "12345625730"]
MODULO_89 = ["19999973003", "12345676730"]


@pytest.mark.parametrize("text", MODULO_97)
def test_the_older_check_digits_are_accepted(text: str) -> None:
    """Check digits 97 less the remainder of the first six modulo 97."""
    assert parse_inami(text).rule is CheckRule.MODULO_97


@pytest.mark.parametrize("text", MODULO_89)
def test_the_newer_check_digits_are_accepted(text: str) -> None:
    """Check digits modulo 89, for physicians numbered since April 2019."""
    assert parse_inami(text).rule is CheckRule.MODULO_89


@pytest.mark.parametrize(
    "text", ["1-87497-04-477", " 1 87497 04 477 ", "1.87497.04.477", "1/87497/04/477", "1\u00a087497–04–477"]
)
def test_a_number_is_read_with_any_separators_and_written_in_one_way(text: str) -> None:
    """The printed form is P-NNNNN-CC-QQQ, the key its first eight digits."""
    number = parse_inami(text)

    assert str(number) == "1-87497-04-477"
    assert (number.key, number.qualification, number.digits) == ("18749704", "477", "18749704477")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", InamiProblem.NOT_A_NUMBER),
        ("Dr Dupont", InamiProblem.NOT_A_NUMBER),
        ("1874970447x", InamiProblem.NOT_A_NUMBER),
        ("١٨٧٤٩٧٠٤٤٧٧", InamiProblem.NOT_A_NUMBER),
        ("187497", InamiProblem.WRONG_LENGTH),
        ("187497044777", InamiProblem.WRONG_LENGTH),
        ("12345626730", InamiProblem.BAD_CHECK_DIGITS),
        ("1-87497-05-477", InamiProblem.BAD_CHECK_DIGITS),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason(text: str, problem: InamiProblem) -> None:
    """Each mistake has a code of its own; the code never carries what was typed."""
    with pytest.raises(InamiRefused) as refused:
        parse_inami(text)

    assert refused.value.problem is problem
    assert str(refused.value) == refused.value.code == f"inami_{problem}"


@pytest.mark.parametrize(
    "first, profession",
    [
        ("0", Profession.UNKNOWN),
        ("2", Profession.HOSPITAL_PHARMACIST),
        ("3", Profession.DENTIST),
        ("4", Profession.NURSE_OR_MIDWIFE),
        ("5", Profession.PHYSIOTHERAPIST),
        ("6", Profession.PHARMACIST),
        ("7", Profession.HOSPITAL),
        ("8", Profession.LABORATORY),
        ("9", Profession.UNKNOWN),
    ],
)
def test_another_profession_is_refused_by_name(first: str, profession: Profession) -> None:
    """Only a first digit 1 is a physician; the refusal says whose number it looks like."""
    with pytest.raises(InamiRefused) as refused:
        parse_inami(f"{first}8749704477")

    assert refused.value.problem is InamiProblem.NOT_PHYSICIAN
    assert refused.value.profession is profession


def test_the_length_found_is_told() -> None:
    """A refusal for length carries how many digits there were."""
    with pytest.raises(InamiRefused) as refused:
        parse_inami("1-87497")

    assert refused.value.length == 6
    assert isinstance(refused.value, Refusal)


def test_a_number_with_bad_check_digits_can_still_be_read_for_an_approval() -> None:
    """An admin may approve a number that only the check digits fail."""
    assert formatted(eleven_digits("1-87497-05-477")) == "1-87497-05-477"


def outcome(text: str) -> CheckRule | InamiProblem:
    """The rule that a number follows, or why it is refused."""
    try:
        return parse_inami(text).rule
    except InamiRefused as refused:
        return refused.problem


@given(st.text(max_size=30))
def test_a_text_is_a_number_or_is_refused(text: str) -> None:
    """No text breaks the reading."""
    assert outcome(text)


@given(st.integers(100_000, 199_999), st.integers(0, 999))
def test_a_typing_error_never_passes_the_older_rule(first: int, last: int) -> None:
    """Modulo 97 finds every single wrong digit; only the newer rule may then accept it, and it is said which."""
    right = f"{first}{97 - first % 97:02}{last:03}"
    wrong = right[0] + str((int(right[1]) + 1) % 10) + right[2:]

    assert outcome(right) is CheckRule.MODULO_97
    assert outcome(wrong) in (CheckRule.MODULO_89, InamiProblem.BAD_CHECK_DIGITS)
