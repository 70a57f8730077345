"""`!bring CASE @colleague REASON`: bring a colleague in."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.BRING)
        await routing.bring(turn, case, UserId(words["colleague"]), words["text"])

    return Command(
        verb="bring",
        names={Language.FR: ("inviter", "amener"), Language.NL: ("uitnodigen",), Language.DE: ("hinzuziehen",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("colleague", ArgKind.WORD),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
