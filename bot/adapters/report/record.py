"""The machine-readable case inside the PDF: `case.json`, written from an opinion, and read back by a check."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.domain.ids import CaseId
from bot.domain.report import DocumentRef, OpinionReport, Participant

NAME = "case.json"
FORMAT = "org.consilium.opinion"
_VERSION = 1

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _person(person: Participant) -> dict[str, Json]:
    return {
        "name": person.name,
        "inami": person.inami,
        "function": person.function,
        "institution": person.institution,
        "accepted_at": _time(person.accepted_at) if person.accepted_at else None,
    }


def written(report: OpinionReport) -> str:
    """Return the opinion as JSON in ASCII (any text fits), the same text for the same opinion."""
    statements = report.statements
    content: dict[str, Json] = {
        "format": FORMAT,
        "v": _VERSION,
        "case": report.case_id,
        "version": report.version,
        "supersedes": report.supersedes,
        "language": report.language.value,
        "line": report.line,
        "hospital": report.hospital,
        "patient": {
            "reference": report.patient.reference,
            "birth_year": report.patient.birth_year,
            "sex": report.patient.sex.value,
        },
        "requester": _person(report.requester),
        "experts": [_person(expert) for expert in report.experts],
        "signatories": [_person(signatory) for signatory in report.signatories],
        "heart_team": report.heart_team_complete,
        "times": {
            "asked": _time(report.asked_at),
            "submitted": _time(report.submitted_at),
            "answered": _time(report.answered_at),
        },
        "question": report.question,
        "answers": [
            {"label": a.label, "value": a.value, "source": a.source, "missing": a.missing} for a in report.answered
        ],
        "documents": [
            {
                "n": d.n,
                "kind": d.kind,
                "slot": d.slot,
                "received_at": _time(d.received_at),
                "sha256": d.sha256,
                "bytes": d.size,
            }
            for d in report.documents
        ],
        "missing_documents": list(report.missing_documents),
        "decision": report.decision,
        "reasons": report.reasons,
        "recommendation": report.recommendation,
        "who_does_what": report.who_does_what,
        "dissent": [{"name": d.name, "text": d.text} for d in report.dissent],
        "limits": report.limits,
        "statements": {
            "consent": statements.consent.value,
            "reason": statements.reason,
            "seen_within_24_months": statements.seen_within_24_months,
            "not_an_emergency": statements.not_an_emergency,
        },
        "incidents": [{"at": _time(i.at), "text": i.text} for i in report.incidents],
        "technology": report.technology,
    }
    return json.dumps(content, indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a check needs of the embedded case."""

    case_id: CaseId
    version: int
    supersedes: str | None
    signatories: tuple[str, ...]
    """INAMI numbers."""

    documents: tuple[DocumentRef, ...]


def read(content: bytes) -> Record | None:
    """Return what stands in a `case.json`, or None if it is none of ours."""
    try:
        found = json.loads(content)
        if found["format"] != FORMAT or found["v"] != _VERSION:
            return None
        return Record(
            case_id=CaseId(str(found["case"])),
            version=int(found["version"]),
            supersedes=None if found["supersedes"] is None else str(found["supersedes"]),
            signatories=tuple(str(person["inami"]) for person in found["signatories"]),
            documents=tuple(
                DocumentRef(
                    n=int(d["n"]),
                    kind=str(d["kind"]),
                    slot=None if d["slot"] is None else str(d["slot"]),
                    received_at=datetime.fromisoformat(d["received_at"]),
                    sha256=str(d["sha256"]),
                    size=int(d["bytes"]),
                )
                for d in found["documents"]
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
