"""Synthetic opinions and certificates, and a report maker without typesetting and keys."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from bot.domain.ids import CaseId
from bot.domain.language import Language
from bot.domain.report import (
    Answered,
    Consent,
    Dissenting,
    DocumentRef,
    ErasureCertificate,
    Incident,
    OpinionReport,
    Participant,
    PatientLabel,
    Sex,
    Statements,
)

ASKED = datetime(2026, 3, 2, 8, 12, tzinfo=UTC)
ANSWERED = ASKED + timedelta(days=1, hours=6, minutes=31)

REQUESTER = Participant(
    name="Dr Anne Lambert", inami="19999915003", function="Cardiologie", institution="Clinique Sainte-Élisabeth"
)
EXPERT = Participant(
    name="Dr Bram Peeters",
    inami="12345625730",
    function="Rythmologie interventionnelle",
    institution="Hôpital universitaire",
    accepted_at=ASKED + timedelta(hours=2),
)
SECOND = Participant(
    name="Pr Claire Dubois",
    inami="19999973003",
    function="Imagerie cardiaque",
    institution="Hôpital universitaire",
    accepted_at=ASKED + timedelta(hours=5),
)
THIRD = Participant(
    name="Dr Dirk Wouters",
    inami="12345676730",
    function="Chirurgie cardiaque",
    institution="Hôpital universitaire",
    accepted_at=ASKED + timedelta(hours=6),
)


def an_opinion(**changes: Any) -> OpinionReport:
    """Build a French opinion of two experts of rhythmology, with *changes*."""
    fields: dict[str, Any] = {
        "case_id": CaseId("C-2026-0007"),
        "version": 1,
        "supersedes": None,
        "language": Language.FR,
        "line": "Rythmologie",
        "hospital": "Hôpital universitaire de démonstration",
        "patient": PatientLabel(reference="4711", birth_year=1958, sex=Sex.FEMALE),
        "requester": REQUESTER,
        "experts": (EXPERT, SECOND),
        "signatories": (EXPERT, SECOND),
        "asked_at": ASKED,
        "submitted_at": ASKED + timedelta(minutes=38),
        "answered_at": ANSWERED,
        "question": (
            "Fibrillation auriculaire persistante depuis 9 mois, symptomatique malgré l’amiodarone. "
            "L’ablation est-elle indiquée en première intention, ou faut-il d’abord tenter une nouvelle cardioversion ?"
        ),
        "answered": (
            Answered(label="Symptômes (EHRA)", value="III", source="typed"),
            Answered(label="FEVG", value="45 %", source="typed"),
            Answered(label="Diamètre de l’oreillette gauche", value="47 mm", source="letter"),
            Answered(label="Anticoagulation", value="Apixaban 5 mg 2×/j depuis le 14/02/2025", source="typed"),
            Answered(label="CHA₂DS₂-VASc", value="3 (relevé par le demandeur)", source="typed"),
            Answered(label="TSH", value="", source="", missing=True),
        ),
        "documents": (
            DocumentRef(
                n=1,
                kind="ECG",
                slot="ECG 12 dérivations",
                received_at=ASKED + timedelta(minutes=9),
                sha256="72f1cb0e65e8023321acdaa5425c44125cd507f5aaa148f7fe10516e1d2e688a",
                size=291_088,
            ),
            DocumentRef(
                n=2,
                kind="Échographie",
                slot="Boucle apicale 4 cavités",
                received_at=ASKED + timedelta(minutes=14),
                sha256="c8798b8abf8ae0a18e8c9952e7c7f75f3cc8465234b1b63f9e3ba3bebb9d5625",
                size=6_143_990,
            ),
        ),
        "missing_documents": ("Holter de 24 h",),
        "decision": "Ablation par isolation des veines pulmonaires indiquée",
        "reasons": (
            "FA persistante symptomatique (EHRA III), échec d’un antiarythmique de classe III, oreillette gauche "
            "modérément dilatée. Le bénéfice attendu sur les symptômes et sur la fonction ventriculaire l’emporte sur "
            "le risque d’une procédure.\n\nUne nouvelle cardioversion seule exposerait à une récidive précoce."
        ),
        "recommendation": (
            "Isolation des veines pulmonaires dans les 8 semaines. Poursuivre l’apixaban sans interruption. "
            "Dosage de la TSH avant la procédure (amiodarone)."
        ),
        "who_does_what": (
            "Demandeur : TSH et fonction rénale cette semaine, information du patient.\n"
            "Rythmologie : consultation et date de procédure.\nMédecin traitant : suivi de l’anticoagulation."
        ),
        "limits": "Avis rendu sur documents seuls : le patient n’a pas été examiné par les experts.",
        "statements": Statements(consent=Consent.AGREES, seen_within_24_months=True, not_an_emergency=True),
        "technology": "Salon Matrix chiffré de bout en bout, application Element, Consilium 0.1.0",
    }
    return OpinionReport(**(fields | changes))


def a_panel_opinion(**changes: Any) -> OpinionReport:
    """Build an opinion of three experts, with a dissent and an incident."""
    more: dict[str, Any] = {
        "experts": (EXPERT, SECOND, THIRD),
        "signatories": (EXPERT, SECOND, THIRD),
        "dissent": (Dissenting(name=THIRD.name, text="Je préférerais une ablation hybride, vu la durée de la FA."),),
        "incidents": (Incident(at=ASKED + timedelta(hours=3), text="Serveur injoignable pendant 12 minutes."),),
    }
    return an_opinion(**(more | changes))


def a_certificate(**changes: Any) -> ErasureCertificate:
    """Build an erasure certificate, with *changes*."""
    fields: dict[str, Any] = {
        "case_id": CaseId("C-2026-0007"),
        "language": Language.FR,
        "hospital": "Hôpital universitaire de démonstration",
        "erased_at": ANSWERED + timedelta(days=30),
        "rule": "30 jours après la remise de l’avis",
        "events": 148,
        "media": 9,
        "files": 12,
        "rooms": 2,
        "not_reached": ("Copies que les participants ont gardées sur leurs appareils",),
        "key_destroyed_at": ANSWERED + timedelta(days=30),
        "audit_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }
    return ErasureCertificate(**(fields | changes))


def drawn_over(pdf: bytes) -> bytes:
    """Append a revision that paints a box on page one: every signed byte stays, and the page shows something else."""
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    paint = generic.StreamObject(stream_data=b"0 0 0 rg 50 500 300 100 re f")
    writer.add_stream_to_page(0, writer.add_object(paint))  # type: ignore[no-untyped-call]  # untyped in the library
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    return out.getvalue()


class PlainReports:
    """Fills the port `ReportMaker` with JSON in place of PDF: what it says can be read back in a test."""

    async def opinion(self, report: OpinionReport) -> bytes:
        return b"%PDF-fake\n" + json.dumps(asdict(report), default=str, sort_keys=True).encode()

    async def sign(
        self, pdf: bytes, signatories: Sequence[tuple[Participant, datetime]], *, sealed_at: datetime
    ) -> bytes:
        signed = [f"\nsigned {signatory.inami} {at.isoformat()}" for signatory, at in signatories]
        return pdf + "".join((*signed, f"\nsealed {sealed_at.isoformat()}")).encode()

    async def certificate(self, certificate: ErasureCertificate) -> bytes:
        return b"%PDF-fake\n" + json.dumps(asdict(certificate), default=str, sort_keys=True).encode() + b"\nsealed"

    def code(self, pdf: bytes) -> str:
        digest = hashlib.sha256(pdf).hexdigest().upper()
        return f"{digest[:4]}-{digest[4:8]}"
