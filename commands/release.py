"""`!release CASE REASON`: give a case back."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.RELEASE)
        await routing.release(turn, case, words["text"])

    return Command(
        verb="release",
        names={Language.FR: ("rendre", "libérer"), Language.NL: ("vrijgeven",), Language.DE: ("freigeben",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
