"""`!decline CASE REASON`: say no to a case, with a reason."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.DECLINE)
        await routing.decline(turn, case, words["text"])

    return Command(
        verb="decline",
        names={Language.FR: ("refuser", "décliner"), Language.NL: ("weiger",), Language.DE: ("ablehnen",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
