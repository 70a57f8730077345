"""`!release CASE [@expert] REASON`: give a case back; a coordinator names whom to take out."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.RELEASE)
        text = words["text"]
        first, _, rest = text.strip().partition(" ")
        whom, reason = (UserId(first), rest) if first.startswith("@") else (None, text)
        await routing.release(turn, case, whom, reason)

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
