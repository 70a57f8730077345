"""`!export CASE`: get the signed opinion again in the direct chat."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.handover import Handover
from bot.services.turn import Cases, Turn


def command(cases: Cases, handover: Handover) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await handover.export(turn, await cases.about(turn, words.case_id))

    return Command(
        verb="export",
        names={Language.FR: ("exporter",), Language.NL: ("exporteer",), Language.DE: ("exportieren",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="everyone",
        need=Need.SESSION,
        run=run,
    )
