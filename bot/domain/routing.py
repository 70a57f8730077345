"""Which experts a case goes to, and why: pure choices over the people of the line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain.case import Case
from bot.domain.ids import UserId
from bot.domain.lines import Line, RoutingPolicy
from bot.domain.people import Person, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whom to ring, how the line decides, and the reason as a code for the audit and the report."""

    ring: tuple[UserId, ...]
    mode: RoutingPolicy
    reason: str


def available(line: Line, people: Sequence[Person], case: Case, now: datetime) -> tuple[Person, ...]:
    """Return the experts of the line who can be asked: enrolled, not away, not the requester, not having declined."""
    declined = {user for user, _ in case.declined}
    return tuple(
        p
        for p in people
        if p.answers_for(line.id)
        and p.user_id != case.requester
        and p.user_id not in declined
        and (p.away_until is None or p.away_until <= now)
    )


def choose(line: Line, people: Sequence[Person], case: Case, now: datetime) -> Choice:
    """Choose whom to ring. `first`: the first who takes it; `group`: whoever joins, a minimum answers together."""
    ring = tuple(p.user_id for p in available(line, people, case, now))
    reason = "experts_of_line" if ring else "nobody_available"
    return Choice(ring=ring, mode=line.routing.policy, reason=reason)


def coordinators(line: Line, people: Sequence[Person]) -> tuple[UserId, ...]:
    """Return the coordinators of the line, or, where it has none, the admins."""
    own = [p.user_id for p in people if p.may_act and Role.COORDINATOR in p.roles and line.id in p.lines]
    return tuple(own or [p.user_id for p in people if p.may_act and Role.ADMIN in p.roles])


def admins(people: Sequence[Person]) -> tuple[UserId, ...]:
    """Return the admins who can act."""
    return tuple(p.user_id for p in people if p.may_act and Role.ADMIN in p.roles)


def decides_together(line: Line) -> bool:
    """True for lines whose experts answer as a group."""
    return line.routing.policy in (RoutingPolicy.GROUP, RoutingPolicy.PANEL)


def missing_experts(line: Line, case: Case) -> int:
    """Return how many experts must still join before the group may draft."""
    return max(0, line.routing.min_experts - len(case.experts)) if decides_together(line) else 0
