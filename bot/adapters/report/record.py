"""The machine-readable file inside each PDF, `case.json` or `certificate.json`: written, and read back by a check."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.domain.ids import CaseId
from bot.domain.report import DocumentRef, ErasureCertificate, OpinionReport, Participant

NAMES = ("case.json", "certificate.json")
OPINION = "org.consilium.opinion"
ERASURE = "org.consilium.erasure"
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


def opinion_json(report: OpinionReport) -> str:
    """Return the opinion as JSON in ASCII (any text fits), the same text for the same opinion."""
    statements = report.statements
    content: dict[str, Json] = {
        "format": OPINION,
        "v": _VERSION,
        "case": report.case_id,
        "version": report.version,
        "supersedes": report.supersedes,
        "language": report.language.value,
        "line": report.service,
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


def certificate_json(certificate: ErasureCertificate) -> str:
    """Return the certificate as JSON in ASCII, the same text for the same certificate."""
    content: dict[str, Json] = {
        "format": ERASURE,
        "v": _VERSION,
        "case": certificate.case_id,
        "hospital": certificate.hospital,
        "erased_at": _time(certificate.erased_at),
        "key_destroyed_at": _time(certificate.key_destroyed_at),
        "rule": certificate.rule,
        "erased": {
            "rooms": certificate.rooms,
            "events": certificate.events,
            "media": certificate.media,
            "files": certificate.files,
        },
        "not_reached": list(certificate.not_reached),
        "audit_sha256": certificate.audit_hash,
    }
    return json.dumps(content, indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a check needs of the embedded file."""

    kind: str
    """`opinion` or `erasure`."""

    case_id: CaseId
    version: int | None = None
    supersedes: str | None = None
    signatories: tuple[str, ...] = ()
    """INAMI numbers."""

    documents: tuple[DocumentRef, ...] = ()


def read(content: bytes) -> Record | None:
    """Return what stands in the embedded file, or None if it is none of ours."""
    try:
        found = json.loads(content)
        if found["v"] != _VERSION:
            return None
        case_id = CaseId(str(found["case"]))
        match found["format"]:
            case str(kind) if kind == ERASURE:
                return Record(kind="erasure", case_id=case_id)
            case str(kind) if kind == OPINION:
                return _read_opinion(found, case_id)
            case _:
                return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_opinion(found: dict[str, Any], case_id: CaseId) -> Record:
    return Record(
        kind="opinion",
        case_id=case_id,
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
