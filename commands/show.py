"""`!show CASE`: show a case's state, people and next steps."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Cases, Turn


def command(cases: Cases, overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await overview.show(turn, await cases.about(turn, words.case_id))

    return Command(
        verb="show",
        names={Language.FR: ("montrer",), Language.NL: ("toon",), Language.DE: ("zeigen",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
