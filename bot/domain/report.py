"""What the signed opinion and the erasure certificate say, and what a check of a signed PDF found. Values only."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.domain.ids import CaseId
from bot.domain.language import Language

_HEART_TEAM = re.compile(r"[\s-]*heart[\s-]*team[\s-]*", re.IGNORECASE)


class Sex(StrEnum):
    """The patient's sex, as the requester wrote it."""

    FEMALE = "f"
    MALE = "m"
    OTHER = "x"


class Consent(StrEnum):
    """What the requester declared of the patient's consent."""

    AGREES = "agrees"
    NOT_POSSIBLE = "not_possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLabel:
    """The patient as every page names him: a reference of the requester's hospital, year of birth, sex."""

    reference: str = field(repr=False)
    birth_year: int = field(repr=False)
    sex: Sex = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A physician who asks or answers. `inami` is 11 digits; `function` is what he is on the line, or his specialty."""

    name: str
    inami: str
    function: str
    institution: str | None = None
    accepted_at: datetime | None = None
    """When an expert took the case or joined it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One field of the form: its label, the answer in words, where it came from; `missing` if it was needed."""

    label: str
    value: str = field(repr=False)
    source: str
    """`typed`, `tap`, `letter` or `machine`; another word is printed as it is."""

    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRef:
    """A document that the opinion rests on. `sha256` is hex, of the file as it was sent; `size` in bytes."""

    n: int
    kind: str
    slot: str | None
    received_at: datetime
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissenting:
    """An expert who does not agree, in his own words."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A technical incident while the case was open (French public health code, R.6316-4, 5°)."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What the requester declared before submitting; `reason` says why consent was not possible."""

    consent: Consent
    seen_within_24_months: bool
    not_an_emergency: bool
    reason: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionReport:
    """Everything that the PDF of an opinion says; labels and free text are already in `language`.

    The list follows the Belgian royal decree of 27 March 2025 and the French public health code, R.6316-4.
    """

    case_id: CaseId
    version: int
    supersedes: str | None
    """SHA-256 (hex) of the sealed PDF that this version replaces."""

    language: Language
    line: str
    hospital: str
    patient: PatientLabel
    requester: Participant
    experts: tuple[Participant, ...]
    signatories: tuple[Participant, ...]
    """Whose signatures the opinion needs: the seal is put when all are there."""

    asked_at: datetime
    submitted_at: datetime
    answered_at: datetime
    """When this version was frozen; also the creation date of the PDF."""

    question: str = field(repr=False)
    answered: tuple[Answered, ...]
    documents: tuple[DocumentRef, ...]
    missing_documents: tuple[str, ...]
    decision: str = field(repr=False)
    reasons: str = field(repr=False)
    recommendation: str = field(repr=False)
    who_does_what: str = field(repr=False)
    dissent: tuple[Dissenting, ...] = ()
    limits: str
    statements: Statements
    incidents: tuple[Incident, ...] = ()
    technology: str
    timezone: str = "Europe/Brussels"
    heart_team_complete: bool = False
    """True only for a panel whose composition is complete: else the opinion is "of" its experts by name."""

    @property
    def service(self) -> str:
        """Return the line as the opinion names it: its name says "Heart Team" only if the composition is complete."""
        return self.line if self.heart_team_complete else " ".join(_HEART_TEAM.sub(" ", self.line).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCertificate:
    """What remains of an erased case: that it was erased, under which rule, how much, and what could not be reached."""

    case_id: CaseId
    language: Language
    hospital: str
    erased_at: datetime
    rule: str
    events: int
    media: int
    files: int
    rooms: int
    not_reached: tuple[str, ...]
    """What stayed, in words: a phone's own copies, a room that the homeserver would not delete."""

    key_destroyed_at: datetime
    audit_hash: str
    timezone: str = "Europe/Brussels"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """One signature of a PDF, as it was checked. `inami` is None for the hospital's seal."""

    name: str
    inami: str | None
    signed_at: datetime | None
    """The time that the hospital's server wrote; a time stamp authority does not vouch for it."""

    intact: bool
    """The bytes that it covers are those that were signed."""

    trusted: bool
    """Its certificate was issued by one of the given authorities and was valid at `signed_at`."""

    unchanged: bool
    """Nothing but further signatures was added to the file after it."""

    covers_file: bool
    """It covers the whole file as it is now."""

    @property
    def is_good(self) -> bool:
        """True if it holds in every respect (a signature that was followed by others does not cover the whole file)."""
        return self.intact and self.trusted and self.unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of a signed PDF found. Nothing that the file says may be believed unless `ok`."""

    ok: bool
    sealed: bool
    changed_after_seal: bool
    signatures: tuple[SignatureCheck, ...]
    unsigned: tuple[str, ...]
    """INAMI numbers of signatories that the opinion names and that have not signed."""

    problems: tuple[str, ...]
    """Codes: no_pdf, damaged, changed, untrusted, not_sealed, changed_after_seal, signature_missing, no_record."""

    kind: str | None = None
    """`opinion` or `erasure`, as the file inside says; this and what follows is None unless every signature is good."""

    case_id: CaseId | None = None
    version: int | None = None
    supersedes: str | None = None
    documents: tuple[DocumentRef, ...] = ()
