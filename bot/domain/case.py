"""One case: the question about one patient, its documents, its people and its opinion. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from bot.domain.documents import DocumentKind
from bot.domain.forms import Answers
from bot.domain.ids import CaseId, DeviceId, EventId, LineId, UserId
from bot.domain.language import Language
from bot.domain.steps import Actor, State, Step, check


class DocumentState(StrEnum):
    """How far a document is."""

    RECEIVING = "receiving"
    READY = "ready"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A preview of a document, in the vault. `role` is ecg, loop, still, page or thumbnail; sizes in pixels."""

    role: str
    file_id: str
    mime: str
    width: int
    height: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that was dropped into the case, as it came and as it is shown."""

    n: int
    event_id: EventId
    sent_by: UserId
    received_at: datetime
    state: DocumentState
    source: Mapping[str, str | int] = field(repr=False, default_factory=dict)
    """Where its bytes are on the homeserver, with their key, until they are in the vault."""

    size: int = 0
    sha256: str | None = None
    kind: DocumentKind | None = None
    slot: str | None = None
    mime: str = "application/octet-stream"
    file_id: str | None = None
    clean_id: str | None = None
    clean_mime: str | None = None
    pictures: tuple[Picture, ...] = ()
    facts: Mapping[str, str] = field(repr=False, default_factory=dict)
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    identifiers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """An expert of the case: since when, how he came, what he is on the line."""

    user_id: UserId
    since: datetime
    how: str
    """`taken`, `joined`, `brought` or `assigned`."""

    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of the experts to the requester."""

    n: int
    by: UserId
    at: datetime
    text: str = field(repr=False)
    event_id: EventId | None = None
    answers: tuple[str, ...] = field(repr=False, default=())
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One version of the opinion. `decision` is a code of the line, or None for free words."""

    version: int
    by: UserId
    at: datetime
    decision: str | None
    decision_text: str = field(repr=False)
    reasons: str = field(repr=False)
    recommendation: str = field(repr=False)
    who_does_what: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissent:
    """An expert who does not agree, in his own words."""

    by: UserId
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signatory's word for one version, given with a fresh one-time code."""

    by: UserId
    device_id: DeviceId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A PDF of the opinion in the vault. `code` is the short form of the hash that people compare."""

    version: int
    file_id: str
    sha256: str
    code: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The one question that may follow a delivered opinion, and the answers to it."""

    asked_at: datetime
    text: str = field(repr=False)
    replies: tuple[tuple[UserId, str], ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case as it stands. Steps return a new one; nothing here talks to anybody."""

    id: CaseId
    line: LineId
    state: State
    requester: UserId
    language: Language
    opened_at: datetime
    touched_at: datetime
    """The requester's last sign of life while collecting."""

    came_from: State | None = None
    answers: Answers = field(repr=False, default_factory=Answers)
    carried: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = field(repr=False, default=())
    """Label and answer, by language, of what an earlier line had asked and the present one does not."""

    passed: tuple[str, ...] = ()
    """Prompts that were skipped."""

    asked: str | None = None
    """The prompt that is open now."""

    turns: int = 0
    """Messages and taps of the requester, files apart, from `new` to `submitted`."""

    documents: tuple[Document, ...] = ()
    incomplete: bool = False
    """True after `submit anyway`."""

    submitted_at: datetime | None = None
    clock_from: datetime | None = None
    """When the present clock was started; later by the time it stood still."""

    due_at: datetime | None = None
    stopped_at: datetime | None = None
    """When the clock was stopped by a question."""

    rung: tuple[UserId, ...] = ()
    """Experts who were rung for this case."""

    declined: tuple[tuple[UserId, str], ...] = field(repr=False, default=())
    experts: tuple[Assigned, ...] = ()
    former: tuple[UserId, ...] = ()
    questions: tuple[Question, ...] = field(repr=False, default=())
    versions: int = 0
    """Drafts that were written so far; a number is never used twice."""

    draft: Draft | None = field(repr=False, default=None)
    agreed: tuple[UserId, ...] = ()
    dissents: tuple[Dissent, ...] = field(repr=False, default=())
    signatories: tuple[UserId, ...] = ()
    """Who must sign, fixed at the first signature."""

    signatures: tuple[Signature, ...] = ()
    frozen: Report | None = None
    delivered: tuple[Report, ...] = ()
    """Sealed reports, the newest last; each supersedes the one before."""

    signed_at: datetime | None = None
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    followup: Exchange | None = field(repr=False, default=None)
    followup_due_at: datetime | None = None
    survey: Mapping[str, str] | None = None
    ended_at: datetime | None = None
    """When it was closed, declined or cancelled: retention counts from here."""

    cancelled_by: str | None = None
    extended: int = 0
    held_by: tuple[UserId, ...] = ()
    """Admins who ask for a hold; two make it one."""

    released_by: tuple[UserId, ...] = ()
    held: bool = False
    hold_reasons: tuple[str, ...] = field(repr=False, default=())
    warned: bool = False
    """True once a warning of the present expiry was really given."""

    warned_until: datetime | None = None
    """A warning that was missed was given late: nothing is erased before this."""

    expiring_at: datetime | None = None
    """When the present stage of the erasure began."""

    erasure: str | None = None
    """How far the erasure is: marked, redacted, emptied, ordered, kept, gone."""

    redacted: int = 0
    """How many events of the ledger were redacted before the grace; what came later is redacted after it."""

    erased_media: int = 0
    erased_files: int = 0

    said: tuple[str, ...] = ()
    """Reminders that were given for the present clock, so that none is repeated."""

    incidents: tuple[tuple[datetime, str], ...] = ()
    """Technical incidents, by code."""

    def step(self, step: Step, actors: frozenset[Actor]) -> "Case":
        """Return the case in the state that *step* leads to.

        Raises:
            Refusal: the table has no such cell, or it belongs to others.
        """
        cell = check(self.state, step, actors)
        target = cell.to or self.came_from or State.ACCEPTED
        if target is self.state:
            return self
        return replace(self, state=target, came_from=self.state)

    def document(self, n: int) -> Document | None:
        """Return the document with this number."""
        return next((d for d in self.documents if d.n == n), None)

    def with_document(self, document: Document) -> "Case":
        """Return the case with *document* added, or put in the place of the one with the same number."""
        others = tuple(d for d in self.documents if d.n != document.n)
        return replace(self, documents=tuple(sorted((*others, document), key=lambda d: d.n)))

    @property
    def shown(self) -> tuple[Document, ...]:
        """The documents that belong to the dossier."""
        return tuple(d for d in self.documents if d.state is DocumentState.READY)

    @property
    def expert_ids(self) -> tuple[UserId, ...]:
        """The experts in the order in which they came."""
        return tuple(e.user_id for e in self.experts)

    @property
    def open_question(self) -> Question | None:
        """The question that waits for the requester."""
        return next((q for q in reversed(self.questions) if q.done_at is None), None)

    @property
    def unsigned(self) -> tuple[UserId, ...]:
        """Signatories who have not signed the frozen version."""
        signed = {s.by for s in self.signatures}
        return tuple(u for u in self.signatories if u not in signed)
