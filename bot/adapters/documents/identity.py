"""What a header says of the person: how many entries, and the words to look for elsewhere."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bot.domain.documents import IdentityFound

_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ReferringPhysicianName",
    "ConsultingPhysicianName",
    "RequestingPhysician",
    "PhysiciansOfRecord",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "ResponsiblePerson",
    "ScheduledPerformingPhysicianName",
    "VerifyingObserverName",
    "PersonName",
    "ContentCreatorName",
)
_NUMBERS = (
    "PatientID",
    "OtherPatientIDs",
    "IssuerOfPatientID",
    "AccessionNumber",
    "AdmissionID",
    "StudyID",
    "MedicalRecordLocator",
    "InsurancePlanIdentification",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PerformedProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "PatientTelephoneNumbers",
    "MilitaryRank",
)
_DATES = ("PatientBirthDate", "PatientBirthDateInAlternativeCalendar")
_PLACES = (
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "PatientAddress",
    "StationName",
    "CurrentPatientLocation",
    "PatientInstitutionResidence",
)
_TEXTS = (
    "PatientComments",
    "AdditionalPatientHistory",
    "EthnicGroup",
    "Occupation",
    "PatientReligiousPreference",
    "CountryOfResidence",
    "RegionOfResidence",
    "ImageComments",
    "StudyComments",
    "VisitComments",
    "RequestedProcedureComments",
    "DeviceSerialNumber",
)
_IDENTIFYING = frozenset((*_NAMES, *_NUMBERS, *_DATES, *_PLACES, *_TEXTS))
_SHORTEST = 3
_MOST = 64
_DEEPEST = 6
_SAY_NOTHING = frozenset(
    {"anonymous", "anonym", "anonyme", "unknown", "none", "test", "patient", "hospital", "hopital", "the", "and"}
    | {"dr.", "prof", "les", "des", "van", "von", "der", "den", "del", "saint", "sint", "clinique", "ziekenhuis"}
)
"""Words that stand in such entries and identify nobody; looked for in texts, they would hit everywhere."""


def identity_of(header: Dataset) -> IdentityFound:
    """Return the filled-in identifying entries of *header*, nested ones too, and the words in them."""
    tags = 0
    words: set[str] = set()
    for keyword, value in _entries(header, 0):
        text = str(value).strip()
        if not text:
            continue
        tags += 1
        if keyword in _DATES:
            words.update(birth_dates(text))
        elif keyword in _NAMES or keyword in _NUMBERS or keyword in _PLACES:
            words.update(tokens([text]))
    return IdentityFound(tags=tags, tokens=frozenset(sorted(words)[:_MOST]))


def tokens(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of names and numbers, casefolded and without accents, that are long enough to be looked for."""
    found: set[str] = set()
    for text in texts:
        for word in re.split(r"[^\w.'-]+", plain(text)):
            bare = word.strip(".-_'")
            if len(bare) >= _SHORTEST and bare not in _SAY_NOTHING:
                found.add(bare)
    return frozenset(sorted(found)[:_MOST])


def birth_dates(text: str) -> frozenset[str]:
    """Return the ways in which a DICOM date, YYYYMMDD, is written by people."""
    found = re.match(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", text)
    if found is None:
        return frozenset()
    year, month, day = found.groups()
    written = {f"{year}{month}{day}", f"{year}-{month}-{day}"}
    for mark in ("/", ".", "-"):
        written.add(f"{day}{mark}{month}{mark}{year}")
    return frozenset(written)


def plain(text: str) -> str:
    """Return *text* casefolded and without accents, so that machine's and people's spelling meet."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def mentions(text: str, words: frozenset[str]) -> bool:
    """Say whether one of *words* (from `tokens`) stands in *text*."""
    bare = plain(text)
    return any(word in bare for word in words)


def _entries(dataset: Dataset, depth: int) -> Iterator[tuple[str, object]]:
    """Yield (keyword, value) of the identifying entries; whatever does not read is passed over."""
    for tag in list(dataset.keys()):
        if tag.group in (0x7FE0, 0x5400):
            continue
        try:
            element = dataset[tag]
            keyword, value = element.keyword, element.value
        except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError, EOFError):
            continue
        if isinstance(value, Sequence) and depth < _DEEPEST:
            for item in value:
                yield from _entries(item, depth + 1)
        elif keyword in _IDENTIFYING and value is not None:
            for one in value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]:
                yield keyword, one
