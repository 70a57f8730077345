"""Who may: what a person is to a case, and what he may read of it."""

from bot.domain.case import Case
from bot.domain.errors import Refusal
from bot.domain.people import Person, Role, Standing
from bot.domain.steps import Actor, State, Step, check, possible


def actors(person: Person, case: Case) -> frozenset[Actor]:
    """Return everything that *person* is to *case* now."""
    if not person.may_act:
        return frozenset()
    mine: set[Actor] = {Actor.ADMIN} if Role.ADMIN in person.roles else set()
    if person.user_id == case.requester:
        # Whoever asks decides nothing about the answer, whatever else he is.
        return frozenset(mine | {Actor.REQUESTER})
    if person.user_id in case.expert_ids:
        mine.add(Actor.ASSIGNED)
    elif person.answers_for(case.line) or (person.is_physician and person.user_id in case.rung):
        mine.add(Actor.EXPERT)
    if Role.COORDINATOR in person.roles and case.line in person.lines:
        mine.add(Actor.COORDINATOR)
    if Role.CHAIR in person.roles and case.line in person.lines and person.is_physician:
        mine.add(Actor.CHAIR)
    return frozenset(mine)


def steps_for(person: Person, case: Case) -> tuple[Step, ...]:
    """Return what *person* can do to *case* now."""
    return possible(case.state, actors(person, case))


def check_step(person: Person, case: Case, step: Step) -> None:
    """Raise Refusal if *person* may not take *step* now."""
    check(case.state, step, actors(person, case))


def may_know(person: Person, case: Case) -> bool:
    """True if the person may see number, state and deadline of the case."""
    if not person.may_act:
        return False
    return bool(actors(person, case) - {Actor.ADMIN}) or Role.AUDITOR in person.roles


def may_read(person: Person, case: Case) -> bool:
    """True if the person may read what is clinical in the case."""
    return bool(actors(person, case) & {Actor.REQUESTER, Actor.ASSIGNED}) and case.state is not State.ERASED


def check_may_read(person: Person, case: Case) -> None:
    """Raise Refusal("not_your_case") for whoever is not in the case; the words do not tell what it is about."""
    if not may_read(person, case):
        raise Refusal("not_your_case", case=case.id)


def check_role(person: Person, role: Role) -> None:
    """Raise Refusal("role_missing") unless the person is enrolled and has *role*."""
    if not person.may_act or role not in person.roles:
        raise Refusal("role_missing", role=role)


def check_enrolled(person: Person | None) -> Person:
    """Return the person if he is enrolled; raise the Refusal that says what to do next otherwise."""
    if person is None:
        raise Refusal("not_registered")
    if person.standing is not Standing.ENROLLED:
        raise Refusal(f"standing_{person.standing}")
    return person
