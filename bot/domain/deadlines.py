"""When something is due: a pure reading of the case, so that a missed tick or a restart loses nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.case import Case
from bot.domain.lines import Line, Urgency
from bot.domain.steps import State

SILENCE_REMINDER = timedelta(days=3)
WAITING_REMINDERS = (timedelta(hours=24), timedelta(hours=72))
EVERY_WEEK = timedelta(days=7)
MOST_ESCALATIONS = 52
WAITING_LIMIT = timedelta(days=7)
EXTENSION = timedelta(days=7)
MOST_EXTENSIONS = 2
ERASED_AT_ONCE = ("emergency", "does_not_agree")
"""Requests that end before they began: nothing of them is kept, not even for a day."""

WORKING = (State.SUBMITTED, State.ACCEPTED, State.DRAFTED, State.SIGNING)
WAITING_OR_WORKING = (*WORKING, State.WAITING)
ENDED = (State.CLOSED, State.DECLINED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the hospital decides about times: see `expiry` in the configuration."""

    grace: timedelta = timedelta(hours=24)
    warnings: tuple[timedelta, ...] = (timedelta(days=3), timedelta(days=1))
    unacknowledged: timedelta = timedelta(days=7)
    """After this an opinion that nobody acknowledged is closed and the coordinator told."""

    rooms_of_unacknowledged: timedelta = timedelta(days=14)
    pdf_of_unacknowledged: timedelta = timedelta(days=90)
    most_document_mb: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something to be done at a time. `key` is remembered in the case, so that it is done once for this clock."""

    kind: str
    at: datetime
    key: str


def answer_by(line: Line, urgency: str, start: datetime) -> datetime:
    """Return when the line must have answered a question of this urgency that was asked at *start* (plain hours)."""
    return start + line.deadlines.time_to_answer(Urgency(urgency))


def retention_ends(case: Case, line: Line, rules: Rules) -> datetime | None:
    """Return when a case that has ended is to be erased, or None while it has not ended."""
    if case.ended_at is None:
        return None
    if case.cancelled_by in ERASED_AT_ONCE:
        return case.ended_at
    after = line.retention.after_cancel if case.state is not State.CLOSED else line.retention.after_delivery
    ends = case.ended_at + after
    if case.state is State.CLOSED and case.acknowledged_at is None and case.delivered_at is not None:
        ends = max(ends, case.delivered_at + rules.rooms_of_unacknowledged)
    if case.followup is not None and not case.followup.replies and case.followup_due_at is not None:
        ends = max(ends, case.followup_due_at + timedelta(days=1))
    ends += case.extended * EXTENSION
    return max(ends, case.warned_until) if case.warned_until is not None else ends


def dues(case: Case, line: Line, rules: Rules) -> tuple[Due, ...]:
    """Return everything that is still to come for the case, the earliest first."""
    planned = [*_waiting_for_people(case, line, rules), *_ending(case, line, rules)]
    return tuple(sorted((d for d in planned if d.key not in case.said), key=lambda d: d.at))


def _due(kind: str, at: datetime) -> Due:
    return Due(kind=kind, at=at, key=f"{kind}@{at.isoformat()}")


def _waiting_for_people(case: Case, line: Line, rules: Rules) -> list[Due]:
    match case.state:
        case State.COLLECTING:
            limit = case.touched_at + line.retention.collecting_silence
            return [_due("collecting_reminder", case.touched_at + SILENCE_REMINDER), _due("lapse", limit)]
        case State.WAITING:
            question = case.open_question
            start = question.at if question else case.touched_at
            return [
                *(_due("question_reminder", start + wait) for wait in WAITING_REMINDERS),
                _due("answer_incomplete", start + WAITING_LIMIT),
            ]
        case State.SUBMITTED | State.ACCEPTED | State.DRAFTED | State.SIGNING if case.due_at and case.clock_from:
            whole = case.due_at - case.clock_from
            reminders = [
                Due(kind="deadline_reminder", at=case.clock_from + whole * f, key=f"deadline_reminder:{f}")
                for f in line.deadlines.reminders
            ]
            # Once when the time is over, then every week: a case that nobody answers is never forgotten.
            weeks = [
                Due(kind="escalation", at=case.due_at + week * EVERY_WEEK, key=f"escalation:{week}")
                for week in range(MOST_ESCALATIONS)
            ]
            return [*reminders, *weeks]
        case State.DELIVERED if case.delivered_at:
            return [_due("close", case.delivered_at + rules.unacknowledged)]
    return []


def _ending(case: Case, line: Line, rules: Rules) -> list[Due]:
    if (
        case.state in (State.DELIVERED, State.CLOSED)
        and case.followup_due_at
        and not (case.followup and case.followup.replies)
    ):
        followup = [_due("followup_reminder", case.followup_due_at)]
    else:
        followup = []
    if case.held:
        return followup
    ends = retention_ends(case, line, rules) if case.state in ENDED else None
    if ends is not None:
        # An ended case that nobody ever submitted or that was withdrawn at once needs no warnings: nothing is lost.
        warned = (
            []
            if case.submitted_at is None or case.warned_until
            else [_due("expiry_warning", ends - before) for before in rules.warnings]
        )
        return [*followup, *warned, _due("expire", ends)]
    if case.state is State.EXPIRING and case.expiring_at is not None:
        if case.erasure == "kept" and case.delivered_at is not None:
            return [_due("erasure", case.delivered_at + rules.pdf_of_unacknowledged)]
        at_once = case.cancelled_by in ERASED_AT_ONCE
        wait = rules.grace if case.erasure == "redacted" and not at_once else timedelta(0)
        return [Due(kind="erasure", at=case.expiring_at + wait, key=f"erasure:{case.erasure}")]
    return followup


def next_due_at(case: Case, line: Line, rules: Rules) -> datetime | None:
    """Return when the sweep must look at the case again."""
    coming = dues(case, line, rules)
    return coming[0].at if coming else None
