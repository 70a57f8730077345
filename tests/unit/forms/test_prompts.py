"""What is asked, in which order, and what stands in the way of submitting."""

from collections.abc import Mapping
from datetime import date

import pytest

from bot.domain.forms import Answers, Form, How, Value
from bot.domain.ids import EventId
from bot.domain.prompts import (
    NEVER_SKIPPED,
    Prompt,
    PromptId,
    after_reply,
    after_skip,
    next_prompt,
    plan,
    prompt_for,
    status,
)
from tests.unit.forms.asking import AMYLOID, NOW, RHYTHM, SKIN, VALVE, prompt

TODAY = NOW.date()
OPENING: Mapping[str, Value] = {
    "not_emergency_ack": True,
    "patient_ref": "4711",
    "patient_birth_year": 1958,
    "patient_sex": "f",
    "patient_informed": True,
    "patient_seen_24m": True,
    "consent_date": date(2026, 11, 25),
    "question": "Ablation ?",
    "requested_output": "treatment",
    "urgency": "routine",
}
STORY: Mapping[str, Value] = {"history": "HTA", "medication": "bisoprolol", "current_state": "stable"}


def answered(values: Mapping[str, Value]) -> Answers:
    """These answers, typed in one message."""
    return Answers().with_values(values, source=EventId("$one"), how=How.TYPED)


def asked(
    form: Form, values: Mapping[str, Value], documents: tuple[str, ...] = (), skipped: frozenset[str] = frozenset()
) -> Prompt | None:
    """What is asked next."""
    return next_prompt(form, answered(values), documents, skipped, today=TODAY)


def ask(form: Form, values: Mapping[str, Value], documents: tuple[str, ...] = ()) -> Prompt:
    """What is asked next, which is something."""
    found = asked(form, values, documents)
    assert found is not None
    return found


def test_the_emergency_is_asked_first_and_by_a_poll() -> None:
    """Nothing comes before it."""
    first = ask(RHYTHM, {})

    assert first.id is PromptId.EMERGENCY
    assert [option.code for option in first.options] == ["not_emergency", "emergency"]


def test_the_prompts_come_in_one_order() -> None:
    """Emergency, patient, declarations, question, expectation, key, facts, story, documents, closing list."""
    assert [one.id for one in plan(RHYTHM)] == list(PromptId)


def test_a_prompt_asks_only_for_what_is_missing() -> None:
    """A half answered patient line is asked for the other half."""
    values: Mapping[str, Value] = {"not_emergency_ack": True, "patient_ref": "4711", "patient_birth_year": 1958}

    assert ask(RHYTHM, values).fields == ("patient_sex",)


def test_a_reason_is_asked_only_where_consent_was_not_possible() -> None:
    """And then neither a date of consent nor whether the patient was seen."""
    before = {key: OPENING[key] for key in ("not_emergency_ack", "patient_ref", "patient_birth_year", "patient_sex")}

    assert ask(RHYTHM, {**before, "patient_informed": False}).id is PromptId.CONSENT_REASON
    assert ask(RHYTHM, {**before, "patient_informed": False, "consent_reason": "coma"}).id is PromptId.QUESTION


def test_a_field_on_which_others_hang_is_asked_before_them() -> None:
    """The rhythm disorder by a poll; the valve lesion by text, because several may be named."""
    assert ask(RHYTHM, OPENING).fields == ("arrhythmia_type",)
    assert ask(RHYTHM, OPENING).as_poll
    assert ask(VALVE, OPENING).fields == ("valve_lesion", "tavi_considered")
    assert not ask(VALVE, OPENING).as_poll


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("af", ("af_pattern", "ehra_score", "cha2ds2va")),
        ("flutter", ("cha2ds2va",)),
        ("vt", ()),
    ],
)
def test_conditional_fields_are_asked_with_the_facts(kind: str, expected: tuple[str, ...]) -> None:
    """Only those whose condition holds."""
    fields = ask(RHYTHM, {**OPENING, "arrhythmia_type": kind}).fields

    assert fields == (*expected, "rhythm_question", "lvef", "syncope", "family_sudden_death")


def test_a_single_choice_that_is_left_becomes_a_poll() -> None:
    """One missing enum or yes/no is a tap."""
    facts: Mapping[str, Value] = {"arrhythmia_type": "vt", "rhythm_question": "icd", "lvef": 30, "syncope": True}
    left = ask(RHYTHM, {**OPENING, **facts})

    assert left.fields == ("family_sudden_death",)
    assert [option.code for option in left.options] == ["yes", "no"]
    assert left.labels == RHYTHM["family_sudden_death"].labels


def test_a_letter_answers_history_medication_and_current_state() -> None:
    """What it does not answer is still asked."""
    facts: Mapping[str, Value] = {
        "arrhythmia_type": "vt",
        "rhythm_question": "icd",
        "lvef": 30,
        "syncope": True,
        "family_sudden_death": False,
    }

    assert ask(RHYTHM, {**OPENING, **facts}).fields == ("history", "medication", "current_state", "aad_tried")
    assert ask(RHYTHM, {**OPENING, **facts}, ("report_letter",)).fields == ("aad_tried",)


def test_documents_are_asked_by_their_slots_and_the_old_need_a_geriatrician() -> None:
    """Required slots, and those whose condition holds."""
    slots = prompt(AMYLOID, PromptId.DOCUMENTS).fields
    facts: Mapping[str, Value] = {"scinti_tracer": "DPD", "perugini": "3", "nyha": "II"}
    immune: Mapping[str, Value] = {"immunofixation_serum": "negative", "immunofixation_urine": "negative"}
    values = {**OPENING, **STORY, **facts, **immune}

    assert ask(AMYLOID, values).fields == slots[:-1]
    assert ask(AMYLOID, {**values, "patient_birth_year": 1940}).fields == slots
    assert slots[-1] == "geriatric_assessment"


def everything_required() -> dict[str, Value]:
    """All required answers of dermatology."""
    lesion: Mapping[str, Value] = {
        "body_site": "dos",
        "duration": "2 mois",
        "size_mm": 8,
        "evolution": "new",
        "images_consent": True,
    }
    return {**OPENING, **STORY, **lesion}


PHOTOS = ("photo_overview", "photo_macro")


def test_the_closing_list_is_asked_once() -> None:
    """Whatever was answered, it is not asked again."""
    closing = ask(SKIN, everything_required(), PHOTOS)

    assert closing.id is PromptId.CLOSING
    assert not closing.as_poll
    assert asked(SKIN, everything_required(), PHOTOS, after_reply(closing, frozenset())) is None


def test_a_recording_time_is_asked_together_with_its_holter() -> None:
    """The list names both, and the time alone once the Holter is there; without either it is not asked."""
    closing = prompt(RHYTHM, PromptId.CLOSING)
    facts: Mapping[str, Value] = {
        "arrhythmia_type": "vt",
        "rhythm_question": "icd",
        "lvef": 30,
        "syncope": True,
        "family_sudden_death": False,
        "aad_tried": "none",
    }
    values = {**OPENING, **STORY, **facts}

    assert ask(RHYTHM, values, ("ecg_12",)).fields == closing.fields
    assert "holter_hours" in ask(RHYTHM, values, ("ecg_12", "holter_report")).fields
    without = asked(RHYTHM, values, ("ecg_12",), frozenset({"holter_report"}))
    assert without is not None
    assert "holter_hours" not in without.fields


def test_a_skipped_prompt_is_not_asked_again_but_stays_missing() -> None:
    """`submit` then names what is missing."""
    values = {**OPENING, "arrhythmia_type": "vt"}
    facts = ask(RHYTHM, values)
    skipped = after_skip(facts, frozenset())
    following = asked(RHYTHM, values, skipped=skipped)

    assert following is not None
    assert following.id is PromptId.CLINICAL
    assert "lvef" in status(RHYTHM, answered(values), (), today=TODAY).missing_required


@pytest.mark.parametrize(
    "prompt_id",
    [PromptId.EMERGENCY, PromptId.PATIENT, PromptId.DECLARATIONS, PromptId.CONSENT_REASON, PromptId.QUESTION],
)
def test_what_is_never_skipped_is_asked_until_it_is_answered(prompt_id: PromptId) -> None:
    """Question, not-an-emergency, consent or its reason, and the patient line."""
    values = dict(OPENING)
    if prompt_id is PromptId.CONSENT_REASON:
        values["patient_informed"] = False
    for field_id in prompt(RHYTHM, prompt_id).fields:
        values.pop(field_id, None)
    first = ask(RHYTHM, values)
    again = asked(RHYTHM, values, skipped=after_skip(first, frozenset()))

    assert first.id is prompt_id
    assert again == first


def test_nothing_missing_may_be_submitted() -> None:
    """What is only recommended does not stand in the way."""
    left = status(SKIN, answered(everything_required()), PHOTOS, today=TODAY)

    assert left.may_submit
    assert left.may_submit_anyway
    assert "allergies" in left.missing_recommended


def test_something_missing_may_be_submitted_anyway() -> None:
    """The dossier then says what is missing, in the order of the form."""
    values = everything_required()
    del values["size_mm"]
    left = status(SKIN, answered(values), ("photo_overview",), today=TODAY)

    assert not left.may_submit
    assert left.may_submit_anyway
    assert left.missing_required == ("size_mm", "photo_macro")


@pytest.mark.parametrize("field_id", sorted(NEVER_SKIPPED - {"consent_reason"}))
def test_no_submission_goes_without_these(field_id: str) -> None:
    """Not even `submit anyway`."""
    values = everything_required()
    del values[field_id]
    left = status(SKIN, answered(values), PHOTOS, today=TODAY)

    assert not left.may_submit_anyway
    assert left.missing_never_skipped == (field_id,)


def test_consent_that_was_not_possible_needs_its_reason() -> None:
    """A bare "not possible" is not enough; with its reason it is."""
    values = {**everything_required(), "patient_informed": False}

    assert not status(SKIN, answered(values), PHOTOS, today=TODAY).may_submit_anyway
    assert status(SKIN, answered({**values, "consent_reason": "coma"}), PHOTOS, today=TODAY).may_submit


def test_an_emergency_never_passes_as_none() -> None:
    """Only a confirmed "not an emergency" counts."""
    values = {**everything_required(), "not_emergency_ack": False}

    assert status(SKIN, answered(values), PHOTOS, today=TODAY).missing_never_skipped == ("not_emergency_ack",)


def test_one_field_can_be_asked_again() -> None:
    """`answer` and `back` ask for one field; an opening field brings its companions."""
    assert prompt_for(RHYTHM, "lvef").fields == ("lvef",)
    assert prompt_for(RHYTHM, "patient_sex").fields == ("patient_ref", "patient_birth_year", "patient_sex")
    with pytest.raises(KeyError):
        prompt_for(RHYTHM, "shoe_size")


def test_an_answer_remembers_what_it_replaced() -> None:
    """A correction shows both values; the same value again shows none."""
    first = answered({"lvef": 35})
    second = first.with_values({"lvef": 55}, source=EventId("$two"), how=How.TAP)
    third = second.with_values({"lvef": 55}, source=EventId("$three"), how=How.TYPED)

    assert (second["lvef"].value, second["lvef"].changed_from) == (55, 35)
    assert (third["lvef"].changed_from, third["lvef"].source) == (35, EventId("$three"))
    assert first["lvef"].value == 35


def test_answers_know_their_event_and_can_be_taken_back() -> None:
    """One message may have answered several fields."""
    answers = answered({"lvef": 35, "syncope": False})

    assert answers.from_event(EventId("$one")) == ("lvef", "syncope")
    assert list(answers.without("lvef")) == ["syncope"]
    assert answers.value("nyha") is None


def test_an_answer_does_not_show_its_value_when_printed() -> None:
    """Clinical text cannot reach a log by accident."""
    shown = repr(answered({"question": "secret of the patient"}))

    assert "secret" not in shown
