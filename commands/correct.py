"""`!correct CASE REASON`: open a delivered opinion again."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.handover import Handover
from bot.services.turn import Cases, Turn


def command(cases: Cases, handover: Handover) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.CORRECT)
        await handover.correct(turn, case, words["text"])

    return Command(
        verb="correct",
        names={Language.FR: ("corriger",), Language.NL: ("corrigeer",), Language.DE: ("korrigieren",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
