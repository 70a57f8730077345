"""`!unhold CASE REASON`: let a held case expire again; takes two admins."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import CaseId
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Cases, Turn


def command(cases: Cases, overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.get(turn.unit, words.case_id or CaseId(""))
        await overview.hold(turn, case, words["text"], on=False)

    return Command(
        verb="unhold",
        names={Language.FR: ("débloquer",), Language.NL: ("loslaten",), Language.DE: ("loslassen",)},
        args=(
            Arg("case", ArgKind.CASE),
            Arg("text", ArgKind.REST),
        ),
        group="admin",
        need=Need.SESSION,
        run=run,
    )
