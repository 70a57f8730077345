"""Every verb of the bot, one a file; `build` is the table of contents."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.chat.command import Command
from bot.services.enrolment import Enrolment
from bot.services.handover import Handover
from bot.services.intake import Intake
from bot.services.opinions import Opinions
from bot.services.overview import Overview
from bot.services.routing import Routing
from bot.services.turn import Cases
from commands import (
    acknowledge,
    admin_approve,
    admin_reject,
    admin_suspend,
    agree,
    answer,
    ask,
    assign,
    audit,
    away,
    back,
    bring,
    cancel,
    confirm,
    correct,
    decline,
    dissent,
    done,
    draft,
    email,
    export,
    extend,
    followup,
    form,
    hold,
    inbox,
    join,
    language,
    lines,
    list_cases,
    lock,
    new,
    open_cases,
    original,
    recover,
    refer,
    register,
    release,
    remove,
    resend,
    show,
    sign,
    skip,
    submit,
    submit_anyway,
    survey,
    take,
    unhold,
    unlock,
)
from commands import help as help_verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the verbs call."""

    cases: Cases
    enrolment: Enrolment
    intake: Intake
    routing: Routing
    opinions: Opinions
    handover: Handover
    overview: Overview


def build(s: Services) -> Sequence[Command]:
    """Return all verbs, in the order in which help shows them."""
    verbs: list[Command] = []
    verbs += [
        help_verb.command(s.overview, lambda: verbs),
        register.command(s.enrolment),
        confirm.command(s.enrolment),
        unlock.command(s.enrolment),
        lock.command(s.enrolment),
        recover.command(s.enrolment),
        email.command(s.enrolment),
        language.command(s.enrolment),
        lines.command(s.overview),
        list_cases.command(s.overview),
        show.command(s.cases, s.overview),
        resend.command(s.cases, s.overview),
        original.command(s.cases, s.overview),
        away.command(s.overview),
        open_cases.command(s.overview),
        new.command(s.cases.catalogue, s.intake),
        form.command(s.cases, s.intake),
        skip.command(s.cases, s.intake),
        back.command(s.cases, s.intake),
        submit.command(s.cases, s.intake),
        submit_anyway.command(s.cases, s.intake),
        cancel.command(s.cases, s.intake),
        remove.command(s.cases, s.intake),
        ask.command(s.cases, s.opinions),
        done.command(s.cases, s.opinions),
        draft.command(s.cases, s.opinions),
        agree.command(s.cases, s.opinions),
        dissent.command(s.cases, s.opinions),
        sign.command(s.cases, s.opinions),
        acknowledge.command(s.cases, s.handover),
        followup.command(s.cases, s.handover),
        survey.command(s.cases, s.handover),
        extend.command(s.cases, s.handover),
        correct.command(s.cases, s.handover),
        export.command(s.cases, s.handover),
        answer.command(s.cases, s.intake, s.opinions, s.handover),
        inbox.command(s.routing),
        take.command(s.cases, s.routing),
        join.command(s.cases, s.routing),
        release.command(s.cases, s.routing),
        decline.command(s.cases, s.routing),
        refer.command(s.cases, s.routing),
        bring.command(s.cases, s.routing),
        assign.command(s.cases, s.routing),
        admin_approve.command(s.enrolment),
        admin_reject.command(s.enrolment),
        admin_suspend.command(s.enrolment),
        hold.command(s.cases, s.overview),
        unhold.command(s.cases, s.overview),
        audit.command(s.overview),
    ]
    return verbs
