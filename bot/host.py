"""What is done on the bot's host: the first admin, lists of people, second factors on paper, the audit chain."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import segno

from bot.adapters.clock import SystemClock
from bot.adapters.matrix.glance import glance
from bot.adapters.one_time_codes import AuthenticatorCodes
from bot.adapters.report.maker import HospitalReports
from bot.chat.texts import text
from bot.config import Config
from bot.domain.audit import AuditEvent, first_break
from bot.domain.errors import ConfigError
from bot.domain.ids import CaseId, LineId, UserId
from bot.domain.language import Language
from bot.domain.people import Credential, Person, Role, Standing
from bot.domain.report import ErasureCertificate
from bot.domain.roster import read_roster
from bot.services.enrolment import fingerprint
from bot.services.ports import Unit
from bot.wiring import catalogue, opened_records

Ask = Callable[[str], str]


def _matrix_id(text: str) -> UserId:
    """Return a Matrix id; raises ConfigError if it is none."""
    if not re.fullmatch(r"@[a-z0-9._=/+-]{1,200}:[A-Za-z0-9.:\[\]-]{1,230}", text):
        raise ConfigError(f"{text}: not a Matrix id (@name:server, small letters)")
    return UserId(text)


def _answer(ask: Ask, question: str) -> str:
    """Return what was answered; nothing if there is nobody to answer."""
    try:
        return ask(question).strip().lower()
    except EOFError:
        return ""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


async def add_admin(config: Config, user: str, name: str, email: str | None, language: str, *, ask: Ask) -> None:
    """Make an admin: his identity is compared by voice, then pinned; his second factor is shown once.

    Raises:
        ConfigError: not a Matrix id, no cross-signing identity yet, or the fingerprint was not confirmed.
    """
    user_id = _matrix_id(user)
    async with opened_records(config) as records:
        async with glance(config.homeserver.url, records.secrets) as look:
            identity = await look.identity(user_id)
        if identity.master_key is None:
            raise ConfigError(
                f"{user} has no cross-signing identity: sign in with Element, set up recovery there, then try again"
            )
        _say(f"Fingerprint of {user}:\n\n    {fingerprint(identity.master_key)}\n")
        _say("Call this person on a number that you know and let him read his own (Element: Settings, Encryption).")
        if _answer(ask, "Is it the same? Write yes: ") not in ("yes", "y", "oui", "ja"):
            raise ConfigError("nothing was changed: the fingerprint was not confirmed")
        async with records.store.unit() as unit:
            known = await unit.person(user_id)
            base = known or Person(user_id=user_id, name=name, language=Language(language), standing=Standing.ENROLLED)
            admin = replace(
                base,
                name=name or base.name,
                email=email or base.email,
                standing=Standing.ENROLLED,
                roles=base.roles | {Role.ADMIN},
                master_key=identity.master_key,
            )
            await unit.save_person(admin)
            secret = await _new_secret(unit, user_id)
            await unit.audit(AuditEvent(kind="admin_added", by=None, facts={"user": user_id}))
    _print_secret(user_id, secret, config)


async def _new_secret(unit: Unit, user_id: UserId) -> str:
    secret = AuthenticatorCodes().new_secret()
    await unit.save_credential(Credential(user_id=user_id, secret=secret))
    return secret


def _print_secret(user_id: str, secret: str, config: Config) -> None:
    uri = AuthenticatorCodes().uri(secret, account=user_id, issuer=f"Consilium {config.hospital.name}")
    picture = io.StringIO()
    segno.make(uri).terminal(out=picture, compact=True)
    _say(f"Second factor of {user_id}: scan this with an authenticator app, or copy the key. It is shown only now.\n")
    _say(picture.getvalue())
    _say(f"Key: {' '.join(re.findall('.{1,4}', secret))}")


async def import_people(config: Config, table: Path) -> int:
    """Approve the people of a table beforehand; return how many.

    Raises:
        ConfigError: the table cannot be read, or has mistakes: every bad line is named and nobody is taken.
    """
    try:
        text = await asyncio.to_thread(table.read_text, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{table}: cannot be read as UTF-8 text ({type(error).__name__})") from None
    lines = [line.id for line in catalogue(config)]
    async with opened_records(config) as records, records.store.unit() as unit:
        known = {p.inami[:8]: p.user_id for p in await unit.people() if p.inami and p.standing is not Standing.REJECTED}
        people = read_roster(text, lines=lines, known=known, default=Language(config.languages.default))
        for person in people:
            before = await unit.person(person.user_id)
            if before is not None and before.standing in (Standing.ENROLLED, Standing.SUSPENDED):
                # Whoever is enrolled keeps his identity and his standing; the table changes what he is.
                person = replace(  # noqa: PLW2901  # the same person, brought up to date
                    before,
                    name=person.name,
                    inami=person.inami,
                    email=person.email,
                    language=person.language,
                    roles=person.roles | (before.roles & {Role.ADMIN}),
                    lines=person.lines,
                )
            await unit.save_person(person)
        await unit.audit(AuditEvent(kind="people_imported", by=None, facts={"count": len(people)}))
    return len(people)


async def enrol(config: Config, user: str) -> None:
    """Print the second factor of an approved person, for the enrolment desk; the person then writes `confirm`.

    Raises:
        ConfigError: nobody of that id is approved.
    """
    user_id = _matrix_id(user)
    async with opened_records(config) as records, records.store.unit() as unit:
        person = await unit.person(user_id)
        if person is None or person.standing not in (Standing.APPROVED, Standing.ENROLLED):
            raise ConfigError(f"{user} is not approved: import or approve this person first")
        secret = await _new_secret(unit, user_id)
        await unit.audit(AuditEvent(kind="secret_printed", by=None, facts={"user": user_id}))
    _print_secret(user, secret, config)


async def list_people(config: Config, *, staff: bool) -> None:
    """Print who is known."""
    async with opened_records(config) as records, records.store.unit() as unit:
        for person in await unit.people():
            if person.is_physician is staff:
                continue
            lines = ",".join(f"{line}:{function}" for line, function in person.lines.items())
            roles = ",".join(sorted(person.roles))
            _say("\t".join([person.user_id, person.inami or "-", person.name, person.standing, roles, lines]))


async def add_staff(config: Config, user: str, name: str, roles: Sequence[str], lines: Sequence[str]) -> None:
    """Approve a member of staff (admin, auditor, coordinator), and print the second factor."""
    user_id = _matrix_id(user)
    if not roles:
        raise ConfigError("roles of staff: auditor, coordinator; give at least one")
    known = {line.id for line in catalogue(config)}
    unknown = [line for line in lines if line not in known]
    if unknown:
        raise ConfigError(f"there is no line {', '.join(unknown)}")
    if not set(roles) <= {Role.AUDITOR, Role.COORDINATOR}:
        raise ConfigError("roles of staff: auditor, coordinator (an admin is made with consilium admin add)")
    async with opened_records(config) as records, records.store.unit() as unit:
        if await unit.person(user_id) is not None:
            raise ConfigError(f"{user} is known already: consilium staff list, consilium physicians list")
        await unit.save_person(
            Person(
                user_id=user_id,
                name=name,
                language=Language(config.languages.default),
                standing=Standing.APPROVED,
                roles=frozenset(Role(role) for role in roles),
                lines={LineId(line): "expert" for line in lines},
            )
        )
        secret = await _new_secret(unit, user_id)
        await unit.audit(AuditEvent(kind="staff_added", by=None, facts={"user": user_id}))
    _print_secret(user, secret, config)


async def show_audit(config: Config, count: int) -> bool:
    """Print the newest rows of the audit chain; return whether the chain is whole."""
    async with opened_records(config) as records:
        rows = await records.store.audit_rows()
    for row in rows[-max(1, count) :]:
        facts = " ".join(f"{key}={value}" for key, value in row.event.facts.items())
        event = row.event
        _say("\t".join([str(row.n), row.at.isoformat(), event.kind, event.case_id or "-", event.by or "bot", facts]))
    broken = first_break(rows)
    _say(f"{len(rows)} rows, " + ("unbroken" if broken is None else f"BROKEN at row {broken}"))
    return broken is None


async def roots(config: Config) -> bytes:
    """Return the hospital's signing authority as PEM, for whoever checks opinions elsewhere."""
    async with opened_records(config) as records:
        maker = HospitalReports(secrets=records.secrets, clock=SystemClock(), hospital=config.hospital.name)
        return maker.authority().root_pem


async def certificate(config: Config, case: str) -> bytes:
    """Return the certificate of an erased case as a sealed PDF.

    Raises:
        ConfigError: no certificate of that number.
    """
    async with opened_records(config) as records:
        async with records.store.unit() as unit:
            kept = await unit.value(f"certificate:{case}")
        rows = await records.store.audit_rows()
        if kept is None:
            raise ConfigError(f"there is no certificate of {case}")
        found = json.loads(kept)
        language = Language(found["language"])
        row = next(r for r in reversed(rows) if r.event.kind == "erased" and r.event.case_id == case)
        maker = HospitalReports(secrets=records.secrets, clock=SystemClock(), hospital=config.hospital.name)
        return await maker.certificate(
            ErasureCertificate(
                case_id=CaseId(case),
                language=language,
                hospital=config.hospital.name,
                erased_at=datetime.fromisoformat(found["erased_at"]),
                rule=text(f"word.rule_{found['rule']}", language),
                events=found["events"],
                media=found["media"],
                files=found["files"],
                rooms=found["rooms"],
                not_reached=tuple(text(f"word.not_reached_{code}", language) for code in found["not_reached"]),
                key_destroyed_at=datetime.fromisoformat(found["key_destroyed_at"]),
                audit_hash=row.digest,
            )
        )
