"""`!resend CASE`: post the dossier again, for instance after a change of phone."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Cases, Turn


def command(cases: Cases, overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await overview.resend(turn, await cases.about(turn, words.case_id))

    return Command(
        verb="resend",
        names={Language.FR: ("renvoyer",), Language.NL: ("herzend",), Language.DE: ("erneut senden",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="everyone",
        need=Need.SESSION,
        run=run,
    )
