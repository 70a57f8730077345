"""Whom a case goes to: pure choices over the people of a line."""

from bot.domain.people import Role, Standing
from bot.domain.routing import admins, available, choose, coordinators, decides_together, missing_experts
from bot.domain.steps import State
from tests.unit.domain.making import ANNE, BOB, CARL, DAY, NOW, RHYTHM, VALVE, a_case, a_person

CASE = a_case(State.SUBMITTED)


def test_every_expert_of_the_line_is_rung_but_the_requester() -> None:
    """In the order of the people; others are not."""
    people = [a_person(ANNE), a_person(BOB), a_person(CARL, line="dermatology")]

    assert choose(RHYTHM, people, CASE, NOW).ring == (BOB,)
    assert choose(RHYTHM, people, CASE, NOW).reason == "experts_of_line"


def test_whoever_declined_is_away_or_suspended_or_is_staff_is_not_rung() -> None:
    """Nobody is left: that is a reason of its own."""
    people = [
        a_person(BOB, away_until=NOW + DAY),
        a_person(CARL, standing=Standing.SUSPENDED),
        a_person(ANNE, Role.COORDINATOR, inami=None),
    ]
    declined = a_case(State.SUBMITTED, declined=((BOB, "no"),))

    assert choose(RHYTHM, people, CASE, NOW).reason == "nobody_available"
    assert available(RHYTHM, [a_person(BOB)], declined, NOW) == ()


def test_whoever_is_back_is_rung_again() -> None:
    """`away` ends at its time."""
    assert available(RHYTHM, [a_person(BOB, away_until=NOW)], CASE, NOW) != ()


def test_a_line_without_coordinators_has_the_admins() -> None:
    """Somebody is always told."""
    boss = a_person(CARL, Role.ADMIN, inami=None, line=None)
    cora = a_person(BOB, Role.COORDINATOR, inami=None)

    assert coordinators(RHYTHM, [boss, cora]) == (BOB,)
    assert coordinators(VALVE, [boss, cora]) == (CARL,)
    assert admins([boss, cora]) == (CARL,)


def test_a_group_needs_its_number_of_experts() -> None:
    """The valve line two; rhythmology decides alone."""
    counts = [missing_experts(VALVE, a_case(State.ACCEPTED, experts=users)) for users in ((), (BOB,), (BOB, CARL))]

    assert counts == [2, 1, 0]
    assert missing_experts(RHYTHM, CASE) == 0
    assert [decides_together(line) for line in (RHYTHM, VALVE)] == [False, True]
