"""Which slot of a form a document fills."""

import pytest

from bot.domain.documents import DocumentKind
from bot.domain.ids import LineId
from bot.domain.slots import slot_for
from tests.unit.domain.making import LINES, RHYTHM, VALVE

AMYLOID, SKIN = LINES[LineId("cardiac_amyloidosis")], LINES[LineId("dermatology")]


@pytest.mark.parametrize(
    "form, kind, modality, slot",
    [
        (RHYTHM.form, DocumentKind.ECG, None, "ecg_12"),
        (RHYTHM.form, DocumentKind.PDF, None, "report_letter"),
        (RHYTHM.form, DocumentKind.ECHO_LOOP, "US", None),
        (RHYTHM.form, DocumentKind.UNKNOWN, None, None),
        (VALVE.form, DocumentKind.ECHO_LOOP, "US", "echo_loops"),
        (VALVE.form, DocumentKind.DICOM_IMAGE, "CT", "ct_tavi"),
        (VALVE.form, DocumentKind.VIDEO, "XA", "coronary_angio"),
        (VALVE.form, DocumentKind.REPORT, None, "echo_report"),
        (AMYLOID.form, DocumentKind.DICOM_IMAGE, "NM", "bone_scintigraphy"),
        (AMYLOID.form, DocumentKind.DICOM_IMAGE, "MR", "cmr"),
        (SKIN.form, DocumentKind.IMAGE, None, "photo_overview"),
    ],
)
def test_a_document_goes_to_the_slot_of_its_kind(
    form: "object", kind: DocumentKind, modality: str | None, slot: str | None
) -> None:
    """Judged by what it shows, the modality first."""
    assert slot_for(form, kind, modality, ()) == slot  # type: ignore[arg-type]  # a form


def test_the_next_document_goes_to_the_next_empty_slot() -> None:
    """And when all are filled, to the first of its own kind again."""
    photos = ["photo_overview", "photo_macro", "photo_dermoscopy"]
    found = [slot_for(SKIN.form, DocumentKind.IMAGE, None, photos[:n]) for n in range(4)]

    assert found == [*photos, "photo_overview"]


def test_a_photograph_is_never_taken_for_a_tracing() -> None:
    """It may show anything: a line that wants no photographs keeps it as a further document."""
    assert slot_for(RHYTHM.form, DocumentKind.IMAGE, None, ()) is None
