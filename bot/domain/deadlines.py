"""When something is due: a pure reading of the case, so that a missed tick or a restart loses nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.case import Case
from bot.domain.lines import Line, Urgency
from bot.domain.steps import State

SILENCE_REMINDER = timedelta(days=3)
WAITING_REMINDERS = (timedelta(hours=24), timedelta(hours=72))
WAITING_LIMIT = timedelta(days=7)
UNACKNOWLEDGED = timedelta(days=7)
ROOMS_OF_UNACKNOWLEDGED = timedelta(days=14)
PDF_OF_UNACKNOWLEDGED = timedelta(days=90)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something to be done at a time. `key` is remembered in the case, so that it is done once for this clock."""

    kind: str
    at: datetime
    key: str


def answer_by(line: Line, urgency: str, start: datetime) -> datetime:
    """Return when the line must have answered a question of this urgency that was asked at *start* (plain hours)."""
    return start + line.deadlines.time_to_answer(Urgency(urgency))


def retention_ends(case: Case, line: Line) -> datetime | None:
    """Return when a case that has ended is to be erased, or None while it has not ended."""
    if case.ended_at is None:
        return None
    if case.cancelled_by in ERASED_AT_ONCE:
        return case.ended_at
    after = line.retention.after_cancel if case.state is not State.CLOSED else line.retention.after_delivery
    ends = case.ended_at + after
    if case.state is State.CLOSED and case.acknowledged_at is None and case.delivered_at is not None:
        ends = max(ends, case.delivered_at + ROOMS_OF_UNACKNOWLEDGED)
    return ends + case.extended * EXTENSION


def dues(case: Case, line: Line, rules: Rules) -> tuple[Due, ...]:
    """Return everything that is still to come for the case, the earliest first."""
    planned = [*_waiting_for_people(case, line), *_ending(case, line, rules)]
    return tuple(sorted((d for d in planned if d.key not in case.said), key=lambda d: d.at))


def _due(kind: str, at: datetime) -> Due:
    return Due(kind=kind, at=at, key=f"{kind}@{at.isoformat()}")


def _waiting_for_people(case: Case, line: Line) -> list[Due]:
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
        case State.SUBMITTED | State.ACCEPTED | State.DRAFTED | State.SIGNING if case.due_at and case.submitted_at:
            whole = case.due_at - case.submitted_at
            reminders = [_due("deadline_reminder", case.submitted_at + whole * f) for f in line.deadlines.reminders]
            return [*reminders, _due("escalation", case.due_at)]
        case State.DELIVERED if case.delivered_at:
            return [_due("close", case.delivered_at + UNACKNOWLEDGED)]
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
    ends = retention_ends(case, line) if case.state in ENDED else None
    if ends is not None:
        # An ended case that nobody ever submitted or that was withdrawn at once needs no warnings: nothing is lost.
        warned = (
            [] if case.submitted_at is None else [_due("expiry_warning", ends - before) for before in rules.warnings]
        )
        return [*followup, *warned, _due("expire", ends)]
    if case.state is State.EXPIRING and case.expiring_at is not None:
        if case.erasure == "kept" and case.delivered_at is not None:
            return [_due("erasure", case.delivered_at + PDF_OF_UNACKNOWLEDGED)]
        wait = rules.grace if case.erasure == "redacted" else timedelta(0)
        return [Due(kind="erasure", at=case.expiring_at + wait, key=f"erasure:{case.erasure}")]
    return followup


def next_due_at(case: Case, line: Line, rules: Rules) -> datetime | None:
    """Return when the sweep must look at the case again."""
    coming = dues(case, line, rules)
    return coming[0].at if coming else None
