"""Typesets opinions and certificates as PDF/A-3a and PDF/UA-1: the same bytes everywhere for the same values."""

import json
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

import pypdfium2
import typst

from bot.adapters.report import record
from bot.adapters.report.characters import OWN_FONTS, drawable, fallback_fonts
from bot.adapters.report.record import Json
from bot.adapters.report.words import words, written_inami, written_size, written_time
from bot.domain.language import Language
from bot.domain.report import Consent, ErasureCertificate, OpinionReport, Participant

_TEMPLATES = Path(__file__).parent / "templates"
# Both checked by the typesetter itself: it refuses to write a file that breaks a rule that it knows.
_STANDARDS: "list[typst.PDFStandard]" = ["a-3a", "ua-1"]
_CELL = 18
"""Letters after which a word may break in a narrow column."""

_pdfium = Lock()
"""PDFium may be used by one thread at a time."""


@cache
def _fonts() -> typst.Fonts:
    # No fonts of the machine, and none twice: the page must look the same everywhere.
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[OWN_FONTS, fallback_fonts()]
    )


def render_opinion(report: OpinionReport) -> bytes:
    """Return the unsigned PDF of an opinion, A4, with `case.json` attached (AFRelationship Data).

    Any text is possible: what the fonts lack becomes a box with its code. Takes up to 1 s of CPU: call it in a thread.
    """
    return _typeset("opinion.typ", _opinion(report), report.answered_at, record.opinion_json(report))


def render_certificate(certificate: ErasureCertificate) -> bytes:
    """Return the unsigned PDF of an erasure certificate, with `certificate.json` attached: no patient, no names."""
    attached = record.certificate_json(certificate)
    return _typeset("certificate.typ", _certificate(certificate), certificate.erased_at, attached)


def _typeset(template: str, data: dict[str, Json], at: datetime, attached: str) -> bytes:
    # The texts go in as JSON strings, which the templates never read as markup: nothing can be injected.
    return typst.compile(
        _TEMPLATES / template,
        root=_TEMPLATES,
        font_paths=_fonts(),
        format="pdf",
        pdf_standards=_STANDARDS,
        timestamp=int(at.timestamp()),
        sys_inputs={"data": json.dumps(data), "record": attached},
    )


def first_page_png(pdf: bytes, width: int) -> bytes:
    """Return the first page as a PNG of *width* pixels. Blocks: call it in a thread."""
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[0]
            picture = page.render(scale=width / page.get_width()).to_pil()
        finally:
            document.close()
    out = BytesIO()
    size = (width, round(picture.height * width / picture.width))
    picture.convert("RGB").resize(size).save(out, "PNG", optimize=True)
    return out.getvalue()


def _opinion(report: OpinionReport) -> dict[str, Json]:
    language, zone = report.language, ZoneInfo(report.timezone)
    w = words(language)
    patient = report.patient
    declared = report.statements

    def time(at: datetime) -> str:
        return written_time(at, language, zone)

    consent = w[declared.consent.value]
    if declared.consent is Consent.NOT_POSSIBLE:
        consent = f"{consent} {drawable(declared.reason)}"
    return {
        **_frame(report.case_id, report.hospital, language, report.answered_at, zone),
        "version": str(report.version),
        "line": drawable(report.service),
        "supersedes": drawable(report.supersedes, longest=64) if report.supersedes else "",
        "reference": drawable(report.patient.reference),
        "birth_year": str(patient.birth_year),
        "sex": f"{patient.sex.value.upper()} ({w[patient.sex.value]})",
        "running_patient": [
            drawable(patient.reference, longest=_CELL, limit=48),
            str(patient.birth_year),
            patient.sex.value.upper(),
        ],
        "composition": _composition(report, w),
        **{
            part: drawable(getattr(report, part))
            for part in ("decision", "recommendation", "who_does_what", "reasons", "limits", "question", "technology")
        },
        "dissent": [{"name": drawable(d.name), "text": drawable(d.text)} for d in report.dissent],
        "answers": [
            {
                "label": drawable(a.label, longest=_CELL),
                "value": drawable(a.value),
                "source": drawable(w.get(a.source, a.source), longest=_CELL // 2),
                "missing": a.missing,
            }
            for a in report.answered
        ],
        "documents": [
            {
                "n": str(d.n),
                "kind": drawable(d.kind),
                "slot": drawable(d.slot or ""),
                "received": time(d.received_at),
                "size": written_size(d.size, language),
                "sha256": drawable(d.sha256, longest=64),
            }
            for d in report.documents
        ],
        "missing": [drawable(document) for document in report.missing_documents],
        "people": [
            _person(report.requester, w["requester"], ""),
            *(_person(e, w["expert"], time(e.accepted_at) if e.accepted_at else "") for e in report.experts),
        ],
        "times": [
            [w["asked"], time(report.asked_at)],
            [w["submitted"], time(report.submitted_at)],
            [w["answered"], time(report.answered_at)],
        ],
        "statements": [
            consent,
            w["seen" if declared.seen_within_24_months else "not_seen"],
            w["no_emergency" if declared.not_an_emergency else "emergency_unsaid"],
        ],
        "incidents": [f"{time(i.at)} – {drawable(i.text)}" for i in report.incidents],
        "signatories": [_person(s, w["signatory"], "") for s in report.signatories],
    }


def _composition(report: OpinionReport, w: dict[str, str]) -> str:
    """An opinion is "of" its experts by name; a Heart Team only if its composition is complete."""
    names = drawable(", ".join(expert.name for expert in report.experts))
    return f"{w['heart_team']}: {names}" if report.heart_team_complete else f"{w['opinion_of']} {names}"


def _person(person: Participant, part: str, accepted: str) -> dict[str, Json]:
    return {
        "part": part,
        "name": drawable(person.name, longest=_CELL),
        "inami": drawable(written_inami(person.inami), longest=14),
        "function": drawable(person.function, longest=_CELL),
        "institution": drawable(person.institution or "", longest=_CELL),
        "accepted": accepted,
    }


def _frame(case_id: str, hospital: str, language: Language, at: datetime, zone: ZoneInfo) -> dict[str, Json]:
    return {
        "w": dict(words(language)),
        "language": language.value,
        "case": drawable(case_id, limit=40),
        "hospital": drawable(hospital),
        "running_hospital": drawable(hospital, longest=_CELL, limit=48),
        "at": written_time(at, language, zone),
    }


def _certificate(certificate: ErasureCertificate) -> dict[str, Json]:
    language, zone = certificate.language, ZoneInfo(certificate.timezone)
    w = words(language)
    return {
        **_frame(certificate.case_id, certificate.hospital, language, certificate.erased_at, zone),
        "facts": [
            [w["erased_at"], written_time(certificate.erased_at, language, zone)],
            [w["key_destroyed"], written_time(certificate.key_destroyed_at, language, zone)],
            [w["rule"], drawable(certificate.rule)],
        ],
        "counts": [[w[what], str(getattr(certificate, what))] for what in ("rooms", "events", "media", "files")],
        "not_reached": [drawable(what) for what in certificate.not_reached],
        "audit": drawable(certificate.audit_hash, longest=64),
    }
