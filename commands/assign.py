"""`!assign CASE @expert`: give a case to an expert of the line."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.ASSIGN)
        await routing.assign(turn, case, UserId(words["expert"]))

    return Command(
        verb="assign",
        names={Language.FR: ("attribuer",), Language.NL: ("toewijzen",), Language.DE: ("zuweisen",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("expert", ArgKind.WORD),
        ),
        group="coordinator",
        need=Need.SESSION,
        run=run,
    )
