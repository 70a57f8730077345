"""`!dissent REASON`: disagree with the draft; it stands in the opinion."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.opinions import Opinions
from bot.services.turn import Cases, Turn


def command(cases: Cases, opinions: Opinions) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.DISSENT)
        await opinions.dissent(turn, case, words["text"])

    return Command(
        verb="dissent",
        names={Language.FR: ("désaccord",), Language.NL: ("oneens",), Language.DE: ("dissens",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
