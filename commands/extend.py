"""`!extend CASE`: keep a case a week longer, twice at most."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.handover import Handover
from bot.services.turn import Cases, Turn


def command(cases: Cases, handover: Handover) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.EXTEND)
        await handover.extend(turn, case)

    return Command(
        verb="extend",
        names={Language.FR: ("prolonger",), Language.NL: ("verlengen",), Language.DE: ("verlängern",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
