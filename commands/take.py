"""`!take CASE`: take a case."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.TAKE)
        await routing.take(turn, case)

    return Command(
        verb="take",
        names={Language.FR: ("prendre",), Language.NL: ("neem",), Language.DE: ("übernehmen",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
