"""What a person is to a case, and what he may know and read of it."""

import pytest

from bot.domain.errors import Refusal
from bot.domain.people import Person, Role, Standing
from bot.domain.permissions import actors, check_enrolled, check_may_read, check_role, may_know, may_read, steps_for
from bot.domain.steps import Actor, State, Step
from tests.unit.domain.making import ANNE, BOB, CARL, a_case, a_person

WORKING = a_case(State.ACCEPTED, experts=(BOB,))


@pytest.mark.parametrize(
    "person, is_to_it",
    [
        (a_person(ANNE, line=None), {Actor.REQUESTER}),
        (a_person(ANNE), {Actor.REQUESTER}),
        (a_person(ANNE, Role.COORDINATOR), {Actor.REQUESTER}),
        (a_person(BOB), {Actor.ASSIGNED}),
        (a_person(CARL), {Actor.EXPERT}),
        (a_person(CARL, line="dermatology"), set()),
        (a_person(CARL, Role.COORDINATOR, inami=None), {Actor.COORDINATOR}),
        (a_person(CARL, Role.COORDINATOR, inami=None, line="dermatology"), set()),
        (a_person(CARL, Role.PHYSICIAN, Role.CHAIR), {Actor.EXPERT, Actor.CHAIR}),
        (a_person(CARL, Role.ADMIN, inami=None, line=None), {Actor.ADMIN}),
        (a_person(CARL, Role.AUDITOR, inami=None, line=None), set()),
    ],
    ids=lambda _: None,
)
def test_everybody_is_to_a_case_what_the_design_says(person: Person, is_to_it: set[Actor]) -> None:
    """Whoever asks decides nothing about the answer, whatever else he is."""
    assert actors(person, WORKING) == is_to_it


def test_only_requester_and_assigned_experts_read_what_is_clinical() -> None:
    """Expert of the line, coordinator, chair, admin and auditor do not (DESIGN 1)."""
    readers = [a_person(ANNE, line=None), a_person(BOB)]
    others = [
        a_person(CARL),
        *(a_person(CARL, role, inami=None) for role in Role if role is not Role.PHYSICIAN),
    ]

    assert [may_read(person, WORKING) for person in readers] == [True, True]
    assert [may_read(person, WORKING) for person in others] == [False] * len(others)


def test_nobody_reads_an_erased_case() -> None:
    """There is nothing to read."""
    assert not may_read(a_person(ANNE, line=None), a_case(State.ERASED))


def test_coordinators_and_auditors_know_number_and_state_and_admins_do_not() -> None:
    """Admin: counts only; auditor: all cases; coordinator: of the line."""
    known = {role: may_know(a_person(CARL, role, inami=None), WORKING) for role in Role}

    assert known == {
        Role.PHYSICIAN: False,
        Role.COORDINATOR: True,
        Role.CHAIR: False,
        Role.ADMIN: False,
        Role.AUDITOR: True,
    }


def test_whoever_may_not_read_is_refused_without_a_word_about_the_case() -> None:
    """The refusal carries the number and nothing else."""
    with pytest.raises(Refusal) as refused:
        check_may_read(a_person(CARL), WORKING)

    assert (refused.value.code, dict(refused.value.values)) == ("not_your_case", {"case": "C-2026-0001"})


def test_an_expert_who_left_reads_no_more() -> None:
    """`former` gives no right."""
    assert not may_read(a_person(BOB), a_case(State.SUBMITTED, former=(BOB,)))


def test_steps_are_offered_by_what_one_is() -> None:
    """An expert of the line may take; the requester may cancel; neither may do the other's."""
    waiting = a_case(State.SUBMITTED)

    assert {Step.TAKE, Step.DECLINE} <= set(steps_for(a_person(CARL), waiting))
    assert set(steps_for(a_person(ANNE, line=None), waiting)) == {Step.CANCEL}


@pytest.mark.parametrize("standing", [s for s in Standing if s is not Standing.ENROLLED])
def test_whoever_is_not_enrolled_is_told_how_far_he_is(standing: Standing) -> None:
    """One sentence for every standing."""
    with pytest.raises(Refusal) as refused:
        check_enrolled(a_person(standing=standing))

    assert refused.value.code == f"standing_{standing}"


def test_a_role_of_a_suspended_person_is_worth_nothing() -> None:
    """An admin who was suspended is none."""
    check_role(a_person(BOB, Role.ADMIN), Role.ADMIN)
    with pytest.raises(Refusal):
        check_role(a_person(BOB, Role.ADMIN, standing=Standing.SUSPENDED), Role.ADMIN)
