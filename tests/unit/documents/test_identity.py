"""What identifies, where it stands, and what a copy for experts may carry of it."""

import io
from datetime import date, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bot.adapters.documents.allowed_entries import DATES, SEQUENCES, STANDARD_UIDS, UIDS, VALUES, WORDS
from bot.adapters.documents.deidentified import Pseudonyms, deidentified
from bot.adapters.documents.identity import birth_dates, identity_of, mentions, tokens
from bot.adapters.documents.job import Job
from bot.adapters.documents.jpeg_segments import codestream_only, pictures_only
from tests.unit.documents import made

_STUDIED = st.dates(min_value=date(1950, 1, 1))


def a_case(salt: bytes = b"s" * 32, words: frozenset[str] = frozenset()) -> Pseudonyms:
    job = Job(source=io.BytesIO(), size=0, clean=io.BytesIO(), strip=True, salt=salt)
    return Pseudonyms(job=job, words=words)


def test_names_and_numbers_become_words_to_look_for() -> None:
    """Casefolded, without accents, three characters or more, nothing that stands everywhere."""
    assert tokens(["Lefèvre^Marie-Hélène^^Dr.", "ab", "12975-20-2"]) == {"lefevre", "marie-helene", "12975-20-2"}


def test_birth_dates_are_looked_for_as_people_write_them() -> None:
    """In the order of four countries."""
    assert {"19580730", "30.07.1958", "30/07/1958", "1958-07-30"} <= birth_dates("19580730")


def test_nested_entries_count_and_broken_ones_are_passed_over() -> None:
    """Identity hides in sequences."""
    header = made.header(made.ULTRASOUND_IMAGE, "US")
    found = identity_of(header)
    assert {"zzplantedname", "marie", "zzplantedward", "zzplantedobserver"} <= found.tokens
    assert found.tags >= 12


def test_a_word_is_found_in_any_spelling() -> None:
    """Accents and case do not hide a name."""
    assert mentions("Mme LEFÈVRE, née", tokens(["Lefevre^M"]))
    assert not mentions("stenosis", tokens(["Lefevre^M"]))


def test_what_is_not_allowed_by_name_is_gone() -> None:
    """Default refusal: private entries, names, places, sentences, times and entries nobody thought of."""
    header = made.header(made.ULTRASOUND_IMAGE, "US")
    header.add_new(0x00081195, "UI", "1.2.3")  # a transaction: not on the list
    clean = deidentified(header, a_case(words=identity_of(header).tokens))
    allowed = UIDS | STANDARD_UIDS | DATES | SEQUENCES | WORDS | VALUES
    added = {"PatientName", "PatientID", "PatientBirthDate", "ReferringPhysicianName", "AccessionNumber"} | {
        "StudyID",
        "StudyTime",
    }
    assert {element.keyword for element in clean} <= allowed | added
    assert made.PLANTED not in str(clean).upper()


def test_a_name_in_an_allowed_text_is_taken_out() -> None:
    """A label of a lead or a coded word that contains the patient's name goes too."""
    header = made.header(made.ULTRASOUND_IMAGE, "US")
    header.Manufacturer = f"Machine of {made.PLANTED}NAME"
    header.BodyPartExamined = "HEART"
    clean = deidentified(header, a_case(words=identity_of(header).tokens))
    assert "Manufacturer" not in clean
    assert clean.BodyPartExamined == "HEART"


def test_no_allowed_entry_is_a_person_or_an_address() -> None:
    """The list itself: no entry that holds names, sentences, addresses or unknown content."""
    for keyword in VALUES | WORDS:
        assert dictionary_VR(keyword) not in ("PN", "LT", "ST", "UT", "UR", "UN", "AE", "DA", "DT", "TM"), keyword
    assert {dictionary_VR(keyword) for keyword in UIDS | STANDARD_UIDS} == {"UI"}
    assert {dictionary_VR(keyword) for keyword in SEQUENCES} == {"SQ"}
    assert {dictionary_VR(keyword) for keyword in DATES} <= {"DA", "DT"}


def test_pseudonyms_hold_in_a_case_and_differ_between_cases() -> None:
    """UIDs below 2.25, the standard's own kept; days moved by the same constant."""
    first, second = a_case(b"a" * 32), a_case(b"b" * 32)
    uid = "1.2.826.0.1.3680043.8.498.1"
    assert first.uid(uid) == first.uid(uid) != second.uid(uid)
    assert first.uid(uid).startswith("2.25.")
    assert len(first.uid(uid)) <= 64
    assert first.uid("1.2.840.10008.5.1.4.1.1.3.1") == "1.2.840.10008.5.1.4.1.1.3.1"
    assert first.day("20240311") not in (None, "20240311")
    assert first.day("20240311101112.5") == first.day("20240311")
    assert first.day("202403") is None
    assert first.day("20241341") is None


@given(_STUDIED, _STUDIED)
def test_the_days_between_two_studies_stay(one: date, two: date) -> None:
    """What matters for a course is kept, when it was is not."""
    case = a_case()
    moved = [case.day(day.strftime("%Y%m%d")) for day in (one, two)]
    assert None not in moved
    days = [datetime.strptime(str(day), "%Y%m%d").date() for day in moved]  # noqa: DTZ007 - a date has no zone
    assert days[1] - days[0] == two - one


def test_very_old_people_are_ninety() -> None:
    """Beyond 89, an age is a person by itself (45 CFR 164.514, followed by PS3.15)."""
    header = made.header(made.ULTRASOUND_IMAGE, "US")
    header.PatientBirthDate = "19200101"
    assert deidentified(header, a_case()).PatientAge == "090Y"
    header.PatientAge = "095Y"
    assert deidentified(header, a_case()).PatientAge == "090Y"


def test_sentences_of_reports_and_annotations_are_left_out_with_their_item() -> None:
    """Numbers and codes stay."""
    header = made.header("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG")
    sentence = Dataset()
    sentence.UnformattedTextValue = f"{made.PLANTED} has atrial fibrillation"
    header.WaveformAnnotationSequence = Sequence([sentence, made.annotated("QRS Duration", "98", "ms")])
    clean = deidentified(header, a_case())
    assert [item.NumericValue for item in clean.WaveformAnnotationSequence] == [98]


def test_a_jpeg_keeps_its_picture_and_loses_its_words() -> None:
    """EXIF, comment and what hangs behind the end go; every pixel stays."""
    data = made.photo("JPEG", (320, 200))
    bare = pictures_only(data)
    assert bare is not None
    assert made.PLANTED.encode() in data
    assert made.PLANTED.encode() not in bare
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), np.asarray(Image.open(io.BytesIO(data))))


def test_a_progressive_jpeg_with_restarts_is_read_to_its_end() -> None:
    """Several scans, each with restart markers."""
    rng = np.random.default_rng(2)
    data = made.jpeg(rng.integers(0, 255, (64, 64, 3)).astype(np.uint8), progressive=True, restart_marker_blocks=2)
    bare = pictures_only(data + b"tail")
    assert bare is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), np.asarray(Image.open(io.BytesIO(data))))


def test_a_jpeg_2000_stream_loses_its_comments() -> None:
    """Pillow writes one that names the library; a machine may name anybody."""
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG2000", irreversible=False, no_jp2=True, comment=made.PLANTED)
    bare = codestream_only(out.getvalue())
    assert bare is not None
    assert made.PLANTED.encode() in out.getvalue()
    assert made.PLANTED.encode() not in bare
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), pixels)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_whole_jpeg_or_none(tail: bytes) -> None:
    """Damage is never copied."""
    bare = pictures_only(b"\xff\xd8" + tail)
    assert bare is None or (bare.startswith(b"\xff\xd8") and bare.endswith(b"\xff\xd9"))
