"""`!agree`: agree with the draft."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.opinions import Opinions
from bot.services.turn import Cases, Turn


def command(cases: Cases, opinions: Opinions) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.AGREE)
        await opinions.agree(turn, case)

    return Command(
        verb="agree",
        names={Language.FR: ("approuver", "d'accord"), Language.NL: ("akkoord",), Language.DE: ("zustimmen",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
