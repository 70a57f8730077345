"""Puts the services together around what is outside: the same for the hospital, the lab and the tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from zoneinfo import ZoneInfo

import commands
from bot.chat.command import Commands
from bot.chat.dispatch import Dispatch
from bot.chat.membership import Membership
from bot.chat.render import ChatRenderer
from bot.chat.speech import Speech, Verbs
from bot.domain.deadlines import Rules
from bot.domain.effects import Destroy, DropFiles, EraseMedium, Freeze, OrderErasure, Redact, Seal, TakeIn
from bot.domain.language import Language
from bot.domain.lines import Catalogue
from bot.services.codes import Codes
from bot.services.documents import Documents
from bot.services.enrolment import Enrolment
from bot.services.expiry import Expiry
from bot.services.handover import Handover
from bot.services.intake import Intake
from bot.services.opinions import Opinions
from bot.services.outbox import Outbox
from bot.services.overview import Overview
from bot.services.ports import (
    Clock,
    Counters,
    DocumentReader,
    Eraser,
    Log,
    Mailer,
    OneTimeCodes,
    ReportMaker,
    Rooms,
    Store,
    Vault,
)
from bot.services.reminders import Reminders
from bot.services.reports import Reports
from bot.services.routing import Routing
from bot.services.sending import Sending
from bot.services.turn import Cases

TIMEZONE = "Europe/Brussels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything outside the trade: real adapters, or what a test puts in their place."""

    store: Store
    vault: Vault
    rooms: Rooms
    reader: DocumentReader
    maker: ReportMaker
    mailer: Mailer | None
    eraser: Eraser
    one_time_codes: OneTimeCodes
    clock: Clock
    counters: Counters
    log: Log


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the hospital decided."""

    hospital: str
    emergency_phone: str
    allowed_homeservers: Sequence[str]
    default_language: Language
    rules: Rules
    secret_in_chat: bool
    commands_per_minute: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts that work: what comes in, what goes out, what is due."""

    cases: Cases
    dispatch: Dispatch
    outbox: Outbox
    reminders: Reminders
    commands: Commands
    renderer: ChatRenderer


def build_core(lines: Catalogue, house: House, outside: Outside) -> Core:
    """Put the services together around *outside*."""
    cases = Cases(catalogue=lines, vault=outside.vault, rules=house.rules)
    codes = Codes(outside.one_time_codes)
    routing = Routing(cases)
    enrolment = Enrolment(
        cases=cases,
        routing=routing,
        codes=codes,
        one_time_codes=outside.one_time_codes,
        secret_in_chat=house.secret_in_chat,
        issuer=f"Consilium {house.hospital}",
    )
    intake = Intake(cases=cases, routing=routing, timezone=ZoneInfo(TIMEZONE), emergency_phone=house.emergency_phone)
    opinions = Opinions(cases, codes)
    handover = Handover(cases)
    verbs = Commands(
        commands.build(
            commands.Services(
                cases=cases,
                enrolment=enrolment,
                intake=intake,
                routing=routing,
                opinions=opinions,
                handover=handover,
                overview=Overview(cases, house.emergency_phone),
            )
        )
    )
    renderer = ChatRenderer(
        catalogue=lines,
        timezone=ZoneInfo(TIMEZONE),
        verbs={c.verb: {language: names[0] for language, names in c.names.items()} for c in verbs.all},
    )
    sending = Sending(
        store=outside.store,
        rooms=outside.rooms,
        vault=outside.vault,
        mailer=outside.mailer,
        renderer=renderer,
        clock=outside.clock,
        default_language=house.default_language,
    )
    outbox = Outbox(
        store=outside.store,
        rooms=outside.rooms,
        sending=sending,
        clock=outside.clock,
        counters=outside.counters,
        log=outside.log,
    )
    documents = Documents(
        cases=cases,
        store=outside.store,
        vault=outside.vault,
        rooms=outside.rooms,
        reader=outside.reader,
        intake=intake,
        clock=outside.clock,
    )
    reports = Reports(
        cases=cases,
        store=outside.store,
        vault=outside.vault,
        maker=outside.maker,
        renderer=renderer,
        opinions=opinions,
        handover=handover,
        clock=outside.clock,
        hospital=house.hospital,
        timezone=TIMEZONE,
        technology=f"Consilium {version('consilium')}, Matrix",
    )
    expiry = Expiry(
        cases=cases,
        store=outside.store,
        vault=outside.vault,
        rooms=outside.rooms,
        eraser=outside.eraser,
        clock=outside.clock,
    )
    outbox.handles(TakeIn, documents.take_in)
    outbox.gives_up(TakeIn, documents.give_up)
    outbox.handles(DropFiles, documents.drop)
    outbox.gives_up(Redact, expiry.note_unredacted)
    outbox.handles(Freeze, reports.freeze)
    outbox.handles(Seal, reports.seal)
    outbox.handles(OrderErasure, expiry.order)
    outbox.handles(EraseMedium, expiry.erase_medium)
    outbox.handles(Destroy, expiry.destroy)
    speech = Speech(
        commands=verbs,
        verbs=Verbs(intake=intake, enrolment=enrolment, opinions=opinions, handover=handover),
        counters=outside.counters,
        commands_per_minute=house.commands_per_minute,
    )
    membership = Membership(
        cases=cases,
        clock=outside.clock,
        counters=outside.counters,
        bot=outside.rooms.user_id,
        allowed_homeservers=house.allowed_homeservers,
    )
    dispatch = Dispatch(
        store=outside.store,
        membership=membership,
        speech=speech,
        intake=intake,
        clock=outside.clock,
        counters=outside.counters,
        log=outside.log,
        default_language=house.default_language,
    )
    reminders = Reminders(
        cases=cases,
        store=outside.store,
        routing=routing,
        expiry=expiry,
        clock=outside.clock,
        log=outside.log,
    )
    return Core(cases=cases, dispatch=dispatch, outbox=outbox, reminders=reminders, commands=verbs, renderer=renderer)
