"""The hospital's report maker: it typesets, keeps the keys of signatories and seal, signs and checks, in a thread."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock

from cryptography import x509

from bot.adapters.report import pki, render, signing
from bot.adapters.report.pki import Authority, Credential
from bot.adapters.report.verify import verify
from bot.domain.report import ErasureCertificate, OpinionReport, Participant, Verification
from bot.services.ports import Clock, Secrets


class HospitalReports:
    """Fills the port `ReportMaker`; keys are made when they are first needed, and kept among the program's secrets."""

    def __init__(self, *, secrets: Secrets, clock: Clock, hospital: str) -> None:
        self._secrets = secrets
        self._clock = clock
        self._hospital = hospital
        self._keys = Lock()
        self._authority: Authority | None = None

    async def opinion(self, report: OpinionReport) -> bytes:
        return await asyncio.to_thread(render.render_opinion, report)

    async def sign(
        self, pdf: bytes, signatories: Sequence[tuple[Participant, datetime]], *, sealed_at: datetime
    ) -> bytes:
        return await asyncio.to_thread(self._signed_and_sealed, pdf, tuple(signatories), sealed_at)

    async def certificate(self, certificate: ErasureCertificate) -> bytes:
        return await asyncio.to_thread(self._sealed_certificate, certificate)

    def code(self, pdf: bytes) -> str:
        return signing.frozen_code(pdf)

    async def first_page(self, pdf: bytes, *, width: int) -> bytes:
        """Return the first page as a PNG of *width* pixels."""
        return await asyncio.to_thread(render.first_page_png, pdf, width)

    async def verify(self, pdf: bytes) -> Verification:
        """Check a PDF against this hospital's authority."""
        return await asyncio.to_thread(lambda: verify(pdf, [self.authority().root]))

    def authority(self) -> Authority:
        """Return the hospital's authority; made and kept at the first call."""
        with self._keys:
            return self._loaded_authority()

    def _signed_and_sealed(
        self, pdf: bytes, signatories: tuple[tuple[Participant, datetime], ...], sealed_at: datetime
    ) -> bytes:
        for n, (signatory, at) in enumerate(signatories, 1):
            pdf = signing.sign(pdf, self._signatory(signatory, at), field=f"Signatory{n}", at=at)
        return signing.seal(pdf, self._seal(sealed_at), at=sealed_at)

    def _sealed_certificate(self, certificate: ErasureCertificate) -> bytes:
        sealed_at = self._clock.now()
        return signing.seal(render.render_certificate(certificate), self._seal(sealed_at), at=sealed_at)

    def _signatory(self, signatory: Participant, at: datetime) -> Credential:
        subject = pki.signatory_subject(name=signatory.name, inami=signatory.inami, hospital=self._hospital)
        return self._credential(
            f"signatory-{signatory.inami}",
            subject,
            at,
            lambda authority: pki.issue_signatory(
                authority, name=signatory.name, inami=signatory.inami, hospital=self._hospital, at=at
            ),
        )

    def _seal(self, at: datetime) -> Credential:
        return self._credential(
            "seal",
            pki.seal_subject(self._hospital),
            at,
            lambda authority: pki.issue_seal(authority, hospital=self._hospital, at=at),
        )

    def _credential(
        self, name: str, subject: x509.Name, at: datetime, issue: Callable[[Authority], Credential]
    ) -> Credential:
        """Return the kept credential, or a new one if there is none or it ended or the name changed."""
        with self._keys:
            authority = self._loaded_authority()
            kept = self._secrets.load(f"report-{name}")
            if kept is not None:
                credential = Credential.from_bytes(kept)
                if credential.may_sign(subject, at) and credential.authority == authority.certificate:
                    return credential
            credential = issue(authority)
            self._secrets.save(f"report-{name}", credential.to_bytes())
            return credential

    def _loaded_authority(self) -> Authority:
        if self._authority is None:
            kept = self._secrets.load("report-authority")
            if kept is None:
                self._authority = pki.create_authority(self._hospital, at=self._clock.now() - pki.BEFORE_FIRST_USE)
                self._secrets.save("report-authority", self._authority.to_bytes())
            else:
                self._authority = Authority.from_bytes(kept)
        return self._authority
