"""Cases and people for the tests of the domain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.case import Assigned, Case
from bot.domain.ids import CaseId, LineId, UserId
from bot.domain.language import Language
from bot.domain.people import Person, Role, Standing
from bot.domain.steps import State
from tests.world import shipped_lines

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LINES = shipped_lines()
RHYTHM = LINES[LineId("rhythmology")]
VALVE = LINES[LineId("valve_heart_team")]
ANNE, BOB, CARL = UserId("@anne:test"), UserId("@bob:test"), UserId("@carl:test")


def a_case(state: State = State.COLLECTING, *, experts: tuple[UserId, ...] = (), **changes: Any) -> Case:
    """Return a case of Anne's on rhythmology."""
    case = Case(
        id=CaseId("C-2026-0001"),
        line=LineId("rhythmology"),
        state=state,
        requester=ANNE,
        language=Language.FR,
        opened_at=NOW,
        touched_at=NOW,
        experts=tuple(Assigned(user_id=user, since=NOW, how="taken", function="expert") for user in experts),
    )
    return replace(case, **changes)


def a_person(user_id: UserId = BOB, *roles: Role, line: str | None = "rhythmology", **changes: Any) -> Person:
    """Return an enrolled physician who answers for a line, or none."""
    person = Person(
        user_id=user_id,
        name="Dr Somebody",
        language=Language.FR,
        standing=Standing.ENROLLED,
        inami="12345625477",
        roles=frozenset(roles or (Role.PHYSICIAN,)),
        lines={LineId(line): "cardiologist"} if line else {},
    )
    return replace(person, **changes)
