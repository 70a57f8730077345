"""`!list`: show one's own cases."""

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Turn


def command(overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        await overview.list(turn)

    return Command(
        verb="list",
        names={Language.FR: ("liste",), Language.NL: ("lijst",), Language.DE: ("übersicht",)},
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
