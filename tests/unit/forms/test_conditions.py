"""The conditions under which a field is needed."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from bot.domain.conditions import Condition

TODAY = date(2026, 11, 25)


def holds(text: str, values: Mapping[str, object], documents: tuple[str, ...] = ()) -> bool:
    """Whether the condition holds with these answers."""
    return Condition.parse(text).holds(values=values, documents=documents, today=TODAY)


@pytest.mark.parametrize(
    "text, values, expected",
    [
        ("arrhythmia_type in [af]", {"arrhythmia_type": "af"}, True),
        ("arrhythmia_type in [af, flutter]", {"arrhythmia_type": "flutter"}, True),
        ("arrhythmia_type in [af]", {"arrhythmia_type": "vt"}, False),
        ("arrhythmia_type in [af]", {}, False),
        ("valve_lesion in [aortic_stenosis]", {"valve_lesion": ("endocarditis", "aortic_stenosis")}, True),
        ("valve_lesion in [aortic_stenosis]", {"valve_lesion": ()}, False),
        ("tavi_considered is yes", {"tavi_considered": True}, True),
        ("tavi_considered is yes", {"tavi_considered": False}, False),
        ("tavi_considered is no", {"tavi_considered": False}, True),
        ("tavi_considered is no", {}, False),
        ("age > 75", {"patient_birth_year": 1950}, True),
        ("age > 75", {"patient_birth_year": 1951}, False),
        ("age >= 75", {"patient_birth_year": 1951}, True),
        ("age < 18", {"patient_birth_year": 2010}, True),
        ("age > 75", {}, False),
        ("lvef <= 35.5", {"lvef": Decimal("35.5")}, True),
        ("lvef < 35.5", {"lvef": Decimal("35.5")}, False),
        ("lvef < 35", {"lvef": True}, False),
    ],
)
def test_a_condition_holds_for_exactly_these_answers(text: str, values: dict[str, object], expected: bool) -> None:
    """What was not answered never makes a condition hold; age is the year now less the year of birth."""
    assert holds(text, values) is expected


def test_a_document_can_be_a_condition() -> None:
    """`holter_report present` looks at the documents, not at the answers."""
    assert holds("holter_report present", {}, documents=("holter_report",))
    assert not holds("holter_report present", {"holter_report": "yes"})


@pytest.mark.parametrize(
    "text", ["", "age", "age > old", "a in []", "a in [b,]", "a in b", "a == 3", "a is maybe", "A > 3"]
)
def test_another_form_is_refused(text: str) -> None:
    """A condition has one of four forms."""
    with pytest.raises(ValueError, match=r"FIELD|empty place"):
        Condition.parse(text)
