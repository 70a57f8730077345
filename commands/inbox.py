"""`!inbox`: show the cases that wait for one."""

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.services.routing import Routing
from bot.services.turn import Turn


def command(routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        await routing.inbox(turn)

    return Command(
        verb="inbox",
        names={Language.FR: ("boîte",), Language.NL: ("postvak",), Language.DE: ("eingang",)},
        group="expert",
        need=Need.ENROLLED,
        run=run,
    )
