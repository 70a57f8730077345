"""The patient in one line: reference, year of birth, sex, in any order and language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.problems import ProblemCode
from bot.domain.prompts import PromptId
from tests.unit.forms.asking import RHYTHM, codes, understood

RIGHT = {"patient_ref": "4711", "patient_birth_year": 1958, "patient_sex": "f"}


@pytest.mark.parametrize(
    "text",
    [
        "ref 4711, 1958, F",
        "réf. 4711 ; 1958 ; femme",
        "REF: 4711 1958 v",
        "F 1958 ref 4711",
        "4711, 1958, vrouw",
        "1958 weiblich 4711",
        "Ref. 4711, geb. 1958, W",
        "dossier 4711, née en 1958, féminin",
        "référence n° 4711, née le 12/03/1958, Mme",
        "ref 4711, 12.03.1958, F",
        "ref 4711\n1958-03-12\nF",
        "ref\u00a04711,\u202f1958,\u00a0F",
        "ref (4711), 1958, F.",
        "référence patient : 4711, °1958, F",
        "4711/1958/F",
        "Pt 4711 *1958 F",
    ],
)
def test_the_line_is_read_in_any_order_and_language(text: str) -> None:
    """A full date of birth is reduced to its year."""
    result = understood(RHYTHM, text, PromptId.PATIENT)

    assert result.values == RIGHT
    assert codes(result) == []


@pytest.mark.parametrize(
    "word, sex",
    [
        ("M", "m"),
        ("h", "m"),
        ("homme", "m"),
        ("mannelijk", "m"),
        ("männlich", "m"),
        ("x", "x"),
        ("divers", "x"),
        ("V", "f"),
    ],
)
def test_the_sex_is_understood_in_four_languages(word: str, sex: str) -> None:
    """v is vrouw, w is weiblich, h is homme."""
    assert understood(RHYTHM, f"ref 4711, 1958, {word}", PromptId.PATIENT).values["patient_sex"] == sex


@pytest.mark.parametrize("text", ["ref A-47/11b, 1958, F", "1958, F, A-47/11b"])
def test_a_reference_keeps_its_capitals(text: str) -> None:
    """The reference is the requester's own: it is repeated as he wrote it."""
    assert understood(RHYTHM, text, PromptId.PATIENT).values["patient_ref"] == "A-47/11b"


def test_a_reference_may_look_like_a_year() -> None:
    """After the word `ref` comes the reference, whatever it looks like."""
    values = understood(RHYTHM, "ref 1958, 1961, M", PromptId.PATIENT).values

    assert (values["patient_ref"], values["patient_birth_year"]) == ("1958", 1961)


@pytest.mark.parametrize(
    "text",
    [
        "ref 85.07.30-033.28, 1985, M",
        "ref 85073003328, 1985, M",
        "ref X85073003328, 1985, M",
        "ref 8507AB3003328, 1985, M",
        "4711, 85 07 30 033 28, M",
    ],
)
def test_a_national_number_is_refused_and_nothing_is_kept(text: str) -> None:
    """The NISS is never asked and never stored, not even as a part of a reference."""
    result = understood(RHYTHM, text, PromptId.PATIENT)

    assert result.values == {}
    assert ProblemCode.NISS_FOUND in codes(result)
    assert result.rest == ""


@pytest.mark.parametrize(
    "text, code, kept",
    [
        ("ref 4711, 67 ans, F", ProblemCode.YEAR_NOT_AGE, {"patient_ref": "4711", "patient_sex": "f"}),
        ("ref 4711, 67 jaar, F", ProblemCode.YEAR_NOT_AGE, {"patient_ref": "4711", "patient_sex": "f"}),
        ("ref 4711, 12/03/58, F", ProblemCode.AMBIGUOUS_DATE, {"patient_ref": "4711", "patient_sex": "f"}),
        ("ref 4711, 1950, 1958, F", ProblemCode.AMBIGUOUS_PATIENT, {"patient_ref": "4711", "patient_sex": "f"}),
        ("ref 4711, 12/03/1950, 1958, F", ProblemCode.AMBIGUOUS_PATIENT, {"patient_ref": "4711", "patient_sex": "f"}),
        ("ref 4711, 1958, F, M", ProblemCode.AMBIGUOUS_PATIENT, {"patient_ref": "4711", "patient_birth_year": 1958}),
        ("4711, 4712, 1958, F", ProblemCode.AMBIGUOUS_PATIENT, {"patient_birth_year": 1958, "patient_sex": "f"}),
        ("1958, F", ProblemCode.REFERENCE_MISSING, {"patient_birth_year": 1958, "patient_sex": "f"}),
        ("ref Dupont, 1958, F", ProblemCode.REFERENCE_LIKE_A_NAME, {"patient_birth_year": 1958, "patient_sex": "f"}),
        ("ref 4711, 1958, F, Marie", ProblemCode.EXTRA_WORDS, RIGHT),
        ("ref 4711, 2958, F", ProblemCode.EXTRA_WORDS, {"patient_ref": "4711", "patient_sex": "f"}),
        (f"ref {'4' * 41}, 1958, F", ProblemCode.REFERENCE_TOO_LONG, {"patient_birth_year": 1958, "patient_sex": "f"}),
    ],
)
def test_what_is_unclear_is_asked_and_never_guessed(text: str, code: ProblemCode, kept: dict[str, object]) -> None:
    """What was clear stays, so that only the rest is asked again."""
    result = understood(RHYTHM, text, PromptId.PATIENT)

    assert code in codes(result)
    assert result.values == kept


@given(st.text(max_size=80))
def test_no_line_breaks_the_reading(text: str) -> None:
    """Only the three fields can come out of it."""
    assert set(understood(RHYTHM, text, PromptId.PATIENT).values) <= set(RIGHT)


@given(st.permutations(["ref 47-11", "1958", "F"]), st.sampled_from([", ", " ; ", "\n", " "]))
def test_the_order_does_not_matter(parts: list[str], between: str) -> None:
    """Any order, any separator."""
    assert understood(RHYTHM, between.join(parts), PromptId.PATIENT).values == {**RIGHT, "patient_ref": "47-11"}
