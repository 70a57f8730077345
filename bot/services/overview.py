"""Looking: help, lines, own cases, one case, the dossier again, an original; and holding a case for two admins."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bot.domain.audit import AuditRow, first_break
from bot.domain.case import Case, DocumentState
from bot.domain.deadlines import retention_ends
from bot.domain.effects import CaseRoom, Invite, Say
from bot.domain.errors import Refusal
from bot.domain.notice import At, Bullets, LineName, Notice, Phrase, Rows, Value, Who, Word
from bot.domain.people import Role
from bot.domain.permissions import check_may_read, check_role, may_know, steps_for
from bot.domain.steps import State, Step
from bot.services.dossier import original_notice, post_dossier
from bot.services.turn import Cases, Turn

_WORKING = (State.SUBMITTED, State.ACCEPTED, State.DRAFTED, State.WAITING, State.SIGNING)


class Overview:
    """Shows people what is theirs to see, and nothing else."""

    def __init__(self, cases: Cases, emergency_phone: str) -> None:
        self._cases = cases
        self._emergency_phone = emergency_phone

    async def help(self, turn: Turn, groups: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Show the verbs that a person can use, group by group; always says that this is no emergency service."""
        shown: tuple[tuple[Value, Value], ...] = tuple(
            (Word(f"group_{group}"), Bullets(tuple(Phrase(f"help_line.{verb}") for verb in verbs)))
            for group, verbs in groups
        )
        lines = Bullets(tuple(Phrase("help_group", {"group": group, "verbs": verbs}) for group, verbs in shown))
        await turn.reply(Notice(text="help", values={"lines": lines, "phone": self._emergency_phone}, kind="help"))

    async def lines(self, turn: Turn) -> None:
        """Show the lines one can ask, with the time each has to answer."""
        rows = tuple(
            (LineName(line.id), Phrase("hours", {"hours": int(line.deadlines.routine / timedelta(hours=1))}))
            for line in self._cases.catalogue
        )
        await turn.reply(
            Notice(
                text="lines",
                values={"lines": Rows(rows)},
                kind="lines",
                data={"lines": [line.id for line in self._cases.catalogue]},
                next=(("new", "…"),),
            )
        )

    async def list(self, turn: Turn) -> None:
        """Show a person's cases: number, state, when it is due; no clinical word."""
        mine = [
            case
            for case in await self._cases.known_to(turn.unit, turn.by)
            if turn.by.user_id == case.requester or turn.by.user_id in case.expert_ids
        ]
        await turn.reply(self._table("list" if mine else "list_empty", mine))

    async def open(self, turn: Turn) -> None:
        """Show coordinators, chairs and auditors the open cases of their lines."""
        if not turn.by.roles & {Role.COORDINATOR, Role.CHAIR, Role.AUDITOR}:
            raise Refusal("role_missing", role=Role.COORDINATOR)
        known = [case for case in await turn.unit.cases(states=_WORKING) if may_know(turn.by, case)]
        await turn.reply(self._table("open" if known else "list_empty", known))

    def _table(self, text: str, cases: Sequence[Case]) -> Notice:
        rows: tuple[tuple[Value, Value], ...] = tuple(
            (
                case.id,
                Phrase(
                    "case_row", {"state": Word(f"state_{case.state}"), "due": At(case.due_at) if case.due_at else None}
                ),
            )
            for case in cases
        )
        return Notice(
            text=text, values={"cases": Rows(rows)}, kind="list", data={"cases": [[c.id, c.state.value] for c in cases]}
        )

    async def show(self, turn: Turn, case: Case) -> None:
        """Show number, state, deadline, people and what can be done; the same to whoever may know of the case."""
        steps = tuple(step for step in steps_for(turn.by, case) if step not in (Step.ANSWER, Step.HOLD, Step.UNHOLD))
        ends = retention_ends(case, self._cases.line(case), self._cases.rules)
        await turn.reply(
            Notice(
                text="show",
                values={
                    "case": case.id,
                    "line": LineName(case.line),
                    "state": Word(f"state_{case.state}"),
                    "requester": Who(case.requester),
                    "experts": Bullets(tuple(Who(u) for u in case.expert_ids)),
                    "due": At(case.due_at) if case.due_at else None,
                    "ends": At(ends) if ends else None,
                    "steps": Bullets(tuple(Word(f"step_{step}") for step in steps)),
                },
                kind="show",
                data={
                    "about": case.id,
                    "state": case.state.value,
                    "held": case.held,
                    "steps": [s.value for s in steps],
                },
                case_id=case.id,
            )
        )

    async def resend(self, turn: Turn, case: Case) -> None:
        """Post the dossier again, for a member who changed phone; from the same media."""
        check_may_read(turn.by, case)
        if case.submitted_at is None:
            raise Refusal("not_submitted_yet", case=case.id)
        await turn.audit("resent", case.id)
        await turn.unit.plan(Invite(place=CaseRoom(case_id=case.id), user_id=turn.by.user_id))
        await post_dossier(turn.unit, case, self._cases.line(case), for_whom=turn.by.user_id)

    async def original(self, turn: Turn, case: Case, number: str) -> None:
        """Post a document as it came, or cleaned of identity where the line says so."""
        check_may_read(turn.by, case)
        document = case.document(int(number)) if number.isdecimal() and len(number) < 4 else None
        if document is None or document.file_id is None or document.state is not DocumentState.READY:
            raise Refusal("no_such_document", n=number[:10])
        await turn.audit("original_shown", case.id, n=document.n)
        notice = original_notice(case, self._cases.line(case), document)
        await turn.unit.plan(Say(place=CaseRoom(case_id=case.id), notice=replace(notice, case_id=case.id)))

    async def away(self, turn: Turn, days: str) -> None:
        """Say that one is away for some days (0: back again): no rings meanwhile."""
        if not days.isdecimal() or int(days) > 90:
            raise Refusal("argument_wrong", verb="away", argument="days")
        until = turn.now + timedelta(days=int(days)) if int(days) else None
        await turn.unit.save_person(replace(turn.by, away_until=until))
        await turn.audit("away", days=int(days))
        await turn.reply(
            Notice(text="away" if until else "back_again", values={"until": At(until) if until else None}, kind="away")
        )

    # -- admins and auditors -------------------------------------------------------------------------------------------

    async def hold(self, turn: Turn, case: Case, reason: str, *, on: bool) -> None:
        """Stop or release the expiry of a case; it takes two admins, each with a reason."""
        check_role(turn.by, Role.ADMIN)
        if case.held is on:
            raise Refusal("held_already" if on else "not_held", case=case.id)
        asked = case.held_by if on else case.released_by
        if turn.by.user_id in asked:
            raise Refusal("second_admin_other")
        moved = await self._cases.move(turn, case, Step.HOLD if on else Step.UNHOLD, words=len(reason))
        moved = replace(moved, hold_reasons=(*case.hold_reasons, f"{turn.by.name}: {reason}"))
        both = (*asked, turn.by.user_id)
        done = len(both) >= 2
        if on:
            after = replace(moved, held_by=() if done else both, held=done)
        else:
            after = replace(moved, released_by=() if done else both, held=not done)
        await self._cases.save(turn.unit, after)
        text = ("held" if on else "unheld") if done else "second_admin_hold"
        await turn.reply(
            Notice(
                text=text, values={"case": case.id}, kind="held" if after.held else "not_held", data={"about": case.id}
            )
        )

    async def audit(self, turn: Turn, rows: Sequence[AuditRow], wanted: int) -> None:
        """Show an auditor the newest rows of the chain, and whether the chain is whole; an admin sees his own acts."""
        if Role.AUDITOR not in turn.by.roles:
            check_role(turn.by, Role.ADMIN)
        seen = [r for r in rows if Role.AUDITOR in turn.by.roles or r.event.by == turn.by.user_id]
        lines: tuple[tuple[Value, Value], ...] = tuple(
            (
                Phrase("audit_row", {"n": r.n, "at": At(r.at)}),
                " ".join(
                    [
                        r.event.kind,
                        r.event.case_id or "",
                        r.event.by or "bot",
                        *(f"{k}={v}" for k, v in r.event.facts.items()),
                    ]
                ),
            )
            for r in seen[-max(1, wanted) :]
        )
        broken = first_break(rows)
        await turn.audit("audit_read", rows=len(lines))
        await turn.reply(
            Notice(
                text="audit" if broken is None else "audit_broken",
                values={"rows": Rows(lines), "count": len(rows), "broken": broken},
                kind="audit",
                data={"rows": len(rows), "broken": broken},
            )
        )
