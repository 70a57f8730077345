"""The table of steps: every cell, filled or empty, and the diagram that is made from it."""

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.domain import steps
from bot.domain.case import Case
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, LineId, UserId
from bot.domain.language import Language
from bot.domain.people import Person, Role, Standing
from bot.domain.permissions import actors, may_know, may_read
from bot.domain.steps import TABLE, Actor, State, Step, check, diagram, possible

DOCS = Path(steps.__file__).parents[2] / "docs"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVERY_CELL = tuple(itertools.product(State, Step, Actor))
GOES_BACK = State.DRAFTED

# The table of the design, written down a second time: from, step, who, to ("=" stays, "<" goes back to where it came).
DESIGN = """
collecting answer requester =
collecting submit requester submitted
collecting cancel requester cancelled
collecting lapse bot cancelled
submitted take,join expert accepted
submitted assign coordinator,chair accepted
submitted decline expert =
submitted exhaust bot declined
submitted refer coordinator,chair submitted
accepted refer assigned,coordinator,chair submitted
accepted,waiting_for_requester,drafted,signing release assigned,coordinator submitted
accepted,drafted ask assigned waiting_for_requester
waiting_for_requester answer requester =
waiting_for_requester done requester <
waiting_for_requester draft assigned drafted
accepted,drafted,signing draft assigned drafted
drafted agree,dissent assigned =
drafted sign assigned signing
signing sign assigned =
signing complete bot signed
signed deliver bot delivered
delivered acknowledge requester closed
delivered close bot closed
closed acknowledge requester =
delivered,closed followup,survey,extend requester =
delivered,closed reply assigned =
delivered,closed correct assigned drafted
declined,cancelled extend requester =
submitted,accepted,waiting_for_requester,drafted,signing cancel requester cancelled
accepted,drafted,waiting_for_requester join expert =
accepted,drafted,waiting_for_requester bring assigned,coordinator,chair =
closed,declined,cancelled expire bot expiring
expiring erase bot erased
"""


def designed() -> dict[tuple[State, Step], tuple[frozenset[Actor], str]]:
    """Return the design's table, each cell with who may and where it leads."""
    cells: dict[tuple[State, Step], tuple[frozenset[Actor], str]] = {}
    for row in DESIGN.split("\n"):
        if not row:
            continue
        states, verbs, who, to = row.split()
        for state, step in itertools.product(states.split(","), verbs.split(",")):
            cells[State(state), Step(step)] = (frozenset(Actor(one) for one in who.split(",")), to)
    before_expiring = [state for state in State if state not in (State.EXPIRING, State.ERASED)]
    for state, step in itertools.product(before_expiring, (Step.HOLD, Step.UNHOLD)):
        cells[state, step] = (frozenset({Actor.ADMIN}), "=")
    return cells


def a_case(state: State) -> Case:
    """Return a case in a state, which came from a draft."""
    return Case(
        id=CaseId("C-2026-0001"),
        line=LineId("rhythmology"),
        state=state,
        requester=UserId("@anne:test"),
        language=Language.FR,
        opened_at=NOW,
        touched_at=NOW,
        came_from=GOES_BACK,
    )


def expected(state: State, step: Step, actor: Actor) -> State | None:
    """Return where the design leads this actor, or None for a refusal."""
    who, to = designed().get((state, step), (frozenset(), "="))
    if actor not in who:
        return None
    return {"=": state, "<": GOES_BACK}.get(to) or State(to)


def outcome(state: State, step: Step, actor: Actor) -> State | None:
    """Return where a case goes, or None if it is refused; a refusal must say what can be done instead."""
    try:
        return a_case(state).step(step, frozenset({actor})).state
    except Refusal as refused:
        return None if _helps(refused, state, step, actor) else State.ERASED


def _helps(refused: Refusal, state: State, step: Step, actor: Actor) -> bool:
    """Tell whether a refusal says why (nobody may, or others may), in which state, and what can be done instead."""
    code = "step_not_yours" if (state, step) in TABLE else "step_refused"
    said = (refused.code, refused.values["state"], refused.values["possible"])
    return said == (code, state, possible(state, {actor}))


@pytest.mark.parametrize("state", list(State))
def test_every_cell_moves_as_the_design_says_or_is_refused_with_what_can_be_done(state: State) -> None:
    """All (state, step, actor): 13 x 31 x 7 cells, one test for each state; an empty cell is a refusal that helps."""
    cells = [cell for cell in EVERY_CELL if cell[0] is state]
    moved = {cell: outcome(*cell) for cell in cells}

    assert len(cells) == len(Step) * len(Actor)
    assert moved == {cell: expected(*cell) for cell in cells}


def test_the_walk_met_filled_and_empty_cells() -> None:
    """The test above would be worth nothing if it only met refusals."""
    filled = [cell for cell in EVERY_CELL if expected(*cell) is not None]

    assert len(EVERY_CELL) == len(State) * len(Step) * len(Actor)
    assert 80 < len(filled) < len(EVERY_CELL) - 1000


def test_what_is_possible_is_what_is_not_refused() -> None:
    """`possible` (next steps, refusals) and `check` never differ."""
    offered = {(s, step, a) for s, a in itertools.product(State, Actor) for step in possible(s, {a})}

    assert offered == {cell for cell in EVERY_CELL if outcome(*cell) is not None}


def test_whoever_is_several_things_may_what_any_of_them_may() -> None:
    """A coordinator who is an expert too loses nothing."""
    both = set(possible(State.SUBMITTED, {Actor.EXPERT, Actor.COORDINATOR}))

    assert both == set(possible(State.SUBMITTED, {Actor.EXPERT})) | set(possible(State.SUBMITTED, {Actor.COORDINATOR}))
    assert check(State.SUBMITTED, Step.TAKE, {Actor.COORDINATOR, Actor.EXPERT}).to is State.ACCEPTED


def test_nobody_may_anything_with_an_erased_case() -> None:
    """It is the end."""
    assert [possible(State.ERASED, {actor}) for actor in Actor] == [()] * len(Actor)


def test_every_state_can_be_reached_and_left() -> None:
    """From `collecting` every state is reached, and from every state `erased`."""
    arrows = {(s, c.to or b) for (s, _), c in TABLE.items() for b in (State.ACCEPTED, State.DRAFTED)}

    assert _reached({State.COLLECTING}, arrows) == set(State)
    assert _reached({State.ERASED}, {(b, a) for a, b in arrows}) == set(State)


def _reached(begun: set[State], arrows: set[tuple[State, State]]) -> set[State]:
    found = begun | {b for a, b in arrows if a in begun}
    return found if found == begun else _reached(found, arrows)


def test_only_people_of_a_case_may_do_clinical_things() -> None:
    """Who is not in the case (chair, coordinator, admin) and the requester himself never draft, sign or answer."""
    clinical = {Step.ASK, Step.DRAFT, Step.AGREE, Step.DISSENT, Step.SIGN, Step.CORRECT, Step.REPLY}
    who = {actor for (_, step), cell in TABLE.items() if step in clinical for actor in cell.who}

    assert who == {Actor.ASSIGNED}


# -- the diagram -------------------------------------------------------------------------------------------------------


def test_the_diagram_has_an_arrow_for_every_cell_that_moves() -> None:
    """And none for one that stays."""
    drawn = diagram()
    moving = {(s.value, c.to.value, t.value) for (s, t), c in TABLE.items() if c.to not in (s, None)}

    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", drawn, re.MULTILINE)
    shown = {(start, end, step) for start, end, steps_of in arrows for step in steps_of.split(", ")}
    back = {("waiting_for_requester", end, "done") for end in ("accepted", "drafted")}

    assert drawn.startswith("stateDiagram-v2\n    [*] --> collecting: new")
    assert shown == moving | back


def test_the_diagram_in_the_docs_is_the_one_that_the_table_makes() -> None:
    """Between its marks in docs/states.md or docs/architecture.md stands exactly what `diagram()` returns."""
    blocks = [
        block.strip()
        for name in ("states.md", "architecture.md")
        if (DOCS / name).exists()
        for block in re.findall(r"```mermaid\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
        if "stateDiagram" in block
    ]

    assert blocks == [diagram()]


# -- who is what -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standing", [standing for standing in Standing if standing is not Standing.ENROLLED])
def test_whoever_is_not_enrolled_is_nothing_to_any_case(standing: Standing) -> None:
    """Neither requester nor anything else while suspended, registered, approved, …"""
    person = Person(
        user_id=UserId("@anne:test"), name="Anne", language=Language.FR, standing=standing, roles=frozenset(Role)
    )

    assert actors(person, a_case(State.ACCEPTED)) == frozenset()
    assert not may_know(person, a_case(State.ACCEPTED))
    assert not may_read(person, a_case(State.ACCEPTED))
