"""When something is due, read from a case alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.case import Case, Exchange, Question
from bot.domain.deadlines import ENDED, Rules, answer_by, dues, next_due_at, retention_ends
from bot.domain.steps import State
from tests.unit.domain.making import BOB, DAY, HOUR, NOW, RHYTHM, a_case

RULES = Rules()


def kinds(case: Case) -> list[tuple[str, float]]:
    """Return what is due, and after how many hours from now."""
    return [(due.kind, (due.at - NOW) / HOUR) for due in dues(case, RHYTHM, RULES)]


def waiting(**changes: Any) -> Case:
    """Return a submitted case of 72 hours."""
    return a_case(State.SUBMITTED, submitted_at=NOW, clock_from=NOW, due_at=NOW + 72 * HOUR, **changes)


@pytest.mark.parametrize("urgency, hours", [("routine", 72), ("priority", 24), ("urgent", 4)])
def test_a_line_has_its_own_time_for_each_urgency(urgency: str, hours: int) -> None:
    """Plain hours."""
    assert answer_by(RHYTHM, urgency, NOW) == NOW + hours * HOUR


def test_a_silent_form_is_due_at_three_and_seven_days() -> None:
    """Reminder, then it lapses."""
    assert kinds(a_case()) == [("collecting_reminder", 72), ("lapse", 168)]


@pytest.mark.parametrize("state", [State.SUBMITTED, State.ACCEPTED, State.DRAFTED, State.SIGNING])
def test_a_working_case_is_due_at_half_at_four_fifths_and_at_its_end(state: State) -> None:
    """36 h, 57.6 h and 72 h of 72 h."""
    case = a_case(state, submitted_at=NOW, clock_from=NOW, due_at=NOW + 72 * HOUR)

    assert kinds(case)[:3] == [("deadline_reminder", 36), ("deadline_reminder", 57.6), ("escalation", 72)]


def test_what_was_said_is_not_due_again() -> None:
    """By its key."""
    case = waiting()
    first = dues(case, RHYTHM, RULES)[0]

    assert first not in dues(waiting(said=(first.key,)), RHYTHM, RULES)


def test_while_the_requester_is_asked_only_he_is_reminded() -> None:
    """24 h, 72 h, then the experts may go on after 7 days; no deadline meanwhile."""
    question = Question(n=1, by=BOB, at=NOW, text="?")
    case = waiting(questions=(question,))
    asked = a_case(State.WAITING, questions=case.questions, due_at=case.due_at)

    assert kinds(asked) == [("question_reminder", 24), ("question_reminder", 72), ("answer_incomplete", 168)]


def test_a_delivered_case_closes_after_seven_days() -> None:
    """If nobody acknowledges."""
    assert kinds(a_case(State.DELIVERED, delivered_at=NOW)) == [("close", 168)]


def test_an_open_follow_up_has_a_deadline_of_its_own() -> None:
    """Until it is answered."""
    asked = Exchange(asked_at=NOW, text="?")
    answered = Exchange(asked_at=NOW, text="?", replies=((BOB, "!"),))
    case = a_case(State.CLOSED, followup=asked, followup_due_at=NOW + DAY)

    assert ("followup_reminder", 24) in kinds(case)
    assert kinds(a_case(State.CLOSED, followup=answered, followup_due_at=NOW + DAY)) == []


def closed(**changes: Any) -> Case:
    """Return an acknowledged case."""
    plain: dict[str, Any] = {
        "submitted_at": NOW,
        "delivered_at": NOW,
        "acknowledged_at": NOW,
        "ended_at": NOW,
    } | changes
    return a_case(State.CLOSED, **plain)


def test_a_closed_case_is_warned_of_and_expires_after_its_retention() -> None:
    """14 days; three days and one day before."""
    assert kinds(closed()) == [("expiry_warning", 11 * 24), ("expiry_warning", 13 * 24), ("expire", 14 * 24)]


def test_a_held_case_never_expires() -> None:
    """Nothing is due."""
    assert kinds(closed(held=True)) == []


@pytest.mark.parametrize("times", [1, 2])
def test_each_extension_is_a_week(times: int) -> None:
    """Warnings move too."""
    assert kinds(closed(extended=times))[-1] == ("expire", (14 + 7 * times) * 24)


@pytest.mark.parametrize("state", [State.CANCELLED, State.DECLINED])
def test_what_ended_without_an_opinion_goes_after_four_days(state: State) -> None:
    """The line's retention after cancelling."""
    assert retention_ends(a_case(state, ended_at=NOW), RHYTHM, RULES) == NOW + 4 * DAY


@pytest.mark.parametrize("why", ["emergency", "does_not_agree"])
def test_what_must_go_at_once_goes_at_once_and_unwarned(why: str) -> None:
    """Nothing of it is kept, not even for a day."""
    case = a_case(State.CANCELLED, ended_at=NOW, cancelled_by=why)

    assert kinds(case) == [("expire", 0)]


@given(state=st.sampled_from([s for s in State if s not in ENDED]))
def test_a_case_that_has_not_ended_has_no_retention(state: State) -> None:
    """It counts from the end."""
    assert retention_ends(a_case(state), RHYTHM, RULES) is None


@given(
    state=st.sampled_from(State),
    hours=st.integers(1, 1000),
    held=st.booleans(),
    extended=st.integers(0, 2),
    ended=st.booleans(),
)
def test_the_next_look_is_at_the_first_thing_that_is_due(
    state: State, hours: int, held: bool, extended: int, ended: bool
) -> None:
    """Sorted, and none before its cause: whatever the case is like."""
    case = a_case(
        state,
        submitted_at=NOW,
        clock_from=NOW,
        due_at=NOW + timedelta(hours=hours),
        delivered_at=NOW,
        ended_at=NOW if ended else None,
        held=held,
        extended=extended,
        expiring_at=NOW,
        erasure="marked",
    )
    times: list[datetime] = [due.at for due in dues(case, RHYTHM, RULES)]

    assert times == sorted(times)
    assert all(at >= NOW for at in times)
    assert next_due_at(case, RHYTHM, RULES) == (times[0] if times else None)
