"""`!lines`: show the lines that can be asked."""

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Turn


def command(overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        await overview.lines(turn)

    return Command(
        verb="lines",
        names={Language.FR: ("lignes", "filières"), Language.NL: ("lijnen",), Language.DE: ("linien",)},
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
