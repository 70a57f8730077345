"""The life of a case as one table: from which state, by which step, by whom, to which state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.errors import Refusal


class State(StrEnum):
    """Where a case is in its life."""

    COLLECTING = "collecting"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    WAITING = "waiting_for_requester"
    DRAFTED = "drafted"
    SIGNING = "signing"
    SIGNED = "signed"
    DELIVERED = "delivered"
    CLOSED = "closed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRING = "expiring"
    ERASED = "erased"


class Step(StrEnum):
    """What can be done to a case."""

    ANSWER = "answer"
    SUBMIT = "submit"
    CANCEL = "cancel"
    LAPSE = "lapse"
    TAKE = "take"
    JOIN = "join"
    ASSIGN = "assign"
    BRING = "bring"
    DECLINE = "decline"
    EXHAUST = "exhaust"
    REFER = "refer"
    RELEASE = "release"
    ASK = "ask"
    DONE = "done"
    DRAFT = "draft"
    AGREE = "agree"
    DISSENT = "dissent"
    SIGN = "sign"
    COMPLETE = "complete"
    DELIVER = "deliver"
    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"
    FOLLOWUP = "followup"
    REPLY = "reply"
    CORRECT = "correct"
    SURVEY = "survey"
    EXTEND = "extend"
    HOLD = "hold"
    UNHOLD = "unhold"
    EXPIRE = "expire"
    ERASE = "erase"


class Actor(StrEnum):
    """What somebody is to a case at the moment of a step."""

    REQUESTER = "requester"
    ASSIGNED = "assigned"  # an expert who took, joined or was brought
    EXPERT = "expert"  # answers for the line, is not in the case
    COORDINATOR = "coordinator"
    CHAIR = "chair"
    ADMIN = "admin"
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class Cell:
    """A filled cell of the table; `to` is None where the case goes back to where it came from."""

    who: frozenset[Actor]
    to: State | None


def _by(*who: Actor) -> frozenset[Actor]:
    return frozenset(who)


S, T, A = State, Step, Actor
_BEFORE_EXPIRING = tuple(s for s in State if s not in (State.EXPIRING, State.ERASED))

TABLE: Mapping[tuple[State, Step], Cell] = {
    (S.COLLECTING, T.ANSWER): Cell(_by(A.REQUESTER), S.COLLECTING),
    (S.COLLECTING, T.SUBMIT): Cell(_by(A.REQUESTER), S.SUBMITTED),
    (S.COLLECTING, T.CANCEL): Cell(_by(A.REQUESTER), S.CANCELLED),
    (S.COLLECTING, T.LAPSE): Cell(_by(A.BOT), S.CANCELLED),
    (S.SUBMITTED, T.TAKE): Cell(_by(A.EXPERT), S.ACCEPTED),
    (S.SUBMITTED, T.JOIN): Cell(_by(A.EXPERT), S.ACCEPTED),
    (S.SUBMITTED, T.ASSIGN): Cell(_by(A.COORDINATOR, A.CHAIR), S.ACCEPTED),
    (S.SUBMITTED, T.DECLINE): Cell(_by(A.EXPERT), S.SUBMITTED),
    (S.SUBMITTED, T.EXHAUST): Cell(_by(A.BOT), S.DECLINED),
    (S.SUBMITTED, T.REFER): Cell(_by(A.COORDINATOR, A.CHAIR), S.SUBMITTED),
    (S.ACCEPTED, T.REFER): Cell(_by(A.ASSIGNED, A.COORDINATOR, A.CHAIR), S.SUBMITTED),
    (S.ACCEPTED, T.RELEASE): Cell(_by(A.ASSIGNED, A.COORDINATOR), S.SUBMITTED),
    (S.ACCEPTED, T.ASK): Cell(_by(A.ASSIGNED), S.WAITING),
    (S.DRAFTED, T.ASK): Cell(_by(A.ASSIGNED), S.WAITING),
    (S.WAITING, T.ANSWER): Cell(_by(A.REQUESTER), S.WAITING),
    (S.WAITING, T.DONE): Cell(_by(A.REQUESTER), None),
    (S.WAITING, T.DRAFT): Cell(_by(A.ASSIGNED), S.DRAFTED),
    (S.DRAFTED, T.AGREE): Cell(_by(A.ASSIGNED), S.DRAFTED),
    (S.DRAFTED, T.DISSENT): Cell(_by(A.ASSIGNED), S.DRAFTED),
    (S.DRAFTED, T.SIGN): Cell(_by(A.ASSIGNED), S.SIGNING),
    (S.SIGNING, T.SIGN): Cell(_by(A.ASSIGNED), S.SIGNING),
    (S.SIGNING, T.COMPLETE): Cell(_by(A.BOT), S.SIGNED),
    (S.SIGNED, T.DELIVER): Cell(_by(A.BOT), S.DELIVERED),
    (S.DELIVERED, T.ACKNOWLEDGE): Cell(_by(A.REQUESTER), S.CLOSED),
    (S.CLOSED, T.ACKNOWLEDGE): Cell(_by(A.REQUESTER), S.CLOSED),
    (S.DELIVERED, T.CLOSE): Cell(_by(A.BOT), S.CLOSED),
    **{(s, T.DRAFT): Cell(_by(A.ASSIGNED), S.DRAFTED) for s in (S.ACCEPTED, S.DRAFTED, S.SIGNING)},
    **{(s, T.RELEASE): Cell(_by(A.ASSIGNED, A.COORDINATOR), S.SUBMITTED) for s in (S.DRAFTED, S.WAITING, S.SIGNING)},
    **{(s, T.JOIN): Cell(_by(A.EXPERT), s) for s in (S.ACCEPTED, S.DRAFTED, S.WAITING)},
    **{(s, T.BRING): Cell(_by(A.ASSIGNED, A.COORDINATOR, A.CHAIR), s) for s in (S.ACCEPTED, S.DRAFTED, S.WAITING)},
    **{
        (s, T.CANCEL): Cell(_by(A.REQUESTER), S.CANCELLED)
        for s in (S.SUBMITTED, S.ACCEPTED, S.WAITING, S.DRAFTED, S.SIGNING)
    },
    **{
        (s, step): Cell(_by(who), to or s)
        for s in (S.DELIVERED, S.CLOSED)
        for step, who, to in (
            (T.FOLLOWUP, A.REQUESTER, None),
            (T.REPLY, A.ASSIGNED, None),
            (T.SURVEY, A.REQUESTER, None),
            (T.EXTEND, A.REQUESTER, None),
            (T.CORRECT, A.ASSIGNED, S.DRAFTED),
        )
    },
    **{(s, T.EXTEND): Cell(_by(A.REQUESTER), s) for s in (S.DECLINED, S.CANCELLED)},
    **{(s, T.EXPIRE): Cell(_by(A.BOT), S.EXPIRING) for s in (S.CLOSED, S.DECLINED, S.CANCELLED)},
    **{(s, step): Cell(_by(A.ADMIN), s) for s in _BEFORE_EXPIRING for step in (T.HOLD, T.UNHOLD)},
    (S.EXPIRING, T.ERASE): Cell(_by(A.BOT), S.ERASED),
}


def possible(state: State, actors: Iterable[Actor]) -> tuple[Step, ...]:
    """Return the steps that somebody who is *actors* may take in *state*, in the table's order."""
    mine = frozenset(actors)
    return tuple(step for (s, step), cell in TABLE.items() if s is state and cell.who & mine)


def check(state: State, step: Step, actors: Iterable[Actor]) -> Cell:
    """Return the cell for *step*.

    Raises:
        Refusal: `step_refused` if nobody may do this now, `step_not_yours` if others may; both say what is possible.
    """
    mine = frozenset(actors)
    cell = TABLE.get((state, step))
    if cell is not None and cell.who & mine:
        return cell
    raise Refusal(
        "step_refused" if cell is None else "step_not_yours",
        state=state,
        step=step,
        possible=possible(state, mine),
    )


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the docs."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, step), cell in TABLE.items():
        if cell.to is not state:
            target = "came_from" if cell.to is None else cell.to.value
            arrows.setdefault((state.value, target), []).append(step.value)
    lines = ["stateDiagram-v2", "    [*] --> collecting: new"]
    for (start, end), steps in arrows.items():
        ends = ("accepted", "drafted") if end == "came_from" else (end,)
        lines += [f"    {start} --> {e}: {', '.join(steps)}" for e in ends]
    return "\n".join([*lines, "    erased --> [*]"])
