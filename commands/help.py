"""`!help`: show what can be done, by whoever asks."""

from collections.abc import Callable, Sequence

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.domain.people import Person, Role
from bot.services.overview import Overview
from bot.services.turn import Turn


def _groups(person: Person) -> list[str]:
    """Return the groups of verbs that a person can use."""
    groups = ["everyone"]
    if person.may_act and person.is_physician:
        groups += ["requester"] + (["expert"] if person.lines else [])
    if person.may_act and person.roles & {Role.COORDINATOR, Role.CHAIR}:
        groups.append("coordinator")
    if person.may_act and person.roles & {Role.ADMIN, Role.AUDITOR}:
        groups.append("admin")
    return groups


def command(overview: Overview, all_commands: Callable[[], Sequence[Command]]) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        person = turn.by
        groups = [(group, [c.verb for c in all_commands() if c.group == group]) for group in _groups(person)]
        await overview.help(turn, groups)

    return Command(
        verb="help",
        names={Language.FR: ("aide",), Language.NL: ("hulp",), Language.DE: ("hilfe",)},
        group="everyone",
        need=Need.NOTHING,
        run=run,
    )
