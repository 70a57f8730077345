"""How one value is read, and how it is written again."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bot.domain.answers import option_keys, render_value
from bot.domain.dates import read_datetime
from bot.domain.forms import Field, FieldType, Option, Requirement, Value
from bot.domain.language import Language
from bot.domain.problems import Problem, ProblemCode
from bot.domain.values import read_value
from tests.unit.forms.asking import AMYLOID, NOW, RHYTHM, SKIN, VALVE

DAY = Field(id="day", type=FieldType.DATE, requirement=Requirement.RECOMMENDED, labels={Language.EN: "Day"})
YEAR = Field(id="year", type=FieldType.YEAR, requirement=Requirement.RECOMMENDED, labels={Language.EN: "Year"})


def read(one: Field, text: str, language: Language = Language.FR) -> Value | Problem:
    """The value, or the problem."""
    return read_value(one, text, language=language, now=NOW)


def code(one: Field, text: str) -> ProblemCode:
    """The code of the problem that *text* is."""
    problem = read(one, text)
    assert isinstance(problem, Problem)
    return problem.code


@pytest.mark.parametrize(
    "text, number",
    [
        ("35", "35"),
        ("35 %", "35"),
        ("35%", "35"),
        ("35\u00a0%", "35"),
        ("35,5 %", "35.5"),
        ("35.5", "35.5"),
        (" 35 pct ", "35"),
        ("３５", "35"),
        ("5", "5"),
        ("90", "90"),
    ],
)
def test_a_number_is_read_with_comma_point_and_unit(text: str, number: str) -> None:
    """A decimal comma, a unit in the field's own spelling, both bounds included."""
    assert read(VALVE["lvef"], text) == Decimal(number)


@pytest.mark.parametrize(
    "field, text, problem",
    [
        ("lvef", "4,9", ProblemCode.OUT_OF_RANGE),
        ("lvef", "350", ProblemCode.OUT_OF_RANGE),
        ("lvef", "-35", ProblemCode.OUT_OF_RANGE),
        ("lvef", "35-40", ProblemCode.NOT_A_NUMBER),
        ("lvef", "35 à 40", ProblemCode.NOT_A_NUMBER),
        ("lvef", "< 35", ProblemCode.NOT_A_NUMBER),
        ("lvef", "~35", ProblemCode.NOT_A_NUMBER),
        ("lvef", "environ 35", ProblemCode.NOT_A_NUMBER),
        ("lvef", "conservée", ProblemCode.NOT_A_NUMBER),
        ("lvef", "35 mmHg", ProblemCode.WRONG_UNIT),
        ("lvef", "35/40", ProblemCode.NOT_A_NUMBER),
        ("lvef", "9" * 4000, ProblemCode.NOT_A_NUMBER),
        ("lvef", "", ProblemCode.EMPTY),
        ("lvef", "35 % (écho du 12/03)", ProblemCode.EXTRA_WORDS),
        ("vmax", "420 cm/s", ProblemCode.WRONG_UNIT),
        ("haemoglobin", "120 g/L", ProblemCode.WRONG_UNIT),
    ],
)
def test_a_number_that_is_not_clear_is_a_problem(field: str, text: str, problem: ProblemCode) -> None:
    """Ranges, signs, other units and words are never made into a number."""
    assert code(VALVE[field], text) is problem


def test_a_problem_of_range_names_the_bounds() -> None:
    """The sentence to the physician can say what is possible."""
    problem = read(VALVE["lvef"], "350")

    assert problem == Problem(code=ProblemCode.OUT_OF_RANGE, field="lvef", params={"min": "5", "max": "90"})


@pytest.mark.parametrize("text", ["1.250", "1,250", "12.500 ng/L"])
def test_a_thousand_or_one_and_a_quarter_is_asked(text: str) -> None:
    """Three digits after the mark mean thousands here and decimals elsewhere: never a guess."""
    assert code(AMYLOID["ntprobnp"], text) is ProblemCode.AMBIGUOUS_NUMBER


@pytest.mark.parametrize("text", ["1250", "1 250", "1\u202f250 ng/L", "1250,0", "1250 pg/mL"])
def test_thousands_may_be_written_with_a_space(text: str) -> None:
    """A space parts thousands in every language; pg/mL is the same as ng/L."""
    assert read(AMYLOID["ntprobnp"], text) == Decimal(1250)


def test_three_decimals_are_decimals_where_thousands_cannot_be() -> None:
    """A peak velocity of 4.125 m/s is no four thousand."""
    assert read(VALVE["vmax"], "4,125 m/s") == Decimal("4.125")


@pytest.mark.parametrize("text, problem", [("460,5", ProblemCode.NOT_WHOLE), ("0.460", ProblemCode.AMBIGUOUS_NUMBER)])
def test_a_whole_number_has_no_decimals(text: str, problem: ProblemCode) -> None:
    """QTc is whole milliseconds."""
    assert code(RHYTHM["qtc"], text) is problem
    assert read(RHYTHM["qtc"], "460,0 ms") == 460


@pytest.mark.parametrize("text", ["mL/min/1,73m²", "ml/min/1.73 m2", "mL/min", ""])
def test_a_unit_may_be_written_in_its_usual_ways(text: str) -> None:
    """Superscripts, commas and the short form."""
    assert read(VALVE["egfr"], f"48 {text}") == Decimal(48)


@pytest.mark.parametrize("text", ["oui", "Oui.", "OUI", "o", "yes", "y", "ja", "j", "présent"])
def test_yes_is_understood_in_every_language(text: str) -> None:
    """oui, ja, yes, and their first letters."""
    assert read(RHYTHM["syncope"], text) is True


@pytest.mark.parametrize("text", ["non", "NON", "n", "no", "nee", "neen", "nein", "geen", "aucune", "keine"])
def test_no_is_understood_in_every_language(text: str) -> None:
    """non, nee, nein, no, none."""
    assert read(RHYTHM["syncope"], text) is False


@pytest.mark.parametrize("text", ["peut-être", "1", "0", "non documenté", "oui et non", "?"])
def test_neither_yes_nor_no_is_a_problem(text: str) -> None:
    """Doubt is not made into an answer."""
    assert code(RHYTHM["syncope"], text) is ProblemCode.NOT_YES_OR_NO


@pytest.mark.parametrize(
    "field, text, expected",
    [
        ("arrhythmia_type", "1", "af"),
        ("arrhythmia_type", "b", "flutter"),
        ("arrhythmia_type", "B)", "flutter"),
        ("arrhythmia_type", "FA", "af"),
        ("arrhythmia_type", "« fibrillation auriculaire »", "af"),
        ("arrhythmia_type", "FIBRILLATION\u00a0AURICULAIRE (fa)", "af"),
        ("arrhythmia_type", "Préexcitation", "preexcitation"),
        ("arrhythmia_type", "pre-excitatie", "preexcitation"),
        ("arrhythmia_type", "Vorhofflimmern", "af"),
        ("arrhythmia_type", "autre", "other"),
        ("ehra_score", "2a", "2a"),
        ("ehra_score", "3", "3"),
        ("ehra_score", "2b : symptômes modérés", "2b"),
        ("rhythm_question", "EEP", "eps"),
        ("rhythm_question", "l’ablation", None),
        ("ehra_score", "2", None),
        ("ehra_score", "a", None),
        ("arrhythmia_type", "99", None),
        ("arrhythmia_type", "pas de FA", None),
        ("arrhythmia_type", "FA ou flutter", None),
    ],
)
def test_an_option_is_named_by_number_letter_code_or_label(field: str, text: str, expected: str | None) -> None:
    """Options that are numbers themselves have no other number: "2" is not the second EHRA class, it is a problem."""
    value = read(RHYTHM[field], text)

    assert (value if isinstance(value, str) else None) == expected


@pytest.mark.parametrize(
    "text, expected",
    [("3", "III"), ("iii", "III"), ("NYHA III", "III"), ("IV", "IV"), ("classe III", None), ("c", None)],
)
def test_a_nyha_class_is_read_in_roman_and_arabic(text: str, expected: str | None) -> None:
    """The third class is 3 or III; letters are not used where Roman numbers are."""
    value = read(VALVE["nyha"], text)

    assert (value if isinstance(value, str) else None) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("dyspnée", ("dyspnoea",)),
        ("dyspnée, angor", ("dyspnoea", "angina")),
        ("angor et dyspnée", ("dyspnoea", "angina")),
        ("syncope + angor", ("angina", "syncope")),
        ("1, 3", ("dyspnoea", "syncope")),
        ("a/c", ("dyspnoea", "syncope")),
        ("aucun", ("none",)),
    ],
)
def test_several_options_are_read_together(text: str, expected: tuple[str, ...]) -> None:
    """In the order of the form, whatever the order of the message."""
    assert read(VALVE["symptoms"], text) == expected


@pytest.mark.parametrize(
    "text, problem",
    [
        ("aucun, dyspnée", ProblemCode.CONTRADICTION),
        ("dyspnée, fièvre", ProblemCode.NOT_AN_OPTION),
        ("pas de dyspnée", ProblemCode.NOT_AN_OPTION),
    ],
)
def test_several_options_must_all_be_clear(text: str, problem: ProblemCode) -> None:
    """One unknown word spoils the list; "none" goes with nothing."""
    assert code(VALVE["symptoms"], text) is problem


def test_a_word_with_two_meanings_is_asked() -> None:
    """In the writer's language it may have one meaning; in no language it has two."""
    twice = (
        Option(code="a", labels={Language.FR: "Droit", Language.EN: "Right"}),
        Option(code="b", labels={Language.FR: "Gauche", Language.EN: "Droit"}),
    )
    side = Field(id="side", type=FieldType.ENUM, requirement=Requirement.REQUIRED, labels={}, options=twice)

    assert read(side, "droit", Language.FR) == "a"
    assert read(side, "droit", Language.EN) == "b"
    assert code(
        Field(id="s", type=FieldType.ENUM, requirement=Requirement.REQUIRED, labels={}, options=twice * 2), "gauche"
    ) is (ProblemCode.AMBIGUOUS_OPTION)


def test_the_keys_of_a_list_are_those_that_are_understood() -> None:
    """What may be printed beside an option: a number and a letter, a number alone, or nothing."""
    assert option_keys(RHYTHM["rhythm_question"].options)[1] == ("2", "b")
    assert option_keys(VALVE["nyha"].options)[2] == ("3",)
    assert option_keys(RHYTHM["ehra_score"].options)[1] == ()


@pytest.mark.parametrize(
    "text, day",
    [
        ("25/11/2026", date(2026, 11, 25)),
        ("25-11-26", date(2026, 11, 25)),
        ("25.11.2026", date(2026, 11, 25)),
        ("3/4/2025", date(2025, 4, 3)),
        ("2026-11-25", date(2026, 11, 25)),
        ("aujourd’hui", date(2026, 11, 25)),
        ("vandaag", date(2026, 11, 25)),
        ("heute", date(2026, 11, 25)),
        ("today", date(2026, 11, 25)),
        ("gisteren", date(2026, 11, 24)),
        ("1er mars 2024", date(2024, 3, 1)),
        ("3 août 2024", date(2024, 8, 3)),
        ("3. März 2024", date(2024, 3, 3)),
        ("3 mei 2024", date(2024, 5, 3)),
    ],
)
def test_a_date_is_read_as_belgians_write_it(text: str, day: date) -> None:
    """The day stands before the month."""
    assert read(DAY, text) == day


@pytest.mark.parametrize(
    "text, problem",
    [
        ("11/25/2026", ProblemCode.NOT_A_DATE),
        ("31/02/2026", ProblemCode.NOT_A_DATE),
        ("00/00/2026", ProblemCode.NOT_A_DATE),
        ("demain", ProblemCode.NOT_A_DATE),
        ("2026", ProblemCode.NOT_A_DATE),
        ("12/2025", ProblemCode.NOT_A_DATE),
        ("12/03/58", ProblemCode.AMBIGUOUS_DATE),
        ("26/11/2026", ProblemCode.DATE_IN_FUTURE),
        ("26-12-26", ProblemCode.DATE_IN_FUTURE),
    ],
)
def test_a_date_that_is_not_clear_is_a_problem(text: str, problem: ProblemCode) -> None:
    """No month before the day, no guessed century, no day ahead."""
    assert code(DAY, text) is problem


@pytest.mark.parametrize(
    "text", ["25/11/2026 09:30", "25/11/2026 à 9h30", "aujourd'hui 9h30", "vandaag om 9u30", "2026-11-25T09:30"]
)
def test_a_moment_is_a_date_with_a_time(text: str) -> None:
    """In the hospital's time zone."""
    assert read_datetime("onset", text, NOW) == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("25/11/2026", ProblemCode.TIME_MISSING),
        ("25/11/2026 25:00", ProblemCode.NOT_A_DATE),
        ("ce matin", ProblemCode.NOT_A_DATE),
        ("25/11/2026 10:31", ProblemCode.DATE_IN_FUTURE),
    ],
)
def test_a_moment_without_a_clear_time_is_a_problem(text: str, problem: ProblemCode) -> None:
    """A time is asked, and it lies behind us."""
    result = read_datetime("onset", text, NOW)

    assert isinstance(result, Problem)
    assert result.code is problem


@pytest.mark.parametrize("text, year", [("1958", 1958), ("1900", 1900), ("2026", 2026)])
def test_a_year_has_four_digits(text: str, year: int) -> None:
    """From 1900 to this year."""
    assert read(YEAR, text) == year


@pytest.mark.parametrize(
    "text, problem",
    [("58", ProblemCode.NOT_A_YEAR), ("1899", ProblemCode.OUT_OF_RANGE), ("2027", ProblemCode.OUT_OF_RANGE)],
)
def test_another_year_is_a_problem(text: str, problem: ProblemCode) -> None:
    """Two digits could be two centuries."""
    assert code(YEAR, text) is problem


def test_a_text_has_a_limit_and_a_document_takes_no_text() -> None:
    """The problem of length carries the limit and the length."""
    assert read(RHYTHM["allergies"], "x" * 501) == Problem(
        code=ProblemCode.TOO_LONG, field="allergies", params={"limit": 500, "length": 501}
    )
    assert read(RHYTHM["history"], "x" * 10_000) == "x" * 10_000
    assert code(RHYTHM["history"], "x" * 10_001) is ProblemCode.TOO_LONG
    assert code(RHYTHM["ecg_12"], "ci-joint") is ProblemCode.NEEDS_FILE


@pytest.mark.parametrize(
    "one, value, language, text",
    [
        (VALVE["lvef"], Decimal("35.5"), Language.FR, "35,5 %"),
        (VALVE["lvef"], Decimal("35.5"), Language.EN, "35.5 %"),
        (VALVE["lvef"], Decimal("1E+1"), Language.NL, "10 %"),
        (RHYTHM["qtc"], 460, Language.DE, "460 ms"),
        (RHYTHM["cha2ds2va"], 4, Language.FR, "4"),
        (RHYTHM["syncope"], True, Language.NL, "Ja"),
        (RHYTHM["syncope"], False, Language.FR, "Non"),
        (RHYTHM["arrhythmia_type"], "vt", Language.FR, "Tachycardie ventriculaire (TV)"),
        (RHYTHM["question"], "Ablation ?\nMerci.", Language.EN, "Ablation ?\nMerci."),
        (VALVE["symptoms"], ("dyspnoea", "angina"), Language.NL, "Dyspneu, Angina pectoris"),
        (VALVE["euroscore2_date"], date(2026, 3, 1), Language.FR, "01/03/2026"),
        (SKIN["size_mm"], datetime(2026, 3, 1, 9, 5, tzinfo=UTC), Language.FR, "01/03/2026 09:05"),
        (VALVE["patient_birth_year"], 1958, Language.FR, "1958"),
    ],
)
def test_a_value_is_written_for_its_reader(one: Field, value: Value, language: Language, text: str) -> None:
    """Labels instead of codes, a decimal comma except in English, the day first."""
    assert render_value(one, value, language) == text
