"""`!away DAYS`: get no rings for some days; 0 ends it."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Turn


def command(overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await overview.away(turn, words["days"])

    return Command(
        verb="away",
        names={Language.FR: ("absent",), Language.NL: ("afwezig",), Language.DE: ("abwesend",)},
        args=(Arg("days", ArgKind.WORD),),
        group="expert",
        need=Need.ENROLLED,
        run=run,
    )
