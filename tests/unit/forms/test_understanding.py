"""One message may answer many things; what was not asked or named is left alone."""

from datetime import date
from decimal import Decimal

import pytest

from bot.domain.answers import Outcome, tapped, understand
from bot.domain.forms import Form, Value
from bot.domain.language import Language
from bot.domain.problems import Problem, ProblemCode
from bot.domain.prompts import PromptId, prompt_for
from tests.unit.forms.asking import AMYLOID, NOW, RHYTHM, SKIN, VALVE, codes, prompt, understood

FACTS, CLOSING, CLINICAL = PromptId.FACTS, PromptId.CLOSING, PromptId.CLINICAL


@pytest.mark.parametrize(
    "text, values",
    [
        ("FEVG 35, NYHA III", {"lvef": Decimal(35), "nyha": "III"}),
        ("FEVG: 35 % ; DFG 48", {"lvef": Decimal(35), "egfr": Decimal(48)}),
        ("NYHA 3", {"nyha": "III"}),
        ("LVEF=35,5\nNYHA=iv", {"lvef": Decimal("35.5"), "nyha": "IV"}),
        ("FEVG à 35 %, NYHA III", {"lvef": Decimal(35), "nyha": "III"}),
        ("FEVG 35 NYHA III CFS 4", {"lvef": Decimal(35), "nyha": "III", "frailty": "CFS4"}),
        ("- FEVG : 35\n- NYHA : III", {"lvef": Decimal(35), "nyha": "III"}),
        ("FEVG\u00a0: 35\u202f%, NYHA\u00a0III", {"lvef": Decimal(35), "nyha": "III"}),
        ("Symptômes: dyspnée, angor, FEVG 35", {"symptoms": ("dyspnoea", "angina"), "lvef": Decimal(35)}),
        ("dyspnée, angor", {"symptoms": ("dyspnoea", "angina")}),
        ("dyspnée\nangor", {"symptoms": ("dyspnoea", "angina")}),
        ("1: III\n2: a, c\n3: 35", {"nyha": "III", "symptoms": ("dyspnoea", "syncope"), "lvef": Decimal(35)}),
        (
            "Vmax 4,2 m/s; gradient moyen 45; AVA 0,7 cm²",
            {"vmax": Decimal("4.2"), "mean_gradient": Decimal(45), "ava": Decimal("0.7")},
        ),
        ("FEVG 35. NYHA III. Dyspnée.", {"lvef": Decimal(35), "nyha": "III", "symptoms": ("dyspnoea",)}),
        ("1: III 2: dyspnée 3: 35", {"nyha": "III", "symptoms": ("dyspnoea",), "lvef": Decimal(35)}),
        ("EROA: 40 mm2, volume 60 ml; NYHA II", {"regurgitation_quant": "40 mm2, volume 60 ml", "nyha": "II"}),
    ],
)
def test_one_message_answers_many_fields(text: str, values: dict[str, Value]) -> None:
    """Names in any language, with or without a colon, parted by commas, semicolons, line ends or nothing."""
    result = understood(VALVE, text, FACTS)

    assert result.values == values
    assert result.problems == ()
    assert result.rest == ""


@pytest.mark.parametrize(
    "text, values",
    [
        ("syncope non, mort subite : oui", {"syncope": False, "family_sudden_death": True}),
        ("pas de syncope", {"syncope": False}),
        ("geen syncope; plotse dood nee", {"syncope": False, "family_sudden_death": False}),
        ("ablation", {"rhythm_question": "ablation"}),
        ("EHRA 2b, CHA2DS2-VA 4", {"ehra_score": "2b", "cha2ds2va": 4}),
        (
            "Ablation. FEVG 55. Pas de syncope. Pas de mort subite familiale.",
            {"rhythm_question": "ablation", "lvef": Decimal(55), "syncope": False, "family_sudden_death": False},
        ),
        ("paroxystique, ablation", {"af_pattern": "paroxysmal", "rhythm_question": "ablation"}),
    ],
)
def test_choices_are_taken_by_their_words(text: str, values: dict[str, Value]) -> None:
    """A word that one asked field alone knows needs no name."""
    assert understood(RHYTHM, text, FACTS).values == values


@pytest.mark.parametrize(
    "text",
    [
        "traitement, routine",
        "Traitement routine",
        "1b 2a",
        "1 b, 2 a",
        "1: traitement\n2: routine",
        "behandeling; routine",
    ],
)
def test_what_is_expected_and_how_soon_is_one_message(text: str) -> None:
    """By words, by number and letter, or named."""
    assert understood(RHYTHM, text, PromptId.EXPECTATION).values == {
        "requested_output": "treatment",
        "urgency": "routine",
    }


@pytest.mark.parametrize(
    "text, code",
    [
        ("35", ProblemCode.WHICH_FIELD),
        ("oui", ProblemCode.WHICH_FIELD),
        ("b", ProblemCode.WHICH_FIELD),
        ("syncope", ProblemCode.VALUE_MISSING),
        ("FEVG:", ProblemCode.VALUE_MISSING),
        ("FEVG 350", ProblemCode.OUT_OF_RANGE),
        ("FEVG -35", ProblemCode.OUT_OF_RANGE),
        ("FEVG conservée", ProblemCode.NOT_A_NUMBER),
        ("FEVG 35, FEVG 45", ProblemCode.TWO_VALUES),
        ("EHRA 2", ProblemCode.NOT_AN_OPTION),
        ("9b", ProblemCode.WHICH_FIELD),
        ("bonjour", ProblemCode.NOT_UNDERSTOOD),
    ],
)
def test_what_is_not_clear_is_a_problem_and_never_a_guess(text: str, code: ProblemCode) -> None:
    """The field stays empty, and the words are given back."""
    result = understood(RHYTHM, text, FACTS)

    assert result.values == {}
    assert codes(result) == [code]


def test_the_same_value_twice_is_no_contradiction() -> None:
    """Repeating is not contradicting."""
    assert understood(RHYTHM, "FEVG 35; LVEF 35 %", FACTS).values == {"lvef": Decimal(35)}


def test_a_wrong_part_does_not_spoil_the_others() -> None:
    """What is clear is kept; what is not is named, with its field."""
    result = understood(VALVE, "FEVG 350, NYHA III, DFG 48, blabla", FACTS)

    assert result.values == {"nyha": "III", "egfr": Decimal(48)}
    assert result.problems == (Problem(code=ProblemCode.OUT_OF_RANGE, field="lvef", params={"min": "5", "max": "90"}),)
    assert result.rest == "FEVG 350\nblabla"


def test_texts_in_the_closing_list_end_where_the_next_name_begins() -> None:
    """A short text ends with its line, a long one at the next named line; commas and semicolons inside stay."""
    text = (
        "Allergies: iode, pénicilline; QTc 460 ms, AVK; comorbidités: HTA, diabète\n"
        "Ablation antérieure: PVI 2023,\nrécidive 2024\n"
        "labo: TSH 2,1; K 4,2; eGFR 60"
    )

    assert understood(RHYTHM, text, CLOSING).values == {
        "allergies": "iode, pénicilline",
        "qtc": 460,
        "anticoagulation": "vka",
        "comorbidity_af_care": ("hypertension", "diabetes"),
        "prior_ablation": "PVI 2023,\nrécidive 2024",
        "labs_tsh_k_egfr": "TSH 2,1; K 4,2; eGFR 60",
    }


@pytest.mark.parametrize(
    "form, field, text, value",
    [
        (VALVE, "lvef", "35 %", Decimal(35)),
        (VALVE, "symptoms", "dyspnée et angor", ("dyspnoea", "angina")),
        (VALVE, "symptoms", "1, 2", ("dyspnoea", "angina")),
        (RHYTHM, "syncope", "non", False),
        (RHYTHM, "arrhythmia_type", "2", "flutter"),
        (RHYTHM, "arrhythmia_type", "fa", "af"),
        (RHYTHM, "history", "HTA", "HTA"),
        (SKIN, "body_site", "dos, à gauche", "dos, à gauche"),
        (AMYLOID, "perugini", "2", "2"),
    ],
)
def test_a_field_asked_alone_needs_no_name(form: Form, field: str, text: str, value: Value) -> None:
    """`prompt_for` asks for one field."""
    result = understand(form, text, language=Language.FR, expected=prompt_for(form, field), now=NOW)

    assert result.values == {field: value}
    assert result.problems == ()


def test_a_poll_can_be_answered_with_more_than_was_asked() -> None:
    """The choice and a named value in one message."""
    assert understood(RHYTHM, "FA, FEVG 40", PromptId.KEY).values == {"arrhythmia_type": "af", "lvef": Decimal(40)}


def test_a_message_without_an_open_prompt_is_talk_unless_it_names_a_value() -> None:
    """Talk that begins with a field's name is left alone; a named value is taken."""
    assert understood(RHYTHM, "FEVG 35").values == {"lvef": Decimal(35)}

    talk = understood(RHYTHM, "FEVG à refaire demain, je vous envoie la suite")
    assert talk.values == {}
    assert talk.problems == ()
    assert talk.rest == "FEVG à refaire demain\nje vous envoie la suite"


def test_talk_while_documents_are_awaited_fills_nothing() -> None:
    """The bot waits for files, the requester may write."""
    result = understood(RHYTHM, "Allergies are important to ask, no? I send the ECG soon.", PromptId.DOCUMENTS)

    assert result.values == {}
    assert result.problems == ()


# ── Long texts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_text_is_taken_verbatim() -> None:
    """Newlines, apostrophes, quotes, HTML and spaces stay as they are."""
    text = "  L’ablation est-elle indiquée ?\n\n« Oui », dit-il. <b>FEVG 35</b> & NYHA III;\n- point\n"

    assert understood(RHYTHM, text, PromptId.QUESTION).values == {"question": text}


def test_a_value_inside_a_story_is_not_picked_out() -> None:
    """Only a line that begins with the name and a colon is more than a part of the story."""
    text = "Patient avec FEVG: 35 et NYHA III.\nFEVG 35, syncope non"

    assert understood(RHYTHM, text, PromptId.QUESTION).values == {"question": text}


def test_a_marked_line_is_recorded_and_stays_in_the_story() -> None:
    """Nothing of the story is lost, and the value need not be typed twice."""
    text = "Ablation ?\nFEVG : 35 %\nIl va mal."

    assert understood(RHYTHM, text, PromptId.QUESTION).values == {"question": text, "lvef": Decimal(35)}


def test_a_marked_line_that_does_not_fit_is_said_and_stays_in_the_story() -> None:
    """The question is complete; the value is asked later."""
    result = understood(RHYTHM, "Ablation ?\nFEVG : 350 %", PromptId.QUESTION)

    assert result.values == {"question": "Ablation ?\nFEVG : 350 %"}
    assert codes(result) == [ProblemCode.OUT_OF_RANGE]


def test_the_parts_of_the_story_are_told_apart_by_their_names() -> None:
    """A name and a colon at the beginning of a line begin a part; the label of the form or a usual word."""
    text = (
        "Antécédents : HTA\n diabète\n\nTraitement: bisoprolol 5 mg\n1. matin\n2. soir\n"
        "Situation actuelle, examen clinique : stable\nAntiarythmiques: aucun"
    )

    assert understood(RHYTHM, text, CLINICAL).values == {
        "history": "HTA\n diabète",
        "medication": "bisoprolol 5 mg\n1. matin\n2. soir",
        "current_state": "stable",
        "aad_tried": "aucun",
    }


def test_a_story_without_names_answers_the_first_part_asked() -> None:
    """Numbers that begin its lines are its own, not those of the prompt."""
    text = "HTA, diabète\n1. bisoprolol\n2. apixaban"

    assert understood(RHYTHM, text, CLINICAL).values == {"history": text}


def test_a_greeting_before_the_named_parts_is_given_back() -> None:
    """It belongs to no part, and it is not dropped in silence."""
    result = understood(RHYTHM, "Cher confrère,\nAntécédents: HTA", CLINICAL)

    assert result.values == {"history": "HTA"}
    assert result.rest == "Cher confrère,"
    assert codes(result) == [ProblemCode.NOT_UNDERSTOOD]


def test_a_question_may_bring_the_medication_along() -> None:
    """Another long part, marked by its name, goes where it belongs; the question keeps the rest."""
    assert understood(RHYTHM, "Ablation ?\nTraitement : bisoprolol\n5 mg", PromptId.QUESTION).values == {
        "question": "Ablation ?",
        "medication": "bisoprolol\n5 mg",
    }


def test_a_part_with_a_name_and_no_text_is_missing() -> None:
    """An empty part does not count as answered."""
    result = understood(RHYTHM, "Antécédents: HTA\nTraitement:\n", CLINICAL)

    assert result.values == {"history": "HTA"}
    assert result.problems == (Problem(code=ProblemCode.VALUE_MISSING, field="medication"),)


@pytest.mark.parametrize("prompt_id", [PromptId.QUESTION, FACTS, CLOSING, PromptId.PATIENT, PromptId.EMERGENCY])
def test_twenty_thousand_characters_are_refused_with_the_limit(prompt_id: PromptId) -> None:
    """Nothing is cut in silence."""
    result = understood(RHYTHM, "x" * 20_000, prompt_id)

    assert result.values == {}
    assert [(one.code, dict(one.params)) for one in result.problems] == [
        (ProblemCode.TOO_LONG, {"limit": 10_000, "length": 20_000})
    ]


def test_direction_marks_are_removed_and_said() -> None:
    """A right-to-left mark can make one number read as another."""
    result = understood(RHYTHM, "FEVG \u202e53\u202c", FACTS)

    assert result.values == {"lvef": Decimal(53)}
    assert codes(result) == [ProblemCode.MARKS_REMOVED]


def test_control_characters_do_not_reach_a_text() -> None:
    """NUL and escape go; newline and tab stay; CR LF is a newline and no reason for a notice."""
    assert understood(RHYTHM, "a\x00b\x1b[31m\tc\r\nd", PromptId.QUESTION).values == {"question": "ab[31m\tc\nd"}
    assert understood(RHYTHM, "a\r\nb", PromptId.QUESTION).problems == ()


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u00a0", "\u200b", "\u202e"])
def test_an_empty_message_answers_nothing(text: str) -> None:
    """Blank in any way."""
    result = understood(RHYTHM, text, PromptId.QUESTION)

    assert result.values == {}
    assert ProblemCode.EMPTY in codes(result)


@pytest.mark.parametrize("prompt_id", list(PromptId))
def test_a_national_number_anywhere_refuses_the_message(prompt_id: PromptId) -> None:
    """It is never stored: not in a story, not in a named value, not in a reason."""
    result = understood(RHYTHM, "Antécédents: HTA (85.07.30-033.28)\nFEVG: 35", prompt_id)

    assert result.values == {}
    assert result.rest == ""
    assert codes(result) == [ProblemCode.NISS_FOUND]


# ── The opening polls ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text", ["1", "a", "non", "nee", "nein", "no", "not an emergency", "Non, pas d’urgence vitale"]
)
def test_no_emergency_by_text(text: str) -> None:
    """Number, letter, label or a plain no."""
    result = understood(RHYTHM, text, PromptId.EMERGENCY)

    assert result.values == {"not_emergency_ack": True}
    assert result.outcome is None


@pytest.mark.parametrize("text", ["2", "oui", "yes", "urgence vitale", "emergency", "noodgeval"])
def test_an_emergency_is_an_outcome(text: str) -> None:
    """The caller opens nothing: 112 and the line's telephone."""
    result = understood(RHYTHM, text, PromptId.EMERGENCY)

    assert result.outcome is Outcome.EMERGENCY
    assert result.values == {}


@pytest.mark.parametrize(
    "code, values",
    [
        ("agrees_seen", {"patient_informed": True, "patient_seen_24m": True, "consent_date": date(2026, 11, 25)}),
        ("agrees_not_seen", {"patient_informed": True, "patient_seen_24m": False, "consent_date": date(2026, 11, 25)}),
        ("not_possible", {"patient_informed": False}),
    ],
)
def test_the_declarations_are_one_tap(code: str, values: dict[str, Value]) -> None:
    """Agreement is dated today; where it was not possible a reason is asked next."""
    assert tapped(RHYTHM, prompt(RHYTHM, PromptId.DECLARATIONS), code, now=NOW).values == values


def test_a_patient_who_does_not_agree_is_an_outcome() -> None:
    """The caller erases the case the same day."""
    by_tap = tapped(RHYTHM, prompt(RHYTHM, PromptId.DECLARATIONS), "refuses", now=NOW)
    by_text = understood(RHYTHM, "pas d’accord", PromptId.DECLARATIONS)

    assert by_tap.outcome is by_text.outcome is Outcome.DOES_NOT_AGREE
    assert by_tap.values == by_text.values == {}


@pytest.mark.parametrize(
    "text", ["impossible : inconscient", "3: inconscient", "not possible: inconscient", "c : inconscient"]
)
def test_the_reason_may_come_with_the_declaration(text: str) -> None:
    """One message instead of two."""
    assert understood(RHYTHM, text, PromptId.DECLARATIONS).values == {
        "patient_informed": False,
        "consent_reason": "inconscient",
    }


@pytest.mark.parametrize("text", ["oui", "d'accord", "ok", "vu", "FEVG 35"])
def test_half_a_declaration_is_not_a_declaration(text: str) -> None:
    """Yes does not say whether the patient was seen: it is asked again."""
    result = understood(RHYTHM, text, PromptId.DECLARATIONS)

    assert result.values == {}
    assert codes(result) == [ProblemCode.NOT_AN_OPTION]


@pytest.mark.parametrize("text", ["Patient informé et d'accord: oui", "consent date: 01/01/2020", "sexe: F"])
def test_a_declaration_cannot_slip_in_by_its_name(text: str) -> None:
    """Patient and declarations are answered at their own prompts alone."""
    assert understood(RHYTHM, text, FACTS).values == {}


def test_the_question_is_not_replaced_by_a_word_in_passing() -> None:
    """It is answered at its own prompt; its heading there is not a part of it."""
    assert "question" not in understood(RHYTHM, "question: ablation, FEVG 60", FACTS).values
    assert understood(RHYTHM, "Question : ablation ?\nMerci", PromptId.QUESTION).values == {
        "question": "ablation ?\nMerci"
    }


def test_a_semicolon_parts_short_texts_without_colons() -> None:
    """A comma belongs to the text, a semicolon before another asked field does not."""
    assert understood(SKIN, "Localisation dos, à gauche; depuis 2 mois; taille 8; stable", FACTS).values == {
        "body_site": "dos, à gauche",
        "duration": "2 mois",
        "size_mm": 8,
        "evolution": "stable",
    }


def test_a_tap_on_a_yes_no_poll_is_yes_or_no() -> None:
    """A single yes/no field is asked as a poll."""
    asked = prompt_for(RHYTHM, "syncope")

    assert asked.as_poll
    assert tapped(RHYTHM, asked, "no", now=NOW).values == {"syncope": False}


def test_a_tap_on_no_option_is_an_error_of_the_caller() -> None:
    """The caller maps random answer ids to the options it offered."""
    with pytest.raises(KeyError):
        tapped(RHYTHM, prompt(RHYTHM, PromptId.EMERGENCY), "perhaps", now=NOW)
