"""`!audit 20`: show the newest rows of the audit chain and check it."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Turn


def command(overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        wanted = words["rows"]
        count = min(int(wanted), 100) if wanted.isdecimal() and len(wanted) < 5 else 20
        await overview.audit(turn, await turn.unit.audit_rows(), count)

    return Command(
        verb="audit",
        names={Language.FR: ("journal",), Language.NL: ("logboek",), Language.DE: ("protokoll",)},
        args=(Arg("rows", ArgKind.WORD, required=False),),
        group="admin",
        need=Need.SESSION,
        run=run,
    )
