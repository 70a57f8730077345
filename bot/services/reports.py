"""From a case to its PDF: what the report says, frozen at the first signature, signed and sealed at the last."""

import hashlib
from collections.abc import AsyncIterator, Mapping

from bot.domain.answers import render_value
from bot.domain.case import Case, Report
from bot.domain.effects import Freeze, Seal
from bot.domain.errors import ExternalError
from bot.domain.forms import Answers, How
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.lines import Line
from bot.domain.people import Person
from bot.domain.prompts import (
    BIRTH_YEAR,
    CONSENT_REASON,
    INFORMED,
    NOT_EMERGENCY,
    QUESTION,
    REFERENCE,
    SEEN,
    SEX,
    status,
)
from bot.domain.report import (
    Answered,
    Consent,
    Dissenting,
    DocumentRef,
    Incident,
    OpinionReport,
    Participant,
    PatientLabel,
    Sex,
    Statements,
)
from bot.domain.steps import State
from bot.services.dossier import slots_filled
from bot.services.handover import Handover
from bot.services.opinions import Opinions
from bot.services.ports import Clock, Renderer, ReportMaker, Store, Vault
from bot.services.turn import Cases

_SHOWN_APART = frozenset({REFERENCE, BIRTH_YEAR, SEX, QUESTION, INFORMED, SEEN, NOT_EMERGENCY, CONSENT_REASON})


class Reports:
    """Makes the document that goes into the patient's record."""

    def __init__(
        self,
        *,
        cases: Cases,
        store: Store,
        vault: Vault,
        maker: ReportMaker,
        renderer: Renderer,
        opinions: Opinions,
        handover: Handover,
        clock: Clock,
        hospital: str,
        timezone: str,
        technology: str,
    ) -> None:
        self._cases = cases
        self._store = store
        self._vault = vault
        self._maker = maker
        self._renderer = renderer
        self._opinions = opinions
        self._handover = handover
        self._clock = clock
        self._hospital = hospital
        self._timezone = timezone
        self._technology = technology

    async def freeze(self, effect: Freeze) -> None:
        """Make the PDF of the version that is being signed; a version that was replaced meanwhile is left alone."""
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            people = {p.user_id: p for p in await unit.people()}
        if not _is_current(case, effect.version) or case.frozen is not None:
            return
        pdf = await self._maker.opinion(self.report_of(case, people))
        file_id = _file_id("frozen", effect.version, pdf)
        await self._vault.store(case.id, file_id, _once(pdf))
        report = self._report(effect.version, file_id, pdf)
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            if _is_current(case, effect.version) and case.frozen is None:
                await self._opinions.frozen(unit, case, report)

    async def seal(self, effect: Seal) -> None:
        """Put every signature and the seal on the frozen PDF, and hand it over."""
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            people = {p.user_id: p for p in await unit.people()}
        if case.state is not State.SIGNED or case.draft is None or case.draft.version != effect.version:
            return
        if case.frozen is None:
            await self.freeze(Freeze(case_id=case.id, version=effect.version))
            async with self._store.unit() as unit:
                case = await self._cases.get(unit, effect.case_id)
        if case.frozen is None:
            raise ExternalError("not_frozen_yet")
        frozen = b"".join([chunk async for chunk in self._vault.read(case.id, case.frozen.file_id)])
        words = [(self._participant(case, people, s.by), s.at) for s in case.signatures]
        pdf = await self._maker.sign(frozen, words, sealed_at=self._clock.now())
        file_id = _file_id("sealed", effect.version, pdf)
        await self._vault.store(case.id, file_id, _once(pdf))
        report = self._report(effect.version, file_id, pdf)
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            if case.state is State.SIGNED:
                await self._handover.deliver(unit, case, report)

    def _report(self, version: int, file_id: str, pdf: bytes) -> Report:
        return Report(
            version=version,
            file_id=file_id,
            sha256=hashlib.sha256(pdf).hexdigest(),
            code=self._maker.code(pdf),
            at=self._clock.now(),
        )

    # -- what the report says ------------------------------------------------------------------------------------------

    def report_of(self, case: Case, people: Mapping[UserId, Person]) -> OpinionReport:
        """Return what the PDF of the case's draft says, in the requester's language."""
        line, language, draft = self._cases.line(case), case.language, case.draft
        assert draft is not None  # Nobody signs before there is a draft,
        assert case.submitted_at is not None  # and nobody drafts before the case was submitted.
        now = status(line.form, case.answers, slots_filled(case), today=case.submitted_at.date())
        decision = line.decision(draft.decision) if draft.decision else None
        words = [decision.label(language) if decision else "", draft.decision_text]
        experts = tuple(self._participant(case, people, u) for u in case.expert_ids)
        return OpinionReport(
            case_id=case.id,
            version=draft.version,
            supersedes=case.delivered[-1].sha256 if case.delivered else None,
            language=language,
            line=line.name(language),
            hospital=self._hospital,
            patient=_patient(case.answers),
            requester=self._participant(case, people, case.requester),
            experts=experts,
            signatories=tuple(self._participant(case, people, u) for u in case.signatories),
            asked_at=case.opened_at,
            submitted_at=case.submitted_at,
            answered_at=case.signatures[0].at if case.signatures else draft.at,
            question=str(case.answers.value(QUESTION) or ""),
            answered=self._answered(case, line, language, now.missing_required),
            documents=self._documents(case, line, language),
            missing_documents=tuple(line.form[f].label(language) for f in now.missing_required if line.form[f].is_slot),
            decision="\n".join(w for w in words if w),
            reasons=draft.reasons,
            recommendation=draft.recommendation,
            who_does_what=draft.who_does_what,
            dissent=tuple(
                Dissenting(name=people[d.by].name if d.by in people else "", text=d.text) for d in case.dissents
            ),
            limits=line.limits.get(language, ""),
            statements=_statements(case.answers),
            incidents=tuple(
                Incident(at=at, text=self._renderer.sentence(f"incident_{code}", {}, language))
                for at, code in case.incidents
            ),
            technology=self._technology,
            timezone=self._timezone,
        )

    def _participant(self, case: Case, people: Mapping[UserId, Person], user_id: UserId) -> Participant:
        person = people[user_id]
        expert = next((e for e in case.experts if e.user_id == user_id), None)
        function = expert.function if expert else "requester"
        return Participant(
            name=person.name,
            inami=person.inami or "",
            function=self._renderer.sentence(f"word.function_{function}", {}, case.language),
            institution=self._hospital,
            accepted_at=expert.since if expert else None,
        )

    def _answered(self, case: Case, line: Line, language: Language, missing: tuple[str, ...]) -> tuple[Answered, ...]:
        rows = []
        for one in line.form.fields:
            answer = case.answers.get(one.id)
            if one.is_slot or one.id in _SHOWN_APART or (answer is None and one.id not in missing):
                continue
            rows.append(
                Answered(
                    label=one.label(language),
                    value=render_value(one, answer.value, language) if answer else "",
                    source=answer.how.value if answer else "",
                    missing=answer is None,
                )
            )
        rows += [
            Answered(label=label[language.value], value=value[language.value], source=How.TYPED.value)
            for label, value in case.carried
        ]
        return tuple(rows)

    def _documents(self, case: Case, line: Line, language: Language) -> tuple[DocumentRef, ...]:
        return tuple(
            DocumentRef(
                n=d.n,
                kind=self._renderer.sentence(f"word.kind_{d.kind or 'unknown'}", {}, language),
                slot=line.form[d.slot].label(language) if d.slot and line.form.get(d.slot) else None,
                received_at=d.received_at,
                sha256=d.sha256 or "",
                size=d.size,
            )
            for d in case.shown
        )


def _file_id(stage: str, version: int, pdf: bytes) -> str:
    """Return a name that no other PDF has: a file that was uploaded under it before is never taken for another."""
    return f"opinion-{version}-{stage}-{hashlib.sha256(pdf).hexdigest()[:16]}"


def _is_current(case: Case, version: int) -> bool:
    return case.state in (State.SIGNING, State.SIGNED) and case.draft is not None and case.draft.version == version


def _patient(answers: Answers) -> PatientLabel:
    return PatientLabel(
        reference=str(answers.value(REFERENCE) or ""),
        birth_year=int(str(answers.value(BIRTH_YEAR) or 0)),
        sex=Sex(str(answers.value(SEX) or Sex.OTHER)),
    )


def _statements(answers: Answers) -> Statements:
    agrees = answers.value(INFORMED) is True
    return Statements(
        consent=Consent.AGREES if agrees else Consent.NOT_POSSIBLE,
        seen_within_24_months=answers.value(SEEN) is True,
        not_an_emergency=answers.value(NOT_EMERGENCY) is True,
        reason="" if agrees else str(answers.value(CONSENT_REASON) or ""),
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
