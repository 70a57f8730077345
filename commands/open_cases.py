"""`!open`: show the open cases of one's lines."""

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Turn


def command(overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        await overview.open(turn)

    return Command(
        verb="open",
        names={Language.FR: ("ouverts",), Language.NL: ("openstaand",), Language.DE: ("offen",)},
        group="coordinator",
        need=Need.ENROLLED,
        run=run,
    )
